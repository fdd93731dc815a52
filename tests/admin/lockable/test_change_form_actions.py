"""The actions that change forms have from Django 6.1 on."""

import pytest
from django.contrib import admin

from lock_tokens.models import LockToken
from tests.models import Story
from tests.support import admin_site
from tests.support.admin_site import (
    form_of,
    holder_of,
    messages_of,
    nothing_was_written,
    saved,
    state_of,
    take_and_leave,
    token_of,
    url_of,
)

pytestmark = pytest.mark.skipif(
    not hasattr(admin, "ActionLocation"),
    reason="change forms have actions from Django 6.1 on",
)


@pytest.fixture
def acting(serve_action):
    """Serve a change form with an action of its own."""

    @serve_action
    @admin.action(location=admin.ActionLocation.CHANGE_FORM)
    def shout_here(model_admin, request, queryset):
        admin_site.shout(model_admin, request, queryset)


def run_action(somebody, story):
    data = {
        "CHANGE_FORM-action": "shout_here",
        "_selected_action": str(story.pk),
        "index": "0",
    }
    return somebody.post(url_of(story), data, follow=True)


def test_an_action_of_the_page_runs_on_what_is_free_and_one_s_own(acting, alice, story):
    run_action(alice, story)
    assert saved(story).headline == "AS IT WAS"
    Story.objects.update(headline="Again")
    page = alice.open(story)
    assert "CHANGE_FORM-action" in page.text
    answer = run_action(alice, story)
    assert saved(story).headline == "AGAIN"
    # The page that was open shows what was there before.
    assert state_of(answer) == "held"
    assert token_of(answer) != token_of(page)
    assert alice.send(page, body="Mine").status_code == 403
    assert saved(story).body == "Once"


def test_no_action_of_the_page_runs_on_what_another_edits(acting, alice, bob, story):
    alice.open(story)
    page = bob.open(story)
    assert "CHANGE_FORM-action" not in page.text
    answer = run_action(bob, story)
    assert saved(story).headline == "As it was"
    assert any("Alice Writer" in message for message in messages_of(answer))
    assert holder_of(story) == alice.user


@pytest.mark.parametrize("button", ["_lock_again", "_take_over"])
def test_beside_an_action_a_save_keeps_its_rules_and_the_way_on_is_open(
    acting, alice, story, button, page
):
    take_and_leave(story)
    refused = alice.send(page, headline="Mine", **{"CHANGE_FORM-action": ""})
    assert refused.status_code == 403
    assert nothing_was_written(story)
    sent = form_of(refused, button)
    sent.setdefault("CHANGE_FORM-action", [""])
    sent.setdefault("_selected_action", [str(story.pk)])
    again = alice.post(url_of(story), sent)
    assert state_of(again) == "again"
    assert form_of(again)["headline"] == ["Mine"]


def test_beside_an_action_save_as_new_gives_the_original_up(acting, alice, story):
    sent = {"headline": "Copy", "CHANGE_FORM-action": ""}
    answer = alice.send(alice.open(story), "_saveasnew", **sent)
    assert answer.status_code == 302
    assert Story.objects.count() == 2
    assert not LockToken.objects.exists()


def test_an_action_that_the_page_does_not_have_is_no_way_around_the_lock(
    alice, bob, story, page
):
    """Where there are no actions Django takes it for a save."""
    action = {"CHANGE_FORM-action": "shout"}
    answer = bob.send(page, lock_token=None, headline="Mine", _save=None, **action)
    assert answer.status_code == 403
    assert nothing_was_written(story)
    assert holder_of(story) == alice.user
