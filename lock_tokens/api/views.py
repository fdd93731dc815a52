"""The JSON API: locks for programs and for the JavaScript client.

These are plain Django views. They know tokens, not sessions: the holder is whoever sends
the token. ``docs/rest.rst`` describes them for people, ``docs/openapi.json`` for
programs.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import Error, connections
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from ..locking.lock_token import LockToken
from ..locking.object_keys import find_objects
from ..permissions import is_permitted
from .errors import ApiError, bad_request, not_found, unavailable
from .operations import (
    Answer,
    acquire,
    get_by_token,
    get_state,
    public_state,
    release,
    renew,
    state_answer,
)
from .requests import (
    check_csrf,
    does_release,
    forbidden,
    get_model,
    get_permitted_object,
    read_json,
    requested_timeout,
)

logger = logging.getLogger("lock_tokens")

#: How many objects one request may ask about.
MAX_STATES = 100


# The view does the middleware's check itself. A project may have no such middleware, and
# the refusal is to be JSON.
@method_decorator(csrf_exempt, name="dispatch")
class ApiView(View):
    """What the views share: the CSRF check, and errors in JSON."""

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
            # The body has too many fields, is too large, or broke off.
            answer = bad_request(
                "bad_request", "The server cannot read this request."
            ).response()
        except Error:
            logger.exception("The database raised an error in the lock API.")
            roll_back()
            answer = unavailable().response()
        answer["Cache-Control"] = "no-store"
        # Django would log a refusal with its path, which may have a valid token.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        error = ApiError(
            405,
            "method_not_allowed",
            f"The method {request.method} is not allowed here.",
        )
        answer = error.response()
        answer["Allow"] = ", ".join(
            name.upper() for name in self.http_method_names if hasattr(self, name)
        )
        return answer


def roll_back() -> None:
    """Undo the transaction of ATOMIC_REQUESTS, although the view returns normally."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


class StatesView(ApiView):
    """``<app_label>/<model>/``: the state of many objects."""

    def get(self, request: HttpRequest, app_label: str, model: str) -> HttpResponse:
        """Answer ``{"states": {key: state}}`` for each ``?object_id=``.

        The state is ``null`` if there is no such object, and if API_PERMISSION does not
        allow the request to see it.
        """
        model_class = get_model(app_label, model)
        keys = request.GET.getlist("object_id")
        if not 1 <= len(keys) <= MAX_STATES:
            raise bad_request(
                "invalid_object_id",
                f"Send 1 to {MAX_STATES} object_id parameters, one for each object.",
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
        states.update(zip(objects, map(public_state, infos), strict=True))
        return json_response(state_answer(request, {"states": states}))


class LockView(ApiView):
    """``<app_label>/<model>/<object_id>/``: the lock of an object, for everybody."""

    def get(self, request: HttpRequest, **address: str) -> HttpResponse:
        """Answer whether the object is locked, by whom, since when and until when."""
        obj = get_permitted_object(request, **address)
        return json_response(get_state(request, obj))

    def post(self, request: HttpRequest, **address: str) -> HttpResponse:
        """Acquire: 201 and the token dict."""
        obj = get_permitted_object(request, **address)
        timeout = requested_timeout(read_json(request))
        user = getattr(request, "user", None)
        return json_response(acquire(request, obj, timeout, user))


class TokenView(ApiView):
    """``<app_label>/<model>/<object_id>/<token>/``: the lock, for its holder."""

    def get(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Answer the token dict, even when the lock has expired."""
        return json_response(
            get_by_token(get_permitted_object(request, **address), token)
        )

    def patch(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Renew the lock and answer the token dict.

        The body may have a ``timeout`` in seconds, never above ``TIMEOUT``. With
        ``If-Match`` (the expiry, as an ETag) or ``If-Unmodified-Since`` (a date), the
        answer is 412 if the lock was renewed meanwhile.
        """
        obj = get_permitted_object(request, **address)
        timeout = requested_timeout(read_json(request))
        return json_response(renew(request, obj, token, timeout))

    def delete(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Release the lock: 204."""
        return json_response(release(get_permitted_object(request, **address), token))

    def post(self, request: HttpRequest, **address: str) -> HttpResponse:
        """Do as PATCH for ``?do=renew``, and as DELETE for ``?do=release``.

        Many firewalls let neither of them pass.
        """
        if does_release(request):
            return self.delete(request, **address)
        return self.patch(request, **address)


def json_response(answer: Answer) -> HttpResponse:
    """Return the answer as JSON, or without a body if it has none."""
    if answer.body is None:
        return HttpResponse(status=answer.status, headers=answer.headers)
    return JsonResponse(answer.body, status=answer.status, headers=answer.headers)
