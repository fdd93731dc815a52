"""What a request to the JSON API is about, and what it brings."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.utils.http import parse_etags, parse_http_date_safe

from .. import settings
from ..locking.fields import to_utc
from ..locking.object_keys import find_object
from ..permissions import get_permission, is_api_model, is_signed_in
from .errors import ApiError, bad_request, not_found

csrf_logger = logging.getLogger("django.security.csrf")

# An Idempotency-Key alone opens the way to a token where nobody is signed in.
MIN_ANONYMOUS_KEY = 16
MAX_KEY = 255
MAX_TAGS = 10
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def get_model(app_label: str, name: str) -> type[models.Model]:
    """Return the model that an address names; raise a 404 for what the API leaves out."""
    try:
        model = apps.get_model(app_label, name)
    except LookupError as error:
        raise not_found("There is no such model.") from error
    if not is_api_model(model):
        raise not_found("There is no such model.")
    return model


def get_object(
    request: HttpRequest, app_label: str, model: str, object_id: str
) -> models.Model:
    """Return the object that an address names.

    Raises a 404 for none, and a 403 when the request has no permission for it.
    """
    model_class = get_model(app_label, model)
    obj = find_object(model_class, object_id)
    if not get_permission()(request, model_class, obj):
        raise forbidden(request)
    if obj is None:
        raise not_found("There is no such object.")
    return obj


def forbidden(request: HttpRequest) -> ApiError:
    """Return the refusal of a request that API_PERMISSION does not let pass."""
    if is_signed_in(request):
        return ApiError(403, "permission_denied", "You may not do this.")
    return ApiError(403, "not_authenticated", "Nobody is signed in.")


def check_csrf(request: HttpRequest) -> None:
    """Raise a 403 for a request that may be forged.

    Whatever middleware the project has: with its own ``CsrfViewMiddleware``, where it has
    made one, else with Django's. API_CSRF_EXEMPT does without.
    """
    if settings.API_CSRF_EXEMPT:
        return
    middleware = settings.find_middleware(CsrfViewMiddleware) or CsrfViewMiddleware
    csrf_check(middleware)(HttpResponse).process_view(request, HttpResponse, (), {})


@cache
def csrf_check(middleware: type) -> type[CsrfViewMiddleware]:
    """Return this middleware with a refusal that is no page.

    Its own would be one: the project's CSRF_FAILURE_VIEW.
    """
    return type("CsrfCheck", (middleware,), {"_reject": reject_csrf})


def reject_csrf(check: Any, request: HttpRequest, reason: str) -> None:
    """Raise what the middleware would answer, in the place of its own method.

    The answer has a token that is good now. A page of the same site can read it and try
    again, when a sign-in in another tab has made its own outdated; no other site can.
    Whoever came without any secret gets no new one: it would take the place of the one
    that a browser has kept back from another site's request.
    """
    csrf_logger.warning("Forbidden (%s): the lock API", reason)
    token = {"csrf_token": get_token(request)} if "CSRF_COOKIE" in request.META else {}
    raise ApiError(403, "csrf_failed", reason, **token)


def get_timeout(body: Mapping[str, Any]) -> float:
    """Return the ``timeout`` of a body, capped at ``TIMEOUT``, or ``TIMEOUT``.

    Raises a 400 for one that is no positive number, and for any other field.
    """
    most = settings.get_timeout()
    timeout = body.get("timeout", most)
    if body.keys() - {"timeout"}:
        raise bad_request("invalid_body", "The body may have one field, timeout.")
    if not settings.is_seconds(timeout):
        raise bad_request(
            "invalid_timeout", "The timeout must be a number of seconds above 0."
        )
    return float(min(timeout, most))


def read_json(request: HttpRequest) -> dict[str, Any]:
    """Return the fields of a JSON body; none for an empty one, nor for an empty form.

    Raises a 400 for a body that is no JSON object, a 415 for another format.
    """
    if request.content_type in FORMS and request.method == "POST":
        if request.POST.keys() - {"csrfmiddlewaretoken"} or request.FILES:
            raise ApiError(415, "unsupported_media_type", "Send the fields as JSON.")
        return {}
    if not request.body.strip():
        return {}
    if request.content_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "Send the fields as JSON.")
    try:
        body = json.loads(request.body, parse_constant=not_a_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request("invalid_json", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise bad_request("invalid_body", "The body must be a JSON object.")
    return body


def not_a_constant(name: str) -> None:
    """Raise ``ValueError`` for NaN and the infinities, which Python takes for JSON."""
    raise ValueError(f"{name} is not JSON.")


def get_owner(request: HttpRequest, user: Any) -> str | None:
    """Return the secret that stands for this client, from its ``Idempotency-Key``.

    Bound to the user, so that nobody gets another's token with another's key. Where
    nobody is signed in the key is all that there is, and must be hard to guess.

    Raises a 400 for a key that is too short, too long, or not of printable ASCII. Its
    quotation marks (draft-ietf-httpapi-idempotency-key-header, a string of RFC 8941)
    may be left out.
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
            f"An Idempotency-Key has {least} to {MAX_KEY} ASCII characters;"
            " a random UUID is best.",
        )
    return json.dumps(["api", None if user is None else str(user.pk), key])


def known_expiries(request: HttpRequest) -> list[datetime] | None:
    """Return the expiries that ``If-Match`` names; ``None`` when any will do.

    Raises a 400 for a header that is much too long.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tags = parse_etags(header)
    if len(tags) > MAX_TAGS:
        raise bad_request("bad_request", "There are too many tags in If-Match.")
    known = []
    for tag in tags:
        try:
            known.append(to_utc(datetime.fromisoformat(untagged(tag).strip('"'))))
        except (ValueError, OverflowError):
            continue  # another's tag, that matches nothing
    return known


def latest_expiry(request: HttpRequest) -> datetime | None:
    """Return the expiry of a lock that was last renewed at ``If-Unmodified-Since``.

    Like that header, it does not count beside ``If-Match`` (RFC 9110, section 13.2.2).
    """
    moment = parse_http_date_safe(request.headers.get("If-Unmodified-Since", ""))
    if moment is None or "If-Match" in request.headers:
        return None
    try:
        return datetime.fromtimestamp(moment + settings.get_timeout(), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None  # the year 9999, and a long time


def matches_if_none_match(request: HttpRequest, etag: str) -> bool:
    """Say whether ``If-None-Match`` has this tag."""
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in tags or etag in map(untagged, tags)


def untagged(tag: str) -> str:
    """Return an ETag without the mark that servers put on it when they compress."""
    return tag.removeprefix("W/")
