"""Taking a lock over from the change page."""

from django.contrib.admin.models import LogEntry

from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from tests.models import Story
from tests.support.admin_site import (
    CHANGE,
    TAKE_OVER,
    StoryAdmin,
    asked,
    assert_refused,
    buttons_of,
    form_of,
    holder_of,
    nothing_was_written,
    person,
    saved,
    standing_token,
    state_of,
    token_of,
    url_of,
)
from tests.support.helpers import expire


def test_whoever_is_permitted_takes_over_from_a_read_only_page(alice, story):
    bob = person("bob", CHANGE, TAKE_OVER)
    first = alice.open(story)
    page = bob.open(story)
    assert "_take_over" in buttons_of(page)
    answer = bob.post(url_of(story), {"_take_over": asked(page)}, follow=True)
    assert answer.redirect_chain == [(url_of(story), 302)]
    assert state_of(answer) == "held"
    assert holder_of(story) == bob.user
    assert token_of(answer) != token_of(first)
    entry = LogEntry.objects.get()
    assert entry.user == bob.user
    assert entry.object_id == str(story.pk)
    assert "Alice Writer" in entry.get_change_message()
    # The former holder keeps the text, and saves nothing.
    refused = alice.send(first, headline="Mine")
    assert_refused(refused, headline="Mine")
    assert "Bob Writer" in refused.text
    assert saved(story).headline == "As it was"


def test_whoever_is_not_permitted_takes_nothing_over(alice, story):
    bob = person("bob", CHANGE)
    token = token_of(alice.open(story))
    page = bob.open(story)
    assert "Take over" not in page.text
    answer = bob.post(url_of(story), {"_take_over": asked(page)}, follow=True)
    assert state_of(answer) == "locked"
    assert standing_token(story) == token
    assert not LogEntry.objects.exists()


def test_where_it_is_switched_off_nobody_takes_over(alice, bob, serve, story):
    serve(StoryAdmin, lock_take_over=False)
    token = token_of(alice.open(story))
    page = bob.open(story)
    assert "Take over" not in page.text
    bob.post(url_of(story), {"_take_over": asked(page)})
    assert standing_token(story) == token


def test_a_text_is_taken_along_when_taking_over(alice, story):
    bob = person("bob", CHANGE, TAKE_OVER, "tests.add_comment", "tests.view_comment")
    page = bob.open(story)
    expire(story)
    alice.open(story)
    refused = bob.send(page, headline="Mine")
    assert "_take_over" in buttons_of(refused)
    again = bob.send(refused, _take_over=asked(refused))
    assert again.status_code == 200
    assert state_of(again) == "again"
    assert form_of(again)["headline"] == ["Mine"]
    assert token_of(again) == standing_token(story)
    assert holder_of(story) == bob.user
    assert saved(story).headline == "As it was"
    assert "Alice Writer" in LogEntry.objects.get().get_change_message()
    assert bob.send(again).status_code == 302
    assert saved(story).headline == "Mine"


def test_whoever_is_not_permitted_keeps_the_text(alice, story):
    bob = person("bob", CHANGE)
    page = bob.open(story)
    expire(story)
    token = token_of(alice.open(story))
    refused = bob.send(page, headline="Mine")
    assert "Take over" not in refused.text
    answer = bob.send(refused, _take_over=asked(refused))
    assert_refused(answer, headline="Mine")
    assert standing_token(story) == token
    assert nothing_was_written(story)


def test_nothing_is_taken_from_somebody_who_was_not_asked_about(alice, bob, story):
    carol = person("carol")
    alice.open(story)
    page = bob.open(story)
    expire(story)
    theirs = token_of(carol.open(story))
    answer = bob.post(url_of(story), {"_take_over": asked(page)}, follow=True)
    assert state_of(answer) == "locked"
    assert "Carol Writer" in answer.text
    assert standing_token(story) == theirs
    assert not LogEntry.objects.exists()


