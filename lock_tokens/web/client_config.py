"""The data that a page hands to the JavaScript client."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.db import models, router
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template import Context
from django.urls import NoReverseMatch, reverse

from ..locking.object_keys import find_object
from ..permissions import is_api_model


def get_base_url(request: Any) -> str:
    """Return the path under which ``lock_tokens.urls`` is included."""
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
    """Return the page's nonce for its Content-Security-Policy, if it has one."""
    nonce = context.get("csp_nonce")
    if nonce is None:
        nonce = getattr(request, "csp_nonce", None)
    # django-csp makes its nonce in str(). Until then the nonce is false.
    return None if nonce is None else str(nonce)


def get_csrf(context: Context, request: Any) -> dict[str, str]:
    """Return what the client needs to pass Django's CSRF check.

    That is the name of the header, and the name of the cookie that has the token. If a
    script cannot read the cookie, it is the token of this page instead.
    """
    header = str(django_settings.CSRF_HEADER_NAME)
    csrf = {"header": header.removeprefix("HTTP_").replace("_", "-")}
    # get_token() also sets the cookie, if there is none.
    token = get_token(request) if request is not None else context.get("csrf_token", "")
    if django_settings.CSRF_USE_SESSIONS or django_settings.CSRF_COOKIE_HTTPONLY:
        csrf["token"] = str(token)
    else:
        csrf["cookie"] = str(django_settings.CSRF_COOKIE_NAME)
    return csrf


def has_client(request: HttpRequest | None, obj: models.Model) -> bool:
    """Say whether the JSON API is included and finds the object.

    The page may show an object that the model's default manager leaves out.
    """
    try:
        get_base_url(request)
    except NoReverseMatch:
        return False
    if not is_api_model(type(obj)):
        return False
    model = type(obj)
    if finds_all(model._default_manager):
        return bool(obj._state.db == router.db_for_write(model))
    found = find_object(model, obj.pk)
    return found is not None and found._state.db == obj._state.db


def finds_all(manager: Any) -> bool:
    """Say whether a manager leaves no object out, as far as one can tell."""
    return bool(type(manager).get_queryset is models.Manager.get_queryset)
