"""Writes to an object that the handler finds by itself, remembers, or has not."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from rest_framework import permissions
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, ListCreateAPIView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ViewSet

from lock_tokens.models import LockToken
from tests.models import Article, Comment, Story
from tests.support.drf_site import serializer_of, with_token
from tests.support.drf_writes import (
    VOID,
    Finds,
    assert_refuses,
    checked,
    locked,
    made,
    needs_the_lock,
    rename,
    request,
    url_of,
)
from tests.support.objects import title_of

pytestmark = pytest.mark.django_db

NUMBER = "things/<int:number>/"
PUT_AND_POST = pytest.mark.parametrize("method", ["put", "post"])


class ByAnotherName(Finds, GenericAPIView):
    def find(self):
        return checked(self, self.kwargs["number"])


class ByHand(Finds, APIView):
    find = ByAnotherName.find


class ByGetObject(Finds, GenericAPIView):
    """A ``get_object()`` of its own, for an address that names nothing."""

    def get_object(self):
        return Article.objects.latest("pk")

    def find(self):
        return self.get_object()


class ByGetObjectThatChecks(ByGetObject):
    def get_object(self):
        return checked(self, super().get_object().pk)


class ByKeywordsOfItsOwn(Finds, GenericAPIView):
    """REST framework's ``get_object()``, told by the handler what to look for."""

    def find(self):
        self.kwargs["pk"] = self.kwargs["number"]
        return self.get_object()


class Twice(ByAnotherName):
    """Finds the same object twice, as handlers that call each other do."""

    def find(self):
        super().find()
        return super().find()


@pytest.mark.parametrize(
    "finds",
    [
        *(ByAnotherName, ByHand, ByGetObject, ByGetObjectThatChecks),
        *(ByKeywordsOfItsOwn, Twice),
    ],
)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_handler_finds_needs_its_lock(
    client, serve_locked, article, finds, method
):
    send = request(client, method, article)
    serve_locked(finds, NUMBER)
    needs_the_lock(send, article)
    assert title_of(article) == "Second"
    serve_locked(finds, NUMBER, lock_required=True)
    assert_refuses(send, 428, "lock_required")
    assert send(**locked(article)).status_code == 200


@pytest.mark.parametrize(
    ("base", "checks"),
    [(GenericAPIView, True), (GenericAPIView, False), (APIView, True)],
)
@PUT_AND_POST
def test_what_a_handler_finds_is_read_again_under_the_lock(
    client, serve_locked, with_a_lock, base, checks, method
):
    story = Story.objects.create(headline="First", body="First")

    class View(base):
        def get_object(self):
            found = Story.objects.get()
            if found.body == "First":  # a colleague, before the lock is had
                Story.objects.update(body="Theirs")
            if checks:
                self.check_object_permissions(self.request, found)
            return found

        def post(self, request, number):
            found = self.get_object()
            found.headline = "Second"
            found.save()
            return Response({"body": found.body})

        put = post

    serve_locked(View, NUMBER, queryset=Story.objects.all())
    answer = request(client, method, story)(**(locked(story) if with_a_lock else {}))
    assert (answer.status_code, answer.json()) == (200, {"body": "Theirs"})
    story.refresh_from_db()
    assert (story.headline, story.body) == ("Second", "Theirs")


@pytest.mark.parametrize("base", [GenericAPIView, APIView])
@PUT_AND_POST
def test_what_a_handler_finds_and_is_gone_by_then_is_not_found(
    client, serve_locked, article, base, method
):
    class View(Finds, base):
        def find(self):
            found = Article.objects.get(pk=article.pk)
            Article.objects.filter(pk=article.pk).delete()
            self.check_object_permissions(self.request, found)
            return found

    send = request(client, method, article)
    serve_locked(View, NUMBER)
    assert send().status_code == 404
    assert not LockToken.objects.exists()


class Nobody(permissions.BasePermission):
    def has_object_permission(self, request, view, obj):
        return False


@pytest.mark.parametrize(
    ("base", "method"),
    [(ByAnotherName, "post"), (ByHand, "post"), (ModelViewSet, "patch")],
)
def test_who_may_not_have_the_object_is_told_nothing_of_its_lock(
    client, serve_locked, article, base, method
):
    article.lock()
    serve_locked(base, NUMBER, permission_classes=[Nobody])
    send = request(client, method, article)
    for headers in ({}, with_token(VOID)):
        assert set(assert_refuses(send, 403, **headers).json()) == {"detail"}


