"""What anybody may know about a lock, and what only its holder gets: the token dict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import ngettext

from .. import settings
from .fields import to_utc

# How many objects a message names.
MAX_NAMED = 10


@dataclass(frozen=True)
class LockInfo:
    """A live lock: who holds it, since when and until when.

    ``locked_by`` is the user. It is ``None`` when the lock was acquired without a user,
    and when the user was deleted.
    """

    locked_by: Any
    locked_at: datetime
    expires_at: datetime

    def serialize(self) -> dict[str, str | None]:
        """Return the same for JSON: a name, and two times in ISO 8601 and UTC."""
        return serialized(self)


def serialized(holder: Any) -> dict[str, str | None]:
    """Return for JSON what is known about a lock, with ``None`` for what is not known.

    ``holder`` is a :class:`LockInfo`, an ``AlreadyLockedError``, or ``None`` for nobody.
    """
    locked_at = getattr(holder, "locked_at", None)
    expires_at = getattr(holder, "expires_at", None)
    return {
        "locked_by": display_name(getattr(holder, "locked_by", None)),
        "locked_at": to_utc(locked_at).isoformat() if locked_at else None,
        "expires_at": to_utc(expires_at).isoformat() if expires_at else None,
    }


def seconds_left(lock: Any) -> float:
    """Return the seconds until the expiry of a row that ``get_by_token()`` has read.

    They are by the database's clock, and negative when the lock has expired.
    """
    seconds: float = (lock.expires_at - lock.read_at).total_seconds()
    return seconds


def display_name(user: Any) -> str | None:
    """Return the user's full name if the model knows one, else ``str(user)``."""
    if user is None:
        return None
    full_name = user.get_full_name() if hasattr(user, "get_full_name") else ""
    return full_name or str(user)


def listed(names: Sequence[str]) -> str:
    """Return the first ten names in one text, and how many more there are."""
    text, more = ", ".join(names[:MAX_NAMED]), len(names) - MAX_NAMED
    if more <= 0:
        return text
    return ngettext(
        "%(named)s and %(count)d more", "%(named)s and %(count)d more", more
    ) % {
        "named": text,
        "count": more,
    }


def token_dict(token: str, expires_at: datetime) -> dict[str, str]:
    """Return what the holder of a lock gets: the token and its expiry.

    ``expires`` is in the format of the ``DATEFORMAT`` setting and in UTC (in
    ``TIME_ZONE`` when ``USE_TZ`` is off). ``expires_at`` is ISO 8601 in UTC, for programs.
    """
    in_utc = to_utc(expires_at)
    naive = timezone.is_naive(expires_at)
    shown = timezone.make_aware(expires_at) if naive else in_utc
    return {
        "token": token,
        "expires": shown.strftime(settings.DATEFORMAT),
        "expires_at": in_utc.isoformat(),
    }
