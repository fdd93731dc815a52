import pytest
from django.urls import path
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet, ViewSetMixin

from tests.support.drf_site import api_client
from tests.support.drf_writes import locked, made, request


class Routes:
    """A URLconf of a test's own."""

    def __init__(self, urlpatterns):
        self.urlpatterns = urlpatterns


@pytest.fixture
def serve(settings):
    """Serve a view at ``/things/<pk>/``, a viewset at what a router makes of it.

    A view function may be given, too, and another address.
    """

    def serve(view, address="things/<int:pk>/"):
        if isinstance(view, type) and issubclass(view, ViewSetMixin):
            router = SimpleRouter()
            router.register("things", view, "things")
            settings.ROOT_URLCONF = Routes(router.urls)
        else:
            view = view.as_view() if isinstance(view, type) else view
            settings.ROOT_URLCONF = Routes([path(address, view)])

    return serve


@pytest.fixture(params=["mixin", "permission"])
def kind(request):
    """The two ways in which a view gets the lock."""
    return request.param


@pytest.fixture
def serve_locked(serve, kind):
    """Serve a view whose writes need the lock, in each of the two ways."""

    def serve_locked(base=ModelViewSet, address="things/<int:pk>/", **attributes):
        serve(made(kind, base, **attributes), address)

    return serve_locked


@pytest.fixture(params=[True, False], ids=["locked", "free"])
def with_a_lock(request):
    """With the token of the object's lock, and without one while it is free."""
    return request.param


@pytest.fixture
def headers(article, with_a_lock):
    """What a write to the article needs: its token, or nothing while it is free."""
    return locked(article) if with_a_lock else {}


@pytest.fixture
def client(alice):
    return api_client(alice)


@pytest.fixture
def patch(client, article):
    """Send a PATCH to the article, with the headers that it is given."""
    return request(client, "patch", article)
