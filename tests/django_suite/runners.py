"""Runners for Django's own tests: as they are, and with lock-aware admins."""

import json
import os
from functools import wraps
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.admin import ModelAdmin, sites
from django.test import Client
from django.test.runner import DiscoverRunner


class AsTheyAre(DiscoverRunner):
    """Writes what has failed into the file that ``DJANGO_SUITE_RESULTS`` names."""

    def suite_result(self, suite, result, **kwargs):
        failed = {}
        for test, traceback in [*result.failures, *result.errors]:
            failed[getattr(test, "test_case", test).id()] = traceback
        unexpected = {test.id(): "" for test in result.unexpectedSuccesses}
        report = {"run": result.testsRun, "failed": failed | unexpected}
        Path(os.environ["DJANGO_SUITE_RESULTS"]).write_text(json.dumps(report))
        return super().suite_result(suite, result, **kwargs)


class LockAware(AsTheyAre):
    """Makes every ModelAdmin that is registered a ``LockableModelAdmin``."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        settings.INSTALLED_APPS.append("lock_tokens")
        settings.MIGRATION_MODULES["lock_tokens"] = None  # as those that it depends on
        apps.set_installed_apps(settings.INSTALLED_APPS)
        make_admins_lock_aware()
        open_pages_before_posts()

    def build_suite(self, *args, **kwargs):
        suite = super().build_suite(*args, **kwargs)
        assert_all_are_lock_aware()
        return suite


def make_admins_lock_aware():
    register = sites.AdminSite.register

    @wraps(register)
    def register_lock_aware(self, model_or_iterable, admin_class=None, **options):
        lock_aware = lock_aware_class(admin_class or ModelAdmin)
        return register(self, model_or_iterable, lock_aware, **options)

    sites.AdminSite.register = register_lock_aware
    for model_admin in registered():  # some apps have registered theirs already
        model_admin.__class__ = lock_aware_class(type(model_admin))


def lock_aware_class(admin_class):
    """Return the class with the methods in the order as if it inherited ours."""
    from lock_tokens.admin import LockableModelAdmin, LockTokenAdmin

    if issubclass(admin_class, LockableModelAdmin | LockTokenAdmin):
        return admin_class
    bases = (admin_class, LockableModelAdmin)
    if admin_class is ModelAdmin:
        bases = (LockableModelAdmin,)
    return type(admin_class.__name__, bases, {"__module__": admin_class.__module__})


def registered():
    return [
        model_admin
        for site in sites.all_sites
        for model_admin in site._registry.values()
    ]


def assert_all_are_lock_aware():
    from lock_tokens.admin import LockableModelAdmin, LockTokenAdmin

    all_admins = registered()
    for model_admin in all_admins:
        assert isinstance(model_admin, LockableModelAdmin | LockTokenAdmin), model_admin
    print(f"All {len(all_admins)} registered ModelAdmins are lock-aware.", flush=True)


def open_pages_before_posts():
    from pages import hidden_fields

    post = Client.post

    @wraps(post)
    def post_from_page(self, path, data=None, *args, **kwargs):
        if data is None or isinstance(data, dict):
            data = hidden_fields(self, path, data or {}, kwargs) | (data or {})
        return post(self, path, data, *args, **kwargs)

    Client.post = post_from_page
