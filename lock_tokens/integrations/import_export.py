"""django-import-export: an import writes nothing over what somebody is editing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin.utils import NestedObjects
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..exceptions import AlreadyLockedError
from ..holding import fence_unlocked
from ..locking.info import display_name, listed
from ..locking.lock_key import LockKey, key_in
from ..locking.lock_token import LockToken
from ..locking.transactions import reread


class LockedRow(NamedTuple):
    """A row that was left out: its number in the file, its object, and who edits what.

    ``error.obj`` is what is being edited: the object, or one that would be deleted with
    it. ``error.locked_by`` is the user who is editing it.
    """

    number: int
    name: str
    error: AlreadyLockedError


class LockableResourceMixin:
    """The part of a resource that imports each row under the lock of its object.

    List it before ``ModelResource``. A row whose object is locked, by whomever, is
    skipped. The result has these rows in ``locked_rows``, as :class:`LockedRow`. In the
    admin a message names them.
    """

    _meta: Any
    _locked_rows: list[LockedRow]
    _row_locks: ExitStack
    _row_keys: set[LockKey]
    _refusal: LockedRow | None

    def import_data_inner(
        self: Any,
        dataset: Any,
        dry_run: bool,
        raise_errors: bool,
        using_transactions: bool,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Import all rows, and say which were left out.

        Raises ``ImproperlyConfigured`` for ``use_bulk`` without a transaction, because
        the locks would end before the rows are written.
        """
        if self._meta.use_bulk and not using_transactions:
            raise ImproperlyConfigured(
                "An import under locks needs use_transactions = True if use_bulk is set."
            )
        self._locked_rows = []
        result = super().import_data_inner(  # type: ignore[misc]
            dataset, dry_run, raise_errors, using_transactions, *args, **kwargs
        )
        result.locked_rows = self._locked_rows
        request = kwargs.get("request")
        if self._locked_rows and request is not None:
            messages.warning(request, left_out(self._locked_rows), fail_silently=True)
        return result

    def import_row(self: Any, row: Any, instance_loader: Any, **kwargs: Any) -> Any:
        """Import a row. Skip one that is locked, and undo one that failed."""
        self._refusal, self._row_keys = None, set()
        with suppress(RowFailed), ExitStack() as self._row_locks:
            result = super().import_row(row, instance_loader, **kwargs)  # type: ignore[misc]
            if result.errors:
                raise RowFailed
        if self._refusal is not None:
            refused = self._refusal._replace(number=kwargs["row_number"])
            self._locked_rows.append(refused)
            result.errors = []
            result.import_type = result.IMPORT_TYPE_SKIP
            result.object_repr = refused.name
        return result

    def get_or_init_instance(self: Any, instance_loader: Any, row: Any) -> Any:
        """Return the object of a row, locked and as it is now, and whether it is new."""
        instance, new = super().get_or_init_instance(instance_loader, row)  # type: ignore[misc]
        if not new:
            self._lock(instance, [instance])
            reread(instance)
        return instance, new

    def save_instance(
        self: Any, instance: Any, is_create: bool, row: Any, **kwargs: Any
    ) -> None:
        """Save the object. A key that the row has given it must be free too."""
        if instance.pk is not None:
            self._lock(instance, [instance])
        super().save_instance(instance, is_create, row, **kwargs)  # type: ignore[misc]

    def delete_instance(self: Any, instance: Any, row: Any, **kwargs: Any) -> None:
        """Delete the object, unless somebody is editing what would go with it."""
        using = self.get_db_connection_name()
        collector = NestedObjects(using=using, origin=instance)
        collector.collect([instance])
        self._lock(instance, (obj for objs in collector.data.values() for obj in objs))
        super().delete_instance(instance, row, **kwargs)  # type: ignore[misc]

    def _lock(self: Any, instance: models.Model, objects: Iterable[Any]) -> None:
        """Lock the objects until the row is imported. A new one may have a key already."""
        found = {}
        for obj in objects:
            with suppress(ValueError):  # its key cannot be locked
                lock_key = key_in(LockToken.objects, obj, self.get_db_connection_name())
                found[lock_key] = obj
        for lock_key in sorted(
            found.keys() - self._row_keys, key=lambda key: key.order
        ):
            try:
                self._row_locks.enter_context(fence_unlocked(lock_key))
            except AlreadyLockedError as error:
                error.obj = found[lock_key]
                self._refusal = LockedRow(0, str(instance), error)
                raise
            self._row_keys.add(lock_key)


class RowFailed(Exception):
    """Ends the transaction of a row that was not imported."""


def left_out(rows: list[LockedRow]) -> str:
    """Say which rows an import has left out."""
    return ngettext(
        "The import leaves out this row because it is being edited: %(named)s.",
        "The import leaves out these rows because they are being edited: %(named)s.",
        len(rows),
    ) % {"named": listed([named_row(row) for row in rows])}


def named_row(row: LockedRow) -> str:
    """Name a row by its line and its object, and the user who is editing it if known."""
    values = {
        "line": row.number,
        "object": row.name,
        "name": display_name(row.error.locked_by),
    }
    if values["name"]:
        return _("line %(line)d, “%(object)s” (%(name)s)") % values
    return _("line %(line)d, “%(object)s”") % values
