"""Editing in the change list, under locks.

Each row that was changed is saved under its lock, and only if the list showed what is
saved now. Django alone would write all of a row's cells as they stood when the list was
opened, over what others have saved since.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import models
from django.forms import FileField
from django.http import HttpRequest
from django.utils.text import normalize_newlines
from django.utils.translation import gettext as _

from .fresh import as_now
from .held import Held, described

if TYPE_CHECKING:
    from .base import LockingModelAdmin


def lock_aware(
    formset: type, request: HttpRequest, model_admin: LockingModelAdmin
) -> type:
    """Return a change list's formset class that saves only what it may."""
    form: Any = formset.form  # type: ignore[attr-defined]
    showing = type(form)(form.__name__, (form,), {})
    # Copies: fields that the project has declared belong to its own form class.
    showing.base_fields = deepcopy(form.base_fields)
    for form_field in showing.base_fields.values():
        # So the form knows what the list showed, not only what is saved now.
        form_field.show_hidden_initial = not isinstance(form_field, FileField)

    def is_valid(self: Any) -> bool:
        valid: bool = formset.is_valid(self)  # type: ignore[attr-defined]
        if valid and not hasattr(self, "_is_locked"):
            self._is_locked = True
            lock_rows(self, request, model_admin)
        return valid

    own = {"form": showing, "is_valid": is_valid}
    return type(formset.__name__, (formset,), own)


def lock_rows(
    formset: Any, request: HttpRequest, model_admin: LockingModelAdmin
) -> None:
    """Lock the rows that were changed, and pass over those that may not be saved."""
    locks: Held = request._held  # type: ignore[attr-defined]
    changed = {form.instance: form for form in formset.forms if form.has_changed()}
    locks.acquire(list(changed), model_admin.lock_timeout, request.user)
    rows = model_admin.model._base_manager.using(formset.queryset.db)
    current = as_now(rows.all()).in_bulk([obj.pk for obj in changed])
    for obj, form in changed.items():
        if obj in locks.left_out:
            reason = described(obj, locks.left_out[obj])
        elif obj.pk not in current or is_outdated(form, current[obj.pk]):
            reason = _("“%(object)s” (somebody else has changed it since)") % {
                "object": current.get(obj.pk, obj)
            }
        else:
            continue
        message = _("Not saved: %(what)s. You entered %(entered)s.") % {
            "what": reason,
            "entered": entered(form),
        }
        model_admin.message_user(request, message, messages.WARNING)
        pass_over(form)


def pass_over(form: Any) -> None:
    """Let Django take the row for one that nobody has touched."""
    form.has_changed = lambda: False


def is_outdated(form: Any, current: models.Model) -> bool:
    """Say whether the list showed something else than what is saved now."""
    now = type(form)(instance=current, prefix=form.prefix)
    for name, form_field in form.fields.items():
        hidden = form[name].html_initial_name
        if form_field.disabled or not any(
            key == hidden or key.startswith(f"{hidden}_") for key in form.data
        ):
            continue
        shown = form._widget_data_value(form_field.hidden_widget(), hidden)
        saved = now.get_initial_for_field(form_field, name)
        if form_field.has_changed(
            as_sent(form_field, saved), as_sent(form_field, shown)
        ):
            return True
    editable = set(form.fields)
    return any(
        getattr(form.instance, column.attname) != getattr(current, column.attname)
        for column in current._meta.concrete_fields
        if column.name not in editable
    )


def as_sent(form_field: Any, value: Any) -> Any:
    """Return a text as a form gives it back, whatever line ends and blanks it has."""
    if not isinstance(value, str):
        return value
    text = normalize_newlines(value)
    return text.strip() if getattr(form_field, "strip", False) else text


def entered(form: Any) -> str:
    """Say what was entered in a row."""
    return ", ".join(
        f"{form[name].label}: “{form[name].data}”" for name in form.changed_data
    )
