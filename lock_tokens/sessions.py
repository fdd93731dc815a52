"""Tokens that are kept in a session."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, models, transaction
from django.utils.connection import ConnectionDoesNotExist
from django.utils.crypto import salted_hmac

from .exceptions import AlreadyLockedError, InvalidToken, UnlockForbiddenError
from .locking.info import LockInfo, token_dict
from .locking.lock_key import LockKey
from .locking.tokens import FORMER_OWNER_KEY, OWNER_KEY, is_well_formed
from .models import LockableModel, LockToken

# "lock_tokens:app.model:key", "lock_tokens@database:app.model:key"
PREFIX = "lock_tokens"
logger = logging.getLogger("lock_tokens")

MAX_TOKENS = 40


def get_session_key(obj: models.Model | LockKey) -> str:
    """Return the key under which the session has the token of ``obj``.

    Raises ``ValueError`` for an object that is not saved, or whose key is composite or
    longer than 255 characters.
    """
    lock_key = LockToken.objects.key_of(obj)
    database = "" if lock_key.using == DEFAULT_DB_ALIAS else f"@{lock_key.using}"
    return (
        f"{PREFIX}{database}:{lock_key.model._meta.label_lower}:{lock_key.object_key}"
    )


def get_session_token(obj: models.Model | LockKey, session: SessionBase) -> str | None:
    """Return the token that the session has for ``obj``, ``None`` if it has none.

    Raises ``ValueError`` as :func:`get_session_key` does.
    """
    token = session.get(get_session_key(obj)) or _token_of_0_2_5(obj, session)
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

    The session keeps the token, and the token dict is returned. ``timeout`` is the
    lock's life in seconds (``TIMEOUT`` by default). ``user`` is the holder, by default
    the user who is logged in with this session.

    All tabs and requests of one session share the lock, even when two requests acquire
    at the same moment, or when one overwrites the session of the other.

    With ``force_new``, a void token in the session is forgotten and the lock is acquired
    again. A token that is still valid is renewed. Use this where the object is *shown*,
    never where it is saved: a void token means that others may have changed the object
    since this session read it. A token of another user's lock is like a void one.

    Raises ``AlreadyLockedError`` when somebody else has a live lock, ``InvalidToken``
    when the session's token is void (without ``force_new``), and ``ValueError`` for an
    unsaved object or a bad timeout.
    """
    return get_or_lock_for_session(obj, session, force_new, timeout=timeout, user=user)[
        0
    ]


def get_or_lock_for_session(
    obj: models.Model,
    session: SessionBase,
    force_new: bool = False,
    *,
    timeout: float | None = None,
    user: Any = None,
) -> tuple[dict[str, str], bool]:
    """Do as :func:`lock_for_session`, and also return whether the lock is new.

    It is not new when the session had it already, even if the session has lost the token.
    """
    user = user or user_of(session)
    token = get_session_token(obj, session)
    if token is not None:
        try:
            expires_at = LockToken.objects.renew(obj, token, timeout=timeout, user=user)
        except InvalidToken:
            if not force_new:
                raise
            # It is replaced by the new token. A refusal must not drop it: the session
            # would then seem never to have had a token.
        else:
            remember(obj, session, token)
            return token_dict(token, expires_at), False
    try:
        lock, is_new = LockToken.objects.get_or_acquire(
            obj, timeout=timeout, user=user, owner=_owner(session)
        )
    except AlreadyLockedError:
        # It may be the lock of a page that was opened before the login.
        former = session.get(FORMER_OWNER_KEY)
        if former is None:
            raise
        own = LockToken.objects.renew_owned(
            obj, str(former), timeout=timeout, user=user
        )
        if own is None:
            raise
        lock, is_new = own, False
    remember(obj, session, lock.token_str)
    return lock.serialize(), is_new


