"""Asking again where the database undid a statement as a whole."""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from time import sleep
from typing import Any, TypeVar

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")

ATTEMPTS = 10
PAUSE = 0.01
# Serialization failure and deadlock.
SQLSTATES = {"40001", "40P01"}
# Deadlock; on MariaDB also "record has changed", and a deadlock over the auto-increment.
MYSQL_ERRORS = {1213, 1020, 1467}


def run(using: str, operation: Callable[[], T]) -> T:
    """Run an operation, again if the database undid it and may be asked again.

    Inside a transaction the failure goes on to the caller, whose whole transaction it
    is that has to be tried again.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return operation()
        except OperationalError as error:
            if in_transaction(connections[using]) or not is_retryable(error):
                raise
        # Apart, or those who met once meet again.
        sleep(uniform(0, PAUSE * attempt))  # noqa: S311
    return operation()


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether what is done now is the caller's to commit, by whatever means."""
    return connection.in_atomic_block or not connection.get_autocommit()


def after_commit(using: str, function: Callable[[], Any]) -> None:
    """Call the function once the transaction has committed; at once without one.

    With Django's autocommit switched off there is no telling when that is, and it is
    called at once too.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        transaction.on_commit(function, using=using)
    else:
        function()


def is_retryable(error: OperationalError) -> bool:
    """Whether the database says that the same statement may succeed next time."""
    cause = error.__cause__
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return sqlstate in SQLSTATES or bool(error.args and error.args[0] in MYSQL_ERRORS)
