"""Under a lock, what is read comes from the database that it is written to.

A replica may lag behind. Whoever saves what a lagging replica showed undoes the work of
others, even with a valid lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import models, router

_is_reading = ContextVar("lock_tokens_reading_from_primary", default=False)


class PrimaryRouter:
    """A router that gives reads the database of the writes, within the block below."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return router.db_for_write(model, **hints) if _is_reading.get() else None


@contextmanager
def reading_from_primary() -> Iterator[None]:
    """Read from the database that your routers give for writing, and from no replica.

    It concerns all queries in the block that do not name a database themselves, also
    those of forms and related objects. It is a decorator too. Without routers it does
    nothing.
    """
    # A project need not name our router in its settings, and tests may replace the list.
    routers = router.routers
    if routers and not isinstance(routers[0], PrimaryRouter):
        router.routers = [PrimaryRouter(), *routers]
    before = _is_reading.get()
    _is_reading.set(True)
    try:
        yield
    finally:
        _is_reading.set(before)