def take_over_for_session(
    obj: models.Model,
    session: SessionBase,
    *,
    timeout: float | None = None,
    user: Any = None,
    locked_at: datetime | None = None,
) -> dict[str, str]:
    """Lock the object for the session, and end the lock that it has.

    The caller must check that the user may do so. With ``locked_at``, only the lock that
    was acquired then is ended. The other arguments and the result are those of
    :func:`lock_for_session`.

    Raises ``AlreadyLockedError`` when another transaction keeps the lock, or it is not
    that of ``locked_at``, and ``ValueError`` for an unsaved object or a bad timeout.
    """
    lock = LockToken.objects.take_over(
        obj,
        timeout=timeout,
        user=user or user_of(session),
        owner=_owner(session),
        locked_at=locked_at,
    )
    remember(obj, session, lock.token_str)
    return lock.serialize()


def infos_of_others(
    objects: Iterable[models.Model], session: SessionBase, *, user: Any = None
) -> list[LockInfo | None]:
    """Return who else locks each of the objects, in their order.

    ``None`` means that the object is free or locked by this session and ``user``, by
    default the user who is logged in with this session. One query for 500
    objects, and one for each live lock of which the session has a token.

    Raises ``ValueError`` as :func:`get_session_key` does.
    """
    objects = list(objects)
    user = user or user_of(session)

    def is_own(obj: models.Model, info: LockInfo) -> bool:
        token = get_session_token(obj, session)
        if token is None or (user and info.locked_by not in (None, user)):
            return False
        current = LockToken.objects.current_token(obj)
        return current is None or current.matches(token)

    return [
        info if info and not is_own(obj, info) else None
        for obj, info in zip(objects, LockToken.objects.infos(objects), strict=True)
    ]


def unlock_for_session(obj: models.Model, session: SessionBase) -> None:
    """Give up the session's lock on the object.

    Raises ``UnlockForbiddenError`` when the session has no token for the object, or a
    void one. A void token stays in the session, so that it is refused again.
    """
    token = get_session_token(obj, session)
    if token is None:
        raise UnlockForbiddenError("This session does not hold the lock.", obj)
    LockableModel.unlock(obj, token)
    forget(obj, session)


def check_for_session(obj: models.Model, session: SessionBase) -> bool:
    """Say whether the session has the valid token of the object's lock.

    The token of an expired lock is valid. The warnings are those of
    ``LockableModel.check_lock``. To save, use
    ``fence(obj, get_session_token(obj, session))``.
    """
    token = get_session_token(obj, session)
    return token is not None and LockableModel.check_lock(obj, token)


def release_session_locks(session: SessionBase) -> None:
    """Give up every lock of the session. Logging out does so."""
    held = []
    for name in _names_of_tokens(session):
        token = session.pop(name)
        with _logged_failures(name.split(":")[1]):
            held.append((_lock_key_of(name), token))
    for lock_key, token in sorted(held, key=lambda pair: pair[0].order):
        with _logged_failures(lock_key), transaction.atomic(using=lock_key.using):
            LockToken.objects.release(lock_key, token)


@contextmanager
def _logged_failures(what: LockKey | str) -> Iterator[None]:
    """Go on after a lock that is gone. Log a failure: logging out must not fail."""
    try:
        yield
    except (LookupError, ValueError, UnlockForbiddenError):
        pass  # the model is gone, or the lock is
    except (DatabaseError, ConnectionDoesNotExist):  # the lock will expire
        logger.warning("Could not release the lock on %s.", what, exc_info=True)


def release_on_logout(sender: Any, request: Any, **kwargs: Any) -> None:
    """Receiver of ``user_logged_out``: the session is about to be flushed."""
    session = getattr(request, "session", None)
    if session is not None:
        release_session_locks(session)


def rotate_on_login(sender: Any, request: Any, **kwargs: Any) -> None:
    """Receiver of ``user_logged_in``: give the session a new owner's secret.

    Somebody else may know the session as it was before. The former secret finds only
    the locks that the session acquired with it.
    """
    session = getattr(request, "session", None)
    if session is not None and OWNER_KEY in session:
        session[FORMER_OWNER_KEY] = session[OWNER_KEY]
        session[OWNER_KEY] = secrets.token_hex(20)


