from importlib.util import find_spec
from pathlib import Path

import pytest
from django.db import connection, connections

#: Without REST framework, only the tests of its absence are collected.
if find_spec("rest_framework") is None:
    collect_ignore = [
        path.name
        for path in Path(__file__).parent.iterdir()
        if path.name != "test_importing.py"
    ]


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


@pytest.fixture
def auto_schema(settings):
    """drf-spectacular's, as a site sets it."""
    from rest_framework.settings import api_settings

    settings.REST_FRAMEWORK = {
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"
    }
    return api_settings.DEFAULT_SCHEMA_CLASS


@pytest.fixture
def make_and_warn(auto_schema):
    from tests.support.drf_schema import schema_and_warnings

    return schema_and_warnings


@pytest.fixture
def make(make_and_warn):
    """Make the schema of addresses, without a warning."""

    def make(patterns):
        schema, warnings = make_and_warn(patterns)
        assert warnings == []
        return schema

    return make


@pytest.fixture
def of_viewset(make):
    """Make the schema of one viewset, at ``/articles/``."""
    from tests.support.drf_schema import urls_of_viewset

    return lambda viewset: make(urls_of_viewset(viewset))
