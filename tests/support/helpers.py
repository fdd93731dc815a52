"""Moving the row's clock, racing, and sessions and urls to try views with."""

import random
import threading
import time
from datetime import timedelta
from importlib import import_module

from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.db import OperationalError, connection, connections, models
from django.urls import path

from lock_tokens.locking import manager
from lock_tokens.locking.transactions import is_retryable
from lock_tokens.models import LockToken
from lock_tokens.testing import expire_lock
from tests.settings import DATABASE

expire = expire_lock

# The statements of an acquire. PostgreSQL inserts or tells who holds the lock; MySQL reads
# the new lock back. In autocommit SQLite looks first, because a look takes no write lock.
ACQUIRE = {"postgresql": ["WITH"], "mysql": ["INSERT", "SELECT"]}.get(
    DATABASE, ["INSERT"]
)
ACQUIRE_IN_AUTOCOMMIT = ["SELECT", *ACQUIRE] if DATABASE == "sqlite" else ACQUIRE
# How many statements a refusal takes there, by a lock without a user.
REFUSAL = 2 if DATABASE == "mysql" else 1


def lock_row(obj):
    """Return the queryset of the object's lock row."""
    lock_key = LockToken.objects.key_of(obj)
    return LockToken.objects.using(lock_key.using).at(lock_key)


def age(obj, seconds):
    """Let ``seconds`` pass for the object's lock, in the database."""
    passed = models.Value(timedelta(seconds=seconds))
    assert lock_row(obj).update(
        created=models.F("created") - passed,
        locked_at=models.F("locked_at") - passed,
        expires_at=models.F("expires_at") - passed,
    )


def is_spelling_of(key, spelling):
    """Whether this database takes a text that differs in case or the like for the key."""
    if spelling == key or connection.vendor != "mysql":
        return spelling == key
    # The default collation of MariaDB takes no notice of spaces at the end.
    return DATABASE == "mariadb" or not spelling.endswith(" ")


def use_statements(monkeypatch, for_database):
    """Have the managers ask for their statements here."""
    monkeypatch.setattr(manager, "for_database", for_database)


class LocksElsewhere:
    """A router that keeps the locks in a database of their own."""

    def db_for_read(self, model, **hints):
        return "other" if model is LockToken else None

    db_for_write = db_for_read


def race(*functions):
    """Run the functions in threads from one barrier; return what each returned.

    Each thread has its own connections and closes them. The first exception in a thread
    is raised here.
    """
    barrier = threading.Barrier(len(functions))
    results = [None] * len(functions)
    errors = []

    def run(index, function):
        try:
            barrier.wait(30)
            results[index] = function()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=(index, function))
        for index, function in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a racer hangs"
    if errors:
        raise errors[0]
    return results


class InThread:
    """A function that runs in a thread. Call this to wait for what it returns."""

    def __init__(self, function):
        self.results, self.errors = [], []
        self.asking_since = None
        self.thread = threading.Thread(target=self._run, args=(function,))
        self.thread.start()

    def _run(self, function):
        try:
            with connection.execute_wrapper(self._ask):
                self.results.append(function())
        except BaseException as error:
            self.errors.append(error)
        finally:
            connections.close_all()

    def _ask(self, execute, *args):
        self.asking_since = time.monotonic()
        try:
            return execute(*args)
        finally:
            self.asking_since = None

    def is_running(self):
        return self.thread.is_alive()

    def is_blocked(self):
        """Whether the database lets the thread wait."""
        since = self.asking_since
        return since is not None and time.monotonic() - since > 0.03

    def __call__(self):
        self.thread.join(60)
        assert not self.is_running(), "the thread hangs"
        if self.errors:
            raise self.errors[0]
        return self.results[0]


def threads():
    """Return the threads but asgiref's own, which end when they are collected."""
    return {
        thread
        for thread in threading.enumerate()
        if not thread.name.startswith("ThreadPoolExecutor")
    }


def wait_until(condition, seconds=15):
    """Ask until the condition holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


def wait_until_blocked_or_done(thread):
    """Give the other thread the time to run into the row's lock."""
    deadline = time.monotonic() + 5
    while thread.is_running() and not thread.is_blocked():
        assert time.monotonic() < deadline, "it is neither blocked nor done"
        time.sleep(0.002)


def new_session():
    """Return a session that its store knows, as a returning visitor has."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session.create()
    return session


def same_session(session):
    """Return what another request of the same session loads."""
    return type(session)(session.session_key)


def urls_of(view):
    """Return a ROOT_URLCONF that has the view under every key, and a logout."""
    return (
        path("logout/", LogoutView.as_view(next_page="/")),
        path("<path:key>/", view),
    )


def of_url(request, key):
    """Return the key in the url, for views of :func:`urls_of`."""
    return key


def isolate(level):
    """Let this thread's connection work at an isolation level."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}"
            )
        elif connection.vendor == "mysql":
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")


def undoes_old_snapshots():
    """Whether REPEATABLE READ ends with an error where others have written since."""
    if connection.vendor != "mysql":
        return connection.vendor == "postgresql"
    with connection.cursor() as cursor:  # on by default since MariaDB 11.6.2
        cursor.execute("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'")
        return dict(cursor.fetchall()).get("innodb_snapshot_isolation") == "ON"


def keep_seeing_old_rows():
    """Let this connection's transactions read what was, where a database has that."""
    if connection.vendor == "mysql" and not undoes_old_snapshots():
        isolate("REPEATABLE READ")


def again_if_undone(operation):
    """Run a whole transaction, again as long as the database says to."""
    for _attempt in range(50):
        try:
            return operation()
        except OperationalError as error:
            if not is_retryable(error) and "locked" not in str(error):
                raise
        time.sleep(random.uniform(0, 0.05))  # apart, or those who met meet again
    raise AssertionError("the database never let it through")
