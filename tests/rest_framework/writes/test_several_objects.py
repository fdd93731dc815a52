"""Writes to a second object, or to many."""

import pytest
from django.db import models
from django.urls import path
from rest_framework import permissions
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, ListCreateAPIView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from tests.models import Article, ArticleProxy, Desk, Keyword
from tests.support.drf_site import ArticleSerializer, with_token
from tests.support.drf_writes import (
    BOTH,
    TOKEN,
    VOID,
    Routes,
    database,
    made,
    needs_the_lock,
    refused_without_its_lock,
    rename,
    request,
    serializer_of,
    title,
)
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]


# A second object


class Merges(ModelViewSet):
    """Writes to its object and to a second one, whose permission it checks."""

    queryset = Desk.objects.order_by("pk")
    serializer_class = serializer_of(Desk, "name", "telephone")
    seconds: models.QuerySet = Desk.objects.all()

    @action(detail=True, methods=["post", "put"])
    def merge(self, request, **kwargs):
        first = self.get_object()
        second = self.seconds.get(pk=request.data["second"])
        self.check_object_permissions(request, second)
        for obj in (first, second):
            for field in ("telephone", "title"):
                if hasattr(obj, field):
                    setattr(obj, field, "merged")
            obj.save()
        return Response({"was locked": LockToken.objects.is_locked(second)})


@pytest.fixture
def desks():
    return [Desk.objects.create(name=name) for name in ("one", "two")]


LOOKUPS = pytest.mark.parametrize("lookup", ["pk", "name"])


def merging(kind, lookup, **attributes):
    attributes = {"lookup_field": lookup, "queryset": Merges.queryset, **attributes}
    attributes.setdefault("serializer_class", Merges.serializer_class)
    return made(kind, Merges, **attributes)


def merge(client, lookup, first, second, method="post"):
    url = f"/things/{getattr(first, lookup)}/merge/"
    return request(client, method, url, {"second": second.pk})


@BOTH
@LOOKUPS
@TOKEN
@pytest.mark.parametrize("method", ["post", "put"])
def test_a_second_object_that_is_free_is_held_until_the_write_is_done(
    client, serve, desks, kind, lookup, with_a_lock, method
):
    serve(merging(kind, lookup))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    answer = merge(client, lookup, *desks, method)(**headers)
    assert (answer.status_code, answer.json()) == (200, {"was locked": True})
    assert set(Desk.objects.values_list("telephone", flat=True)) == {"merged"}
    assert lock_row(desks[0]).exists() is with_a_lock
    assert not lock_row(desks[1]).exists()
    LockToken.objects.acquire(desks[1])  # free again


@BOTH
@LOOKUPS
@TOKEN
def test_a_second_object_that_is_locked_refuses_the_write(
    client, serve, desks, kind, lookup, with_a_lock
):
    serve(merging(kind, lookup))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    LockToken.objects.acquire(desks[1])
    before = database()
    answer = merge(client, lookup, *desks)(**headers)
    assert (answer.status_code, answer.json()["error"]) == (423, "locked")
    assert "Lock-Expires-At" not in answer
    assert database() == before


@BOTH
@LOOKUPS
def test_its_own_object_still_needs_its_lock_first(client, serve, desks, kind, lookup):
    serve(merging(kind, lookup))
    send = merge(client, lookup, *desks)
    token = refused_without_its_lock(send, desks[0])
    LockToken.objects.acquire(desks[1])
    assert send(**with_token(VOID)).status_code == 412
    assert send(**with_token(token)).status_code == 423
    lock_row(desks[1]).delete()
    assert send(**with_token(token)).status_code == 200


@BOTH
@LOOKUPS
def test_a_lock_that_is_required_is_that_of_the_first_object(
    client, serve, desks, kind, lookup
):
    serve(merging(kind, lookup, lock_required=True))
    send = merge(client, lookup, *desks)
    assert send().status_code == 428
    token = LockToken.objects.acquire(desks[0]).token_str
    assert send(**with_token(token)).status_code == 200
    assert not lock_row(desks[1]).exists()


