"""The newsroom's API, for editors that are programs. They need the lock like anybody.

A program locks an article with ``POST …/lock/``, sends the token that it gets with each
write, as ``Lock-Token``, and gives the lock up with ``DELETE …/lock/``. It is the lock of
the pages and of the admin: who edits there is not written over from here.
"""

from rest_framework import serializers
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ModelViewSet

from lock_tokens.rest_framework import LockableViewSetMixin, LockStateField

from .models import Article, Section


class ArticleSerializer(serializers.ModelSerializer):
    section = serializers.SlugRelatedField("name", queryset=Section.objects.all())
    last_edited_by = serializers.SlugRelatedField("username", read_only=True)
    # Who is editing it. A list costs one query more for that, however long it is.
    lock = LockStateField()

    class Meta:
        model = Article
        fields = [
            "id",
            "section",
            "headline",
            "body",
            "published_at",
            "updated_at",
            "last_edited_by",
            "lock",
        ]


class ArticleViewSet(LockableViewSetMixin, ModelViewSet):
    queryset = Article.objects.select_related("section", "last_edited_by")
    serializer_class = ArticleSerializer
    # Also an article that nobody is editing is changed with its lock only.
    lock_required = True

    def perform_create(self, serializer):
        serializer.save(last_edited_by=self.request.user)

    # This runs inside the fence, like all of a write: no need to ask for the lock here.
    perform_update = perform_create


router = DefaultRouter()
router.register("articles", ArticleViewSet, "api-article")
