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
    buttons_of,
    form_of,
    holder_of,
    messages_of,
    person,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    text_of,
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


def test_whoever_may_only_look_locks_nothing(story):
    reader = person("carol", "tests.view_story")
    page = reader.open(story)
    assert page.status_code == 200
    assert "As it was" in text_of(page)
    assert "lock_page" not in page.context
    assert not LockToken.objects.exists()


def test_whoever_may_not_even_look_locks_nothing(story):
    assert person("carol", "tests.add_story").open(story).status_code == 403
    assert not LockToken.objects.exists()


def test_a_page_on_which_nothing_can_be_changed_locks_nothing(alice, serve, story):
    class Lines(CommentInline):
        can_delete = False
        readonly_fields = ["text"]

    class Admin(StoryAdmin):
        inlines = [Lines]
        readonly_fields = ["headline", "body", "is_urgent", "keywords"]

    serve(Admin)
    story.comment_set.create(text="A line")
    page = alice.open(story)
    assert page.status_code == 200
    assert "A line" in text_of(page)
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
    class Admin(StoryAdmin):
        inlines = []
        readonly_fields = ["headline", "body", "is_urgent", "keywords"]

    serve(type("Admin", (Admin,), changes))
    assert state_of(alice.open(story)) == "held"


@pytest.fixture
def buttons_alone(serve):
    """Serve a page with nothing to change, and a button of the project's own."""

    @serve
    class Admin(StoryAdmin):
        inlines = []
        readonly_fields = ["headline", "body", "is_urgent", "keywords"]

        def response_change(self, request, obj):
            if "_shout" in request.POST:
                assert LockToken.objects.info(obj)
                obj.headline = obj.headline.upper()
                obj.save()
            return super().response_change(request, obj)


@pytest.mark.usefixtures("buttons_alone")
def test_a_button_on_a_page_with_nothing_to_change_gets_the_lock_for_itself(
    alice, story
):
    alice.open(story)
    assert alice.post(url_of(story), {"_shout": "1"}).status_code == 302
    assert saved(story).headline == "AS IT WAS"
    assert not LockToken.objects.exists()


@pytest.mark.usefixtures("buttons_alone")
def test_a_button_on_a_page_with_nothing_to_change_does_nothing_to_what_another_edits(
    alice, bob, story
):
    token = LockToken.objects.acquire(story, user=bob.user).token_str
    answer = alice.post(url_of(story), {"_shout": "1"}, follow=True)
    assert "Bob Writer" in messages_of(answer)[0]
    assert saved(story).headline == "As it was"
    assert standing_token(story) == token


def test_what_may_not_be_changed_by_its_own_state_is_not_locked(alice, serve, story):
    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            return obj is None or obj.headline != "As it was"

    assert alice.open(story).status_code == 200
    assert not LockToken.objects.exists()
    other = Story.objects.create(headline="Another")
    assert state_of(alice.open(other)) == "held"


def test_a_missing_object_is_redirected_as_django_does(alice, story):
    url = url_of(story)
    story.delete()
    page = alice.get(url, follow=True)
    assert page.redirect_chain == [("/admin/", 302)]
    assert "Perhaps it was deleted?" in messages_of(page)[0]
    assert not LockToken.objects.exists()


def test_a_key_that_is_none_is_redirected_as_django_does(alice):
    assert alice.get("/admin/tests/story/no-number/change/").status_code == 302
    assert not LockToken.objects.exists()


def test_another_s_lock_makes_the_page_read_only_and_names_the_holder(
    alice, bob, story
):
    token = token_of(alice.open(story))
    page = bob.open(story)
    assert page.status_code == 200
    assert state_of(page) == "locked"
    assert "Alice Writer" in text_of(page)
    assert "As it was" in text_of(page)
    assert not buttons_of(page) & SAVE
    assert "deletelink" not in text_of(page)
    assert 'name="headline"' not in text_of(page)
    assert 'name="comment_set-0-text"' not in text_of(page)
    assert 'name="lock_token"' not in text_of(page)
    assert token not in text_of(page)
    assert standing_token(story) == token
    assert get_session_token(story, bob.session) is None


