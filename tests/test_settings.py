"""The ``LOCK_TOKENS`` setting, read on every access."""

import math
from datetime import datetime, timedelta, timezone

import pytest
from django.test import override_settings

from lock_tokens import settings as lock_settings
from lock_tokens.settings import MAX_TIMEOUT, get_timeout, is_timeout
from tests.models import Article

NO_TIMEOUTS = [
    0,
    -1,
    0.0,
    math.nan,
    math.inf,
    -math.inf,
    True,
    "60",
    timedelta(seconds=60),
    [],
    MAX_TIMEOUT + 1,
    pytest.param(10**400, id="beyond floats"),
    pytest.param(-(10**400), id="below floats"),
]


def life_of_a_new_lock(**options):
    """Return the seconds between ``locked_at`` and ``expires_at`` of a new lock."""
    article = Article.objects.create()
    article.lock(**options)
    info = article.lock_info()
    return (info.expires_at - info.locked_at).total_seconds()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMEOUT", 3600),
        ("DATEFORMAT", "%Y-%m-%d %H:%M:%S %Z"),
        ("API_CSRF_EXEMPT", False),
        ("API_PERMISSION", "lock_tokens.permissions.allow_any"),
        ("API_MODELS", None),
        ("API_LOCKED_STATUS", 403),
    ],
)
@pytest.mark.parametrize("given", [None, {}, {"ANOTHER": 1}])
def test_defaults_stand_where_the_project_says_nothing(settings, name, value, given):
    if given is None:
        assert not hasattr(settings, "LOCK_TOKENS")
    else:
        settings.LOCK_TOKENS = given
    assert getattr(lock_settings, name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMEOUT", 5),
        ("DATEFORMAT", "%Y"),
        ("API_CSRF_EXEMPT", True),
        ("API_PERMISSION", "lock_tokens.permissions.is_staff"),
        ("API_MODELS", ["tests.Article"]),
        ("API_LOCKED_STATUS", 423),
    ],
)
def test_override_settings_works_on_every_access(name, value):
    before = getattr(lock_settings, name)
    assert before != value
    with override_settings(LOCK_TOKENS={name: value}):
        assert getattr(lock_settings, name) == value
        with override_settings(LOCK_TOKENS={}):
            assert getattr(lock_settings, name) == before
        assert getattr(lock_settings, name) == value
    assert getattr(lock_settings, name) == before


def test_a_given_key_leaves_the_others_at_their_defaults(settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 7}
    assert lock_settings.TIMEOUT == 7
    assert lock_settings.DATEFORMAT == "%Y-%m-%d %H:%M:%S %Z"


def test_the_published_import_takes_the_value_of_its_moment(settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 7}
    from lock_tokens.settings import TIMEOUT

    assert TIMEOUT == 7
    settings.LOCK_TOKENS = {"TIMEOUT": 8}
    assert TIMEOUT == 7


def test_an_unknown_name_is_an_attribute_error_also_when_the_project_sets_it(settings):
    settings.LOCK_TOKENS = {"TIMEUOT": 5}
    with pytest.raises(AttributeError, match=r"lock_tokens\.settings.*'TIMEUOT'"):
        _ = lock_settings.TIMEUOT
    with pytest.raises(ImportError):
        from lock_tokens.settings import TIMEUOT  # noqa: F401
    assert not hasattr(lock_settings, "__wrapped__")


@pytest.mark.parametrize("timeout", [1, 0.25, 1e-6, MAX_TIMEOUT])
def test_a_timeout_is_a_positive_number_of_seconds_fractions_allowed(timeout):
    assert is_timeout(timeout)
    seconds = get_timeout(timeout)
    assert seconds == timeout
    assert isinstance(seconds, float)


@pytest.mark.parametrize("value", NO_TIMEOUTS)
def test_anything_else_is_no_timeout(value):
    assert not is_timeout(value)
    with pytest.raises(ValueError, match="number of seconds greater than 0"):
        get_timeout(value)


def test_without_a_timeout_the_setting_s_is_taken(settings):
    assert get_timeout() == 3600
    assert get_timeout(None) == 3600
    settings.LOCK_TOKENS = {"TIMEOUT": 1.5}
    assert get_timeout() == 1.5
    assert get_timeout(2) == 2


@pytest.mark.parametrize("value", [*NO_TIMEOUTS, None])
def test_a_bad_setting_is_a_clear_error_when_it_is_used(settings, value):
    settings.LOCK_TOKENS = {"TIMEOUT": value}
    with pytest.raises(ValueError, match="number of seconds greater than 0"):
        get_timeout()


@pytest.mark.django_db
@pytest.mark.parametrize("timeout", [60, 0.5, 90.25])
def test_timeout_is_the_life_of_a_new_lock(settings, timeout):
    settings.LOCK_TOKENS = {"TIMEOUT": timeout}
    assert life_of_a_new_lock() == pytest.approx(timeout, abs=0.002)


@pytest.mark.django_db
def test_a_timeout_of_one_lock_comes_before_the_setting(settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 60}
    assert life_of_a_new_lock(timeout=30) == pytest.approx(30, abs=0.002)


@pytest.mark.django_db
def test_the_longest_timeout_is_one_that_the_database_can_store():
    assert life_of_a_new_lock(timeout=MAX_TIMEOUT) == pytest.approx(MAX_TIMEOUT, abs=1)


@pytest.mark.django_db
def test_dateformat_is_the_format_of_expires(settings):
    article = Article.objects.create()
    token = article.lock()["token"]
    settings.LOCK_TOKENS = {"DATEFORMAT": "%d.%m.%Y %H:%M:%S"}
    given = article.lock(token)
    expires_at = datetime.fromisoformat(given["expires_at"]).astimezone(timezone.utc)
    assert given["expires"] == expires_at.strftime("%d.%m.%Y %H:%M:%S")
