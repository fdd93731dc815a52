"""MariaDB and MySQL."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..fields import from_utc
from .base import UTC, Statements
from .rows import Acquired, NewLock

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
LOCK_WAIT_TIMEOUT = 1205


class MySQLStatements(Statements):
    """MariaDB and MySQL: an insert that tolerates the conflict, then DELETE and again.

    ``ON DUPLICATE KEY UPDATE`` with a value that does not change, not INSERT IGNORE: it
    hides no other error, and takes the row's lock exclusively, so that two who replace
    the same expired lock inside transactions wait instead of deadlocking.

    The expiry comes back through ``LAST_INSERT_ID(expression)``, in microseconds since
    1970: an UPDATE here has no ``RETURNING``.
    """

    now = "UTC_TIMESTAMP(6)"
    later = "UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND"

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        n = self.names
        columns = (
            f"({n.created}, {n.token}, {n.content_type}, {n.object_id},"
            f" {n.locked_at}, {n.expires_at}, {n.locked_by})"
        )
        values = f"{self.now}, %s, %s, %s, {self.now}, {self.later}, %s"
        self.returning = connection.features.can_return_columns_from_insert
        result = (
            f" RETURNING {n.id}, {n.token}, {n.locked_at}, {n.expires_at}"
            if self.returning
            else ""
        )
        # No change to the row; on MySQL, an insert id of 0 tells the conflict.
        self.acquire_sql = (
            f"INSERT INTO {n.table} {columns} SELECT {values} FROM DUAL"
            f" WHERE NOT EXISTS ({self.live_sql})"
            f" ON DUPLICATE KEY UPDATE"
            f" {n.id} = {n.table}.{n.id} + LAST_INSERT_ID(0){result}"
        )
        self.delete_expired_sql = (
            f"DELETE FROM {n.table} WHERE {self.its_key}"
            f" AND {n.expires_at} <= {self.now}"
        )
        self.take_over_sql = (
            f"REPLACE INTO {n.table} {columns} VALUES ({values}){result}"
        )
        self.read_back_sql = (
            f"SELECT {n.id}, {n.token}, {n.locked_at}, {n.expires_at}"
            f" FROM {n.table} WHERE {self.its_token}"
        )
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
        """Lock a free object, or replace its expired lock; ``None`` when it is held."""
        try:
            acquired, conflict = self._insert(lock)
            if acquired or not conflict:
                return acquired
            with self.connection.cursor() as cursor:
                cursor.execute(
                    self.delete_expired_sql, (lock.content_type_id, lock.key)
                )
                replaced = cursor.rowcount > 0
            acquired, conflict = self._insert(lock)
        except OperationalError as error:
            # The row was locked throughout the wait, by its holder's transaction. Only
            # the statement was undone.
            if error.args and error.args[0] == LOCK_WAIT_TIMEOUT:
                return None
            raise
        return acquired._replace(replaced=replaced) if acquired else None

    def _insert(self, lock: NewLock) -> tuple[Acquired | None, bool]:
        """Return what was inserted, and whether an expired lock stood in the way."""
        parameters = (*self._values(lock), lock.content_type_id, lock.key)
        with self.connection.cursor() as cursor:
            cursor.execute(self.acquire_sql, parameters)
            if self.returning:
                row = cursor.fetchone()
                if row is None or row[1] != lock.token:
                    return None, row is not None
                return self._acquired(row), False
            if not cursor.lastrowid:
                return None, cursor.rowcount > 0
        return self._read_back(lock), False

    def take_over(self, lock: NewLock) -> Acquired:
        """Lock the object and end whatever lock stood on it."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.take_over_sql, self._values(lock))
            row = cursor.fetchone() if self.returning else None
        return self._acquired(row) if row else self._read_back(lock)

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
