"""PostgreSQL and SQLite."""

from __future__ import annotations

import datetime
from abc import abstractmethod
from functools import partial
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from ..transactions import in_transaction
from .base import Statements
from .rows import NewLock


class ReturningStatements(Statements):
    """PostgreSQL and SQLite: conditional upsert and ``RETURNING``."""

    def __init__(
        self, model: type[models.Model], connection: BaseDatabaseWrapper
    ) -> None:
        super().__init__(model, connection)
        n, typed = self.names, partial(self.typed, connection)
        new_row = (
            f"INSERT INTO {n.table} ({n.created}, {n.token}, {n.content_type},"
            f" {n.object_id}, {n.locked_at}, {n.expires_at}, {n.locked_by})"
            f" SELECT {self.now}, {typed('%(token)s', 'token_str')},"
            f" {typed('%(type)s', 'locked_object_content_type')},"
            f" {typed('%(key)s', 'locked_object_id')}, {self.now}, {self.later},"
            f" {typed('%(user)s', 'locked_by')}"
        )
        # The token that comes back tells whether the row was inserted or replaced.
        over_the_old = (
            f" ON CONFLICT ({n.content_type}, {n.object_id}) DO UPDATE SET"
            f" {n.id} = excluded.{n.id}, {n.created} = excluded.{n.created},"
            f" {n.token} = %(replacing_token)s, {n.locked_at} = excluded.{n.locked_at},"
            f" {n.expires_at} = excluded.{n.expires_at},"
            f" {n.locked_by} = excluded.{n.locked_by}"
        )
        result = f" RETURNING {self.locks.select}"
        self.take_over_sql = f"{new_row} WHERE 1 = 1{over_the_old}{result}"
        self.acquire_sql = self._acquisition(
            new_row,
            f"{over_the_old} WHERE {n.table}.{n.expires_at} <= {self.now}{result}",
        )

    @abstractmethod
    def _acquisition(self, new_row: str, over_an_expired: str) -> str:
        """Write an upsert that does nothing where it sees a live lock.

        So a refusal neither writes the live row nor waits for it. ``over_an_expired``
        decides when two of these statements meet.
        """

    def _renewal(self, expiry: str, condition: str = "") -> str:
        n = self.names
        return (
            f"UPDATE {n.table} SET {n.expires_at} = {expiry}"
            f" WHERE {self.its_token}{condition} RETURNING {n.expires_at}"
        )

    def typed(self, connection: BaseDatabaseWrapper, parameter: str, name: str) -> str:
        """Return a parameter that has the type of the field ``name``."""
        return parameter

    def take_over(self, lock: NewLock) -> Any:
        """Lock the object, end the lock that it had, and return the new one."""
        return self.lock_of(self.take_over_sql, self.parameters(lock))


class PostgreSQLStatements(ReturningStatements):
    now = "STATEMENT_TIMESTAMP()"
    later = (
        "STATEMENT_TIMESTAMP()"
        " + CAST(%(life)s AS double precision) * INTERVAL '1 second'"
    )

    def _acquisition(self, new_row: str, over_an_expired: str) -> str:
        """Write a statement that gives the new lock, or the live one with its holder."""
        no_user = ", NULL" * len(self.users.names) if self.users else ""
        return (
            f"WITH held AS ({self.live_lock_sql}), made AS ({new_row}"
            f" WHERE NOT EXISTS (SELECT 1 FROM held){over_an_expired})"
            f" SELECT * FROM held UNION ALL SELECT *{no_user} FROM made"
        )

    def acquire(self, lock: NewLock) -> Any:
        """Lock a free object, or replace its expired lock; return the lock that it has.

        That is the new one, or another's live one. It is ``None`` when another's was
        made after the statement had begun, which does not see it.
        """
        return self.lock_of(self.acquire_sql, self.parameters(lock))

    def typed(self, connection: BaseDatabaseWrapper, parameter: str, name: str) -> str:
        field = self.model._meta.get_field(name)
        return f"CAST({parameter} AS {field.db_type(connection)})"

    def as_datetime(self, value: datetime.datetime) -> datetime.datetime:
        # Django has told the driver about USE_TZ and TIME_ZONE.
        return value


class SQLiteStatements(ReturningStatements):
    # SQLite compares datetimes as text, so each has the full six digits. Its clock has
    # milliseconds, and reads the same throughout a statement.
    now = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW')"
    later = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW', %(life)s || ' seconds')"
    greatest = "MAX"

    def _acquisition(self, new_row: str, over_an_expired: str) -> str:
        return f"{new_row} WHERE NOT EXISTS ({self.live_sql}){over_an_expired}"

    def acquire(self, lock: NewLock) -> Any:
        """Lock a free object, or replace its expired lock; return the lock that it has.

        That is the new one, or another's live one. It is ``None`` when another's came
        or went meanwhile.
        """
        # A look takes no write lock, so a refusal waits for no writer. A transaction may
        # not look first: it could not write any more once another had written.
        key = lock.content_type_id, lock.key
        if not in_transaction(self.connection):
            live = self.live_lock(*key)
            if live is not None:
                return live
        made = self.lock_of(self.acquire_sql, self.parameters(lock))
        return made or self.live_lock(*key)
