"""The lock's SQL, one statement an operation, and all of it in this room.

Every rule about who may have a lock is decided inside one of these statements, by the
database's own clock (UTC, at the start of the statement) and the unique key on content
type and object id. Nothing is read first and written later.

The text is built once per database (:func:`for_database`), from the model's own meta.
Databases that have no dialect here go the ORM's way, in ``portable.py``, with the same
methods.
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any, NamedTuple, cast

from django.apps import apps
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .fields import from_utc
from .portable import PortableStatements
from .rows import Acquired, NewLock, Standing

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
MYSQL_LOCK_WAIT_TIMEOUT = 1205


class Names(NamedTuple):
    """The quoted names that every statement uses."""

    table: str
    id: str
    created: str
    token: str
    content_type: str
    object_id: str
    locked_at: str
    expires_at: str
    locked_by: str


def quoted_names(connection: BaseDatabaseWrapper) -> Names:
    meta = apps.get_model("lock_tokens", "LockToken")._meta
    column = {field.name: str(field.column) for field in meta.concrete_fields}
    quote = connection.ops.quote_name
    return Names(
        table=quote(meta.db_table),
        id=quote(column["id"]),
        created=quote(column["created"]),
        token=quote(column["token_str"]),
        content_type=quote(column["locked_object_content_type"]),
        object_id=quote(column["locked_object_id"]),
        locked_at=quote(column["locked_at"]),
        expires_at=quote(column["expires_at"]),
        locked_by=quote(column["locked_by"]),
    )


class Statements:
    """What the dialects share: everything that is plain SQL."""

    #: SQL of the clock, and of the clock plus a number of seconds given as a parameter.
    now: str
    later: str
    #: SQL function that gives the greater of two values.
    greatest = "GREATEST"

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.alias = connection.alias
        n = self.names = quoted_names(connection)
        self.its_key = f"{n.content_type} = %s AND {n.object_id} = %s"
        self.is_live = f"{n.expires_at} > {self.now}"
        self.its_token = f"{self.its_key} AND {n.token} = %s"
        self.live_sql = (
            f"SELECT 1 FROM {n.table} WHERE {self.its_key} AND {self.is_live}"
        )
        self.standing_sql = (
            f"SELECT {n.token}, {self.is_live} FROM {n.table} WHERE {self.its_key}"
        )
        self.release_sql = f"DELETE FROM {n.table} WHERE {self.its_token}"
        self.remove_sql = f"DELETE FROM {n.table} WHERE {self.its_key}"

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]

    def as_datetime(self, value: datetime.datetime) -> datetime.datetime:
        """Return what the driver gave for a datetime column as the project wants it."""
        return from_utc(value.replace(tzinfo=UTC))

    def is_locked(self, content_type_id: int, key: str) -> bool:
        """Say whether a live lock stands."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.live_sql, (content_type_id, key))
            return cursor.fetchone() is not None

    def standing(self, content_type_id: int, key: str) -> Standing | None:
        """Return the token that stands, and whether it is live; ``None`` if free."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.standing_sql, (content_type_id, key))
            row = cursor.fetchone()
        return Standing(row[0], bool(row[1])) if row else None

    def release(self, content_type_id: int, key: str, token: str) -> bool:
        """Delete the lock that this token holds; say whether there was one."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.release_sql, (content_type_id, key, token))
            return bool(cursor.rowcount)

    def remove(self, content_type_id: int, key: str) -> bool:
        """Delete the object's lock, whoever holds it; say whether there was one."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.remove_sql, (content_type_id, key))
            return bool(cursor.rowcount)


class ReturningStatements(Statements):
    """PostgreSQL and SQLite: conditional upsert and ``RETURNING``."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        n = self.names
        new_row = (
            f"INSERT INTO {n.table} ({n.created}, {n.token}, {n.content_type},"
            f" {n.object_id}, {n.locked_at}, {n.expires_at}, {n.locked_by})"
            f" SELECT {self.now}, {self.typed(connection, 'token_str')},"
            f" {self.typed(connection, 'locked_object_content_type')},"
            f" {self.typed(connection, 'locked_object_id')}, {self.now}, {self.later},"
            f" {self.typed(connection, 'locked_by')}"
        )
        # Which of the two tokens comes back tells which way the row came in.
        over_the_old = (
            f" ON CONFLICT ({n.content_type}, {n.object_id}) DO UPDATE SET"
            f" {n.id} = excluded.{n.id}, {n.created} = excluded.{n.created},"
            f" {n.token} = %s, {n.locked_at} = excluded.{n.locked_at},"
            f" {n.expires_at} = excluded.{n.expires_at},"
            f" {n.locked_by} = excluded.{n.locked_by}"
        )
        result = f" RETURNING {n.id}, {n.token}, {n.locked_at}, {n.expires_at}"
        # The first condition keeps a refusal from writing (or waiting for) the live
        # row, the second decides when two of these statements meet.
        self.acquire_sql = (
            f"{new_row} WHERE NOT EXISTS ({self.live_sql}){over_the_old}"
            f" WHERE {n.table}.{n.expires_at} <= {self.now}{result}"
        )
        self.take_over_sql = f"{new_row} WHERE 1 = 1{over_the_old}{result}"
        renew = f"UPDATE {n.table} SET {n.expires_at} = %s WHERE {self.its_token}"
        returning = f" RETURNING {n.expires_at}"
        self.renew_sql = renew.replace("%s", self.later, 1) + returning
        self.extend_sql = (
            renew.replace("%s", f"{self.greatest}({n.expires_at}, {self.later})", 1)
            + returning
        )

    def typed(self, connection: BaseDatabaseWrapper, name: str) -> str:
        """Return a parameter that has the type of the column ``name``."""
        return "%s"

    def acquire(self, lock: NewLock) -> Acquired | None:
        """Lock a free object, or replace its expired lock; ``None`` when it is held."""
        return self._insert(
            self.acquire_sql,
            lock,
            (lock.content_type_id, lock.key, lock.replacing_token),
        )

    def take_over(self, lock: NewLock) -> Acquired:
        """Lock the object and end whatever lock stood on it."""
        acquired = self._insert(self.take_over_sql, lock, (lock.replacing_token,))
        return cast("Acquired", acquired)  # without a condition there is always a row

    def _insert(
        self, sql: str, lock: NewLock, more: tuple[Any, ...]
    ) -> Acquired | None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                sql,
                (
                    lock.token,
                    lock.content_type_id,
                    lock.key,
                    lock.seconds,
                    lock.locked_by_id,
                    *more,
                ),
            )
            row = cursor.fetchone()
        if row is None:
            return None
        return Acquired(
            id=row[0],
            token=row[1],
            locked_at=self.as_datetime(row[2]),
            expires_at=self.as_datetime(row[3]),
            replaced=row[1] == lock.replacing_token,
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
        with self.connection.cursor() as cursor:
            cursor.execute(
                self.extend_sql if extend else self.renew_sql,
                (seconds, content_type_id, key, token),
            )
            row = cursor.fetchone()
        return self.as_datetime(row[0]) if row else None


class PostgreSQLStatements(ReturningStatements):
    now = "STATEMENT_TIMESTAMP()"
    later = "STATEMENT_TIMESTAMP() + CAST(%s AS double precision) * INTERVAL '1 second'"

    def typed(self, connection: BaseDatabaseWrapper, name: str) -> str:
        field = apps.get_model("lock_tokens", "LockToken")._meta.get_field(name)
        return f"CAST(%s AS {field.db_type(connection)})"

    def as_datetime(self, value: datetime.datetime) -> datetime.datetime:
        # Django has told the driver of USE_TZ and TIME_ZONE.
        return value


class SQLiteStatements(ReturningStatements):
    # SQLite compares datetimes as text, so each has the full six digits. Its clock has
    # milliseconds, and reads the same throughout a statement.
    now = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW')"
    later = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW', %s || ' seconds')"
    greatest = "MAX"


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
            if error.args and error.args[0] == MYSQL_LOCK_WAIT_TIMEOUT:
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


AnyStatements = (
    PostgreSQLStatements | SQLiteStatements | MySQLStatements | PortableStatements
)


@cache
def for_database(alias: str) -> AnyStatements:
    """Return the lock's statements for the database ``alias``."""
    connection = connections[alias]
    if connection.vendor == "mysql":
        return MySQLStatements(connection)
    if connection.features.can_return_columns_from_insert:
        if connection.vendor == "postgresql":
            return PostgreSQLStatements(connection)
        if connection.vendor == "sqlite":
            return SQLiteStatements(connection)
    return PortableStatements(alias)
