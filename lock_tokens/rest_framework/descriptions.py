"""What drf-spectacular's schema says about locks: headers, answers, descriptions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
)

from .. import settings
from ..refusals import TOKEN_HEADER
from .fields import LockStateField
from .serializers import (
    LockedErrorSerializer,
    LockErrorSerializer,
    LockRenewedErrorSerializer,
    LockRouteErrorSerializer,
    LockTokenSerializer,
)
from .writes import EXPIRY_HEADER

#: The description of the component LockState. The docstring of its class is for developers.
STATE = "Whether an object is locked, by whom, since when and until when."

#: The descriptions of the route's operations, by method.
ROUTE = {
    "GET": "Say whether the object is locked. With the lock's token, also say when the"
    " lock expires.",
    "POST": "Lock the object. With a token, renew or release its lock, as do says.",
    "PATCH": "Renew the lock.",
    "DELETE": "Release the lock.",
}


def header(
    name: str,
    description: str,
    type: OpenApiTypes = OpenApiTypes.STR,
    *,
    required: bool = False,
    statuses: tuple[int, ...] = (),
) -> OpenApiParameter:
    """Return a header of the request, or of its answers with these statuses."""
    return OpenApiParameter(
        name,
        type,
        OpenApiParameter.HEADER,
        required=required,
        description=description,
        response=list(statuses),
    )


def token_header(required: bool) -> OpenApiParameter:
    """Return the request's header with the token."""
    return header(
        TOKEN_HEADER,
        "The token of the object's lock. You can send it as If: (<token>) instead.",
        required=required,
    )


EXPIRY = header(
    EXPIRY_HEADER,
    "The expiry of the lock, if a token was sent.",
    OpenApiTypes.DATETIME,
    statuses=(200, 201, 202, 203, 204),
)
RETRY_AFTER = header(
    "Retry-After", "The number of seconds to wait.", OpenApiTypes.INT, statuses=(503,)
)
LOCK_TAG = header("ETag", "The expiry. Send it as If-Match.", statuses=(200, 201))

#: The headers of the route's operations, by method.
ROUTE_HEADERS = {
    "GET": [
        token_header(required=False),
        header("If-None-Match", "ETags of states that the client knows."),
        header(
            "ETag",
            "Without a token, it identifies the state. Send it as If-None-Match. With"
            " a token, it identifies the expiry. Send it as If-Match.",
            statuses=(200, 304),
        ),
    ],
    "POST": [
        OpenApiParameter(
            "do",
            enum=["renew", "release"],
            description="Do as PATCH or as DELETE, where a firewall lets neither pass.",
        ),
        token_header(required=False),
        header(
            "Idempotency-Key",
            "A secret of the client. If you send the request again with the same key,"
            " you get the same lock.",
        ),
        LOCK_TAG,
        header(
            "Idempotent-Replayed",
            "This header is present if the client already had the lock because of its"
            " Idempotency-Key.",
            statuses=(201,),
        ),
    ],
    "PATCH": [
        token_header(required=True),
        header("If-Match", "Renew only a lock that has one of these ETags."),
        header(
            "If-Unmodified-Since",
            "Renew only a lock that has not been renewed since this date.",
        ),
        LOCK_TAG,
    ],
    "DELETE": [token_header(required=True)],
}


def route_answers(method: str) -> dict[int, Any]:
    """Return the answers of the route to a lock, by status."""
    invalid = OpenApiResponse(LockRouteErrorSerializer, "The request is not valid.")
    gone = OpenApiResponse(
        LockRouteErrorSerializer, "There is no such object, or it has no lock."
    )
    void = OpenApiResponse(
        LockRouteErrorSerializer, "The token is void, or the client may not do this."
    )
    renewed = OpenApiResponse(
        LockRenewedErrorSerializer, "The lock has been renewed in the meantime."
    )
    answers: dict[int, Any]
    if method == "POST":
        answers = {
            200: LockTokenSerializer,
            201: LockTokenSerializer,
            204: None,
            400: invalid,
            403: void,
            # By default this status is also that of a missing permission.
            int(settings.API_LOCKED_STATUS): OpenApiResponse(
                LockRouteErrorSerializer,
                "The object is already locked, or the token is void.",
            ),
            404: gone,
            412: renewed,
        }
    elif method == "GET":
        either = PolymorphicProxySerializer(
            "LockStateOrToken",
            [LockStateField, LockTokenSerializer],
            resource_type_field_name=None,
        )
        known = OpenApiResponse(description="The state has not changed.")
        answers = {200: either, 304: known, 400: invalid, 403: void, 404: gone}
    elif method == "PATCH":
        token = LockTokenSerializer
        answers = {200: token, 400: invalid, 403: void, 404: gone, 412: renewed}
    else:
        answers = {204: None, 400: invalid, 403: void, 404: gone}
    return {**answers, **UNAVAILABLE}


def write_refusals(lock_required: bool) -> dict[int, Any]:
    """Return the refusals of a write that does not have the lock, by status."""
    refusals = {
        400: OpenApiResponse(
            # The project decides what an error of validation looks like.
            OpenApiTypes.OBJECT,
            "The request is not valid. If its If header is the reason, error is"
            " invalid_if.",
        ),
        412: OpenApiResponse(LockedErrorSerializer, "The token is void."),
        423: OpenApiResponse(
            LockedErrorSerializer, "No token was sent, and the object is locked."
        ),
    }
    if lock_required:
        refusals[428] = OpenApiResponse(
            LockErrorSerializer, "No token was sent, and the object is free."
        )
    return {**refusals, **UNAVAILABLE}


UNAVAILABLE = {
    503: OpenApiResponse(
        LockErrorSerializer, "The database failed, and nothing was changed."
    )
}
