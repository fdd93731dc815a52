"""The pages that are measured: the same models with Django's admin and with ours."""

from django.contrib import admin
from django.urls import include, path

from lock_tokens.admin import LockableModelAdmin, LockStateFilter, LockTokenAdmin
from lock_tokens.models import LockToken
from tests.models import Article, Comment, Story


class CommentInline(admin.TabularInline):
    model = Comment
    extra = 0


class PlainAdmin(admin.ModelAdmin):
    inlines = (CommentInline,)
    list_display = ("headline", "is_urgent")


class LockAwareAdmin(LockableModelAdmin):
    inlines = (CommentInline,)
    list_display = ("headline", "is_urgent", "lock_state")


class ArticleAdmin(LockableModelAdmin):
    list_display = ("__str__", "lock_state")
    list_filter = (LockStateFilter,)
    show_full_result_count = False


plain = admin.AdminSite("plain")
plain.register(Story, PlainAdmin)

aware = admin.AdminSite("admin")
aware.register(Story, LockAwareAdmin)
aware.register(Article, ArticleAdmin)
aware.register(LockToken, LockTokenAdmin)

urlpatterns = [
    path("plain/", plain.urls),
    path("admin/", aware.urls),
    path("locks/", include("lock_tokens.urls")),
]
