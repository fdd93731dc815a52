"""What a page must know so that the JavaScript client can work on it."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.db import models
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template import Context
from django.urls import NoReverseMatch, reverse

from ..locking.object_keys import find_object
from ..permissions import is_api_model


def get_base_url(request: Any) -> str:
    """Return the path below which the API is."""
    match = getattr(request, "resolver_match", None)
    try:
        path = reverse(
            "lock_tokens:states-view",
            args=("app", "model"),
            current_app=getattr(request, "current_app", match and match.namespace),
        )
    except NoReverseMatch as error:
        raise NoReverseMatch(
            "{% lock_tokens_api_client %} needs lock_tokens.urls in the URLconf, or the"
            " base URL of the API as its argument."
        ) from error
    return path.removesuffix("app/model/")


def get_nonce(context: Context, request: Any) -> str | None:
    """Return the nonce that a Content-Security-Policy lets scripts in by."""
    nonce = context.get("csp_nonce")
    if nonce is None:
        nonce = getattr(request, "csp_nonce", None)
    # A nonce that nobody has used yet is made by its str(), and is false until then.
    return None if nonce is None else str(nonce)


def get_csrf(context: Context, request: Any) -> dict[str, str]:
    """Return how the client proves that its requests come from a page of this site.

    By the cookie as it is at that moment, wherever a script can read it; else by the
    token of this page.
    """
    header = str(django_settings.CSRF_HEADER_NAME)
    csrf = {"header": header.removeprefix("HTTP_").replace("_", "-")}
    # Asking for the token has the cookie set, if it is not there.
    token = get_token(request) if request is not None else context.get("csrf_token", "")
    if django_settings.CSRF_USE_SESSIONS or django_settings.CSRF_COOKIE_HTTPONLY:
        csrf["token"] = str(token)
    else:
        csrf["cookie"] = str(django_settings.CSRF_COOKIE_NAME)
    return csrf


def has_client(request: HttpRequest | None, obj: models.Model) -> bool:
    """Say whether the JSON API is there, and knows the object.

    The page's own queryset may have objects that the model's default manager leaves out.
    """
    try:
        get_base_url(request)
    except NoReverseMatch:
        return False
    if not is_api_model(type(obj)):
        return False
    found = find_object(type(obj), obj.pk)
    return found is not None and found._state.db == obj._state.db
