"""Hooks that ask for the object's state see it as it is saved."""

import pytest

from tests.models import Comment, Story
from tests.support.admin_site import (
    CommentInline,
    StoryAdmin,
    assert_refused,
    form_of,
    saved,
    state_of,
    take_and_leave,
)


class Inline(CommentInline):
    def get_readonly_fields(self, request, obj=None):
        return ["text"] if obj and obj.is_urgent else []


class UrgentAdmin(StoryAdmin):
    """The body of an urgent story cannot be changed; an urgent headline is a slug."""

    inlines = [Inline]

    def get_readonly_fields(self, request, obj=None):
        return ["body"] if obj and obj.is_urgent else []

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj and obj.is_urgent else {"body": ["headline"]}


@pytest.fixture(autouse=True)
def urgent(serve, story):
    serve(UrgentAdmin)
    Comment.objects.create(story=story, text="Remark")


def test_a_field_that_was_there_stays_on_the_refused_page(alice, story, page):
    take_and_leave(story)
    typed = {"body": "Mine", "comment_set__0__text": "My remark"}
    refused = alice.send(page, is_urgent="on", **typed)
    assert_refused(refused, **typed)
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    assert form_of(again)["body"] == ["Mine"]
    assert alice.send(again).status_code == 302
    assert (saved(story).is_urgent, saved(story).body) == (True, "Mine")
    assert Comment.objects.get().text == "My remark"


def test_a_field_that_was_not_there_is_not_asked_for_on_the_refused_page(alice, story):
    Story.objects.update(is_urgent=True)
    page = alice.open(story)
    take_and_leave(story)
    refused = alice.send(page, is_urgent=None, headline="Mine")
    assert_refused(refused, headline="Mine")
    assert "body" not in form_of(refused)
    assert alice.send(alice.send(refused, "_lock_again")).status_code == 302
    assert (saved(story).is_urgent, saved(story).body) == (False, "Once")
    assert saved(story).headline == "Mine"


def test_the_text_of_a_field_that_another_has_closed_meanwhile_is_kept(alice, story):
    page = alice.open(story)
    take_and_leave(story)
    Story.objects.update(is_urgent=True)
    refused = alice.send(page, body="My long text", headline="Mine")
    assert_refused(refused, headline="Mine")
    assert "body" not in form_of(refused)
    assert ("Body", "My long text") in refused.context["lock_page"].others
    assert "My long text" in alice.send(refused, "_lock_again").text


def test_an_error_leaves_the_fields_that_were_there(alice, story, page):
    wrong = alice.send(
        page, headline="", is_urgent="on", body="Mine", comment_set__0__text="My remark"
    )
    assert wrong.status_code == 200
    assert state_of(wrong) == "held"
    assert "This field is required" in wrong.text
    assert form_of(wrong)["body"] == ["Mine"]
    assert form_of(wrong)["comment_set-0-text"] == ["My remark"]
    assert alice.send(wrong, headline="New").status_code == 302
    assert (saved(story).is_urgent, saved(story).body) == (True, "Mine")


def test_an_error_asks_for_no_fields_that_were_not_there(alice, serve, story):
    serve(
        UrgentAdmin,
        prepopulated_fields={},
        get_prepopulated_fields=StoryAdmin.get_prepopulated_fields,
    )
    Story.objects.update(is_urgent=True)
    wrong = alice.send(alice.open(story), headline="", is_urgent=None)
    assert wrong.status_code == 200
    assert "This field is required" in wrong.text
    assert "body" not in form_of(wrong)
    assert alice.send(wrong, headline="New").status_code == 302
    assert (saved(story).is_urgent, saved(story).body) == (False, "Once")


def test_an_object_that_may_not_be_changed_afterwards_can_still_be_gone_on_with(
    alice, serve, story
):
    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            return obj is None or not obj.is_urgent

    refused = alice.send_late(alice.open(story), is_urgent="on", body="Mine")
    wrong = alice.send(alice.send(refused, "_lock_again"), headline="")
    assert form_of(wrong)["body"] == ["Mine"]
    assert alice.send(wrong, headline="New").status_code == 302
    assert (saved(story).is_urgent, saved(story).body) == (True, "Mine")
