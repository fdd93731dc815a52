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
        self.renew_expiring_sql = (
            renew.replace("%s", self.later, 1) + self.its_expiry + returning
        )
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
                    self.prepared_user(lock),
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
        expiring_at: datetime.datetime | None = None,
    ) -> datetime.datetime | None:
        """Move the expiry to ``seconds`` from now and return it.

        With ``extend`` a later expiry stays. ``None`` when the token does not stand,
        and when the expiry is not ``expiring_at`` any more.
        """
        sql = self.extend_sql if extend else self.renew_sql
        parameters: tuple[Any, ...] = (seconds, content_type_id, key, token)
        if expiring_at is not None:
            sql = self.renew_expiring_sql
            parameters = (*parameters, self.as_parameter(expiring_at))
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            row = cursor.fetchone()
        return self.as_datetime(row[0]) if row else None


class PostgreSQLStatements(ReturningStatements):
    now = "STATEMENT_TIMESTAMP()"
    later = "STATEMENT_TIMESTAMP() + CAST(%s AS double precision) * INTERVAL '1 second'"

    def typed(self, connection: BaseDatabaseWrapper, name: str) -> str:
        field = self.model._meta.get_field(name)
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
