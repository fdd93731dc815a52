"""Checks of how ``LockableModelAdmin`` is configured, run by ``manage.py check``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.contrib.admin.checks import ModelAdminChecks
from django.core.checks import CheckMessage, Error, Warning
from django.urls import get_resolver

from lock_tokens import settings as settings_of_locks
from lock_tokens.permissions import includes_api, is_api_model
from lock_tokens.settings import MAX_TIMEOUT, is_timeout

#: What a class can override of ModelAdmin.
NAMES_OF_MODEL_ADMIN = {name for name in dir(ModelAdmin) if not name.startswith("_")}
#: The names of the column that says who is editing.
COLUMNS = {"lock_state", "lock_column"}
SWITCHES = ("lock_renew", "lock_release_on_leave", "lock_take_over")


class LockableModelAdminChecks(ModelAdminChecks):
    """Django's own checks, and those of the attributes that tune the lock."""

    def check(self, admin_obj: Any, **kwargs: object) -> list[CheckMessage]:
        return [
            *super().check(admin_obj, **kwargs),
            *_check_timeout(admin_obj),
            *_check_switches(admin_obj),
            *_check_exempt(
                admin_obj, "lock_exempt_actions", "action names", "lock_tokens.E010"
            ),
            *_check_exempt(
                admin_obj, "lock_exempt_views", "names of URLs", "lock_tokens.E017"
            ),
            *_check_mixins(admin_obj),
            *_check_client(admin_obj),
            *_check_column(admin_obj),
        ]


def _check_timeout(admin_obj: Any) -> list[CheckMessage]:
    timeout = admin_obj.lock_timeout
    if timeout is None:
        return []
    if is_timeout(timeout):
        return _check_timeout_is_renewed(admin_obj, timeout)
    return [
        Error(
            "The value of 'lock_timeout' must be None or a number of seconds greater"
            f" than 0 and at most {MAX_TIMEOUT}.",
            obj=admin_obj.__class__,
            id="lock_tokens.E008",
        )
    ]


def _check_timeout_is_renewed(admin_obj: Any, timeout: float) -> list[CheckMessage]:
    most = settings_of_locks.TIMEOUT
    if not admin_obj.lock_renew or not is_timeout(most) or timeout <= most:
        return []
    return [
        Warning(
            "The value of 'lock_timeout' is greater than LOCK_TOKENS['TIMEOUT']"
            f" ({most} seconds). The first renewal of a page will shorten its lock.",
            hint="Increase TIMEOUT or decrease lock_timeout.",
            obj=admin_obj.__class__,
            id="lock_tokens.W005",
        )
    ]


def _check_switches(admin_obj: Any) -> list[CheckMessage]:
    return [
        Error(
            f"The value of '{name}' must be True or False.",
            obj=admin_obj.__class__,
            id="lock_tokens.E009",
        )
        for name in SWITCHES
        if not isinstance(getattr(admin_obj, name), bool)
    ]


def _check_exempt(
    admin_obj: Any, option: str, names: str, check_id: str
) -> list[CheckMessage]:
    exempt = getattr(admin_obj, option)
    if isinstance(exempt, list | tuple | set | frozenset) and all(
        isinstance(name, str) for name in exempt
    ):
        return []
    return [
        Error(
            f"The value of '{option}' must be a list or tuple of {names}.",
            obj=admin_obj.__class__,
            id=check_id,
        )
    ]


def _check_mixins(admin_obj: Any) -> list[CheckMessage]:
    """Warn of mixins whose methods Django's own hide."""
    mro = type(admin_obj).__mro__
    behind = mro[mro.index(ModelAdmin) + 1 :]
    return [
        Warning(
            f"{mixin.__name__} comes after ModelAdmin, which hides its"
            f" {', '.join(hidden)}.",
            hint=f"In the bases of the class, list {mixin.__name__} before"
            " LockableModelAdmin.",
            obj=admin_obj.__class__,
            id="lock_tokens.W015",
        )
        for mixin in behind
        if mixin is not object and not issubclass(ModelAdmin, mixin)
        if (hidden := sorted({*vars(mixin)} & NAMES_OF_MODEL_ADMIN))
    ]


def _check_client(admin_obj: Any) -> list[CheckMessage]:
    if not admin_obj.lock_renew or not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        if includes_api(get_resolver()) and is_api_model(admin_obj.model):
            return []
    except (AttributeError, TypeError):
        return []  # E006
    return [
        Warning(
            "The pages of this admin cannot renew their locks because the lock API"
            f" does not include {admin_obj.model._meta.label}.",
            hint="Include lock_tokens.urls in the URLconf. Name the model in"
            " LOCK_TOKENS['API_MODELS'] if that is set, or if the API leaves the model"
            " out by default. If you do not want locks to be renewed, set"
            " lock_renew = False.",
            obj=admin_obj.__class__,
            id="lock_tokens.W004",
        )
    ]


def _check_column(admin_obj: Any) -> list[CheckMessage]:
    fields = {field.name for field in admin_obj.opts.fields}
    if "lock_state" not in fields or "lock_state" not in admin_obj.list_display:
        return []
    return [
        Warning(
            "The column 'lock_state' in 'list_display' shows the model's field of this"
            " name, and not who is editing.",
            hint="Name the column 'lock_column'.",
            obj=admin_obj.__class__,
            id="lock_tokens.W013",
        )
    ]
