"""Whoever opens a change page locks the object; others can only look."""

import pytest
from django import forms
from django.test import Client
from django.utils import timezone

from lock_tokens.models import LockToken
from lock_tokens.sessions import get_session_token
from tests.models import Story
from tests.support.admin_site import (
    CommentInline,
    StoryAdmin,
    asked,
    buttons_of,
    form_of,
    holder_of,
    messages_of,
    person,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    token_of,
    url_of,
)
from tests.support.helpers import expire, lock_row

SAVE = {"_save", "_continue", "_addanother", "_saveasnew"}


def test_whoever_opens_a_free_object_locks_it_for_this_session_and_user(
    alice, story, page
):
    assert page.status_code == 200
    assert state_of(page) == "held"
    assert holder_of(story) == alice.user
    assert token_of(page) == standing_token(story)
    assert get_session_token(story, alice.session) == standing_token(story)
    assert buttons_of(page) >= {"_save", "_continue", "_saveasnew"}


def test_whoever_may_only_look_or_not_even_that_locks_nothing(story):
    page = person("carol", "tests.view_story").open(story)
    assert page.status_code == 200
    assert "As it was" in page.text
    assert "lock_page" not in page.context
    assert person("dora", "tests.add_story").open(story).status_code == 403
    assert not LockToken.objects.exists()


NOTHING = {"readonly_fields": ["headline", "body", "is_urgent", "keywords"]}


def test_a_page_on_which_nothing_can_be_changed_locks_nothing(alice, serve, story):
    class Lines(CommentInline):
        can_delete = False
        readonly_fields = ["text"]

    serve(StoryAdmin, inlines=[Lines], **NOTHING)
    story.comment_set.create(text="A line")
    page = alice.open(story)
    assert page.status_code == 200
    assert "A line" in page.text
    assert "lock_page" not in page.context
    assert not LockToken.objects.exists()


