"""What a form has sent, field by field, for a page that shows it and sends it again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.admin.options import InlineModelAdmin
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.forms.utils import pretty_name
from django.http import HttpRequest
from django.template.defaultfilters import yesno
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from lock_tokens.refusals import TOKEN_FIELD, is_secret

# How a page shows a field.
HIDDEN = "hidden"  # not at all: it only sends the value again
TEXT = "text"
CHOICE = "choice"  # by the name of what was chosen
AGAIN = "again"  # an empty field, to be filled in again
FILE = "file"  # the same, because no page can choose a file

ROW = re.compile(r"(.+?)-(\d+)-(.+)")


@dataclass(frozen=True)
class PostedField:
    """A field that was sent. ``text`` is what people read, and ``kind`` a word above."""

    name: str
    values: list[str]
    kind: str
    label: str = ""
    text: str = ""


def posted_fields(request: HttpRequest, model_admin: Any) -> list[PostedField]:
    """Return all that was sent to a page of the model admin, but the CSRF token.

    It calls none of the project's methods, because the user may be signed out.
    """
    return [
        *(
            posted_field(request, model_admin, name, values)
            for name, values in request.POST.lists()
            if name != "csrfmiddlewaretoken"
        ),
        *(
            PostedField(name, [], FILE, Place(model_admin, name).label)
            for name in request.FILES
        ),
    ]


def has_text(request: HttpRequest) -> bool:
    """Say whether something was sent that a person may have typed or chosen."""
    sent = (name for name, values in request.POST.lists() if any(values))
    return bool(request.FILES) or not all(map(is_technical, sent))


def is_technical(name: str) -> bool:
    """Say whether a field is one of the admin's own that no person fills in."""
    return (
        name in (TOKEN_FIELD, "csrfmiddlewaretoken", "action", "select_across", "index")
        or name.startswith(("_", "initial-"))
        or name.endswith(("-id", "_FORMS"))
        or "__prefix__" in name
    )


def posted_field(
    request: HttpRequest, model_admin: Any, name: str, values: list[str]
) -> PostedField:
    """Return one field, and how a page shows it."""
    if is_technical(name) or not any(values):
        return PostedField(name, values, HIDDEN)
    place = Place(model_admin, name)
    if is_secret(request, name):
        return PostedField(name, [], AGAIN, place.label)
    if place.is_key:
        return PostedField(name, values, HIDDEN)
    chosen = place.chosen(request, values)
    if chosen is None and len(values) == 1:
        return PostedField(name, values, TEXT, place.label, values[0])
    return PostedField(name, values, CHOICE, place.label, chosen or ", ".join(values))


class Place:
    """Where a field is in the form: on the page itself, or in a row of an inline."""

    def __init__(self, model_admin: Any, name: str) -> None:
        self.site = model_admin.admin_site
        self.row = ""
        self.parent: Any = None
        self.model = model_admin.model
        declared = getattr(model_admin.form, "base_fields", {})
        self.name = name
        inlines = model_admin.inlines
        while match := ROW.fullmatch(self.name):
            prefix, number, rest = match.groups()
            inline = inline_of(self.model, inlines, prefix)
            if inline is not None:
                self.parent, self.model = self.model, inline.model
                declared = getattr(inline.form, "base_fields", {})
                inlines = getattr(inline, "inlines", ())
            elif prefix != "form":  # the prefix of the rows of a list
                break
            self.row = f"{capfirst(self.model._meta.verbose_name)} #{int(number) + 1}"
            self.name = rest
        part = re.sub(r"_\d+$", "", self.name)  # a date and its time are two inputs
        self.form_field = declared.get(self.name) or declared.get(part)
        self.model_field: Any = field_of(self.model, self.name) or field_of(
            self.model, part
        )

    @property
    def label(self) -> str:
        """What people call the field."""
        if self.name == "DELETE":
            label = str(_("Delete"))
        elif self.form_field is not None and self.form_field.label:
            label = str(self.form_field.label)
        elif self.model_field is not None:
            label = capfirst(str(self.model_field.verbose_name))
        else:
            label = pretty_name(self.name)
        return f"{self.row}: {label}" if self.row else label

    @property
    def is_key(self) -> bool:
        """Whether the field only says which row this is, or of which object."""
        related: Any = getattr(self.model_field, "related_model", None)
        is_parent = self.parent is not None and related is not None
        return (bool(self.row) and getattr(self.model_field, "primary_key", False)) or (
            is_parent and issubclass(self.parent, related)
        )

    def chosen(self, request: HttpRequest, values: list[str]) -> str | None:
        """Return the names of what was chosen; ``None`` for a field to type in."""
        if getattr(self.model_field, "related_model", None) is not None:
            names = related_names(request, self.site, self.model_field, values)
            return names or _("Your choice is kept.")
        choices = getattr(self.model_field, "flatchoices", ())
        labels = {str(value): str(label) for value, label in choices}
        if labels:
            return ", ".join(labels.get(value, value) for value in values)
        if values == ["on"] and (
            isinstance(self.model_field, models.BooleanField) or self.name == "DELETE"
        ):
            return str(yesno(True))
        return None


def inline_of(model: Any, inlines: Any, prefix: str) -> type[InlineModelAdmin] | None:  # type: ignore[type-arg]
    """Return the inline whose rows have this prefix in a form of the model."""
    prefix = re.sub(r"-\d+$", "", prefix)  # the second inline with the same prefix
    return next((each for each in inlines if prefix in prefixes(model, each)), None)


def prefixes(model: Any, inline: Any) -> Iterator[str]:
    """Return the prefixes that Django may give the rows of an inline."""
    names = inline.model._meta
    if hasattr(inline, "ct_field"):
        parts = names.app_label, names.model_name, inline.ct_field, inline.ct_fk_field
        yield "-".join(parts)
        return
    for field in names.get_fields():
        related: Any = field.related_model
        if isinstance(field, models.ForeignKey) and issubclass(model, related):
            accessor = field.remote_field.get_accessor_name(model=inline.model) or ""
            yield accessor.replace("+", "")


def field_of(model: Any, name: str) -> Any:
    """Return the model's field of this name, or ``None``."""
    with suppress(FieldDoesNotExist):
        field = model._meta.get_field(name)
        return field if hasattr(field, "verbose_name") else None
    return None


def related_names(
    request: HttpRequest, site: Any, field: Any, values: list[str]
) -> str | None:
    """Return the names of related objects, if the user may see all of them.

    A user who is signed out sees none, so that nobody can ask for the name of an object
    by sending its key.
    """
    related_admin = site._registry.get(field.related_model)
    if (
        related_admin is None
        or not site.has_permission(request)
        or not related_admin.has_view_or_change_permission(request)
    ):
        return None
    key = getattr(field.remote_field, "field_name", None) or "pk"
    # Unlike "in", each of these can tell that a number is too large for the column.
    is_chosen = reduce(or_, (models.Q(**{key: value}) for value in values))
    try:
        found = related_admin.get_queryset(request).filter(is_chosen)
        names = [str(obj) for obj in found]
    except (ValueError, TypeError, ValidationError):
        return None
    return ", ".join(names) if len(names) == len(values) else None
