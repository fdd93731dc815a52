"""What a change page has sent, and which of it belongs to no field of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.utils.html import conditional_escape

from lock_tokens.refusals import TOKEN_FIELD

from .helpers import HIDDEN_FIELDS, SAVE_BUTTONS, with_nested
from .posted import CHOICE, TEXT, posted_field

#: A field of ours carries on what the form cannot show, as ``label=value``.
OTHERS_FIELD = "_lock_other"

# Besides, "__prefix__" is in the names of an inline's row to copy.
OWN_NAMES = {"csrfmiddlewaretoken", TOKEN_FIELD, "CHANGE_FORM-action"}


def is_plain_save(request: HttpRequest) -> bool:
    """Say whether a page of ours was sent by one of Django's buttons."""
    return TOKEN_FIELD in request.POST and not SAVE_BUTTONS.isdisjoint(request.POST)


def unknown_names(request: HttpRequest, form: Any, formsets: list[Any]) -> set[str]:
    """Return the names that were sent and belong to no field of the page.

    Only the project knows what they mean: its ``save_model()`` may read them, or they are
    its buttons.
    """
    accounted = OWN_NAMES | HIDDEN_FIELDS | SAVE_BUTTONS
    fields = [*form, *_fields(formsets)]
    for each in fields:
        accounted |= {each.html_name, each.html_initial_name}
    return {
        name
        for name in request.POST
        if name not in accounted
        and not name.startswith("_lock_")
        and "__prefix__" not in name
        and not any(_is_input_of(each, name) for each in fields)
    }


def other_fields(
    request: HttpRequest, model_admin: Any, unknown: set[str]
) -> list[tuple[str, str]]:
    """Return what was typed under unknown names, with labels, for people to read.

    It includes what the page before carried on.
    """
    fields = [
        posted_field(request, model_admin, name, values)
        for name, values in request.POST.lists()
        if name in unknown
    ]
    typed = [(each.label, each.text) for each in fields if each.kind in (TEXT, CHOICE)]
    carried = [each.partition("=") for each in request.POST.getlist(OTHERS_FIELD)]
    return list(dict.fromkeys([*typed, *((name, value) for name, _, value in carried)]))


def _fields(formsets: list[Any]) -> Iterator[Any]:
    for formset in formsets:
        yield from formset.management_form
        for row in formset.forms:
            yield from row
        # Of the row to copy; the packages for nested inlines have them here.
        yield from _fields(with_nested(getattr(formset, "nested_formsets", ())))


def _is_input_of(bound_field: Any, name: str) -> bool:
    """Say whether a field with several inputs has one of this name."""
    starts = (bound_field.html_name, bound_field.html_initial_name)
    return name.startswith(starts) and (
        f'name="{conditional_escape(name)}"' in str(bound_field)
    )
