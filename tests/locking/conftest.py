import threading

import pytest
from django.db.backends.signals import connection_created

from tests.support.helpers import LocksElsewhere, threads, wait_until


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
