"""The admin of the site: stories, with rows of their own and keywords."""

from django.contrib import admin

from lock_tokens.admin import LockableModelAdmin, LockStateFilter, LockTokenAdmin
from lock_tokens.models import LockToken
from tests.models import Comment, Desk, Keyword, Label, Page, Plain, Shift, Story

site = admin.AdminSite()


class CommentInline(admin.TabularInline):
    model = Comment
    extra = 1


class StoryAdmin(LockableModelAdmin):
    inlines = [CommentInline]
    list_display = ["headline", "is_urgent", "lock_state"]
    list_editable = ["is_urgent"]
    list_filter = [LockStateFilter]
    filter_horizontal = ["keywords"]


class BareLabelAdmin(LockableModelAdmin):
    """With a template that has none of Django's blocks."""

    change_form_template = "served/bare.html"


class PageAdmin(LockableModelAdmin):
    lock_release_on_leave = False


class PlainAdmin(LockableModelAdmin):
    lock_renew = False


site.register(Story, StoryAdmin)
site.register(Keyword, LockableModelAdmin)
site.register(Label, BareLabelAdmin)
site.register(Page, PageAdmin)
site.register(Plain, PlainAdmin)
site.register([Desk, Shift], LockableModelAdmin)
site.register(LockToken, LockTokenAdmin)
