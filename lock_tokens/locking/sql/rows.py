"""What the statements take, and what they return."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.utils.crypto import constant_time_compare

from ...settings import get_timeout
from ..lock_key import LockKey
from ..tokens import is_well_formed, new_token


class NewLock(NamedTuple):
    """A lock that somebody wants.

    It gets ``replacing_token`` instead of ``token`` when it replaces the row of another
    lock. So one statement tells whether it inserted or replaced. ``has_looked`` says that
    the object was seen to be free before this transaction began.
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
    about = lock_key.about
    return NewLock(
        *lock_key.columns,
        new_token(owner, about),
        new_token(owner, about),
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
        raise ValueError(f"{user!r} is not a user, so it cannot hold a lock.")
    if user.pk is None:
        raise ValueError("An unsaved user cannot hold a lock.")
    return user._meta.pk.to_python(user.pk)


class Busy(Exception):
    """Another transaction kept the row for longer than the database waits."""


class CurrentToken(NamedTuple):
    """The token of an object's lock, and whether the lock is live."""

    token: str
    live: bool

    def __repr__(self) -> str:
        return f"<CurrentToken {'live' if self.live else 'expired'}>"

    def matches(self, token: str | None) -> bool:
        """Whether ``token`` is this one. Any guess takes the same time.

        Raises ``TypeError`` as :func:`is_well_formed` does.
        """
        return is_well_formed(token) and constant_time_compare(self.token, token)
