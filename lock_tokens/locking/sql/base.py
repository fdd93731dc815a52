"""What the dialects share: the names, and the statements in plain SQL."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, NamedTuple, TypeVar

from django.contrib.auth import get_user_model
from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper

from ..fields import UTCDateTimeField, from_utc
from .rows import CurrentToken, NewLock

UTC = datetime.timezone.utc


M = TypeVar("M", bound=models.Model)


class RowReader(Generic[M]):
    """Reads rows of a model as instances, with the ORM's converters."""

    def __init__(self, model: type[M], connection: BaseDatabaseWrapper) -> None:
        self.model = model
        table = model._meta.db_table
        columns = [field.get_col(table) for field in model._meta.concrete_fields]
        self.names = [field.attname for field in model._meta.concrete_fields]
        quote = connection.ops.quote_name
        #: The columns to select, in the order that :meth:`read` takes their values in.
        self.select = ", ".join(
            f"{quote(table)}.{quote(str(column.target.column))}" for column in columns
        )
        self.converters = []
        for index, column in enumerate(columns):
            functions = column.get_db_converters(connection)
            # That of our own columns converts what the driver gives.
            if not isinstance(column.target, UTCDateTimeField):
                functions = connection.ops.get_db_converters(column) + functions
            if functions:
                self.converters.append((index, functions, column))

    def read(self, values: Sequence[Any], connection: BaseDatabaseWrapper) -> M:
        """Return the instance with these values of the columns."""
        converted = list(values)
        for index, functions, column in self.converters:
            for function in functions:
                converted[index] = function(converted[index], column, connection)
        return self.model.from_db(connection.alias, self.names, converted)


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


def quoted_names(model: type[models.Model], connection: BaseDatabaseWrapper) -> Names:
    meta = model._meta
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


