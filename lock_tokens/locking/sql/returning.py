"""PostgreSQL and SQLite."""

from __future__ import annotations

import datetime
from typing import Any, cast

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from .base import Statements
from .rows import Acquired, NewLock


class ReturningStatements(Statements):
    """PostgreSQL and SQLite: conditional upsert and ``RETURNING``."""

    def __init__(
        self, model: type[models.Model], connection: BaseDatabaseWrapper
    ) -> None:
        super().__init__(model, connection)
        n = self.names
        new_row = (
            f"INSERT INTO {n.table} ({n.created}, {n.token}, {n.content_type},"
            f" {n.object_id}, {n.locked_at}, {n.expires_at}, {n.locked_by})"
            f" SELECT {self.now}, {self.typed(connection, 'token_str')},"
            f" {self.typed(connection, 'locked_object_content_type')},"
            f" {self.typed(connection, 'locked_object_id')}, {self.now}, {self.later},"
            f" {self.typed(connection, 'locked_by')}"
        )
        # The token that comes back tells whether the row was inserted or replaced.
        over_the_old = (
            f" ON CONFLICT ({n.content_type}, {n.object_id}) DO UPDATE SET"
            f" {n.id} = excluded.{n.id}, {n.created} = excluded.{n.created},"
            f" {n.token} = %s, {n.locked_at} = excluded.{n.locked_at},"
            f" {n.expires_at} = excluded.{n.expires_at},"
            f" {n.locked_by} = excluded.{n.locked_by}"
        )
        result = f" RETURNING {n.id}, {n.token}, {n.locked_at}, {n.expires_at}"
        # With the first condition, a refusal neither writes the live row nor waits for
        # it. The second decides when two of these statements meet.
        self.acquire_sql = (
            f"{new_row} WHERE NOT EXISTS ({self.live_sql}){over_the_old}"
            f" WHERE {n.table}.{n.expires_at} <= {self.now}{result}"
        )
        self.take_over_sql = f"{new_row} WHERE 1 = 1{over_the_old}{result}"

    def _renewal(self, expiry: str, condition: str = "") -> str:
        n = self.names
        return (
            f"UPDATE {n.table} SET {n.expires_at} = {expiry}"
            f" WHERE {self.its_token}{condition} RETURNING {n.expires_at}"
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
        """Lock the object and end the lock that it had."""
        acquired = self._insert(self.take_over_sql, lock, (lock.replacing_token,))
        return cast(
            "Acquired", acquired
        )  # there is no condition, so there is always a row

    def _insert(
        self, sql: str, lock: NewLock, more: tuple[Any, ...]
    ) -> Acquired | None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, (*self.values(lock), *more))
            return self.acquired(cursor.fetchone(), lock)


class PostgreSQLStatements(ReturningStatements):
    now = "STATEMENT_TIMESTAMP()"
    later = "STATEMENT_TIMESTAMP() + CAST(%s AS double precision) * INTERVAL '1 second'"

    def typed(self, connection: BaseDatabaseWrapper, name: str) -> str:
        field = self.model._meta.get_field(name)
        return f"CAST(%s AS {field.db_type(connection)})"

    def as_datetime(self, value: datetime.datetime) -> datetime.datetime:
        # Django has told the driver about USE_TZ and TIME_ZONE.
        return value


class SQLiteStatements(ReturningStatements):
    # SQLite compares datetimes as text, so each has the full six digits. Its clock has
    # milliseconds, and reads the same throughout a statement.
    now = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW')"
    later = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW', %s || ' seconds')"
    greatest = "MAX"
