"""What a request to the JSON API asks for, and what it sends."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.utils.http import parse_etags, parse_http_date_safe

from .. import settings
from ..locking.fields import to_utc
from ..locking.object_keys import find_object
from ..permissions import get_permission, is_api_model, is_signed_in
from .errors import (
    ApiError,
    bad_request,
    invalid_json,
    not_found,
    unsupported_media_type,
)

csrf_logger = logging.getLogger("django.security.csrf")

# Without a signed-in user, an Idempotency-Key is all that is needed to get a token.
MIN_ANONYMOUS_KEY = 16
MAX_KEY = 255
MAX_TAGS = 10
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def get_model(app_label: str, name: str) -> type[models.Model]:
    """Return the model that the URL names; raise a 404 if the API does not know it."""
    try:
        model = apps.get_model(app_label, name)
    except LookupError as error:
        raise not_found("There is no such model.") from error
    if not is_api_model(model):
        raise not_found("There is no such model.")
    return model


def get_permitted_object(
    request: HttpRequest, app_label: str, model: str, object_id: str
) -> models.Model:
    """Return the object that the URL names.

    Raises a 404 when there is none, and a 403 when API_PERMISSION does not allow it.
    """
    model_class = get_model(app_label, model)
    obj = find_object(model_class, object_id)
    if not get_permission()(request, model_class, obj):
        raise forbidden(request)
    if obj is None:
        raise not_found("There is no such object.")
    return obj


def forbidden(request: HttpRequest) -> ApiError:
    """Return the error for a request that API_PERMISSION does not allow."""
    if is_signed_in(request):
        return ApiError(403, "permission_denied", "You are not allowed to do this.")
    return ApiError(403, "not_authenticated", "You are not signed in.")


def leave_session_alone(request: Any) -> None:
    """Let this request not prolong the session, unless something else changes it.

    With SESSION_SAVE_EVERY_REQUEST, an open page would renew its user's session for ever
    along with its lock. An open page is no sign that somebody is there.
    """
    session = getattr(request, "session", None)
    if (
        session is not None
        and django_settings.SESSION_SAVE_EVERY_REQUEST
        and not isinstance(session, LeftAlone)  # two of our views in one request
    ):
        session.__class__ = left_alone(session.__class__)


@cache
def left_alone(session_class: type) -> type:
    """Return the class of a session that is saved only if it was modified."""
    return type(session_class.__name__, (LeftAlone, session_class), {})


class LeftAlone:
    """A session of which Django's middleware sees nothing, unless it was modified."""

    modified: bool

    def is_empty(self) -> bool:
        if not self.modified:
            # This is how the middleware learns that a request has no session at all. It
            # must not even send the cookie again: meanwhile a login may have replaced it.
            raise AttributeError("This request leaves the session alone.")
        return super().is_empty()  # type: ignore[misc,no-any-return]


def check_csrf(request: HttpRequest) -> None:
    """Raise a 403 for a request that may be forged.

    The check does not need the middleware. It uses the project's subclass of
    ``CsrfViewMiddleware`` if there is one, else Django's class. API_CSRF_EXEMPT switches
    it off.
    """
    if settings.API_CSRF_EXEMPT:
        return
    middleware = settings.find_middleware(CsrfViewMiddleware) or CsrfViewMiddleware
    csrf_check(middleware)(HttpResponse).process_view(request, HttpResponse, (), {})


@cache
def csrf_check(middleware: type) -> type[CsrfViewMiddleware]:
    """Return this middleware with a refusal in JSON.

    The middleware itself would answer with a page, by the project's CSRF_FAILURE_VIEW.
    """
    return type("CsrfCheck", (middleware,), {"_reject": reject_csrf})


def reject_csrf(check: Any, request: HttpRequest, reason: str) -> None:
    """Raise a 403 where the middleware itself would answer with a page.

    The answer has a token that is valid now. After a sign-in in another tab, a page of
    the same site can read it and try again. No other site can read it. A request without
    the cookie gets no token: the new cookie would replace the one that the browser has
    not sent, because the request came from another site.
    """
    csrf_logger.warning("Forbidden (%s): the lock API", reason)
    token = {"csrf_token": get_token(request)} if "CSRF_COOKIE" in request.META else {}
    raise ApiError(403, "csrf_failed", reason, **token)


