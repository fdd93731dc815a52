"""What the lock says when it cannot do what it was asked.

Each error carries ``obj``, the object that it is about (``None`` where only its key
is known). No error ever carries a token.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


class LockTokensError(Exception):
    """Base class of the errors below, for callers that treat them alike."""

    def __init__(self, message: str = "", obj: Any = None) -> None:
        super().__init__(message)
        self.obj = obj


class AlreadyLockedError(LockTokensError):
    """Another live lock stands on the object.

    ``locked_by`` is the holder (``None`` when unknown), ``locked_at`` and ``expires_at``
    say since when and until when. All three are ``None`` when the lock went away before
    the database could be asked who had it.
    """

    def __init__(
        self,
        message: str = "",
        obj: Any = None,
        locked_by: Any = None,
        locked_at: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        super().__init__(message, obj)
        self.locked_by = locked_by
        self.locked_at = locked_at
        self.expires_at = expires_at


class InvalidToken(LockTokensError):
    """The token is void: it does not stand in the object's lock."""


class RenewedSinceError(LockTokensError):
    """The lock has another expiry than the one that a renewal was to replace.

    Another page of the same holder has renewed it. The token is good.
    """


class UnlockForbiddenError(LockTokensError):
    """The token that was given does not hold the lock that it should release."""


class NoLockWarning(Warning):
    """A token was checked on an object that has no lock at all."""


class LockExpiredWarning(Warning):
    """The token is the object's, and its time has passed; it is still valid."""
