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
    BOTH,
    TOKEN,
    database,
    made,
    needs_the_lock,
    refused_without_its_lock,
    rename,
    request,
    title,
)
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]


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


@BOTH
@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_row_that_is_a_child_has_the_childs_lock(
    client, serve, feature, downcast, kind, method
):
    serve(made(kind, ModelViewSet, **downcast))
    send = request(client, method, f"/things/{feature.pk}/")
    needs_the_lock(send, feature)
    assert title(feature) == "Second"


@BOTH
def test_a_child_is_deleted_under_its_own_lock(client, serve, feature, downcast, kind):
    serve(made(kind, ModelViewSet, **downcast))
    send = request(client, "delete", f"/things/{feature.pk}/")
    token = refused_without_its_lock(send, feature)
    assert send(**with_token(token)).status_code == 204
    assert not Feature.objects.exists()
    assert not LockToken.objects.exists()


def test_the_route_and_the_writes_of_a_child_speak_of_one_lock(
    client, serve, feature, downcast
):
    serve(made((True, False), ModelViewSet, **downcast, release_on_write=True))
    url = f"/things/{feature.pk}/"
    token = client.post(f"{url}lock/").json()["token"]
    assert lock_row(feature).get().token_str == token
    answer = client.patch(url, {"title": "Lost"})
    assert (answer.status_code, title(feature)) == (423, "First")
    answer = client.patch(url, {"title": "Second"}, **with_token(token))
    assert answer.status_code == 200
    assert answer.json()["lock"]["locked"] is False
    assert client.get(f"{url}lock/").json()["locked"] is False
    assert not LockToken.objects.exists()


@BOTH
def test_rows_without_a_child_have_their_own_lock(
    client, serve, article, feature, downcast, kind
):
    serve(made(kind, ModelViewSet, **downcast))
    needs_the_lock(request(client, "patch", f"/things/{article.pk}/"), article)
    assert (title(article), title(feature)) == ("Second", "First")


@BOTH
@TOKEN
def test_the_lock_of_a_childs_parent_is_another(
    client, serve, feature, downcast, kind, with_a_lock
):
    serve(made(kind, ModelViewSet, **downcast))
    parent = LockToken.objects.acquire(Article.objects.get(pk=feature.pk))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(feature).token_str)
    answer = client.patch(f"/things/{feature.pk}/", {"title": "Second"}, **headers)
    assert answer.status_code == 200
    parent.refresh_from_db()  # stands as it was
    answer = client.patch(f"/things/{feature.pk}/", {}, **with_token(parent.token_str))
    assert answer.status_code == 412


@BOTH
def test_a_child_is_read_again_under_its_lock(
    client, serve, feature, downcast, monkeypatch, kind
):
    """What it was before the lock was had is not written back."""
    fence = LockToken.objects.fence

    def meanwhile(*args, **options):
        Feature.objects.filter(pk=feature.pk).update(lead="Theirs")
        return fence(*args, **options)

    serve(made(kind, ModelViewSet, **downcast))
    token = LockToken.objects.acquire(feature).token_str
    monkeypatch.setattr(LockToken.objects, "fence", meanwhile)
    answer = client.patch(
        f"/things/{feature.pk}/", {"title": "Second"}, **with_token(token)
    )
    assert answer.status_code == 200
    feature.refresh_from_db()
    assert (feature.title, feature.lead) == ("Second", "Theirs")


@BOTH
def test_a_child_may_need_its_lock_always(client, serve, feature, downcast, kind):
    serve(made(kind, ModelViewSet, **downcast, lock_required=True))
    answer = client.patch(f"/things/{feature.pk}/", {"title": "Lost"})
    assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
    assert title(feature) == "First"
    token = LockToken.objects.acquire(feature).token_str
    answer = client.patch(
        f"/things/{feature.pk}/", {"title": "Second"}, **with_token(token)
    )
    assert answer.status_code == 200


@BOTH
@pytest.mark.parametrize("method", ["put", "post"])
def test_a_handler_that_does_not_ask_for_the_child_needs_its_lock_too(
    client, serve, feature, downcast, kind, method
):
    class View(ModelViewSet):
        @action(detail=True, methods=["put", "post"])
        def publish(self, request, pk):
            return rename(Article.objects.get(pk=pk), request)

    serve(made(kind, View, **downcast))
    send = request(client, method, f"/things/{feature.pk}/publish/")
    needs_the_lock(send, feature)
    LockToken.objects.acquire(feature)
    parent = LockToken.objects.acquire(Article.objects.get(pk=feature.pk))
    before = database()
    assert send(**with_token(parent.token_str)).status_code == 412
    assert database() == before
