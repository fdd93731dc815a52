"""Smaller tools of the pages, by what they work on."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import copy
from functools import cache
from typing import Any, TypeVar

from django.contrib.admin.utils import flatten_fieldsets
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from lock_tokens.refusals import TOKEN_FIELD
from lock_tokens.web.going_on import LOCK_AGAIN, TAKE_OVER
from lock_tokens.web.lock_page import LockPage

A = TypeVar("A")


# A ModelAdmin that may do less


def copy_with(part: type, model_admin: A) -> A:
    """Return a copy for one request, of a class with ``part`` before all others.

    It is a copy of a ModelAdmin or of an inline. The methods of ``part`` also replace those
    that the project has overridden, on the class or on the object.
    """
    reduced: Any = copy(model_admin)
    for name in vars(part):
        vars(reduced).pop(name, None)
    reduced.__class__ = _class_with(part, reduced.__class__)
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

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # Django's own inlines ask the ModelAdmin. Those of packages, which can be within
        # each other, are asked themselves.
        get: Any = getattr(super(), "get_inline_instances", None)
        inlines = get(request, obj) if get is not None else []
        return [copy_with(ReadOnlyInline, inline) for inline in inlines]


class ReadOnlyInline(ReadOnly):
    """An inline of a page that is read-only, and the inlines within it."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_max_num(self, *args: Any, **kwargs: Any) -> int:
        return 0  # beside the rows that are there

    # Inlines of django-polymorphic have another inline for the rows of each model, and
    # an empty row of each. They do not ask these whether the user may change anything.

    def get_formset(self, *args: Any, **kwargs: Any) -> type:
        formset: type = super().get_formset(*args, **kwargs)  # type: ignore[misc]
        if hasattr(formset, "empty_forms"):
            formset.empty_forms = []
        return formset

    def get_child_inline_instance(self, model: Any) -> Any:
        inline: Any = super().get_child_inline_instance(model)  # type: ignore[misc]
        reduced = copy(inline)
        reduced.get_readonly_fields = lambda request, obj=None: flatten_fieldsets(
            inline.get_fieldsets(request, obj)
        )
        return reduced


class NeverSaving:
    """Its change page answers every POST with the form as it was sent."""

    def get_form(self, *args: Any, **kwargs: Any) -> type:
        form: Any = super().get_form(*args, **kwargs)  # type: ignore[misc]
        asked = type(form)(form.__name__, (NeverValid, form), {})
        asked.base_fields = form.base_fields  # as get_form() may have changed them
        return asked  # type: ignore[no-any-return]

    def get_actions(self, request: Any, action_location: Any = None) -> dict[str, Any]:
        return {}  # the buttons of a refused form are not actions


