"""The change list: who is editing what, actions, and editing in the list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import SimpleListFilter, display, helpers
from django.db import models
from django.db.models.query import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from lock_tokens.locking.info import LockInfo
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.querysets import live_lock
from lock_tokens.settings import get_timeout
from lock_tokens.web.lock_page import someone

from .base import LockingModelAdmin
from .list_editable import lock_aware
from .request_locks import RequestLocks, held, since, skipped_message

COLUMN = "lock_state"
LONG_ENOUGH = 3600  # seconds, for an action


class LockStateFilter(SimpleListFilter):
    """A ``list_filter`` by lock: what is locked, free, or locked by whoever asks.

    For models whose key is an integer, a text or a UUID, in the database of the locks.
    """

    title = gettext_lazy("lock")
    parameter_name = "lock"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [
            ("locked", _("Being edited")),
            ("mine", _("Being edited by me")),
            ("free", _("Free")),
        ]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "locked":
            return queryset.filter(live_lock(queryset.model))
        if self.value() == "mine":
            return queryset.filter(live_lock(queryset.model, by=request.user))
        if self.value() == "free":
            return queryset.filter(~live_lock(queryset.model))
        return queryset


class ChangeListLocks(LockingModelAdmin):
    """The part of ``LockableModelAdmin`` that the change list has."""

    @display(description=gettext_lazy("being edited by"), empty_value="")
    def lock_state(self, obj: models.Model) -> str | None:
        """Column for ``list_display``: who is editing the object, and since when."""
        known = getattr(obj, "_lock_infos", None)
        if known is not None:
            info = known[obj]
        else:
            info = (
                LockToken.objects.info(obj)
                if LockToken.objects.can_be_locked(obj)
                else None
            )
        if info is None:
            return None
        return format_html(
            '<span class="lock-state">{}</span>',
            _("%(name)s, since %(time)s")
            % {"name": someone(info), "time": since(info.locked_at)},
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return Django's change list, its rows with their locks: one query for all."""
        changes = super().get_changelist_instance(request)
        if COLUMN in self.get_list_display(request):
            rows: list[Any] = [
                row
                for row in changes.result_list
                if LockToken.objects.can_be_locked(row)
            ]
            infos: dict[models.Model, LockInfo | None] = dict(
                zip(rows, LockToken.objects.infos(rows), strict=True)
            )
            for row in rows:
                row._lock_infos = infos
        return changes

    # Actions

    def response_action(  # type: ignore[override]
        self, request: HttpRequest, queryset: QuerySet[Any], **location: Any
    ) -> Any:
        """Run an action on what nobody else is editing, under its locks."""
        action = posted_action(request, location)
        if not action or action in self.lock_exempt_actions:
            return super().response_action(request, queryset, **location)
        selected = queryset
        if not selects_across(request, location):
            keys = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
            selected = queryset.filter(pk__in=keys)
        with held(request) as locks:
            objects = list(selected)
            # Nothing renews them: rather too long than too short, they end with the action.
            seconds = max(get_timeout(self.lock_timeout), LONG_ENOUGH)
            locks.acquire(objects, seconds, request.user)
            locks.leave_out_changed(objects)
            if locks.skipped:
                self._tell(request, locks)
                if len(locks.skipped) == len(objects):
                    return HttpResponseRedirect(request.get_full_path())
                queryset = queryset.exclude(pk__in=[obj.pk for obj in locks.skipped])
            if self._is_filtered_by_locks(request):
                # What was free is so no longer: the list would be empty now.
                may_change = [obj.pk for obj in objects if obj not in locks.skipped]
                queryset = self.get_queryset(request).filter(pk__in=may_change)
            response = super().response_action(request, queryset, **location)
            # Another page, a question first of all, or a file is no change yet.
            locks.written = response is not None and (
                response.status_code // 100 == 3 or response.status_code == 204
            )
        return response

    # Editing in the list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        with held(request) as locks:
            response = super().changelist_view(request, extra_context)
            locks.written = True
        return response

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return Django's formset; of what others edit it saves nothing."""
        formset = super().get_changelist_formset(request, **kwargs)
        return lock_aware(formset, request, self)

    def _is_filtered_by_locks(self, request: HttpRequest) -> bool:
        return any(
            isinstance(found, type)
            and issubclass(found, LockStateFilter)
            and found.parameter_name in request.GET
            for found in self.get_list_filter(request)
        )

    def _tell(self, request: HttpRequest, locks: RequestLocks) -> None:
        self.message_user(
            request, skipped_message(locks.skipped.items()), messages.WARNING
        )


def posted_action(request: HttpRequest, location: dict[str, Any]) -> str | None:
    """Return the name of the action that is posted, as Django finds it."""
    if is_change_form(location):
        return request.POST.get("CHANGE_FORM-action")
    try:
        index = int(request.POST.get("index", 0))
    except ValueError:
        index = 0
    try:
        return request.POST.getlist("action")[index]
    except IndexError:
        return request.POST.get("action")


def selects_across(request: HttpRequest, location: dict[str, Any]) -> bool:
    """Say whether all rows were selected, also those of other pages of the list."""
    across = forms.BooleanField().to_python(request.POST.get("select_across"))
    return across and not is_change_form(location)


def is_change_form(location: dict[str, Any]) -> bool:
    """Say whether an action is posted by a change page, as it may be from 6.1 on."""
    return getattr(location.get("action_location"), "value", "") == "CHANGE_FORM"