@BOTH
@LOOKUPS
def test_the_same_object_may_be_checked_twice(client, serve, desks, kind, lookup):
    serve(merging(kind, lookup))
    send = merge(client, lookup, desks[0], desks[0])
    needs_the_lock(send, desks[0])


@BOTH
@LOOKUPS
@TOKEN
def test_a_second_object_is_read_again(client, serve, desks, kind, lookup, with_a_lock):
    class View(Merges):
        @action(detail=True, methods=["post"])
        def merge(self, request, **kwargs):
            self.get_object()
            second = Desk.objects.get(pk=request.data["second"])
            # A colleague, before the second lock is had.
            Desk.objects.filter(pk=second.pk).update(telephone="Theirs")
            self.check_object_permissions(request, second)
            second.save()
            return Response({})

    attributes = {"lookup_field": lookup, "queryset": Merges.queryset}
    serve(made(kind, View, serializer_class=Merges.serializer_class, **attributes))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    assert merge(client, lookup, *desks)(**headers).status_code == 200
    assert Desk.objects.get(pk=desks[1].pk).telephone == "Theirs"


@BOTH
def test_a_proxy_of_the_same_model_is_of_its_kind(client, serve, article, kind):
    other = Article.objects.create(title="Other")
    view = {"queryset": Article.objects.all(), "serializer_class": ArticleSerializer}
    serve(merging(kind, "pk", seconds=ArticleProxy.objects.all(), **view))
    token = article.lock()["token"]
    theirs = other.lock()["token"]
    send = merge(client, "pk", article, other)
    before = database()
    assert send(**with_token(token)).status_code == 423
    assert database() == before
    other.unlock(theirs)
    assert send(**with_token(token)).status_code == 200
    assert title(other) == "merged"


@BOTH
@LOOKUPS
@pytest.mark.parametrize("is_locked", [False, True])
def test_a_second_object_of_another_model_is_only_checked(
    client, serve, desks, article, kind, lookup, is_locked
):
    class NotForbidden(permissions.BasePermission):
        def has_object_permission(self, request, view, obj):
            return getattr(obj, "title", None) != "Forbidden"

    classes = [NotForbidden]
    serve(
        merging(kind, lookup, seconds=Article.objects.all(), permission_classes=classes)
    )
    token = LockToken.objects.acquire(desks[0]).token_str
    if is_locked:
        article.lock()
    send = merge(client, lookup, desks[0], article)
    answer = send(**with_token(token))
    assert (answer.status_code, answer.json()) == (200, {"was locked": is_locked})
    Article.objects.update(title="Forbidden")
    before = database()
    assert send(**with_token(token)).status_code == 403
    assert database() == before


class MergesByHand(APIView):
    """In no generic view: objects of any kind, one after the other."""

    def put(self, request, pk):
        found = [Desk.objects.get(pk=pk)]
        found += Desk.objects.filter(name="two")
        found += Article.objects.all()
        for obj in found:
            self.check_object_permissions(request, obj)
            Keyword.objects.create(name=str(LockToken.objects.is_locked(obj)))
        Desk.objects.update(telephone="merged")
        return Response({})

    post = patch = delete = put


@BOTH
@TOKEN
@pytest.mark.parametrize("method", ["post", "put"])
def test_by_hand_each_further_object_is_locked_without_the_token(
    client, serve, desks, article, kind, with_a_lock, method
):
    serve(made(kind, MergesByHand, lock_required=with_a_lock))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    send = request(client, method, f"/{desks[0].pk}/")
    for other in (desks[1], article):
        theirs = LockToken.objects.acquire(other)
        before = database()
        answer = send(**headers)
        assert (answer.status_code, answer.json()["error"]) == (423, "locked")
        assert database() == before
        theirs.delete()
    answer = send(**headers)
    assert answer.status_code == 200
    assert list(Keyword.objects.values_list("name", flat=True)) == ["True"] * 3
    assert lock_row(desks[0]).exists() is with_a_lock
    assert LockToken.objects.count() == with_a_lock


