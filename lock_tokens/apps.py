from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.checks import register
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

REQUIRED_APPS = ("django.contrib.contenttypes", "django.contrib.auth")


class LockTokensConfig(AppConfig):
    name = "lock_tokens"
    verbose_name = _("Edit locks")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Load the models. Name a missing app, which Django's own error would not."""
        for name in REQUIRED_APPS:
            if not apps.is_installed(name):
                raise ImproperlyConfigured(
                    f"lock_tokens needs {name!r} in INSTALLED_APPS."
                )
        super().import_models()

    def ready(self) -> None:
        from . import checks, sessions

        register(checks.check_settings)
        register(checks.check_middleware)
        register(checks.check_models)
        register(checks.check_api_is_not_open, deploy=True)
        register(checks.check_api_models, deploy=True)
        user_logged_in.connect(
            sessions.rotate_on_login, dispatch_uid="lock_tokens.rotate_on_login"
        )
        user_logged_out.connect(
            sessions.release_on_logout, dispatch_uid="lock_tokens.release_on_logout"
        )
        if apps.is_installed("hijack"):
            from .integrations import hijack

            signals = import_module("hijack.signals")
            signals.hijack_started.connect(hijack.begin, dispatch_uid="lock_tokens")
            signals.hijack_ended.connect(hijack.end, dispatch_uid="lock_tokens")
        if apps.is_installed("drf_spectacular") and apps.is_installed("rest_framework"):
            from .rest_framework import spectacular  # noqa: F401
