import pytest
from django.db import connection, connections


@pytest.fixture(params=[False, True])
def atomic_requests(request, monkeypatch):
    """With and without each request in a transaction of Django's."""
    settings = connections.settings["default"]
    monkeypatch.setitem(settings, "ATOMIC_REQUESTS", request.param)
    return request.param


@pytest.fixture
def repeatable_read(monkeypatch):
    """Have the requests of this test work at this isolation level."""
    level = "repeatable read"
    if connection.vendor == "postgresql":
        from psycopg import IsolationLevel

        level = IsolationLevel.REPEATABLE_READ
    options = connections.settings["default"]["OPTIONS"]
    with monkeypatch.context() as patch:
        patch.setitem(options, "isolation_level", level)
        connection.close()
        yield
    connection.close()
