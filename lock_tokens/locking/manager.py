"""The operations on locks. ``sql/`` has their statements; here is what they mean."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections, models, router, transaction
from django.dispatch import Signal

from .. import signals
from ..exceptions import (
    AlreadyLockedError,
    InvalidToken,
    RenewedSinceError,
    UnlockForbiddenError,
)
from ..settings import MAX_TIMEOUT, get_timeout
from . import lock_key as keys
from .info import LockInfo
from .lock_key import LockKey, instance_of
from .outcomes import refusal, send
from .querysets import LockTokenQuerySet
from .sql import for_database
from .sql.rows import Busy, CurrentToken, new_lock, user_key
from .tokens import is_owned_by, is_well_formed
from .transactions import on_live_connection, retry_on_conflict

#: The model of the rows: ``LockToken``, which has this manager.
R = TypeVar("R", bound=models.Model)

#: How often to ask again when a lock went away while asking who holds it.
ATTEMPTS = 10
MAX_BATCH = 100_000


class LockTokenManager(models.Manager.from_queryset(LockTokenQuerySet), Generic[R]):  # type: ignore[misc]
    """Locks, by the object that they are on.

    Every method works on the database that the router gives for writing a ``LockToken``
    of that object (by default the one that the object came from), or on the one that
    was chosen with ``db_manager()``. Lock decisions are never read from a replica.

    An argument ``obj`` is a saved instance of any model, or a :class:`LockKey`. All
    methods raise ``ValueError`` for an object that is not saved, or whose key is
    composite or longer than 255 characters.
    """

    # Where a lock is kept

    def key_of(self, obj: models.Model | LockKey) -> LockKey:
        """Return where the lock of ``obj`` is kept."""
        return keys.key_of(self, obj)

    def key_of_pk(self, model: type[models.Model], pk: Any) -> LockKey:
        """Return where the lock of the object with this primary key is kept.

        Use it when you do not have the object. If the table's collation accepts several
        spellings of a text key, give the key as its row has it.

        Raises ``ValueError`` when ``pk`` cannot be a key of the model.
        """
        return keys.key_of_pk(self, model, pk)

    def can_be_locked(self, obj: models.Model) -> bool:
        """Say whether the object is saved, and has a key that a lock can have.

        A composite key cannot be locked, nor one that is too long.
        """
        try:
            self.key_of(obj)
        except ValueError:
            return False
        return True

    # Acquire, renew, release

    def acquire(
        self,
        obj: models.Model | LockKey,
        *,
        timeout: float | None = None,
        user: Any = None,
        owner: str | None = None,
    ) -> R:
        """Lock a free object and return its new ``LockToken``.

        The row of an expired lock is replaced by a new one.

        ``timeout`` is the lock's life in seconds, the ``TIMEOUT`` setting by default.
        ``user`` is recorded as the holder. ``owner`` is a secret string that identifies
        one client: if that client asks again while its lock is live, it gets the same
        lock, extended, instead of a refusal.

        Raises ``AlreadyLockedError`` when the object has another live lock, and
        ``ValueError`` for a bad timeout or an unsaved user.
        """
        return self.get_or_acquire(obj, timeout=timeout, user=user, owner=owner)[0]

    def get_or_acquire(
        self,
        obj: models.Model | LockKey,
        *,
        timeout: float | None = None,
        user: Any = None,
        owner: str | None = None,
        has_looked: bool = False,
    ) -> tuple[R, bool]:
        """Do as :meth:`acquire`, and also return whether the lock is new.

        It is not new when ``owner`` had it already. ``has_looked`` says that
        :meth:`refuse_before_transaction` was called before this transaction began.
        """
        lock_key = self.key_of(obj)
        wanted = new_lock(lock_key, timeout, user, owner, has_looked)
        statements = for_database(self.model, lock_key.using)
        for _attempt in range(ATTEMPTS):
            try:
                lock = retry_on_conflict(
                    lock_key.using, lambda: statements.acquire(wanted)
                )
            except Busy:
                break
            if lock is None:
                continue  # another's lock came or went meanwhile
            if lock.token_str == wanted.token:
                return self._made(signals.lock_acquired, lock_key, obj, lock), True
            if lock.token_str == wanted.replacing_token:
                return self._made(signals.lock_replaced, lock_key, obj, lock), True
            if not is_owned_by(lock.token_str, owner, lock_key.about) or (
                wanted.locked_by_id
                and lock.locked_by_id not in (None, wanted.locked_by_id)
            ):
                raise refusal(lock_key, obj, lock)
            try:
                lock.expires_at = self.renew(
                    obj, lock.token_str, timeout=timeout, extend=True
                )
            except InvalidToken:
                continue  # taken or released since
            return lock, False
        raise refusal(lock_key, obj, None)

    def refuse_before_transaction(self, obj: models.Model | LockKey) -> None:
        """Refuse now, where an acquire inside a transaction would wait in vain.

        This concerns MariaDB and MySQL. There, a save under a lock keeps the lock's row
        busy. Looking inside the transaction would fix its snapshot under REPEATABLE
        READ: all later reads would show the rows as they were before the wait.

        Raises ``AlreadyLockedError`` when the object has a live lock.
        """
        lock_key = self.key_of(obj)
        if for_database(self.model, lock_key.using).looks_first:
            holder = self._live_lock(lock_key)
            if holder is not None:
                raise refusal(lock_key, obj, holder)

    def renew_owned(
        self, obj: models.Model | LockKey, owner: str, **options: Any
    ) -> R | None:
        """Renew the lock that ``owner`` acquired, also an expired one, and return it.

        The options are ``timeout`` and ``user`` of :meth:`renew`. A later expiry stays.
        Returns ``None`` when there is no lock or it is another's.
        """
        lock_key = self.key_of(obj)
        current = self.current_token(lock_key)
        if not current or not is_owned_by(current.token, owner, lock_key.about):
            return None
        with suppress(InvalidToken, self.model.DoesNotExist):  # taken meanwhile
            self.renew(obj, current.token, extend=True, **options)
            return self.get_by_token(obj, current.token)  # type: ignore[no-any-return]
        return None

    def take_over(
        self,
        obj: models.Model | LockKey,
        *,
        timeout: float | None = None,
        user: Any = None,
        owner: str | None = None,
        locked_at: datetime | None = None,
    ) -> R:
        """Lock the object and end the lock that it has; return the new one.

        The caller must check that ``user`` may do so (the permission is
        ``lock_tokens.take_over_locktoken``). A save that is fenced with the old token at
        this moment finishes first.

        With ``locked_at``, only the lock that was acquired then is ended: a person who
        was asked about one holder does not end the lock of a later one.

        Raises ``ValueError`` as :meth:`acquire` does, and ``AlreadyLockedError`` when
        another transaction keeps the row, or the lock is not that of ``locked_at``.
        """
        lock_key = self.key_of(obj)
        wanted = new_lock(lock_key, timeout, user, owner)
        statements = for_database(self.model, lock_key.using)

        def take_over() -> tuple[Any, R]:
            if locked_at is None:
                return self._live_lock(lock_key), statements.take_over(wanted)
            with transaction.atomic(using=lock_key.using):
                # An UPDATE, to keep the row: a transaction of SQLite that reads first
                # fails if anybody else writes before it does.
                row = (
                    self.using(lock_key.using).at(lock_key).filter(locked_at=locked_at)
                )
                if not row.update(locked_at=locked_at):
                    raise Busy
                return self._live_lock(lock_key), statements.take_over(wanted)

        try:
            with statements.waiting():
                ended, lock = retry_on_conflict(lock_key.using, take_over)
        except Busy:
            raise self.refusal(obj) from None
        previous = ended and ended.info()
        signal = signals.lock_taken_over
        return self._made(signal, lock_key, obj, lock, previous=previous)

    def renew(
        self,
        obj: models.Model | LockKey,
        token: str,
        *,
        timeout: float | None = None,
        extend: bool = False,
        expiring_at: datetime | None = None,
        user: Any = None,
    ) -> datetime:
        """Let the lock run ``timeout`` seconds from now and return its new expiry.

        This may shorten the lock; with ``extend`` the later of the two expiries is kept.
        An expired lock that nobody took is revived. A new lock is never made.

        With ``expiring_at``, only a lock that still has this expiry is renewed. So
        somebody who leaves one of two pages can cut the lock short without cutting off
        the other page. (Do not combine it with ``extend`` or ``user``.)

        With ``user``, the lock of another user is not renewed. That is how a page that
        one user has opened is not saved as another. A lock without a holder is anybody's
        who has its token.

        Raises ``InvalidToken`` when the token is void or the object has no lock,
        ``WrongUserError`` (an ``InvalidToken``) when the lock is not ``user``'s,
        ``RenewedSinceError`` when the expiry is not ``expiring_at``, and ``TypeError``
        for a token that is no ``str``.
        """
        lock_key = self.key_of(obj)
        seconds, user_id = get_timeout(timeout), user_key(user)
        statements = for_database(self.model, lock_key.using)
        expires_at = is_well_formed(token) and retry_on_conflict(
            lock_key.using,
            lambda: statements.renew(
                *lock_key.columns, token, seconds, extend, expiring_at, user_id
            ),
        )
        if not expires_at:
            current = self.current_token(lock_key) if expiring_at is not None else None
            if current and current.matches(token):
                raise RenewedSinceError(
                    f"The lock on {lock_key} has been renewed in the meantime.",
                    instance_of(obj),
                )
            if user_id is not None:
                with suppress(self.model.DoesNotExist):
                    self.get_by_token(obj, token, user=user)  # raises if another's
            raise InvalidToken(
                f"This is not the token of the lock on {lock_key}.", instance_of(obj)
            )
        send(signals.lock_renewed, lock_key, obj, expires_at=expires_at)
        return expires_at

    def fence(
        self,
        obj: models.Model | LockKey,
        token: str,
        *,
        timeout: float | None = None,
        user: Any = None,
    ) -> datetime:
        """Verify a token and keep it verified until the transaction ends.

        This extends the lock, and so locks its row: taking the lock over waits for the
        end of the transaction. Returns the expiry. ``holding.fence`` also opens the
        transaction. ``user`` is as in :meth:`renew`.

        Raises ``InvalidToken`` when the token is void or the object has no lock,
        ``WrongUserError`` as :meth:`renew` does, and ``TransactionManagementError``
        outside of a transaction.
        """
        if not connections[self.key_of(obj).using].in_atomic_block:
            raise transaction.TransactionManagementError(
                "A fence needs a transaction because it lasts until the transaction"
                " ends."
            )
        return self.renew(obj, token, timeout=timeout, extend=True, user=user)

    def release(self, obj: models.Model | LockKey, token: str) -> None:
        """Give the lock up, on a new connection if the database was away meanwhile.

        Raises ``UnlockForbiddenError`` when the token is void or the object has no lock,
        and ``TypeError`` for a token that is no ``str``.
        """
        lock_key = self.key_of(obj)
        using = lock_key.using

        def release() -> bool:
            statements = for_database(self.model, using)
            return retry_on_conflict(
                using, lambda: statements.release(*lock_key.columns, token)
            )

        if not is_well_formed(token) or not on_live_connection(using, release):
            raise UnlockForbiddenError(
                f"This is not the token of the lock on {lock_key}.", instance_of(obj)
            )
        send(signals.lock_released, lock_key, obj)

    def remove(self, obj: models.Model | LockKey) -> bool:
        """Delete the lock of an object that goes away, whoever holds the lock.

        Returns whether there was one.
        """
        lock_key = self.key_of(obj)
        statements = for_database(self.model, lock_key.using)
        removed = retry_on_conflict(
            lock_key.using, lambda: statements.remove(*lock_key.columns)
        )
        if removed:
            send(signals.lock_released, lock_key, obj)
        return removed

    def remove_expired(
        self,
        *,
        older_than: float = 0,
        batch_size: int = 1000,
        time_limit: float | None = None,
        dry_run: bool = False,
    ) -> int:
        """Delete locks that expired at least ``older_than`` seconds ago; return how many.

        Rows are deleted in batches of ``batch_size``. No batch begins later than
        ``time_limit`` seconds from now. A lock that is renewed or replaced meanwhile
        stays, and so does one whose row is in use. ``dry_run`` only counts.

        Raises ``ValueError`` for a negative or absurd number of seconds, and for a batch
        below 1 or above 100,000.
        """
        if not 0 <= older_than <= MAX_TIMEOUT or not (time_limit or 0) >= 0:
            raise ValueError(
                "older_than and time_limit must be numbers of seconds that are not"
                " negative and not longer than the longest possible lock."
            )
        if not 1 <= batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size must be at least 1 and at most {MAX_BATCH}.")
        locks = self.using(self._db or router.db_for_write(self.model))
        expired = locks.expired(older_than)
        if dry_run:
            return expired.count()  # type: ignore[no-any-return]
        return expired.delete_in_batches(batch_size, time_limit)  # type: ignore[no-any-return]

    # What can be asked

    def current_token(self, obj: models.Model | LockKey) -> CurrentToken | None:
        """Return the token of the object's lock, and whether the lock is live.

        ``None`` when there is no lock at all.
        """
        lock_key = self.key_of(obj)
        statements = for_database(self.model, lock_key.using)
        return retry_on_conflict(
            lock_key.using, lambda: statements.current_token(*lock_key.columns)
        )

    def is_locked(self, obj: models.Model | LockKey) -> bool:
        """Say whether the object has a live lock."""
        lock_key = self.key_of(obj)
        statements = for_database(self.model, lock_key.using)
        return retry_on_conflict(
            lock_key.using, lambda: statements.is_locked(*lock_key.columns)
        )

    def info(self, obj: models.Model | LockKey) -> LockInfo | None:
        """Return who locks the object, since when and until when; ``None`` if free."""
        lock = self._live_lock(self.key_of(obj))
        return lock.info() if lock else None

    def refusal(self, obj: models.Model | LockKey) -> AlreadyLockedError:
        """Return the error that says who locks the object, to be raised."""
        lock_key = self.key_of(obj)
        return refusal(lock_key, obj, self._live_lock(lock_key))

    # Async twins: the same in the thread of Django's async ORM

    async def aacquire(self, obj: models.Model | LockKey, **options: Any) -> R:
        """:meth:`acquire`, awaitable."""
        return await sync_to_async(self.acquire)(obj, **options)

    async def aget_or_acquire(
        self, obj: models.Model | LockKey, **options: Any
    ) -> tuple[R, bool]:
        """:meth:`get_or_acquire`, awaitable."""
        return await sync_to_async(self.get_or_acquire)(obj, **options)

    async def arenew(
        self, obj: models.Model | LockKey, token: str, **options: Any
    ) -> datetime:
        """:meth:`renew`, awaitable."""
        return await sync_to_async(self.renew)(obj, token, **options)

    async def arelease(self, obj: models.Model | LockKey, token: str) -> None:
        """:meth:`release`, awaitable."""
        await sync_to_async(self.release)(obj, token)

    async def atake_over(self, obj: models.Model | LockKey, **options: Any) -> R:
        """:meth:`take_over`, awaitable."""
        return await sync_to_async(self.take_over)(obj, **options)

    async def ainfos(self, objects: Iterable[models.Model]) -> list[LockInfo | None]:
        """:meth:`infos`, awaitable."""
        return await sync_to_async(self.infos)(objects)  # type: ignore[no-any-return]

    def _made(
        self,
        signal: Signal,
        lock_key: LockKey,
        obj: models.Model | LockKey,
        lock: Any,
        **values: Any,
    ) -> R:
        """Send the signal of a new lock and return it."""
        lock.locked_object_content_type = lock_key.content_type
        values |= {"locked_by_id": lock.locked_by_id, "expires_at": lock.expires_at}
        send(signal, lock_key, obj, **values)
        return lock  # type: ignore[no-any-return]

    def _live_lock(self, lock_key: LockKey) -> Any:
        statements = for_database(self.model, lock_key.using)
        return retry_on_conflict(
            lock_key.using, lambda: statements.live_lock(*lock_key.columns)
        )
