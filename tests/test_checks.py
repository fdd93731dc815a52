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

from lock_tokens.checks import (
    check_api_is_not_open,
    check_api_models,
    check_middleware,
    check_settings,
)
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


WRONG = {
    ("E002", "TIMEOUT"): [
        *(0, -5, math.nan, math.inf, True, False, "60", None, MAX_TIMEOUT + 1)
    ],
    ("E003", "DATEFORMAT"): [None, 5, "", b"%Y", ["%Y"]],
    ("E004", "API_CSRF_EXEMPT"): [None, 0, 1, "False", "yes"],
    ("E007", "API_LOCKED_STATUS"): [200, 404, 0, "403", None, [], 403.5],
    ("E005", "API_PERMISSION"): [
        *(None, True, "", "allow_any", "no.such.function"),
        *("lock_tokens.permissions.no", "lock_tokens.settings.MAX_TIMEOUT"),
        ["lock_tokens.permissions.is_staff"],
    ],
}
RIGHT = {
    "TIMEOUT": [1, 0.001, 3600, MAX_TIMEOUT],
    "DATEFORMAT": ["%Y-%m-%d", "%c", "until then"],
    "API_CSRF_EXEMPT": [True, False],
    "API_LOCKED_STATUS": [403, 409, 423],
    "API_PERMISSION": [
        *("lock_tokens.permissions.is_staff", can_change, lambda *args: True)
    ],
    "API_MODELS": [
        *(None, [], ["tests.Article"], ("tests.ARTICLE", "auth.User"), {"tests.page"})
    ],
}


@pytest.mark.parametrize(
    ("number", "name", "value"),
    [(*wrong, value) for wrong, values in WRONG.items() for value in values],
)
def test_a_wrong_value_is_an_error_that_names_it(settings, number, name, value):
    settings.LOCK_TOKENS = {name: value}
    (message,) = check_settings(None)
    assert message.id == f"lock_tokens.{number}"
    assert message.level == ERROR
    assert name in message.msg
    if name != "API_PERMISSION":
        assert repr(value) in message.msg
    if name == "API_LOCKED_STATUS":
        for status in ("403", "409", "423"):
            assert status in message.msg
    deployed = run_checks(include_deployment_checks=number == "E005")
    assert ours(deployed) == [f"lock_tokens.{number}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in RIGHT.items() for value in values],
)
def test_a_right_value_is_taken(settings, name, value):
    settings.LOCK_TOKENS = {name: value}
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
    found = ours(run_checks(include_deployment_checks=True))
    assert {*found} == {"lock_tokens.W003", "lock_tokens.W008"}
    assert ours(run_checks()) == []


@pytest.mark.parametrize("urls", [(), (OTHER_PAGES,), (path("a/", include([])),)])
def test_w003_and_w008_are_content_where_the_api_is_not_included(settings, urls):
    settings.ROOT_URLCONF = urls
    assert check_api_is_not_open(None) == check_api_models(None) == []
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


# Which models are open, and to whom

EVERYBODY = "everybody, even without signing in"
SIGNED_IN = "every user who is signed in"


@pytest.mark.parametrize(
    ("permission", "whom"),
    [
        (allow_any, EVERYBODY),
        ("lock_tokens.permissions.is_authenticated", SIGNED_IN),
        ("lock_tokens.permissions.is_staff", "all users with is_staff"),
        (lambda *args: True, "whoever LOCK_TOKENS['API_PERMISSION'] allows"),
    ],
)
def test_w008_lists_what_is_open_to_whom(settings, permission, whom):
    settings.ROOT_URLCONF = (API,)
    settings.LOCK_TOKENS = {"API_PERMISSION": permission}
    (message,) = check_api_models(None)
    assert (message.id, message.level) == ("lock_tokens.W008", WARNING)
    assert f" models to {whom}: " in message.msg
    listed = message.msg.rstrip(".").partition(": ")[2].split(", ")
    assert listed == sorted(listed)
    assert {"auth.User", "tests.Article", "tests.ArticleProxy"} < {*listed}
    assert "sessions.Session" not in listed
    assert f"serves {len(listed)} models" in message.msg
    assert "API_MODELS" in message.hint
    assert "lock_tokens.W008" in ours(run_checks(include_deployment_checks=True))
    assert ours(run_checks()) == []


def test_w008_knows_that_everybody_has_to_sign_in(settings):
    settings.ROOT_URLCONF = (API,)
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert f" to {SIGNED_IN}: " in check_api_models(None)[0].msg


@pytest.mark.parametrize(
    "configured",
    [
        {"API_MODELS": ["tests.Article"]},
        {"API_MODELS": []},
        {"API_PERMISSION": can_change},
        {"API_PERMISSION": "no.such.function"},
        5,
    ],
)
def test_w008_is_content_where_somebody_has_chosen(settings, configured):
    settings.ROOT_URLCONF = (API,)
    settings.LOCK_TOKENS = configured
    assert check_api_models(None) == []
    # Nor does a wrong value stop the other checks.
    run_checks(include_deployment_checks=True)


def test_manage_check_fails_for_an_error_unless_its_id_is_silenced(settings):
    settings.LOCK_TOKENS = {"TIMEOUT": "an hour"}
    with pytest.raises(SystemCheckError, match=r"lock_tokens\.E002"):
        call_command("check")
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
