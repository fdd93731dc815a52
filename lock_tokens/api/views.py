"""The JSON API: locks for programs and for the JavaScript client.

Plain Django views. They know tokens, not sessions: whoever shows the token is the
holder. ``docs/rest.rst`` describes them for their users, ``docs/openapi.json`` for
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

from ..locking.object_keys import find_objects
from ..models import LockToken
from ..permissions import is_permitted
from .errors import ApiError, bad_request, not_found, unavailable
from .operations import (
    Answer,
    acquire,
    get_by_token,
    get_state,
    release,
    renew,
    state,
    unless_known,
)
from .requests import (
    check_csrf,
    forbidden,
    get_model,
    get_object,
    get_timeout,
    read_json,
)

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
            answer = unavailable().response()
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
        return json_response(unless_known(request, {"states": states}))


class LockView(ApiView):
    """``<app_label>/<model>/<object_id>/``: the lock of an object, for everybody."""

    def get(self, request: HttpRequest, **address: str) -> HttpResponse:
        """Answer whether the object is locked, by whom, since when and until when."""
        obj = get_object(request, **address)
        return json_response(get_state(request, obj))

    def post(self, request: HttpRequest, **address: str) -> HttpResponse:
        """Acquire: 201 and the token dict."""
        obj = get_object(request, **address)
        timeout = get_timeout(read_json(request))
        user = getattr(request, "user", None)
        return json_response(acquire(request, obj, timeout, user))


class TokenView(ApiView):
    """``<app_label>/<model>/<object_id>/<token>/``: the lock, for its holder."""

    def get(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Answer the token dict, also when the lock has expired."""
        return json_response(get_by_token(get_object(request, **address), token))

    def patch(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Renew the lock and answer the token dict.

        The body may have a ``timeout`` in seconds, never above ``TIMEOUT``. With
        ``If-Match`` (the expiry, as an ETag) or ``If-Unmodified-Since`` (a date), only a
        lock that has not been renewed since: else 412.
        """
        obj = get_object(request, **address)
        timeout = get_timeout(read_json(request))
        return json_response(renew(request, obj, token, timeout))

    def delete(self, request: HttpRequest, token: str, **address: str) -> HttpResponse:
        """Release the lock: 204."""
        return json_response(release(get_object(request, **address), token))


def json_response(answer: Answer) -> HttpResponse:
    """Return the answer as JSON, or without a body where it has none."""
    if answer.body is None:
        return HttpResponse(status=answer.status, headers=answer.headers)
    return JsonResponse(answer.body, status=answer.status, headers=answer.headers)
