"""Writes to an object that a view finds by itself."""

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from rest_framework import permissions
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock
from tests.models import Article, Story
from tests.support.drf_made import (
    BOTH,
    TOKEN,
    VOID,
    Finds,
    database,
    made,
    needs_the_lock,
    rename,
    request,
    serializer_of,
    title,
    token_of,
)
from tests.support.drf_site import with_token
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]


# Handlers of generic views that find their object by themselves


class ByAnotherName(Finds):
    def find(self):
        found = get_object_or_404(self.get_queryset(), pk=self.kwargs["number"])
        self.check_object_permissions(self.request, found)
        return found


class ByGetObject(Finds):
    """A ``get_object()`` of its own, for an address that names nothing."""

    def get_object(self):
        return Article.objects.latest("pk")

    def find(self):
        return self.get_object()


class ByGetObjectThatChecks(ByGetObject):
    def get_object(self):
        found = super().get_object()
        self.check_object_permissions(self.request, found)
        return found


class ByKeywordsOfItsOwn(Finds):
    """REST framework's ``get_object()``, told by the handler what to look for."""

    def find(self):
        self.kwargs["pk"] = self.kwargs["number"]
        return self.get_object()


class Twice(ByAnotherName):
    """Finds the same object twice, as handlers that call each other do."""

    def find(self):
        super().find()
        return super().find()


FINDS = pytest.mark.parametrize(
    "finds",
    [
        ByAnotherName,
        ByGetObject,
        ByGetObjectThatChecks,
        ByKeywordsOfItsOwn,
        Twice,
    ],
)


@BOTH
@FINDS
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_handler_finds_needs_its_lock(
    client, serve, article, kind, finds, method
):
    view = made(kind, type("View", (finds, GenericAPIView), {}))
    serve(view, "<int:number>/")
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


@BOTH
@FINDS
@pytest.mark.parametrize("method", ["post", "put"])
def test_what_a_handler_finds_may_need_its_lock_always(
    client, serve, article, kind, finds, method
):
    base = type("View", (finds, GenericAPIView), {})
    serve(made(kind, base, lock_required=True), "<int:number>/")
    send = request(client, method, f"/{article.pk}/")
    answer = send()
    assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
    assert title(article) == "First"
    token = article.lock()["token"]
    assert send(**with_token(token)).status_code == 200
    assert title(article) == "Second"


@BOTH
@TOKEN
@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("method", ["post", "put"])
def test_what_a_handler_finds_is_read_again_under_the_lock(
    client, serve, kind, with_a_lock, checks, method
):
    story = Story.objects.create(headline="First", body="First")

    class View(GenericAPIView):
        def get_object(self):
            found = Story.objects.get()
            if found.body == "First":  # a colleague, before the lock is had
                Story.objects.update(body="Theirs")
            if checks:
                self.check_object_permissions(self.request, found)
            return found

        def post(self, request):
            found = self.get_object()
            found.headline = "Second"
            found.save()
            return Response({"body": found.body})

        put = post

    serve(made(kind, View, queryset=Story.objects.all()), "")
    headers = token_of(story) if with_a_lock else {}
    answer = request(client, method, "/")(**headers)
    assert (answer.status_code, answer.json()) == (200, {"body": "Theirs"})
    story.refresh_from_db()
    assert (story.headline, story.body) == ("Second", "Theirs")


@BOTH
@pytest.mark.parametrize("method", ["post", "put"])
def test_what_a_handler_finds_and_is_gone_by_then_is_not_found(
    client, serve, article, kind, method
):
    class View(Finds, GenericAPIView):
        def find(self):
            found = Article.objects.get(pk=article.pk)
            Article.objects.filter(pk=article.pk).delete()
            self.check_object_permissions(self.request, found)
            return found

    serve(made(kind, View), "")
    answer = request(client, method, "/")()
    assert answer.status_code == 404
    assert not LockToken.objects.exists()


