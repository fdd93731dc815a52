"""Transactions: statements that are tried again, rows as they are now."""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from time import sleep
from typing import Any, TypeVar

from django.db import (
    DataError,
    Error,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connections,
    models,
    router,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.functional import LazyObject

M = TypeVar("M", bound=models.Model)


def current_rows(objects: models.QuerySet[M]) -> models.QuerySet[M]:
    """Return a queryset that reads the rows as they are now.

    Without it, a transaction that has read them before may see them as they were then
    (``ATOMIC_REQUESTS`` under REPEATABLE READ).
    """
    connection = connections[objects.db]
    if connection.in_atomic_block and connection.features.has_select_for_update:
        own = ("self",) if connection.features.has_select_for_update_of else ()
        return objects.select_for_update(of=own)
    return objects


def reread(obj: Any) -> None:
    """Read the object as it is now. Raise ``DoesNotExist`` when it is gone."""
    if isinstance(obj, LazyObject) and bool(obj):  # request.user, which this loads
        obj = obj._wrapped
    using = router.db_for_write(type(obj), instance=obj)
    rows = current_rows(type(obj)._base_manager.using(using))
    values, key = vars(obj), obj._meta.pk.attname
    columns = [field.attname for field in obj._meta.concrete_fields]
    # Some fields take no second value, such as the protected ones of django-fsm-2.
    before = {name: values.pop(name) for name in columns if name in {*values} - {key}}
    try:
        obj.refresh_from_db(fields=[key, *before], from_queryset=rows)
    except BaseException:
        values.update(before)
        raise
    obj._state.fields_cache.clear()
    values.pop("_prefetched_objects_cache", None)


def reads_stale_snapshot(using: str) -> bool:
    """Say whether the transaction may read old rows and then write over newer ones.

    It may on MariaDB and MySQL, except under READ COMMITTED. PostgreSQL, and MariaDB
    since 11.6.2, undo such a transaction.
    """
    connection = connections[using]
    return (
        connection.in_atomic_block
        and connection.vendor == "mysql"
        and getattr(connection, "isolation_level", None) != "read committed"
    )


T = TypeVar("T")

ATTEMPTS = 10
PAUSE = 0.01
# Serialization failure and deadlock.
SQLSTATES = {"40001", "40P01"}
# Deadlock; on MariaDB also "record has changed", and a deadlock over the auto-increment.
MYSQL_ERRORS = {1213, 1020, 1467}
MYSQL_UNKNOWN_COLUMN = 1054


def retry_on_conflict(using: str, operation: Callable[[], T]) -> T:
    """Run an operation. Run it again if the database undid it because of a conflict.

    Inside a transaction the error is raised at once: the caller has to repeat the whole
    transaction.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return operation()
        except OperationalError as error:
            if in_transaction(connections[using]) or not is_retryable(error):
                raise
        # A random pause, so that the same two do not meet again.
        sleep(uniform(0, PAUSE * attempt))  # noqa: S311
    return operation()


def on_live_connection(using: str, operation: Callable[[], T]) -> T:
    """Run an operation. If the connection turns out to be dead, run it on a new one.

    This is for what ends a long piece of work. Its connection may be older than an outage
    of the database, and Django would replace it only after the request.
    """
    connection = connections[using]
    try:
        return operation()
    except Error:
        if in_transaction(connection) or connection.is_usable():
            raise
    connection.close()
    return operation()


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether the caller has an open transaction."""
    return connection.in_atomic_block or not connection.get_autocommit()


def after_commit(using: str, function: Callable[[], Any]) -> None:
    """Call the function when the transaction has committed, or now if there is none.

    With Django's autocommit switched off, nobody can tell when that is. Then the
    function is also called now.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        transaction.on_commit(function, using=using)
    else:
        function()


def needs_mending(error: Error) -> bool:
    """Whether a statement fails until somebody mends the database or the project.

    For example, the table is missing because nobody has run ``migrate``.
    """
    if isinstance(error, OperationalError):
        code = error.args[0] if error.args else None
        return code == MYSQL_UNKNOWN_COLUMN or str(code).startswith("no such ")
    return isinstance(
        error, ProgrammingError | DataError | IntegrityError | NotSupportedError
    )


def is_retryable(error: OperationalError) -> bool:
    """Whether the same statement may succeed when it is run again."""
    cause = error.__cause__
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return sqlstate in SQLSTATES or bool(error.args and error.args[0] in MYSQL_ERRORS)