class Statements(ABC):
    """The statements that are plain SQL, and what the dialects fill in.

    Their parameters have names: ``type`` and ``key`` (of the object), ``token``,
    ``replacing_token``, ``life``, ``user`` and ``expiring_at``. On SQLite, Django takes
    ten times as long to translate a statement whose parameters have none.
    """

    #: SQL of the clock, and of the clock plus a lock's life.
    now: str
    later: str
    #: Whether an acquire inside a transaction first looks whether the object is free.
    looks_first = False
    #: SQL function that gives the greater of two values.
    greatest = "GREATEST"

    def __init__(
        self, model: type[models.Model], connection: BaseDatabaseWrapper
    ) -> None:
        self.model = model
        self.alias = connection.alias
        n = self.names = quoted_names(model, connection)
        self.its_key = f"{n.content_type} = %(type)s AND {n.object_id} = %(key)s"
        self.is_live = f"{n.expires_at} > {self.now}"
        self.its_token = f"{self.its_key} AND {n.token} = %(token)s"
        self.live_sql = (
            f"SELECT 1 FROM {n.table} WHERE {self.its_key} AND {self.is_live}"
        )
        self.current_token_sql = (
            f"SELECT {n.token}, {self.is_live} FROM {n.table} WHERE {self.its_key}"
        )
        self._prepare_live_lock(connection)
        self.renew_sql = self._renewal(self.later)
        self.renew_expiring_sql = self._renewal(
            self.later, f" AND {n.expires_at} = %(expiring_at)s"
        )
        self.extend_sql = self._renewal(
            f"{self.greatest}({n.expires_at}, {self.later})"
        )
        its_user = f" AND ({n.locked_by} IS NULL OR {n.locked_by} = %(user)s)"
        self.renew_for_user_sql = self._renewal(self.later, its_user)
        self.extend_for_user_sql = self._renewal(
            f"{self.greatest}({n.expires_at}, {self.later})", its_user
        )
        self.release_sql = f"DELETE FROM {n.table} WHERE {self.its_token}"
        self.remove_sql = f"DELETE FROM {n.table} WHERE {self.its_key}"

    @abstractmethod
    def _renewal(self, expiry: str, condition: str = "") -> str:
        """Write an UPDATE of the expiry. ``condition`` comes after that of the token."""

    def _prepare_live_lock(self, connection: BaseDatabaseWrapper) -> None:
        """Write the statement that reads a live lock together with its holder.

        If the users are in another database or in several tables, ``LockToken.holder()``
        reads the holder later.
        """
        n = self.names
        self.locks: RowReader[Any] = RowReader(self.model, connection)
        self.locked_by: Any = self.locks.model._meta.get_field("locked_by")
        self.users: RowReader[Any] | None = None
        users = get_user_model()
        select, join = self.locks.select, ""
        if router.db_for_write(users) == self.alias and not users._meta.parents:
            self.users = RowReader(users, connection)
            quote = connection.ops.quote_name
            table, key = quote(users._meta.db_table), quote(str(users._meta.pk.column))
            select = f"{select}, {self.users.select}"
            join = f" LEFT JOIN {table} ON {table}.{key} = {n.table}.{n.locked_by}"
        self.live_lock_sql = (
            f"SELECT {select} FROM {n.table}{join}"
            f" WHERE {n.table}.{n.content_type} = %(type)s"
            f" AND {n.table}.{n.object_id} = %(key)s"
            f" AND {n.table}.{n.expires_at} > {self.now}"
        )

    def live_lock(self, content_type_id: int, key: str) -> Any:
        """Return the live lock with its holder; ``None`` when there is none."""
        return self.lock_of(self.live_lock_sql, {"type": content_type_id, "key": key})

    def lock_of(self, sql: str, parameters: dict[str, Any]) -> Any:
        """Return the lock that a statement gives; ``None`` when it gives no row.

        If the statement gives the columns of the user too, the lock has its holder.
        """
        connection = self.connection
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            row = cursor.fetchone()
        if row is None:
            return None
        width = len(self.locks.names)
        lock, user = self.locks.read(row[:width], connection), row[width:]
        if self.users is not None and any(value is not None for value in user):
            self.locked_by.set_cached_value(lock, self.users.read(user, connection))
        return lock

    def life(self, seconds: float) -> float:
        """Return a number of seconds as ``later`` takes it."""
        return seconds

    def parameters(self, lock: NewLock) -> dict[str, Any]:
        """Return the parameters of a new row."""
        return {
            "type": lock.content_type_id,
            "key": lock.key,
            "token": lock.token,
            "replacing_token": lock.replacing_token,
            "life": self.life(lock.seconds),
            "user": self.as_user(lock.locked_by_id),
        }

    def as_user(self, user_id: Any) -> Any:
        """Return the key of a user as the driver takes it."""
        return self.locked_by.get_db_prep_save(user_id, self.connection)

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]

    def as_datetime(self, value: datetime.datetime) -> datetime.datetime:
        """Return a datetime of the driver in the form that the settings ask for."""
        return from_utc(value.replace(tzinfo=UTC))

    def as_parameter(self, value: datetime.datetime) -> Any:
        """Return a datetime as the driver takes it for a datetime column."""
        return self.locks.model._meta.get_field("expires_at").get_db_prep_value(
            value, self.connection
        )

    def waiting(self) -> AbstractContextManager[None]:
        """Raise ``Busy`` when the block waits for a row for too long.

        This concerns databases that end such a wait and let the transaction go on.
        """
        return nullcontext()

    def is_locked(self, content_type_id: int, key: str) -> bool:
        """Say whether the object has a live lock."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.live_sql, {"type": content_type_id, "key": key})
            return cursor.fetchone() is not None

    def current_token(self, content_type_id: int, key: str) -> CurrentToken | None:
        """Return the token of the lock, and whether it is live; ``None`` if free."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                self.current_token_sql, {"type": content_type_id, "key": key}
            )
            row = cursor.fetchone()
        return CurrentToken(row[0], bool(row[1])) if row else None

    def renew(
        self,
        content_type_id: int,
        key: str,
        token: str,
        seconds: float,
        extend: bool = False,
        expiring_at: datetime.datetime | None = None,
        user_id: Any = None,
    ) -> datetime.datetime | None:
        """Move the expiry to ``seconds`` from now and return it.

        With ``extend`` a later expiry is kept. Returns ``None`` when this is not the
        lock's token, when the expiry is no longer ``expiring_at``, and when a user other
        than ``user_id`` has the lock. Only one of the last two can be given.
        """
        sql = self.extend_sql if extend else self.renew_sql
        parameters: dict[str, Any] = {
            "type": content_type_id,
            "key": key,
            "token": token,
            "life": self.life(seconds),
        }
        if expiring_at is not None:
            sql = self.renew_expiring_sql
            parameters["expiring_at"] = self.as_parameter(expiring_at)
        elif user_id is not None:
            sql = self.extend_for_user_sql if extend else self.renew_for_user_sql
            parameters["user"] = self.as_user(user_id)
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return self.new_expiry(cursor)

    def new_expiry(self, cursor: Any) -> datetime.datetime | None:
        """Return what a renewal has written; ``None`` when it met no row."""
        row = cursor.fetchone()
        return self.as_datetime(row[0]) if row else None

    def release(self, content_type_id: int, key: str, token: str) -> bool:
        """Delete the lock that has this token; say whether there was one."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                self.release_sql, {"type": content_type_id, "key": key, "token": token}
            )
            return bool(cursor.rowcount)

    def remove(self, content_type_id: int, key: str) -> bool:
        """Delete the object's lock, whoever holds it; say whether there was one."""
        with self.connection.cursor() as cursor:
            cursor.execute(self.remove_sql, {"type": content_type_id, "key": key})
            return bool(cursor.rowcount)
