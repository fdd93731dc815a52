"""The change list: its filter by locks, and the actions that are posted from it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import SimpleListFilter
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from lock_tokens.querysets import live_lock


class LockStateFilter(SimpleListFilter):
    """A ``list_filter`` by lock: what is locked, free, or locked by the user.

    It is for models in the database of the locks, with an integer, text or UUID key.
    """

    title = gettext_lazy("lock")
    parameter_name = "lock"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [
            ("locked", _("Being edited")),
            ("mine", _("Being edited by me")),
            ("free", pgettext("state of an object", "Free")),
        ]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "locked":
            return queryset.filter(live_lock(queryset.model))
        if self.value() == "mine":
            return queryset.filter(live_lock(queryset.model, by=request.user))
        if self.value() == "free":
            return queryset.filter(~live_lock(queryset.model))
        return queryset


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
    """Say whether all rows were selected, even those of other pages of the list."""
    across = forms.BooleanField().to_python(request.POST.get("select_across"))
    return across and not is_change_form(location)


def is_change_form(location: dict[str, Any]) -> bool:
    """Say whether an action comes from a change page (from Django 6.1 on)."""
    return getattr(location.get("action_location"), "value", "") == "CHANGE_FORM"
