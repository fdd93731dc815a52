"""``HoldsLock`` as a default permission, which REST framework's views import."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("rest_framework") is None, reason="Django REST framework is not installed"
)

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
    project = PROJECT.format(path=str(tmp_path), permission=permission, first=first)
    done = subprocess.run(
        [sys.executable, "-c", project], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_another_name_is_no_attribute():
    from lock_tokens import rest_framework

    assert not hasattr(rest_framework, "LockableViewSet")
