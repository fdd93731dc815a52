"""Asking again where the database undid a statement as a whole."""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from time import sleep
from typing import TypeVar

from django.db import OperationalError, connections

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
            if connections[using].in_atomic_block or not is_retryable(error):
                raise
        # Apart, or those who met once meet again.
        sleep(uniform(0, PAUSE * attempt))  # noqa: S311
    return operation()


def is_retryable(error: OperationalError) -> bool:
    """Whether the database says that the same statement may succeed next time."""
    cause = error.__cause__
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return sqlstate in SQLSTATES or bool(error.args and error.args[0] in MYSQL_ERRORS)