@pytest.mark.parametrize("base", [GenericAPIView, APIView])
@PUT_AND_POST
def test_what_is_not_saved_yet_is_only_checked(
    client, serve_locked, article, base, method
):
    class View(Finds, base):
        def find(self):
            self.check_object_permissions(self.request, Article(title="Not yet"))
            found = checked(self, article.pk)
            self.check_object_permissions(self.request, Article(title="Not yet"))
            return found

    serve_locked(View)
    needs_the_lock(request(client, method, article), article)
    assert title_of(article) == "Second"


# Views without a queryset, or without a model


class Checks:
    """Finds its object by itself, and checks it."""

    def find(self):
        return checked(self, self.kwargs["pk"])

    def update(self, request, pk):
        if "forgetful" in request.data:
            return rename(Article.objects.get(pk=pk), request)
        return rename(self.find(), request)

    partial_update = destroy = update

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        return rename(self.find(), request)

    @action(detail=False, methods=["post"])
    def sweep(self, request):
        return Response({})


class WithoutQueryset(Checks, GenericViewSet):
    queryset = None


class Bare(Checks, ViewSet):
    get_object = Checks.find

    def find(self):
        return self.get_object()


@pytest.mark.parametrize("base", [Bare, WithoutQueryset])
@pytest.mark.parametrize(
    ("method", "route"),
    [("put", ""), ("patch", ""), ("delete", ""), ("post", "publish/")],
)
def test_what_a_viewset_without_a_queryset_checks_needs_its_lock(
    client, serve_locked, article, base, method, route
):
    serve_locked(base, queryset=None)
    needs_the_lock(request(client, method, url_of(article, route)), article)
    assert title_of(article) == "Second"


def test_a_bare_viewset_that_checks_nothing_is_a_mistake(client, serve_locked, article):
    serve_locked(Bare)
    with pytest.raises(ImproperlyConfigured, match="check_object_permissions"):
        client.put(url_of(article), {"forgetful": True})
    assert client.post("/things/sweep/").status_code == 200


def test_a_bare_viewset_without_get_object_is_told_what_it_lacks(
    client, serve, article
):
    class Lacking(ViewSet):
        def retrieve(self, request, pk):
            return Response({"title": Article.objects.get(pk=pk).title})

    serve(made("mixin", Lacking))
    assert client.get(url_of(article)).json() == {"title": "First"}
    for send in (client.get, client.post):
        with pytest.raises(ImproperlyConfigured, match="get_object"):
            send(url_of(article, "lock/"))
    assert not LockToken.objects.exists()


class OfSettings(GenericAPIView):
    """About something that is no row of any model."""

    def get_object(self):
        return {"title": "First"}

    def put(self, request):
        return Response({**self.get_object(), **request.data})


@pytest.mark.parametrize("headers", [{}, with_token(VOID)])
def test_what_is_no_row_needs_no_lock(client, serve_locked, headers):
    serve_locked(OfSettings, "settings/")
    answer = client.put("/settings/", {"title": "Second"}, **headers)
    assert (answer.status_code, answer.json()) == (200, {"title": "Second"})
    assert "Lock-Expires-At" not in answer


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("name", ["pk", "number"])
def test_a_generic_view_may_have_no_queryset(
    client, serve_locked, article, method, name
):
    class View(Finds, GenericAPIView):
        def find(self):
            return checked(self, self.kwargs[name])

    serve_locked(View, f"things/<int:{name}>/", queryset=None)
    needs_the_lock(request(client, method, article), article)
    assert title_of(article) == "Second"


# What a new object belongs to


def creates_by_key(view, serializer):
    story = Story.objects.get(pk=view.request.data["story"])
    view.check_object_permissions(view.request, story)
    serializer.save(story=story)


def creates_below(view, serializer):
    """Without ``get_object()``, which looks for a comment here."""
    story = Story.objects.get(pk=view.kwargs["pk"])
    view.check_object_permissions(view.request, story)
    serializer.save(story=story)


