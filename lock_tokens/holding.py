"""A token kept for a block of code: around a save, or while a job runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import connections, models, transaction

from .exceptions import InvalidToken, UnlockForbiddenError
from .locking.info import token_dict
from .locking.lock_key import LockKey, database_of
from .locking.renewal import HeldLock, in_thread, renewing
from .models import LockToken

F = TypeVar("F", bound=Callable[..., Any])


class FencedLock:
    """A lock whose token is verified until the transaction ends.

    ``token`` and ``expires_at`` are the lock's; ``release`` says whether it is given up
    at the end of the block, and may be set by the block.
    """

    def __init__(self, token: str, expires_at: datetime, release: bool) -> None:
        self.token = token
        self.expires_at = expires_at
        self.release = release

    def serialize(self) -> dict[str, str]:
        """Return the token dict: ``token``, ``expires`` and ``expires_at``."""
        return token_dict(self.token, self.expires_at)


@contextlib.contextmanager
def fence(
    obj: models.Model | LockKey,
    token: str,
    *,
    release: bool = False,
    timeout: float | None = None,
) -> Iterator[FencedLock]:
    """Save under a lock: nobody can take it before the block's transaction ends.

    Opens a transaction (or joins the one that is open), verifies the token and extends
    the lock to ``timeout`` seconds from now (``TIMEOUT`` by default; a later expiry
    stays), all in one statement that locks the token's row. With ``release=True`` the
    lock is given up in the same transaction. If the block raises, everything in it is
    undone and the lock is as it was before.

    Gives a :class:`FencedLock`.

    Raises ``InvalidToken``, before the block runs, when the token is void or the object
    has no lock; ``ValueError`` for an unsaved object or a bad timeout.
    """

    def verify() -> FencedLock:
        expires_at = LockToken.objects.fence(obj, token, timeout=timeout)
        return FencedLock(token, expires_at, release)

    with _fencing(obj, verify) as fenced:
        yield fenced


@contextlib.contextmanager
def fence_unlocked(
    obj: models.Model | LockKey, *, user: Any = None
) -> Iterator[FencedLock]:
    """Save without a token, if nobody has locked the object.

    Opens a transaction (or joins the one that is open) and acquires the lock in it, with
    ``user`` as its holder, so that nobody else can before the block's transaction ends.
    The lock is released in the same transaction. One that had expired is void
    afterwards: its page shows what was there before.

    Gives a :class:`FencedLock`.

    Raises ``AlreadyLockedError``, before the block runs, when a live lock stands;
    ``ValueError`` for an unsaved object or user.
    """

    locks = LockToken.objects
    lock_key = locks.key_of(obj)
    begins_transaction = not connections[lock_key.using].in_atomic_block
    if begins_transaction:
        locks.refuse_before_transaction(obj)

    def acquire() -> FencedLock:
        lock, _ = locks.get_or_acquire(obj, user=user, has_looked=begins_transaction)
        return FencedLock(lock.token_str, lock.expires_at, release=True)

    with _fencing(obj, acquire) as fenced:
        yield fenced


@contextlib.contextmanager
def _fencing(
    obj: models.Model | LockKey, get_lock: Callable[[], FencedLock]
) -> Iterator[FencedLock]:
    lock_key = LockToken.objects.key_of(obj)
    with contextlib.ExitStack() as stack:
        # Where a router keeps the two apart, the object's transaction ends first.
        for using in dict.fromkeys((lock_key.using, database_of(obj))):
            stack.enter_context(transaction.atomic(using=using))
        fenced = get_lock()
        yield fenced
        if fenced.release and not connections[lock_key.using].needs_rollback:
            # Nobody but this transaction can have ended the lock: the object was
            # deleted with it.
            with contextlib.suppress(UnlockForbiddenError):
                LockToken.objects.release(lock_key, fenced.token)


@contextlib.asynccontextmanager
async def afence(
    obj: models.Model,
    token: str,
    *,
    release: bool = False,
    timeout: float | None = None,
) -> AsyncIterator[FencedLock]:
    """:func:`fence` for async code.

    The transaction is that of the thread in which Django runs async ORM calls. One
    request has one such thread; tasks that share it also share the transaction, so
    write to the database from one task only while the block is open.
    """
    async with in_thread(fence(obj, token, release=release, timeout=timeout)) as fenced:
        yield fenced


class _Hold:
    """What :class:`hold_lock` and :class:`ahold_lock` share."""

    def __init__(
        self,
        obj: models.Model | Callable[..., models.Model],
        *,
        timeout: float | None = None,
        user: Any = None,
    ) -> None:
        self.obj = obj
        self.timeout = timeout
        self.user = user

    def _of_call(self, args: Any, kwargs: Any) -> models.Model:
        if isinstance(self.obj, models.Model):
            return self.obj
        return self.obj(*args, **kwargs)

    def _acquire(self) -> HeldLock:
        if not isinstance(self.obj, models.Model):
            raise TypeError(
                "A function instead of an object works only as a decorator, which"
                " calls it with the arguments of the call."
            )
        locks = LockToken.objects
        lock_key = locks.key_of(self.obj)
        lock = locks.acquire(self.obj, timeout=self.timeout, user=self.user)
        return HeldLock(lock_key, lock.token_str, self.timeout)

    def _release(self, held: HeldLock, error: BaseException | None) -> None:
        if error is not None:
            held.give_up()  # the block's own error is the one to know about
            return
        try:
            held.release()
        except InvalidToken:
            if cast("models.Model", self.obj).pk is not None:
                raise
            # The block deleted the object, and its lock went with it.


class hold_lock(_Hold):
    """Hold an object's lock while a block or a function runs, for jobs and scripts.

    ::

        with hold_lock(article, user=editor) as held:
            ...
            held.check()

        @hold_lock(lambda article_id: Article.objects.get(pk=article_id))
        def publish(article_id): ...

    ``obj`` is a saved object; for a decorator it may be a function that gets the call's
    arguments and returns one. ``timeout`` is the lock's life in seconds (``TIMEOUT`` by
    default), ``user`` its holder.

    Acquires the lock, renews it from a thread each third of its life, and releases it
    at the end, also when the block raises. The block is given a :class:`HeldLock`: ask
    ``lost`` or call ``check()`` before a step that needs the lock, or better, save
    within ``fence(obj, held.token)``. Inside a transaction nothing is renewed: the
    transaction keeps others out until it ends.

    Raises ``AlreadyLockedError`` when another live lock stands; ``InvalidToken`` at the
    end when the lock was lost; ``ValueError`` for an unsaved object or a bad timeout.
    """

    _held: HeldLock
    _stack: contextlib.ExitStack

    def __enter__(self) -> HeldLock:
        self._held = self._acquire()
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(renewing(self._held))
        return self._held

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._release(self._held, error)

    def __call__(self, function: F) -> F:
        if iscoroutinefunction(function):
            raise TypeError(
                "hold_lock is for functions; use ahold_lock for coroutines."
            )

        @wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            obj = self._of_call(args, kwargs)
            with hold_lock(obj, timeout=self.timeout, user=self.user):
                return function(*args, **kwargs)

        return inner  # type: ignore[return-value]


class ahold_lock(_Hold):
    """:class:`hold_lock` for async code: an async context manager and decorator.

    Renews from a task, so the block must let the event loop run. A function that is
    given instead of an object may be a coroutine function.
    """

    _held: HeldLock

    async def __aenter__(self) -> HeldLock:
        holding = hold_lock(self.obj, timeout=self.timeout, user=self.user)
        self._holding = in_thread(holding)
        return await self._holding.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._holding.__aexit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        if not iscoroutinefunction(function):
            raise TypeError(
                "ahold_lock is for coroutines; use hold_lock for functions."
            )

        @wraps(function)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            if iscoroutinefunction(self.obj):
                obj = await self.obj(*args, **kwargs)
            else:
                obj = await sync_to_async(self._of_call)(args, kwargs)
            async with ahold_lock(obj, timeout=self.timeout, user=self.user):
                return await function(*args, **kwargs)

        return inner  # type: ignore[return-value]
