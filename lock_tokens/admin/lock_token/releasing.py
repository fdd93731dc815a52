"""Releasing in the admin of the locks: those that were asked for, and no others."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.contrib.admin import action
from django.contrib.admin.actions import delete_selected as ask_to_delete
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import models, router, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from lock_tokens.exceptions import UnlockForbiddenError
from lock_tokens.locking.lock_key import LockKey
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.web.lock_page import someone

from .lock_details import LockDetailsAdmin, name_of_lock

#: What the pages that ask first say below their question.
ONLY_THE_LOCK = gettext_lazy("Only the lock ends. The object stays as it is.")


class ReleasingAdmin(LockDetailsAdmin):
    """The part of ``LockTokenAdmin`` that releases, where others would delete."""

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        words = {"title": _("Release the lock?"), "subtitle": ONLY_THE_LOCK}
        try:
            return super().delete_view(
                request, object_id, {**words, **(extra_context or {})}
            )
        except UnlockForbiddenError:
            return self._it_has_ended(request)

    @action(
        permissions=["delete"],
        description=gettext_lazy("Release selected locks"),
    )
    def delete_selected(
        self, request: HttpRequest, queryset: models.QuerySet[LockToken]
    ) -> HttpResponse | None:
        """Ask, and then release those of the selected locks that still stand."""
        locks = self.with_details(request, queryset)
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
            self.message_user(
                request, text % {"count": len(released)}, messages.SUCCESS
            )
        left = set(request.POST.getlist(ACTION_CHECKBOX_NAME)) - released
        if left:
            text = ngettext(
                "%(count)d selected lock had ended or changed meanwhile. Whatever lock"
                " took its place was left alone.",
                "%(count)d selected locks had ended or changed meanwhile. Whatever"
                " locks took their places were left alone.",
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
            page.context_data["title"] = _("Cannot release these locks")
        else:
            page.context_data["title"] = _("Release the selected locks?")
            page.context_data["subtitle"] = ONLY_THE_LOCK
        return page  # type: ignore[no-any-return]

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """Return what the page that asks first is to list: the locks alone."""
        locks = self.with_details(request, objs)
        forbidden = {
            self.opts.verbose_name
            for lock in locks
            if not self.has_delete_permission(request, lock)
        }
        count = {self.opts.verbose_name_plural: len(locks)}
        return [name_of_lock(lock) for lock in locks], count, forbidden, []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Release this lock, no other of its object, and tell the object's history.

        Raises ``UnlockForbiddenError`` when it does not stand any more.
        """
        (lock,) = self.with_details(request, [obj])
        using = router.db_for_write(LockToken, instance=lock)
        # The place even of a lock whose content type there is no longer.
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
        """Release those of these locks that still stand."""
        for lock in self.with_details(request, queryset):
            with suppress(UnlockForbiddenError):
                self.delete_model(request, lock)

    def response_delete(
        self, request: HttpRequest, obj_display: str, obj_id: int
    ) -> HttpResponse:
        self.message_user(
            request,
            _("The lock on “%(object)s” was released.") % {"object": obj_display},
            messages.SUCCESS,
        )
        return self.response_post_save_change(request, None)

    def _release(self, request: HttpRequest, lock: Any) -> bool:
        """Release and log; say whether the lock still stood."""
        try:
            with transaction.atomic(
                using=router.db_for_write(LockToken, instance=lock)
            ):
                self.log_deletions(request, [lock])  # type: ignore[arg-type]
                self.delete_model(request, lock)
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
            _("This lock has ended: it was released, or another has taken its place."),
            messages.WARNING,
        )
        return self.response_post_save_change(request, None)
