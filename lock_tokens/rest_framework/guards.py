"""Which requests write, and are to run under the lock of their object."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from .writes import LockedWrite

#: The actions of the mixin's route, which are about the lock itself and need none.
LOCK_ACTIONS = ("lock", "acquire_lock", "renew_lock", "release_lock")


def guard(view: Any, request: Request) -> None:
    """Have the view's handler for this request run under the lock of its object.

    For between the view's own checks and its handler, as in ``initial()``. Safe methods
    need no lock, nor does the route to the lock itself.
    """
    name = str(request.method).lower()
    handler = getattr(view, name, None)
    if (
        request.method in SAFE_METHODS
        or handler is None
        or hasattr(view, "locked_write")
        or is_about_lock(view)
    ):
        return
    view.locked_write = LockedWrite(view, request)
    setattr(view, name, view.locked_write.around(handler))


def is_about_lock(view: Any) -> bool:
    """Say whether the request is for the lock's route, which the mixin has."""
    return getattr(view, "action", None) in getattr(view, "lock_actions", ())
