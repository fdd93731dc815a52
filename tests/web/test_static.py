"""The script that ships, as a file: what it weighs and what it must not contain."""

import ast
import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

import lock_tokens

pytestmark = pytest.mark.any_database

PACKAGE = Path(lock_tokens.__file__).parent
CLIENT = PACKAGE / "static" / "lock_tokens" / "lock_tokens.js"


def test_the_client_is_small():
    assert len(gzip.compress(CLIENT.read_bytes(), mtime=0)) < 6.25 * 1024


@pytest.mark.parametrize(
    "pattern",
    [
        r"\beval\b",
        r"\bFunction\(",
        r"\bset(Timeout|Interval)\(\s*[\"'`]",  # their text would be evaluated
        r"\bimport\b",
        r"\.on[a-z]+\s*=(?!.*=>)",  # a handler that is no function
        r"setAttribute\(",
        r"\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write",
        r"\.style\b|cssText",
        r"javascript:",
        r"<script|<style",
        r"before?unload\b|\"unload\"",
        r"sourceMappingURL|https?://",
    ],
)
def test_the_client_has_nothing_that_a_strict_policy_forbids(pattern):
    assert not re.search(pattern, CLIENT.read_text(encoding="utf-8"))


def test_staticfiles_finds_the_client():
    assert Path(finders.find("lock_tokens/lock_tokens.js")) == CLIENT


def test_the_wheel_takes_every_static_file_and_template():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    section = project.partition("[tool.setuptools.package-data]")[2]
    patterns = ast.literal_eval(re.search(r"lock_tokens = (\[.*?\])", section)[1])
    taken = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    wanted = {
        path
        for folder in ("static", "templates")
        for path in (PACKAGE / folder).rglob("*")
        if path.is_file()
    }
    assert CLIENT in wanted
    assert wanted <= taken


def test_each_colour_of_the_admin_has_one_to_fall_back_on():
    style = CLIENT.with_name("page.css").read_text(encoding="utf-8")
    used = set(re.findall(r"var\((--[\w-]+)\)", style))
    assert used == set(re.findall(r"^    (--lock-[\w-]+): var\(", style, re.MULTILINE))
