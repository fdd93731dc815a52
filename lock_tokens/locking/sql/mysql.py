"""MariaDB and MySQL."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db import OperationalError, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..fields import from_utc
from ..transactions import in_transaction
from .base import UTC, Statements
from .rows import Busy, NewLock

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
LOCK_WAIT_TIMEOUT = 1205


class MySQLStatements(Statements):
    """MySQL: an upsert that changes only an expired row, and then reads the row back.

    It is ``ON DUPLICATE KEY UPDATE``. INSERT IGNORE would hide other errors too. DELETE
    and INSERT, or REPLACE, would lock the gaps between the keys: they would wait for a
    neighbouring lock in an open transaction.

    An UPDATE has no ``RETURNING`` here. A renewal's new expiry comes back through
    ``LAST_INSERT_ID(expression)``, in microseconds since 1970.
    """

    now = "UTC_TIMESTAMP(6)"
    later = "UTC_TIMESTAMP(6) + INTERVAL %(life)s MICROSECOND"
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
        values = (
            f"{self.now}, %(token)s, %(type)s, %(key)s, {self.now}, {self.later},"
            " %(user)s"
        )
        # With the condition, a refusal does not wait for a live row while its holder is
        # saving.
        self.acquire_sql = (
            f"INSERT INTO {n.table} {columns} SELECT {values} FROM DUAL"
            f" WHERE NOT EXISTS ({self.live_sql}){self._over_the_old(only_expired=True)}"
        )
        self.insert = f"INSERT INTO {n.table} {columns} VALUES ({values})"
        self.take_over_sql = f"{self.insert}{self._over_the_old(only_expired=False)}"
        self.read_back_sql = (
            f"SELECT {self.locks.select} FROM {n.table}"
            f" WHERE {self.its_key} AND {n.token} IN (%(token)s, %(replacing_token)s)"
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@innodb_rollback_on_timeout")
            #: Whether a lock wait timeout undoes the whole transaction.
            self.waits_undo_all = bool(cursor.fetchone()[0])

    def _over_the_old(self, *, only_expired: bool) -> str:
        """Return the clause that puts the new row in the place of the old one.

        The token that the row then has tells whether it was inserted or replaced. The
        expiry comes last: each assignment sees those before it.
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
            assign(n.token, "%(replacing_token)s"),
            assign(n.locked_at, f"VALUES({n.locked_at})"),
            assign(n.locked_by, f"VALUES({n.locked_by})"),
            assign(n.expires_at, f"VALUES({n.expires_at})"),
        ]
        return f" ON DUPLICATE KEY UPDATE {', '.join(assignments)}"

    def _renewal(self, expiry: str, condition: str = "") -> str:
        n = self.names
        return (
            f"UPDATE {n.table} SET {n.expires_at} = {expiry}"
            f" WHERE {self.its_token} AND LAST_INSERT_ID(TIMESTAMPDIFF(MICROSECOND,"
            f" '1970-01-01 00:00:00', {expiry})) IS NOT NULL{condition}"
        )

    def acquire(self, lock: NewLock) -> Any:
        """Lock a free object, or replace its expired lock; return the lock that it has.

        That is the new one, or another's live one. It is ``None`` when another's went
        away meanwhile, or this transaction does not see it yet.

        Raises ``Busy`` when another transaction kept the row until the wait ended.
        """
        # The statement locks the row that it meets until the transaction ends. The holder
        # could not renew for so long: look first.
        if in_transaction(self.connection) and not lock.has_looked:
            live = self.live_lock(lock.content_type_id, lock.key)
            if live is not None:
                return live
        with self.waiting():
            return self._acquire(lock)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            if not is_lock_wait_timeout(error):
                raise
            if self.waits_undo_all and in_transaction(self.connection):
                # All of the transaction is undone. A refusal would be handled, and the
                # caller would go on as if its writes were still there.
                self.connection.needs_rollback = True
                raise
            raise Busy from error

    def _acquire(self, lock: NewLock) -> Any:
        parameters = self.parameters(lock)
        # Without a transaction of its own. If the new lock is taken over before it is read
        # back, it is gone, and the object is another's.
        with self.connection.cursor() as cursor:
            cursor.execute(self.acquire_sql, parameters)
            found = cursor.rowcount
            made = self.lock_of(self.read_back_sql, parameters) if found else None
        return made or self.live_lock(lock.content_type_id, lock.key)

    def take_over(self, lock: NewLock) -> Any:
        """Lock the object, end the lock that it had, and return the new one."""
        parameters = self.parameters(lock)
        with self._one_transaction(), self.connection.cursor() as cursor:
            cursor.execute(self.take_over_sql, parameters)
            return self.lock_of(self.read_back_sql, parameters)

    def _one_transaction(self) -> AbstractContextManager[None]:
        """Return the caller's transaction, or a new one.

        In it, nobody can take the new lock over before it is read back. Do not use
        ``atomic(savepoint=False)`` for both: a refusal would condemn the caller's.
        """
        if in_transaction(self.connection):
            return nullcontext()
        return transaction.atomic(using=self.alias)

    def life(self, seconds: float) -> float:
        """Return microseconds."""
        return round(seconds * 1_000_000)

    def new_expiry(self, cursor: Any) -> datetime.datetime | None:
        if not cursor.rowcount:
            return None
        return from_utc(EPOCH + datetime.timedelta(microseconds=cursor.lastrowid))


class MariaDBStatements(MySQLStatements):
    """MariaDB: as MySQL, with ``RETURNING`` on the insert.

    The insert has plain VALUES. Under the default ``innodb_autoinc_lock_mode`` of 1, an
    insert from a SELECT locks the whole table until it ends: an acquire that waits for
    one row would block all others.
    """

    def __init__(
        self, model: type[models.Model], connection: BaseDatabaseWrapper
    ) -> None:
        super().__init__(model, connection)
        # The row that stands then, also another's. A user's row must not be read here:
        # the statement would lock it, and wait for it.
        returning = f" RETURNING {self.locks.select}"
        self.insert_sql = (
            f"{self.insert}{self._over_the_old(only_expired=True)}{returning}"
        )
        self.insert_at_once_sql = (
            f"SET STATEMENT innodb_lock_wait_timeout = 0 FOR {self.insert_sql}"
        )
        self.take_over_sql += returning

    def _acquire(self, lock: NewLock) -> Any:
        parameters = self.parameters(lock)
        if lock.has_looked or (self.waits_undo_all and in_transaction(self.connection)):
            return self.lock_of(self.insert_sql, parameters)
        try:
            return self.lock_of(self.insert_at_once_sql, parameters)
        except OperationalError as error:
            if not is_lock_wait_timeout(error):
                raise
        # Another transaction has the row. If the lock is live, refuse at once. If it has
        # expired, wait: the other transaction may renew or release it.
        live = self.live_lock(lock.content_type_id, lock.key)
        return live or self.lock_of(self.insert_sql, parameters)

    def take_over(self, lock: NewLock) -> Any:
        """Lock the object, end the lock that it had, and return the new one."""
        return self.lock_of(self.take_over_sql, self.parameters(lock))


def is_lock_wait_timeout(error: OperationalError) -> bool:
    """Whether the database stopped waiting for a row."""
    return bool(error.args) and error.args[0] == LOCK_WAIT_TIMEOUT
