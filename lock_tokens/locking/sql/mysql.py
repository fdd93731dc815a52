"""MariaDB and MySQL."""

from __future__ import annotations

import datetime
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from django.db import OperationalError, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..fields import from_utc
from ..transactions import in_transaction
from .base import UTC, Statements
from .rows import Acquired, Busy, NewLock

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
LOCK_WAIT_TIMEOUT = 1205


class MySQLStatements(Statements):
    """MySQL: an upsert that changes an expired row alone, and reads back what it did.

    ``ON DUPLICATE KEY UPDATE``, not INSERT IGNORE, which hides other errors too. And
    not DELETE and INSERT, nor REPLACE: those lock the gaps between the keys, so that a
    neighbouring lock in an open transaction would be waited for.

    An UPDATE here has no ``RETURNING``, so a renewal's new expiry comes back through
    ``LAST_INSERT_ID(expression)``, in microseconds since 1970.
    """

    now = "UTC_TIMESTAMP(6)"
    later = "UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND"
    looks_first = True

    def __init__(
        self, model: type[models.Model], connection: BaseDatabaseWrapper
    ) -> None:
        super().__init__(model, connection)
        n = self.names
        columns = (
            f"({n.created}, {n.token}, {n.content_type}, {n.object_id},"
            f" {n.locked_at}, {n.expires_at}, {n.locked_by})"
        )
        values = f"{self.now}, %s, %s, %s, {self.now}, {self.later}, %s"
        self.row = f"{n.id}, {n.token}, {n.locked_at}, {n.expires_at}"
        # The condition keeps a refusal from waiting for a live row that its holder is
        # saving under.
        self.acquire_sql = (
            f"INSERT INTO {n.table} {columns} SELECT {values} FROM DUAL"
            f" WHERE NOT EXISTS ({self.live_sql}){self._over_the_old(only_expired=True)}"
        )
        self.insert = f"INSERT INTO {n.table} {columns} VALUES ({values})"
        self.take_over_sql = f"{self.insert}{self._over_the_old(only_expired=False)}"
        self.read_back_sql = (
            f"SELECT {self.row} FROM {n.table}"
            f" WHERE {self.its_key} AND {n.token} IN (%s, %s)"
        )
        self.renew_sql = self._renewal(self.later)
        self.renew_expiring_sql = self.renew_sql + self.its_expiry
        self.extend_sql = self._renewal(f"GREATEST({n.expires_at}, {self.later})")
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@innodb_rollback_on_timeout")
            #: Whether a statement that waits in vain undoes the whole transaction.
            self.waits_undo_all = bool(cursor.fetchone()[0])

    def _over_the_old(self, *, only_expired: bool) -> str:
        """Return what makes the new row take the place of the one that stands.

        Which of the two tokens is there then tells which way it came in. The expiry
        comes last: each assignment sees those before it.
        """
        n = self.names

        def assign(column: str, value: str) -> str:
            own = f"{n.table}.{column}"
            if only_expired:
                value = f"IF({n.table}.{n.expires_at} <= {self.now}, {value}, {own})"
            return f"{column} = {value}"

        assignments = [
            assign(n.id, f"VALUES({n.id})"),
            assign(n.created, f"VALUES({n.created})"),
            assign(n.token, "%s"),
            assign(n.locked_at, f"VALUES({n.locked_at})"),
            assign(n.locked_by, f"VALUES({n.locked_by})"),
            assign(n.expires_at, f"VALUES({n.expires_at})"),
        ]
        return f" ON DUPLICATE KEY UPDATE {', '.join(assignments)}"

    def _renewal(self, expiry: str) -> str:
        n = self.names
        return (
            f"UPDATE {n.table} SET {n.expires_at} = {expiry}"
            f" WHERE {self.its_token} AND LAST_INSERT_ID(TIMESTAMPDIFF(MICROSECOND,"
            f" '1970-01-01 00:00:00', {expiry})) IS NOT NULL"
        )

    def acquire(self, lock: NewLock) -> Acquired | None:
        """Lock a free object, or replace its expired lock; ``None`` when it is held.

        Raises ``Busy`` when a transaction had the row throughout the wait.
        """
        # The statement locks the row that it meets. In a transaction that lasts, and
        # would keep the holder from renewing: look first.
        if (
            in_transaction(self.connection)
            and not lock.has_looked
            and self.is_locked(lock.content_type_id, lock.key)
        ):
            return None
        try:
            return self._acquire(lock)
        except OperationalError as error:
            if not is_lock_wait_timeout(error):
                raise
            if self.waits_undo_all and in_transaction(self.connection):
                self.connection.needs_rollback = True
                raise
            raise Busy from error

    def _acquire(self, lock: NewLock) -> Acquired | None:
        condition = lock.content_type_id, lock.key
        parameters = (*self._values(lock), *condition, lock.replacing_token)
        with self._one_transaction(), self.connection.cursor() as cursor:
            cursor.execute(self.acquire_sql, parameters)
            return self._read_back(lock) if cursor.rowcount else None

    def take_over(self, lock: NewLock) -> Acquired:
        """Lock the object and end whatever lock stood on it."""
        parameters = (*self._values(lock), lock.replacing_token)
        with self._one_transaction(), self.connection.cursor() as cursor:
            cursor.execute(self.take_over_sql, parameters)
            return cast("Acquired", self._read_back(lock))

    def _one_transaction(self) -> AbstractContextManager[None]:
        """Return the caller's transaction, or one of ours.

        So that nobody takes the lock over before it is read back. Not
        ``atomic(savepoint=False)`` for both: a refusal would condemn the caller's.
        """
        if in_transaction(self.connection):
            return nullcontext()
        return transaction.atomic(using=self.alias)

    def _read_back(self, lock: NewLock) -> Acquired | None:
        tokens = lock.token, lock.replacing_token
        with self.connection.cursor() as cursor:
            cursor.execute(
                self.read_back_sql, (lock.content_type_id, lock.key, *tokens)
            )
            return self._acquired(cursor.fetchone(), lock)

    def _acquired(self, row: tuple[Any, ...] | None, lock: NewLock) -> Acquired | None:
        """Return what the row says if it is the new lock's, ``None`` if another's."""
        if row is None or row[1] not in (lock.token, lock.replacing_token):
            return None
        return Acquired(
            id=row[0],
            token=row[1],
            locked_at=self.as_datetime(row[2]),
            expires_at=self.as_datetime(row[3]),
            replaced=row[1] == lock.replacing_token,
        )

    def _values(self, lock: NewLock) -> tuple[Any, ...]:
        return (
            lock.token,
            lock.content_type_id,
            lock.key,
            round(lock.seconds * 1_000_000),
            self.prepared_user(lock),
        )

    def renew(
        self,
        content_type_id: int,
        key: str,
        token: str,
        seconds: float,
        extend: bool = False,
        expiring_at: datetime.datetime | None = None,
    ) -> datetime.datetime | None:
        """Move the expiry to ``seconds`` from now and return it.

        With ``extend`` a later expiry stays. ``None`` when the token does not stand,
        and when the expiry is not ``expiring_at`` any more.
        """
        life = round(seconds * 1_000_000)
        sql = self.extend_sql if extend else self.renew_sql
        parameters: tuple[Any, ...] = (life, content_type_id, key, token, life)
        if expiring_at is not None:
            sql = self.renew_expiring_sql
            parameters = (*parameters, self.as_parameter(expiring_at))
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            if not cursor.rowcount:
                return None
            expiry = EPOCH + datetime.timedelta(microseconds=cursor.lastrowid)
        return from_utc(expiry)


