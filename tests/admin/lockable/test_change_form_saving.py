"""Only the page with the object's lock saves."""

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections
from django.http import HttpResponse

from lock_tokens.models import LockToken
from lock_tokens.sessions import get_session_key, get_session_token, remember
from tests.models import Comment, Keyword, Story
from tests.support.admin_site import (
    StoryAdmin,
    assert_refused,
    bodies,
    everything_typed,
    form_of,
    headlines,
    holder_of,
    nothing_was_written,
    saved,
    standing_token,
    state_of,
    token_of,
    url_of,
)
from tests.support.helpers import age, expire


@pytest.mark.parametrize(
    ("button", "goes_to"), [("_save", ""), ("_addanother", "add/")]
)
def test_a_save_writes_everything_and_gives_the_lock_up(
    alice, story, page, button, goes_to
):
    keyword = Keyword.objects.create(name="news")
    typed = {"headline": "New", "comment_set__0__text": "Hello"}
    answer = alice.send(page, button, keywords=[keyword.pk], **typed)
    assert answer.status_code == 302
    assert answer.url == f"/admin/tests/story/{goes_to}"
    assert saved(story).headline == "New"
    assert [*saved(story).keywords.all()] == [keyword]
    assert Comment.objects.get().text == "Hello"
    assert LogEntry.objects.get().object_id == str(story.pk)
    assert not LockToken.objects.exists()
    assert get_session_token(story, alice.session) is None


def test_save_and_continue_keeps_the_object_locked(alice, bob, story, page):
    answer = alice.send(page, "_continue", headline="New")
    assert answer.status_code == 302
    assert answer.url == url_of(story)
    assert saved(story).headline == "New"
    assert holder_of(story) == alice.user
    assert get_session_token(story, alice.session) == standing_token(story)
    assert token_of(alice.open(story)) == standing_token(story)
    assert state_of(bob.open(story)) == "locked"


def test_save_and_continue_voids_other_tabs_which_show_the_old_text(alice, story):
    first, second = alice.open(story), alice.open(story)
    alice.send(second, "_continue", headline="Second")
    answer = alice.send(first, body="First")
    assert_refused(answer, body="First")
    assert (saved(story).headline, saved(story).body) == ("Second", "Once")
    # The one that was saved goes on.
    page = alice.open(story)
    assert alice.send(page, headline="Third").status_code == 302
    assert saved(story).headline == "Third"
    assert not LockToken.objects.exists()


def test_a_validation_error_keeps_lock_and_input(alice, bob, story, page):
    answer = alice.send(
        page, headline="", body="Precious", comment_set__0__text="Remark"
    )
    assert answer.status_code == 200
    assert state_of(answer) == "held"
    assert "This field is required" in answer.text
    assert token_of(answer) == token_of(page) == standing_token(story)
    assert form_of(answer)["body"] == ["Precious"]
    assert form_of(answer)["comment_set-0-text"] == ["Remark"]
    assert nothing_was_written(story)
    assert state_of(bob.open(story)) == "locked"
    assert alice.send(answer, headline="Now").status_code == 302
    assert (saved(story).headline, saved(story).body) == ("Now", "Precious")
    assert Comment.objects.get().text == "Remark"
    assert not LockToken.objects.exists()


def test_an_expired_lock_that_nobody_took_saves(alice, story, page):
    age(story, 100_000)
    assert alice.send(page, headline="Late").status_code == 302
    assert saved(story).headline == "Late"
    assert not LockToken.objects.exists()


def test_a_form_without_the_field_is_saved_with_the_session_s_token(alice, story, page):
    assert alice.send(page, headline="New", lock_token=None).status_code == 302
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


def failing(hook):
    def fail(self, request, *args, **kwargs):
        getattr(StoryAdmin, hook)(self, request, *args, **kwargs)
        raise RuntimeError("the disk is full")

    return type("Admin", (StoryAdmin,), {hook: fail})


@pytest.mark.parametrize(
    "hook", ["save_model", "save_related", "log_change", "response_change"]
)
def test_an_error_undoes_the_save_and_the_lock_still_stands(alice, serve, story, hook):
    keyword = Keyword.objects.create(name="news")
    serve(failing(hook))
    page = alice.open(story)
    with pytest.raises(RuntimeError):
        alice.post(url_of(story), everything_typed(page, keyword))
    assert nothing_was_written(story)
    assert standing_token(story) == token_of(page)
    assert get_session_token(story, alice.session) == token_of(page)


