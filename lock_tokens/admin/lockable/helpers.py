"""Smaller tools of the pages, by what they work on."""

from __future__ import annotations

import re
from copy import copy
from functools import cache
from typing import Any, TypeVar

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from lock_tokens.refusals import TOKEN_FIELD
from lock_tokens.web.lock_page import LockPage

A = TypeVar("A", bound="ModelAdmin[Any]")


# A ModelAdmin that may do less


def copy_with(part: type, model_admin: A) -> A:
    """Return a copy for one request, of a class with ``part`` before all others.

    The methods of ``part`` also replace those that the project has overridden, on the
    class or on the object.
    """
    reduced: Any = copy(model_admin)
    for name in vars(part):
        vars(reduced).pop(name, None)
    reduced.__class__ = _class_with(part, type(model_admin))
    return reduced  # type: ignore[no-any-return]


@cache
def _class_with(part: type, base: type) -> type:
    own = {"__module__": base.__module__}
    return base if issubclass(base, part) else type(base.__name__, (part, base), own)


class ReadOnly:
    """Its change page is Django's own for users who may only look."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


class NeverSaving:
    """Its change page answers every POST with the form as it was sent."""

    def get_form(self, *args: Any, **kwargs: Any) -> type:
        form: Any = super().get_form(*args, **kwargs)  # type: ignore[misc]
        asked = type(form)(form.__name__, (form,), {"is_valid": is_never_valid})
        asked.base_fields = form.base_fields  # as get_form() may have changed them
        return asked  # type: ignore[no-any-return]

    def get_actions(self, request: Any, action_location: Any = None) -> dict[str, Any]:
        return {}  # the buttons of a refused form are not actions


def is_never_valid(form: Any) -> bool:
    """Find the errors, for the page to show, and let nothing be saved."""
    return form.errors is None


# Forms

#: Has a hyphen, so that it is no name of a field.
OTHER_NAME = f"{TOKEN_FIELD}-field"


def with_free_names(form: type) -> type:
    """Return the form's class. Its inputs do not have the name of the token's."""
    base_fields: dict[str, Any] = form.base_fields  # type: ignore[attr-defined]
    if TOKEN_FIELD not in base_fields:
        return form
    renamed: Any = type(form)(form.__name__, (WithFreeNames, form), {})
    renamed.base_fields = base_fields  # as get_form() may have changed them
    return renamed  # type: ignore[no-any-return]


class WithFreeNames:
    """The part of such a form that names its inputs."""

    def add_prefix(self, field_name: str) -> str:
        name: str = super().add_prefix(field_name)  # type: ignore[misc]
        return OTHER_NAME if name == TOKEN_FIELD else name


# Responses


def context_of(response: HttpResponseBase) -> dict[str, Any]:
    """Return the context of a page that is not rendered yet. It may be changed."""
    context = getattr(response, "context_data", None)
    return context if isinstance(context, dict) else {}


def formsets_of(response: Any) -> list[Any]:
    """Return the formsets of the inlines of a page that is not rendered yet."""
    inlines = context_of(response).get("inline_admin_formsets", [])
    return [inline.formset for inline in inlines]


def wrap(response: HttpResponse, template: str, page: LockPage) -> HttpResponse:
    """Let ``template`` add its blocks to the template of the page.

    ``template`` extends that one as ``lock_base``: Django's, or the project's own. A page
    that is rendered already stays as it is.
    """
    if isinstance(response, TemplateResponse) and not response.is_rendered:
        base = response.resolve_template(response.template_name)
        response.template_name = template
        context_of(response).update(lock_base=base, lock_page=page)
    return response


# Buttons

#: The names of our buttons.
LOCK_AGAIN = "_lock_again"
TAKE_OVER = "_take_over"

#: The names of Django's buttons.
SAVE_AS_NEW = "_saveasnew"
SAVE_BUTTONS = {"_save", "_continue", "_addanother"}
OWN_BUTTONS = {*SAVE_BUTTONS, SAVE_AS_NEW, LOCK_AGAIN, TAKE_OVER}
HIDDEN_FIELDS = {"_popup", "_to_field", "_source_model", "_selected_action"}


def is_plain_save(request: HttpRequest) -> bool:
    """Say whether a page of ours was sent by one of Django's buttons, and no other."""
    buttons = {
        name
        for name in request.POST
        if name.startswith("_") and not name.startswith("_lock_")
    } - HIDDEN_FIELDS
    return TOKEN_FIELD in request.POST and bool(buttons) and buttons <= SAVE_BUTTONS


# The rows of inlines


def show_all_rows(formset: Any) -> None:
    """Have an inline show each row that was sent, even if it was deleted since."""
    instances = [getattr(form, "instance", None) for form in formset.initial_forms]
    formset._queryset = [
        row if row is not None and row.pk else None for row in instances
    ]


def has_gone_rows(formsets: list[Any]) -> bool:
    """Say whether a row is gone that the form sent as an existing one."""
    return any(gone_rows(formset) for formset in formsets)


def gone_rows(formset: Any) -> list[int]:
    """Return the numbers of those rows."""
    return [
        number
        for number, form in enumerate(formset.initial_forms)
        if not getattr(getattr(form, "instance", None), "pk", True)
    ]


def with_gone_rows_as_new(data: QueryDict, formsets: list[Any]) -> QueryDict:
    """Return what was sent, with each row that is gone as a row to add.

    Rows that are gone and were to be deleted anyway are skipped.
    """
    renewed = data.copy()
    for formset in formsets:
        gone = gone_rows(formset)
        if not gone:
            continue
        prefix = formset.prefix
        total, initial = formset.total_form_count(), formset.initial_form_count()
        again = [row for row in gone if f"{prefix}-{row}-DELETE" not in data]
        there = [row for row in range(initial) if row not in gone]
        order = [*there, *again, *range(initial, total)]
        for name in [*renewed]:
            if re.match(rf"{re.escape(prefix)}-\d+-", name):
                del renewed[name]
        for number, row in enumerate(order):
            for name, values in data.lists():
                field = name.removeprefix(f"{prefix}-{row}-")
                if field != name:
                    renewed.setlist(f"{prefix}-{number}-{field}", values)
            if row in again:
                renewed[f"{prefix}-{number}-{formset._pk_field.name}"] = ""
        renewed[f"{prefix}-INITIAL_FORMS"] = str(len(there))
        renewed[f"{prefix}-TOTAL_FORMS"] = str(len(order))
    renewed._mutable = False
    return renewed
