import threading

import pytest
from django.db.backends.signals import connection_created

from lock_tokens.models import LockToken
from tests.support.helpers import threads, wait_until


class LocksElsewhere:
    """A router that keeps the locks in a database of their own."""

    def db_for_read(self, model, **hints):
        return "other" if model is LockToken else None

    db_for_write = db_for_read


@pytest.fixture
def locks_elsewhere(settings):
    settings.DATABASE_ROUTERS = [LocksElsewhere()]


@pytest.fixture
def token(article):
    return article.lock()["token"]


@pytest.fixture
def nothing_leaks():
    """The test leaves no thread behind, nor a connection that one has opened."""
    before = threads()
    opened = []

    def record(connection, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            opened.append(connection)

    connection_created.connect(record)
    yield opened
    connection_created.disconnect(record)
    wait_until(lambda: threads() <= before)
    assert [each.connection for each in opened] == [None] * len(opened)
