"""drf-spectacular's schema of views that say something of themselves."""

import pytest
from django.urls import path
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.generics import (
    GenericAPIView,
    ListCreateAPIView,
    RetrieveUpdateAPIView,
    RetrieveUpdateDestroyAPIView,
)
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet, ViewSet

from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin
from tests.models import Article
from tests.support.drf_schema import (
    REFUSALS,
    Articles,
    ListCreate,
    Locked,
    answer_headers_of,
    body_of,
    headers_of,
    is_described,
)
from tests.support.drf_site import ArticleSerializer

pytestmark = pytest.mark.any_database


# What views say themselves


def test_an_action_with_extend_schema_keeps_the_lock(of_viewset):
    class V(Locked):
        lock_required = True

        @extend_schema(summary="Change it")
        def partial_update(self, request, *args, **kwargs):
            return super().partial_update(request, *args, **kwargs)

        @extend_schema(request=None, responses=ArticleSerializer)
        @action(detail=True, methods=["post"])
        def publish(self, request, pk):
            """Publish it."""

        @extend_schema(responses={202: None, (200, "text/csv"): str})
        @action(detail=True, methods=["post"])
        def export(self, request, pk):
            """Export it."""

        @extend_schema(request=None, responses=None)
        @action(detail=False, methods=["post"])
        def clear(self, request):
            """Clear them."""

    paths = of_viewset(V)["paths"]
    patch = paths["/articles/{id}/"]["patch"]
    assert is_described(patch, required=True)
    assert patch["summary"] == "Change it"
    assert body_of(patch, "200") == "Article"
    assert "Lock-Expires-At" in answer_headers_of(patch, "200")
    publish = paths["/articles/{id}/publish/"]["post"]
    assert is_described(publish, required=True)
    assert "requestBody" not in publish
    assert publish["description"] == "Publish it."
    export = paths["/articles/{id}/export/"]["post"]
    assert is_described(export, required=True)
    assert {"200", "202"} < set(export["responses"])
    assert "Lock-Expires-At" in answer_headers_of(export, "202")
    assert not is_described(paths["/articles/clear/"]["post"])


def test_extend_schema_view_keeps_the_lock(of_viewset):
    @extend_schema_view(
        update=extend_schema(summary="Replace it"),
        destroy=extend_schema(responses={200: ArticleSerializer}),
    )
    class V(Locked):
        pass

    item = of_viewset(V)["paths"]["/articles/{id}/"]
    for method in ("put", "patch", "delete"):
        assert is_described(item[method])
    assert item["put"]["summary"] == "Replace it"
    assert "summary" not in item["patch"]
    assert set(item["delete"]["responses"]) == {"200"} | REFUSALS


def test_extend_schema_on_the_class_keeps_the_lock(of_viewset):
    @extend_schema(tags=["news"])
    class V(Locked):
        @extend_schema(summary="Publish it", responses=ArticleSerializer)
        @action(detail=True, methods=["post"])
        def publish(self, request, pk):
            pass

    paths = of_viewset(V)["paths"]
    assert is_described(paths["/articles/{id}/"]["put"])
    assert is_described(paths["/articles/{id}/publish/"]["post"])
    for address in ("{id}/", "{id}/publish/", "{id}/lock/"):
        for operation in paths[f"/articles/{address}"].values():
            assert operation["tags"] == ["news"]
    assert set(paths["/articles/{id}/lock/"]["post"]["responses"]) > {"201", "403"}


def test_what_a_view_says_of_a_status_or_of_the_header_wins(of_viewset):
    token = OpenApiParameter(
        "Lock-Token", str, OpenApiParameter.HEADER, description="Theirs."
    )
    no_token = OpenApiParameter(
        "Lock-Token", location=OpenApiParameter.HEADER, exclude=True
    )
    refused = OpenApiResponse(ArticleSerializer, "Theirs.")

    class V(Locked):
        @extend_schema(
            parameters=[token],
            responses={
                200: ArticleSerializer,
                412: refused,
                "423": refused,
                (400, "application/json"): refused,
            },
        )
        def update(self, request, *args, **kwargs):
            pass

        @extend_schema(parameters=[no_token])
        @action(detail=True, methods=["post"])
        def free(self, request, pk):
            pass

    paths = of_viewset(V)["paths"]
    put = paths["/articles/{id}/"]["put"]
    assert is_described(put)
    for status in ("400", "412", "423"):
        assert put["responses"][status]["description"] == "Theirs."
        assert body_of(put, status) == "Article"
    assert [
        parameter["description"]
        for parameter in put["parameters"]
        if parameter["name"] == "Lock-Token"
    ] == ["Theirs."]
    assert headers_of(paths["/articles/{id}/free/"]["post"]) == {}


