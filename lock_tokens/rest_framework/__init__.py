"""Locks for the views of Django REST framework: ``pip install django-lock-tokens[drf]``.

* :class:`LockableViewSetMixin`: writes need the object's lock, and there is a route to it;
* :class:`HoldsLock`: a permission that does the same for the writes of any view;
* :class:`LockStateField`: the state of a lock as a field of a serializer;
* :class:`LockRefused`: the exception of a refusal, for your own exception handler.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from .viewsets import LockableViewSetMixin

__all__ = ["HoldsLock", "LockRefused", "LockStateField", "LockableViewSetMixin"]


def __getattr__(name: str) -> Any:
    """Import the mixin when it is asked for.

    REST framework's views import their default permissions, which may be HoldsLock, while
    they are imported themselves. The mixin needs those views.
    """
    if name == "LockableViewSetMixin":
        return import_module(".viewsets", __name__).LockableViewSetMixin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
