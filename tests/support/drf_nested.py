"""Comments under their stories, by drf-nested-routers."""

from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet
from rest_framework_nested.routers import NestedSimpleRouter

from lock_tokens.rest_framework import LockableViewSetMixin
from tests.models import Comment, Story
from tests.support.drf_site import CommentSerializer, StorySerializer


class StoryViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Story.objects.order_by("pk")
    serializer_class = StorySerializer


class CommentViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Comment.objects.order_by("pk")
    serializer_class = CommentSerializer

    def get_queryset(self):
        return super().get_queryset().filter(story=self.kwargs["story_pk"])


router = SimpleRouter()
router.register("stories", StoryViewSet)
comments = NestedSimpleRouter(router, "stories", lookup="story")
comments.register("comments", CommentViewSet)
urlpatterns = [*router.urls, *comments.urls]
