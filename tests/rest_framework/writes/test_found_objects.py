"""Writes to an object that the handler finds by itself, or that is remembered."""

import pytest
from django.db import connections
from rest_framework import permissions
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, ListCreateAPIView, get_object_or_404
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock
from tests.models import Article, Comment, Story
from tests.support.drf_site import with_token
from tests.support.drf_writes import (
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
)

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]


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
    [ByAnotherName, ByGetObject, ByGetObjectThatChecks, ByKeywordsOfItsOwn, Twice],
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
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(story).token_str)
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


# What a new object belongs to


def creates_by_key(view, serializer):
    story = get_object_or_404(Story, pk=view.request.data["story"])
    view.check_object_permissions(view.request, story)
    serializer.save(story=story)


def creates_below(view, serializer):
    story = get_object_or_404(Story, pk=view.kwargs["pk"])
    view.check_object_permissions(view.request, story)
    serializer.save(story=story)


class CreatesBelow(ListCreateAPIView):
    """The parent comes from ``get_object()``, the object from the serializer."""

    queryset = Story.objects.all()
    serializer_class = serializer_of(Comment, "text")

    def perform_create(self, serializer):
        serializer.save(story=self.get_object())


@BOTH
@pytest.mark.parametrize("required", [False, True])
def test_what_a_new_object_belongs_to_needs_no_lock(client, serve, kind, required):
    story = Story.objects.create(headline="First")
    LockToken.objects.acquire(story)
    attributes = {
        "queryset": Comment.objects.all(),
        "serializer_class": serializer_of(Comment, "text"),
        "lock_required": required,
    }
    serve(made(kind, ModelViewSet, perform_create=creates_by_key, **attributes))
    answer = client.post("/things/", {"text": "By action", "story": story.pk})
    assert answer.status_code == 201
    serve(made(kind, ListCreateAPIView, perform_create=creates_below, **attributes))
    answer = client.post(f"/{story.pk}/", {"text": "By view"})
    assert answer.status_code == 201
    serve(
        made(
            kind,
            CreatesBelow,
            lock_required=required,
            queryset=Story.objects.all(),
            serializer_class=attributes["serializer_class"],
        )
    )
    answer = client.post(f"/{story.pk}/", {"text": "By get_object"})
    assert answer.status_code == 201
    assert story.comment_set.count() == 3
    assert LockToken.objects.get().locked_object == story


@BOTH
def test_the_model_for_a_new_object_of_the_same_kind_needs_no_lock(
    client, serve, article, kind
):
    def copy(view, serializer):
        source = Article.objects.get(pk=view.request.data["like"])
        view.check_object_permissions(view.request, source)
        serializer.save(title=source.title)

    serve(made(kind, ModelViewSet, perform_create=copy))
    article.lock()
    answer = client.post("/things/", {"title": "x", "like": article.pk})
    assert (answer.status_code, answer.json()["title"]) == (201, "First")
    assert LockToken.objects.get().locked_object == article


# Routes of a list that write to one object


class OnesOfAList(ModelViewSet):
    lock_required = False

    @action(detail=False, methods=["get", "put", "patch"])
    def latest(self, request):
        self.kwargs["pk"] = Article.objects.latest("pk").pk
        if request.method == "GET":
            return self.retrieve(request)
        return self.update(request, partial=request.method == "PATCH")

    @action(detail=False, methods=["post"], url_path="no/(?P<pk>[0-9]+)/publish")
    def publish(self, request, pk):
        return rename(self.get_object(), request)

    @action(detail=False, methods=["post"])
    def first(self, request):
        found = Article.objects.earliest("pk")
        self.check_object_permissions(request, found)
        return rename(found, request)

    @action(detail=False, methods=["post", "put", "patch", "delete"])
    def sweep(self, request):
        Article.objects.filter(title="").delete()
        return Response({})


@BOTH
@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("put", "latest/"),
        ("patch", "latest/"),
        ("post", "no/{}/publish/"),
        ("post", "first/"),
    ],
)
def test_a_route_of_a_list_that_asks_for_an_object_needs_its_lock(
    client, serve, article, kind, method, route
):
    url = "/things/" + route.format(article.pk)
    send = request(client, method, url)
    serve(made(kind, OnesOfAList))
    needs_the_lock(send, article)
    assert title(article) == "Second"
    serve(made(kind, OnesOfAList, lock_required=True))
    before = database()
    answer = send()
    assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
    assert database() == before


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_route_of_a_list_that_asks_for_none_needs_no_lock(
    client, serve, article, kind, method
):
    serve(made(kind, OnesOfAList, lock_required=True))
    article.lock()
    answer = request(client, method, "/things/sweep/")()
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer
    assert client.get("/things/latest/").status_code == 200


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
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(story).token_str)
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
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    assert client.put(f"/{article.pk}/", {}, **headers).status_code == 200
    assert title(article) == "Second"
