"""What a page showed of a row, which comes back with the form.

So the server can tell what the user has entered from what others have saved since the
page was opened. Django alone would write all fields of a row as the page has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.forms import FileField, HiddenInput, PasswordInput
from django.utils.text import normalize_newlines
from django.utils.translation import gettext as _

from lock_tokens.web.differences import differ, saved_value


def never(*_args: Any) -> bool:
    return False


def send_shown(
    form: Any, key: Any, is_told: Callable[[Any, dict[str, Any]], Any] = never
) -> None:
    """Have a row send back what it shows, beside ``key``, the hidden field of its key.

    A row that is shown again, because of an error, goes on from what it showed first. If
    ``is_told(form, shown)`` says that the page tells what is saved now, it goes on from
    that.
    """
    key.show_hidden_initial = True
    key.hidden_widget = partial(ShownRow, form, is_told)
    key.has_changed = lambda initial, data: False


class ShownRow(HiddenInput):
    """What a page shows of a row, in one hidden field.

    It is one field for the whole row, because a request may have only so many fields.
    """

    def __init__(self, form: Any, is_told: Callable[..., Any]) -> None:
        super().__init__()
        self.form, self.is_told = form, is_told

    def format_value(self, value: Any) -> str:
        """Return what the form shows, as JSON. ``value``, the key, is not used."""
        sent = shown_row(self.form) if self.form.is_bound else None
        if sent is None or self.is_told(self.form, sent):
            return as_json(self.form)
        return json.dumps(sent)

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


def pass_over(form: Any) -> None:
    """Let Django treat the row as unchanged."""
    form.has_changed = lambda: False


def shown_fields(form: Any) -> dict[str, Any]:
    """Return the fields of a row whose content can be sent back, and is no secret."""
    key = form._meta.model._meta.pk.name
    return {
        name: form_field
        for name, form_field in form.fields.items()
        if name != key
        and not isinstance(form_field, FileField)
        and not isinstance(form_field.widget, PasswordInput)
    }


def as_json(form: Any) -> str:
    """Return what a form showed before anything was entered."""
    shown = {
        name: form_field.prepare_value(form.get_initial_for_field(form_field, name))
        for name, form_field in shown_fields(form).items()
    }
    return json.dumps(shown, cls=ShownEncoder)


def shown_row(form: Any) -> dict[str, Any] | None:
    """Return what the page showed of a row; ``None`` when that was not sent."""
    try:
        key = form[form._meta.model._meta.pk.name]
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


def is_entered(form: Any, shown: dict[str, Any] | None) -> bool:
    """Say whether the user has changed this row."""
    return form.has_changed() and bool(shown is None or entered_fields(form, shown))


def has_entered(formset: Any) -> bool:
    """Say whether the user has changed any row of a formset."""
    return any(is_entered(form, shown_row(form)) for form in formset.forms)


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


def saved_form(form: Any, current: models.Model, **options: Any) -> Any:
    """Return the form as it would show what is saved now."""
    return type(form)(instance=current, prefix=form.prefix, **options)


def fields_saved_since(now: Any, shown: dict[str, Any] | None) -> list[str]:
    """Return the fields of :func:`saved_form` that differ from what the page showed.

    A field that is not one of the model, such as one that shows the time, says nothing
    about what is saved.
    """
    meta = now.instance._meta
    columns = {field.name for field in meta.fields}
    relations = {field.name for field in meta.many_to_many}
    return [
        name
        for name, value in json.loads(as_json(now)).items()
        if shown is not None
        and name in shown
        and (
            (name in columns and shown[name] != value)
            or (name in relations and unordered(shown[name]) != unordered(value))
        )
    ]


def unordered(values: Any) -> Any:
    """Return the values of a many-to-many field so that their order does not count."""
    return sorted(values, key=str) if isinstance(values, list) else values


def is_outdated(form: Any, shown: dict[str, Any] | None, now: Any) -> bool:
    """Say whether the page showed something else than what is saved now.

    The other columns must not have changed either since this request read them.
    """
    return bool(fields_saved_since(now, shown)) or differ(
        form.instance, now.instance, except_for=form.fields
    )


def entered(form: Any, shown: dict[str, Any] | None) -> str:
    """Say what was entered in a row."""
    return ", ".join(
        _("%(label)s: “%(value)s”")
        % {"label": form[name].label, "value": form[name].data}
        for name in entered_fields(form, shown)
        if name in form.fields
    )


def saved_text(now: Any, names: list[str]) -> str:
    """Say what is saved in fields of :func:`saved_form`."""
    return ", ".join(
        _("%(label)s: “%(value)s”")
        % {"label": now[name].label, "value": saved_value(now.instance, name, now)}
        for name in names
    )
