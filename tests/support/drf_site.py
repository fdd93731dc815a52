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


class ArticleSerializer(serializers.ModelSerializer):
    lock = LockStateField()

    class Meta:
        model = Article
        fields = ["id", "title", "lock"]


class TitleSerializer(serializers.ModelSerializer):
    """Without the lock, which costs a query."""

    class Meta:
        model = Article
        fields = ["id", "title"]


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


class PageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Page
        fields = ["id", "title"]


class PageViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Page.objects.order_by("pk")
    serializer_class = PageSerializer


class LabelSerializer(serializers.ModelSerializer):
    class Meta:
        model = Label
        fields = ["name"]


class LabelViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Label.objects.order_by("pk")
    serializer_class = LabelSerializer
    lookup_value_regex = "[^/]+"


class DeskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Desk
        fields = ["id", "name", "telephone"]


class DeskViewSet(LockableViewSetMixin, ModelViewSet):
    """Found by another field than the primary key, in an address that names it apart."""

    queryset = Desk.objects.order_by("pk")
    serializer_class = DeskSerializer
    lookup_field = "name"
    lookup_url_kwarg = "desk"


class CommentSerializer(serializers.ModelSerializer):
    lock = LockStateField()

    class Meta:
        model = Comment
        fields = ["id", "text", "lock"]


class StorySerializer(serializers.ModelSerializer):
    lock = LockStateField()
    comments = CommentSerializer(source="comment_set", many=True, read_only=True)

    class Meta:
        model = Story
        fields = ["id", "headline", "lock", "comments"]


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
