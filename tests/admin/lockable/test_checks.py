"""The checks of how a LockableModelAdmin is configured."""

import math

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.core.checks import ERROR, WARNING

from lock_tokens.admin import LockableAdmin, LockableModelAdmin
from lock_tokens.settings import MAX_TIMEOUT
from tests.models import Label, Story
from tests.support.admin_site import new_site, urls_of_site

pytestmark = pytest.mark.any_database


def admin_with(**attributes):
    return type("StoryAdmin", (LockableModelAdmin,), attributes)


def check(model_admin, model=Story):
    return model_admin(model, new_site()).check()


def ids(messages):
    return [message.id for message in messages]


def the_one(model_admin, check_id, level=ERROR, model=Story):
    """Return the one message that the check has about the class."""
    (message,) = check(model_admin, model)
    assert (message.id, message.level) == (f"lock_tokens.{check_id}", level)
    assert message.obj is model_admin
    return message


@pytest.fixture(autouse=True)
def api(settings):
    settings.ROOT_URLCONF = "tests.support.admin_site"


def test_all_is_well_as_it_comes_and_with_right_values():
    assert check(LockableModelAdmin) == []
    assert LockableAdmin is LockableModelAdmin
    model_admin = admin_with(
        lock_timeout=90,
        lock_renew=False,
        lock_release_on_leave=False,
        lock_take_over=False,
        lock_exempt_actions=("export",),
    )
    assert check(model_admin) == []


@pytest.mark.parametrize("value", [0.5, 1, 3600, MAX_TIMEOUT])
def test_e008_takes_seconds(value):
    assert check(admin_with(lock_timeout=value, lock_renew=False)) == []


@pytest.mark.parametrize(
    "value", [0, -5, math.nan, math.inf, True, False, "60", [], MAX_TIMEOUT + 1]
)
def test_e008_lock_timeout_must_be_a_positive_number_of_seconds(value):
    assert "lock_timeout" in the_one(admin_with(lock_timeout=value), "E008").msg


@pytest.mark.parametrize("value", [None, 1, 0, "yes", []])
@pytest.mark.parametrize(
    "name", ["lock_renew", "lock_release_on_leave", "lock_take_over"]
)
def test_e009_switches_must_be_true_or_false(name, value):
    assert name in the_one(admin_with(**{name: value}), "E009").msg


def test_e009_names_every_switch_that_is_wrong():
    messages = check(admin_with(lock_renew=1, lock_take_over="no"))
    assert ids(messages) == ["lock_tokens.E009"] * 2


EXEMPT = pytest.mark.parametrize(
    ("option", "check_id"),
    [("lock_exempt_actions", "E010"), ("lock_exempt_views", "E017")],
)


@EXEMPT
@pytest.mark.parametrize("value", [["a"], ("a", "b"), {"a"}, frozenset("a"), []])
def test_e010_and_e017_take_names(option, check_id, value):
    assert check(admin_with(**{option: value})) == []


@EXEMPT
@pytest.mark.parametrize("value", ["export", None, 5, [print], ["a", 1], {"a": "b"}])
def test_e010_and_e017_what_is_exempt_must_be_names(option, check_id, value):
    assert option in the_one(admin_with(**{option: value}), check_id).msg


class Mixin:
    save_as = True
    own = None

    def get_urls(self):
        return super().get_urls()


def test_w015_a_mixin_that_comes_too_late_is_hidden():
    model_admin = type("Admin", (LockableModelAdmin, Mixin), {})
    message = the_one(model_admin, "W015", WARNING)
    hidden = "Mixin comes after ModelAdmin, which hides its get_urls, save_as."
    assert message.msg == hidden
    assert "list Mixin before LockableModelAdmin" in message.hint


@pytest.mark.parametrize(
    "bases",
    [(Mixin, LockableModelAdmin), (LockableModelAdmin, Mixin, ModelAdmin)],
)
def test_w015_a_mixin_before_model_admin_is_well(bases):
    assert check(type("Admin", bases, {})) == []


def test_w004_without_the_api_no_page_renews(settings):
    settings.ROOT_URLCONF = "tests.support.urls"
    message = the_one(admin_with(), "W004", WARNING)
    assert "tests.Story" in message.msg
    assert "lock_tokens.urls" in message.hint
    assert check(admin_with(lock_renew=False)) == []


def test_w004_the_api_must_know_the_model(settings):
    settings.LOCK_TOKENS = {"API_MODELS": ["tests.Story"]}
    assert check(LockableModelAdmin) == []
    message = the_one(LockableModelAdmin, "W004", WARNING, Label)
    assert "tests.Label" in message.msg
    # A wrong list is left to its own check.
    settings.LOCK_TOKENS = {"API_MODELS": 5}
    assert check(LockableModelAdmin) == []


def test_w004_says_nothing_where_there_are_no_urls(settings):
    del settings.ROOT_URLCONF
    assert check(LockableModelAdmin) == []


@pytest.mark.parametrize("value", [1, 599.5, 600])
def test_w005_takes_a_timeout_up_to_that_of_the_settings(settings, value):
    settings.LOCK_TOKENS = {"TIMEOUT": 600}
    assert check(admin_with(lock_timeout=value)) == []


@pytest.mark.parametrize("value", [600.5, 601, MAX_TIMEOUT])
def test_w005_a_longer_timeout_is_cut_by_the_first_renewal(settings, value):
    settings.LOCK_TOKENS = {"TIMEOUT": 600}
    message = the_one(admin_with(lock_timeout=value), "W005", WARNING)
    assert "600 seconds" in message.msg
    assert "TIMEOUT" in message.hint
    # What is not renewed is not cut.
    assert check(admin_with(lock_timeout=value, lock_renew=False)) == []


def test_w005_asks_for_the_default_where_nothing_is_set():
    assert check(admin_with(lock_timeout=3600)) == []
    assert ids(check(admin_with(lock_timeout=3601))) == ["lock_tokens.W005"]


@pytest.mark.parametrize("value", [0, "60", None, math.nan])
def test_w005_leaves_a_wrong_setting_to_its_own_check(settings, value):
    settings.LOCK_TOKENS = {"TIMEOUT": value}
    assert check(admin_with(lock_timeout=7200)) == []


def test_django_s_own_checks_are_made_too():
    messages = check(admin_with(list_display="headline", lock_timeout=0))
    assert ids(messages) == ["admin.E107", "lock_tokens.E008"]


def test_a_site_s_check_finds_them(settings):
    site = new_site()
    site.register(Story, admin_with(lock_timeout=0))
    site.register(Label, admin.ModelAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)
    assert ids(site.check(None)) == ["lock_tokens.E008"]
