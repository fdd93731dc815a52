"""The ``LOCK_TOKENS`` setting, read from Django's settings on every access.

``settings.TIMEOUT``, an attribute of this module, is the current value, so
``override_settings`` works. ``from lock_tokens.settings import TIMEOUT`` also works, but
copies the value.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from django.conf import settings
from django.utils.module_loading import import_string

DEFAULTS: dict[str, Any] = {
    # Life of a lock in seconds. Fractions are allowed.
    "TIMEOUT": 3600,
    # strftime() format of "expires" in the token dict.
    "DATEFORMAT": "%Y-%m-%d %H:%M:%S %Z",
    # Whether the JSON API skips Django's CSRF check.
    "API_CSRF_EXEMPT": False,
    # Who may use the JSON API: a function of the request, the model and the object (or
    # None), or a dotted path to one.
    "API_PERMISSION": "lock_tokens.permissions.allow_any",
    # The models that the JSON API serves, as "app_label.ModelName"; None for all that
    # people edit.
    "API_MODELS": None,
    # The status of a refusal because somebody else has locked the object.
    "API_LOCKED_STATUS": 403,
}

# A hundred years: far beyond any edit, and inside what every database can store.
MAX_TIMEOUT = 100 * 365 * 24 * 3600


def __getattr__(name: str) -> Any:
    if name not in DEFAULTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(settings, "LOCK_TOKENS", {}).get(name, DEFAULTS[name])


def is_seconds(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a positive number of seconds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def is_timeout(value: object) -> bool:
    """Whether ``value`` is a positive number of seconds that a lock can live."""
    return is_seconds(value) and value <= MAX_TIMEOUT


def find_middleware(wanted: type) -> type | None:
    """Return the class in ``MIDDLEWARE`` that is ``wanted`` or inherits from it."""
    found = None
    for path in settings.MIDDLEWARE:
        try:
            middleware = import_string(path)
        except ImportError:
            continue  # Django reports this
        if isinstance(middleware, type) and issubclass(middleware, wanted):
            found = middleware
    return found


def get_timeout(timeout: float | None = None) -> float:
    """Return ``timeout`` in seconds, or the ``TIMEOUT`` setting when it is ``None``.

    Raises ``ValueError`` when the number is not positive, not finite or above a hundred
    years, and when it is no number at all.
    """
    value = __getattr__("TIMEOUT") if timeout is None else timeout
    if not is_timeout(value):
        raise ValueError(
            "A lock's timeout must be a number of seconds greater than 0 and at most"
            f" {MAX_TIMEOUT}, not {value!r}."
        )
    return float(value)
