"""Another user signs in in a second tab of the browser in which a page is open."""

import pytest
from django.contrib.admin.models import LogEntry

from lock_tokens.models import LockToken
from lock_tokens.sessions import get_session_token, remember
from tests.models import Story
from tests.support.admin_site import (
    LIST,
    TAKE_OVER,
    act,
    asked,
    assert_refused,
    holder_of,
    messages_of,
    nothing_was_written,
    person,
    saved,
    state_of,
    token_of,
    url_of,
)
from tests.support.helpers import expire


@pytest.fixture
def turned(alice, bob, page):
    """Alice's browser, in which Bob has signed in since."""
    alice.force_login(bob.user)
    return alice


def test_a_page_of_alice_is_not_saved_as_bob(turned, story, page):
    assert_refused(turned.send(page))
    typed = {"headline": "Mine", "comment_set__0__text": "Remark"}
    answer = turned.send(page, **typed)
    assert_refused(answer, **typed)
    text = "<strong>Alice Writer</strong>, and <strong>Bob Writer</strong>"
    assert text in answer.text
    # Neither by pressing it twice, nor by going on.
    for button in ("_save", "_lock_again"):
        again = turned.send(answer, button)
        assert_refused(again, **typed)
    assert "You opened this page as" in again.text
    assert nothing_was_written(story)
    assert holder_of(story).username == "alice"


def test_alice_goes_on_when_she_has_signed_in_again(alice, turned, story, page):
    answer = turned.send(page, headline="Mine")
    alice.force_login(alice.user)
    answer = alice.send(answer, "_lock_again")
    assert state_of(answer) == "again"
    assert token_of(answer) == token_of(page)
    assert alice.send(answer).status_code == 302
    assert saved(story).headline == "Mine"
    assert LogEntry.objects.get().user == alice.user


def test_bob_goes_on_when_the_lock_of_alice_has_expired(turned, bob, story, page):
    expire(story)
    answer = turned.send(page, headline="Mine")
    assert_refused(answer, headline="Mine")
    assert "You opened this page as" in answer.text
    answer = turned.send(answer, "_lock_again")
    assert state_of(answer) == "again"
    assert token_of(answer) != token_of(page)
    assert turned.send(answer).status_code == 302
    assert LogEntry.objects.get().user == bob.user


def test_who_may_take_over_may_go_on_as_another_user(alice, story, page):
    carol = person("carol", "tests.change_story", TAKE_OVER)
    alice.force_login(carol.user)
    answer = alice.send(page, headline="Mine")
    answer = alice.send(answer, "x", _take_over=asked(answer))
    assert state_of(answer) == "again"
    assert holder_of(story) == carol.user


def test_a_lock_without_a_holder_is_whose_page_has_it(turned, page):
    LockToken.objects.update(locked_by=None)
    assert turned.send(page, headline="Mine").status_code == 302


def test_a_page_that_alice_has_opened_does_not_delete_as_bob(alice, bob, story):
    alice.open(story, "delete")
    token = get_session_token(story, alice.session)
    alice.force_login(bob.user)
    data = {"post": "yes", "lock_token": token}
    answer = alice.post(url_of(story, "delete"), data, follow=True)
    assert Story.objects.exists()
    assert "you opened the page as Alice Writer" in messages_of(answer)[0]


def test_a_token_in_the_session_of_bob_does_not_give_him_the_lock_of_alice(
    bob, story, page
):
    session = bob.session
    remember(story, session, token_of(page))
    session.save()
    assert state_of(bob.open(story)) == "locked"
    answer = act(bob, "shout", [story], LIST)
    assert "This was skipped" in messages_of(answer)[0]
    assert saved(story).headline == "As it was"


def test_a_session_that_was_given_a_lock_gives_it_to_its_user_alone(
    alice, bob, story, page
):
    """Bob signs in where the session of Alice has ended with a form unsaved."""
    alice.session.delete()
    alice.send(page, headline="Mine")
    alice.force_login(bob.user)
    assert state_of(alice.open(story)) == "locked"
