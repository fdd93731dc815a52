"""Writes by views that are not generic, or have no queryset, and the texts of refusals."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import LockRefused
from tests.models import Article
from tests.support.drf_site import ArticleSerializer, with_token
from tests.support.drf_writes import (
    VOID,
    Finds,
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


# The words of a refusal, and of a mistake


def test_a_refusal_says_its_sentence(client, serve_locked, article):
    refusals = []

    class View(ModelViewSet):
        def handle_exception(self, error):
            refusals.append(error)
            return super().handle_exception(error)

    serve_locked(View)
    locked(article)
    for headers in ({}, with_token(VOID)):
        answer = client.patch(url_of(article), {}, **headers)
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
