"""Where a form, or a row that was read before, differs from what is saved now."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from django.contrib.admin.utils import display_for_field
from django.db import models
from django.http import HttpRequest
from django.utils.text import normalize_newlines

from .lock_page import Difference


def differences(
    current: models.Model, form: Any, changed_formsets: Iterable[Any]
) -> list[Difference]:
    """Return where a form that was sent differs from what is saved now.

    ``current`` is the object as it is saved. ``form`` is bound, and so are the formsets
    in which the user has changed a row.
    """
    found = []
    for name in form.changed_data:
        if name not in form.fields:  # Django allows a form to add names of its own
            found.append(Difference(name))
        elif not is_same_text(
            form.get_initial_for_field(form.fields[name], name), form[name]
        ):
            saved = saved_value(current, name, form)
            label, field_id = str(form[name].label), form[name].id_for_label
            found.append(Difference(label, saved, field_id))
    return found + [
        Difference(str(formset.model._meta.verbose_name_plural), is_rows=True)
        for formset in changed_formsets
    ]


def files_of(request: HttpRequest, form: Any) -> list[str]:
    """Return the labels of the fields whose file the user must choose again.

    No page can choose a file by itself. ``_lock_files`` has the labels from the page
    before, if the user did not choose those files again there.
    """
    labels = {form.add_prefix(name): str(form[name].label) for name in form.fields}
    sent = [labels.get(name, name) for name in request.FILES]
    return list(dict.fromkeys(sent + request.POST.getlist("_lock_files")))


def is_same_text(saved: Any, bound_field: Any) -> bool:
    """Say whether at most the line ends differ, which browsers change."""
    sent = bound_field.data
    return (
        isinstance(saved, str)
        and isinstance(sent, str)
        and normalize_newlines(saved) == normalize_newlines(sent)
    )


def saved_value(current: models.Model, name: str, form: Any) -> str:
    """Return what is saved in a field of a form, as text to read."""
    model_field = {
        found.name: found
        for found in (*current._meta.fields, *current._meta.many_to_many)
    }.get(name)
    if model_field is None:
        value = form.get_initial_for_field(form.fields[name], name)
        return "" if value is None else str(value)
    value = getattr(current, name)
    if isinstance(model_field, models.ManyToManyField):
        return ", ".join(map(str, value.all()))
    return str(display_for_field(value, model_field, ""))


def differ(
    one: models.Model, other: models.Model, except_for: Container[str] = ()
) -> bool:
    """Say whether two readings of a row differ, not counting ``except_for``.

    Columns that ``one`` was read without are not compared.
    """
    deferred = one.get_deferred_fields()
    return any(
        getattr(one, column.attname) != getattr(other, column.attname)
        for column in one._meta.concrete_fields
        if column.name not in except_for and column.attname not in deferred
    )
