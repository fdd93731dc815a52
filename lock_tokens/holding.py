"""Keep a lock for a block of code: around a save, or while a job runs."""

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
from .locking.primary import reading_from_primary
from .locking.renewal import HeldLock, in_thread, renewing
from .models import LockToken

__all__ = [
    "FencedLock",
    "HeldLock",
    "afence",
    "ahold_lock",
    "fence",
    "fence_unlocked",
    "hold_lock",
    "reading_from_primary",
]

F = TypeVar("F", bound=Callable[..., Any])


class FencedLock:
    """A lock whose token is verified until the transaction ends.

    ``token`` and ``expires_at`` are the lock's. ``release`` says whether the lock is given
    up at the end of the block. The block may set it.
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
    user: Any = None,
) -> Iterator[FencedLock]:
    """Save under a lock: nobody can take it before the block's transaction ends.

    Opens a transaction, or joins the open one. In it, one statement verifies the token,
    extends the lock to ``timeout`` seconds from now (``TIMEOUT`` by default; a later
    expiry is kept) and locks the token's row. With ``release=True`` the lock is given up
    in the same transaction. If the block raises, everything in it is undone and the lock
    is as it was before.

    ``user`` is the user who saves. A lock that another user has acquired is then refused,
    so that a page of one user is not saved as another.

    Yields a :class:`FencedLock`.

    Raises ``InvalidToken``, before the block runs, when the token is void or the object
    has no lock; its subclass ``WrongUserError`` when the lock is not ``user``'s;
    ``ValueError`` for an unsaved object or user, or a bad timeout; ``TypeError`` for a
    token that is no ``str``.
    """

    def verify() -> FencedLock:
        expires_at = LockToken.objects.fence(obj, token, timeout=timeout, user=user)
        return FencedLock(token, expires_at, release)

    with _fencing(obj, verify) as fenced:
        yield fenced


@contextlib.contextmanager
def fence_unlocked(
    obj: models.Model | LockKey, *, user: Any = None
) -> Iterator[FencedLock]:
    """Save without a token, if nobody has locked the object.

    Opens a transaction, or joins the open one, and acquires the lock in it with ``user``
    as its holder. Nobody else can lock the object before the transaction ends. The lock
    is released in the same transaction. The token of an expired lock is void afterwards,
    because its page shows the object as it was before.

    Yields a :class:`FencedLock`.

    Raises ``AlreadyLockedError``, before the block runs, when the object has a live
    lock; ``ValueError`` for an unsaved object or user.
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
        stack.enter_context(reading_from_primary())
        # If a router keeps lock and object apart, the object's transaction ends first.
        for using in dict.fromkeys((lock_key.using, database_of(obj))):
            stack.enter_context(transaction.atomic(using=using))
        fenced = get_lock()
        yield fenced
        if fenced.release and not connections[lock_key.using].needs_rollback:
            # Only this transaction can have ended the lock: it deleted the object.
            with contextlib.suppress(UnlockForbiddenError):
                LockToken.objects.release(lock_key, fenced.token)


@contextlib.asynccontextmanager
async def afence(
    obj: models.Model,
    token: str,
    *,
    release: bool = False,
    timeout: float | None = None,
    user: Any = None,
) -> AsyncIterator[FencedLock]:
    """:func:`fence` for async code.

    The transaction belongs to the thread in which Django runs async ORM calls. A request
    has one such thread. Tasks that share it also share the transaction, so let only one
    task write to the database while the block is open.
    """
    fencing = fence(obj, token, release=release, timeout=timeout, user=user)
    async with in_thread(fencing) as fenced:
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
        if not isinstance(obj, models.Model) and not callable(obj):
            raise TypeError(
                "The lock is held on a saved object. A decorator also takes a function"
                f" that returns the object. This is neither: {obj!r}."
            )
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
                "You can give a function instead of an object only to a decorator. The"
                " decorator calls the function with the arguments of the call."
            )
        locks = LockToken.objects
        lock_key = locks.key_of(self.obj)
        lock = locks.acquire(self.obj, timeout=self.timeout, user=self.user)
        return HeldLock(lock_key, lock.token_str, self.timeout)

    def _release(self, held: HeldLock, error: BaseException | None) -> None:
        if error is not None:
            held.give_up()  # the block's own error matters more
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

    ``obj`` is a saved object. A decorator also takes a function that gets the call's
    arguments and returns the object. ``timeout`` is the lock's life in seconds
    (``TIMEOUT`` by default), ``user`` its holder.

    The lock is acquired, renewed from a thread each third of its life, and released at
    the end, even when the block raises. The block gets a :class:`HeldLock`. Before a step
    that needs the lock, ask ``lost`` or call ``check()``. To save, use
    ``fence(obj, held.token)``. Inside a transaction nothing is renewed, because the
    transaction keeps others out until it ends.

    Raises ``AlreadyLockedError`` when the object has a live lock; ``InvalidToken`` at the
    end when the lock was lost; ``ValueError`` for an unsaved object or a bad timeout.
    """

    _held: HeldLock
    _stack: contextlib.ExitStack

    def __enter__(self) -> HeldLock:
        self._held = self._acquire()
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(reading_from_primary())
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
                "hold_lock is for functions. Use ahold_lock for coroutines."
            )

        @wraps(function)
        @reading_from_primary()
        def inner(*args: Any, **kwargs: Any) -> Any:
            obj = self._of_call(args, kwargs)
            with hold_lock(obj, timeout=self.timeout, user=self.user):
                return function(*args, **kwargs)

        return inner  # type: ignore[return-value]


class ahold_lock(_Hold):
    """:class:`hold_lock` for async code: an async context manager and decorator.

    A function that is given instead of an object may be a coroutine function.
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
                "ahold_lock is for coroutines. Use hold_lock for functions."
            )

        @wraps(function)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            with reading_from_primary():
                if iscoroutinefunction(self.obj):
                    obj = await self.obj(*args, **kwargs)
                else:
                    obj = await sync_to_async(self._of_call)(args, kwargs)
            async with ahold_lock(obj, timeout=self.timeout, user=self.user):
                return await function(*args, **kwargs)

        return inner  # type: ignore[return-value]