@BOTH
def test_who_may_not_have_what_a_handler_finds_is_told_nothing(
    client, serve, article, kind
):
    class Nobody(permissions.BasePermission):
        def has_object_permission(self, request, view, obj):
            return False

    class View(ByAnotherName, GenericAPIView):
        permission_classes = [Nobody, *([HoldsLock] if kind[1] else [])]

    article.lock()
    serve(made((kind[0], False), View), "<int:number>/")
    before = database()
    for headers in ({}, with_token(VOID)):
        answer = client.post(f"/{article.pk}/", {"title": "Lost"}, **headers)
        assert answer.status_code == 403
        assert set(answer.json()) == {"detail"}
    assert database() == before


@BOTH
@pytest.mark.parametrize("base", [GenericAPIView, APIView])
def test_what_is_not_saved_yet_is_only_checked(client, serve, article, kind, base):
    class View(base):
        def put(self, request, pk):
            self.check_object_permissions(request, Article(title="Not yet"))
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            self.check_object_permissions(request, Article(title="Not yet"))
            return rename(found, request)

        post = put

    serve(made(kind, View))
    for method in ("put", "post"):
        needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


# A get_object() that remembers


@BOTH
@TOKEN
@pytest.mark.parametrize("is_gone", [False, True])
def test_an_object_that_is_remembered_is_read_again_under_the_lock(
    client, serve, kind, with_a_lock, is_gone
):
    story = Story.objects.create(headline="First", body="First")

    def meanwhile():
        found = Story.objects.filter(pk=story.pk)
        found.delete() if is_gone else found.update(body="Theirs")

    class Remembers(ModelViewSet):
        def get_object(self):
            if not hasattr(self, "found"):
                self.found = super().get_object()
                meanwhile()
            return self.found

    serve(
        made(
            kind,
            Remembers,
            queryset=Story.objects.all(),
            serializer_class=serializer_of(Story, "headline"),
        )
    )
    headers = token_of(story) if with_a_lock else {}
    answer = client.patch(f"/things/{story.pk}/", {"headline": "Second"}, **headers)
    assert answer.status_code == (404 if is_gone else 200)
    if not is_gone:
        assert answer.json()["headline"] == "Second"
        story.refresh_from_db()
        assert (story.headline, story.body) == ("Second", "Theirs")


class RemembersAndAsksAgain(GenericAPIView):
    def get_object(self):
        if not hasattr(self, "found"):
            self.found = super().get_object()
        return self.found

    def put(self, request, pk):
        self.get_object().title = "Second"
        self.get_object().save()
        return Response({})


class ChecksAgain(GenericAPIView):
    def put(self, request, pk):
        found = self.get_object()
        found.title = "Second"
        self.check_object_permissions(request, found)
        found.save()
        return Response({})


class ChecksAgainByHand(APIView):
    def put(self, request, pk):
        found = get_object_or_404(Article, pk=pk)
        self.check_object_permissions(request, found)
        found.title = "Second"
        self.check_object_permissions(request, found)
        found.save()
        return Response({})


@BOTH
@TOKEN
@pytest.mark.parametrize(
    "base", [RemembersAndAsksAgain, ChecksAgain, ChecksAgainByHand]
)
def test_what_the_handler_has_changed_meanwhile_is_not_thrown_away(
    client, serve, article, monkeypatch, kind, with_a_lock, base
):
    # Where what is read under the lock may still be how it was before.
    database = connections["default"]
    monkeypatch.setattr(database, "isolation_level", "repeatable read", raising=False)
    serve(made(kind, base))
    headers = token_of(article) if with_a_lock else {}
    assert client.put(f"/{article.pk}/", {}, **headers).status_code == 200
    assert title(article) == "Second"


# Views that are no generic views


class Bare(ViewSet):
    """Finds its object by itself, and checks it."""

    def get_object(self):
        article = get_object_or_404(Article, pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, article)
        return article

    def update(self, request, pk):
        if "forgetful" in request.data:
            return rename(Article.objects.get(pk=pk), request)
        return rename(self.get_object(), request)

    partial_update = destroy = update

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        return rename(self.get_object(), request)

    @action(detail=False, methods=["post"])
    def sweep(self, request):
        return Response({})