def test_a_locked_page_says_since_when_and_until_when(alice, bob, story):
    alice.open(story)
    info = LockToken.objects.info(story)
    page = bob.open(story)
    holder = page.context["lock_page"].holder
    assert (holder.locked_at, holder.expires_at) == (info.locked_at, info.expires_at)
    for moment in (info.locked_at, info.expires_at):
        assert timezone.localtime(moment).isoformat()[:19] in text_of(page)


def test_a_lock_of_nobody_that_is_known_makes_the_page_read_only(bob, story):
    LockToken.objects.acquire(story)
    page = bob.open(story)
    assert state_of(page) == "locked"
    assert "Somebody else" in text_of(page)
    assert not buttons_of(page) & SAVE


def test_the_same_person_in_another_browser_is_told_so(alice, story):
    token = token_of(alice.open(story))
    page = alice.elsewhere().open(story)
    assert page.status_code == 200
    assert state_of(page) == "elsewhere"
    assert not buttons_of(page) & SAVE
    assert standing_token(story) == token


def test_a_second_tab_of_the_session_shares_the_lock(alice, story):
    first = token_of(alice.open(story))
    page = alice.open(story)
    assert state_of(page) == "held"
    assert token_of(page) == first == standing_token(story)


def test_a_reload_of_an_expired_lock_that_nobody_took_revives_it(alice, bob, story):
    first = token_of(alice.open(story))
    expire(story)
    assert token_of(alice.open(story)) == first
    assert state_of(bob.open(story)) == "locked"


def test_a_head_request_locks_nothing(alice, story):
    assert alice.head(url_of(story)).status_code == 200
    assert not LockToken.objects.exists()


both_pages = pytest.mark.parametrize("view", ["change", "delete"])


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
    assert f'href="{url_of(story, view)}"' in text_of(answer)
    assert not LockToken.objects.exists()


@both_pages
def test_a_link_in_a_mail_opens_a_page_as_any_other(alice, story, view):
    headers = {"sec-fetch-dest": "document", "sec-fetch-site": "cross-site"}
    assert state_of(alice.get(url_of(story, view), headers=headers)) == "held"
    assert holder_of(story) == alice.user


def test_a_page_that_somebody_sees_locks_whatever_its_purpose_is(alice, story):
    page = alice.get(url_of(story), headers={"sec-purpose": "none"})
    assert state_of(page) == "held"


def test_whoever_is_signed_out_is_sent_to_sign_in(story):
    page = Client().get(url_of(story))
    assert page.status_code == 302
    assert page.url.startswith("/admin/login/")
    assert not LockToken.objects.exists()


def test_lock_timeout_is_the_life_of_the_lock(alice, bob, serve, story):
    @serve
    class Admin(StoryAdmin):
        lock_timeout = 90

    page = alice.open(story)

    def life():
        lock = lock_row(story).get()
        return (lock.expires_at - timezone.now()).total_seconds()

    assert 60 < life() <= 90
    assert 'data-timeout="90"' in text_of(page)
    # Revived by a validation error, and by a save that keeps it.
    for changes in ({"headline": ""}, {"headline": "Two"}):
        expire(story)
        alice.send(page, "_continue", **changes)
        assert 60 < life() <= 90
    # Taken over, and locked again.
    asked = bob.open(story).context["lock_page"].take_over_value
    bob.post(url_of(story), {"_take_over": asked})
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


def test_adding_needs_no_lock(alice):
    page = alice.get("/admin/tests/story/add/")
    assert page.status_code == 200
    answer = alice.post("/admin/tests/story/add/", form_of(page, headline="New"))
    assert answer.status_code == 302
    assert Story.objects.get().headline == "New"
    assert not LockToken.objects.exists()


def test_the_history_needs_no_lock(alice, bob, story):
    alice.open(story)
    assert bob.open(story, "history").status_code == 200
    assert holder_of(story) == alice.user
