"""The token of a request: the page's own if the request has one, else the session's."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from django.db import models
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from ..locking.info import token_dict
from ..locking.lock_key import LockKey
from ..locking.lock_token import LockToken
from ..locking.tokens import is_well_formed
from ..refusals import (
    HERE_FIELD,
    SHOWING_METHODS,
    TOKEN_FIELD,
    TOKEN_HEADER,
    here_value,
)
from ..sessions import (
    forget,
    get_or_lock_for_session,
    get_session_token,
    remember,
    take_over_for_session,
    user_of,
)

logger = logging.getLogger("lock_tokens")

#: The statuses of a view that has saved. A form with errors is a 200.
SAVED = (201, 202, 204, 301, 302, 303, 307, 308)


#: A token of no lock, for a page that was sent without any: its text may go on.
VOID_TOKEN = "0" * 32


def form_token(request: HttpRequest) -> str | None:
    """Return the token in the form; ``None`` without the field.

    An empty field is not ``None``: it is a void token.
    """
    return _checked(request, request.POST.get(TOKEN_FIELD))


def page_token(request: HttpRequest) -> str | None:
    """Return the page's own token, from its form or else from the header."""
    token = form_token(request)
    if token is not None:
        return token
    return _checked(request, request.headers.get(TOKEN_HEADER))


def _checked(request: HttpRequest, token: str | None) -> str | None:
    """Return the token. If it is none at all, log that: the page has a mistake."""
    if token is not None and not is_well_formed(token):
        match = request.resolver_match
        log_mistake(match.view_name if match else "", token == "", "{" in token)
    return token


@cache  # once for each view and mistake
def log_mistake(view_name: str, is_empty: bool, is_dict: bool) -> None:
    """Say why a page has sent no token. The text may be a secret, so it is left out."""
    if is_dict:
        why = "It is a whole token dict. Send {{ request.lock_token.token }}."
    elif is_empty:
        why = (
            "It is empty. Does the page's view lock the object, and is"
            " django.template.context_processors.request in TEMPLATES?"
        )
    else:
        why = "If your form has a field of this name, give the form a prefix."
    logger.warning(
        "A page sent something else than a token to the view %r, in the field %s or the"
        " header %s. It counts as a void token. %s",
        view_name,
        TOKEN_FIELD,
        TOKEN_HEADER,
        why,
    )


def own_or_session_token(
    own: str | None, request: HttpRequest, obj: models.Model | LockKey
) -> str:
    """Return the page's ``own`` token. If it is ``None``, return the session's.

    Returns an empty text when the session has none either.
    """
    if own is None and hasattr(request, "session"):
        own = get_session_token(obj, request.session)
    return own or ""


def signed_in_user(request: HttpRequest) -> Any:
    """Return the user who is logged in with the request's session, or ``None``.

    This does not read the user's row.
    """
    return user_of(request.session) if hasattr(request, "session") else None


def lock_for_request(
    request: HttpRequest, obj: models.Model, force_new: bool
) -> dict[str, str]:
    """Renew the page's own lock if the request has its token, else lock for the session.

    A void token of the page is never replaced. A void token of the session is replaced
    with ``force_new``, and when the request only shows the object.

    Raises ``AlreadyLockedError`` when somebody else has locked the object, and
    ``InvalidToken`` when the token is void or that of another user's lock.
    """
    return get_or_lock_for_request(request, obj, force_new)[0]


def get_or_lock_for_request(
    request: HttpRequest, obj: models.Model, force_new: bool
) -> tuple[dict[str, str], bool]:
    """Do as :func:`lock_for_request`, and also return whether the lock is new.

    A lock that the request has taken over is new too.
    """
    token = page_token(request)
    if token is None:
        is_taken = edit_here(request, obj)
        force_new = force_new or request.method in SHOWING_METHODS
        lock_token, is_new = get_or_lock_for_session(obj, request.session, force_new)
        return lock_token, is_new or is_taken
    expires_at = LockToken.objects.renew(obj, token, user=signed_in_user(request))
    if hasattr(request, "session"):
        remember(obj, request.session, token)
    return token_dict(token, expires_at), False


def edit_here(request: HttpRequest, obj: models.Model) -> bool:
    """Take the user's own lock over from another session, if the link asks for it.

    The link is on the page of a refusal. It names the lock that the user has seen there.
    Says whether the lock was taken over.
    """
    asked = request.GET.get(HERE_FIELD, "")
    if not asked or request.method != "GET":
        return False
    holder, user = LockToken.objects.info(obj), signed_in_user(request)
    if (
        holder is not None
        and user is not None
        and holder.locked_by == user
        and constant_time_compare(asked, here_value(holder))
    ):
        take_over_for_session(obj, request.session, locked_at=holder.locked_at)
        return True
    return False


def forget_token(request: HttpRequest, lock_key: LockKey, token: str) -> None:
    """Drop a released token from the session, unless the session has another by now."""
    session = getattr(request, "session", None)
    if session is not None and get_session_token(lock_key, session) == token:
        forget(lock_key, session)