def creates_by_get_object(view, serializer):
    serializer.save(story=view.get_object())


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(
    ("base", "perform_create", "model"),
    [
        (ModelViewSet, creates_by_key, Comment),
        (ListCreateAPIView, creates_below, Comment),
        (ListCreateAPIView, creates_by_get_object, Story),
    ],
)
def test_what_a_new_object_belongs_to_needs_no_lock(
    client, serve_locked, base, perform_create, model, required
):
    story = Story.objects.create(headline="First")
    LockToken.objects.acquire(story)
    serve_locked(
        base,
        queryset=model.objects.all(),
        serializer_class=serializer_of(Comment, "text"),
        lock_required=required,
        perform_create=perform_create,
    )
    url = "/things/" if base is ModelViewSet else url_of(story)
    answer = client.post(url, {"text": "New", "story": story.pk})
    assert answer.status_code == 201
    assert story.comment_set.count() == 1
    assert LockToken.objects.get().locked_object == story


def test_the_model_for_a_new_object_of_the_same_kind_needs_no_lock(
    client, serve_locked, article
):
    def copy(view, serializer):
        serializer.save(title=checked(view, view.request.data["like"]).title)

    serve_locked(perform_create=copy)
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
        return rename(checked(self, Article.objects.earliest("pk").pk), request)

    @action(detail=False, methods=["post", "put", "patch", "delete"])
    def sweep(self, request):
        Article.objects.filter(title="").delete()
        return Response({})


@pytest.mark.parametrize(
    ("method", "route"),
    [
        *(("put", "latest/"), ("patch", "latest/"), ("post", "first/")),
        ("post", "no/{}/publish/"),
    ],
)
def test_a_route_of_a_list_that_asks_for_an_object_needs_its_lock(
    client, serve_locked, article, method, route
):
    send = request(client, method, "/things/" + route.format(article.pk))
    serve_locked(OnesOfAList)
    needs_the_lock(send, article)
    assert title_of(article) == "Second"
    serve_locked(OnesOfAList, lock_required=True)
    assert_refuses(send, 428, "lock_required")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_route_of_a_list_that_asks_for_none_needs_no_lock(
    client, serve_locked, article, method
):
    serve_locked(OnesOfAList, lock_required=True)
    article.lock()
    answer = request(client, method, "/things/sweep/")()
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer
    assert client.get("/things/latest/").status_code == 200


# A get_object() that remembers


class Remembers:
    def get_object(self):
        if not hasattr(self, "found"):
            self.found = super().get_object()
            self.meanwhile()
        return self.found

    def meanwhile(self):
        pass


@pytest.mark.parametrize("is_gone", [False, True])
def test_an_object_that_is_remembered_is_read_again_under_the_lock(
    client, serve_locked, with_a_lock, is_gone
):
    story = Story.objects.create(headline="First", body="First")

    def meanwhile(self):
        found = Story.objects.filter(pk=story.pk)
        found.delete() if is_gone else found.update(body="Theirs")

    serve_locked(
        type("View", (Remembers, ModelViewSet), {"meanwhile": meanwhile}),
        queryset=Story.objects.all(),
        serializer_class=serializer_of(Story, "headline"),
    )
    headers = locked(story) if with_a_lock else {}
    answer = client.patch(url_of(story), {"headline": "Second"}, **headers)
    assert answer.status_code == (404 if is_gone else 200)
    if not is_gone:
        assert answer.json()["headline"] == "Second"
        story.refresh_from_db()
        assert (story.headline, story.body) == ("Second", "Theirs")


class RemembersAndAsksAgain(Remembers, GenericAPIView):
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
    put = ChecksAgain.put

    def get_object(self):
        return checked(self, self.kwargs["pk"])


@pytest.mark.parametrize(
    "base", [RemembersAndAsksAgain, ChecksAgain, ChecksAgainByHand]
)
def test_what_the_handler_has_changed_meanwhile_is_not_thrown_away(
    client, serve_locked, article, monkeypatch, headers, base
):
    # Where what is read under the lock may still be how it was before.
    monkeypatch.setattr(connection, "isolation_level", "repeatable read", raising=False)
    serve_locked(base)
    assert client.put(url_of(article), {}, **headers).status_code == 200
    assert title_of(article) == "Second"
