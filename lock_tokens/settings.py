"""The ``LOCK_TOKENS`` setting, read from Django's settings on every access.

``settings.TIMEOUT`` (this module's attribute) is the value of this moment, so that
``override_settings`` works. ``from lock_tokens.settings import TIMEOUT`` works too and
takes a copy.
"""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings

DEFAULTS: dict[str, Any] = {
    # Life of a lock in seconds, fractions allowed.
    "TIMEOUT": 3600,
    # strftime() format of "expires" in the token dict.
    "DATEFORMAT": "%Y-%m-%d %H:%M:%S %Z",
    # Whether the JSON API does without Django's CSRF check.
    "API_CSRF_EXEMPT": False,
}

# A hundred years: far beyond any edit, and inside what every database can store.
MAX_TIMEOUT = 100 * 365 * 24 * 3600


def __getattr__(name: str) -> Any:
    if name not in DEFAULTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(settings, "LOCK_TOKENS", {}).get(name, DEFAULTS[name])


def is_timeout(value: object) -> bool:
    """Whether ``value`` is a positive number of seconds that a lock can live."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 < value <= MAX_TIMEOUT
    )


def get_timeout(timeout: float | None = None) -> float:
    """Return ``timeout`` in seconds, or the ``TIMEOUT`` setting when it is ``None``.

    Raises ``ValueError`` when the number is not positive, not finite or above a hundred
    years, and when it is no number at all.
    """
    value = __getattr__("TIMEOUT") if timeout is None else timeout
    if not is_timeout(value):
        raise ValueError(
            f"A lock's timeout is a number of seconds above 0 and up to {MAX_TIMEOUT}, "
            f"not {value!r}."
        )
    return float(value)
