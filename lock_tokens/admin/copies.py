"""A ModelAdmin for one request, that may do less than the one it is a copy of.

What a copy must not do it has as attributes of its own. They come before any method, also
one that a subclass has overridden without asking ``super()``.
"""

from __future__ import annotations

from copy import copy
from typing import Any, TypeVar

from django.contrib.admin import ModelAdmin

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
