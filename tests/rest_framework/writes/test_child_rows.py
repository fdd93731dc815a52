"""Writes to a row that is of a child of the view's model."""

import pytest
from django.db import models
from django.db.models.query import ModelIterable
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from tests.models import Article, Feature
from tests.support.drf_site import with_token
from tests.support.drf_writes import (
    assert_refuses,
    locked,
    made,
    needs_the_lock,
    refused_without_its_lock,
    rename,
    request,
    url_of,
)
from tests.support.helpers import lock_row
from tests.support.objects import title_of

pytestmark = pytest.mark.django_db


class Downcast(ModelIterable):
    """Gives the child of each row that has one, as packages for such models do."""

    def __iter__(self):
        rows = list(super().__iter__())
        found = Feature.objects.using(self.queryset.db).in_bulk(
            [row.pk for row in rows]
        )
        return iter([found.get(row.pk, row) for row in rows])


class ByIterable(models.QuerySet):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._iterable_class = Downcast


class ByGet(models.QuerySet):
    def get(self, *args, **kwargs):
        row = super().get(*args, **kwargs)
        return Feature.objects.using(self.db).filter(pk=row.pk).first() or row


class Downcasts(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return ByIterable(Article).all()


DOWNCASTS = {
    "iterable": {"queryset": ByIterable(Article).order_by("pk")},
    "get": {"queryset": ByGet(Article)},
    "backend": {"filter_backends": [Downcasts]},
    "filter": {"filter_queryset": lambda view, found: ByIterable(Article).all()},
}


@pytest.fixture(params=DOWNCASTS)
def downcast(request):
    return DOWNCASTS[request.param]


@pytest.fixture
def feature():
    return Feature.objects.create(title="First", lead="First")


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_row_that_is_a_child_has_the_childs_lock(
    client, serve_locked, feature, downcast, method
):
    send = request(client, method, feature)
    serve_locked(**downcast)
    needs_the_lock(send, feature)
    assert title_of(feature) == "Second"
    serve_locked(**downcast, lock_required=True)
    assert_refuses(send, 428, "lock_required")
    assert send(**locked(feature)).status_code == 200


def test_a_child_is_deleted_under_its_own_lock(client, serve_locked, feature, downcast):
    serve_locked(**downcast)
    send = request(client, "delete", feature)
    token = refused_without_its_lock(send, feature)
    assert send(**with_token(token)).status_code == 204
    assert not Feature.objects.exists()
    assert not LockToken.objects.exists()


def test_the_route_and_the_writes_of_a_child_speak_of_one_lock(
    client, serve, feature, downcast
):
    serve(made("mixin", **downcast, release_on_write=True))
    url = url_of(feature)
    token = client.post(f"{url}lock/").json()["token"]
    assert lock_row(feature).get().token_str == token
    send = request(client, "patch", url)
    assert_refuses(send, 423)
    answer = send(**with_token(token))
    assert answer.status_code == 200
    assert answer.json()["lock"]["locked"] is False
    assert client.get(f"{url}lock/").json()["locked"] is False
    assert not LockToken.objects.exists()


def test_rows_without_a_child_have_their_own_lock(
    patch, serve_locked, article, feature, downcast
):
    serve_locked(**downcast)
    needs_the_lock(patch, article)
    assert (title_of(article), title_of(feature)) == ("Second", "First")


def test_the_lock_of_a_childs_parent_is_another(
    client, serve_locked, feature, downcast, with_a_lock
):
    serve_locked(**downcast)
    parent = LockToken.objects.acquire(Article.objects.get(pk=feature.pk))
    send = request(client, "patch", feature)
    assert send(**(locked(feature) if with_a_lock else {})).status_code == 200
    parent.refresh_from_db()  # stands as it was
    assert send(**with_token(parent.token_str)).status_code == 412


def test_a_child_is_read_again_under_its_lock(
    client, serve_locked, feature, downcast, monkeypatch
):
    """What it was before the lock was had is not written back."""
    fence = LockToken.objects.fence

    def meanwhile(*args, **options):
        Feature.objects.filter(pk=feature.pk).update(lead="Theirs")
        return fence(*args, **options)

    serve_locked(**downcast)
    headers = locked(feature)
    monkeypatch.setattr(LockToken.objects, "fence", meanwhile)
    assert request(client, "patch", feature)(**headers).status_code == 200
    feature.refresh_from_db()
    assert (feature.title, feature.lead) == ("Second", "Theirs")


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_handler_that_does_not_ask_for_the_child_needs_its_lock_too(
    client, serve_locked, feature, downcast, method
):
    class View(ModelViewSet):
        @action(detail=True, methods=["put", "post"])
        def publish(self, request, pk):
            return rename(Article.objects.get(pk=pk), request)

    serve_locked(View, **downcast)
    send = request(client, method, url_of(feature, "publish/"))
    needs_the_lock(send, feature)
    locked(feature)
    assert_refuses(send, 412, **locked(Article.objects.get(pk=feature.pk)))
