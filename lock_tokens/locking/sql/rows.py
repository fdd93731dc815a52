"""What goes into the lock's statements and what comes out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.utils.crypto import constant_time_compare

from ...settings import get_timeout
from ..lock_key import LockKey
from ..tokens import is_well_formed, new_token


class NewLock(NamedTuple):
    """A lock that somebody wants.

    ``replacing_token`` is the token that it gets instead of ``token`` when another lock's
    row had to make way, which is how one statement tells the two apart. ``has_looked``:
    before its transaction began, whoever wants it saw that the object is free.
    """

    content_type_id: int
    key: str
    token: str
    replacing_token: str
    seconds: float
    locked_by_id: Any
    has_looked: bool = False

    def __repr__(self) -> str:
        return (
            f"<NewLock {self.content_type_id} {self.key!r}>"  # no token in tracebacks
        )


def new_lock(
    lock_key: LockKey,
    timeout: float | None,
    user: Any,
    owner: str | None,
    has_looked: bool = False,
) -> NewLock:
    """Return the lock that ``LockTokenManager.acquire()`` was asked for."""
    return NewLock(
        *lock_key.columns,
        new_token(owner, lock_key.about),
        new_token(owner, lock_key.about),
        get_timeout(timeout),
        user_key(user),
        has_looked,
    )


def user_key(user: Any) -> Any:
    """Return the key of a holder; ``None`` for no user and for an anonymous one.

    Raises ``ValueError`` when it is no user, or an unsaved one.
    """
    if user is None or getattr(user, "is_anonymous", False):
        return None
    if not isinstance(user, get_user_model()):
        raise ValueError(f"{user!r} is not a user, who could hold a lock.")
    if user.pk is None:
        raise ValueError("An unsaved user cannot hold a lock.")
    return user._meta.pk.to_python(user.pk)


class Acquired(NamedTuple):
    """A lock that was made; ``replaced`` when an older one had to make way."""

    id: int
    token: str
    locked_at: datetime
    expires_at: datetime
    replaced: bool

    def __repr__(self) -> str:
        return f"<Acquired {self.id} until {self.expires_at}>"


class Busy(Exception):
    """Somebody's transaction had the row for longer than the database waits."""


class CurrentToken(NamedTuple):
    """The token in an object's row, and whether its time has not passed."""

    token: str
    live: bool

    def __repr__(self) -> str:
        return f"<CurrentToken {'live' if self.live else 'expired'}>"

    def matches(self, token: Any) -> bool:
        """Whether this is that token. Takes the same time for any guess."""
        return is_well_formed(token) and constant_time_compare(self.token, token)