def test_with_a_text_too_nothing_is_taken_from_who_was_not_asked_about(
    alice, bob, story
):
    carol = person("carol")
    page = bob.open(story)
    expire(story)
    alice.open(story)
    refused = bob.send(page, headline="Mine")
    expire(story)
    theirs = token_of(carol.open(story))
    answer = bob.send(refused, _take_over=asked(refused))
    assert_refused(answer)
    assert "Carol Writer" in answer.text
    assert form_of(answer)["headline"] == ["Mine"]
    assert asked(answer) != asked(refused)
    assert standing_token(story) == theirs
    assert nothing_was_written(story)


def test_only_the_moment_of_the_lock_takes_it_in_the_api_s_spelling_too(
    alice, bob, story
):
    token = token_of(alice.open(story))
    for value in ("", "1", "nonsense", "2026-01-01T00:00:00"):
        bob.post(url_of(story), {"_take_over": value})
        assert standing_token(story) == token
    value = LockToken.objects.info(story).serialize()["locked_at"]
    bob.post(url_of(story), {"_take_over": value})
    assert holder_of(story) == bob.user


def test_whoever_asks_to_take_over_what_is_free_by_now_gets_it(alice, story):
    bob = person("bob", CHANGE)
    page = alice.open(story)
    asked_of = asked(bob.open(story))
    alice.send(page)
    answer = bob.post(url_of(story), {"_take_over": asked_of}, follow=True)
    assert state_of(answer) == "held"
    assert holder_of(story) == bob.user
    assert not LogEntry.objects.filter(user=bob.user).exists()


def test_one_s_own_lock_in_another_browser_needs_no_permission(story):
    carol = person("carol", CHANGE)
    elsewhere = carol.elsewhere()
    first = carol.open(story)
    page = elsewhere.open(story)
    assert "_take_over" in buttons_of(page)
    answer = elsewhere.post(url_of(story), {"_take_over": asked(page)}, follow=True)
    assert state_of(answer) == "held"
    assert token_of(answer) == standing_token(story) != token_of(first)
    refused = carol.send(first, headline="Mine")
    assert_refused(refused, headline="Mine")
    assert refused.context["lock_page"].is_own
    # And back again, with the text.
    again = carol.send(refused, _take_over=asked(refused))
    assert state_of(again) == "again"
    assert form_of(again)["headline"] == ["Mine"]
    assert token_of(again) == standing_token(story)
    assert nothing_was_written(story)


def test_who_may_take_over_can_be_decided_by_the_project(alice, serve, story):
    @serve
    class Admin(StoryAdmin):
        def has_take_over_permission(self, request, obj=None):
            return obj.headline == "As it was"

    bob = person("bob", CHANGE)
    other = Story.objects.create(headline="Another")
    for each in (story, other):
        alice.open(each)
        bob.post(url_of(each), {"_take_over": asked(bob.open(each))})
    assert [holder_of(story), holder_of(other)] == [bob.user, alice.user]


def test_whoever_takes_over_leaves_alone_whom_they_never_saw(alice, bob, serve, story):
    """The holder changes between the question and the answer, at the last moment."""
    carol = person("carol")

    class Admin(StoryAdmin):
        def has_take_over_permission(self, request, obj=None):
            if "_take_over" in request.POST and holder_of(story) == alice.user:
                expire(story)
                LockToken.objects.acquire(story, user=carol.user)
            return True

    alice.open(story)
    page = bob.open(story)
    serve(Admin)
    bob.post(url_of(story), {"_take_over": asked(page)})
    assert holder_of(story) == carol.user


def test_of_one_s_own_locks_too_only_the_one_that_was_asked_about_ends(
    bob, story, monkeypatch
):
    carol = person("carol", CHANGE)
    carol.open(story)
    elsewhere = carol.elsewhere()
    value = asked(elsewhere.open(story))
    info = LockTokenManager.info

    def info_and_then_another_comes(self, obj):
        found = info(self, obj)
        if found is not None and found.locked_by == carol.user:
            LockToken.objects.release(obj, standing_token(obj))
            LockToken.objects.acquire(obj, user=bob.user)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(LockTokenManager, "info", info_and_then_another_comes)
        elsewhere.post(url_of(story), {"_take_over": value})
    assert holder_of(story) == bob.user
