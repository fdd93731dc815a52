"""Writes that the database undoes, and failures after the commit."""

from contextlib import suppress

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from tests.models import Article, Desk
from tests.support.drf_writes import (
    assert_refuses,
    database,
    locked,
    rename,
    request,
)
from tests.support.helpers import LocksElsewhere, lock_row
from tests.support.objects import title_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

#: Locks beside the objects, and in a database of their own.
ROUTERS = pytest.mark.parametrize(
    "routers", [[], [LocksElsewhere()]], ids=["one database", "locks elsewhere"]
)


# After the commit


class FailsAfterwards(ModelViewSet):
    def perform_update(self, serializer):
        serializer.save()
        transaction.on_commit(self.fail)

    def perform_destroy(self, instance):
        instance.delete()
        transaction.on_commit(self.fail)

    def fail(self):
        raise OperationalError("the search index is away")


@ROUTERS
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_what_fails_after_the_commit_is_not_said_to_be_unwritten(
    client, serve_locked, article, settings, with_a_lock, routers, method
):
    settings.DATABASE_ROUTERS = routers
    serve_locked(FailsAfterwards)
    send = request(client, method, article)
    headers = locked(article) if with_a_lock else {}
    with pytest.raises(OperationalError, match="the search index is away"):
        send(**headers)
    found = Article.objects.filter(pk=article.pk).values_list("title", flat=True)
    assert list(found) == (["Second"] if method == "patch" else [])
    # A database of their own undoes what it has of the write: the lock is not given up.
    stays = method == "patch" or bool(routers)
    assert lock_row(article).exists() is (with_a_lock and stays)


def test_a_commit_that_fails_is_a_503_and_nothing_is_written(
    patch, serve_locked, monkeypatch, headers
):
    def fail():
        raise OperationalError("the server has gone away")

    class View(ModelViewSet):
        def perform_update(self, serializer):
            serializer.save()
            monkeypatch.setattr(connection, "_commit", fail)

    def send(**headers):
        answer = patch(**headers)
        monkeypatch.undo()
        return answer

    serve_locked(View)
    assert_refuses(send, 503, "unavailable", **headers)


# A write that the database has already thrown away


class Swallows(ModelViewSet):
    """Goes on after an error that has spoilt its transaction."""

    status = 200

    def update(self, request, pk, **kwargs):
        article = self.get_object()
        rename(article, request)
        with suppress(IntegrityError):
            self.note()
        return Response({"title": article.title}, status=self.status)

    def note(self):
        Desk.objects.create(name="one")


class SwallowsRightly(Swallows):
    @transaction.atomic
    def note(self):
        super().note()


@pytest.fixture
def taken():
    """The name of the handler's desk is taken: it meets an IntegrityError."""
    Desk.objects.create(name="one")


@ROUTERS
@pytest.mark.parametrize("releases", [False, True])
def test_a_write_that_is_undone_is_no_success(
    taken, patch, serve_locked, article, settings, with_a_lock, routers, releases
):
    settings.DATABASE_ROUTERS = routers
    serve_locked(Swallows, release_on_write=releases)
    headers = locked(article) if with_a_lock else {}
    before = database()
    with pytest.raises(TransactionManagementError):
        patch(**headers)
    assert database() == before


def test_a_refusal_of_the_handlers_own_may_be_undone(
    taken, patch, serve_locked, headers
):
    serve_locked(Swallows, status=409)
    assert "Lock-Expires-At" not in assert_refuses(patch, 409, **headers)


def test_an_error_in_a_transaction_of_its_own_spoils_nothing(
    taken, patch, serve_locked, article, headers, with_a_lock
):
    serve_locked(SwallowsRightly)
    assert patch(**headers).status_code == 200
    assert title_of(article) == "Second"
    assert lock_row(article).exists() is with_a_lock


def test_under_atomic_requests_an_undone_write_is_djangos_to_tell(
    taken, patch, serve_locked, monkeypatch, headers
):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    serve_locked(Swallows)
    before = database()
    assert patch(**headers).status_code == 200
    assert database() == before
