"""The documentation says what the code does: names, ids, options and samples."""

import ast
import inspect
import json
import re
import shlex
import textwrap
from importlib import import_module
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand
from django.dispatch import Signal
from django.test import Client

import lock_tokens
from lock_tokens import (
    checks,
    decorators,
    exceptions,
    holding,
    permissions,
    sessions,
    signals,
)
from lock_tokens.admin.lockable import checks as admin_checks
from lock_tokens.api.converters import ObjectKeyConverter
from lock_tokens.management.commands.remove_expired_locks import Command
from lock_tokens.models import LockToken
from lock_tokens.settings import DEFAULTS
from tests.models import Article
from tests.support.openapi import LOCK, STATES, TOKEN, documented

pytestmark = pytest.mark.any_database

ROOT = Path(__file__).parents[2]
README = ROOT / "README.rst"
REST = ROOT / "docs" / "rest.rst"
# The benchmarks are written by a program.
PAGES = sorted({*(ROOT / "docs").glob("*.rst")} - {ROOT / "docs" / "benchmarks.rst"})

EXAMPLE_COMMAND = (
    'python3 -m venv .venv && .venv/bin/pip install -e ".[drf]" &&'
    " .venv/bin/python example_project/manage.py demo"
)
TEST_COMMAND = (
    'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" &&'
    " .venv/bin/python -m pytest"
)
# Without an underscore, and yet the module's own business.
INTERNAL = {
    "get_or_lock_for_session",
    "includes_api",
    "get_permission",
    "is_api_model",
    "is_permitted",
    "is_signed_in",
    "logged_failures",
    "user_of",
}


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
    sources = "".join(map(inspect.getsource, (checks, admin_checks)))
    ids = set(re.findall(r'"(lock_tokens\.[EW]\d+)"', sources))
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


@pytest.mark.parametrize(
    "module", [sessions, decorators, holding, exceptions, permissions]
)
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


NAMES_OF_0_2_5 = {
    "admin": "LockableModelAdmin LockTokenAdmin LockTokenAdmin.expired"
    " LockedContentTypesFilter",
    "decorators": "locks_object holds_lock_on_object",
    "exceptions": "AlreadyLockedError InvalidToken UnlockForbiddenError NoLockWarning"
    " LockExpiredWarning",
    "managers": "LockTokenManager.get_for_object LockableModelManager.get_and_lock"
    " LockTokenManager.get_for_contenttype_and_id"
    " LockTokenManager.get_or_create_for_object",
    "models": "get_random_token LockToken.has_expired LockToken.renew"
    " LockToken.get_expiration_datetime LockToken.serialize LockableModel._lock"
    " LockableModel._check_and_get_lock_token LockableModel.lock LockableModel.unlock"
    " LockableModel.check_lock_token LockableModel.is_locked",
    "sessions": "get_session_key lock_for_session unlock_for_session check_for_session",
    "settings": "TIMEOUT DATEFORMAT API_CSRF_EXEMPT",
    "urls": "app_name urlpatterns",
    "utils": "LockHolder class_or_bound_method",
    "views": "LockTokenListView LockTokenDetailView",
}


