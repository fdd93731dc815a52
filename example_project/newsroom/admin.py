"""The newsroom's admin. Nobody can change here what somebody else is editing."""

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import ngettext

from lock_tokens.admin import LockableModelAdmin, LockStateFilter

from .models import Article, Correction, Section

admin.site.site_header = admin.site.site_title = "Tidewater Courier"
admin.site.index_title = "Newsroom"


class CorrectionInline(admin.TabularInline):
    """Saved with its article, under the article's lock."""

    model = Correction
    extra = 1


@admin.register(Article)
class ArticleAdmin(LockableModelAdmin):
    list_display = ["headline", "section", "is_published", "lock_state"]
    list_filter = [LockStateFilter, "section"]
    list_select_related = ["section"]
    search_fields = ["headline", "body"]
    inlines = [CorrectionInline]
    actions = ["publish"]

    @admin.display(description="published", boolean=True)
    def is_published(self, article):
        return article.published_at is not None

    def save_model(self, request, obj, form, change):
        obj.last_edited_by = request.user
        super().save_model(request, obj, form, change)

    @admin.action(permissions=["change"], description="Publish selected articles")
    def publish(self, request, queryset):
        """Publish the texts as they stand. What others are editing does not get here."""
        count = queryset.update(published_at=timezone.now())
        self.message_user(
            request,
            ngettext(
                "%(count)d article was published.",
                "%(count)d articles were published.",
                count,
            )
            % {"count": count},
        )


@admin.register(Section)
class SectionAdmin(LockableModelAdmin):
    """``Section`` is a model like any other. It needs nothing to be locked here."""

    list_display = ["name", "lock_state"]
