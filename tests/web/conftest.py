import pytest
from django.db import connections

from tests.support.helpers import new_session, urls_of


@pytest.fixture
def session():
    return new_session()


@pytest.fixture
def serve(settings):
    """Give a view the urls ``/<key>/``."""

    def serve(view):
        settings.ROOT_URLCONF = urls_of(view)

    return serve


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
