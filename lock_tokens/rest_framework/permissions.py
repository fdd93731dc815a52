"""The lock as a permission, for views without :class:`LockableViewSetMixin`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from .requests import is_about_lock

if TYPE_CHECKING:
    from rest_framework.views import APIView

# REST framework's views import the default permissions while they are imported, so this
# module must not import a view.


class HoldsLock(BasePermission):
    """A write to a locked object needs the token of its lock.

    Put it last into ``permission_classes``, so that users without permission for the
    object learn nothing about its lock. It does what :class:`LockableViewSetMixin` does
    for writes, with the same answers, and adds no route. The view may have
    ``lock_required`` and ``release_on_write``.

    The write comes after the permissions, and the lock must be held until the write is
    done. So this permission always says yes. It runs the handler of the request within a
    fence, and the fence refuses (423, 412, 428).

    In generic views the object is what ``get_object()`` returns. Other views check each
    object with ``check_object_permissions()``. From then until the handler is done, the
    object is locked. It is also read again. A write, other than a ``POST``, that checks
    no object raises ``ImproperlyConfigured``.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        from .writes import guard  # it imports REST framework's views

        guard(view, request)
        return True

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        if request.method in SAFE_METHODS or is_about_lock(view):
            return True
        # The browsable API asks what a user may write, for its forms, once there is a
        # response. So does the answer to OPTIONS.
        if hasattr(view, "response") or request._request.method in SAFE_METHODS:
            return True
        write = getattr(view, "locked_write", None)
        if write is None or not write.has_begun:
            raise ImproperlyConfigured(
                "HoldsLock was checked too late because another permission in the same"
                " expression was checked first. Use LockableViewSetMixin, or use"
                " HoldsLock without other permissions in its expression."
            )
        write.lock_checked(obj)
        return True
