"""Editing in the change list, under locks.

Each row that was changed is saved under its lock, and only if the list showed what is
saved now. Django alone would write all cells of a row as they were when the list was
opened, over what others have saved since.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.forms import FileField, HiddenInput
from django.http import HttpRequest
from django.utils.text import normalize_newlines
from django.utils.translation import gettext as _

from lock_tokens.locking.transactions import current_rows

from .differences import differ
from .request_locks import RequestLocks, described


class ShownRow(HiddenInput):
    """What the list shows of a row, in one hidden field beside the field of its key.

    It is one field for the whole row, because a request may have only so many fields.
    """

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.form = form

    def format_value(self, value: Any) -> str:
        """Return what the form shows, as JSON. ``value``, the key, is not used.

        A form that is shown again, with errors, goes on from what it showed first.
        """
        sent = shown_row(self.form) if self.form.is_bound else None
        return as_json(self.form) if sent is None else json.dumps(sent)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return ``None``: Django would take this for the old key, and look it up."""
        return None


class ShownEncoder(DjangoJSONEncoder):
    """Django's encoder; values that it does not know become their text."""

    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return str(o)


def lock_aware(formset: type, request: HttpRequest, model_admin: Any) -> type:
    """Return a change list's formset class that saves only what it may."""
    own = {"_lock_request": request, "_lock_admin": model_admin}
    return type(formset.__name__, (LockAwareFormSet, formset), own)


class LockAwareFormSet:
    """The part of the formset that locks the rows, and sends back what they showed."""

    _lock_request: HttpRequest
    _lock_admin: Any
    _is_locked = False

    def add_fields(self: Any, form: Any, index: Any) -> None:
        super().add_fields(form, index)  # type: ignore[misc]
        key = form.fields[self._pk_field.name]
        key.show_hidden_initial = True
        key.hidden_widget = partial(ShownRow, form)
        key.has_changed = lambda initial, data: False

    def is_valid(self: Any) -> bool:
        valid: bool = super().is_valid()  # type: ignore[misc]
        locks = getattr(self._lock_request, "_request_locks", None)
        # Without them this is not our list: save_model() locks each row by itself.
        if valid and locks is not None and not self._is_locked:
            self._is_locked = True
            lock_rows(self, locks, self._lock_admin)
        return valid


def lock_rows(formset: Any, locks: RequestLocks, model_admin: Any) -> None:
    """Lock the rows that were changed, and pass over those that must not be saved.

    Raises ``BadRequest`` for a row to add, which no list sends.
    """
    changed = {}
    for form in formset.forms:
        if not form.has_changed():
            continue
        if form.instance._state.adding:
            raise BadRequest("list_editable does not allow adding.")
        shown = shown_row(form)
        if shown is None or entered_fields(form, shown):
            changed[form.instance] = form, shown
        else:
            pass_over(form)  # only what is saved has changed since
    locks.acquire(list(changed), model_admin.lock_timeout)
    rows = model_admin.model._base_manager.using(formset.queryset.db)
    current = current_rows(rows.all()).in_bulk([obj.pk for obj in changed])
    for obj, (form, shown) in changed.items():
        if obj in locks.skipped:
            reason = described(obj, locks.skipped[obj])
        elif obj.pk not in current or is_outdated(form, shown, current[obj.pk]):
            reason = _(
                "“%(object)s” (somebody else changed it after you opened this page)"
            ) % {"object": current.get(obj.pk, obj)}
        else:
            continue
        values = {"what": reason, "entered": entered(form, shown)}
        message = _("This was not saved: %(what)s. You entered %(entered)s.") % values
        model_admin.message_user(formset._lock_request, message, messages.WARNING)
        pass_over(form)


def pass_over(form: Any) -> None:
    """Let Django treat the row as unchanged."""
    form.has_changed = lambda: False


def shown_fields(form: Any) -> dict[str, Any]:
    """Return the fields of a row whose content can be sent back."""
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
    """Return the fields in which the user entered something new."""
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
    """Return a text as a form sends it back, with its line ends and blanks."""
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
    # The other fields must not have changed either since this request read them.
    return differ(form.instance, current, except_for=form.fields)


def entered(form: Any, shown: dict[str, Any] | None) -> str:
    """Say what was entered in a row."""
    return ", ".join(
        _("%(label)s: “%(value)s”")
        % {"label": form[name].label, "value": form[name].data}
        for name in entered_fields(form, shown)
        if name in form.fields
    )