@BOTH
@pytest.mark.parametrize("method", ["put", "post"])
def test_a_second_object_of_get_object_is_refused_under_anothers_lock(
    client, serve, article, kind, method
):
    other = Article.objects.create(title="Other")

    class View(GenericAPIView):
        def put(self, request, pk):
            for key in (pk, other.pk):
                self.kwargs["pk"] = key
                rename(self.get_object(), request)
            return Response({})

        post = put

    serve(made(kind, View))
    send = request(client, method, f"/{article.pk}/")
    other.lock()
    before = database()
    assert send().status_code == 423
    assert database() == before
    lock_row(other).delete()
    assert send().status_code == 200
    assert (title(article), title(other)) == ("Second", "Second")
    assert not LockToken.objects.exists()


# Writes to many


class Bulk(ListCreateAPIView):
    def put(self, request):
        for article in Article.objects.order_by("pk"):
            if "checks" in request.data:
                self.check_object_permissions(request, article)
            rename(article, request)
        return Response({})

    patch = put

    def delete(self, request):
        for article in Article.objects.order_by("pk"):
            self.check_object_permissions(request, article)
            article.delete()
        return Response(status=204)


BULK = pytest.mark.parametrize("method", ["put", "patch"])


@pytest.fixture(params=["view", "actions", "actions of a list"])
def bulk(request, settings):
    """Serve a view that writes to many, in each way that it may be made."""

    def serve(kind, **attributes):
        if request.param == "view":
            view = made(kind, Bulk, **attributes).as_view()
        else:
            names = {"put_all": Bulk.put, "delete_all": Bulk.delete}
            actions = {"put": "put_all", "patch": "put_all", "delete": "delete_all"}
            view = made(kind, ModelViewSet, **names, **attributes)
            options = {"detail": False} if "list" in request.param else {}
            view = view.as_view(actions, **options)
        settings.ROOT_URLCONF = Routes([path("", view)])

    return serve


@BOTH
@BULK
def test_a_write_to_many_needs_no_lock(client, bulk, article, kind, method):
    bulk(kind, lock_required=True)
    other = Article.objects.create(title="Other")
    other.lock()
    answer = request(client, method, "/")()
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer
    assert (title(article), title(other)) == ("Second", "Second")
    assert LockToken.objects.get().locked_object == other


@BOTH
@BULK
def test_of_many_those_that_are_checked_need_theirs(
    client, bulk, article, kind, method
):
    bulk(kind)
    other = Article.objects.create(title="Other")
    send = request(client, method, "/", {"title": "Second", "checks": True})
    needs_the_lock(send, article)
    token = article.lock()["token"]
    other.lock()
    Article.objects.filter(pk=article.pk).update(title="First")
    before = database()
    for headers in ({}, with_token(token)):
        assert send(**headers).status_code == 423
        assert database() == before
    lock_row(other).delete()
    assert send(**with_token(token)).status_code == 200
    assert (title(article), title(other)) == ("Second", "Second")
    assert LockToken.objects.get().token_str == token


@BOTH
@BULK
def test_of_many_the_first_may_need_its_lock_always(
    client, bulk, article, kind, method
):
    bulk(kind, lock_required=True)
    Article.objects.create(title="Other")
    send = request(client, method, "/", {"title": "Second", "checks": True})
    before = database()
    assert send().status_code == 428
    assert database() == before
    token = article.lock()["token"]
    assert send(**with_token(token)).status_code == 200


@BOTH
@TOKEN
def test_many_are_deleted_with_their_locks(client, bulk, article, kind, with_a_lock):
    bulk(kind)
    other = Article.objects.create(title="Other")
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    other.lock()
    before = database()
    assert client.delete("/", **headers).status_code == 423
    assert database() == before
    lock_row(other).delete()
    assert client.delete("/", **headers).status_code == 204
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()
