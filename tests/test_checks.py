"""System checks by their ids, and what is said when an app is missing."""

import math
import subprocess
import sys
import textwrap

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import ERROR, WARNING, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from lock_tokens.checks import check_middleware, check_settings
from lock_tokens.settings import MAX_TIMEOUT

SESSION_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"


class OurSessionMiddleware(SessionMiddleware):
    pass


def function_middleware(get_response):
    return get_response


def ids(messages):
    return [message.id for message in messages]


def ours(messages):
    """Return the ids that are this package's, of all that Django finds."""
    return [name for name in ids(messages) if name.startswith("lock_tokens.")]


def test_all_is_well_without_the_setting(settings):
    assert not hasattr(settings, "LOCK_TOKENS")
    assert check_settings(None) == []
    assert check_middleware(None) == []
    assert ours(run_checks()) == []


def test_all_is_well_with_right_values(settings):
    settings.LOCK_TOKENS = {
        "TIMEOUT": 0.5,
        "DATEFORMAT": "%H:%M",
        "API_CSRF_EXEMPT": True,
    }
    assert check_settings(None) == []
    assert ours(run_checks()) == []


@pytest.mark.parametrize("value", [None, [], "TIMEOUT", 60, [("TIMEOUT", 60)]])
def test_e001_the_setting_must_be_a_dict(settings, value):
    settings.LOCK_TOKENS = value
    (message,) = check_settings(None)
    assert message.id == "lock_tokens.E001"
    assert message.level == ERROR
    assert ours(run_checks()) == ["lock_tokens.E001"]


@pytest.mark.parametrize(
    "value",
    [0, -5, math.nan, math.inf, True, False, "60", None, MAX_TIMEOUT + 1],
)
def test_e002_timeout_must_be_a_positive_number_of_seconds(settings, value):
    settings.LOCK_TOKENS = {"TIMEOUT": value}
    (message,) = check_settings(None)
    assert message.id == "lock_tokens.E002"
    assert message.level == ERROR
    assert "TIMEOUT" in message.msg
    assert repr(value) in message.msg
    assert ours(run_checks()) == ["lock_tokens.E002"]


@pytest.mark.parametrize("value", [1, 0.001, 3600, MAX_TIMEOUT])
def test_e002_takes_fractions_and_a_hundred_years(settings, value):
    settings.LOCK_TOKENS = {"TIMEOUT": value}
    assert check_settings(None) == []


@pytest.mark.parametrize("value", [None, 5, "", b"%Y", ["%Y"]])
def test_e003_dateformat_must_be_a_format(settings, value):
    settings.LOCK_TOKENS = {"DATEFORMAT": value}
    (message,) = check_settings(None)
    assert message.id == "lock_tokens.E003"
    assert message.level == ERROR
    assert "DATEFORMAT" in message.msg
    assert repr(value) in message.msg
    assert ours(run_checks()) == ["lock_tokens.E003"]


@pytest.mark.parametrize("value", ["%Y-%m-%d", "%c", "until then"])
def test_e003_takes_any_format(settings, value):
    settings.LOCK_TOKENS = {"DATEFORMAT": value}
    assert check_settings(None) == []


@pytest.mark.parametrize("value", [None, 0, 1, "False", "yes"])
def test_e004_api_csrf_exempt_must_be_a_boolean(settings, value):
    settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": value}
    (message,) = check_settings(None)
    assert message.id == "lock_tokens.E004"
    assert message.level == ERROR
    assert "API_CSRF_EXEMPT" in message.msg
    assert repr(value) in message.msg
    assert ours(run_checks()) == ["lock_tokens.E004"]


@pytest.mark.parametrize("value", [True, False])
def test_e004_takes_both_booleans(settings, value):
    settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": value}
    assert check_settings(None) == []


def test_w001_names_each_unknown_key_and_the_known_ones(settings):
    settings.LOCK_TOKENS = {"TIMEUOT": 5, "TIMEOUT": 5, 7: None}
    one, two = check_settings(None)
    assert ids([one, two]) == ["lock_tokens.W001", "lock_tokens.W001"]
    assert one.level == WARNING
    assert "'TIMEUOT'" in one.msg
    assert "7" in two.msg
    for name in ("TIMEOUT", "DATEFORMAT", "API_CSRF_EXEMPT"):
        assert name in one.hint
    assert ours(run_checks()) == ["lock_tokens.W001", "lock_tokens.W001"]


