"""Locks for the views of Django REST framework: ``pip install django-lock-tokens[drf]``.

* :class:`LockableViewSetMixin`: writes need the object's lock, and there is a route to it;
* :class:`HoldsLock`: a permission that does the same for the writes of any view;
* :class:`LockStateField`: the state of a lock as a field of a serializer;
* :class:`LockRefused`: the exception of a refusal, for your own exception handler.
"""

try:
    import rest_framework  # noqa: F401
except ImportError as error:
    raise ImportError(
        "lock_tokens.rest_framework needs Django REST framework:"
        " pip install django-lock-tokens[drf]"
    ) from error

from .fields import LockStateField
from .permissions import HoldsLock
from .refusals import LockRefused
from .viewsets import LockableViewSetMixin

__all__ = ["HoldsLock", "LockRefused", "LockStateField", "LockableViewSetMixin"]
