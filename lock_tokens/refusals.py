"""The answer to a request that may not have the lock it needs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from .exceptions import AlreadyLockedError, LockTokensError

DEFAULT_TEMPLATE = "lock_tokens/locked.html"
TOKEN_FIELD = "lock_token"


def refuse(
    request: HttpRequest, error: LockTokensError, template: str = DEFAULT_TEMPLATE
) -> HttpResponse:
    """Return the 403 page for a request that may not have the lock.

    The template's context: ``error`` and ``object``; ``locked_by``, ``locked_at`` and
    ``expires_at`` when another holds the lock (each may be ``None``); ``is_locked``,
    true in that case and false when the token was void; ``submitted``, the fields that
    were sent as pairs of name and value, so that nothing typed is lost (without tokens
    and passwords, and without what ``sensitive_post_parameters`` names); ``retry_url``,
    the page that the request came from or, for a page that was opened, that page.
    """
    is_locked = isinstance(error, AlreadyLockedError)
    context = {
        "error": error,
        "object": error.obj,
        "is_locked": is_locked,
        "locked_by": getattr(error, "locked_by", None),
        "locked_at": getattr(error, "locked_at", None),
        "expires_at": getattr(error, "expires_at", None),
        "submitted": _submitted(request),
        "retry_url": _retry_url(request),
    }
    answer = render(request, template, context, status=403)
    answer["Cache-Control"] = "no-store"
    return answer


def _retry_url(request: HttpRequest) -> str:
    """Return where to start again: a URL that saves may not be there to be opened."""
    referer = request.headers.get("Referer", "")
    if request.method not in ("GET", "HEAD") and url_has_allowed_host_and_scheme(
        referer, {request.get_host()}, require_https=request.is_secure()
    ):
        return referer
    return request.get_full_path()


def _submitted(request: HttpRequest) -> list[tuple[str, str]]:
    hidden = getattr(request, "sensitive_post_parameters", ())
    if hidden == "__ALL__":
        return []
    return [
        (name, value)
        for name, values in request.POST.lists()
        if name not in (TOKEN_FIELD, "csrfmiddlewaretoken", *hidden)
        and "password" not in name.lower()
        for value in values
        if value
    ]
