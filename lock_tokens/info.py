"""What may be told about a lock to anybody: all of it but the token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class LockInfo:
    """A live lock: who holds it, since when and until when.

    ``locked_by`` is the user, ``None`` when the lock was acquired without one or the
    user is gone.
    """

    locked_by: Any
    locked_at: datetime
    expires_at: datetime