def test_a_bare_viewset_has_the_route(client, serve, article):
    serve(made((True, False), Bare))
    url = f"/things/{article.pk}/lock/"
    assert client.get(url).json()["locked"] is False
    token = client.post(url, {"timeout": 60}).json()["token"]
    assert lock_row(article).get().token_str == token
    assert client.post(url).status_code == 403
    assert client.get(url, **with_token(token)).json()["token"] == token
    assert client.patch(url, {}, **with_token(token)).status_code == 200
    assert client.delete(url, **with_token(token)).status_code == 204
    assert client.get("/things/404/lock/").status_code == 404
    assert client.post("/things/404/lock/").status_code == 404
    assert not LockToken.objects.exists()


@BOTH
@pytest.mark.parametrize(
    ("method", "route"),
    [("put", ""), ("patch", ""), ("delete", ""), ("post", "publish/")],
)
def test_what_a_bare_viewset_checks_needs_its_lock(
    client, serve, article, kind, method, route
):
    serve(made(kind, Bare))
    send = request(client, method, f"/things/{article.pk}/{route}")
    needs_the_lock(send, article)
    assert title(article) == "Second"


@BOTH
def test_a_bare_viewset_that_checks_nothing_is_a_mistake(client, serve, article, kind):
    serve(made(kind, Bare))
    with pytest.raises(ImproperlyConfigured, match="check_object_permissions"):
        client.put(f"/things/{article.pk}/", {"forgetful": True})
    assert client.post("/things/sweep/").status_code == 200


def test_a_bare_viewset_without_get_object_is_told_what_it_lacks(
    client, serve, article
):
    class Lacking(ViewSet):
        def retrieve(self, request, pk):
            return Response({"title": Article.objects.get(pk=pk).title})

    serve(made((True, False), Lacking))
    assert client.get(f"/things/{article.pk}/").json() == {"title": "First"}
    for send in (client.get, client.post):
        with pytest.raises(ImproperlyConfigured, match="get_object"):
            send(f"/things/{article.pk}/lock/")
    assert not LockToken.objects.exists()


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_bare_view_checks_needs_its_lock(client, serve, article, kind, method):
    class View(APIView):
        def put(self, request, pk):
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            return rename(found, request)

        post = patch = delete = put

    serve(made(kind, View))
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


class OfSettings(GenericAPIView):
    """About something that is no row of any model."""

    def get_object(self):
        return {"title": "First"}

    def put(self, request):
        return Response({**self.get_object(), **request.data})


@BOTH
@pytest.mark.parametrize("headers", [{}, with_token(VOID)])
def test_what_is_no_row_needs_no_lock(client, serve, kind, headers):
    serve(made(kind, OfSettings), "settings/")
    answer = client.put("/settings/", {"title": "Second"}, **headers)
    assert (answer.status_code, answer.json()) == (200, {"title": "Second"})
    assert "Lock-Expires-At" not in answer


# Without a queryset


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("name", ["pk", "number"])
def test_a_generic_view_may_have_no_queryset(
    client, serve, article, kind, method, name
):
    class View(Finds, GenericAPIView):
        def find(self):
            found = get_object_or_404(Article, pk=next(iter(self.kwargs.values())))
            self.check_object_permissions(self.request, found)
            return found

    serve(made(kind, View, queryset=None), f"<int:{name}>/")
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


@BOTH
@pytest.mark.parametrize(
    ("method", "route"), [("put", ""), ("delete", ""), ("post", "publish/")]
)
def test_a_generic_viewset_may_have_no_queryset(
    client, serve, article, kind, method, route
):
    class View(GenericViewSet):
        def update(self, request, pk):
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            return rename(found, request)

        destroy = update

        @action(detail=True, methods=["post"])
        def publish(self, request, pk):
            return self.update(request, pk)

    serve(made(kind, View, queryset=None))
    needs_the_lock(request(client, method, f"/things/{article.pk}/{route}"), article)
    assert title(article) == "Second"
