"""The work that is measured: the same calls for both packages, and the bare statements.

An operation is a function without arguments that says whether it did its work; False is
a refusal. Whatever it raises is an error.
"""

import secrets
from contextlib import closing, suppress
from functools import partial

from django.contrib.contenttypes.models import ContentType
from django.db import connection

from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.models import LockableModel

#: A release that fails is asked for again, else the object would stay locked.
RELEASE_ATTEMPTS = 1000


def retried(release, count):
    """Call ``release`` until it raises nothing; ``count`` every exception."""
    for _attempt in range(RELEASE_ATTEMPTS):
        try:
            return release()
        except Exception as error:
            count(error)
    raise RuntimeError("An object could not be released.")


def package_operations(obj, token, count):
    """Return the operations by the API that 0.2.5 and this package share.

    ``token`` is that of the lock on ``obj``, where the operation needs one.
    """

    def cycle():
        try:
            made = LockableModel.lock(obj)["token"]
        except AlreadyLockedError:
            return False
        retried(lambda: LockableModel.unlock(obj, made), count)
        return True

    def refuse():
        try:
            LockableModel.lock(obj)
        except AlreadyLockedError:
            return True
        return False

    return {
        "acquire + release": cycle,
        "renew": lambda: bool(LockableModel.lock(obj, token)),
        "check": lambda: LockableModel.check_lock_token(obj, token),
        "is_locked": lambda: LockableModel.is_locked(obj),
        "refuse": refuse,
    }


def driver_operations(obj, token, count):
    """Return the same as one statement each, by the driver's own cursor.

    The connection is the one that Django opened, so that both have the same settings.
    """
    from lock_tokens.locking.sql import for_database
    from lock_tokens.locking.sql.rows import NewLock
    from lock_tokens.models import LockToken

    raw = connection.connection
    statements = for_database(LockToken, connection.alias)
    columns = (ContentType.objects.get_for_model(obj).pk, str(obj.pk))
    mine = secrets.token_hex(16)
    new_lock = NewLock(*columns, mine, secrets.token_hex(16), 3600.0, None)

    def prepared(method, *arguments):
        """Return a function that executes what ``method`` would, and gives the row.

        The number of rows, where the statement returns none.
        """
        sql, parameters = statement_of(partial(method, *arguments))

        def execute():
            with closing(raw.cursor()) as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchone() if cursor.description else cursor.rowcount

        return execute

    acquire = prepared(statements.acquire, new_lock)
    release = prepared(statements.release, *columns, mine)
    renew = prepared(statements.renew, *columns, token, 3600.0)
    current_token = prepared(statements.current_token, *columns)
    is_locked = prepared(statements.is_locked, *columns)

    def acquired():
        row = acquire()
        return row is not None and mine in row

    return {
        "acquire + release": lambda: acquired() and bool(retried(release, count)),
        "renew": lambda: bool(renew()),
        "check": lambda: current_token()[0] == token,
        "is_locked": lambda: is_locked() is not None,
        "refuse": lambda: not acquired(),
    }


class Caught(Exception):
    """Ends an operation before it changes anything."""


def statement_of(operation):
    """Return the statement that does an operation's work, in the driver's style.

    It is the first that is no question, or the only question; it is not executed.
    """
    found = []

    def catch(execute, sql, parameters, many, context):
        found[:] = sql, parameters
        if not sql.startswith("SELECT"):
            raise Caught
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(catch), suppress(Caught):
        operation()
    sql, parameters = found
    if connection.vendor == "sqlite":
        sql = sql % {name: f":{name}" for name in parameters}
    return sql, parameters


OPERATIONS = {
    "lock_tokens": package_operations,
    "0.2.5": package_operations,
    "driver": driver_operations,
}
#: What there must be a lock for, before it starts.
ON_HELD_OBJECTS = {"renew", "check", "is_locked", "refuse"}
