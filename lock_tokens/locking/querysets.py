"""The queryset of locks: many at once, by the database's clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections, models, router, transaction

from ..exceptions import InvalidToken, WrongUserError
from .fields import UTCNow
from .info import LockInfo
from .lock_key import LockKey, instance_of, key_of, key_of_row
from .sql.rows import CurrentToken, user_key
from .tokens import is_owned_by
from .transactions import retry_on_conflict

KEYS_A_QUERY = 500


class LockTokenQuerySet(models.QuerySet[Any]):
    """Locks, filtered by what they lock and whether they have expired."""

    _db: str | None  # django-stubs do not have it

    @staticmethod
    def live() -> models.Q:
        """Return the condition of a live lock, by the database's clock.

        It filters a queryset of locks, and works as an annotation.
        """
        return models.Q(expires_at__gt=UTCNow())

    def at(self, lock_key: LockKey) -> LockTokenQuerySet:
        """Return the lock of one object: no row or one."""
        content_type_id, object_key = lock_key.columns
        return self.filter(
            locked_object_content_type_id=content_type_id, locked_object_id=object_key
        )

    def live_with_holder(self) -> LockTokenQuerySet:
        """Return the live locks, with their users where those are in this database."""
        locks = self.filter(self.live())
        if router.db_for_write(get_user_model()) == self.db:
            return locks.select_related("locked_by")
        return locks

    def expired(self, seconds: float = 0) -> LockTokenQuerySet:
        """Return the locks that expired at least ``seconds`` ago."""
        age = models.Value(timedelta(seconds=seconds))
        return self.filter(expires_at__lte=UTCNow() - age)

    def owned_by(self, user: Any, owner: str) -> Iterator[tuple[LockKey, str]]:
        """Return the user's locks acquired with an owner's secret, and their tokens."""
        for row in self.filter(locked_by=user.pk):
            lock_key = key_of_row(self, row)
            if is_owned_by(row.token_str, owner, lock_key.about):
                yield lock_key, row.token_str

    def infos(self, objects: Iterable[models.Model]) -> list[LockInfo | None]:
        """Return the ``LockInfo`` of each object, ``None`` where it has no live lock.

        One query for 500 objects of one database, whatever their models.
        """
        lock_keys = [key_of(self, obj) for obj in objects]
        infos: dict[LockKey, LockInfo] = {}
        for using, here in _by_database(lock_keys):
            live = self.using(using).live_with_holder()
            infos |= {lock_key: lock.info() for lock_key, lock in live.at_each(here)}
        return [infos.get(lock_key) for lock_key in lock_keys]

    def current_tokens(
        self, lock_keys: Iterable[LockKey]
    ) -> dict[LockKey, CurrentToken]:
        """Return the token of each of these locks, and whether the lock is live.

        One query for 500 lock keys of one database. A key without a lock is not there.
        """
        tokens: dict[LockKey, CurrentToken] = {}
        for using, here in _by_database(lock_keys):
            locks = self.using(using).annotate(is_live=self.live())
            for lock_key, lock in locks.at_each(here):
                tokens[lock_key] = CurrentToken(lock.token_str, lock.is_live)
        return tokens

    def at_each(self, lock_keys: list[LockKey]) -> Iterator[tuple[LockKey, Any]]:
        """Find the rows of these lock keys, which are all of this database."""
        for start in range(0, len(lock_keys), KEYS_A_QUERY):
            batch = lock_keys[start : start + KEYS_A_QUERY]
            by_columns = {lock_key.columns: lock_key for lock_key in batch}
            for lock in self.filter(_is_one_of(by_columns)):
                columns = lock.locked_object_content_type_id, lock.locked_object_id
                yield by_columns[columns], lock

    def get_for_object(
        self, obj: models.Model | LockKey, allow_expired: bool = True
    ) -> Any:
        """Return the row of the object's lock.

        Raises ``LockToken.DoesNotExist`` when there is none, and with
        ``allow_expired=False`` also when it has expired.
        """
        lock_key = key_of(self, obj)
        locks = self.using(lock_key.using).at(lock_key)
        return (locks if allow_expired else locks.live_with_holder()).get()

    def get_by_token(
        self, obj: models.Model | LockKey, token: str, *, user: Any = None
    ) -> Any:
        """Return the row of the object's lock, also an expired one, to its holder.

        ``read_at`` of the row is the database's clock when it was read.

        Raises ``InvalidToken`` when the token is void, ``LockToken.DoesNotExist`` when
        the object has no lock at all, and ``WrongUserError`` when a user other than
        ``user`` has acquired it.
        """
        lock = self.annotate(read_at=UTCNow()).get_for_object(obj)
        if not CurrentToken(lock.token_str, live=True).matches(token):
            raise InvalidToken(
                f"This is not the token of the lock on {lock}.", instance_of(obj)
            )
        if user is not None and lock.locked_by_id not in (None, user_key(user)):
            message = f"The lock on {lock} is not {user}'s."
            raise WrongUserError(message, instance_of(obj), lock.holder())
        return lock

    def delete_in_batches(self, batch_size: int, time_limit: float | None) -> int:
        """Delete these rows batch by batch, each only if the queryset still has it.

        Where the database can, a row that another transaction has locked is skipped.
        No batch begins later than ``time_limit`` seconds from now. Returns the number
        of rows that were deleted.
        """
        total = 0
        started = monotonic()
        rest: LockTokenQuerySet | None = self
        while rest is not None:
            if time_limit is not None and monotonic() - started >= time_limit:
                break
            delete = partial(rest._delete_first, batch_size)
            deleted, first = retry_on_conflict(self.db, delete)
            total += deleted
            rest = None if first is None else self.filter(pk__gte=first)
        return total

    def _delete_first(self, number: int) -> tuple[int, int | None]:
        """Delete the first rows; return how many, and from which key to go on, if at all.

        So no batch passes again the rows that stay.
        """
        rows = self.order_by("pk").values_list("pk", flat=True)
        connection = connections[self.db]
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        if connection.vendor == "sqlite":
            # One statement: a transaction that reads first cannot begin to write once
            # another has written.
            deleted = self.filter(pk__in=rows[:number]).delete()[0]
            return deleted, rows.first() if deleted == number else None
        with transaction.atomic(using=self.db):
            batch = list(rows[:number])
            deleted = self.filter(pk__in=batch).delete()[0]
        return deleted, batch[-1] if len(batch) == number else None


def _by_database(
    lock_keys: Iterable[LockKey],
) -> Iterable[tuple[str, list[LockKey]]]:
    by_database = defaultdict(list)
    for lock_key in lock_keys:
        by_database[lock_key.using].append(lock_key)
    return by_database.items()


def _is_one_of(columns: Iterable[tuple[int, str]]) -> models.Q:
    by_type = defaultdict(list)
    for content_type_id, object_key in columns:
        by_type[content_type_id].append(object_key)
    condition = models.Q()
    for content_type_id, object_keys in by_type.items():
        condition |= models.Q(
            locked_object_content_type_id=content_type_id,
            locked_object_id__in=object_keys,
        )
    return condition