class NeverValid:
    """The part of a form that finds the errors, for the page to show, and saves nothing.

    Validation changes a copy of the object. The project's hooks, which decide what the
    page shows, are asked after that, and must see the object as it is saved.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["instance"] = copy(kwargs.get("instance"))
        super().__init__(*args, **kwargs)

    def is_valid(self: Any) -> bool:
        return self.errors is None


def has_inputs(model_admin: Any, request: HttpRequest, obj: Any) -> bool:
    """Say whether the user can change anything on the change page of the object."""
    form = model_admin.get_form(request, obj, change=True)
    # A form may add fields for its object only.
    if has_enabled(form.base_fields) or has_enabled(form(instance=obj).fields):
        return True
    for inline in model_admin.get_inline_instances(request, obj):
        formset = inline.get_formset(request, obj)
        key = getattr(formset, "fk", None)  # it has this object
        fields = {
            name: field
            for name, field in formset.form.base_fields.items()
            if key is None or name != key.name
        }
        may_add = formset.max_num != 0 and inline.has_add_permission(request, obj)
        may_change = may_add or inline.has_change_permission(request, obj)
        if formset.can_delete or (may_change and has_enabled(fields)):
            return True
    return False


def has_enabled(fields: dict[str, Any]) -> bool:
    """Say whether one of these form fields takes input."""
    return any(not field.disabled for field in fields.values())


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


def formsets_of(context: dict[str, Any]) -> list[Any]:
    """Return the formsets of a change page, with the nested ones."""
    return with_nested(inline.formset for inline in context["inline_admin_formsets"])


def with_nested(formsets: Iterable[Any]) -> list[Any]:
    """Return the formsets, and those of the rows within their rows.

    The packages for nested inlines keep them in ``nested_formsets`` of a row's form.
    """
    found = []
    for formset in formsets:
        found.append(formset)
        for form in formset.forms:
            found += with_nested(getattr(form, "nested_formsets", None) or ())
    return found


def is_torn(context: dict[str, Any]) -> bool:
    """Say whether a change page shows fields twice or not at all.

    Django asks the project's hooks for the fields before a form is validated, and for the
    read-only ones after that, when validation has changed the object.
    """
    form = context["adminform"]
    parts = [(form, form.form.fields)] + [
        (inline, inline.formset.form.base_fields)
        for inline in context["inline_admin_formsets"]
    ]
    return any(
        (name in fields) == (name in part.readonly_fields)
        for part, fields in parts
        for name in flatten_fieldsets(part.fieldsets)
    )


def wrap(response: HttpResponse, template: str, page: LockPage) -> HttpResponse:
    """Let ``template`` add its blocks to the template of the page.

    ``template`` extends that one as ``lock_base``: Django's, or the project's own. A view
    may still choose another template for the response. A page that is rendered already
    stays as it is.
    """
    if not isinstance(response, TemplateResponse) or response.is_rendered:
        return response
    resolve = response.resolve_template

    def resolve_both(name: Any) -> Any:
        context_of(response).update(lock_base=resolve(name), lock_page=page)
        return resolve(template)

    def forget_both(rendered: Any) -> None:
        del rendered.resolve_template  # a function cannot be put into a cache

    response.resolve_template = resolve_both  # type: ignore[assignment]
    response.add_post_render_callback(forget_both)
    return response


# Buttons

#: The names of Django's buttons.
SAVE_AS_NEW = "_saveasnew"
SAVE_BUTTONS = {"_save", "_continue", "_addanother"}
OWN_BUTTONS = {*SAVE_BUTTONS, SAVE_AS_NEW, LOCK_AGAIN, TAKE_OVER}
#: What other packages show their buttons from, on a page that has any.
NO_OTHER_BUTTONS: dict[str, Any] = {
    "objectactions": (),  # django-object-actions
    "fsm_object_transitions": (),  # django-fsm-2
    "actions_detail": (),  # django-unfold
    "actions_submit_line": (),
    "show_change_form_export": False,  # django-import-export
}
HIDDEN_FIELDS = {"_popup", "_to_field", "_source_model", "_selected_action"}


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

    Rows that are gone and were to be deleted anyway are skipped. Rows within a row that
    is gone may be gone too: ask again for those.
    """
    renewed = data.copy()
    renumbered: tuple[str, ...] = ()
    for formset in formsets:
        gone, prefix = gone_rows(formset), formset.prefix
        if not gone or prefix.startswith(renumbered):
            continue
        renumbered += (f"{prefix}-",)
        total, initial = formset.total_form_count(), formset.initial_form_count()
        again = [row for row in gone if f"{prefix}-{row}-DELETE" not in data]
        there = [row for row in range(initial) if row not in gone]
        order = [*there, *again, *range(initial, total)]
        old_keys = {name for row in again for name in keys_of_row(formset, row)}
        # The prefix of another inline may begin like one of these rows.
        own = re.compile(rf"{re.escape(prefix)}-(\d{{1,9}})-(?!\d|[A-Z_]+_FORMS$)(.+)")
        fields = defaultdict(list)
        for name, values in data.lists():
            if match := own.fullmatch(name):
                sent = [""] if name in old_keys else values
                fields[int(match[1])].append((match[2], sent))
                del renewed[name]
        for number, row in enumerate(order):
            for name, values in fields[row]:
                renewed.setlist(f"{prefix}-{number}-{name}", values)
        renewed[f"{prefix}-INITIAL_FORMS"] = str(len(there))
        renewed[f"{prefix}-TOTAL_FORMS"] = str(len(order))
    renewed._mutable = False
    return renewed


def keys_of_row(formset: Any, row: int) -> Iterator[str]:
    """Return the names of the fields that hold a row's key, or point to it."""
    yield f"{formset.add_prefix(row)}-{formset._pk_field.name}"
    for nested in with_nested(getattr(formset.forms[row], "nested_formsets", ())):
        # A generic formset has no such field.
        names = [nested.fk.name] if hasattr(nested, "fk") else []
        for number in range(nested.total_form_count()):
            yield from (f"{nested.add_prefix(number)}-{name}" for name in names)
