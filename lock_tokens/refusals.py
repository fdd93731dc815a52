"""The answer to a request that does not get the lock it needs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme

from .exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockTokensError,
    WrongUserError,
)
from .locking.fields import to_utc
from .locking.lock_token import LockToken

DEFAULT_TEMPLATE = "lock_tokens/locked.html"
TOKEN_FIELD = "lock_token"
TOKEN_HEADER = "Lock-Token"

# The query parameter of the link "Edit here instead".
HERE_FIELD = "lock_here"

# The methods of requests that only show the object.
SHOWING_METHODS = ("GET", "HEAD")


def refuse(
    request: HttpRequest,
    error: LockTokensError | Http404,
    template: str = DEFAULT_TEMPLATE,
) -> HttpResponse:
    """Return the 403 page for a request that does not get the lock.

    If ``error`` is an ``Http404``, the page is a 404. It gives back what was entered for
    an object that no longer exists.

    The context of the template:

    * ``error`` and its ``object``;
    * ``is_locked``: true when somebody else holds the lock;
    * ``is_own``: true when the holder is the user who is signed in, in another session;
    * ``here_url``: then ``retry_url`` with a signed parameter, by which the decorators
      lock the object for this session instead; else empty;
    * ``is_gone``: true when there is no object. Both are false when the token was void;
    * ``opened_by``: the user who has opened the page that was sent, if another one is
      signed in now; else ``None``;
    * ``locked_by``, ``locked_at`` and ``expires_at`` of the present lock. Each may be
      ``None``;
    * ``submitted``: the fields that were sent, as :func:`submitted_fields` returns them;
    * ``retry_url``: the page that the request came from. For a page that was opened, it
      is that page.
    """
    obj = getattr(error, "obj", None)
    holder: Any = error
    if isinstance(error, InvalidToken) and obj is not None:
        with suppress(ValueError):  # deleted since
            holder = LockToken.objects.info(obj)
    is_gone = isinstance(error, Http404)
    retry_url = _retry_url(request)
    locked_at = getattr(holder, "locked_at", None)
    is_own = bool(locked_at) and is_of(holder, getattr(request, "user", None))
    context = {
        "error": error,
        "object": obj,
        "is_locked": isinstance(error, AlreadyLockedError),
        "is_own": is_own,
        "here_url": _here_url(retry_url, holder) if is_own else "",
        "is_gone": is_gone,
        "opened_by": error.locked_by if isinstance(error, WrongUserError) else None,
        "locked_by": getattr(holder, "locked_by", None),
        "locked_at": locked_at,
        "expires_at": getattr(holder, "expires_at", None),
        "submitted": submitted_fields(request),
        "retry_url": retry_url,
    }
    answer = render(request, template, context, status=404 if is_gone else 403)
    answer["Cache-Control"] = "no-store"
    return answer


def is_of(holder: Any, user: Any) -> bool:
    """Say whether a lock is the user's own. ``holder`` is a ``LockInfo`` or an error."""
    locked_by = getattr(holder, "locked_by", None)
    return locked_by is not None and locked_by == user


def here_value(holder: Any) -> str:
    """Return what the link "Edit here instead" sends, for a lock of the user's own.

    It names the lock that the user has agreed to end. It is signed, so that no other page
    can link to this.
    """
    about = f"{holder.locked_by.pk} {to_utc(holder.locked_at).isoformat()}"
    return salted_hmac("lock_tokens.here", about, algorithm="sha256").hexdigest()[:32]


def _here_url(url: str, holder: Any) -> str:
    """Return the address with the parameter of the link, and without an earlier one."""
    parts = urlsplit(url)
    query = QueryDict(parts.query, mutable=True)
    query[HERE_FIELD] = here_value(holder)
    return urlunsplit(parts._replace(query=query.urlencode(), fragment=""))


def _retry_url(request: HttpRequest) -> str:
    """Return where to start again. A URL that saves may not have a page to open."""
    referer = request.headers.get("Referer", "")
    if request.method not in SHOWING_METHODS and url_has_allowed_host_and_scheme(
        referer, {request.get_host()}, require_https=request.is_secure()
    ):
        return referer
    return request.get_full_path()


def submitted_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what a person entered, as pairs of field name and value.

    Empty fields, tokens and passwords are left out, and so are the fields that Django's
    ``sensitive_post_parameters`` names.
    """
    return [
        (name, value)
        for name, values in request.POST.lists()
        if name not in (TOKEN_FIELD, "csrfmiddlewaretoken")
        and not is_secret(request, name)
        for value in values
        if value
    ]


def is_secret(request: HttpRequest, name: str) -> bool:
    """Say whether no page may show what was sent in this field."""
    hidden = getattr(request, "sensitive_post_parameters", ())
    return hidden == "__ALL__" or name in hidden or "password" in name.lower()
