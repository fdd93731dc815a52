"""Writes that the database undoes, and failures after the commit."""

from contextlib import suppress

import pytest
from django.db import (
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.transaction import TransactionManagementError
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from tests.models import Article, Desk
from tests.support.drf_site import with_token
from tests.support.drf_writes import (
    BOTH,
    TOKEN,
    LocksElsewhere,
    database,
    made,
    rename,
    request,
    title,
)
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]


# After the commit


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_what_fails_after_the_commit_is_not_said_to_be_unwritten(
    client, serve, article, kind, with_a_lock, method
):
    def fail():
        raise OperationalError("the search index is away")

    class View(ModelViewSet):
        def perform_update(self, serializer):
            serializer.save()
            transaction.on_commit(fail)

        def perform_destroy(self, instance):
            instance.delete()
            transaction.on_commit(fail)

    serve(made(kind, View))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    send = request(client, method, f"/things/{article.pk}/")
    with pytest.raises(OperationalError, match="the search index is away"):
        send(**headers)
    found = Article.objects.filter(pk=article.pk).values_list("title", flat=True)
    assert list(found) == (["Second"] if method == "patch" else [])
    assert lock_row(article).exists() is (with_a_lock and method == "patch")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@BOTH
@TOKEN
def test_nor_is_it_where_locks_are_kept_elsewhere(
    client, serve, article, settings, kind, with_a_lock
):
    def fail():
        raise OperationalError("the search index is away")

    class View(ModelViewSet):
        def perform_update(self, serializer):
            serializer.save()
            transaction.on_commit(fail)

    settings.DATABASE_ROUTERS = [LocksElsewhere()]
    serve(made(kind, View))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    with pytest.raises(OperationalError, match="the search index is away"):
        client.patch(f"/things/{article.pk}/", {"title": "Second"}, **headers)
    assert title(article) == "Second"


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_a_commit_that_fails_is_a_503_and_nothing_is_written(
    client, serve, article, monkeypatch, kind, with_a_lock
):
    def fail():
        raise OperationalError("the server has gone away")

    class View(ModelViewSet):
        def perform_update(self, serializer):
            serializer.save()
            monkeypatch.setattr(connection, "_commit", fail)

    serve(made(kind, View))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    answer = request(client, "patch", f"/things/{article.pk}/")(**headers)
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer["Retry-After"]
    assert database() == before


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


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
@pytest.mark.parametrize("releases", [False, True])
def test_a_write_that_is_undone_is_no_success(
    client, serve, article, kind, with_a_lock, releases
):
    Desk.objects.create(name="one")
    serve(made(kind, Swallows, release_on_write=releases))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    with pytest.raises(TransactionManagementError):
        client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert database() == before


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@BOTH
@TOKEN
def test_nor_is_it_one_where_locks_are_kept_elsewhere(
    client, serve, article, settings, kind, with_a_lock
):
    settings.DATABASE_ROUTERS = [LocksElsewhere()]
    Desk.objects.create(name="one")
    serve(made(kind, Swallows))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    with pytest.raises(TransactionManagementError):
        client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert database() == before


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_a_refusal_of_the_handlers_own_may_be_undone(
    client, serve, article, kind, with_a_lock
):
    Desk.objects.create(name="one")
    serve(made(kind, Swallows, status=409))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    answer = client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert answer.status_code == 409
    assert "Lock-Expires-At" not in answer
    assert database() == before


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_an_error_in_a_transaction_of_its_own_spoils_nothing(
    client, serve, article, kind, with_a_lock
):
    Desk.objects.create(name="one")
    serve(made(kind, SwallowsRightly))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    answer = client.patch(f"/things/{article.pk}/", {"title": "Second"}, **headers)
    assert answer.status_code == 200
    assert title(article) == "Second"
    assert lock_row(article).exists() is with_a_lock


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_under_atomic_requests_an_undone_write_is_djangos_to_tell(
    client, serve, article, monkeypatch, kind, with_a_lock
):
    Desk.objects.create(name="one")
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    serve(made(kind, Swallows))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    answer = client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert answer.status_code == 200
    assert database() == before
