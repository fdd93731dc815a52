"""Exceptions and warnings of locks.

Each error carries ``obj``, the object that it is about (``None`` when only its key is
known). No error carries a token.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


class LockTokensError(Exception):
    """Base class of the errors below."""

    def __init__(self, message: str = "", obj: Any = None) -> None:
        super().__init__(message)
        self.obj = obj


class AlreadyLockedError(LockTokensError):
    """The object already has a live lock.

    ``locked_by`` is the holder (``None`` when unknown). ``locked_at`` and ``expires_at``
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
    """The token is void: it is not the token of the object's lock."""


class WrongUserError(InvalidToken):
    """The token is that of the object's lock, but another user has acquired the lock.

    ``locked_by`` is that user (``None`` when deleted since).
    """

    def __init__(self, message: str, obj: Any, locked_by: Any) -> None:
        super().__init__(message, obj)
        self.locked_by = locked_by


class RenewedSinceError(LockTokensError):
    """The lock no longer has the expiry that a renewal was to replace.

    Another page of the same holder has renewed the lock. The token is valid.
    """


class UnlockForbiddenError(LockTokensError):
    """The token is not the token of the lock that it should release."""


class NoLockWarning(Warning):
    """A token was checked on an object that has no lock."""


class LockExpiredWarning(Warning):
    """The lock has expired, but its token is still valid: nobody took the lock."""
