"""What goes into the lock's statements and what comes out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.utils.crypto import constant_time_compare

from ..tokens import is_well_formed


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


class Standing(NamedTuple):
    """The token in an object's row, and whether its time has not passed."""

    token: str
    live: bool

    def __repr__(self) -> str:
        return f"<Standing {'live' if self.live else 'expired'}>"

    def has(self, token: Any) -> bool:
        """Whether this is the token that stands. Takes the same time for any guess."""
        return is_well_formed(token) and constant_time_compare(self.token, token)
