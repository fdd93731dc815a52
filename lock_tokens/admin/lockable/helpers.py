"""A ModelAdmin for one request, that may do less than the one it is a copy of.

What a copy must not do it has as attributes of its own. They come before any method, also
one that a subclass has overridden without asking ``super()``.
"""

from __future__ import annotations

import re
from copy import copy
from typing import Any, TypeVar

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from lock_tokens.refusals import TOKEN_FIELD
from lock_tokens.web.lock_page import LockPage

A = TypeVar("A", bound="ModelAdmin[Any]")


def read_only(model_admin: A) -> A:
    """Return a copy whose change page is Django's own for those who may only look."""
    reader: Any = copy(model_admin)
    reader.has_change_permission = lambda request, obj=None: False
    reader.has_view_permission = lambda request, obj=None: True
    return reader  # type: ignore[no-any-return]


def never_saving(model_admin: A) -> A:
    """Return a copy whose change page answers every POST with the form as it was sent."""
    asking: Any = copy(model_admin)

    def get_form(*args: Any, **kwargs: Any) -> type:
        form: Any = model_admin.get_form(*args, **kwargs)
        asked = type(form)(form.__name__, (form,), {"is_valid": is_never_valid})
        asked.base_fields = form.base_fields  # as get_form() may have changed them
        return asked  # type: ignore[no-any-return]

    def get_actions(request: Any, action_location: Any = None) -> dict[str, Any]:
        return {}  # the buttons of a form that was refused are none of Django's actions

    asking.get_form = get_form
    asking.get_actions = get_actions
    return asking  # type: ignore[no-any-return]


def is_never_valid(form: Any) -> bool:
    """Find the errors that there are, for the page, and let nothing be saved."""
    return form.errors is None


def context_of(response: HttpResponseBase) -> dict[str, Any]:
    """Return the context of a page that is not rendered yet, to be read and changed."""
    context = getattr(response, "context_data", None)
    return context if isinstance(context, dict) else {}


def formsets_of(response: Any) -> list[Any]:
    """Return the formsets of the inlines of a page that is not rendered yet."""
    inlines = context_of(response).get("inline_admin_formsets", [])
    return [inline.formset for inline in inlines]


def wrap(response: HttpResponse, template: str, page: LockPage) -> HttpResponse:
    """Let ``template`` add its blocks to the template that the page would have had.

    Which may be Django's, or the project's own for this model: ``template`` extends
    ``lock_base``. A page that is rendered already is left alone.
    """
    if isinstance(response, TemplateResponse) and not response.is_rendered:
        base = response.resolve_template(response.template_name)
        response.template_name = template
        context_of(response).update(lock_base=base, lock_page=page)
    return response


#: The form's names for what our buttons ask.
LOCK_AGAIN = "_lock_again"
TAKE_OVER = "_take_over"

# Django's.
SAVE_AS_NEW = "_saveasnew"
SAVE_BUTTONS = {"_save", "_continue", "_addanother"}
OWN_BUTTONS = {*SAVE_BUTTONS, SAVE_AS_NEW, LOCK_AGAIN, TAKE_OVER}
NO_BUTTONS = {"_popup", "_to_field", "_source_model", "_selected_action"}


def is_plain_save(request: HttpRequest) -> bool:
    """Say whether a page of ours was sent by a button of Django's, and no other's."""
    buttons = {
        name
        for name in request.POST
        if name.startswith("_") and not name.startswith("_lock_")
    } - NO_BUTTONS
    return TOKEN_FIELD in request.POST and bool(buttons) and buttons <= SAVE_BUTTONS


def show_all_rows(formset: Any) -> None:
    """Have an inline show each row that was sent, also of one that is deleted since."""
    instances = [getattr(form, "instance", None) for form in formset.initial_forms]
    formset._queryset = [
        row if row is not None and row.pk else None for row in instances
    ]


def has_gone_rows(formsets: list[Any]) -> bool:
    """Say whether a row that was sent as one that is there is not."""
    return any(gone_rows(formset) for formset in formsets)


def gone_rows(formset: Any) -> list[int]:
    """Return the numbers of those rows."""
    return [
        number
        for number, form in enumerate(formset.initial_forms)
        if not getattr(getattr(form, "instance", None), "pk", True)
    ]


def with_gone_rows_as_new(data: QueryDict, formsets: list[Any]) -> QueryDict:
    """Return what was sent, with rows that are gone as rows to be added.

    Those that were to be deleted are left out.
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
