"""Writes by views that are not generic, or have no queryset, and the texts of refusals."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import LockRefused
from tests.models import Article
from tests.support.drf_site import ArticleSerializer, with_token
from tests.support.drf_writes import (
    BOTH,
    VOID,
    Finds,
    made,
    needs_the_lock,
    rename,
    request,
    title,
)
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]


class Bare(ViewSet):
    """Finds its object by itself, and checks it."""

    def get_object(self):
        article = get_object_or_404(Article, pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, article)
        return article

    def update(self, request, pk):
        if "forgetful" in request.data:
            return rename(Article.objects.get(pk=pk), request)
        return rename(self.get_object(), request)

    partial_update = destroy = update

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        return rename(self.get_object(), request)

    @action(detail=False, methods=["post"])
    def sweep(self, request):
        return Response({})


def test_a_bare_viewset_has_the_route(client, serve, article):
    serve(made((True, False), Bare))
    url = f"/things/{article.pk}/lock/"
    assert client.get(url).json()["locked"] is False
    token = client.post(url, {"timeout": 60}).json()["token"]
    assert lock_row(article).get().token_str == token
    assert client.post(url).status_code == 403
    assert client.get(url, **with_token(token)).json()["token"] == token
    assert client.patch(url, {}, **with_token(token)).status_code == 200
    assert client.delete(url, **with_token(token)).status_code == 204
    assert client.get("/things/404/lock/").status_code == 404
    assert client.post("/things/404/lock/").status_code == 404
    assert not LockToken.objects.exists()


@BOTH
@pytest.mark.parametrize(
    ("method", "route"),
    [("put", ""), ("patch", ""), ("delete", ""), ("post", "publish/")],
)
def test_what_a_bare_viewset_checks_needs_its_lock(
    client, serve, article, kind, method, route
):
    serve(made(kind, Bare))
    send = request(client, method, f"/things/{article.pk}/{route}")
    needs_the_lock(send, article)
    assert title(article) == "Second"


@BOTH
def test_a_bare_viewset_that_checks_nothing_is_a_mistake(client, serve, article, kind):
    serve(made(kind, Bare))
    with pytest.raises(ImproperlyConfigured, match="check_object_permissions"):
        client.put(f"/things/{article.pk}/", {"forgetful": True})
    assert client.post("/things/sweep/").status_code == 200


def test_a_bare_viewset_without_get_object_is_told_what_it_lacks(
    client, serve, article
):
    class Lacking(ViewSet):
        def retrieve(self, request, pk):
            return Response({"title": Article.objects.get(pk=pk).title})

    serve(made((True, False), Lacking))
    assert client.get(f"/things/{article.pk}/").json() == {"title": "First"}
    for send in (client.get, client.post):
        with pytest.raises(ImproperlyConfigured, match="get_object"):
            send(f"/things/{article.pk}/lock/")
    assert not LockToken.objects.exists()


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_bare_view_checks_needs_its_lock(client, serve, article, kind, method):
    class View(APIView):
        def put(self, request, pk):
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            return rename(found, request)

        post = patch = delete = put

    serve(made(kind, View))
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


class OfSettings(GenericAPIView):
    """About something that is no row of any model."""

    def get_object(self):
        return {"title": "First"}

    def put(self, request):
        return Response({**self.get_object(), **request.data})


@BOTH
@pytest.mark.parametrize("headers", [{}, with_token(VOID)])
def test_what_is_no_row_needs_no_lock(client, serve, kind, headers):
    serve(made(kind, OfSettings), "settings/")
    answer = client.put("/settings/", {"title": "Second"}, **headers)
    assert (answer.status_code, answer.json()) == (200, {"title": "Second"})
    assert "Lock-Expires-At" not in answer


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("name", ["pk", "number"])
def test_a_generic_view_may_have_no_queryset(
    client, serve, article, kind, method, name
):
    class View(Finds, GenericAPIView):
        def find(self):
            found = get_object_or_404(Article, pk=next(iter(self.kwargs.values())))
            self.check_object_permissions(self.request, found)
            return found

    serve(made(kind, View, queryset=None), f"<int:{name}>/")
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


@BOTH
@pytest.mark.parametrize(
    ("method", "route"), [("put", ""), ("delete", ""), ("post", "publish/")]
)
def test_a_generic_viewset_may_have_no_queryset(
    client, serve, article, kind, method, route
):
    class View(GenericViewSet):
        def update(self, request, pk):
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            return rename(found, request)

        destroy = update

        @action(detail=True, methods=["post"])
        def publish(self, request, pk):
            return self.update(request, pk)

    serve(made(kind, View, queryset=None))
    needs_the_lock(request(client, method, f"/things/{article.pk}/{route}"), article)
    assert title(article) == "Second"


# The words of a refusal, and of a mistake


@BOTH
def test_a_refusal_says_its_sentence(client, serve, article, kind):
    refusals = []

    class View(ModelViewSet):
        def handle_exception(self, error):
            refusals.append(error)
            return super().handle_exception(error)

    serve(made(kind, View))
    article.lock()
    for headers in ({}, with_token(VOID)):
        answer = client.patch(f"/things/{article.pk}/", {}, **headers)
        error = refusals.pop()
        assert isinstance(error, LockRefused)
        assert error.status_code == answer.status_code
        assert str(error) == answer.json()["detail"]


@pytest.mark.parametrize("many", [True, False])
def test_the_state_of_what_is_no_object_is_a_mistake(article, many):
    rows = Article.objects.values("id", "title")
    serializer = ArticleSerializer(rows if many else rows[0], many=many)
    with pytest.raises(TypeError, match="LockStateField"):
        print(serializer.data)
