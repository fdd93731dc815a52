"""``LockableModelAdmin``, put together from its parts."""

from __future__ import annotations

from .change_form import ChangeFormLocks
from .change_list import ChangeListLocks
from .deletion import DeletionLocks


class LockableModelAdmin(ChangeFormLocks, ChangeListLocks, DeletionLocks):
    """A ``ModelAdmin`` under which two people cannot edit one object at the same time.

    For every model, lockable or not. Whoever opens a change page locks its object, and
    only the page that holds the lock can be saved. Others see the page read-only, and
    who is editing. ``docs/admin.rst`` tells all of it.

    It can be mixed with other classes of ModelAdmin as these can be with each other.
    """
