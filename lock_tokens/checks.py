"""System checks. Each id has a heading in the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from inspect import getattr_static
from types import FunctionType
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Warning
from django.urls import get_resolver

from . import settings as lock_settings
from .models import LockableModel
from .permissions import (
    Permission,
    allow_any,
    can_change,
    get_permission,
    includes_api,
    is_api_model,
    is_authenticated,
    is_staff,
)
from .settings import DEFAULTS, MAX_TIMEOUT, find_middleware, is_timeout

# Forbidden, the published package's Conflict, and WebDAV's Locked.
LOCKED_STATUSES = (403, 409, 423)
WHOM = (
    (allow_any, "everybody, even without signing in"),
    (is_authenticated, "every user who is signed in"),
    (is_staff, "all users with is_staff"),
)
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


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
            hint=f"The known keys are {', '.join(sorted(DEFAULTS))}.",
            id="lock_tokens.W001",
        )
        for name in given
        if name not in DEFAULTS
    ]
    values = {**DEFAULTS, **given}
    if not is_timeout(values["TIMEOUT"]):
        messages.append(
            Error(
                "LOCK_TOKENS['TIMEOUT'] must be a number of seconds greater than 0"
                f" and at most {MAX_TIMEOUT}, not {values['TIMEOUT']!r}.",
                id="lock_tokens.E002",
            )
        )
    if not _is_date_format(values["DATEFORMAT"]):
        messages.append(
            Error(
                "LOCK_TOKENS['DATEFORMAT'] must be a format string for strftime(),"
                f" not {values['DATEFORMAT']!r}.",
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
    messages.extend(_check_permission())
    messages.extend(_check_models(values["API_MODELS"]))
    if values["API_LOCKED_STATUS"] not in LOCKED_STATUSES:
        messages.append(
            Error(
                "LOCK_TOKENS['API_LOCKED_STATUS'] must be one of"
                f" {', '.join(map(str, LOCKED_STATUSES))}, not"
                f" {values['API_LOCKED_STATUS']!r}.",
                id="lock_tokens.E007",
            )
        )
    return messages


def _check_permission() -> list[CheckMessage]:
    try:
        get_permission()
    except (ImportError, TypeError) as error:
        return [
            Error(
                "LOCK_TOKENS['API_PERMISSION'] must be a function that takes a"
                " request, a model and an object, or a dotted path to such a"
                f" function: {error}",
                id="lock_tokens.E005",
            )
        ]
    return []


def _check_models(labels: Any) -> list[CheckMessage]:
    if labels is None:
        return []
    if isinstance(labels, list | tuple | set | frozenset) and all(
        isinstance(label, str) for label in labels
    ):
        unknown = [repr(label) for label in labels if not _is_model(label)]
        if not unknown:
            return []
        problem = f"there is no model {', '.join(unknown)}"
    else:
        problem = f"it is {labels!r}"
    return [
        Error(
            "LOCK_TOKENS['API_MODELS'] must be None or a list of models such as"
            f" 'app_label.ModelName', but {problem}.",
            id="lock_tokens.E006",
        )
    ]


def check_api_is_not_open(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check, for ``check --deploy``, that not everybody may use the JSON API."""
    # A class of the project's own may let the API through.
    if _open_to() is not allow_any or LOGIN_REQUIRED in settings.MIDDLEWARE:
        return []
    return [
        Warning(
            "Anybody can use the lock API without signing in. They can see who is"
            " editing what, and they can lock objects.",
            hint="Set LOCK_TOKENS['API_PERMISSION'], for example to"
            " 'lock_tokens.permissions.can_change'.",
            id="lock_tokens.W003",
        )
    ]


def check_api_models(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """List, for ``check --deploy``, what the JSON API serves by default, and to whom.

    With ``can_change``, everybody gets only what they may change anyway.
    """
    permission = _open_to()
    if permission is allow_any and LOGIN_REQUIRED in settings.MIDDLEWARE:
        permission = is_authenticated
    if permission in (None, can_change) or lock_settings.API_MODELS is not None:
        return []
    whom = "whoever LOCK_TOKENS['API_PERMISSION'] allows"
    for known, users in WHOM:
        if permission is known:
            whom = users
    labels = sorted(
        model._meta.label
        for model in apps.get_models(include_auto_created=True)
        if is_api_model(model)
    )
    return [
        Warning(
            f"The lock API serves {len(labels)} models to {whom}: {', '.join(labels)}.",
            hint="Name the models that people edit under locks in"
            " LOCK_TOKENS['API_MODELS'].",
            id="lock_tokens.W008",
        )
    ]


def _open_to() -> Permission | None:
    """Return the permission of the JSON API; ``None`` if the API is not served."""
    try:
        permission = get_permission()
    except (AttributeError, ImportError, TypeError):
        return None  # E001, E005
    if not getattr(settings, "ROOT_URLCONF", None) or not includes_api(get_resolver()):
        return None
    return permission


def check_models(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that the lockable models have the methods and the manager of their parent."""
    return [
        message
        for config in app_configs or apps.get_app_configs()
        for model in config.get_models()
        if issubclass(model, LockableModel)
        for message in (*_check_names(model), *_check_manager(model))
    ]


def _check_names(model: type[LockableModel]) -> Iterator[CheckMessage]:
    meta = model._meta
    fields = {*meta.fields, *meta.many_to_many, *meta.private_fields}
    own = {field.name for field in fields}
    for name, method in vars(LockableModel).items():
        if name.startswith("_") or not _is_method(method):
            continue
        if name in own or not _is_method(getattr_static(model, name)):
            yield Warning(
                f"'{name}' of the model hides the method {name}() of LockableModel.",
                hint="Rename it, or call the method as"
                f" lock_tokens.models.LockableModel.{name}(obj).",
                obj=model,
                id="lock_tokens.W011",
            )
    if getattr(model, "lock_state", None) is not None:
        yield Warning(
            "'lock_state' of the model takes the name that with_lock_state() uses, so"
            " that method will raise ValueError.",
            hint="Give another name: with_lock_state(to_attr=…).",
            obj=model,
            id="lock_tokens.W011",
        )


def _is_method(value: Any) -> bool:
    return isinstance(value, FunctionType | classmethod)


def _check_manager(model: type[LockableModel]) -> Iterator[CheckMessage]:
    manager = getattr(model, "objects", None)
    parent = next(cls for cls in model.__mro__ if "objects" in vars(cls))
    if manager is None or hasattr(manager, "locked") or parent is model:
        return
    yield Warning(
        f"'objects' is the manager of {parent.__name__}, so it has no locked(),"
        " unlocked(), with_lock_state() and get_and_lock().",
        hint="Name LockableModel before it in the bases, or let that manager inherit"
        " from lock_tokens.managers.LockableModelManager.",
        obj=model,
        id="lock_tokens.W012",
    )


def _is_model(label: str) -> bool:
    try:
        apps.get_model(label)
    except (LookupError, ValueError):
        return False
    return True


def check_middleware(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that there are sessions, which decorators and session helpers need."""
    if find_middleware(SessionMiddleware):
        return []
    return [
        Warning(
            "SessionMiddleware is not in MIDDLEWARE, so lock_tokens.sessions and"
            " lock_tokens.decorators will not work.",
            hint="Add 'django.contrib.sessions.middleware.SessionMiddleware' to"
            " MIDDLEWARE, or silence this check if you use only tokens.",
            id="lock_tokens.W002",
        )
    ]


def _is_date_format(value: Any) -> bool:
    try:
        return bool(datetime.now(timezone.utc).strftime(value))
    except (TypeError, ValueError):
        return False
