"""The route of the lock: its name, its permissions, and its browsable pages."""

import html
import json
import re

import pytest
from rest_framework import permissions
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import LockableViewSetMixin
from tests.models import Article, Keyword
from tests.support.drf_site import ArticleSerializer, with_token
from tests.support.drf_writes import (
    made,
    needs_the_lock,
    rename,
    request,
    url_of,
)
from tests.support.helpers import lock_row
from tests.support.objects import title_of

pytestmark = pytest.mark.django_db


# Classes that would not lock


def test_the_mixin_must_stand_before_the_view():
    class Base(ModelViewSet):
        queryset = Article.objects.all()

    for view in (APIView, GenericAPIView, ViewSet, ModelViewSet, Base):
        with pytest.raises(TypeError, match="must come before"):
            type("Late", (view, LockableViewSetMixin), {})
        made = type("Early", (LockableViewSetMixin, view), {})
        type("Child", (made,), {})
        type("Beside", (made, view), {})
    ours = type("Ours", (LockableViewSetMixin,), {"lock_required": True})
    assert type("Early", (ours, ModelViewSet), {}).lock_required
    with pytest.raises(TypeError, match="must come before"):
        type("Late", (ModelViewSet, ours), {})


@action(detail=True, methods=["post"])
def lock(self, request, pk):
    """Close the thread."""


@pytest.mark.parametrize(
    "own", [lock, lambda self: None, True], ids=["action", "method", "value"]
)
def test_the_name_of_the_route_is_taken(own):
    child = type("Child", (LockableViewSetMixin, ModelViewSet), {})
    for bases in ((LockableViewSetMixin, ModelViewSet), (child,)):
        with pytest.raises(TypeError, match="lock"):
            type("Taken", bases, {"lock": own})


@pytest.mark.parametrize("name", ["lock", "acquire_lock", "renew_lock", "release_lock"])
def test_under_the_permission_an_action_of_that_name_is_a_write(
    client, serve, article, name
):
    def act(self, request, pk):
        return rename(self.get_object(), request)

    act.__name__ = name
    attributes = {name: action(detail=True, methods=["post", "patch", "delete"])(act)}
    serve(made("permission", type("View", (ModelViewSet,), attributes)))
    url = url_of(article, f"{name}/")
    for method in ("post", "patch", "delete"):
        needs_the_lock(request(client, method, url), article)
    assert title_of(article) == "Second"


def test_an_acquire_lock_that_adds_to_ours_still_locks(client, serve, article):
    class Counts(LockableViewSetMixin, ModelViewSet):
        def acquire_lock(self, request, *args, **kwargs):
            Keyword.objects.create(name="locked once more")
            return super().acquire_lock(request, *args, **kwargs)

    serve(made("", Counts))
    answer = client.post(url_of(article, "lock/"))
    assert answer.status_code == 201
    assert lock_row(article).get().token_str == answer.json()["token"]
    assert Keyword.objects.exists()


# The permissions of the lock's route


class Looks(permissions.BasePermission):
    """Reads what was sent, and leaves something for the view."""

    def has_permission(self, request, view):
        assert request is view.request
        request.seen = [*getattr(request, "seen", []), request.method]
        return request.data.get("timeout") != 13

    def has_object_permission(self, request, view, obj):
        assert request is view.request
        request.seen.append(request.method)
        return True


@pytest.fixture
def looked(serve):
    """Serve a viewset whose permission looks, and return what its requests had."""
    requests = []

    class Looked(ModelViewSet):
        def get_queryset(self):
            assert self.request.seen
            return Article.objects.all()

        def finalize_response(self, request, *args, **kwargs):
            requests.append((self.request.method, self.request.seen))
            return super().finalize_response(request, *args, **kwargs)

    serve(made("mixin", Looked, permission_classes=[Looks]))
    return requests


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_permission_of_the_route_may_read_the_data(client, article, looked, form):
    url = url_of(article, "lock/")
    answer = client.post(url, {"timeout": 60}, format=form)
    assert answer.status_code == 201
    token = with_token(answer.json()["token"])
    answer = client.patch(url, {"timeout": 90}, format=form, **token)
    assert answer.status_code == 200
    assert client.get(url).status_code == 200
    assert client.delete(url, **token).status_code == 204
    assert looked == [
        # The view has its own method again.
        (method, [asked, asked])
        for method, asked in (
            ("POST", "PATCH"),
            ("PATCH", "PATCH"),
            ("GET", "GET"),
            ("DELETE", "PATCH"),
        )
    ]


def test_a_permission_that_says_no_leaves_the_request_as_it_was(
    client, article, looked
):
    answer = client.post(url_of(article, "lock/"), {"timeout": 13})
    assert answer.status_code == 403
    assert not LockToken.objects.exists()
    answer = client.put(url_of(article), {"title": "Second"})  # none of the route's
    assert answer.status_code == 200
    assert looked == [("POST", ["PATCH"]), ("PUT", ["PUT", "PUT"])]


# The browsable pages of the lock's route


PAGE = {"headers": {"Accept": "text/html"}}


def texts_of(page):
    """Return what the text areas of a page have in them."""
    found = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page.content.decode(), re.S)
    return [html.unescape(text).strip() for text in found]


def names_of(page):
    """Return which of these fields a page has."""
    assert page.status_code == 200
    return {
        name
        for name in ("title", "timeout")
        if f'name="{name}"' in page.content.decode()
    }


def test_what_the_raw_form_of_the_route_has_is_accepted(client, serve, article):
    serve(made("mixin"))
    url = url_of(article, "lock/")
    texts = texts_of(client.get(url, **PAGE))
    assert texts
    for text in texts:
        assert "null" not in text
        answer = client.post(url, json.loads(text or "{}"))
        assert answer.status_code == 201
        lock_row(article).delete()


class BySerializerClass(ModelViewSet):
    def get_serializer_class(self):
        return ArticleSerializer


class ByAction(ModelViewSet):
    def get_serializer_class(self):
        names = ("list", "retrieve", "create", "update", "partial_update")
        return dict.fromkeys(names, ArticleSerializer)[self.action]


@pytest.mark.parametrize("base", [BySerializerClass, ByAction])
def test_the_route_shows_its_own_form_and_other_pages_theirs(
    client, serve, article, base
):
    serve(made("mixin", base))
    assert names_of(client.get(url_of(article), **PAGE)) == {"title"}
    url = url_of(article, "lock/")
    assert names_of(client.get(url, **PAGE)) == {"timeout"}
    answer = client.post(url, {"timeout": "60"}, format="multipart", **PAGE)
    assert answer.status_code == 201
    token = lock_row(article).get().token_str
    answer = client.get(url, headers={**PAGE["headers"], "Lock-Token": token})
    assert (answer.status_code, token in answer.content.decode()) == (200, True)