class MariaDBStatements(MySQLStatements):
    """MariaDB: the same, with ``RETURNING`` on what is inserted.

    The insert has plain VALUES. One from a SELECT takes, under the default
    ``innodb_autoinc_lock_mode`` of 1, a lock on the whole table until it ends: an
    acquire that waits for one row would keep everybody from every other.
    """

    def __init__(
        self, model: type[models.Model], connection: BaseDatabaseWrapper
    ) -> None:
        super().__init__(model, connection)
        returning = f" RETURNING {self.row}"
        self.insert_sql = (
            f"{self.insert}{self._over_the_old(only_expired=True)}{returning}"
        )
        self.insert_at_once_sql = (
            f"SET STATEMENT innodb_lock_wait_timeout = 0 FOR {self.insert_sql}"
        )
        self.take_over_sql += returning

    def _acquire(self, lock: NewLock) -> Acquired | None:
        parameters = (*self._values(lock), lock.replacing_token)
        if lock.has_looked or (self.waits_undo_all and in_transaction(self.connection)):
            return self._insert(self.insert_sql, lock, parameters)
        try:
            return self._insert(self.insert_at_once_sql, lock, parameters)
        except OperationalError as error:
            if not is_lock_wait_timeout(error):
                raise
        # Somebody's transaction has the row. A live lock is a refusal at once; whether
        # an expired one is being renewed or released, only its end will tell.
        if self.is_locked(lock.content_type_id, lock.key):
            return None
        return self._insert(self.insert_sql, lock, parameters)

    def take_over(self, lock: NewLock) -> Acquired:
        """Lock the object and end whatever lock stood on it."""
        parameters = (*self._values(lock), lock.replacing_token)
        return cast("Acquired", self._insert(self.take_over_sql, lock, parameters))

    def _insert(
        self, sql: str, lock: NewLock, parameters: tuple[Any, ...]
    ) -> Acquired | None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return self._acquired(cursor.fetchone(), lock)


def is_lock_wait_timeout(error: OperationalError) -> bool:
    """Whether the database gave up waiting for a row."""
    return bool(error.args) and error.args[0] == LOCK_WAIT_TIMEOUT
