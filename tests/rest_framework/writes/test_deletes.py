"""What a DELETE leaves of the lock."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from tests.models import Article, Comment, Story
from tests.support.drf_site import serializer_of, with_token
from tests.support.drf_writes import (
    checked,
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


def blank(article):
    article.title = ""
    article.save()
    return Response(status=204)


def gone(article):
    article.delete()
    return Response(status=204)


def gone_by_query(article):
    return gone(Article.objects.filter(pk=article.pk))


def deleting(end):
    """Return a generic view, a view by hand and a viewset that end an article so."""

    class Generic(GenericAPIView):
        def delete(self, request, pk):
            return end(self.get_object())

    class ByHand(APIView):
        def delete(self, request, pk):
            return end(checked(self, pk))

    class OfAnAction(ModelViewSet):
        def destroy(self, request, pk):
            return end(self.get_object())

    return [Generic, ByHand, OfAnAction]


class PerformsAMark(ModelViewSet):
    def perform_destroy(self, instance):
        blank(instance)


class Queues(ModelViewSet):
    def destroy(self, request, pk):
        article = self.get_object()
        blank(article)
        return Response(self.get_serializer(article).data, status=202)


BLANKING, DELETING = deleting(blank), deleting(gone)
KEEPING = pytest.mark.parametrize("base", [*BLANKING, PerformsAMark, Queues])


@KEEPING
def test_a_delete_that_leaves_the_object_leaves_its_lock(
    client, serve_locked, article, base
):
    serve_locked(base)
    send = request(client, "delete", article)
    token = refused_without_its_lock(send, article)
    answer = send(**with_token(token))
    assert answer.status_code in (202, 204)
    assert "Lock-Expires-At" in answer
    assert title_of(article) == ""
    if answer.content:
        assert answer.json()["lock"]["locked"] is True
    assert send().status_code == 423  # it is locked as it was
    lock_row(article).delete()
    assert send().status_code == answer.status_code
    assert not LockToken.objects.exists()
    # A view may give the lock up at that too.
    serve_locked(base, release_on_write=True)
    answer = send(**locked(article))
    assert answer.status_code in (202, 204)
    assert "Lock-Expires-At" not in answer
    assert not LockToken.objects.exists()


def test_a_model_that_only_marks_its_objects_keeps_their_locks(
    client, serve_locked, article, monkeypatch
):
    monkeypatch.setattr(Article, "delete", blank)
    serve_locked()
    headers = locked(article)
    answer = client.delete(url_of(article), **headers)
    assert answer.status_code == 204
    assert "Lock-Expires-At" in answer
    assert title_of(article) == ""
    assert lock_row(article).get().token_str == headers["headers"]["Lock-Token"]


def test_an_action_that_deletes_a_part_keeps_the_lock(client, serve_locked, article):
    class View(ModelViewSet):
        @action(detail=True, methods=["delete"])
        def picture(self, request, pk):
            return rename(self.get_object(), request)

    serve_locked(View)
    needs_the_lock(request(client, "delete", url_of(article, "picture/")), article)


@pytest.mark.parametrize("base", [*DELETING, *deleting(gone_by_query)])
def test_a_delete_that_takes_the_object_away_takes_its_lock(
    client, serve_locked, article, base, headers
):
    serve_locked(base)
    answer = client.delete(url_of(article), **headers)
    assert answer.status_code == 204
    assert "Lock-Expires-At" not in answer
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.parametrize("has_twin", [False, True])
@pytest.mark.parametrize("base", [DELETING[0], BLANKING[0]])
def test_whether_the_object_is_gone_is_asked_of_its_own_database(
    client, serve_locked, has_twin, base
):
    article = Article.objects.using("other").create(title="First")
    if has_twin:
        Article.objects.create(pk=article.pk)
    serve_locked(base, queryset=Article.objects.using("other").all())
    headers = locked(article)
    assert lock_row(article).db == "other"
    assert client.delete(url_of(article), **headers).status_code == 204
    is_gone = base is DELETING[0]
    assert Article.objects.using("other").exists() is not is_gone
    assert lock_row(article).exists() is not is_gone
    assert Article.objects.exists() is has_twin


@pytest.mark.parametrize("base", [DELETING[0], DELETING[2]])
def test_asking_whether_the_object_is_gone_costs_one_query(
    client, serve, article, kind, base
):
    def measure(view, headers):
        serve(view)
        with CaptureQueriesContext(connection) as queries:
            assert client.delete(url_of(article), **headers).status_code == 204
        kinds = [query["sql"].split()[0] for query in queries]
        return len([kind for kind in kinds if kind not in ("SAVEPOINT", "RELEASE")])

    plain = measure(made("", base), {})
    article.save(force_insert=True)
    count = measure(made(kind, base), locked(article))
    assert count == plain + 3  # the fence, the question, the release


def test_the_lock_of_what_the_deleted_belongs_to_stays(client, serve_locked):
    story = Story.objects.create(headline="First")
    comment = story.comment_set.create(text="First")
    serve_locked(
        queryset=Comment.objects.all(),
        serializer_class=serializer_of(Comment, "text"),
        get_object_to_lock=lambda view: story,
    )
    headers = locked(story)
    assert client.delete(url_of(comment), **headers).status_code == 204
    assert not Comment.objects.exists()
    assert lock_row(story).get().token_str == headers["headers"]["Lock-Token"]
