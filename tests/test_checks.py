"""System checks by their ids, and what is said when an app is missing."""

import math
import subprocess
import sys
import textwrap

import pytest
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import ERROR, WARNING, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings
from django.urls import include, path

from lock_tokens.checks import check_api_is_not_open, check_middleware, check_settings
from lock_tokens.permissions import allow_any, can_change
from lock_tokens.settings import MAX_TIMEOUT

# Django's checks of the models ask some databases what they can do.
pytestmark = pytest.mark.django_db(databases=["default", "other"])

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
        "API_PERMISSION": "lock_tokens.permissions.can_change",
        "API_MODELS": ["tests.Article"],
        "API_LOCKED_STATUS": 409,
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


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "allow_any",
        "no.such.function",
        "lock_tokens.permissions.no",
        "lock_tokens.settings.MAX_TIMEOUT",
        ["lock_tokens.permissions.is_staff"],
    ],
)
def test_e005_api_permission_must_be_a_function_or_a_path_to_one(settings, value):
    settings.LOCK_TOKENS = {"API_PERMISSION": value}
    (message,) = check_settings(None)
    assert message.id == "lock_tokens.E005"
    assert message.level == ERROR
    assert "API_PERMISSION" in message.msg
    assert ours(run_checks(include_deployment_checks=True)) == ["lock_tokens.E005"]


@pytest.mark.parametrize(
    "value", ["lock_tokens.permissions.is_staff", can_change, lambda *args: True]
)
def test_e005_takes_functions_and_paths(settings, value):
    settings.LOCK_TOKENS = {"API_PERMISSION": value}
    assert check_settings(None) == []


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("tests.Article", "'tests.Article'"),
        (True, "True"),
        (5, "5"),
        ({"tests.Article": 1}, "tests.Article"),
        ([None], "None"),
        ([object], "object"),
        (["tests.No"], "'tests.No'"),
        (["no.Article", "tests.Article"], "'no.Article'"),
        (["Article"], "'Article'"),
        (["tests.models.Article", ""], "'tests.models.Article', ''"),
    ],
)
def test_e006_api_models_must_be_a_list_of_models(settings, value, named):
    settings.LOCK_TOKENS = {"API_MODELS": value}
    (message,) = check_settings(None)
    assert message.id == "lock_tokens.E006"
    assert message.level == ERROR
    assert "API_MODELS" in message.msg
    assert named in message.msg
    assert ours(run_checks()) == ["lock_tokens.E006"]


@pytest.mark.parametrize(
    "value",
    [None, [], ["tests.Article"], ("tests.ARTICLE", "auth.User"), {"tests.page"}],
)
def test_e006_takes_any_collection_of_models_in_any_case(settings, value):
    settings.LOCK_TOKENS = {"API_MODELS": value}
    assert check_settings(None) == []


@pytest.mark.parametrize("value", [200, 404, 0, "403", None, [], 403.5])
def test_e007_api_locked_status_must_be_one_of_three(settings, value):
    settings.LOCK_TOKENS = {"API_LOCKED_STATUS": value}
    (message,) = check_settings(None)
    assert message.id == "lock_tokens.E007"
    assert message.level == ERROR
    assert "API_LOCKED_STATUS" in message.msg
    assert repr(value) in message.msg
    for status in ("403", "409", "423"):
        assert status in message.msg
    assert ours(run_checks()) == ["lock_tokens.E007"]


@pytest.mark.parametrize("value", [403, 409, 423])
def test_e007_takes_the_three(settings, value):
    settings.LOCK_TOKENS = {"API_LOCKED_STATUS": value}
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
        "API_PERMISSION": 0,
        "API_MODELS": 0,
        "API_LOCKED_STATUS": 0,
        "OTHER": 1,
    }
    assert ids(check_settings(None)) == [
        "lock_tokens.W001",
        "lock_tokens.E002",
        "lock_tokens.E003",
        "lock_tokens.E004",
        "lock_tokens.E005",
        "lock_tokens.E006",
        "lock_tokens.E007",
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


API = path("api/", include("lock_tokens.urls"))
OTHER_PAGES = path("other/", include("django.contrib.auth.urls"))
INCLUDED = [
    (API,),
    (OTHER_PAGES, path("", include("lock_tokens.urls", namespace="lock-tokens"))),
    (path("a/", include([OTHER_PAGES, path("b/", include([API]))])),),
    (path("x/", include(([API], "outer"), namespace="outer")),),
]


@pytest.mark.parametrize("urls", INCLUDED)
def test_w003_while_anybody_may_use_the_api(settings, urls):
    settings.ROOT_URLCONF = urls
    (message,) = check_api_is_not_open(None)
    assert message.id == "lock_tokens.W003"
    assert message.level == WARNING
    assert "API_PERMISSION" in message.hint
    assert ours(run_checks(include_deployment_checks=True)) == ["lock_tokens.W003"]


@pytest.mark.parametrize("urls", INCLUDED)
def test_w003_is_for_deployment_alone(settings, urls):
    settings.ROOT_URLCONF = urls
    assert ours(run_checks()) == []


@pytest.mark.parametrize("urls", [(), (OTHER_PAGES,), (path("a/", include([])),)])
def test_w003_is_content_where_the_api_is_not_included(settings, urls):
    settings.ROOT_URLCONF = urls
    assert check_api_is_not_open(None) == []
    assert ours(run_checks(include_deployment_checks=True)) == []


@pytest.mark.parametrize(
    ("permission", "found"),
    [
        (allow_any, ["lock_tokens.W003"]),
        ("lock_tokens.permissions.allow_any", ["lock_tokens.W003"]),
        ("lock_tokens.permissions.is_authenticated", []),
        (can_change, []),
        (lambda *args: True, []),
        ("no.such.function", []),
        (None, []),
    ],
)
def test_w003_looks_at_the_permission(settings, permission, found):
    settings.ROOT_URLCONF = (API,)
    settings.LOCK_TOKENS = {"API_PERMISSION": permission}
    assert ids(check_api_is_not_open(None)) == found


class OurLoginRequired(LoginRequiredMiddleware):
    pass


def login_required(get_response):
    return LoginRequiredMiddleware(get_response)


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        ("django.contrib.auth.middleware.LoginRequiredMiddleware", []),
        (f"{__name__}.OurLoginRequired", ["lock_tokens.W003"]),
        (f"{__name__}.login_required", ["lock_tokens.W003"]),
        ("django.contrib.auth.middleware.RemoteUserMiddleware", ["lock_tokens.W003"]),
        ("no.such.middleware", ["lock_tokens.W003"]),
    ],
)
def test_w003_is_content_where_everybody_has_to_sign_in(settings, middleware, found):
    settings.ROOT_URLCONF = (API,)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]
    assert ids(check_api_is_not_open(None)) == found


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
    """Start Django in a process of its own; print the ids of what its checks find.

    It has no URLconf. The second line is what ``check --deploy`` finds of ours.
    """
    program = f"""
        import django
        from django.conf import settings
        from django.core.checks import run_checks

        settings.configure(INSTALLED_APPS={installed!r}, SECRET_KEY="x")
        django.setup()
        import lock_tokens.decorators, lock_tokens.holding, lock_tokens.sessions
        print(*(message.id for message in run_checks()))
        deployed = run_checks(include_deployment_checks=True)
        print(*(m.id for m in deployed if m.id.startswith("lock_tokens.")))
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
    assert ended.stdout.splitlines() == ["lock_tokens.W002", "lock_tokens.W002"]