def test_each_wrong_value_has_its_own_message(settings):
    settings.LOCK_TOKENS = {
        "TIMEOUT": 0,
        "DATEFORMAT": None,
        "API_CSRF_EXEMPT": 0,
        "OTHER": 1,
    }
    assert ids(check_settings(None)) == [
        "lock_tokens.W001",
        "lock_tokens.E002",
        "lock_tokens.E003",
        "lock_tokens.E004",
    ]


def test_w002_without_session_middleware(settings):
    settings.MIDDLEWARE = ["tests.test_checks.function_middleware"]
    (message,) = check_middleware(None)
    assert message.id == "lock_tokens.W002"
    assert message.level == WARNING
    assert SESSION_MIDDLEWARE in message.hint
    assert "lock_tokens.W002" in ours(run_checks())
    settings.MIDDLEWARE = []
    assert ids(check_middleware(None)) == ["lock_tokens.W002"]


@pytest.mark.parametrize(
    "path", [SESSION_MIDDLEWARE, "tests.test_checks.OurSessionMiddleware"]
)
def test_w002_is_content_with_the_middleware_and_with_one_made_from_it(settings, path):
    settings.MIDDLEWARE = ["tests.test_checks.function_middleware", path]
    assert check_middleware(None) == []


def test_w002_leaves_middleware_that_cannot_be_imported_to_django(settings):
    settings.MIDDLEWARE = ["no.such.thing", SESSION_MIDDLEWARE]
    assert check_middleware(None) == []
    settings.MIDDLEWARE = ["no.such.thing", "tests.test_checks.nothing"]
    assert ids(check_middleware(None)) == ["lock_tokens.W002"]


def test_manage_check_fails_for_an_error_and_names_its_id(settings):
    settings.LOCK_TOKENS = {"TIMEOUT": "an hour"}
    with pytest.raises(SystemCheckError, match=r"lock_tokens\.E002"):
        call_command("check")


def test_ids_can_be_silenced(settings):
    settings.LOCK_TOKENS = {"TIMEOUT": "an hour"}
    settings.SILENCED_SYSTEM_CHECKS = ["lock_tokens.E002"]
    call_command("check")


MISSING_APPS = [
    (["lock_tokens"], "django.contrib.contenttypes"),
    (["lock_tokens", "django.contrib.auth"], "django.contrib.contenttypes"),
    (["django.contrib.contenttypes", "lock_tokens"], "django.contrib.auth"),
]


@pytest.mark.parametrize(("installed", "missing"), MISSING_APPS)
def test_a_missing_app_is_named(installed, missing):
    with pytest.raises(ImproperlyConfigured, match=f"lock_tokens needs '{missing}'"):
        with override_settings(INSTALLED_APPS=installed):
            pass


def start_a_project(installed):
    """Start Django in a process of its own; print the ids of what its checks find."""
    program = f"""
        import django
        from django.conf import settings
        from django.core.checks import run_checks

        settings.configure(INSTALLED_APPS={installed!r}, SECRET_KEY="x")
        django.setup()
        import lock_tokens.decorators, lock_tokens.holding, lock_tokens.sessions
        print(*(message.id for message in run_checks()))
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("installed", "missing"), MISSING_APPS)
def test_a_project_with_a_missing_app_does_not_start(installed, missing):
    ended = start_a_project(installed)
    assert ended.returncode != 0
    assert ended.stderr.rstrip().endswith(
        f"ImproperlyConfigured: lock_tokens needs '{missing}' in INSTALLED_APPS."
    )


@pytest.mark.parametrize(
    "installed",
    [
        ["django.contrib.contenttypes", "django.contrib.auth", "lock_tokens"],
        ["lock_tokens", "django.contrib.auth", "django.contrib.contenttypes"],
    ],
)
def test_a_project_needs_no_more_than_two_other_apps_in_any_order(installed):
    ended = start_a_project(installed)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["lock_tokens.W002"]
