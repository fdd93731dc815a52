import pytest
from django.db import connections
from django.test import Client

from tests.models import Article
from tests.support.helpers import new_session, of_url, urls_of
from tests.support.views import SyncClient, awaited


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
def decorate(serve):
    """Serve a decorated view, as a coroutine function to a ``SyncClient``."""

    def decorate(decorator, view, new_client=Client, **options):
        view = view if new_client is Client else awaited(view)
        serve(decorator(Article, of_url, **options)(view))

    return decorate


@pytest.fixture(params=[Client, SyncClient])
def new_client(request):
    """How clients are made: for a view, and for a coroutine function."""
    return request.param


@pytest.fixture(params=["field", "header"])
def how(request):
    """The ways in which a page sends its token."""
    return request.param


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
