"""Writes to a second object, or to many."""

import pytest
from django.db import models
from rest_framework import permissions
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, ListCreateAPIView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from tests.models import Article, ArticleProxy, Desk, Keyword
from tests.support.drf_site import ArticleSerializer, serializer_of, with_token
from tests.support.drf_writes import (
    VOID,
    assert_refuses,
    locked,
    made,
    needs_the_lock,
    refused_without_its_lock,
    rename,
    request,
)
from tests.support.helpers import lock_row
from tests.support.objects import title_of

pytestmark = pytest.mark.django_db


# A second object


class Merges(ModelViewSet):
    """Writes to its object and to a second one, whose permission it checks."""

    queryset = Desk.objects.order_by("pk")
    serializer_class = serializer_of(Desk, "name", "telephone")
    seconds: models.QuerySet = Desk.objects.all()
    merged = ("telephone", "title")

    @action(detail=True, methods=["post", "put"])
    def merge(self, request, **kwargs):
        first = self.get_object()
        second = self.seconds.get(pk=request.data["second"])
        self.meanwhile(second)
        self.check_object_permissions(request, second)
        for obj in (first, second):
            for field in self.merged:
                if hasattr(obj, field):
                    setattr(obj, field, "merged")
            obj.save()
        return Response({"was locked": LockToken.objects.is_locked(second)})

    def meanwhile(self, second):
        pass


@pytest.fixture
def desks():
    return [Desk.objects.create(name=name) for name in ("one", "two")]


@pytest.fixture
def other():
    return Article.objects.create(title="Other")


@pytest.fixture(params=["pk", "name"])
def lookup(request):
    return request.param


@pytest.fixture
def merging(serve_locked, lookup):
    """Serve a view that merges desks, found by the key and by another field."""

    def merging(**attributes):
        own = {"queryset": Merges.queryset, "lookup_field": lookup}
        own["serializer_class"] = Merges.serializer_class
        serve_locked(Merges, **{**own, **attributes})

    return merging


@pytest.fixture
def merge(client, lookup):
    def merge(first, second, method="post"):
        url = f"/things/{getattr(first, lookup)}/merge/"
        return request(client, method, url, {"second": second.pk})

    return merge


@pytest.mark.parametrize("method", ["post", "put"])
def test_a_second_object_refuses_the_write_or_is_held_until_it_is_done(
    merging, merge, desks, with_a_lock, method
):
    merging()
    send = merge(*desks, method)
    headers = locked(desks[0]) if with_a_lock else {}
    locked(desks[1])
    assert_refuses(send, 423, "locked", **headers)
    lock_row(desks[1]).delete()
    answer = send(**headers)
    assert (answer.status_code, answer.json()) == (200, {"was locked": True})
    assert set(Desk.objects.values_list("telephone", flat=True)) == {"merged"}
    assert lock_row(desks[0]).exists() is with_a_lock
    assert not lock_row(desks[1]).exists()


def test_its_own_object_still_needs_its_lock_first(merging, merge, desks):
    merging()
    send = merge(*desks)
    token = refused_without_its_lock(send, desks[0])
    locked(desks[1])
    assert send(**with_token(VOID)).status_code == 412
    assert send(**with_token(token)).status_code == 423
    lock_row(desks[1]).delete()
    assert send(**with_token(token)).status_code == 200


def test_a_lock_that_is_required_is_that_of_the_first_object(merging, merge, desks):
    merging(lock_required=True)
    send = merge(*desks)
    assert_refuses(send, 428)
    assert send(**locked(desks[0])).status_code == 200
    assert not lock_row(desks[1]).exists()


def test_the_same_object_may_be_checked_twice(merging, merge, desks):
    merging()
    needs_the_lock(merge(desks[0], desks[0]), desks[0])


def test_a_second_object_is_read_again(merging, merge, desks, with_a_lock):
    def meanwhile(view, second):  # a colleague, before the second lock is had
        Desk.objects.filter(pk=second.pk).update(telephone="Theirs")

    merging(meanwhile=meanwhile, merged=())
    headers = locked(desks[0]) if with_a_lock else {}
    assert merge(*desks)(**headers).status_code == 200
    assert Desk.objects.get(pk=desks[1].pk).telephone == "Theirs"


