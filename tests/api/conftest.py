from importlib.util import find_spec

import pytest
from django.db import connections

from tests.support.doors import ApiDoor, RouteDoor

#: Without REST framework, only the JSON API is asked.
ROUTE = pytest.param(RouteDoor, marks=pytest.mark.any_database, id="route")
DOORS = [
    pytest.param(ApiDoor, id="api"),
    *([ROUTE] if find_spec("rest_framework") else []),
]


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


@pytest.fixture(params=DOORS)
def door(request, settings, client, article):
    """Each door to the article's lock, for a client that is not signed in."""
    settings.ROOT_URLCONF = request.param.urls
    return request.param(client, article)
