"""Viewsets whose objects can be locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from inspect import unwrap
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from ..api.errors import not_found
from ..api.operations import Answer, acquire, get_by_token, get_state, release, renew
from ..api.requests import does_release, leave_session_alone, requested_timeout
from ..locking.error_reports import hide_tokens
from ..locking.lock_token import LockToken
from .refusals import refusals
from .requests import (
    LOCK_ACTIONS,
    body_fields,
    is_about_lock,
    request_token,
    required_token,
)
from .serializers import LockTimeoutSerializer
from .targets import get_object_to_lock
from .writes import guard

#: What the browsable API says above the route.
DESCRIPTION = (
    "The object's lock. POST acquires it and returns its token. PATCH renews it, and"
    " DELETE releases it. PATCH and DELETE need the token in the Lock-Token header."
)


class LockableViewSetMixin:
    """Writes that need the object's lock, and the route ``<object>/lock/`` to it.

    Name it before the viewset in the bases::

        class ArticleViewSet(LockableViewSetMixin, ModelViewSet):
            queryset = Article.objects.all()
            serializer_class = ArticleSerializer

    A request that writes to an object sends the token of its lock, in the header
    ``Lock-Token`` or as ``If: (<token>)``. A write is any unsafe method, and extra
    actions count too. One transaction verifies the token and runs the handler. Nobody
    can take the lock before that transaction ends.

    A request without a token can write only to an object that nobody has locked. The
    object is locked meanwhile. Other answers are 423 when somebody else has locked the
    object, and 412 when the token is void.

    With ``lock_required = True`` every write to an object needs its lock, and answers 428
    without a token. With ``release_on_write = True`` a write that succeeds releases the
    lock in its own transaction.

    In generic views that are not viewsets the mixin does the same, without the route.
    """

    # By this attribute HoldsLock knows that the actions of these names are the route's.
    lock_actions = LOCK_ACTIONS
    #: Whether a write needs a token even when the object is free.
    lock_required = False
    #: Whether a write that succeeds releases the lock.
    release_on_write = False

    # The object that a request writes to. Views may override the method.
    get_object_to_lock = get_object_to_lock

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if APIView in order and order.index(APIView) < order.index(
            LockableViewSetMixin
        ):
            raise TypeError(
                "LockableViewSetMixin must come before the view in the bases of"
                f" {cls.__name__}. After the view, it would protect nothing."
            )
        if unwrap(cls.lock) is not LockableViewSetMixin.lock:  # decorated is fine
            raise TypeError(
                f"{cls.__name__}.lock has the same name as the route of"
                " LockableViewSetMixin. Give it another name."
            )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        hide_tokens(request._request)
        if is_about_lock(self):
            leave_session_alone(request)
        # The route to the lock answers in JSON that the database failed, even if it
        # failed for the authentication. Elsewhere that is the project's to answer.
        with refusals() if is_about_lock(self) else nullcontext():
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
        """Let the permissions see a request that changes the object.

        A user who may change an object may lock it and release the lock. POST and DELETE
        would ask for the permissions to add and to delete.
        """
        if not is_about_lock(self) or request.method in SAFE_METHODS:
            yield
            return
        # Not on a copy: permissions may leave attributes on the request.
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
        """Say whether the object is locked. With its token, answer the token dict."""
        obj = self._get_lockable()
        with refusals():
            token = request_token(request)
            if token is None:
                return _response(get_state(request, obj))
            return _response(get_by_token(obj, token))

    @lock.mapping.post
    def acquire_lock(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Lock the object. With ``?do=renew`` or ``?do=release``, do that instead."""
        obj = self._get_lockable()
        with refusals():
            if "do" in request.GET:
                if does_release(request):
                    return _response(release(obj, required_token(request)))
                return self._renew(request, obj)
            timeout = requested_timeout(body_fields(request))
            return _response(acquire(request, obj, timeout, request.user))

    @lock.mapping.patch
    def renew_lock(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Renew the lock."""
        obj = self._get_lockable()
        with refusals():
            return self._renew(request, obj)

    @lock.mapping.delete
    def release_lock(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Release the lock."""
        obj = self._get_lockable()
        with refusals():
            return _response(release(obj, required_token(request)))

    def _renew(self, request: Request, obj: Any) -> Response:
        token = required_token(request)
        timeout = requested_timeout(body_fields(request))
        return _response(renew(request, obj, token, timeout))

    def _get_lockable(self) -> Any:
        if not hasattr(self, "get_object"):
            raise ImproperlyConfigured(
                f"The route lock/ of {type(self).__name__} needs the view's"
                " get_object() method."
            )
        with refusals():
            obj = self.get_object()
            if not LockToken.objects.can_be_locked(obj):
                raise not_found("This object cannot be locked.")
        return obj


def _response(answer: Answer) -> Response:
    return Response(answer.body, status=answer.status, headers=answer.headers)
