"""Renewing a lock in the background while something runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import Error, connections

from ..exceptions import InvalidToken, UnlockForbiddenError
from ..settings import get_timeout
from .lock_key import LockKey
from .lock_token import LockToken
from .primary import reading_from_primary
from .transactions import in_transaction

logger = logging.getLogger("lock_tokens")

T = TypeVar("T")

# The lock survives two failed renewals in a row.
RENEWALS_A_LIFE = 3


class HeldLock:
    """A lock that is renewed in the background while a block of code runs.

    ``token`` is the lock's token (for :func:`fence`). ``lost`` becomes true when somebody
    else took the lock or released it.
    """

    def __init__(self, lock_key: LockKey, token: str, timeout: float | None) -> None:
        self.lock_key = lock_key
        self.token = token
        self.timeout = timeout
        self.lost = False

    @property
    def interval(self) -> float:
        """Seconds between two renewals."""
        return get_timeout(self.timeout) / RENEWALS_A_LIFE

    def check(self) -> None:
        """Raise ``InvalidToken`` when the lock was lost."""
        if self.lost:
            raise InvalidToken(f"The lock on {self.lock_key} was lost.")

    def renew(self) -> bool:
        """Renew on this thread's own connection; say whether to go on.

        When the database does not answer, the next renewal asks again: the lock may
        still be there.
        """
        try:
            LockToken.objects.renew(self.lock_key, self.token, timeout=self.timeout)
        except InvalidToken:
            self.lost = True
        except Error:
            logger.warning(
                "Could not renew the lock on %s.", self.lock_key, exc_info=True
            )
        finally:
            connections[self.lock_key.using].close()
        return not self.lost

    def in_transaction(self) -> bool:
        """Whether the caller's open transaction keeps the lock.

        Until it ends, nobody can take a lock that it made or renewed, and no other
        connection can renew that lock.
        """
        return in_transaction(connections[self.lock_key.using])

    def release(self) -> None:
        """Give the lock up; raise ``InvalidToken`` when it was lost."""
        try:
            LockToken.objects.release(self.lock_key, self.token)
        except UnlockForbiddenError:
            self.lost = True
        self.check()

    def give_up(self) -> None:
        """Release the lock, and log a failure instead of raising it."""
        try:
            self.release()
        except (InvalidToken, Error):
            logger.warning(
                "Could not release the lock on %s.", self.lock_key, exc_info=True
            )


@contextlib.contextmanager
def renewing(held: HeldLock) -> Iterator[None]:
    """Renew the lock from a thread while the block runs."""
    if held.in_transaction():
        yield
        return
    stop = threading.Event()

    def renew_until_stopped() -> None:
        while not stop.wait(held.interval) and held.renew():
            pass

    thread = threading.Thread(
        target=renew_until_stopped, name=f"renewing {held.lock_key}", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def finished(work: asyncio.Future[T]) -> T:
    """Wait until work in a thread is done, even when this task is cancelled meanwhile.

    A thread cannot be cancelled. Without this, it would go on with a lock or a
    transaction that nobody looks after. The cancellation is raised when it is done.
    """
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        with contextlib.suppress(asyncio.CancelledError):
            work.exception()  # seen; the cancellation is what the caller gets
        raise cancelled
    return work.result()


def succeeded(work: asyncio.Future[Any]) -> bool:
    """Whether work that :func:`finished` waited for has succeeded."""
    return not work.cancelled() and work.exception() is None


@contextlib.asynccontextmanager
async def in_thread(context: contextlib.AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager in the thread of Django's async ORM.

    It is also left when the task is cancelled while entering or leaving. What the block
    reads comes from the primary database, as in the thread.
    """
    with reading_from_primary():
        leave = sync_to_async(context.__exit__)
        entering = asyncio.ensure_future(sync_to_async(context.__enter__)())
        try:
            entered = await finished(entering)
        except asyncio.CancelledError as error:
            if succeeded(entering):
                with contextlib.suppress(asyncio.CancelledError):
                    await finished(
                        asyncio.ensure_future(leave(type(error), error, None))
                    )
            raise
        try:
            yield entered
        except BaseException as error:
            with contextlib.suppress(type(error)):
                await finished(
                    asyncio.ensure_future(
                        leave(type(error), error, error.__traceback__)
                    )
                )
            raise
        else:
            await finished(asyncio.ensure_future(leave(None, None, None)))