def does_release(request: HttpRequest) -> bool:
    """Say whether a POST is to release the lock, by ``?do=release``, or to renew it.

    Raises a 400 for anything else. These are words of our own: firewalls that hold back
    PATCH and DELETE also hold back the usual ways to write another method into a POST.
    """
    do = request.GET.get("do")
    if do not in ("renew", "release"):
        raise bad_request("invalid_do", "Send ?do=renew or ?do=release.")
    return do == "release"


def requested_timeout(body: Mapping[str, Any]) -> float:
    """Return the ``timeout`` that the body asks for, ``TIMEOUT`` by default and at most.

    Raises a 400 for a timeout that is not a positive number, and for any other field.
    """
    most = settings.get_timeout()
    timeout = body.get("timeout", most)
    if body.keys() - {"timeout"}:
        raise bad_request("invalid_body", "The body may have only one field: timeout.")
    if not settings.is_seconds(timeout):
        raise bad_request(
            "invalid_timeout", "The timeout must be a number of seconds greater than 0."
        )
    return float(min(timeout, most))


def read_json(request: HttpRequest) -> dict[str, Any]:
    """Return the fields of a JSON body. An empty body or form has none.

    Raises a 400 for a body that is not a JSON object, and a 415 for another format.
    """
    if request.content_type in FORMS and request.method == "POST":
        if request.POST.keys() - {"csrfmiddlewaretoken"} or request.FILES:
            raise unsupported_media_type()
        return {}
    if not request.body:
        return {}
    if request.content_type != "application/json":
        raise unsupported_media_type()
    try:
        body = json.loads(request.body, parse_constant=not_a_constant)
    except (ValueError, RecursionError) as error:
        raise invalid_json() from error
    if not isinstance(body, dict):
        raise bad_request("invalid_body", "The body must be a JSON object.")
    return body


def not_a_constant(name: str) -> None:
    """Raise ``ValueError`` for NaN and the infinities, which Python would accept."""
    raise ValueError(f"{name} is not valid JSON.")


def get_owner(request: HttpRequest, user: Any) -> str | None:
    """Return the secret by which we know this client, from its ``Idempotency-Key``.

    The secret depends on the user too, so nobody gets a token with another user's key.
    If nobody is signed in, the key is all that there is and must be hard to guess.

    Raises a 400 for a key that is too short, too long, or not printable ASCII. The key
    may have the quotation marks of a string of RFC 8941
    (draft-ietf-httpapi-idempotency-key-header).
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    least = MIN_ANONYMOUS_KEY if user is None else 1
    if not (least <= len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise bad_request(
            "invalid_idempotency_key",
            f"An Idempotency-Key must have {least} to {MAX_KEY} ASCII characters. A"
            " random UUID works best.",
        )
    return json.dumps(["api", None if user is None else str(user.pk), key])


def known_expiries(request: HttpRequest) -> list[datetime] | None:
    """Return the expiries that ``If-Match`` names; ``None`` when it allows any.

    Raises a 400 when it names too many.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tags = parse_etags(header)
    if len(tags) > MAX_TAGS:
        raise bad_request("bad_request", "If-Match has too many tags.")
    known = []
    for tag in tags:
        try:
            known.append(to_utc(datetime.fromisoformat(untagged(tag).strip('"'))))
        except (ValueError, OverflowError):
            continue  # not a tag of ours: it matches nothing
    return known


def latest_expiry(request: HttpRequest) -> datetime | None:
    """Return the expiry of a lock that was last renewed at ``If-Unmodified-Since``.

    The header does not count if there is an ``If-Match`` (RFC 9110, section 13.2.2).
    """
    moment = parse_http_date_safe(request.headers.get("If-Unmodified-Since", ""))
    if moment is None or "If-Match" in request.headers:
        return None
    try:
        return datetime.fromtimestamp(moment + settings.get_timeout(), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None  # a date near the year 9999 and a long timeout


def matches_if_none_match(request: HttpRequest, etag: str) -> bool:
    """Say whether ``If-None-Match`` has this tag."""
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in tags or etag in map(untagged, tags)


def untagged(tag: str) -> str:
    """Return an ETag without the mark that servers add when they compress."""
    return tag.removeprefix("W/")
