"""Editing in the change list, under locks.

Each row that was changed is saved under its lock, and only if the list showed what is
saved now. Django alone would write all of a row's cells as they stood when the list was
opened, over what others have saved since.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.forms import FileField, HiddenInput
from django.http import HttpRequest
from django.utils.text import normalize_newlines
from django.utils.translation import gettext as _

from ...locking.transactions import current_rows
from .differences import differ
from .request_locks import RequestLocks, described


class ShownRow(HiddenInput):
    """What the list shows of a row, in one hidden field beside the one of its key.

    In one, for the number of fields that a request may have is limited.
    """

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.form = form

    def format_value(self, value: Any) -> str:
        """Return what the form shows, as JSON. ``value``, the key, is not asked for."""
        return as_json(self.form)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return nothing: Django takes this for what the key was, and would look it up."""
        return None


class ShownEncoder(DjangoJSONEncoder):
    """Django's, and for values of the project's own the text that they are."""

    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return str(o)


def lock_aware(formset: type, request: HttpRequest, model_admin: Any) -> type:
    """Return a change list's formset class that saves only what it may."""

    def add_fields(self: Any, form: Any, index: Any) -> None:
        formset.add_fields(self, form, index)  # type: ignore[attr-defined]
        key = form.fields[self._pk_field.name]
        key.show_hidden_initial = True
        key.hidden_widget = lambda: ShownRow(form)
        key.has_changed = lambda initial, data: False

    def is_valid(self: Any) -> bool:
        valid: bool = formset.is_valid(self)  # type: ignore[attr-defined]
        if valid and not hasattr(self, "_is_locked"):
            self._is_locked = True
            lock_rows(self, request, model_admin)
        return valid

    own = {"add_fields": add_fields, "is_valid": is_valid}
    return type(formset.__name__, (formset,), own)


def lock_rows(formset: Any, request: HttpRequest, model_admin: Any) -> None:
    """Lock the rows that were changed, and pass over those that may not be saved."""
    locks: RequestLocks = request._held  # type: ignore[attr-defined]
    changed = {}
    for form in formset.forms:
        if not form.has_changed():
            continue
        shown = shown_row(form)
        if shown is None or entered_fields(form, shown):
            changed[form.instance] = form, shown
        else:
            pass_over(form)  # only what is saved has changed since
    locks.acquire(list(changed), model_admin.lock_timeout, request.user)
    rows = model_admin.model._base_manager.using(formset.queryset.db)
    current = current_rows(rows.all()).in_bulk([obj.pk for obj in changed])
    for obj, (form, shown) in changed.items():
        if obj in locks.skipped:
            reason = described(obj, locks.skipped[obj])
        elif obj.pk not in current or is_outdated(form, shown, current[obj.pk]):
            reason = _("“%(object)s” (somebody else has changed it since)") % {
                "object": current.get(obj.pk, obj)
            }
        else:
            continue
        message = _("Not saved: %(what)s. You entered %(entered)s.") % {
            "what": reason,
            "entered": entered(form, shown),
        }
        model_admin.message_user(request, message, messages.WARNING)
        pass_over(form)


def pass_over(form: Any) -> None:
    """Let Django take the row for one that nobody has touched."""
    form.has_changed = lambda: False


def shown_fields(form: Any) -> dict[str, Any]:
    """Return the fields of a row of which can be said what they showed."""
    key = form._meta.model._meta.pk.name
    return {
        name: form_field
        for name, form_field in form.fields.items()
        if name != key and not isinstance(form_field, FileField)
    }


def as_json(form: Any) -> str:
    """Return what a form showed before anything was entered."""
    shown = {
        name: form_field.prepare_value(form.get_initial_for_field(form_field, name))
        for name, form_field in shown_fields(form).items()
    }
    return json.dumps(shown, cls=ShownEncoder)


def shown_row(form: Any) -> dict[str, Any] | None:
    """Return what the list showed of a row; ``None`` when that was not sent."""
    key = form[form._meta.model._meta.pk.name]
    try:
        shown = json.loads(form.data[key.html_initial_name])
    except (KeyError, ValueError):
        return None
    return shown if isinstance(shown, dict) else None


def entered_fields(form: Any, shown: dict[str, Any] | None) -> list[str]:
    """Return the fields into which something else was entered than the list showed."""
    if shown is None:
        return list(form.changed_data)
    fields = shown_fields(form)
    return [
        name
        for name in form.changed_data
        if name not in fields
        or name not in shown
        or fields[name].has_changed(
            as_sent(fields[name], as_python(form, name, shown[name])),
            as_sent(fields[name], form[name].data),
        )
    ]


def as_python(form: Any, name: str, value: Any) -> Any:
    """Return a value of :func:`as_json` as the form had it."""
    columns = form._meta.model._meta.concrete_fields
    column = next((found for found in columns if found.name == name), None)
    if column is None or column.is_relation or value is None:
        return value
    try:
        return column.to_python(value)
    except ValidationError:
        return value


def as_sent(form_field: Any, value: Any) -> Any:
    """Return a text as a form gives it back, whatever line ends and blanks it has."""
    if not isinstance(value, str):
        return value
    text = normalize_newlines(value)
    return text.strip() if getattr(form_field, "strip", False) else text


def is_outdated(form: Any, shown: dict[str, Any] | None, current: models.Model) -> bool:
    """Say whether the list showed something else than what is saved now."""
    now = type(form)(instance=current, prefix=form.prefix)
    if shown is not None and any(
        name in shown and shown[name] != value
        for name, value in json.loads(as_json(now)).items()
    ):
        return True
    # Nor may the rest have changed since this request has read it.
    return differ(form.instance, current, except_for=form.fields)


def entered(form: Any, shown: dict[str, Any] | None) -> str:
    """Say what was entered in a row."""
    return ", ".join(
        _("%(label)s: “%(value)s”")
        % {"label": form[name].label, "value": form[name].data}
        for name in entered_fields(form, shown)
    )
