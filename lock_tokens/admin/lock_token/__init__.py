"""The admin of the locks: who holds what, and how to find it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import display
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from lock_tokens.locking.lock_token import LockToken

from .lock_details import holders_of, is_called, name_of_holder, name_of_object
from .lock_filters import HolderFilter, ModelFilter, StateFilter
from .releasing import ReleasingAdmin


class LockTokenAdmin(ReleasingAdmin):
    """Shows who holds what, since when and until when; releases locks.

    To see needs the ``view`` permission of the lock token, to release its ``delete``
    permission. Nobody adds or changes a lock here, and no page shows or finds a token.
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
        "Search by the key of the object, or the name or e-mail address of the holder."
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
    # By Django's name for it, which the page that asks first sends back.
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
        description=gettext_lazy("type"),
        ordering="locked_object_content_type",
    )
    def locked_object_type(self, lock: LockToken) -> str:
        return capfirst(lock.locked_object_content_type.name)

    @display(description=gettext_lazy("locked by"))
    def holder(self, lock: LockToken) -> str:
        return name_of_holder(lock.locked_by_id, lock.locked_by) or _("unknown")

    @display(description=gettext_lazy("state"), ordering="expires_at")
    def state(self, lock: Any) -> str:
        return _("Held") if lock.is_live else _("Expired")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[LockToken]:
        """Return the locks, each with ``is_live``, by the database's clock."""
        locks: models.QuerySet[LockToken] = super().get_queryset(request)
        return locks.annotate(is_live=LockToken.objects.live())

    # What is found

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse to find out about a token piece by piece."""
        return "token_str" not in lookup.split("__") and super().lookup_allowed(
            lookup, value, request
        )

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: models.QuerySet[LockToken],
        search_term: str,
    ) -> tuple[models.QuerySet[LockToken], bool]:
        """Find the locks of which the key or the holder's name has each of the words.

        Names are compared here: nothing is known of the user model, which may be in
        another database. There are no more holders than people who edit right now.
        """
        may_have_duplicates = False
        words = search_term.split()
        users = holders_of(queryset.order_by()) if words else {}
        for word in words:
            by_key, duplicates = super().get_search_results(request, queryset, word)
            named = [key for key, user in users.items() if is_called(user, word)]
            queryset = by_key | queryset.filter(locked_by_id__in=named)
            may_have_duplicates |= duplicates
        return queryset, may_have_duplicates
