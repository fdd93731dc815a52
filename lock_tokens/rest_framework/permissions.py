"""The lock as a permission, for views without :class:`LockableViewSetMixin`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from .guards import guard, is_about_lock


class HoldsLock(BasePermission):
    """Whoever writes to a locked object must send its token.

    For ``permission_classes``, as the last of them: who may not have the object is not
    to be told of its lock. It does what :class:`LockableViewSetMixin` does for writes,
    with the same answers, and adds no route. The view may have ``lock_required`` and
    ``release_on_write``.

    A permission is asked, and the write comes after it. A lock must stand until that is
    done. So this one never says no by itself: it wraps the handler of this request in a
    fence, where the refusals come from (423, 412, 428).

    In generic views it is about the object that ``get_object()`` gives. In other views,
    it is about each object that they check with ``check_object_permissions()``, from
    then on until the handler is done; the object is read again. A write (other than a
    ``POST``) that checks none raises ``ImproperlyConfigured``.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        guard(view, request)
        return True

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        # Others ask what might be written too: for the forms of the browsable API, once
        # there is a response, and for the answer to OPTIONS.
        is_real = request._request.method not in SAFE_METHODS
        if request.method in SAFE_METHODS or not is_real or hasattr(view, "response"):
            return True
        write = getattr(view, "locked_write", None)
        if is_about_lock(view):
            return True
        if write is None or not write.has_begun:
            raise ImproperlyConfigured(
                "HoldsLock was asked too late: another permission of an alternative came"
                " first. Use LockableViewSetMixin, or HoldsLock on its own."
            )
        write.lock_checked(obj)
        return True
