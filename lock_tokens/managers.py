"""The manager of lockable models, to use as it is or to inherit from."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, models

from .exceptions import UnlockForbiddenError
from .locking.lock_token import LockToken
from .locking.manager import LockTokenManager
from .locking.primary import reading_from_primary
from .locking.transactions import current_rows
from .querysets import LockableQuerySet

__all__ = ["LockTokenManager", "LockableModelManager", "get_and_lock"]


@reading_from_primary()
def get_and_lock(
    objects: models.Manager[Any],
    *args: Any,
    lock_timeout: float | None = None,
    lock_user: Any = None,
    **lookup: Any,
) -> tuple[Any, dict[str, str]]:
    """Return the object that ``objects.get()`` finds, locked, and its token dict.

    The object is read again when it is locked, so that it is not older than its lock. It
    is read from the database that it is written to.
    ``lock_timeout`` (seconds) and ``lock_user`` are as in ``LockTokenManager.acquire``.

    Raises what ``get()`` raises, ``AlreadyLockedError`` when the object has a live lock,
    and ``ValueError`` for a bad timeout.
    """
    locks = LockToken.objects
    found = objects.get(*args, **lookup)
    lock = locks.acquire(found, timeout=lock_timeout, user=lock_user)
    again = objects.filter(*args, **lookup)
    try:
        return current_rows(again).get(pk=found.pk), lock.serialize()
    except BaseException:
        # The lock is gone already if the database has undone the transaction.
        with suppress(DatabaseError, UnlockForbiddenError):
            locks.release(found, lock.token_str)
        raise


class LockableModelManager(models.Manager.from_queryset(LockableQuerySet)):  # type: ignore[misc]
    """The manager of lockable models, to use as it is or to inherit from."""

    def get_and_lock(self, *args: Any, **lookup: Any) -> tuple[Any, dict[str, str]]:
        """Return the object that ``get()`` finds, locked, and its token dict.

        As :func:`get_and_lock`.
        """
        return get_and_lock(self, *args, **lookup)

    async def aget_and_lock(
        self, *args: Any, **lookup: Any
    ) -> tuple[Any, dict[str, str]]:
        """:meth:`get_and_lock`, awaitable."""
        return await sync_to_async(self.get_and_lock)(*args, **lookup)
