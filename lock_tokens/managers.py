"""The operations on locks, and the only queries on ``LockToken`` that there are.

What each does to the database stands in ``statements/``; here is what it means.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import (
    DatabaseError,
    connections,
    models,
    router,
    transaction,
)
from django.dispatch import Signal

from . import signals
from .asking import AskingManager, instance_of
from .bulk import delete_in_batches
from .exceptions import (
    InvalidToken,
    RenewedSinceError,
    UnlockForbiddenError,
)
from .fields import UTCNow
from .fresh import as_now
from .places import Place
from .querysets import LockableQuerySet
from .settings import MAX_TIMEOUT, get_timeout
from .statements import for_database
from .statements.retrying import after_commit, run
from .statements.rows import Acquired, Busy, NewLock
from .tokens import is_owned_by, is_well_formed, new_token

if TYPE_CHECKING:
    from .models import LockToken

#: How often to ask again when a lock went away while asking who holds it.
ATTEMPTS = 10
MAX_BATCH = 100_000


class LockTokenManager(AskingManager):
    """Locks, by the object that they are on.

    Every method works on the database that the router gives for writing a ``LockToken``
    of that object (by default the one that the object came from), or on the one that
    was chosen with ``db_manager()``. Lock decisions are never read from a replica.

    An argument ``obj`` is a saved instance of any model, or a :class:`Place`. All
    raise ``ValueError`` for an object that is not saved, or whose key is composite or
    longer than 255 characters.
    """

    # Acquire, renew, release

    def acquire(
        self,
        obj: models.Model | Place,
        *,
        timeout: float | None = None,
        user: Any = None,
        owner: str | None = None,
    ) -> LockToken:
        """Lock a free object and return its new ``LockToken``.

        A lock that has expired makes way: its row is replaced by a new one.

        ``timeout`` is the lock's life in seconds, the ``TIMEOUT`` setting by default.
        ``user`` is recorded as the holder. ``owner`` is a secret string that stands for
        one client: whoever asks again with the same owner while the lock stands gets
        that same lock, extended, instead of a refusal.

        Raises ``AlreadyLockedError`` when another live lock stands, and ``ValueError``
        for a bad timeout or an unsaved user.
        """
        return self.get_or_acquire(obj, timeout=timeout, user=user, owner=owner)[0]

    def get_or_acquire(
        self,
        obj: models.Model | Place,
        *,
        timeout: float | None = None,
        user: Any = None,
        owner: str | None = None,
    ) -> tuple[LockToken, bool]:
        """:meth:`acquire`, and whether the lock is new.

        It is not when ``owner`` had it already.
        """
        return self._get_or_acquire(obj, timeout, user, owner)

    def acquire_for_transaction(
        self, obj: models.Model | Place, *, user: Any = None
    ) -> LockToken:
        """:meth:`acquire`, as the first statement of a transaction that writes.

        :meth:`refuse_for_transaction` was called before it began.
        """
        return self._get_or_acquire(obj, None, user, None, has_looked=True)[0]

    def refuse_for_transaction(self, obj: models.Model | Place) -> None:
        """Refuse at once what the transaction about to begin would wait for in vain.

        On MariaDB and MySQL: there, whoever saves under a lock keeps its row busy. To
        look inside the transaction has a price, under REPEATABLE READ: whatever it reads
        from then on is shown as it was at that look, before it waited for the lock.

        Raises ``AlreadyLockedError`` when a live lock stands.
        """
        place = self.place_of(obj)
        if for_database(place.using).looks_first:
            holder = self._live_lock(place)
            if holder is not None:
                raise self._refusal(place, obj, holder)

    def _get_or_acquire(
        self,
        obj: models.Model | Place,
        timeout: float | None,
        user: Any,
        owner: str | None,
        has_looked: bool = False,
    ) -> tuple[LockToken, bool]:
        place = self.place_of(obj)
        lock = self._new_lock(place, timeout, user, owner, has_looked)
        statements = for_database(place.using)
        for _attempt in range(ATTEMPTS):
            try:
                acquired = run(place.using, lambda: statements.acquire(lock))
            except Busy:
                break
            if acquired:
                signal = (
                    signals.lock_replaced
                    if acquired.replaced
                    else signals.lock_acquired
                )
                return self._made(place, lock, acquired, signal, obj), True
            holder = self._live_lock(place)
            if holder is None:
                continue  # released between the two statements
            if not is_owned_by(holder.token_str, owner, place.about):
                raise self._refusal(place, obj, holder)
            try:
                holder.expires_at = self.renew(
                    obj, holder.token_str, timeout=timeout, extend=True
                )
            except InvalidToken:
                continue  # taken or released since
            return holder, False
        raise self._refusal(place, obj, None)

    def renew_owned(
        self, obj: models.Model | Place, owner: str, *, timeout: float | None = None
    ) -> LockToken | None:
        """Renew the lock that ``owner`` acquired, also an expired one, and return it.

        ``timeout`` is as in :meth:`renew`; a later expiry stays. ``None`` when there is
        no lock or it is another's.
        """
        place = self.place_of(obj)
        standing = self.standing(place)
        if not standing or not is_owned_by(standing.token, owner, place.about):
            return None
        with suppress(InvalidToken, self.model.DoesNotExist):  # taken meanwhile
            self.renew(obj, standing.token, timeout=timeout, extend=True)
            return self.get_held(obj, standing.token)
        return None

    def take_over(
        self,
        obj: models.Model | Place,
        *,
        timeout: float | None = None,
        user: Any = None,
        owner: str | None = None,
        locked_at: datetime | None = None,
    ) -> LockToken:
        """Lock the object and end whatever lock stands on it; return the new one.

        Whether ``user`` may do so is for the caller to ask (the permission is
        ``lock_tokens.take_over_locktoken``). A save that is fenced with the old token at
        this moment finishes first.

        With ``locked_at``, only the lock that was acquired then: who has asked about one
        holder does not end the lock of another, who came since.

        Raises ``ValueError`` as :meth:`acquire` does, and ``AlreadyLockedError`` when a
        transaction of another's keeps the row, or the lock is not that of ``locked_at``.
        """
        place = self.place_of(obj)
        lock = self._new_lock(place, timeout, user, owner)
        statements = for_database(place.using)
        ended = self._live_lock(place)

        def take_over() -> Acquired:
            if locked_at is None:
                return statements.take_over(lock)
            with transaction.atomic(using=place.using):
                standing = self.using(place.using).filter(**self._at(place))
                row = standing.select_for_update().first()
                if row is None or row.locked_at != locked_at:
                    raise Busy
                return statements.take_over(lock)

        try:
            acquired = run(place.using, take_over)
        except Busy:
            if locked_at is not None:
                raise self.refusal(place) from None
            raise self._refusal(place, obj, None) from None
        return self._made(
            place,
            lock,
            acquired,
            signals.lock_taken_over,
            obj,
            previous=ended and ended.info(),
        )

    def renew(
        self,
        obj: models.Model | Place,
        token: str,
        *,
        timeout: float | None = None,
        extend: bool = False,
        expiring_at: datetime | None = None,
    ) -> datetime:
        """Let the lock run ``timeout`` seconds from now and return its new expiry.

        This may shorten it; with ``extend`` the later of the two expiries stands. An
        expired lock that nobody took is revived. Never makes a lock.

        With ``expiring_at``, only a lock that still has this expiry: one that was
        renewed since is left alone. So somebody who leaves one page of two can cut the
        lock short without doing so to the other. (Not together with ``extend``.)

        Raises ``InvalidToken`` when the token is void or the object has no lock, and
        ``RenewedSinceError`` when the expiry is not ``expiring_at``.
        """
        place = self.place_of(obj)
        seconds = get_timeout(timeout)
        statements = for_database(place.using)
        expires_at = is_well_formed(token) and run(
            place.using,
            lambda: statements.renew(
                place.content_type.pk, place.key, token, seconds, extend, expiring_at
            ),
        )
        if not expires_at:
            standing = self.standing(place) if expiring_at is not None else None
            if standing and standing.has(token):
                raise RenewedSinceError(
                    f"The lock of {place} was renewed since.", instance_of(obj)
                )
            raise InvalidToken(f"This token does not lock {place}.", instance_of(obj))
        self._send(signals.lock_renewed, place, obj, expires_at=expires_at)
        return expires_at

    def release(self, obj: models.Model | Place, token: str) -> None:
        """Give the lock up.

        Raises ``UnlockForbiddenError`` when the token is void or the object has no lock.
        """
        place = self.place_of(obj)
        statements = for_database(place.using)
        if not is_well_formed(token) or not run(
            place.using,
            lambda: statements.release(place.content_type.pk, place.key, token),
        ):
            raise UnlockForbiddenError(
                f"This token does not lock {place}.", instance_of(obj)
            )
        self._send(signals.lock_released, place, obj)

    def remove(self, obj: models.Model | Place) -> bool:
        """Delete the object's lock, whoever holds it; say whether there was one.

        For when the object itself goes.
        """
        place = self.place_of(obj)
        statements = for_database(place.using)
        removed = run(
            place.using, lambda: statements.remove(place.content_type.pk, place.key)
        )
        if removed:
            self._send(signals.lock_released, place, obj)
        return removed

    def remove_expired_at(self, lock: LockToken) -> None:
        """Delete the expired row that stands where ``lock`` wants to."""
        place = self.place_of_lock(lock)
        expired = self.using(place.using).filter(expires_at__lte=UTCNow())
        expired.filter(**self._at(place)).delete()

    def fence(
        self, obj: models.Model | Place, token: str, *, timeout: float | None = None
    ) -> datetime:
        """Verify a token and keep it verified until the transaction ends.

        Extends the lock, which locks its row: whoever wants to take it waits for the
        end of the transaction. Returns the expiry. ``holding.fence`` opens the
        transaction too.

        Raises ``InvalidToken`` when the token is void or the object has no lock, and
        ``TransactionManagementError`` outside of a transaction.
        """
        place = self.place_of(obj)
        if not connections[place.using].in_atomic_block:
            raise transaction.TransactionManagementError(
                "A fence needs a transaction: it lasts until that ends."
            )
        return self.renew(
            place if isinstance(obj, Place) else obj,
            token,
            timeout=timeout,
            extend=True,
        )

    # Clean up

    def remove_expired(
        self,
        *,
        older_than: float = 0,
        batch_size: int = 1000,
        time_limit: float | None = None,
        dry_run: bool = False,
    ) -> int:
        """Delete locks that expired at least ``older_than`` seconds ago; return how many.

        In batches of ``batch_size`` rows, none begun later than ``time_limit`` seconds
        from now. A lock that is renewed or replaced meanwhile stays, and one whose row
        is in use is left for the next time. ``dry_run`` only counts.

        Raises ``ValueError`` for a negative or absurd number of seconds, and for a batch
        below 1 or above 100,000.
        """
        if not 0 <= older_than <= MAX_TIMEOUT or not (time_limit or 0) >= 0:
            raise ValueError(
                "older_than and time_limit are seconds, not negative and no longer than"
                " a lock can live."
            )
        if not 1 <= batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size is at least 1 and at most {MAX_BATCH}.")
        expired = self.using(self._db or router.db_for_write(self.model)).filter(
            expires_at__lte=UTCNow() - models.Value(timedelta(seconds=older_than))
        )
        if dry_run:
            return expired.count()
        return delete_in_batches(expired, batch_size, time_limit)

    # Async twins, as Django's own: the same in a thread

    async def aacquire(self, obj: models.Model | Place, **options: Any) -> LockToken:
        """:meth:`acquire`, awaitable."""
        return await sync_to_async(self.acquire)(obj, **options)

    async def aget_or_acquire(
        self, obj: models.Model | Place, **options: Any
    ) -> tuple[LockToken, bool]:
        """:meth:`get_or_acquire`, awaitable."""
        return await sync_to_async(self.get_or_acquire)(obj, **options)

    async def arenew(
        self, obj: models.Model | Place, token: str, **options: Any
    ) -> datetime:
        """:meth:`renew`, awaitable."""
        return await sync_to_async(self.renew)(obj, token, **options)

    async def arelease(self, obj: models.Model | Place, token: str) -> None:
        """:meth:`release`, awaitable."""
        await sync_to_async(self.release)(obj, token)

    async def atake_over(self, obj: models.Model | Place, **options: Any) -> LockToken:
        """:meth:`take_over`, awaitable."""
        return await sync_to_async(self.take_over)(obj, **options)

    # Inner matters

    def _new_lock(
        self,
        place: Place,
        timeout: float | None,
        user: Any,
        owner: str | None,
        has_looked: bool = False,
    ) -> NewLock:
        return NewLock(
            place.content_type.pk,
            place.key,
            new_token(owner, place.about),
            new_token(owner, place.about),
            get_timeout(timeout),
            self._user_id(user),
            has_looked,
        )

    def _user_id(self, user: Any) -> Any:
        if user is None or getattr(user, "is_anonymous", False):
            return None
        if not isinstance(user, get_user_model()):
            raise ValueError(f"{user!r} is not a user, who could hold a lock.")
        if user.pk is None:
            raise ValueError("An unsaved user cannot hold a lock.")
        return user._meta.pk.to_python(user.pk)

    def _made(
        self,
        place: Place,
        lock: NewLock,
        acquired: Acquired,
        signal: Signal,
        obj: models.Model | Place,
        **more: Any,
    ) -> LockToken:
        made = self.model(
            id=acquired.id,
            created=acquired.locked_at,
            token_str=acquired.token,
            locked_object_content_type=place.content_type,
            locked_object_id=place.key,
            locked_at=acquired.locked_at,
            expires_at=acquired.expires_at,
            locked_by_id=lock.locked_by_id,
        )
        made._state.adding = False
        made._state.db = place.using
        self._send(
            signal,
            place,
            obj,
            locked_by_id=lock.locked_by_id,
            expires_at=acquired.expires_at,
            **more,
        )
        return made

    def _send(
        self, signal: Signal, place: Place, obj: models.Model | Place, **values: Any
    ) -> None:
        if signal.receivers:
            after_commit(
                place.using,
                partial(
                    signal.send_robust,
                    sender=place.model,
                    object_id=place.key,
                    instance=instance_of(obj),
                    using=place.using,
                    **values,
                ),
            )


def get_and_lock(
    objects: models.Manager[Any],
    *args: Any,
    lock_timeout: float | None = None,
    lock_user: Any = None,
    **lookup: Any,
) -> tuple[Any, dict[str, str]]:
    """Return the object that ``objects.get()`` finds, locked, and its token dict.

    The object is read again once it is locked, so that it is not older than its lock.
    ``lock_timeout`` (seconds) and ``lock_user`` are as in ``LockTokenManager.acquire``.

    Raises what ``get()`` raises, ``AlreadyLockedError`` when another live lock stands,
    and ``ValueError`` for a bad timeout.
    """
    locks = apps.get_model("lock_tokens", "LockToken")._default_manager
    found = objects.get(*args, **lookup)
    lock = locks.acquire(found, timeout=lock_timeout, user=lock_user)
    again = objects.filter(*args, **lookup)
    try:
        return as_now(again).get(pk=found.pk), lock.serialize()
    except BaseException:
        with suppress(DatabaseError):
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
