"""The documentation says what the code does: names, ids, options and samples."""

import ast
import inspect
import re
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.management import BaseCommand
from django.dispatch import Signal

from lock_tokens import checks, decorators, exceptions, holding, sessions, signals
from lock_tokens.management.commands.remove_expired_locks import Command
from lock_tokens.settings import DEFAULTS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.rst"
# The benchmarks are written by a program.
PAGES = sorted({*(ROOT / "docs").glob("*.rst")} - {ROOT / "docs" / "benchmarks.rst"})

EXAMPLE_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -e . &&"
    " .venv/bin/python example_project/manage.py demo"
)
TEST_COMMAND = (
    'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" &&'
    " .venv/bin/python -m pytest"
)
# Without an underscore, and yet the module's own business.
INTERNAL = {"Target"}


def headings(page):
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [
        line.replace("``", "")
        for line, below in pairwise(lines)
        if line.strip()
        and re.fullmatch(r"([=\-~])\1*", below)
        and len(below) >= len(line)
    ]


def blocks(page, opening):
    """Give the blocks that follow a line like ``opening``, with their line numbers."""
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(rf"( *){opening}", line)
        if not match:
            continue
        block = []
        for below in lines[number:]:
            indent = len(below) - len(below.lstrip())
            if below.strip() and indent <= len(match[1]):
                break
            if not re.match(r" +:\w+:", below):
                block.append(below)
        yield number, textwrap.dedent("\n".join(block)).strip()


@pytest.mark.parametrize("key", DEFAULTS)
def test_each_setting_has_a_heading(key):
    assert key in headings("settings.rst")


def test_each_check_has_a_heading():
    ids = set(re.findall(r'"(lock_tokens\.[EW]\d+)"', inspect.getsource(checks)))
    assert ids
    assert ids == {name for name in headings("checks.rst") if "lock_tokens." in name}


def test_each_signal_has_a_heading():
    names = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert names
    assert names == {name for name in headings("signals.rst") if "lock_" in name}


def test_each_option_of_the_command_has_a_heading():
    def options(command):
        parser = command.create_parser("manage.py", "remove_expired_locks")
        return {name for name in parser._option_string_actions if name.startswith("--")}

    own = options(Command()) - options(BaseCommand())
    assert own
    # A heading goes on with the option's value.
    assert own == {
        name.split()[0] for name in headings("command.rst") if name.startswith("--")
    }


@pytest.mark.parametrize("module", [sessions, decorators, holding, exceptions])
def test_each_public_name_is_in_the_documentation(module):
    names = {
        name
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }
    text = "\n".join(page.read_text() for page in PAGES)
    missing = {name for name in names - INTERNAL if not re.search(rf"\b{name}\b", text)}
    assert names
    assert not missing


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_python_samples_compile(page):
    for number, code in blocks(page, r"\.\. code-block:: python"):
        compile(code, f"{page.name}:{number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_readme_has_a_quickstart_in_python():
    samples = [code for _, code in blocks(README, r"\.\. code-block:: python")]
    for name in ("LockableModel", "locks_object", "requires_lock_on_object", "fence("):
        assert any(name in code for code in samples)


def test_the_readme_has_one_command_for_the_example_and_one_for_the_tests():
    commands = [code for _, code in blocks(README, "::")]
    assert [code for code in commands if ".venv" in code] == [
        EXAMPLE_COMMAND,
        TEST_COMMAND,
    ]


def test_every_page_is_in_the_table_of_contents():
    contents = (ROOT / "docs" / "index.rst").read_text()
    pages = {page.stem for page in PAGES} - {"index"}
    assert pages <= set(re.findall(r"^    (\w+)$", contents, re.MULTILINE))


def test_every_page_that_the_readme_names_is_there():
    named = set(re.findall(r"``(docs/\w+\.rst)``", README.read_text()))
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()