@pytest.mark.parametrize("lookup", ["pk"], indirect=True)
def test_a_proxy_of_the_same_model_is_of_its_kind(merging, merge, article, other):
    merging(
        seconds=ArticleProxy.objects.all(),
        queryset=Article.objects.all(),
        serializer_class=ArticleSerializer,
    )
    headers = locked(article)
    locked(other)
    send = merge(article, other)
    assert_refuses(send, 423, **headers)
    lock_row(other).delete()
    assert send(**headers).status_code == 200
    assert title_of(other) == "merged"


class NotForbidden(permissions.BasePermission):
    def has_object_permission(self, request, view, obj):
        return getattr(obj, "title", None) != "Forbidden"


@pytest.mark.parametrize("is_locked", [False, True])
def test_a_second_object_of_another_model_is_only_checked(
    merging, merge, desks, article, is_locked
):
    merging(seconds=Article.objects.all(), permission_classes=[NotForbidden])
    headers = locked(desks[0])
    if is_locked:
        article.lock()
    send = merge(desks[0], article)
    answer = send(**headers)
    assert (answer.status_code, answer.json()) == (200, {"was locked": is_locked})
    Article.objects.update(title="Forbidden")
    assert_refuses(send, 403, **headers)


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


@pytest.mark.parametrize("method", ["post", "put"])
def test_by_hand_each_further_object_is_locked_without_the_token(
    client, serve_locked, desks, article, with_a_lock, method
):
    serve_locked(MergesByHand, lock_required=with_a_lock)
    headers = locked(desks[0]) if with_a_lock else {}
    send = request(client, method, desks[0])
    for other in (desks[1], article):
        locked(other)
        assert_refuses(send, 423, "locked", **headers)
        lock_row(other).delete()
    assert send(**headers).status_code == 200
    assert list(Keyword.objects.values_list("name", flat=True)) == ["True"] * 3
    assert lock_row(desks[0]).exists() is with_a_lock
    assert LockToken.objects.count() == with_a_lock


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_second_object_of_get_object_is_refused_under_anothers_lock(
    client, serve_locked, article, other, method
):
    class View(GenericAPIView):
        def put(self, request, pk):
            for key in (pk, other.pk):
                self.kwargs["pk"] = key
                rename(self.get_object(), request)
            return Response({})

        post = put

    serve_locked(View)
    send = request(client, method, article)
    locked(other)
    assert_refuses(send, 423)
    lock_row(other).delete()
    assert send().status_code == 200
    assert (title_of(article), title_of(other)) == ("Second", "Second")
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


@pytest.fixture(params=["view", "actions", "actions of a list"])
def bulk(request, serve, kind):
    """Serve a view that writes to many, in each way that it may be made."""

    def bulk(**attributes):
        if request.param == "view":
            view = made(kind, Bulk, **attributes)
        else:
            names = {"put_all": Bulk.put, "delete_all": Bulk.delete}
            actions = {"put": "put_all", "patch": "put_all", "delete": "delete_all"}
            options = {"detail": False} if "list" in request.param else {}
            view = made(kind, **names, **attributes).as_view(actions, **options)
        serve(view, "")

    return bulk


@pytest.fixture(params=["put", "patch"])
def write_all(request, client):
    def write_all(**body):
        send = getattr(client, request.param)
        return lambda **headers: send("/", {"title": "Second", **body}, **headers)

    return write_all


def test_a_write_to_many_needs_no_lock(write_all, bulk, article, other):
    bulk(lock_required=True)
    other.lock()
    answer = write_all()()
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer
    assert (title_of(article), title_of(other)) == ("Second", "Second")
    assert LockToken.objects.get().locked_object == other


def test_of_many_those_that_are_checked_need_theirs(write_all, bulk, article, other):
    bulk()
    send = write_all(checks=True)
    needs_the_lock(send, article)
    headers = locked(article)
    locked(other)
    Article.objects.filter(pk=article.pk).update(title="First")
    for sent in ({}, headers):
        assert_refuses(send, 423, **sent)
    lock_row(other).delete()
    assert send(**headers).status_code == 200
    assert (title_of(article), title_of(other)) == ("Second", "Second")
    assert LockToken.objects.get().locked_object == article


def test_of_many_the_first_may_need_its_lock_always(write_all, bulk, article, other):
    bulk(lock_required=True)
    send = write_all(checks=True)
    assert_refuses(send, 428)
    assert send(**locked(article)).status_code == 200


def test_many_are_deleted_with_their_locks(client, bulk, article, other, headers):
    bulk()
    locked(other)
    send = request(client, "delete", "/")
    assert_refuses(send, 423, **headers)
    lock_row(other).delete()
    assert send(**headers).status_code == 204
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()
