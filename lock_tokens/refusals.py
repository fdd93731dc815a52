"""The answer to a request that may not have the lock it needs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from .exceptions import AlreadyLockedError, InvalidToken, LockTokensError
from .models import LockToken

DEFAULT_TEMPLATE = "lock_tokens/locked.html"
TOKEN_FIELD = "lock_token"
TOKEN_HEADER = "Lock-Token"


def refuse(
    request: HttpRequest,
    error: LockTokensError | Http404,
    template: str = DEFAULT_TEMPLATE,
) -> HttpResponse:
    """Return the page for a request that may not have the lock: a 403.

    With an ``Http404`` as the error it is a 404, for input that came too late for its
    object.

    The template's context: ``error`` and ``object``; ``is_locked``, true when another
    holds the lock, and ``is_gone``, true when there is no object, both false when the
    token was void; ``locked_by``, ``locked_at`` and ``expires_at`` of whoever holds the
    lock now (each may be ``None``); ``submitted``, the fields that were sent, as
    :func:`submitted_fields` gives them; ``retry_url``, the page that the request came
    from or, for a page that was opened, that page.
    """
    obj = getattr(error, "obj", None)
    holder: Any = error
    if isinstance(error, InvalidToken) and obj is not None:
        with suppress(ValueError):  # deleted since
            holder = LockToken.objects.info(obj)
    is_gone = isinstance(error, Http404)
    context = {
        "error": error,
        "object": obj,
        "is_locked": isinstance(error, AlreadyLockedError),
        "is_gone": is_gone,
        "locked_by": getattr(holder, "locked_by", None),
        "locked_at": getattr(holder, "locked_at", None),
        "expires_at": getattr(holder, "expires_at", None),
        "submitted": submitted_fields(request),
        "retry_url": _retry_url(request),
    }
    answer = render(request, template, context, status=404 if is_gone else 403)
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


def submitted_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what a person entered, as pairs of field name and value.

    Without empty fields, tokens and passwords, and without what Django's
    ``sensitive_post_parameters`` names.
    """
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
