"""The JSON API: locks for programs and for the JavaScript client.

Plain Django views. They know tokens, not sessions: whoever shows the token is the
holder. ``docs/rest.rst`` describes them for their users, ``docs/openapi.json`` for
programs.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import Error, connections, models
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    JsonResponse,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from .api_errors import (
    ApiError,
    bad_request,
    locked,
    not_found,
    not_locked,
    renewed_since,
    wrong_token,
)
from .api_requests import (
    check_csrf,
    forbidden,
    get_model,
    get_object,
    get_owner,
    get_timeout,
    known_expiries,
    knows,
    latest_expiry,
)
from .exceptions import (
    AlreadyLockedError,
    InvalidToken,
    RenewedSinceError,
    UnlockForbiddenError,
)
from .fields import to_utc
from .info import LockInfo, serialized
from .lookups import find_objects
from .models import LockToken, token_dict
from .permissions import is_permitted

logger = logging.getLogger("lock_tokens")

#: How many objects one request may ask about.
MAX_STATES = 100


# Not the middleware's check but the same in here: whether there is one is a setting that
# may change, and its refusal is JSON like any other.
@method_decorator(csrf_exempt, name="dispatch")
class ApiView(View):
    """What the views share: errors in JSON, the CSRF check, model and permission."""

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        try:
            check_csrf(request)
            answer = super().dispatch(request, *args, **kwargs)
        except ApiError as error:
            answer = error.response()
        except PermissionDenied:
            answer = forbidden(request).response()
        except Http404:
            answer = not_found("There is no such object.").response()
        except (
            BadRequest,
            MultiPartParserError,
            SuspiciousOperation,
            UnreadablePostError,
        ):
            # Too many fields, too large a body, one that broke off.
            answer = bad_request(
                "bad_request", "This request cannot be read."
            ).response()
        except Error:
            logger.exception("The database failed the lock API.")
            roll_back()
            answer = ApiError(503, "unavailable", "Try again in a moment.").response()
            answer["Retry-After"] = "2"
        answer["Cache-Control"] = "no-store"
        # Django would log a refusal with its path, which may have a token that holds.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        error = ApiError(
            405, "method_not_allowed", f"There is no {request.method} here."
        )
        answer = error.response()
        answer["Allow"] = ", ".join(
            name.upper() for name in self.http_method_names if hasattr(self, name)
        )
        return answer


def roll_back() -> None:
    """Undo what a request of ATOMIC_REQUESTS has done, although its view returns."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


class StatesView(ApiView):
    """``<app_label>/<model>/``: the state of many objects."""

    def get(self, request: HttpRequest, app_label: str, model: str) -> HttpResponse:
        """Answer ``{"states": {key: state}}`` for each ``?object_id=``.

        The state is ``null`` where there is no such object, and where the request may
        not know.
        """
        model_class = get_model(app_label, model)
        keys = request.GET.getlist("object_id")
        if not 1 <= len(keys) <= MAX_STATES:
            raise bad_request(
                "invalid_object_id",
                f"Ask for 1 to {MAX_STATES} objects, each as an object_id.",
            )
        objects = {
            key: obj
            for key, obj in find_objects(model_class, keys).items()
            if obj is not None and is_permitted(request, model_class, obj)
        }
        if not objects and not is_permitted(request, model_class, None):
            raise forbidden(request)
        infos = LockToken.objects.infos(objects.values())
        states: dict[str, Any] = dict.fromkeys(keys)
        states.update(zip(objects, map(state, infos), strict=True))
        return unless_known(request, {"states": states})


class LockView(ApiView):
    """``<app_label>/<model>/<object_id>/``: the lock of an object, for everybody."""

    def get(self, request: HttpRequest, **address: str) -> HttpResponse:
        """Answer whether the object is locked, by whom, since when and until when."""
        obj = get_object(request, **address)
        return unless_known(request, state(LockToken.objects.info(obj)))

    def post(self, request: HttpRequest, **address: str) -> HttpResponse:
        """Acquire: 201 and the token dict."""
        obj = get_object(request, **address)
        user = getattr(request, "user", None)
        if not isinstance(user, get_user_model()):
            user = None
        timeout = get_timeout(request)
        owner = get_owner(request, user)
        locks = LockToken.objects
        # Also its expired lock: a new one would make the token of its other pages void.
        lock = locks.renew_owned(obj, owner, timeout=timeout) if owner else None
        is_new = False
        if lock is None:
            try:
                lock, is_new = locks.get_or_acquire(
                    obj, timeout=timeout, user=user, owner=owner
                )
            except AlreadyLockedError as error:
                raise locked(error) from error
        answer = token_response(lock.serialize(), status=201)
        if not is_new:
            answer["Idempotent-Replayed"] = "true"
        return answer


class TokenView(ApiView):
    """``<app_label>/<model>/<object_id>/<token>/``: the lock, for its holder."""

    def get(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Answer the token dict, also when the lock has expired."""
        obj = get_object(request, **address)
        with refused_if_void(obj):
            lock = LockToken.objects.get_held(obj, token)
        return token_response(lock.serialize())

    def patch(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Renew the lock and answer the token dict.

        The body may have a ``timeout`` in seconds, never above ``TIMEOUT``. With
        ``If-Match`` (the expiry, as an ETag) or ``If-Unmodified-Since`` (a date), only a
        lock that has not been renewed since: else 412.
        """
        obj = get_object(request, **address)
        timeout = get_timeout(request)
        with refused_if_void(obj):
            expires_at = renew(request, obj, token, timeout)
        return token_response(token_dict(token, expires_at))

    def delete(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Release the lock: 204."""
        obj = get_object(request, **address)
        with refused_if_void(obj):
            LockToken.objects.release(obj, token)
        return HttpResponse(status=204)


def renew(
    request: HttpRequest, obj: models.Model, token: str, timeout: float
) -> datetime:
    """Renew the lock, unless ``If-Match`` or ``If-Unmodified-Since`` says not to."""
    locks = LockToken.objects
    known = known_expiries(request)
    latest = latest_expiry(request)
    if latest is not None:
        expires_at = to_utc(locks.get_held(obj, token).expires_at)
        known = [expires_at] if expires_at <= latest else []
    if known is None:
        return locks.renew(obj, token, timeout=timeout)
    for expiry in known:
        with suppress(RenewedSinceError):
            return locks.renew(obj, token, timeout=timeout, expiring_at=expiry)
    raise renewed_since(locks.get_held(obj, token).info())


def state(info: LockInfo | None) -> dict[str, Any]:
    """Return what anybody may know of an object's lock."""
    return {"locked": info is not None, **serialized(info)}


def unless_known(request: HttpRequest, body: dict[str, Any]) -> HttpResponse:
    """Answer with the body, or with a 304 when the request has its ETag."""
    response = JsonResponse(body)
    etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    answer: HttpResponse = response
    if knows(request, etag):
        answer = HttpResponseNotModified()
    answer["ETag"] = etag
    return answer


def token_response(body: dict[str, str], status: int = 200) -> HttpResponse:
    """Answer with the token dict. Its ETag is the expiry, for ``If-Match``."""
    return JsonResponse(
        body, status=status, headers={"ETag": f'"{body["expires_at"]}"'}
    )


@contextmanager
def refused_if_void(obj: models.Model) -> Iterator[None]:
    """Turn a void token into its refusal: 404 without any lock, 403 under another."""
    try:
        yield
    except (InvalidToken, UnlockForbiddenError, LockToken.DoesNotExist) as error:
        if LockToken.objects.standing(obj) is None:
            raise not_locked() from error
        raise wrong_token(LockToken.objects.info(obj)) from error