def test_a_save_that_answers_with_an_error_keeps_the_lock(alice, serve, story):
    @serve
    class Admin(StoryAdmin):
        def response_change(self, request, obj):
            response = super().response_change(request, obj)
            response.status_code = 409
            return response

    page = alice.open(story)
    assert alice.send(page).status_code == 409
    assert standing_token(story) == token_of(page)


def test_a_page_of_the_project_s_own_after_the_save_gives_the_lock_up(
    alice, serve, story
):
    serve(StoryAdmin, response_change=lambda *args: HttpResponse("Thank you"))
    answer = alice.send(alice.open(story), headline="New")
    assert answer.text == "Thank you"
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


def test_the_lock_is_given_up_in_the_transaction_of_the_save(alice, serve, story):
    inside = []

    @serve
    class Admin(StoryAdmin):
        def save_model(self, request, obj, form, change):
            inside.append((connection.in_atomic_block, standing_token(obj)))
            super().save_model(request, obj, form, change)

    page = alice.open(story)
    alice.send(page, headline="New")
    assert inside == [(True, token_of(page))]
    assert not LockToken.objects.exists()


def test_save_as_new_makes_another_and_gives_the_original_up(alice, story, page):
    # It keeps the lock with a validation error.
    wrong = alice.send(page, "_saveasnew", headline="", comment_set__0__text="Hello")
    assert wrong.status_code == 200
    assert Story.objects.count() == 1
    assert standing_token(story) == token_of(page)
    assert alice.send(wrong, "_saveasnew", headline="Copy").status_code == 302
    assert headlines() == ["As it was", "Copy"]
    assert Comment.objects.get().story.headline == "Copy"
    assert not LockToken.objects.exists()
    assert get_session_token(story, alice.session) is None


def test_save_as_new_needs_no_lock_and_does_not_claim_to_have_it(
    alice, bob, story, page
):
    """It is a way out for whoever has lost it."""
    expire(story)
    theirs = token_of(bob.open(story))
    wrong = alice.send(page, "_saveasnew", headline="", body="Precious")
    assert wrong.status_code == 200
    assert "This field is required" in wrong.text
    assert form_of(wrong)["body"] == ["Precious"]
    assert "lock_page" not in wrong.context
    for each in (wrong, page):
        answer = alice.send(each, "_saveasnew", headline="Copy", body="Precious")
        assert answer.status_code == 302
    assert headlines() == ["As it was", "Copy", "Copy"]
    assert bodies() == ["Once", "Precious", "Precious"]
    assert standing_token(story) == theirs


def test_a_popup_saves_and_gives_the_lock_up(alice, story):
    page = alice.open(story, _popup=1)
    assert state_of(page) == "held"
    answer = alice.send(page, headline="New")
    assert answer.status_code == 200
    assert "popup_response" in answer.text
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


def test_a_project_in_atomic_requests_saves_and_refuses_alike(
    alice, bob, story, monkeypatch
):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    page = alice.open(story)
    assert alice.send(page, "_continue", headline="New").status_code == 302
    assert saved(story).headline == "New"
    expire(story)
    bob.open(story)
    assert alice.send(page, headline="Mine").status_code == 403
    assert saved(story).headline == "New"
    assert holder_of(story) == bob.user


def test_the_token_of_a_published_release_in_the_session_saves(alice, story):
    lock = LockToken.objects.acquire(story)
    session = alice.session
    session[f"tests_story_{story.pk}"] = lock.token_str
    session.save()
    page = alice.open(story)
    assert token_of(page) == lock.token_str
    assert alice.send(page, headline="New").status_code == 302
    assert not LockToken.objects.exists()
    assert f"tests_story_{story.pk}" not in alice.session


def test_a_save_keeps_the_session_s_newer_token(alice, story, page):
    """Another tab has the session's own lock by then; it is not forgotten."""
    session = alice.session
    remember(story, session, "f" * 32)
    session.save()
    assert alice.send(page, headline="New").status_code == 302
    assert saved(story).headline == "New"
    assert alice.session[get_session_key(story)] == "f" * 32


@pytest.mark.django_db(transaction=True)
def test_an_error_after_the_save_leaves_nothing_to_others(alice, bob, serve, story):
    serve(failing("response_change"))
    page = alice.open(story)
    with pytest.raises(RuntimeError):
        alice.send(page, headline="New")
    assert saved(story).headline == "As it was"
    assert state_of(bob.open(story)) == "locked"
    assert standing_token(story) == token_of(page)
