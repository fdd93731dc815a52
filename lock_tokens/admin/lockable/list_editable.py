"""Editing in the change list, under locks.

Each row that was changed is saved under its lock, and only if the list showed what is
saved now.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.utils.translation import gettext as _

from lock_tokens.locking.transactions import current_rows

from .request_locks import RequestLocks, changed_meanwhile, described
from .shown_rows import (
    entered,
    entered_fields,
    is_outdated,
    pass_over,
    saved_form,
    send_shown,
    shown_row,
)


def lock_aware(formset: type, request: HttpRequest, model_admin: Any) -> type:
    """Return a change list's formset class that saves only what it may."""
    own = {"_lock_request": request, "_lock_admin": model_admin}
    return type(formset.__name__, (LockAwareFormSet, formset), own)


class LockAwareFormSet:
    """The part of the formset that locks the rows, and sends back what they showed."""

    _lock_request: HttpRequest
    _lock_admin: Any
    _is_locked = False

    def add_fields(self: Any, form: Any, index: Any) -> None:
        super().add_fields(form, index)  # type: ignore[misc]
        send_shown(form, form.fields[self._pk_field.name])

    def is_valid(self: Any) -> bool:
        valid: bool = super().is_valid()  # type: ignore[misc]
        locks = getattr(self._lock_request, "_request_locks", None)
        # Without them this is not our list: save_model() locks each row by itself.
        if valid and locks is not None and not self._is_locked:
            self._is_locked = True
            lock_rows(self, locks, self._lock_admin)
        return valid


def lock_rows(formset: Any, locks: RequestLocks, model_admin: Any) -> None:
    """Lock the rows that were changed, and pass over those that must not be saved.

    Raises ``BadRequest`` for a row to add, which no list sends.
    """
    changed = {}
    for form in formset.forms:
        if not form.has_changed():
            continue
        if form.instance._state.adding:
            raise BadRequest("list_editable does not allow adding.")
        shown = shown_row(form)
        if shown is None or entered_fields(form, shown):
            changed[form.instance] = form, shown
        else:
            pass_over(form)  # only what is saved has changed since
    locks.acquire(list(changed), model_admin.lock_timeout)
    rows = model_admin.model._base_manager.using(formset.queryset.db)
    current = current_rows(rows.all()).in_bulk([obj.pk for obj in changed])
    for obj, (form, shown) in changed.items():
        if obj in locks.skipped:
            reason = described(obj, locks.skipped[obj])
        elif obj.pk not in current or is_outdated(
            form, shown, saved_form(form, current[obj.pk])
        ):
            reason = changed_meanwhile(current.get(obj.pk, obj))
        else:
            continue
        values = {"what": reason, "entered": entered(form, shown)}
        message = _("This was not saved: %(what)s. You entered %(entered)s.") % values
        model_admin.message_user(formset._lock_request, message, messages.WARNING)
        pass_over(form)
