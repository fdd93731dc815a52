"""A script saves the form again and again: each answer has the token for the next save."""

from tests.models import Story
from tests.support.admin_site import (
    form_of,
    holder_of,
    saved,
    state_of,
    take_and_leave,
    token_of,
    url_of,
)


def test_one_page_is_saved_several_times(alice, story, page):
    """As fetch() does, which follows the redirect."""
    data = form_of(page, "_continue")
    token = page["Lock-Token"]
    assert token == token_of(page)
    for text in ("first", "second", "third"):
        sent = {**data, "body": text, "lock_token": token}
        answer = alice.post(url_of(story), sent, follow=True)
        assert saved(story).body == text
        assert answer["Lock-Token"] == token_of(answer) != token
        token = answer["Lock-Token"]
    assert holder_of(story) == alice.user


def test_the_redirect_has_the_token_and_a_form_with_errors_keeps_it(alice, story, page):
    answer = alice.send(page, "_continue", headline="")
    assert answer.status_code == 200
    assert answer["Lock-Token"] == token_of(page)
    answer = alice.send(page, "_continue", body="first")
    assert answer.status_code == 302
    assert answer["Lock-Token"] == token_of(alice.open(story))


def test_a_page_without_the_lock_has_no_token_in_the_header(alice, bob, story, page):
    assert "Lock-Token" not in bob.open(story)
    take_and_leave(story)
    answer = alice.send(page, body="Mine")
    assert state_of(answer) == "refused"
    assert "Lock-Token" not in answer
    assert "Lock-Token" in alice.send(answer, "_lock_again")
    assert "Lock-Token" not in alice.send(answer, "_save", headline="As it was")
    assert Story.objects.get().headline == "As it was"
