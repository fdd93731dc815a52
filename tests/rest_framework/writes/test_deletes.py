"""What a DELETE leaves of the lock."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from tests.models import Article, Comment, Story
from tests.support.drf_site import with_token
from tests.support.drf_writes import (
    BOTH,
    TOKEN,
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


class DeletesAPart(GenericAPIView):
    def delete(self, request, pk):
        article = self.get_object()
        article.title = ""
        article.save()
        return Response(status=204)


class DeletesAPartByHand(APIView):
    def delete(self, request, pk):
        article = get_object_or_404(Article, pk=pk)
        self.check_object_permissions(request, article)
        article.title = ""
        article.save()
        return Response(status=204)


class MarksAsDeleted(ModelViewSet):
    def destroy(self, request, pk):
        article = self.get_object()
        article.title = ""
        article.save()
        return Response(status=204)


class PerformsAMark(ModelViewSet):
    def perform_destroy(self, instance):
        instance.title = ""
        instance.save()


class Queues(ModelViewSet):
    def destroy(self, request, pk):
        article = self.get_object()
        article.title = ""
        article.save()
        return Response(self.get_serializer(article).data, status=202)


KEEPING = [DeletesAPart, DeletesAPartByHand, MarksAsDeleted, PerformsAMark, Queues]


@BOTH
@pytest.mark.parametrize("base", KEEPING)
def test_a_delete_that_leaves_the_object_leaves_its_lock(
    client, serve, article, kind, base
):
    is_viewset = issubclass(base, ModelViewSet)
    serve(made(kind, base))
    url = f"/things/{article.pk}/" if is_viewset else f"/{article.pk}/"
    send = request(client, "delete", url)
    token = refused_without_its_lock(send, article)
    answer = send(**with_token(token))
    assert answer.status_code in (202, 204)
    assert "Lock-Expires-At" in answer
    assert title(article) == ""
    assert lock_row(article).get().token_str == token
    if answer.content:
        assert answer.json()["lock"]["locked"] is True
    assert send().status_code == 423
    lock_row(article).delete()
    assert send().status_code == answer.status_code
    assert not LockToken.objects.exists()


@BOTH
def test_a_model_that_only_marks_its_objects_keeps_their_locks(
    client, serve, article, monkeypatch, kind
):
    def mark(self, *args, **kwargs):
        self.title = ""
        self.save()

    monkeypatch.setattr(Article, "delete", mark)
    serve(made(kind, ModelViewSet))
    token = article.lock()["token"]
    answer = client.delete(f"/things/{article.pk}/", **with_token(token))
    assert answer.status_code == 204
    assert "Lock-Expires-At" in answer
    assert (title(article), lock_row(article).get().token_str) == ("", token)


@BOTH
def test_an_action_that_deletes_a_part_keeps_the_lock(client, serve, article, kind):
    class View(ModelViewSet):
        @action(detail=True, methods=["delete"])
        def picture(self, request, pk):
            return rename(self.get_object(), request)

    serve(made(kind, View))
    needs_the_lock(request(client, "delete", f"/things/{article.pk}/picture/"), article)


@BOTH
@pytest.mark.parametrize("base", KEEPING)
def test_a_view_may_give_the_lock_up_at_that_too(client, serve, article, kind, base):
    serve(made(kind, base, release_on_write=True))
    prefix = "/things" if issubclass(base, ModelViewSet) else ""
    token = article.lock()["token"]
    answer = client.delete(f"{prefix}/{article.pk}/", **with_token(token))
    assert answer.status_code in (202, 204)
    assert "Lock-Expires-At" not in answer
    assert not LockToken.objects.exists()


class DeletesByItself(GenericAPIView):
    def delete(self, request, pk):
        self.get_object().delete()
        return Response(status=204)


class DeletesInAnAction(ModelViewSet):
    def destroy(self, request, pk):
        self.get_object().delete()
        return Response(status=204)


class DeletesByHand(APIView):
    def delete(self, request, pk):
        article = get_object_or_404(Article, pk=pk)
        self.check_object_permissions(request, article)
        Article.objects.filter(pk=article.pk).delete()
        return Response(status=204)


DELETING = pytest.mark.parametrize(
    "base", [DeletesByItself, DeletesInAnAction, DeletesByHand]
)


@BOTH
@DELETING
@TOKEN
def test_a_delete_that_takes_the_object_away_takes_its_lock(
    client, serve, article, kind, base, with_a_lock
):
    serve(made(kind, base))
    prefix = "/things" if issubclass(base, ModelViewSet) else ""
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    answer = client.delete(f"{prefix}/{article.pk}/", **headers)
    assert answer.status_code == 204
    assert "Lock-Expires-At" not in answer
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


@pytest.mark.django_db(databases=["default", "other"])
@BOTH
@pytest.mark.parametrize("has_twin", [False, True])
@pytest.mark.parametrize("base", [DeletesByItself, DeletesAPart])
def test_whether_the_object_is_gone_is_asked_of_its_own_database(
    client, serve, kind, has_twin, base
):
    article = Article.objects.using("other").create(title="First")
    if has_twin:
        Article.objects.create(pk=article.pk)
    serve(made(kind, base, queryset=Article.objects.using("other").all()))
    token = article.lock()["token"]
    assert lock_row(article).db == "other"
    answer = client.delete(f"/{article.pk}/", **with_token(token))
    assert answer.status_code == 204
    is_gone = base is DeletesByItself
    assert Article.objects.using("other").exists() is not is_gone
    assert lock_row(article).exists() is not is_gone
    assert Article.objects.exists() is has_twin


@pytest.mark.parametrize("base", [DeletesByItself, DeletesInAnAction])
@BOTH
def test_asking_whether_the_object_is_gone_costs_one_query(
    client, serve, article, kind, base
):
    def measure(view, headers):
        serve(view)
        prefix = "/things" if issubclass(view, ModelViewSet) else ""
        with CaptureQueriesContext(connection) as queries:
            answer = client.delete(f"{prefix}/{article.pk}/", **headers)
        assert answer.status_code == 204
        kinds = [query["sql"].split()[0] for query in queries]
        return len([kind for kind in kinds if kind not in ("SAVEPOINT", "RELEASE")])

    plain = measure(made((False, False), base), {})
    article.save(force_insert=True)
    count = measure(made(kind, base), with_token(article.lock()["token"]))
    assert count == plain + 3  # the fence, the question, the release


@BOTH
def test_the_lock_of_what_the_deleted_belongs_to_stays(client, serve, kind):
    story = Story.objects.create(headline="First")
    comment = story.comment_set.create(text="First")
    serve(
        made(
            kind,
            ModelViewSet,
            queryset=Comment.objects.all(),
            serializer_class=serializer_of(Comment, "text"),
            get_object_to_lock=lambda view: story,
        )
    )
    token = LockToken.objects.acquire(story).token_str
    answer = client.delete(f"/things/{comment.pk}/", **with_token(token))
    assert answer.status_code == 204
    assert not Comment.objects.exists()
    assert lock_row(story).get().token_str == token
