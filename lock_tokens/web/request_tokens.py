"""The token of a request: the page's own if it sends one, else the session's."""

from __future__ import annotations

from django.db import models
from django.http import HttpRequest

from ..locking.lock_key import LockKey
from ..models import LockableModel
from ..refusals import TOKEN_FIELD, TOKEN_HEADER
from ..sessions import forget, get_session_token, lock_for_session, remember

SAFE_METHODS = ("GET", "HEAD")


def form_token(request: HttpRequest) -> str | None:
    """Return the token in the form that was sent; an empty one is void, not none."""
    return request.POST.get(TOKEN_FIELD)


def page_token(request: HttpRequest) -> str | None:
    """Return the page's own token: the one in its form, else the one in the header."""
    token = form_token(request)
    return token if token is not None else request.headers.get(TOKEN_HEADER)


def own_or_session_token(
    own: str | None, request: HttpRequest, obj: models.Model | LockKey
) -> str:
    """Return ``own``, the page's token; for ``None`` the session's; empty without any."""
    if own is None and hasattr(request, "session"):
        own = get_session_token(obj, request.session)
    return own or ""


def lock_for_request(
    request: HttpRequest, obj: models.Model, force_new: bool
) -> dict[str, str]:
    """Renew the page's own lock if the request carries its token, else the session's.

    A void token of the session is replaced where the request only shows, and with
    ``force_new``; one of the page never.

    Raises ``AlreadyLockedError`` when another live lock stands, ``InvalidToken`` when
    the token is void.
    """
    token = page_token(request)
    if token is not None:
        lock_token = LockableModel.lock(obj, token)
        if hasattr(request, "session"):
            remember(obj, request.session, token)
        return lock_token
    force_new = force_new or request.method in SAFE_METHODS
    return lock_for_session(obj, request.session, force_new=force_new)


def forget_token(request: HttpRequest, lock_key: LockKey, token: str) -> None:
    """Drop a token that was released from the session, unless that has another now."""
    session = getattr(request, "session", None)
    if session is not None and get_session_token(lock_key, session) == token:
        forget(lock_key, session)
