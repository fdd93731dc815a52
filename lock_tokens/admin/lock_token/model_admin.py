"""``LockTokenAdmin``, the admin of the locks: who holds what, and to release it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin, action, display
from django.contrib.admin.actions import delete_selected as ask_to_delete
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import models, router, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy

from lock_tokens.exceptions import UnlockForbiddenError
from lock_tokens.locking.lock_key import LockKey
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.web.lock_page import someone

from .lock_details import (
    holders_of,
    is_called,
    name_of_holder,
    name_of_lock,
    name_of_object,
    with_details,
)
from .lock_filters import HolderFilter, ModelFilter, StateFilter

MAX_WORDS = 10  # of a search

#: What the pages that ask first say below their question.
ONLY_THE_LOCK = gettext_lazy(
    "Only the lock is released. The object itself does not change."
)


class LockTokenAdmin(ModelAdmin):  # type: ignore[type-arg]
    """Shows who holds what, since when and until when, and releases locks.

    A user needs the ``view`` permission of the lock token to see the locks, and its
    ``delete`` permission to release them. Nobody can add or change a lock here. No page
    shows a token, or finds a lock by it.
    """

    list_display = (
        "locked_object_link",
        "locked_object_type",
        "holder",
        "state",
        "locked_at",
        "expires_at",
    )
    list_display_links = ("state",)
    list_filter = (StateFilter, ModelFilter, HolderFilter)
    search_fields = ("locked_object_id",)
    search_help_text = gettext_lazy(
        "Search by the key of the object, or by the name or email address of the"
        " holder."
    )
    ordering = ("-locked_at",)
    fields = (
        "locked_object_link",
        "locked_object_type",
        "locked_object_id",
        "holder",
        "locked_at",
        "expires_at",
        "state",
    )
    readonly_fields = fields
    # The name is Django's: its page that asks first sends this name back.
    actions = ("delete_selected",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: LockToken | None = None
    ) -> bool:
        return False

    # What is shown

    @display(description=gettext_lazy("object"))
    def locked_object_link(self, lock: Any) -> str:
        if lock.found_url is None:
            return name_of_object(lock)
        return format_html('<a href="{}">{}</a>', lock.found_url, name_of_object(lock))

    @display(
        description=pgettext_lazy("column: type of the locked object", "type"),
        ordering="locked_object_content_type",
    )
    def locked_object_type(self, lock: LockToken) -> str:
        return capfirst(lock.locked_object_content_type.name)

    @display(description=gettext_lazy("locked by"))
    def holder(self, lock: LockToken) -> str:
        return name_of_holder(lock.locked_by_id, lock.locked_by) or pgettext(
            "holder of a lock", "unknown"
        )

    @display(
        description=pgettext_lazy("column: state of a lock", "state"),
        ordering="expires_at",
    )
    def state(self, lock: Any) -> str:
        return (
            pgettext("state of a lock", "Held")
            if lock.is_live
            else pgettext("state of a lock", "Expired")
        )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[LockToken]:
        """Return the locks. Each has ``is_live``, by the database's clock."""
        locks: models.QuerySet[LockToken] = super().get_queryset(request)
        locks = locks.using(router.db_for_write(LockToken))
        return locks.annotate(is_live=LockToken.objects.live())

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        changes.result_list = self._with_details(request, changes.result_list)
        return changes

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        lock = super().get_object(request, object_id, from_field)
        return lock and self._with_details(request, [lock])[0]

    def _with_details(self, request: HttpRequest, locks: Iterable[Any]) -> list[Any]:
        return with_details(locks, request, self.admin_site)

    # What is found

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse lookups that would reveal a token piece by piece."""
        return "token_str" not in lookup.split("__") and super().lookup_allowed(
            lookup, value, request
        )

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: models.QuerySet[LockToken],
        search_term: str,
    ) -> tuple[models.QuerySet[LockToken], bool]:
        """Find the locks with each of the words in the key or in the holder's name.

        Words after the tenth are ignored: each of them costs a comparison a lock.

        Python compares the names, not the database: the user model may be in another
        database, and its columns are not known. There are few holders.
        """
        words = [*dict.fromkeys(search_term.split())][:MAX_WORDS]
        users = holders_of(queryset.order_by()) if words else {}
        every = LockToken.objects.using(queryset.db)
        for word in words:
            by_key, _ = super().get_search_results(request, every, word)
            named = [key for key, user in users.items() if is_called(user, word)]
            queryset = queryset.filter(
                models.Q(pk__in=by_key.values("pk")) | models.Q(locked_by_id__in=named)
            )
        return queryset, False

    # What is released, where other admins delete

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        words = {"title": _("Release the lock?"), "subtitle": ONLY_THE_LOCK}
        context = {**words, **(extra_context or {})}
        try:
            return super().delete_view(request, object_id, context)
        except UnlockForbiddenError:
            return self._it_has_ended(request)

    @action(permissions=["delete"], description=gettext_lazy("Release selected locks"))
    def delete_selected(
        self, request: HttpRequest, queryset: models.QuerySet[LockToken]
    ) -> HttpResponse | None:
        """Ask, and then release those of the selected locks that are still there."""
        locks = self._with_details(request, queryset)
        if not request.POST.get("post"):
            return self._ask(request, queryset)
        if not all(self.has_delete_permission(request, lock) for lock in locks):
            raise PermissionDenied
        released = {str(lock.pk) for lock in locks if self._release(request, lock)}
        if released:
            text = ngettext(
                "%(count)d lock was released.",
                "%(count)d locks were released.",
                len(released),
            )
            text %= {"count": len(released)}
            self.message_user(request, text, messages.SUCCESS)
        left = set(request.POST.getlist(ACTION_CHECKBOX_NAME)) - released
        if left:
            text = ngettext(
                "%(count)d selected lock was not released because it had already ended"
                " or changed. If there is a new lock in its place, it is still active.",
                "%(count)d selected locks were not released because they had already"
                " ended or changed. If there are new locks in their place, they are"
                " still active.",
                len(left),
            )
            self.message_user(request, text % {"count": len(left)}, messages.WARNING)
        return None

    def _ask(
        self, request: HttpRequest, queryset: models.QuerySet[LockToken]
    ) -> HttpResponse:
        """Return Django's page that asks first, in our words."""
        page: Any = ask_to_delete(self, request, queryset)
        if page.context_data["perms_lacking"]:
            page.context_data["title"] = _("You cannot release these locks")
        else:
            page.context_data["title"] = _("Release the selected locks?")
            page.context_data["subtitle"] = ONLY_THE_LOCK
        return page  # type: ignore[no-any-return]

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """Return what the page that asks first lists: only the locks."""
        locks = self._with_details(request, objs)
        forbidden = {
            self.opts.verbose_name
            for lock in locks
            if not self.has_delete_permission(request, lock)
        }
        count = {self.opts.verbose_name_plural: len(locks)}
        return [name_of_lock(lock) for lock in locks], count, forbidden, []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Release this lock, but no later one, and note it in the object's history.

        Raises ``UnlockForbiddenError`` when the lock has ended.
        """
        (lock,) = self._with_details(request, [obj])
        using = router.db_for_write(LockToken, instance=lock)
        # The lock may have a content type that is no longer there.
        lock_key = LockKey(
            using, lock.locked_object_content_type, lock.locked_object_id
        )
        LockToken.objects.release(lock_key, lock.token_str)
        if lock.found is not None:
            text = _("Released the lock of %(name)s.")
            self.log_change(request, lock.found, text % {"name": someone(lock)})

    def delete_queryset(
        self, request: HttpRequest, queryset: models.QuerySet[LockToken]
    ) -> None:
        """Release those of the locks that are still there."""
        for lock in self._with_details(request, queryset):
            with suppress(UnlockForbiddenError):
                self.delete_model(request, lock)

    def response_delete(
        self, request: HttpRequest, obj_display: str, obj_id: int
    ) -> HttpResponse:
        text = _("The lock on “%(object)s” was released.") % {"object": obj_display}
        self.message_user(request, text, messages.SUCCESS)
        return self.response_post_save_change(request, None)

    def _release(self, request: HttpRequest, lock: Any) -> bool:
        """Release and log; say whether the lock was still there."""
        using = router.db_for_write(LockToken, instance=lock)
        try:
            with transaction.atomic(using=using):
                self.delete_model(request, lock)
                self.log_deletions(request, [lock])  # type: ignore[arg-type]
        except UnlockForbiddenError:
            return False
        return True

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        return self._it_has_ended(request)

    def _it_has_ended(self, request: HttpRequest) -> HttpResponse:
        self.message_user(
            request,
            _(
                "This lock no longer exists. It was released, or a new lock has"
                " replaced it."
            ),
            messages.WARNING,
        )
        return self.response_post_save_change(request, None)
