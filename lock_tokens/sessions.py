"""Tokens that are kept in a session."""

from __future__ import annotations

import secrets
from typing import Any

from django.apps import apps
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.crypto import salted_hmac

from .exceptions import InvalidToken, UnlockForbiddenError
from .models import LockableModel, LockToken
from .places import Place

PREFIX = "lock_tokens:"
OWNER_KEY = "lock_tokens_owner"


def get_session_key(obj: models.Model | Place) -> str:
    """Return the key under which the session has the token of ``obj``.

    Raises ``ValueError`` for an object that is not saved, or whose key is composite or
    longer than 255 characters.
    """
    place = LockToken.objects.place_of(obj)
    return f"{PREFIX}{place.model._meta.label_lower}:{place.key}"


def get_session_token(obj: models.Model | Place, session: SessionBase) -> str | None:
    """Return the token that the session has for ``obj``, ``None`` if it has none.

    Raises ``ValueError`` as :func:`get_session_key` does.
    """
    token = session.get(get_session_key(obj)) or session.get(_key_of_0_2_5(obj))
    return token if isinstance(token, str) else None


def lock_for_session(
    obj: models.Model,
    session: SessionBase,
    force_new: bool = False,
    *,
    timeout: float | None = None,
    user: Any = None,
) -> dict[str, str]:
    """Lock the object for the session, or renew the lock that it has.

    The token stays in the session, and the token dict is returned. ``timeout`` is the
    lock's life in seconds (``TIMEOUT`` by default), ``user`` the holder, by default the
    user who is logged in with this session.

    All tabs and requests of one session share the lock, also when two requests acquire
    at the same moment or one of them overwrites the session of the other.

    With ``force_new`` a token in the session that is void is forgotten, and the lock is
    acquired anew; a token that still holds is renewed all the same. Do so where the
    object is *shown*, never where it is saved: a void token means that others may have
    changed the object since this session read it.

    Raises ``AlreadyLockedError`` when another live lock stands, ``InvalidToken`` when
    the session's token is void (without ``force_new``), and ``ValueError`` for an
    unsaved object or a bad timeout.
    """
    token = get_session_token(obj, session)
    if token is not None:
        try:
            held = LockableModel.lock(obj, token, timeout=timeout)
        except InvalidToken:
            if not force_new:
                raise
            forget(obj, session)
        else:
            remember(obj, session, token)
            return held
    lock = LockToken.objects.acquire(
        obj,
        timeout=timeout,
        user=user or _user_of(session),
        owner=_owner(session),
    )
    remember(obj, session, lock.token_str)
    return lock.serialize()


def unlock_for_session(obj: models.Model, session: SessionBase) -> None:
    """Give up the session's lock on the object.

    Raises ``UnlockForbiddenError`` when the session has no token for it or a void one;
    a void token stays in the session, to be refused again.
    """
    token = get_session_token(obj, session)
    if token is None:
        raise UnlockForbiddenError("This session does not hold the lock.", obj)
    LockableModel.unlock(obj, token)
    forget(obj, session)


def check_for_session(obj: models.Model, session: SessionBase) -> bool:
    """Say whether the session holds the lock, also when it has expired.

    With the warnings of ``LockableModel.check_lock``. To save on the strength of it,
    use ``fence(obj, get_session_token(obj, session))``.
    """
    token = get_session_token(obj, session)
    return token is not None and LockableModel.check_lock(obj, token)


def release_session_locks(session: SessionBase) -> None:
    """Give up every lock that the session holds. Logging out does so."""
    for name in list(session.keys()):
        if not name.startswith(PREFIX):
            continue
        label, _, key = name.removeprefix(PREFIX).partition(":")
        token = session.pop(name)
        try:
            place = LockToken.objects.place_of_key(apps.get_model(label), key)
            LockToken.objects.release(place, token)
        except (LookupError, ValueError, UnlockForbiddenError):
            continue  # the model is gone, or the lock is


def release_on_logout(sender: Any, request: Any, **kwargs: Any) -> None:
    """Receiver of ``user_logged_out``: the session is about to be flushed."""
    session = getattr(request, "session", None)
    if session is not None:
        release_session_locks(session)


def remember(obj: models.Model, session: SessionBase, token: str) -> None:
    """Keep the token of ``obj`` in the session."""
    key = get_session_key(obj)
    if session.get(key) != token:
        session[key] = token
        session.pop(_key_of_0_2_5(obj), None)


def forget(obj: models.Model | Place, session: SessionBase) -> None:
    """Drop the token of ``obj`` from the session, without asking the database."""
    session.pop(get_session_key(obj), None)
    session.pop(_key_of_0_2_5(obj), None)


def _key_of_0_2_5(obj: models.Model | Place) -> str:
    """Return the session key of published releases, whose sessions live on.

    It is ambiguous (``a_b`` + ``c`` is ``a`` + ``b_c``), so it is read and not written.
    """
    place = LockToken.objects.place_of(obj)
    return "_".join(place.about)


def _owner(session: SessionBase) -> str:
    """Return the secret that stands for this session when it acquires.

    Two requests that come in together, before either has stored a token, derive the
    same one from the session's key. It is kept in the session because that key changes
    at login and, in signed cookies, with every save.
    """
    owner = session.get(OWNER_KEY)
    if not isinstance(owner, str):
        if session.session_key:
            owner = salted_hmac(
                "lock_tokens.sessions", session.session_key, algorithm="sha256"
            ).hexdigest()
        else:
            owner = secrets.token_hex(20)
        session[OWNER_KEY] = owner
    return owner


def _user_of(session: SessionBase) -> Any:
    """Return the user who is logged in with the session, without reading its row."""
    users = get_user_model()
    try:
        return users(pk=users._meta.pk.to_python(session[SESSION_KEY]))
    except (KeyError, ValidationError):
        return None
