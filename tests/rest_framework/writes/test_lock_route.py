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
from tests.support.drf_writes import made, needs_the_lock, rename, request, title
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]


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


def test_a_mixin_of_ones_own_may_have_it():
    class Ours(LockableViewSetMixin):
        lock_required = True

    assert type("Early", (Ours, ModelViewSet), {}).lock_required
    with pytest.raises(TypeError, match="must come before"):
        type("Late", (ModelViewSet, Ours), {})


@pytest.mark.parametrize("own", ["action", "method", "value"])
def test_the_name_of_the_route_is_taken(own):
    @action(detail=True, methods=["post"])
    def lock(self, request, pk):
        """Close the thread."""

    attributes = {"action": lock, "method": lambda self: None, "value": True}
    with pytest.raises(TypeError, match="lock"):
        type("Taken", (LockableViewSetMixin, ModelViewSet), {"lock": attributes[own]})
    child = type("Child", (LockableViewSetMixin, ModelViewSet), {})
    with pytest.raises(TypeError, match="lock"):
        type("Taken", (child,), {"lock": attributes[own]})


@pytest.mark.parametrize("name", ["lock", "acquire_lock", "renew_lock", "release_lock"])
def test_under_the_permission_an_action_of_that_name_is_a_write(
    client, serve, article, name
):
    def act(self, request, pk):
        return rename(self.get_object(), request)

    act.__name__ = name
    attributes = {name: action(detail=True, methods=["post", "patch", "delete"])(act)}
    serve(made((False, True), type("View", (ModelViewSet,), attributes)))
    url = f"/things/{article.pk}/{name}/"
    for method in ("post", "patch", "delete"):
        needs_the_lock(request(client, method, url), article)
    assert title(article) == "Second"


def test_an_acquire_lock_that_adds_to_ours_still_locks(client, serve, article):
    class Counts(LockableViewSetMixin, ModelViewSet):
        queryset = Article.objects.all()
        serializer_class = ArticleSerializer

        def acquire_lock(self, request, *args, **kwargs):
            Keyword.objects.create(name="locked once more")
            return super().acquire_lock(request, *args, **kwargs)

    serve(Counts)
    answer = client.post(f"/things/{article.pk}/lock/")
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

    class Looked(LockableViewSetMixin, ModelViewSet):
        queryset = Article.objects.all()
        serializer_class = ArticleSerializer
        permission_classes = [Looks]

        def get_queryset(self):
            assert self.request.seen
            return super().get_queryset()

        def finalize_response(self, request, *args, **kwargs):
            requests.append((self.request.method, self.request.seen))
            return super().finalize_response(request, *args, **kwargs)

    serve(Looked)
    return requests


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_permission_of_the_route_may_read_the_data(client, article, looked, form):
    url = f"/things/{article.pk}/lock/"
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


def test_a_permission_of_the_route_that_says_no_leaves_the_request_as_it_was(
    client, article, looked
):
    answer = client.post(f"/things/{article.pk}/lock/", {"timeout": 13})
    assert answer.status_code == 403
    assert looked == [("POST", ["PATCH"])]
    assert not LockToken.objects.exists()


def test_a_permission_of_the_route_may_read_the_data_of_a_write(
    client, article, looked
):
    answer = client.put(f"/things/{article.pk}/", {"title": "Second"})
    assert answer.status_code == 200
    assert looked == [("PUT", ["PUT", "PUT"])]


# The browsable pages of the lock's route


PAGE = {"headers": {"Accept": "text/html"}}


def texts_of(page):
    """Return what the text areas of a page have in them."""
    found = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page.content.decode(), re.S)
    return [html.unescape(text).strip() for text in found]


def test_what_the_raw_form_of_the_route_has_is_accepted(client, serve, article):
    serve(made((True, False), ModelViewSet))
    url = f"/things/{article.pk}/lock/"
    page = client.get(url, **PAGE)
    texts = texts_of(page)
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
def test_the_route_shows_its_own_form(client, serve, article, base):
    serve(made((True, False), base))
    url = f"/things/{article.pk}/lock/"
    page = client.get(url, **PAGE)
    assert page.status_code == 200
    text = page.content.decode()
    assert 'name="timeout"' in text
    assert 'name="title"' not in text
    answer = client.post(url, {"timeout": "60"}, format="multipart", **PAGE)
    assert answer.status_code == 201
    token = lock_row(article).get().token_str
    answer = client.get(url, headers={**PAGE["headers"], "Lock-Token": token})
    assert (answer.status_code, token in answer.content.decode()) == (200, True)


def test_its_other_pages_keep_theirs(client, serve, article):
    serve(made((True, False), BySerializerClass))
    text = client.get(f"/things/{article.pk}/", **PAGE).content.decode()
    assert 'name="title"' in text
    assert 'name="timeout"' not in text
