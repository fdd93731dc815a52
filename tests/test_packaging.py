"""What is in the distributions. ``tox run -e package`` makes them and says where."""

import os
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import lock_tokens

DISTRIBUTIONS = os.environ.get("DISTRIBUTIONS")
PACKAGE = Path(lock_tokens.__file__).parent

made = pytest.mark.skipif(
    not DISTRIBUTIONS, reason="run by tox run -e package, which builds the wheel"
)


@pytest.fixture(scope="module")
def wheel():
    (path,) = Path(DISTRIBUTIONS).glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_version_stands_in_one_place():
    root = Path(__file__).parents[1]
    assert lock_tokens.__version__
    assert 'attr = "lock_tokens.__version__"' in (root / "pyproject.toml").read_text()


@made
def test_the_wheel_holds_all_that_the_package_is_made_of(wheel):
    wanted = {
        f"lock_tokens/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pot"}
    }
    assert {
        "lock_tokens/py.typed",
        "lock_tokens/templates/lock_tokens/locked.html",
        "lock_tokens/migrations/0001_initial.py",
        "lock_tokens/management/commands/remove_expired_locks.py",
        "lock_tokens/locale/de/LC_MESSAGES/django.mo",
    } <= wanted
    assert wanted <= set(wheel.namelist())


@made
def test_the_wheel_holds_no_tests_and_nothing_else(wheel):
    assert {name.split("/")[0] for name in wheel.namelist()} == {
        "lock_tokens",
        f"django_lock_tokens-{lock_tokens.__version__}.dist-info",
    }
    tests = [name for name in wheel.namelist() if "test" in name.lower()]
    assert tests == ["lock_tokens/testing.py"]  # help for a project's own


@made
def test_the_metadata_says_what_is_supported(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Name"] == "django-lock-tokens"
    assert metadata["Version"] == lock_tokens.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    classifiers = metadata.get_all("Classifier")
    for django in ("5.2", "6.0", "6.1"):
        assert f"Framework :: Django :: {django}" in classifiers
    for python in range(10, 15):
        assert f"Programming Language :: Python :: 3.{python}" in classifiers


@made
def test_the_source_distribution_can_be_tested():
    (path,) = Path(DISTRIBUTIONS).glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tox.ini", "LICENSE", "tests/settings.py", "docs/conf.py"} <= names
    assert {"example_project/manage.py", "tests/data/v0_2_5/sqlite.sql"} <= names
