"""What a save of the change page writes beside its object: rows of inlines, a new key.

They can have locks of their own, because they have pages of their own. So a save locks
them before it writes anything, until its transaction ends. A row that somebody else is
editing is not saved. Nor is one that somebody else has changed since the page showed it,
until the user has seen the saved version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from lock_tokens.locking.lock_key import database_of
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.locking.transactions import current_rows
from lock_tokens.web.lock_page import AGAIN, ELSEWHERE, LOCKED

from .deletion import edited_by_others
from .helpers import with_nested
from .request_locks import RequestLocks, changed_meanwhile, described
from .shown_rows import (
    fields_saved_since,
    is_entered,
    is_outdated,
    pass_over,
    saved_form,
    saved_text,
    send_shown,
    shown_row,
)
from .visit import Visit


class RowsRefused(Exception):
    """A save must not write this; ``visit.refused_rows`` says what, and why."""


def lock_aware_inline(formset: type, visit: Visit) -> type:
    """Return an inline's formset class that the visit knows, and that sends rows back."""
    return type(formset.__name__, (LockAwareInline, formset), {"_lock_visit": visit})


class LockAwareInline:
    """The part of an inline's formset that sends back what its rows showed."""

    _lock_visit: Visit

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock_visit.formsets.append(self)

    def add_fields(self: Any, form: Any, index: Any) -> None:
        super().add_fields(form, index)  # type: ignore[misc]
        key = form.fields.get(self._pk_field.name)
        is_saved = index is not None and index < self.initial_form_count()
        is_read_only = self._lock_visit.page.state in (LOCKED, ELSEWHERE)
        if is_saved and not is_read_only and key is not None and key.widget.is_hidden:
            send_shown(form, key, self._lock_visit_tells)

    def _lock_visit_tells(self, form: Any, shown: dict[str, Any]) -> bool:
        visit = self._lock_visit
        return form.prefix in visit.told_rows or (
            visit.page.state == AGAIN and is_entered(form, shown)
        )


def lock_rows(visit: Visit, obj: models.Model, locks: RequestLocks) -> None:
    """Lock all that the save of ``obj`` will write beside it.

    Raises ``RowsRefused`` when it must not be written.
    """
    rows = list(rows_to_write(visit.formsets))
    objects = [form.instance for _formset, form in rows]
    if has_other_key(visit, obj):
        objects.append(obj)
    locks.acquire(objects, visit.model_admin.lock_timeout)
    refused = {}
    if obj in locks.skipped:
        refused[""] = not_saved(described(obj, locks.skipped[obj]))
    current = saved_rows(rows)
    for formset, form in rows:
        reason = reason_against(visit, locks, formset, form, current)
        if reason:
            refused[form.prefix] = reason
    if refused:
        visit.refused_rows = refused
        raise RowsRefused


def rows_to_write(formsets: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Return the rows that are changed or deleted, each with its formset.

    Rows in which only the saved version has changed are passed over.
    """
    for formset in with_nested(formsets):
        if formset.model._meta.auto_created:
            continue
        for form in formset.initial_forms:
            if is_entered(form, shown_row(form)):
                yield formset, form
            elif form.has_changed():
                pass_over(form)


def has_other_key(visit: Visit, obj: models.Model) -> bool:
    """Say whether the save writes to another row, as after the key was edited."""
    locks = LockToken.objects
    return locks.can_be_locked(obj) and locks.key_of(obj) != visit.lock_key


def saved_rows(rows: list[tuple[Any, Any]]) -> dict[tuple[type, Any], Any]:
    """Return what is saved now of the rows that said what they showed."""
    found = {}
    shown = [form.instance for _formset, form in rows if shown_row(form) is not None]
    for model in dict.fromkeys(type(instance) for instance in shown):
        rows_of_model = [row for row in shown if type(row) is model]
        objects = model._base_manager.using(database_of(rows_of_model[0]))
        keys = [row.pk for row in rows_of_model]
        for key, row in current_rows(objects.all()).in_bulk(keys).items():
            found[model, key] = row
    return found


def reason_against(
    visit: Visit,
    locks: RequestLocks,
    formset: Any,
    form: Any,
    current: dict[tuple[type, Any], Any],
) -> str:
    """Return why a row must not be written, for people to read; empty if it may be."""
    row = form.instance
    saved = current.get((type(row), row.pk))
    if row in locks.skipped:
        return not_saved(described(saved or row, locks.skipped[row]))
    is_deleted = formset.can_delete and formset._should_delete_form(form)
    if is_deleted:
        for edited in edited_by_others([row], visit.request, database_of(row)):
            return not_saved(edited)
    if saved is None:
        return ""
    shown = shown_row(form)
    options = formset.get_form_kwargs(formset.forms.index(form))
    now = saved_form(form, saved, **options)
    if not is_outdated(form, shown, now):
        return ""
    visit.told_rows.add(form.prefix)
    fields = fields_saved_since(now, shown) or list(now.fields)
    values = {"what": changed_meanwhile(saved), "saved": saved_text(now, fields)}
    if is_deleted:
        message = _(
            "Nothing was saved: %(what)s. The saved version has %(saved)s. To delete it"
            " all the same, save again."
        )
    else:
        message = _(
            "Nothing was saved: %(what)s. The saved version has %(saved)s. To replace it,"
            " save again."
        )
    return message % values


def not_saved(what: str) -> str:
    return _("Nothing was saved: %(what)s.") % {"what": what}


def show_refused(visit: Visit, context: dict[str, Any], formsets: list[Any]) -> None:
    """Put the reasons on the page, each with its row."""
    forms = {form.prefix: form for formset in formsets for form in formset.forms}
    forms[""] = context["adminform"].form
    for prefix, reason in visit.refused_rows.items():
        forms.get(prefix, forms[""]).add_error(None, reason)
        context["errors"].append(reason)