def remember(obj: models.Model | LockKey, session: SessionBase, token: str) -> None:
    """Keep the token of ``obj`` in the session.

    A session keeps 40 tokens at most. For one more, it drops a void one or the oldest.
    """
    key = get_session_key(obj)
    if session.get(key) != token:
        _forget_of_0_2_5(obj, session)
        if key not in session:
            _make_room(session)
        session[key] = token


def forget(obj: models.Model | LockKey, session: SessionBase) -> None:
    """Drop the token of ``obj`` from the session, without asking the database."""
    session.pop(get_session_key(obj), None)
    _forget_of_0_2_5(obj, session)


def _make_room(session: SessionBase) -> None:
    """Drop tokens until there is room for one more.

    Void ones are dropped first, then those of expired locks, and the oldest first. A
    session that is a cookie must stay small.
    """
    names = _names_of_tokens(session)
    surplus = len(names) + 1 - MAX_TOKENS
    if surplus <= 0:
        return
    keys = {}
    for name in names:
        with suppress(LookupError, ValueError, ConnectionDoesNotExist):
            keys[name] = _lock_key_of(name)
    try:
        current = LockToken.objects.current_tokens(keys.values())
    except DatabaseError:  # of another database, which must not stop this lock
        current = {}

    def rank(name: str) -> int:
        lock = current.get(keys[name]) if name in keys else None
        if lock is None or not lock.matches(session[name]):
            return 0
        return 2 if lock.live else 1

    for name in sorted(names, key=rank)[:surplus]:
        del session[name]


def _names_of_tokens(session: SessionBase) -> list[str]:
    """Return the keys under which the session has tokens, the oldest first.

    A key like ours may be one of the project's. Its value is no token.
    """
    return [
        name
        for name, value in session.items()
        if isinstance(name, str)
        and re.match(rf"{PREFIX}(@[^:]*)?:", name)
        and isinstance(value, str)
        and is_well_formed(value)
    ]


def _lock_key_of(name: str) -> LockKey:
    """Return the lock key of :func:`get_session_key`.

    Raises ``LookupError``, ``ValueError`` or ``ConnectionDoesNotExist`` when there is no
    such model, key or database any more.
    """
    prefix, _, rest = name.partition(":")
    label, _, key = rest.partition(":")
    database = prefix.partition("@")[2]
    locks: Any = LockToken.objects.db_manager(database or None)
    lock_key: LockKey = locks.key_of_pk(apps.get_model(label), key)
    return lock_key


def _token_of_0_2_5(obj: models.Model | LockKey, session: SessionBase) -> str | None:
    """Return the token that release 0.2.5 has stored in the session.

    The session key of that release is ambiguous (``a_b`` + ``c`` is ``a`` + ``b_c``) and
    may be one of the project's. So it is only read, and only for the integers that
    were possible then.
    """
    lock_key = LockToken.objects.key_of(obj)
    token = (
        session.get("_".join(lock_key.about)) if lock_key.object_key.isdigit() else None
    )
    return token if isinstance(token, str) and is_well_formed(token) else None


def _forget_of_0_2_5(obj: models.Model | LockKey, session: SessionBase) -> None:
    if _token_of_0_2_5(obj, session):
        del session["_".join(LockToken.objects.key_of(obj).about)]


def _owner(session: SessionBase) -> str:
    """Return the secret that identifies this session when it acquires.

    It is derived from the session's key: two requests that arrive together, before
    either has stored a token, get the same secret. It is kept in the session because
    that key changes at login and, in signed cookies, with every save.
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


def user_of(session: SessionBase) -> Any:
    """Return the user who is logged in with the session, without reading its row."""
    users = get_user_model()
    try:
        key = users._meta.pk.to_python(session[SESSION_KEY])
    except (KeyError, ValidationError):
        return None
    return users(pk=key) if key is not None else None
