"""Rows of inlines that were sent, and are not there any more.

Django puts the rows that were sent beside those that are there, and stops at the shorter
list; and it saves no form that counts rows which are gone.
"""

from __future__ import annotations

import re
from typing import Any

from django.http import QueryDict


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
