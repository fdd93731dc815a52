"""``{% load lock_tokens_tags %}``"""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings as django_settings
from django.middleware.csrf import get_token
from django.template import Context
from django.urls import NoReverseMatch, reverse

from lock_tokens import settings

register = template.Library()


@register.inclusion_tag("lock_tokens/api_client.html", takes_context=True)
def lock_tokens_api_client(
    context: Context, base_url: str | None = None
) -> dict[str, Any]:
    """Bring the JavaScript client into the page.

    ``base_url`` is where ``lock_tokens.urls`` is included, by default what its namespace
    says. It is needed where that is included below another namespace.

    What the client must know stands in attributes of its ``script`` element, which has
    the page's CSP nonce if there is one: Django's ``csp_nonce`` in the context, or
    django-csp's on the request.

    Raises ``NoReverseMatch`` without a ``base_url`` when ``lock_tokens.urls`` is not
    included.
    """
    # render() gives it to the context also without the context processor.
    request = context.get("request")
    if not hasattr(request, "META"):
        request = getattr(context, "request", None)
    base_url = str(base_url or get_base_url(request))
    return {
        "base_url": base_url if base_url.endswith("/") else f"{base_url}/",
        "nonce": get_nonce(context, request),
        "csrf": {} if settings.API_CSRF_EXEMPT else get_csrf(context, request),
    }


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
