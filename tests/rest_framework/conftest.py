import pytest


@pytest.fixture
def client(alice):
    """REST framework's client, which Alice has signed in with."""
    from tests.support.drf_site import api_client

    return api_client(alice)


@pytest.fixture
def serve(settings):
    """Serve a view at an address, a viewset at those that a router makes."""
    from tests.support.drf_made import routes_of

    def serve(view, *args, **options):
        settings.ROOT_URLCONF = routes_of(view, *args, **options)

    return serve
