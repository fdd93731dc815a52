"""Views of REST framework with locks, and how tests call them."""

from django.urls import include, path
from rest_framework import permissions, serializers
from rest_framework.decorators import action
from rest_framework.generics import RetrieveUpdateDestroyAPIView
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.test import APIClient
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin, LockStateField
from tests.models import Article, Comment, Desk, Label, Page, Story


def serializer_of(model, *names, **members):
    """Return a serializer of these fields of a model, or of all, and of its members."""
    meta = {"model": model, "fields": [*names, *members] if names else "__all__"}
    members["Meta"] = type("Meta", (), meta)
    return type(f"{model.__name__}Serializer", (serializers.ModelSerializer,), members)


ArticleSerializer = serializer_of(Article, "id", "title", lock=LockStateField())
#: Without the lock, which costs a query.
TitleSerializer = serializer_of(Article, "id", "title")
DeskSerializer = serializer_of(Desk, "id", "name", "telephone")
CommentSerializer = serializer_of(Comment, "id", "text", lock=LockStateField())
StorySerializer = serializer_of(
    Story,
    "id",
    "headline",
    lock=LockStateField(),
    comments=CommentSerializer(source="comment_set", many=True, read_only=True),
)


class ArticleViewSet(LockableViewSetMixin, ModelViewSet):
    """The usual: by the primary key, under REST framework's defaults."""

    queryset = Article.objects.order_by("pk")
    serializer_class = ArticleSerializer

    @action(detail=True, methods=["post"])
    def shout(self, request, pk):
        """Write without asking for the object."""
        article = Article.objects.get(pk=pk)
        article.title = article.title.upper()
        article.save()
        return Response({"title": article.title})

    @action(detail=False, methods=["post"])
    def clear(self, request):
        """Write to none that the address names."""
        Article.objects.filter(title="").delete()
        return Response(status=204)


class StrictViewSet(ArticleViewSet):
    lock_required = True


class ReleasingViewSet(ArticleViewSet):
    release_on_write = True


class PageViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Page.objects.order_by("pk")
    serializer_class = serializer_of(Page, "id", "title")


class LabelViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Label.objects.order_by("pk")
    serializer_class = serializer_of(Label, "name")
    lookup_value_regex = "[^/]+"


class DeskViewSet(LockableViewSetMixin, ModelViewSet):
    """Found by another field than the primary key, in an address that names it apart."""

    queryset = Desk.objects.order_by("pk")
    serializer_class = DeskSerializer
    lookup_field = "name"
    lookup_url_kwarg = "desk"


class StoryViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Story.objects.order_by("pk").prefetch_related("comment_set")
    serializer_class = StorySerializer
    permission_classes = [permissions.DjangoModelPermissions]


class PermissionViewSet(ModelViewSet):
    """The permission alone."""

    queryset = Article.objects.order_by("pk")
    serializer_class = ArticleSerializer
    permission_classes = [HoldsLock]


class ArticleDetail(RetrieveUpdateDestroyAPIView):
    """The permission on a generic view that is no viewset."""

    queryset = Article.objects.all()
    serializer_class = ArticleSerializer
    permission_classes = [HoldsLock]


class MixedDetail(LockableViewSetMixin, RetrieveUpdateDestroyAPIView):
    queryset = Article.objects.all()
    serializer_class = ArticleSerializer


class HandMade(APIView):
    """The permission on a view that does everything by itself."""

    permission_classes = [HoldsLock]

    def put(self, request, pk):
        article = Article.objects.get(pk=pk)
        if not request.data.get("forgetful"):
            self.check_object_permissions(request, article)
        article.title = request.data["title"]
        article.save()
        return Response({"title": article.title})

    def post(self, request, pk):
        return Response({"title": Article.objects.create().title}, status=201)


router = DefaultRouter()
router.register("articles", ArticleViewSet)
router.register("strict", StrictViewSet, "strict")
router.register("releasing", ReleasingViewSet, "releasing")
router.register("pages", PageViewSet)
router.register("labels", LabelViewSet)
router.register("desks", DeskViewSet)
router.register("stories", StoryViewSet)
router.register("permission", PermissionViewSet, "permission")

urlpatterns = [
    path("api/", include(router.urls)),
    path("generic/<int:pk>/", ArticleDetail.as_view(), name="generic"),
    path("mixed/<int:pk>/", MixedDetail.as_view(), name="mixed"),
    path("hand-made/<int:pk>/", HandMade.as_view(), name="hand-made"),
]


def api_client(user=None):
    """Return a client that sends JSON, signed in as the user."""
    client = APIClient()
    client.default_format = "json"
    if user is not None:
        client.force_authenticate(user)
    return client


def with_token(token):
    """Return the headers of a request that brings its token."""
    return {"headers": {"Lock-Token": token}}
