"""Viewsets whose objects can be locked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from inspect import unwrap
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import QueryDict
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from ..api.errors import bad_request, not_found
from ..api.operations import Answer, acquire, get_by_token, get_state, release, renew
from ..api.requests import requested_timeout
from ..locking.lock_token import LockToken
from .guards import LOCK_ACTIONS, guard, is_about_lock
from .headers import sent_token
from .refusals import refusals
from .serializers import LockTimeoutSerializer
from .targets import get_object_to_lock

#: What the browsable API says above the route.
DESCRIPTION = (
    "The object's lock. POST acquires it and answers with its token, PATCH renews it,"
    " DELETE releases it; those two need the token, in the header Lock-Token."
)


class LockableViewSetMixin:
    """Writes that need the object's lock, and the route ``<object>/lock/`` to it.

    To stand before the viewset it is mixed into::

        class ArticleViewSet(LockableViewSetMixin, ModelViewSet):
            queryset = Article.objects.all()
            serializer_class = ArticleSerializer

    A request that writes to an object (any unsafe method, extra actions included) sends
    the token of its lock, in the header ``Lock-Token`` or as ``If: (<token>)``. The token
    is verified and the handler runs in one transaction, until whose end nobody can take
    the lock. Without a token only an object that is free is written to, and it is
    locked meanwhile. The answers else: 423 under another's lock, 412 with a void token.

    ``lock_required = True``: every write to an object needs its lock; 428 without a
    token. ``release_on_write = True``: a write that succeeds gives the lock up, in its
    own transaction.

    To generic views that are no viewsets it does the same, without the route.
    """

    # The permission alone knows by this that the actions of these names are the route's.
    lock_actions = LOCK_ACTIONS
    #: Whether a write needs a token also when the object is free.
    lock_required = False
    #: Whether a write that succeeds gives the lock up.
    release_on_write = False

    # Which object a request writes to: for views to override.
    get_object_to_lock = get_object_to_lock

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if APIView in order and order.index(APIView) < order.index(
            LockableViewSetMixin
        ):
            raise TypeError(
                f"LockableViewSetMixin must stand before the view in {cls.__name__}'s"
                " bases: behind it, nothing would be guarded."
            )
        if unwrap(cls.lock) is not LockableViewSetMixin.lock:  # decorated is fine
            raise TypeError(
                f"{cls.__name__}.lock is in the way of LockableViewSetMixin's route of"
                " this name: give it another."
            )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        guard(self, request)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        if "acquire_lock" in getattr(self, "action_map", {}).values():
            answer["Cache-Control"] = "no-store"
        return answer

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        if is_about_lock(self):
            return LockTimeoutSerializer(*args, **kwargs)
        return super().get_serializer(*args, **kwargs)  # type: ignore[misc,no-any-return]

    def check_permissions(self, request: Request) -> None:
        with self._as_change(request):
            super().check_permissions(request)  # type: ignore[misc]

    def check_object_permissions(self, request: Request, obj: Any) -> None:
        with self._as_change(request):
            super().check_object_permissions(request, obj)  # type: ignore[misc]
        write = getattr(self, "locked_write", None)
        if write is not None:
            write.lock_checked(obj)

    @contextmanager
    def _as_change(self, request: Request) -> Iterator[None]:
        """Have the permissions see what the request needs the permission of.

        Whoever may change an object may lock it, and release it again. By the method
        alone that would be for who may add one, and delete it.
        """
        if not is_about_lock(self) or request.method in SAFE_METHODS:
            yield
            return
        # On this request itself, which permissions may read and leave things on.
        before = vars(request).get("method")
        request.method = "PATCH"
        try:
            yield
        finally:
            if before is None:
                del request.method
            else:
                request.method = before

    @action(detail=True, description=DESCRIPTION)
    def lock(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Say whether the object is locked; with its token, give the token dict."""
        obj = self._get_lockable()
        with refusals():
            token = sent_token(request)
            if token is None:
                return _response(get_state(request, obj))
            return _response(get_by_token(obj, token))

    @lock.mapping.post
    def acquire_lock(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Lock the object."""
        obj = self._get_lockable()
        with refusals():
            timeout = requested_timeout(_body(request))
            return _response(acquire(request, obj, timeout, request.user))

    @lock.mapping.patch
    def renew_lock(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Renew the lock."""
        obj = self._get_lockable()
        with refusals():
            token = _needed_token(request)
            return _response(
                renew(request, obj, token, requested_timeout(_body(request)))
            )

    @lock.mapping.delete
    def release_lock(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Release the lock."""
        obj = self._get_lockable()
        with refusals():
            return _response(release(obj, _needed_token(request)))

    def _get_lockable(self) -> Any:
        if not hasattr(self, "get_object"):
            raise ImproperlyConfigured(
                f"The route lock/ of {type(self).__name__} needs its get_object()."
            )
        obj = self.get_object()
        with refusals():
            if not LockToken.objects.can_be_locked(obj):
                raise not_found("This object cannot be locked.")
        return obj


def _needed_token(request: Request) -> str:
    # RFC 4918, section 9.11.1: an UNLOCK without a token is a 400.
    token = sent_token(request)
    if token is None:
        raise bad_request("token_required", "Send the token as Lock-Token.")
    return token


def _body(request: Request) -> Mapping[str, Any]:
    """Return the fields of the body, in whatever format it came.

    A form has texts alone, and of the browsable API's also empty and foreign ones.
    """
    body = request.data
    if isinstance(body, QueryDict):
        fields: dict[str, Any] = {
            name: value
            for name, value in body.items()
            if value and name != "csrfmiddlewaretoken"
        }
        with suppress(KeyError, ValueError):  # refused later, like any other text
            fields["timeout"] = float(fields["timeout"])
        return fields
    if not isinstance(body, Mapping):
        raise bad_request("invalid_body", "The body must be a JSON object.")
    return body


def _response(answer: Answer) -> Response:
    return Response(answer.body, status=answer.status, headers=answer.headers)