def test_a_schema_of_the_views_own_stays(of_viewset, auto_schema):
    class Tagged(auto_schema):
        def __init__(self, tag):
            super().__init__()
            self.tag = tag

        def get_tags(self):
            return [self.tag]

    class Deprecated(auto_schema):
        def is_deprecated(self):
            return True

    class V(Locked):
        schema = Tagged("news")

        @action(detail=True, methods=["post"], schema=None)
        def hidden(self, request, pk):
            pass

    class W(Locked):
        @action(detail=True, methods=["post"], schema=Deprecated())
        def publish(self, request, pk):
            pass

        @publish.mapping.delete
        def take_back(self, request, pk):
            pass

    paths = of_viewset(V)["paths"]
    assert is_described(paths["/articles/{id}/"]["put"])
    assert paths["/articles/{id}/"]["put"]["tags"] == ["news"]
    assert paths["/articles/{id}/lock/"]["post"]["tags"] == ["news"]
    assert "/articles/{id}/hidden/" not in paths
    item = of_viewset(W)["paths"]["/articles/{id}/publish/"]
    for method in ("post", "delete"):
        assert is_described(item[method])
        assert item[method]["deprecated"] is True


def test_the_route_can_be_described_otherwise(of_viewset):
    @extend_schema_view(lock=extend_schema(summary="Ask"))
    class V(Locked):
        @extend_schema(
            description="Take it.", tags=["locks"], responses={201: ArticleSerializer}
        )
        def acquire_lock(self, request, *args, **kwargs):
            return super().acquire_lock(request, *args, **kwargs)

        @extend_schema(exclude=True)
        def release_lock(self, request, *args, **kwargs):
            return super().release_lock(request, *args, **kwargs)

    item = of_viewset(V)["paths"]["/articles/{id}/lock/"]
    assert set(item) == {"get", "post", "patch"}
    assert item["get"]["summary"] == "Ask"
    assert "304" in item["get"]["responses"]
    assert "summary" not in item["patch"]
    assert item["post"]["description"] == "Take it."
    assert item["post"]["tags"] == ["locks"]
    assert set(item["post"]["responses"]) == {"201"}
    assert "Idempotency-Key" in headers_of(item["post"])
    assert "412" in item["patch"]["responses"]


def test_an_action_has_a_lock_required_of_its_own(of_viewset):
    class V(Locked):
        @action(detail=True, methods=["post"], lock_required=True)
        def publish(self, request, pk):
            pass

        @publish.mapping.delete
        def take_back(self, request, pk):
            pass

        @extend_schema(summary="The front page", request=None)
        @action(detail=False, methods=["patch"], lock_required=True)
        def front(self, request):
            pass

    class W(V):
        lock_required = True

        @action(detail=True, methods=["post"], lock_required=False)
        def like(self, request, pk):
            pass

    paths = of_viewset(V)["paths"]
    assert is_described(paths["/articles/{id}/publish/"]["post"], required=True)
    assert is_described(paths["/articles/{id}/publish/"]["delete"], required=True)
    assert is_described(paths["/articles/front/"]["patch"], required=True)
    assert is_described(paths["/articles/{id}/"]["patch"])
    paths = of_viewset(W)["paths"]
    assert is_described(paths["/articles/{id}/"]["patch"], required=True)
    assert is_described(paths["/articles/{id}/like/"]["post"])


# The permission


@pytest.mark.parametrize(
    "permission",
    [
        HoldsLock,
        IsAdminUser | HoldsLock,
        IsAuthenticated & HoldsLock,
        IsAdminUser | (IsAuthenticated & HoldsLock),
        type("Holds", (HoldsLock,), {}),
    ],
)
def test_the_permission_is_found_wherever_it_is(of_viewset, permission):
    class V(Articles, ModelViewSet):
        permission_classes = (IsAuthenticated, permission)

    paths = of_viewset(V)["paths"]
    for method in ("put", "patch", "delete"):
        assert is_described(paths["/articles/{id}/"][method])
    assert not is_described(paths["/articles/"]["post"])


def test_who_has_an_alternative_needs_no_token(of_viewset):
    class V(Articles, ModelViewSet):
        permission_classes = [IsAuthenticated & HoldsLock]
        lock_required = True

    class W(V):
        permission_classes = [IsAdminUser | HoldsLock]

    item = of_viewset(V)["paths"]["/articles/{id}/"]
    assert is_described(item["put"], required=True)
    put = of_viewset(W)["paths"]["/articles/{id}/"]["put"]
    assert headers_of(put) == {"Lock-Token": False}
    assert "428" in put["responses"]


