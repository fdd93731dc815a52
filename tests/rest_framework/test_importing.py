"""Importing: without REST framework, and while REST framework itself imports."""

import importlib
import subprocess
import sys
from importlib.util import find_spec

import pytest

with_rest_framework = pytest.mark.skipif(
    find_spec("rest_framework") is None, reason="Django REST framework is not installed"
)

WITHOUT = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rest_framework", "drf_spectacular"):
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Missing())
import pkgutil
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "lock_tokens",
    ]
)
django.setup()
import lock_tokens

for module in pkgutil.walk_packages(lock_tokens.__path__, "lock_tokens."):
    if not module.name.startswith("lock_tokens.rest_framework"):
        __import__(module.name)
assert not any(name.startswith("rest_framework") for name in sys.modules)
try:
    import lock_tokens.rest_framework
except ImportError as error:
    print(error)
"""


def printed_by(code):
    """Run the code in a Python of its own; return what it has printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_other_module_can_be_imported_without_it():
    assert "django-lock-tokens[drf]" in printed_by(WITHOUT)


def test_its_own_module_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rest_framework", None)
    monkeypatch.delitem(sys.modules, "lock_tokens.rest_framework", raising=False)
    with pytest.raises(ImportError, match=r"django-lock-tokens\[drf\]"):
        importlib.import_module("lock_tokens.rest_framework")


@with_rest_framework
def test_the_schemas_extension_is_loaded_where_it_is_installed():
    assert "lock_tokens.rest_framework.spectacular" in sys.modules


@pytest.mark.skipif(
    find_spec("drf_spectacular") is None, reason="drf-spectacular is not installed"
)
def test_the_schemas_extension_is_left_alone_where_its_app_is_not_installed(
    settings, monkeypatch
):
    from lock_tokens import rest_framework

    name = "lock_tokens.rest_framework.spectacular"
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(rest_framework, "spectacular")
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app != "drf_spectacular"
    ]
    assert name not in sys.modules


# ``HoldsLock`` as a default permission, which REST framework's views import


PROJECT = """
import sys

import django
from django.conf import settings

sys.path.append({path!r})
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "lock_tokens",
    ],
    REST_FRAMEWORK={{"DEFAULT_PERMISSION_CLASSES": [{permission!r}]}},
)
django.setup()
import {first}
from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin
from rest_framework.viewsets import ModelViewSet

assert issubclass(ModelViewSet.permission_classes[0], HoldsLock)


class Locked(LockableViewSetMixin, ModelViewSet):
    pass
"""
SUBCLASS = """
from lock_tokens.rest_framework import HoldsLock


class Subclass(HoldsLock):
    pass
"""


@with_rest_framework
@pytest.mark.parametrize(
    "permission", ["lock_tokens.rest_framework.HoldsLock", "mine.Subclass"]
)
@pytest.mark.parametrize(
    "first",
    ["rest_framework.viewsets", "lock_tokens.rest_framework", "rest_framework.views"],
)
def test_the_default_permission_of_all_views_may_be_holds_lock(
    tmp_path, permission, first
):
    (tmp_path / "mine.py").write_text(SUBCLASS)
    printed_by(PROJECT.format(path=str(tmp_path), permission=permission, first=first))


@with_rest_framework
def test_another_name_is_no_attribute():
    from lock_tokens import rest_framework

    assert not hasattr(rest_framework, "LockableViewSet")
