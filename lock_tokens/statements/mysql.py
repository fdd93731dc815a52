"""MariaDB and MySQL."""

from __future__ import annotations

import datetime
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..fields import from_utc
from .base import UTC, Statements
from .rows import Acquired, Busy, NewLock

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
LOCK_WAIT_TIMEOUT = 1205


class MySQLStatements(Statements):
    """MySQL: an insert that tolerates the conflict, then DELETE and once more.

    ``ON DUPLICATE KEY UPDATE`` with a value that does not change, not INSERT IGNORE: it
    hides no other error, and takes the row's lock exclusively, so that two who replace
    the same expired lock inside transactions wait instead of deadlocking.

    An UPDATE here has no ``RETURNING``, so the new expiry comes back through
    ``LAST_INSERT_ID(expression)``, in microseconds since 1970.
    """

    now = "UTC_TIMESTAMP(6)"
    later = "UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND"

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        n = self.names
        self.columns = (
            f"({n.created}, {n.token}, {n.content_type}, {n.object_id},"
            f" {n.locked_at}, {n.expires_at}, {n.locked_by})"
        )
        self.values = f"{self.now}, %s, %s, %s, {self.now}, {self.later}, %s"
        self.row = f"{n.id}, {n.token}, {n.locked_at}, {n.expires_at}"
        # The condition keeps a refusal from waiting for a live row that its holder is
        # saving under. An insert id of 0 tells the conflict with an expired one.
        self.acquire_sql = (
            f"INSERT INTO {n.table} {self.columns} SELECT {self.values} FROM DUAL"
            f" WHERE NOT EXISTS ({self.live_sql})"
            f" ON DUPLICATE KEY UPDATE {n.id} = {n.table}.{n.id} + LAST_INSERT_ID(0)"
        )
        self.delete_expired_sql = (
            f"DELETE FROM {n.table} WHERE {self.its_key}"
            f" AND {n.expires_at} <= {self.now}"
        )
        self.take_over_sql = (
            f"REPLACE INTO {n.table} {self.columns} VALUES ({self.values})"
        )
        self.read_back_sql = f"SELECT {self.row} FROM {n.table} WHERE {self.its_token}"
        self.renew_sql = self._renewal(self.later)
        self.extend_sql = self._renewal(f"GREATEST({n.expires_at}, {self.later})")

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
        key = lock.content_type_id, lock.key
        # The insert locks the row that it meets. In a transaction that lasts, and would
        # keep the holder from renewing: look first.
        if self.connection.in_atomic_block and self.is_locked(*key):
            return None
        try:
            acquired, expired = self._insert(lock)
            if not expired:
                return acquired
            with self.connection.cursor() as cursor:
                cursor.execute(self.delete_expired_sql, key)
                replaced = cursor.rowcount > 0
            acquired, _expired = self._insert(lock)
        except OperationalError as error:
            # Only the statement was undone.
            if is_lock_wait_timeout(error):
                raise Busy from error
            raise
        return acquired._replace(replaced=replaced) if acquired else None

    def _insert(self, lock: NewLock) -> tuple[Acquired | None, bool]:
        """Return what was inserted, and whether an expired lock stood in the way."""
        parameters = (*self._values(lock), lock.content_type_id, lock.key)
        # One transaction, so that nobody takes the lock over before it is read back.
        with self._one_transaction(), self.connection.cursor() as cursor:
            cursor.execute(self.acquire_sql, parameters)
            if not cursor.lastrowid:
                return None, cursor.rowcount > 0
            return self._read_back(lock), False

    def _one_transaction(self) -> AbstractContextManager[None]:
        """Return the caller's transaction, or one of ours.

        Not ``atomic(savepoint=False)`` for both: a refusal would condemn the caller's.
        """
        if self.connection.in_atomic_block:
            return nullcontext()
        return transaction.atomic(using=self.alias)

    def take_over(self, lock: NewLock) -> Acquired:
        """Lock the object and end whatever lock stood on it."""
        with self._one_transaction(), self.connection.cursor() as cursor:
            cursor.execute(self.take_over_sql, self._values(lock))
            return self._read_back(lock)

    def _values(self, lock: NewLock) -> tuple[Any, ...]:
        return (
            lock.token,
            lock.content_type_id,
            lock.key,
            round(lock.seconds * 1_000_000),
            lock.locked_by_id,
        )

    def _read_back(self, lock: NewLock) -> Acquired:
        with self.connection.cursor() as cursor:
            cursor.execute(
                self.read_back_sql, (lock.content_type_id, lock.key, lock.token)
            )
            return self._acquired(cursor.fetchone())

    def _acquired(self, row: tuple[Any, ...]) -> Acquired:
        return Acquired(
            id=row[0],
            token=row[1],
            locked_at=self.as_datetime(row[2]),
            expires_at=self.as_datetime(row[3]),
            replaced=False,
        )

    def renew(
        self,
        content_type_id: int,
        key: str,
        token: str,
        seconds: float,
        extend: bool = False,
    ) -> datetime.datetime | None:
        """Move the expiry to ``seconds`` from now and return it.

        With ``extend`` a later expiry stays. ``None`` when the token does not stand.
        """
        life = round(seconds * 1_000_000)
        with self.connection.cursor() as cursor:
            cursor.execute(
                self.extend_sql if extend else self.renew_sql,
                (life, content_type_id, key, token, life),
            )
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

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        n = self.names
        self.acquire_sql = (
            f"INSERT INTO {n.table} {self.columns} VALUES ({self.values})"
            f" ON DUPLICATE KEY UPDATE {n.id} = {n.table}.{n.id}"
            f" RETURNING {self.row}, {self.is_live}"
        )
        self.acquire_at_once_sql = (
            f"SET STATEMENT innodb_lock_wait_timeout = 0 FOR {self.acquire_sql}"
        )
        self.take_over_sql += f" RETURNING {self.row}"

    def _insert(self, lock: NewLock) -> tuple[Acquired | None, bool]:
        """Return what was inserted, and whether an expired lock stood in the way."""
        try:
            return self._insert_with(self.acquire_at_once_sql, lock)
        except OperationalError as error:
            if not is_lock_wait_timeout(error):
                raise
        # Somebody's transaction has the row. A live lock is a refusal at once; whether
        # an expired one is being renewed or released, only its end will tell.
        if self.is_locked(lock.content_type_id, lock.key):
            return None, False
        return self._insert_with(self.acquire_sql, lock)

    def _insert_with(self, sql: str, lock: NewLock) -> tuple[Acquired | None, bool]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, self._values(lock))
            *row, is_live = cursor.fetchone()
        if row[1] == lock.token:
            return self._acquired(tuple(row)), False
        return None, not is_live

    def take_over(self, lock: NewLock) -> Acquired:
        """Lock the object and end whatever lock stood on it."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.take_over_sql, self._values(lock))
            return self._acquired(cursor.fetchone())


def is_lock_wait_timeout(error: OperationalError) -> bool:
    """Whether the database gave up waiting for a row."""
    return bool(error.args) and error.args[0] == LOCK_WAIT_TIMEOUT
