"""What may be told about a lock to anybody: all of it but the token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .fields import to_utc


@dataclass(frozen=True)
class LockInfo:
    """A live lock: who holds it, since when and until when.

    ``locked_by`` is the user, ``None`` when the lock was acquired without one or the
    user is gone.
    """

    locked_by: Any
    locked_at: datetime
    expires_at: datetime

    def serialize(self) -> dict[str, str | None]:
        """Return the same for JSON: a name, and two times in ISO 8601 and UTC."""
        return serialized(self)


def serialized(holder: Any) -> dict[str, str | None]:
    """Return what is known of a lock, for JSON; ``None`` for what is not.

    ``holder`` is a :class:`LockInfo`, an ``AlreadyLockedError``, or ``None`` for nobody.
    """
    locked_at = getattr(holder, "locked_at", None)
    expires_at = getattr(holder, "expires_at", None)
    return {
        "locked_by": display_name(getattr(holder, "locked_by", None)),
        "locked_at": to_utc(locked_at).isoformat() if locked_at else None,
        "expires_at": to_utc(expires_at).isoformat() if expires_at else None,
    }


def display_name(user: Any) -> str | None:
    """Return how to call a user: by the full name if the model knows one."""
    if user is None:
        return None
    full_name = user.get_full_name() if hasattr(user, "get_full_name") else ""
    return full_name or str(user)
