"""The locks of views in drf-spectacular's schema. Loaded where that is installed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.permissions import SAFE_METHODS
from rest_framework.views import APIView

from .. import settings
from ..refusals import TOKEN_HEADER
from .fields import LockStateField
from .headers import EXPIRY_HEADER
from .permissions import HoldsLock
from .serializers import (
    LockedErrorSerializer,
    LockErrorSerializer,
    LockTimeoutSerializer,
    LockTokenSerializer,
)
from .viewsets import LockableViewSetMixin
from .writes import LOCK_ACTIONS

set_override(LockStateField, "component_name", "LockState")


class LockableViews(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    """Views with the mixin, and those with the permission among their own."""

    target_class = APIView
    match_subclasses = True

    @classmethod
    def _matches(cls, target: Any) -> bool:
        return issubclass(target, LockableViewSetMixin) or HoldsLock in getattr(
            target, "permission_classes", ()
        )

    def view_replacement(self) -> Any:
        schema = type("LockSchema", (LockSchema, type(self.target.schema)), {})()
        attributes = {"schema": schema, "__doc__": self.target.__doc__}
        return type(self.target.__name__, (self.target,), attributes)


class LockSchema:
    """What locks add to the schema of a view, whatever that is."""

    view: Any
    method: str

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())  # type: ignore[misc]
        if self._is_about_lock() and self.method != "POST":
            parameters.append(_token_parameter(required=self.method != "GET"))
        elif self._is_write():
            required = getattr(self.view, "lock_required", False)
            parameters.append(_token_parameter(required))
            if not getattr(self.view, "release_on_write", False):
                parameters.append(EXPIRY)
        return parameters

    def get_request_serializer(self) -> Any:
        if self._is_about_lock():
            return LockTimeoutSerializer
        return super().get_request_serializer()  # type: ignore[misc]

    def get_response_serializers(self) -> Any:
        if not self._is_about_lock():
            return super().get_response_serializers()  # type: ignore[misc]
        return {
            "GET": {200: LockStateField},
            "POST": {201: LockTokenSerializer, 400: INVALID, locked_status(): LOCKED},
            "PATCH": {
                200: LockTokenSerializer,
                400: INVALID,
                403: WRONG,
                404: NOT_LOCKED,
                412: RENEWED,
            },
            "DELETE": {204: None, 400: INVALID, 403: WRONG, 404: NOT_LOCKED},
        }[self.method]

    def _get_response_bodies(self, *args: Any, **options: Any) -> dict[str, Any]:
        bodies = dict(super()._get_response_bodies(*args, **options))  # type: ignore[misc]
        if self._is_write():
            refusals: dict[str, Any] = {"412": VOID, "423": LOCKED}
            if getattr(self.view, "lock_required", False):
                refusals["428"] = REQUIRED
            for status, response in refusals.items():
                body = self._get_response_for_code(response, status)  # type: ignore[attr-defined]
                bodies.setdefault(status, body)
        return bodies

    def _is_about_lock(self) -> bool:
        return getattr(self.view, "action", None) in LOCK_ACTIONS

    def _is_write(self) -> bool:
        """Whether this is a write to an object, not to a list."""
        if self.method in SAFE_METHODS or self._is_about_lock():
            return False
        detail: bool | None = getattr(self.view, "detail", None)
        if detail is None:  # no route of a router's
            return self.method != "POST"
        return detail


def locked_status() -> int:
    """Return the status of the refusal to lock what another has locked."""
    return int(settings.API_LOCKED_STATUS)


def _token_parameter(required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        TOKEN_HEADER,
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        required=required,
        description="The token of the object's lock.",
    )


EXPIRY = OpenApiParameter(
    EXPIRY_HEADER,
    OpenApiTypes.DATETIME,
    OpenApiParameter.HEADER,
    response=[200, 201, 202, 204],
    description="Until when the lock runs, if a token was sent.",
)
INVALID = OpenApiResponse(LockErrorSerializer, "The request makes no sense.")
LOCKED = OpenApiResponse(LockedErrorSerializer, "Another lock stands on the object.")
NOT_LOCKED = OpenApiResponse(LockErrorSerializer, "The object has no lock.")
RENEWED = OpenApiResponse(LockErrorSerializer, "The lock was renewed since.")
REQUIRED = OpenApiResponse(LockErrorSerializer, "No token was sent.")
VOID = OpenApiResponse(LockedErrorSerializer, "The token is void.")
WRONG = OpenApiResponse(LockedErrorSerializer, "The token is void.")
