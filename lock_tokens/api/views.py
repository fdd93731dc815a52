"""The JSON API: locks for programs and for the JavaScript client.

These are plain Django views. They know tokens, not sessions: the holder is whoever sends
the token. ``docs/rest.rst`` describes them for people, ``docs/openapi.json`` for
programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import Error, connections, transaction
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

from ..locking.error_reports import hide_tokens, hide_tokens_in_path
from ..locking.lock_token import LockToken
from ..locking.object_keys import find_objects
from ..permissions import is_permitted
from .errors import ApiError, bad_request, database_failed, not_found, unreadable
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
    leave_session_alone,
    read_json,
    requested_timeout,
)

#: How many objects one request may ask about.
MAX_STATES = 100


@contextmanager
def request_transactions() -> Iterator[None]:
    """Open the transactions of ATOMIC_REQUESTS, so that the view sees if that fails."""
    with ExitStack() as stack:
        for alias, values in connections.settings.items():
            if values["ATOMIC_REQUESTS"]:
                stack.enter_context(transaction.atomic(using=alias))
        yield


def without_atomic_requests(view: Any) -> Any:
    """Let Django open no transaction around the view, which opens its own."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


# The view does the middleware's check itself. A project may have no such middleware, and
# the refusal is to be JSON.
@method_decorator(csrf_exempt, name="dispatch")
class ApiView(View):
    """What the views share: the CSRF check, and errors in JSON."""

    @without_atomic_requests
    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        hide_tokens(request)
        leave_session_alone(request)
        try:
            with request_transactions():
                answer = self.answer(request, *args, **kwargs)
        except Error as error:
            answer = database_failed(error).response()
        except Exception:
            hide_tokens_in_path(request)
            raise
        answer["Cache-Control"] = "no-store"
        # Django would log a refusal with its path, which may have a valid token.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer

    def answer(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Return the response. A refusal undoes nothing, and so it is not raised."""
        try:
            check_csrf(request)
            return super().dispatch(request, *args, **kwargs)
        except ApiError as error:
            return error.response()
        except PermissionDenied:
            return forbidden(request).response()
        except Http404:
            return not_found("There is no such object.").response()
        except (
            BadRequest,
            MultiPartParserError,
            SuspiciousOperation,
            UnreadablePostError,
        ):
            return unreadable().response()

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