def test_the_permission_may_be_that_of_some_actions(of_viewset):
    class ByAction(Articles, ModelViewSet):
        def get_permissions(self):
            return [HoldsLock()] if self.action == "update" else []

    class ByProperty(Articles, ModelViewSet):
        @property
        def permission_classes(self):
            return [HoldsLock] if self.action == "update" else []

    class OfAction(Articles, ModelViewSet):
        @extend_schema(summary="Publish it")
        @action(detail=True, methods=["post"], permission_classes=[HoldsLock])
        def publish(self, request, pk):
            pass

    for viewset in (ByAction, ByProperty):
        item = of_viewset(viewset)["paths"]["/articles/{id}/"]
        assert is_described(item["put"])
        assert not is_described(item["patch"])
    paths = of_viewset(OfAction)["paths"]
    assert is_described(paths["/articles/{id}/publish/"]["post"])
    assert not is_described(paths["/articles/{id}/"]["put"])


def test_actions_named_as_the_routes_are_writes_without_the_mixin(of_viewset):
    class V(Articles, ModelViewSet):
        permission_classes = [HoldsLock]

        @action(detail=True, methods=["post"])
        def lock(self, request, pk):
            """Close the discussion."""

    post = of_viewset(V)["paths"]["/articles/{id}/lock/"]["post"]
    assert is_described(post)
    assert post["description"] == "Close the discussion."


# Views that are no viewsets


def test_generic_views_are_described_by_their_addresses(make):
    class Publish(LockableViewSetMixin, Articles, GenericAPIView):
        def post(self, request, pk):
            self.get_object()

        put = post

    class Singleton(LockableViewSetMixin, Articles, RetrieveUpdateAPIView):
        def get_object(self):
            return Article.objects.get(title="front page")

    class Chosen(LockableViewSetMixin, Articles, GenericAPIView):
        def get_object_to_lock(self):
            return Article.objects.get(title="front page")

        def put(self, request):
            pass

    class Create(LockableViewSetMixin, Articles, ListCreateAPIView):
        def put(self, request):
            """Replace all."""

    class Away(LockableViewSetMixin, Articles, RetrieveUpdateDestroyAPIView):
        release_on_write = True

    paths = make(
        [
            path("<int:pk>/publish/", Publish.as_view()),
            path("all/publish/", Publish.as_view()),
            path("front/", Singleton.as_view()),
            path("chosen/", Chosen.as_view()),
            path("articles/", Create.as_view()),
            path("articles/<int:pk>/comments/", Create.as_view()),
            path("away/<int:pk>/", Away.as_view()),
        ]
    )["paths"]
    assert is_described(paths["/{id}/publish/"]["post"])
    assert is_described(paths["/{id}/publish/"]["put"])
    assert not is_described(paths["/all/publish/"]["post"])
    assert is_described(paths["/front/"]["put"])
    assert is_described(paths["/chosen/"]["put"])
    assert not is_described(paths["/articles/"]["post"])
    assert not is_described(paths["/articles/"]["put"])
    assert not is_described(paths["/articles/{id}/comments/"]["post"])
    assert answer_headers_of(paths["/away/{id}/"]["put"], "200") == set()


def test_functions_with_extend_schema_keep_the_lock(make):
    @extend_schema(request=ArticleSerializer, responses=ArticleSerializer)
    @api_view(["PUT", "POST"])
    @permission_classes([IsAdminUser | HoldsLock])
    def change(request, pk):
        """Change it."""
        return Response()

    @extend_schema(request=None, responses=None)
    @api_view(["POST"])
    @permission_classes([HoldsLock])
    def rebuild(request):
        return Response()

    paths = make([path("<int:pk>/change/", change), path("rebuild/", rebuild)])["paths"]
    for method in ("put", "post"):
        operation = paths["/{id}/change/"][method]
        assert is_described(operation)
        assert operation["description"] == "Change it."
        assert body_of(operation, "200") == "Article"
    assert not is_described(paths["/rebuild/"]["post"])


def test_a_viewset_that_is_not_generic_is_described(make):
    @extend_schema(request=None, responses=None)
    class V(LockableViewSetMixin, ViewSet):
        queryset = Article.objects.all()  # tells drf-spectacular what kind of key it is

        def create(self, request):
            pass

        def update(self, request, pk):
            pass

    router = SimpleRouter()
    router.register("articles", V, "article")
    paths = make(router.urls)["paths"]
    assert not is_described(paths["/articles/"]["post"])
    assert is_described(paths["/articles/{id}/"]["put"])


def test_views_without_locks_are_left_alone(make):
    class V(Articles, ModelViewSet):
        """Articles."""

        def get_permissions(self):
            return [IsAuthenticated()]

    router = SimpleRouter()
    router.register("articles", V, "article")
    for item in make([*router.urls, path("other/", ListCreate.as_view())])[
        "paths"
    ].values():
        for operation in item.values():
            assert not is_described(operation)
            assert len(operation["responses"]) == 1


def test_a_warning_names_the_module_of_the_view(make_and_warn):
    class V(LockableViewSetMixin, ModelViewSet):
        queryset = Article.objects.all()

    router = SimpleRouter()
    router.register("articles", V, "article")
    warnings = [text for text in make_and_warn(router.urls)[1] if " [V" in text]
    assert warnings
    assert all(text.startswith(__file__) for text in warnings)
