from importlib.util import find_spec

import pytest
from django.urls import path

if find_spec("rest_framework") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from rest_framework.routers import SimpleRouter
    from rest_framework.viewsets import ViewSetMixin

    from tests.support.drf_site import api_client
    from tests.support.drf_writes import Routes


@pytest.fixture
def serve(settings):
    """Serve a view at an address, a viewset at those that a router makes."""

    def serve(view, address="<int:pk>/", prefix="things"):
        if issubclass(view, ViewSetMixin):
            router = SimpleRouter()
            router.register(prefix, view, prefix)
            settings.ROOT_URLCONF = Routes(router.urls)
        else:
            settings.ROOT_URLCONF = Routes([path(address, view.as_view())])

    return serve


@pytest.fixture
def client(alice):
    return api_client(alice)
