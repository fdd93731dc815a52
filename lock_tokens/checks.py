"""System checks. Each id has a heading in the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from .settings import DEFAULTS, MAX_TIMEOUT, is_timeout


def check_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check ``LOCK_TOKENS``, key by key."""
    given = getattr(settings, "LOCK_TOKENS", {})
    if not isinstance(given, dict):
        return [Error("The LOCK_TOKENS setting must be a dict.", id="lock_tokens.E001")]
    messages: list[CheckMessage] = [
        Warning(
            f"LOCK_TOKENS has no key {name!r}.",
            hint=f"It knows {', '.join(sorted(DEFAULTS))}.",
            id="lock_tokens.W001",
        )
        for name in given
        if name not in DEFAULTS
    ]
    values = {**DEFAULTS, **given}
    if not is_timeout(values["TIMEOUT"]):
        messages.append(
            Error(
                f"LOCK_TOKENS['TIMEOUT'] must be a number of seconds above 0 and up to"
                f" {MAX_TIMEOUT}, not {values['TIMEOUT']!r}.",
                id="lock_tokens.E002",
            )
        )
    if not _is_date_format(values["DATEFORMAT"]):
        messages.append(
            Error(
                "LOCK_TOKENS['DATEFORMAT'] must be a format for strftime(), not"
                f" {values['DATEFORMAT']!r}.",
                id="lock_tokens.E003",
            )
        )
    if not isinstance(values["API_CSRF_EXEMPT"], bool):
        messages.append(
            Error(
                "LOCK_TOKENS['API_CSRF_EXEMPT'] must be True or False, not"
                f" {values['API_CSRF_EXEMPT']!r}.",
                id="lock_tokens.E004",
            )
        )
    return messages


def check_middleware(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that there are sessions, which decorators and session helpers need."""
    if _has_middleware("django.contrib.sessions.middleware.SessionMiddleware"):
        return []
    return [
        Warning(
            "There is no SessionMiddleware: lock_tokens.sessions and"
            " lock_tokens.decorators will not work.",
            hint="Add 'django.contrib.sessions.middleware.SessionMiddleware' to"
            " MIDDLEWARE, or silence this check if you use tokens alone.",
            id="lock_tokens.W002",
        )
    ]


def _is_date_format(value: Any) -> bool:
    try:
        return bool(datetime.now(timezone.utc).strftime(value))
    except (TypeError, ValueError):
        return False


def _has_middleware(name: str) -> bool:
    wanted = import_string(name)
    for path in settings.MIDDLEWARE:
        try:
            middleware = import_string(path)
        except ImportError:
            continue  # Django says so, and better
        if isinstance(middleware, type) and issubclass(middleware, wanted):
            return True
    return False