class NoteForm(forms.ModelForm):
    """Adds a field that its class does not have."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["note"] = forms.CharField(required=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"readonly_fields": ["headline", "body", "is_urgent"]},
        {"inlines": [CommentInline]},
        {"inlines": [type("Delete", (CommentInline,), {"readonly_fields": ["text"]})]},
        {"form": NoteForm},
    ],
    ids=["a field", "a row", "a deletion", "a field of the form's own"],
)
def test_a_page_on_which_one_thing_can_be_changed_locks(alice, serve, story, changes):
    serve(StoryAdmin, **{"inlines": [], **NOTHING, **changes})
    assert state_of(alice.open(story)) == "held"


def test_a_button_on_a_page_with_nothing_to_change_gets_the_lock_for_itself(
    alice, bob, serve, story
):
    class Admin(StoryAdmin):
        def response_change(self, request, obj):
            if "_shout" in request.POST:
                assert LockToken.objects.info(obj)
                obj.headline = obj.headline.upper()
                obj.save()
            return super().response_change(request, obj)

    serve(Admin, inlines=[], **NOTHING)
    alice.open(story)
    # It does nothing to what another edits.
    token = LockToken.objects.acquire(story, user=bob.user).token_str
    answer = alice.post(url_of(story), {"_shout": "1"}, follow=True)
    assert "Bob Writer" in messages_of(answer)[0]
    assert saved(story).headline == "As it was"
    assert standing_token(story) == token
    LockToken.objects.all().delete()
    assert alice.post(url_of(story), {"_shout": "1"}).status_code == 302
    assert saved(story).headline == "AS IT WAS"
    assert not LockToken.objects.exists()


def test_what_may_not_be_changed_by_its_own_state_is_not_locked(alice, serve, story):
    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            return obj is None or obj.headline != "As it was"

    assert alice.open(story).status_code == 200
    assert not LockToken.objects.exists()
    other = Story.objects.create(headline="Another")
    assert state_of(alice.open(other)) == "held"


def test_a_missing_object_and_a_key_that_is_none_are_redirected_as_django_does(
    alice, story
):
    url = url_of(story)
    story.delete()
    for each in (url, "/admin/tests/story/no-number/change/"):
        page = alice.get(each, follow=True)
        assert page.redirect_chain == [("/admin/", 302)]
        assert "Perhaps it was deleted?" in messages_of(page)[0]
    assert not LockToken.objects.exists()


def test_another_s_lock_makes_the_page_read_only_and_names_the_holder(
    alice, bob, story
):
    token = token_of(alice.open(story))
    page = bob.open(story)
    assert page.status_code == 200
    assert state_of(page) == "locked"
    text = page.text
    assert "Alice Writer" in text
    assert "As it was" in text
    assert not buttons_of(page) & SAVE
    assert "deletelink" not in text
    for name in ("headline", "comment_set-0-text", "lock_token"):
        assert f'name="{name}"' not in text
    assert token not in text
    assert standing_token(story) == token
    assert get_session_token(story, bob.session) is None
    # It says since when and until when.
    info, holder = LockToken.objects.info(story), page.context["lock_page"].holder
    assert (holder.locked_at, holder.expires_at) == (info.locked_at, info.expires_at)
    for moment in (info.locked_at, info.expires_at):
        assert timezone.localtime(moment).isoformat()[:19] in text


def test_a_lock_of_nobody_that_is_known_makes_the_page_read_only(bob, story):
    LockToken.objects.acquire(story)
    page = bob.open(story)
    assert state_of(page) == "locked"
    assert "Somebody else" in page.text
    assert not buttons_of(page) & SAVE


def test_the_same_person_in_another_browser_is_told_so(alice, story):
    token = token_of(alice.open(story))
    page = alice.elsewhere().open(story)
    assert page.status_code == 200
    assert state_of(page) == "elsewhere"
    assert not buttons_of(page) & SAVE
    assert standing_token(story) == token


def test_a_second_tab_shares_the_lock_and_a_reload_revives_an_expired_one(
    alice, bob, story
):
    first = token_of(alice.open(story))
    page = alice.open(story)
    assert state_of(page) == "held"
    assert token_of(page) == first == standing_token(story)
    expire(story)
    assert token_of(alice.open(story)) == first
    assert state_of(bob.open(story)) == "locked"


both_pages = pytest.mark.parametrize("view", ["change", "delete"])


@both_pages
def test_a_head_request_locks_nothing(alice, story, view):
    assert alice.head(url_of(story, view)).status_code == 200
    assert not LockToken.objects.exists()


@both_pages
@pytest.mark.parametrize("name", ["sec-purpose", "x-sec-purpose", "purpose", "x-moz"])
@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_a_page_that_is_fetched_before_anybody_sees_it_locks_nothing(
    alice, caplog, story, view, name, purpose
):
    answer = alice.get(url_of(story, view), headers={name: purpose})
    assert answer.status_code == 503
    assert "no-store" in answer["Cache-Control"]
    # Nobody is to be mailed.
    assert "django.request" not in {record.name for record in caplog.records}
    assert not LockToken.objects.exists()


@both_pages
@pytest.mark.parametrize("destination", ["image", "script", "style", "iframe", "empty"])
def test_a_page_that_another_site_loads_locks_nothing(alice, story, view, destination):
    headers = {"sec-fetch-dest": destination, "sec-fetch-site": "cross-site"}
    answer = alice.get(url_of(story, view), headers=headers)
    assert answer.status_code == 403
    assert f'href="{url_of(story, view)}"' in answer.text
    assert not LockToken.objects.exists()


@both_pages
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-dest": "document", "sec-fetch-site": "cross-site"},
        {"sec-purpose": "none"},
    ],
    ids=["a link in a mail", "no purpose"],
)
def test_a_page_that_somebody_sees_locks(alice, story, view, headers):
    assert state_of(alice.get(url_of(story, view), headers=headers)) == "held"
    assert holder_of(story) == alice.user


def test_whoever_is_signed_out_is_sent_to_sign_in(story):
    page = Client().get(url_of(story))
    assert page.status_code == 302
    assert page.url.startswith("/admin/login/")
    assert not LockToken.objects.exists()


def test_lock_timeout_is_the_life_of_the_lock(alice, bob, serve, story):
    serve(StoryAdmin, lock_timeout=90)

    def life():
        lock = lock_row(story).get()
        return (lock.expires_at - timezone.now()).total_seconds()

    alice.open(story, "delete")
    assert 60 < life() <= 90
    take_and_leave(story)
    page = alice.open(story)
    assert 60 < life() <= 90
    assert 'data-timeout="90"' in page.text
    # Revived by a validation error, and by a save that keeps it.
    for changes in ({"headline": ""}, {"headline": "Two"}):
        expire(story)
        alice.send(page, "_continue", **changes)
        assert 60 < life() <= 90
    # Taken over, and locked again.
    bob.post(url_of(story), {"_take_over": asked(bob.open(story))})
    assert holder_of(story) == bob.user
    assert 60 < life() <= 90
    take_and_leave(story)
    bob.send(page, "_lock_again")
    assert holder_of(story) == bob.user
    assert 60 < life() <= 90


def test_what_the_page_shows_is_as_it_is_under_the_lock(alice, serve, story):
    """What was read before another saved and left must not be what is edited."""
    edits = []

    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            if obj is not None and not edits:
                edits.append(Story.objects.update(headline="Saved meanwhile"))
            return True

    page = alice.open(story)
    assert form_of(page)["headline"] == ["Saved meanwhile"]


def test_adding_and_the_history_need_no_lock(alice, bob, story):
    add = "/admin/tests/story/add/"
    page = alice.get(add)
    assert page.status_code == 200
    assert alice.post(add, form_of(page, headline="New")).status_code == 302
    assert Story.objects.filter(headline="New").exists()
    assert not LockToken.objects.exists()
    alice.open(story)
    assert bob.open(story, "history").status_code == 200
    assert holder_of(story) == alice.user