@pytest.mark.parametrize("module", NAMES_OF_0_2_5)
def test_each_name_of_0_2_5_is_still_there_or_in_upgrading(module):
    upgrading = (ROOT / "docs" / "upgrading.rst").read_text()
    for name in NAMES_OF_0_2_5[module].split():
        try:
            attrgetter(name)(import_module(f"lock_tokens.{module}"))
        except (ImportError, AttributeError):
            assert re.search(rf"\b{name.split('.')[-1]}\b", upgrading)


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_python_samples_compile(page):
    for number, code in blocks(page, r"\.\. code-block:: python"):
        compile(code, f"{page.name}:{number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_readme_has_a_quickstart_in_python():
    samples = [code for _, code in blocks(README, r"\.\. code-block:: python")]
    for name in ("LockableModel", "LockedUpdateView", "fence("):
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


# The JSON API


def table(page, opening):
    """Give the rows of the simple table whose first heading is ``opening``."""
    lines = page.read_text().splitlines()
    rule = lines[lines.index(next(s for s in lines if s.startswith(opening))) - 1]
    columns = [(match.start(), match.end()) for match in re.finditer("=+", rule)]
    first = lines.index(rule) + 3
    for line in lines[first : lines.index(rule, first)]:
        cells = [line[start:end].strip() for start, end in columns]
        if cells[0]:
            yield cells


def test_each_error_of_the_api_has_its_row_with_its_status():
    described = {(code, status) for _, _, status, code in documented() if code}
    described.add(("method_not_allowed", 405))
    rows = table(REST, "``error``")
    assert {(code.strip("`"), int(status)) for code, status, _ in rows} == described


def test_each_call_of_the_api_has_its_row_with_its_answers():
    paths = {
        "<object>/": LOCK,
        "<object>/<token>/": TOKEN,
        "<app_label>/<model>/": STATES,
    }
    answers = set()
    for call, _, statuses in table(REST, "Call "):
        method, path = call.strip("`").split()
        for status in statuses.split(", "):
            answers.add((paths[path], method.lower(), int(status)))
    assert answers == {
        (path, method, status)
        for path, method, status, _ in documented()
        if method not in ("head", "options") and status not in (500, 503)
    }


def test_keys_are_written_as_their_table_says():
    for key, written in table(REST, "Key "):
        quoted = ObjectKeyConverter().to_url(key.strip("`"))
        assert quoted.replace(" ", "%20") == written.strip("`")


def transcript():
    """Give each curl command of the API's page, and the lines that it answers with."""
    for _, block in blocks(REST, r"\.\. code-block:: text"):
        for call in re.split(r"^\$ (?=curl)", block, flags=re.MULTILINE)[1:]:
            command, _, answer = call.replace("\\\n", "").partition("\n")
            yield shlex.split(command), answer.strip()


class Pretender:
    """Runs curl commands, and knows which new secret or time stands for which old one."""

    VARIES = re.compile(
        r"[0-9a-f]{32}|[0-9A-Za-z]{64}"
        r"|\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d(?:(?:\.\d{6})?\+00:00| UTC)"
    )

    def __init__(self):
        self.plain, self.browser = Client(), Client(enforce_csrf_checks=True)
        self.browser.cookies["csrftoken"] = "a" * 32
        self.now = {}

    def curl(self, command):
        said = self.VARIES.sub(
            lambda match: self.now.get(match[0], match[0]), "\n".join(command[1:])
        )
        words = iter(said.split("\n"))
        client, method, headers, body, url = self.plain, "GET", {}, "", ""
        for word in words:
            if word == "-X":
                method = next(words)
            elif word == "-d":
                body = next(words)
            elif word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word in ("-b", "-c"):  # sends cookies; only stores them
                stranger = Client(enforce_csrf_checks=True)
                client = self.browser if word == "-b" else stranger
                next(words)
            elif word != "-i":
                parts = urlsplit(word)
                url = f"{parts.path}?{parts.query}"
        content_type = headers.pop("Content-Type", "application/json")
        url = url.replace("/lock_tokens/articles/", "/locks/tests/")
        return client.generic(
            method, url, body, content_type=content_type, headers=headers
        )

    def same(self, written, real):
        """Whether the two say the same, with each new secret and time in its place."""
        for old, new in zip(
            self.VARIES.findall(written), self.VARIES.findall(real), strict=True
        ):
            # Two moments may share a second there and not here, or the other way round.
            if not old.endswith("UTC"):
                assert self.now.setdefault(old, new) == new
        return self.VARIES.sub("…", written) == self.VARIES.sub("…", real)


@pytest.mark.django_db(reset_sequences=True, transaction=True)
@pytest.mark.urls("tests.support.api")
def test_the_examples_of_the_api_answer_what_they_say(settings):
    Article.objects.bulk_create([Article() for _number in range(9)])
    alice = get_user_model().objects.create_user(
        "alice", first_name="Alice", last_name="Moreau"
    )
    LockToken.objects.acquire(Article.objects.get(pk=7), user=alice)
    pretender = Pretender()
    calls = list(transcript())
    assert len(calls) == 17
    for command, written in calls:
        settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": not {"-b", "-c"} & set(command)}
        answer = pretender.curl(command)
        if "-i" in command:
            head, _, written = written.partition("\n\n")
            status, *headers = head.split("\n")
            assert status == f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"
            for header in headers:
                name, _, value = header.partition(": ")
                assert pretender.same(value, answer[name])
        real = answer.json() if answer.content else None
        if written:
            said = json.loads(written)
            if "expires_in" in said:
                left = real.pop("expires_in")
                assert said.pop("expires_in") == pytest.approx(left, abs=5)
            assert pretender.same(
                json.dumps(said), json.dumps(real, ensure_ascii=False)
            )
        else:
            assert real is None


def client():
    package = Path(lock_tokens.__file__).parent
    return (package / "static" / "lock_tokens" / "lock_tokens.js").read_text()


def test_each_method_of_the_client_has_its_place():
    methods = client().split("const LockTokens = {")[1].split("\n  };")[0]
    names = set(re.findall(r"^    (?:async )?(\w+)[:(]", methods, re.MULTILINE))
    page = (ROOT / "docs" / "javascript.rst").read_text()
    assert {"lock", "hold_lock", "watch"} <= names
    assert names == set(re.findall(r"^``LockTokens\.(\w+)\(", page, re.MULTILINE))


def test_each_event_of_the_client_and_its_reasons_have_their_place():
    source = client()
    table = (ROOT / "docs" / "javascript.rst").read_text().split("\nEvents\n")[1]
    table = table.split("``acquired`` and ``renewed`` also have")[0]
    events = set(re.findall(r'emit\("(\w+)"|&& "(\w+)"', source))
    events = {name for pair in events for name in pair if name}
    assert events == set(re.findall(r"^``lock_tokens\.(\w+)``", table, re.MULTILINE))
    reasons = set(re.findall(r"^\S+ +``(\w+)``", table, re.MULTILINE))
    assert reasons
    assert {reason for reason in reasons if f'"{reason}"' not in source} == set()
    lost = source.split("const LOST = ")[1].split("]);")[0]
    assert set(re.findall(r'\["\w+", "(\w+)"\]', lost)) <= reasons
