"""The change page in the admin: who opens it locks the object, and only they can save."""

import uuid

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.sessions import get_session_key, get_session_token, remember
from tests.models import (
    Article,
    ArticleProxy,
    Comment,
    Desk,
    Document,
    Feature,
    Keyword,
    Label,
    Page,
    Plain,
    Shift,
    Story,
)
from tests.support import admin_site
from tests.support.admin_site import (
    StoryAdmin,
    assert_refused,
    buttons_of,
    form_of,
    holder_of,
    messages_of,
    permit,
    person,
    standing_token,
    state_of,
    take_and_leave,
    text_of,
    token_of,
    url_of,
)
from tests.support.helpers import (
    InThread,
    age,
    expire,
    lock_row,
    race,
    wait_until_blocked_or_done,
)

pytestmark = [pytest.mark.urls("tests.support.admin_site"), pytest.mark.django_db]

SAVE = {"_save", "_continue", "_addanother", "_saveasnew"}
TAKE_OVER = "lock_tokens.take_over_locktoken"
CHANGE = "tests.change_story"


def saved(story):
    """Return the story as the database has it."""
    return Story.objects.get(pk=story.pk)


def nothing_was_written(story):
    again = saved(story)
    return (
        (again.headline, again.body) == (story.headline, story.body)
        and not Comment.objects.exists()
        and not again.keywords.exists()
        and not LogEntry.objects.exists()
    )


# Opening


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


def test_an_expired_lock_makes_way(alice, bob, story):
    alice.open(story)
    expire(story)
    assert state_of(bob.open(story)) == "held"
    assert holder_of(story) == bob.user
    assert state_of(alice.open(story)) == "locked"


def test_a_head_request_locks_nothing(alice, story):
    assert alice.head(url_of(story)).status_code == 200
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_a_page_that_is_fetched_before_anybody_sees_it_locks_nothing(
    alice, story, purpose
):
    assert alice.get(url_of(story), headers={"sec-purpose": purpose}).status_code == 503
    assert not LockToken.objects.exists()


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


# Saving


def test_a_save_writes_everything_and_gives_the_lock_up(alice, story, page):
    keyword = Keyword.objects.create(name="news")
    data = form_of(
        page, headline="New", comment_set__0__text="Hello", keywords=[keyword.pk]
    )
    answer = alice.post(url_of(story), data)
    assert answer.status_code == 302
    assert answer.url == "/admin/tests/story/"
    assert saved(story).headline == "New"
    assert [*saved(story).keywords.all()] == [keyword]
    assert Comment.objects.get().text == "Hello"
    assert LogEntry.objects.get().object_id == str(story.pk)
    assert not LockToken.objects.exists()
    assert get_session_token(story, alice.session) is None


def test_another_can_edit_what_was_saved(alice, bob, story):
    alice.send(alice.open(story), headline="New")
    page = bob.open(story)
    assert state_of(page) == "held"
    assert form_of(page)["headline"] == ["New"]


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


def test_save_and_add_another_gives_the_lock_up(alice, story, page):
    answer = alice.send(page, "_addanother", headline="New")
    assert answer.url == "/admin/tests/story/add/"
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


def test_a_validation_error_keeps_lock_and_input(alice, bob, story, page):
    answer = alice.send(
        page, headline="", body="Precious", comment_set__0__text="Remark"
    )
    assert answer.status_code == 200
    assert state_of(answer) == "held"
    assert "This field is required" in text_of(answer)
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


def everything_typed(page, keyword):
    return form_of(
        page,
        headline="My headline",
        body="My body\nin two lines",
        is_urgent="on",
        comment_set__0__text="My remark",
        keywords=[keyword.pk],
    )


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
def test_a_void_token_writes_nothing_and_keeps_all_that_was_typed(
    alice, bob, story, page, button
):
    keyword = Keyword.objects.create(name="news")
    void = token_of(page)
    expire(story)
    bob.open(story)
    data = everything_typed(page, keyword)
    data.pop("_save")
    answer = alice.post(url_of(story), {**data, button: "1"})
    assert_refused(answer)
    typed = form_of(answer)
    assert typed["headline"] == ["My headline"]
    assert [text.replace("\r", "") for text in typed["body"]] == [
        "My body\nin two lines"
    ]
    assert typed["is_urgent"] == ["on"]
    assert typed["comment_set-0-text"] == ["My remark"]
    assert typed["keywords"] == [str(keyword.pk)]
    assert typed["lock_token"] == [void]
    assert not buttons_of(answer) & {"_save", "_continue", "_addanother"}
    assert "deletelink" not in text_of(answer)
    assert "Bob Writer" in text_of(answer)
    assert nothing_was_written(story)
    assert holder_of(story) == bob.user


def test_a_void_token_is_refused_also_when_the_object_is_free(alice, story, page):
    take_and_leave(story)
    answer = alice.send(page, headline="Mine")
    assert_refused(answer)
    assert answer.context["lock_page"].holder is None
    assert nothing_was_written(story)
    assert not LockToken.objects.exists()


def test_a_refused_page_names_what_differs_and_the_last_change(alice, bob, story, page):
    keyword = Keyword.objects.create(name="news")
    expire(story)
    theirs = form_of(bob.open(story), headline="Theirs", keywords=[keyword.pk])
    assert bob.post(url_of(story), theirs).status_code == 302
    answer = alice.send(page, headline="Mine", comment_set__0__text="Remark")
    assert answer.status_code == 403
    shown = answer.context["lock_page"]
    assert [(each.label, each.current) for each in shown.differences] == [
        ("Headline", "Theirs"),
        ("Keywords", "news"),
        ("comments", ""),
    ]
    assert 'id="id_headline"' in text_of(answer)
    assert shown.differences[0].field_id == "id_headline"
    assert shown.last_change.user == bob.user
    assert "Theirs" in text_of(answer)
    assert "Changed Headline and Keywords." in text_of(answer)
    assert form_of(answer)["headline"] == ["Mine"]
    assert saved(story).headline == "Theirs"


def test_a_refused_page_shows_validation_errors_too(alice, story, page):
    take_and_leave(story)
    answer = alice.send(page, headline="", body="Mine")
    assert_refused(answer)
    assert "This field is required" in text_of(answer)
    assert form_of(answer)["body"] == ["Mine"]
    assert nothing_was_written(story)


def test_a_form_without_the_field_is_saved_with_the_session_s_token(alice, story, page):
    data = form_of(page, headline="New", lock_token=None)
    assert alice.post(url_of(story), data).status_code == 302
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


def test_a_form_without_the_field_is_refused_with_a_void_token_in_the_session(
    alice, story, page
):
    take_and_leave(story)
    data = form_of(page, headline="New", lock_token=None)
    assert alice.post(url_of(story), data).status_code == 403
    assert nothing_was_written(story)


def test_a_session_without_a_token_is_refused(alice, bob, story, page):
    answer = bob.send(page, headline="New", lock_token=None)
    assert_refused(answer, headline="New")
    assert nothing_was_written(story)
    assert holder_of(story) == alice.user


def test_a_session_without_a_token_is_refused_also_a_free_object(alice, story, page):
    alice.send(page, headline="As it was")
    LogEntry.objects.all().delete()
    assert alice.send(page, headline="New", lock_token=None).status_code == 403
    assert nothing_was_written(story)


@pytest.mark.parametrize("token", ["", "0" * 32, "nonsense", "é\0"])
def test_a_void_token_is_refused_whatever_the_session_has(alice, story, page, token):
    answer = alice.send(page, headline="New", lock_token=token)
    assert_refused(answer)
    assert nothing_was_written(story)
    assert standing_token(story) == token_of(page)


def test_the_token_of_another_object_is_void(alice, story):
    other = Story.objects.create(headline="Another")
    token = token_of(alice.open(other))
    page = alice.open(story)
    assert alice.send(page, headline="New", lock_token=token).status_code == 403
    assert nothing_was_written(story)
    assert standing_token(other) == token


def test_the_stale_first_tab_is_refused(alice, bob, story):
    """Its lock was taken; the fresh token that a second tab got is not its own."""
    first = alice.open(story)
    expire(story)
    theirs = bob.open(story)
    bob.send(theirs, headline="Theirs")
    second = alice.open(story)
    assert state_of(second) == "held"
    answer = alice.send(first, headline="Stale")
    assert_refused(answer, headline="Stale")
    assert saved(story).headline == "Theirs"
    # The second tab can save.
    assert standing_token(story) == token_of(second)
    assert alice.send(second, headline="Fresh").status_code == 302
    assert saved(story).headline == "Fresh"


def test_of_two_tabs_the_first_to_save_voids_the_other(alice, story):
    first, second = alice.open(story), alice.open(story)
    assert alice.send(second, headline="Second").status_code == 302
    answer = alice.send(first, headline="First")
    assert_refused(answer, headline="First")
    assert saved(story).headline == "Second"


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
def test_the_same_sent_twice_is_not_refused(alice, story, page, button):
    data = form_of(page, button, headline="New", body="Text", is_urgent="on")
    assert alice.post(url_of(story), data).status_code == 302
    answer = alice.post(url_of(story), data, follow=True)
    assert answer.redirect_chain
    assert answer.status_code == 200
    assert saved(story).headline == "New"
    assert any("nothing to save" in message for message in messages_of(answer))
    assert LogEntry.objects.count() == 1


def test_the_same_sent_twice_goes_on_where_it_would_have_gone(alice, story, page):
    data = form_of(page, "_continue", headline="New")
    alice.post(url_of(story), {**data, "_save": "1"} | {"_continue": "1"})
    take_and_leave(story)
    answer = alice.post(url_of(story), data)
    assert answer.status_code == 302
    assert answer.url == url_of(story)


def test_nothing_new_with_an_error_is_refused(alice, story, page):
    """What could not be saved is no double click."""
    take_and_leave(story)
    data = form_of(page, comment_set__TOTAL_FORMS="nonsense")
    assert alice.post(url_of(story), data).status_code == 403
    assert nothing_was_written(story)


def failing(hook):
    class Admin(StoryAdmin):
        pass

    def fail(self, request, *args, **kwargs):
        getattr(StoryAdmin, hook)(self, request, *args, **kwargs)
        raise RuntimeError("the disk is full")

    setattr(Admin, hook, fail)
    return Admin


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
    @serve
    class Admin(StoryAdmin):
        def response_change(self, request, obj):
            return HttpResponse("Thank you")

    page = alice.open(story)
    answer = alice.send(page, headline="New")
    assert text_of(answer) == "Thank you"
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
    data = form_of(page, "_saveasnew", headline="Copy", comment_set__0__text="Hello")
    assert alice.post(url_of(story), data).status_code == 302
    assert [each.headline for each in Story.objects.order_by("pk")] == [
        "As it was",
        "Copy",
    ]
    assert Comment.objects.get().story.headline == "Copy"
    assert not LockToken.objects.exists()
    assert get_session_token(story, alice.session) is None


def test_save_as_new_needs_no_lock(alice, bob, story, page):
    """It is a way out for whoever has lost it."""
    expire(story)
    theirs = token_of(bob.open(story))
    data = form_of(page, "_saveasnew", headline="Copy")
    assert alice.post(url_of(story), data).status_code == 302
    assert Story.objects.count() == 2
    assert saved(story).headline == "As it was"
    assert standing_token(story) == theirs


def test_save_as_new_after_the_lock_was_lost_does_not_claim_to_have_it(
    alice, bob, story, page
):
    expire(story)
    bob.open(story)
    answer = alice.send(page, "_saveasnew", headline="", body="Precious")
    assert answer.status_code == 200
    assert "This field is required" in text_of(answer)
    assert form_of(answer)["body"] == ["Precious"]
    assert "lock_page" not in answer.context
    assert holder_of(story) == bob.user
    answer = alice.send(answer, "_saveasnew", headline="Copy", body="Precious")
    assert answer.status_code == 302
    assert Story.objects.order_by("pk").last().body == "Precious"
    assert saved(story).headline == "As it was"


def test_save_as_new_with_a_validation_error_keeps_the_lock_until_it_succeeds(
    alice, story, page
):
    answer = alice.send(page, "_saveasnew", headline="")
    assert answer.status_code == 200
    assert Story.objects.count() == 1
    assert standing_token(story) == token_of(page)
    assert alice.send(answer, "_saveasnew", headline="Copy").status_code == 302
    assert Story.objects.count() == 2
    assert not LockToken.objects.exists()


def test_a_popup_saves_and_gives_the_lock_up(alice, story):
    url = url_of(story, _popup=1)
    page = alice.get(url)
    assert state_of(page) == "held"
    answer = alice.send(page, headline="New")
    assert answer.status_code == 200
    assert "popup_response" in text_of(answer)
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


def test_a_popup_that_is_sent_twice_still_closes(alice, story):
    url = url_of(story, _popup=1)
    page = alice.get(url)
    data = form_of(page, headline="New")
    alice.post(url, data)
    answer = alice.post(url, data)
    assert answer.status_code == 200
    assert "popup_response" in text_of(answer)
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("query", [{}, {"_popup": 1}])
def test_sent_twice_no_hook_of_the_project_s_writes_without_the_lock(
    alice, bob, serve, story, query
):
    @serve
    class Admin(StoryAdmin):
        def response_change(self, request, obj):
            if "written" in request.session:
                Story.objects.filter(pk=obj.pk).update(is_urgent=True)
            request.session["written"] = True
            return super().response_change(request, obj)

    url = url_of(story, **query)
    data = form_of(alice.get(url), headline="New")
    assert alice.post(url, data).status_code in (200, 302)
    assert alice.session["written"]
    bob.open(story)
    assert alice.post(url, data).status_code == (200 if query else 302)
    assert not saved(story).is_urgent
    assert holder_of(story) == bob.user


@pytest.mark.parametrize("more", [{}, {"_save": "1"}, {"_popup": "1"}])
def test_a_button_of_the_project_s_own_is_never_told_that_all_is_saved(
    alice, serve, story, more
):
    @serve
    class Admin(StoryAdmin):
        def response_change(self, request, obj):
            if "_publish" in request.POST:
                Story.objects.filter(pk=obj.pk).update(is_urgent=True)
            return super().response_change(request, obj)

    page = alice.open(story)
    take_and_leave(story)
    refused = alice.post(url_of(story), {**form_of(page, "_publish"), **more})
    assert_refused(refused)
    assert not saved(story).is_urgent
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    assert alice.send(again, "_publish").status_code == (
        200 if "_popup" in more else 302
    )
    assert saved(story).is_urgent
    assert not LockToken.objects.exists()


def test_a_popup_is_refused_like_a_page(alice, bob, story):
    url = url_of(story, _popup=1)
    page = alice.get(url)
    expire(story)
    bob.open(story)
    answer = alice.send(page, headline="Mine")
    assert_refused(answer, headline="Mine", _popup="1")
    assert nothing_was_written(story)


def test_another_s_change_of_an_inline_row_is_refused_with_the_text(alice, bob, story):
    for text in ("First", "Second"):
        story.comment_set.create(text=text)
    page = alice.open(story)
    expire(story)
    theirs = form_of(bob.open(story), comment_set__0__DELETE="on")
    assert bob.post(url_of(story), theirs).status_code == 302
    answer = alice.send(
        page,
        comment_set__0__text="My first",
        comment_set__1__text="My second",
        comment_set__2__text="My third",
    )
    assert answer.status_code == 403
    typed = form_of(answer)
    rows = {typed[f"comment_set-{number}-text"][0] for number in range(3)}
    assert rows == {"My first", "My second", "My third"}
    assert [comment.text for comment in Comment.objects.all()] == ["Second"]
    again = alice.send(answer, "_lock_again")
    assert alice.send(again).status_code == 302
    assert {comment.text for comment in Comment.objects.all()} == rows


@pytest.fixture
def rows(story):
    return [story.comment_set.create(text=text) for text in ("one", "two", "three")]


TYPED = {
    "comment_set__0__text": "My one",
    "comment_set__1__text": "My two",
    "comment_set__2__text": "My three",
    "comment_set__3__text": "My four",
}


def texts():
    return [comment.text for comment in Comment.objects.order_by("pk")]


def test_a_row_that_was_deleted_while_the_page_holds_the_lock_keeps_its_text(
    alice, rows, page
):
    """On the row's own page, where the story's lock is not asked for."""
    rows[0].delete()
    answer = alice.send(page, **TYPED)
    assert answer.status_code == 200
    assert state_of(answer) == "held"
    typed = form_of(answer)
    assert [typed[f"comment_set-{n}-text"] for n in range(4)] == [
        [text] for text in TYPED.values()
    ]
    assert texts() == ["two", "three"]


def test_a_row_that_is_gone_is_added_anew_by_whoever_goes_on(alice, story, rows, page):
    take_and_leave(story)
    rows[1].delete()
    refused = alice.send(page, **TYPED)
    assert refused.status_code == 403
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    # Each text stands beside the row that it belongs to.
    typed = form_of(again)
    beside = {
        typed[f"comment_set-{n}-text"][0]: typed[f"comment_set-{n}-id"][0]
        for n in range(4)
    }
    assert beside == {
        "My one": str(rows[0].pk),
        "My three": str(rows[2].pk),
        "My two": "",
        "My four": "",
    }
    assert alice.send(again).status_code == 302
    assert texts()[:2] == ["My one", "My three"]
    assert sorted(texts()[2:]) == ["My four", "My two"]
    assert not LockToken.objects.exists()


def test_a_row_that_is_gone_and_was_to_be_deleted_stays_gone(alice, story, rows, page):
    take_and_leave(story)
    rows[0].delete()
    changes = {**TYPED, "comment_set__0__DELETE": "on"}
    refused = alice.send(page, **changes)
    assert refused.status_code == 403
    again = alice.send(refused, "_lock_again")
    assert alice.send(again).status_code == 302
    assert texts() == ["My two", "My three", "My four"]


def test_the_rows_of_other_inlines_stay_what_they_are(alice, serve, story, rows):
    class KeywordInline(admin.TabularInline):
        model = Story.keywords.through
        extra = 0

    class Admin(StoryAdmin):
        inlines = [KeywordInline, *StoryAdmin.inlines]
        exclude = ["keywords"]

    news, sports = [Keyword.objects.create(name=name) for name in ("news", "sports")]
    story.keywords.add(news)
    serve(Admin)
    page = alice.open(story)
    take_and_leave(story)
    rows[0].delete()
    changes = {**TYPED, "Story_keywords__0__keyword": sports.pk}
    refused = alice.send(page, **changes)
    assert refused.status_code == 403
    again = alice.send(refused, "_lock_again")
    assert alice.send(again).status_code == 302
    assert sorted(texts()) == sorted(TYPED.values())
    assert [*saved(story).keywords.all()] == [sports]


def test_all_rows_that_are_gone_are_added_anew_after_an_error(alice, story, rows, page):
    take_and_leave(story)
    Comment.objects.all().delete()
    refused = alice.send(page, headline="", **TYPED)
    again = alice.send(refused, "_lock_again")
    wrong = alice.send(again)
    assert wrong.status_code == 200
    assert "This field is required" in text_of(wrong)
    assert alice.send(wrong, headline="Now").status_code == 302
    assert sorted(texts()) == sorted(TYPED.values())
    assert saved(story).headline == "Now"


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_a_page_does_not_show_what_its_transaction_saw_before_others_saved(
    alice, bob, serve, story, monkeypatch
):
    turns = []

    def save():
        page = form_of(bob.open(story), headline="Theirs")
        return bob.post(url_of(story), page).status_code

    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            if obj is not None and request.user == alice.user and not turns:
                turns.extend(race(save))
            return True

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    serve(Admin)
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        page = alice.open(story)
    finally:
        connection.close()
    assert turns == [302]
    assert state_of(page) == "held"
    assert form_of(page)["headline"] == ["Theirs"]


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


# Going on after a refusal


@pytest.fixture
def refused(alice, story):
    """A page of Alice's with a text, whose lock somebody had and left."""
    page = alice.open(story)
    take_and_leave(story)
    answer = alice.send(page, headline="Mine", comment_set__0__text="Remark")
    assert state_of(answer) == "refused"
    return answer


def test_going_on_locks_again_and_then_saves(alice, bob, story, refused):
    again = alice.send(refused, "_lock_again")
    assert again.status_code == 200
    assert state_of(again) == "again"
    assert form_of(again)["headline"] == ["Mine"]
    assert form_of(again)["comment_set-0-text"] == ["Remark"]
    assert token_of(again) == standing_token(story) != token_of(refused)
    assert get_session_token(story, alice.session) == token_of(again)
    assert holder_of(story) == alice.user
    assert nothing_was_written(story)
    assert buttons_of(again) >= {"_save", "_continue", "_saveasnew"}
    assert [each.label for each in again.context["lock_page"].differences] == [
        "Headline",
        "comments",
    ]
    assert state_of(bob.open(story)) == "locked"
    assert alice.send(again).status_code == 302
    assert saved(story).headline == "Mine"
    assert Comment.objects.get().text == "Remark"
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("button", ["_lock_again", "_take_over"])
def test_going_on_with_a_lock_that_still_stands_keeps_it(alice, story, page, button):
    """The page could not reach the server, and took its lock for lost."""
    again = alice.send(page, button, headline="Mine")
    assert state_of(again) == "again"
    assert token_of(again) == token_of(page) == standing_token(story)
    assert form_of(again)["headline"] == ["Mine"]
    assert nothing_was_written(story)


def test_going_on_with_an_error_in_the_text_shows_it(alice, story, refused):
    data = form_of(refused, "_lock_again", headline="", body="Mine")
    again = alice.post(url_of(story), data)
    assert state_of(again) == "again"
    assert "This field is required" in text_of(again)
    assert form_of(again)["body"] == ["Mine"]
    assert nothing_was_written(story)


def test_going_on_is_refused_while_another_edits(alice, bob, story, refused):
    theirs = token_of(bob.open(story))
    answer = alice.send(refused, "_lock_again")
    assert_refused(answer, headline="Mine")
    assert "Bob Writer" in text_of(answer)
    assert standing_token(story) == theirs
    assert nothing_was_written(story)


def test_going_on_with_what_is_saved_already_says_so(alice, story, page):
    take_and_leave(story)
    again = alice.send(page, "_lock_again")
    assert state_of(again) == "again"
    assert again.context["lock_page"].differences == []
    assert holder_of(story) == alice.user


def test_going_on_without_a_text_shows_the_object(alice, story):
    answer = alice.post(url_of(story), {"_lock_again": "1"}, follow=True)
    assert answer.redirect_chain == [(url_of(story), 302)]
    assert state_of(answer) == "held"
    assert holder_of(story) == alice.user


def test_whoever_may_only_look_cannot_go_on(story):
    reader = person("carol", "tests.view_story")
    data = {"_lock_again": "1", "lock_token": "", "headline": "Mine"}
    assert reader.post(url_of(story), data).status_code == 403
    assert not LockToken.objects.exists()
    assert nothing_was_written(story)


def test_going_on_keeps_the_names_of_a_popup(alice, story):
    url = url_of(story, _popup=1)
    page = alice.get(url)
    take_and_leave(story)
    refused = alice.send(page, headline="Mine")
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    answer = alice.send(again)
    assert "popup_response" in text_of(answer)
    assert saved(story).headline == "Mine"


def test_the_list_s_filters_survive_a_refusal(alice, story):
    url = url_of(story, _changelist_filters="is_urgent__exact%3D0")
    page = alice.get(url)
    take_and_leave(story)
    refused = alice.send(page, headline="Mine")
    again = alice.send(refused, "_lock_again")
    answer = alice.send(again)
    assert answer.url == "/admin/tests/story/?is_urgent__exact=0"
    assert saved(story).headline == "Mine"


# Files, which no page can have chosen already


@pytest.fixture
def document(settings, serve, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    serve(LockableModelAdmin, Document)
    return Document.objects.create(title="As it was")


def a_file():
    return SimpleUploadedFile("minutes.txt", b"what was said")


CHOOSE_AGAIN = "Choose this file again"


def test_whoever_is_refused_is_told_which_file_to_choose_again(alice, document):
    page = alice.open(document)
    assert CHOOSE_AGAIN not in text_of(page)
    take_and_leave(document)
    refused = alice.send(page, title="Mine", file=a_file())
    assert refused.status_code == 403
    again = alice.post(
        url_of(document), {**form_of(refused, "_lock_again"), "file": ""}
    )
    assert state_of(again) == "again"
    for answer in (refused, again):
        assert answer.context["lock_page"].files == ["File"]
        assert CHOOSE_AGAIN in text_of(answer)
    assert alice.send(again, file=a_file()).status_code == 302
    document.refresh_from_db()
    assert document.title == "Mine"
    assert document.file.read() == b"what was said"


def test_it_is_told_once_also_when_it_is_refused_again(alice, bob, document):
    page = alice.open(document)
    take_and_leave(document)
    refused = alice.send(page, file=a_file())
    assert refused.status_code == 403  # a file is something to save
    bob.open(document)
    refused = alice.send(refused, "_lock_again", file=a_file())
    assert refused.status_code == 403
    assert refused.context["lock_page"].files == ["File"]
    document.refresh_from_db()
    assert not document.file


def test_who_chose_no_file_is_asked_for_none(alice, document):
    page = alice.open(document)
    take_and_leave(document)
    refused = alice.send(page, title="Mine")
    again = alice.send(refused, "_lock_again")
    for answer in (refused, again):
        assert answer.context["lock_page"].files == []
        assert CHOOSE_AGAIN not in text_of(answer)


# Taking over


def asked(answer):
    """Return what the page's take-over button sends."""
    value = answer.context["lock_page"].take_over_value
    assert value
    return value


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
    assert "Bob Writer" in text_of(refused)
    assert saved(story).headline == "As it was"


def test_whoever_is_not_permitted_takes_nothing_over(alice, story):
    bob = person("bob", CHANGE)
    token = token_of(alice.open(story))
    page = bob.open(story)
    assert "Take over" not in text_of(page)
    answer = bob.post(url_of(story), {"_take_over": asked(page)}, follow=True)
    assert state_of(answer) == "locked"
    assert standing_token(story) == token
    assert not LogEntry.objects.exists()


def test_where_it_is_switched_off_nobody_takes_over(alice, bob, serve, story):
    @serve
    class Admin(StoryAdmin):
        lock_take_over = False

    token = token_of(alice.open(story))
    page = bob.open(story)
    assert "Take over" not in text_of(page)
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
    assert "Take over" not in text_of(refused)
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
    assert "Carol Writer" in text_of(answer)
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
    assert "Carol Writer" in text_of(answer)
    assert form_of(answer)["headline"] == ["Mine"]
    assert asked(answer) != asked(refused)
    assert standing_token(story) == theirs
    assert nothing_was_written(story)


@pytest.mark.parametrize("value", ["", "1", "nonsense", "2026-01-01T00:00:00"])
def test_a_question_about_no_lock_takes_nothing(alice, bob, story, value):
    token = token_of(alice.open(story))
    bob.post(url_of(story), {"_take_over": value})
    assert standing_token(story) == token


def test_the_api_s_spelling_of_the_moment_is_understood(alice, bob, story):
    alice.open(story)
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
        page = bob.open(each)
        bob.post(url_of(each), {"_take_over": asked(page)})
    assert holder_of(story) == bob.user
    assert holder_of(other) == alice.user


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


# Too late


def test_the_text_of_somebody_who_is_signed_out_is_given_back(alice, story, page):
    data = form_of(
        page,
        headline="Precious <b>",
        comment_set__0__text="Remark",
        password="secret1",
        new_password2="secret2",
    )
    alice.logout()
    answer = alice.post(url_of(story), data)
    assert answer.status_code == 403
    text = text_of(answer)
    assert "Precious &lt;b&gt;" in text
    assert "Remark" in text
    assert "secret1" not in text
    assert "secret2" not in text
    assert token_of(page) not in text
    assert "/admin/login/?next=" in text
    assert "no-store" in answer["Cache-Control"]
    assert nothing_was_written(story)


def test_the_text_of_somebody_who_is_no_staff_any_more_is_given_back(
    alice, story, page
):
    alice.user.is_staff = False
    alice.user.save()
    answer = alice.send(page, headline="Precious")
    assert answer.status_code == 403
    assert "Precious" in text_of(answer)
    assert nothing_was_written(story)


def test_the_text_is_given_back_where_every_view_needs_a_login(alice, settings, story):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    page = alice.open(story)
    alice.logout()
    answer = alice.send(page, headline="Precious")
    assert answer.status_code == 403
    assert "Precious" in text_of(answer)
    assert alice.open(story).status_code == 302


def test_logging_out_gives_the_locks_up(alice, bob, story):
    alice.open(story)
    alice.post("/admin/logout/")
    assert not LockToken.objects.exists()
    assert state_of(bob.open(story)) == "held"


def test_the_text_about_an_object_that_is_gone_is_given_back(alice, story, page):
    story.delete()
    answer = alice.send(page, headline="Precious", comment_set__0__text="Remark")
    assert answer.status_code == 404
    assert "Precious" in text_of(answer)
    assert "Remark" in text_of(answer)
    assert "no-store" in answer["Cache-Control"]
    assert not Story.objects.exists()
    assert not Comment.objects.exists()


def test_going_on_with_an_object_that_is_gone_gives_the_text_back(alice, story, page):
    story.delete()
    answer = alice.send(page, "_lock_again", headline="Precious")
    assert answer.status_code == 404
    assert "Precious" in text_of(answer)


def deleted_at_the_last_moment(serve):
    """Serve an admin that finds the object, and then it is gone."""

    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            if obj is not None and request.method == "POST":
                Story.objects.filter(pk=obj.pk).delete()
            return True


@pytest.mark.parametrize("button", ["_save", "_continue", "_lock_again"])
@pytest.mark.parametrize("is_void", [False, True])
def test_the_text_is_given_back_when_the_object_goes_while_it_is_being_saved(
    alice, serve, story, page, button, is_void
):
    if is_void:
        take_and_leave(story)
    deleted_at_the_last_moment(serve)
    answer = alice.send(page, button, headline="Precious")
    assert answer.status_code == 404
    assert "Precious" in text_of(answer)
    assert not Story.objects.exists()


def test_the_text_about_an_object_that_is_gone_is_given_back_by_any_template(
    alice, story, page
):
    """Also by one that has no hidden field."""
    url = url_of(story)
    story.delete()
    data = form_of(page, headline="Precious", lock_token=None)
    answer = alice.post(url, data)
    assert answer.status_code == 404
    assert "Precious" in text_of(answer)


def test_what_one_may_not_see_any_more_is_not_said_to_be_deleted(alice, serve, story):
    @serve
    class Admin(StoryAdmin):
        def get_queryset(self, request):
            return super().get_queryset(request).filter(is_urgent=False)

    page = alice.open(story)
    Story.objects.update(is_urgent=True)
    answer = alice.send(page, headline="Precious")
    assert answer.status_code == 404
    assert "Precious" in text_of(answer)
    assert "or you may not see it any more" in text_of(answer)
    assert "omebody has deleted" not in text_of(answer)
    assert saved(story).headline == "As it was"


def test_save_as_new_works_also_when_the_original_is_gone(alice, story, page):
    story.delete()
    assert alice.send(page, "_saveasnew", headline="Copy").status_code == 302
    assert Story.objects.get().headline == "Copy"


def test_the_permission_taken_away_gives_the_text_back(story):
    carol = person("carol", CHANGE)
    page = carol.open(story)
    carol.user.user_permissions.clear()
    permit(carol.user, "tests.view_story")
    answer = carol.send(page, headline="Precious")
    assert answer.status_code == 403
    assert "Precious" in text_of(answer)
    assert nothing_was_written(story)


@pytest.mark.parametrize("view", [True, False])
def test_an_object_that_may_not_be_changed_any_more_gives_the_text_back(
    alice, serve, story, view
):
    """Its own state forbids it since, as when it was published."""

    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            return obj is None or not obj.is_urgent

        def has_view_permission(self, request, obj=None):
            return view

    page = alice.open(story)
    Story.objects.update(is_urgent=True)
    answer = alice.send(page, headline="Precious")
    assert answer.status_code == 403
    assert "Precious" in text_of(answer)
    assert "may no longer change this" in text_of(answer)
    assert saved(story).headline == "As it was"


def test_whoever_never_had_the_permission_is_answered_as_in_django(story):
    carol = person("carol", "tests.view_story")
    answer = carol.post(url_of(story), {"headline": "Mine", "_save": "1"})
    assert answer.status_code == 403
    assert "Mine" not in text_of(answer)
    assert nothing_was_written(story)


def test_a_new_object_of_somebody_who_is_signed_out_is_given_back(alice):
    page = alice.get("/admin/tests/story/add/")
    data = form_of(page, headline="Precious")
    alice.logout()
    answer = alice.post("/admin/tests/story/add/", data)
    assert answer.status_code == 403
    assert "Precious" in text_of(answer)
    assert not Story.objects.exists()


@pytest.mark.parametrize("url", ["add/", "{}/change/", ""])
def test_no_other_site_has_its_words_shown_to_somebody_who_is_signed_out(
    alice, settings, story, url
):
    """Where only the admin's own views are protected, and not every view."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    url = f"/admin/tests/story/{url.format(story.pk)}"
    data = form_of(alice.get(url), headline="Call 555")
    del alice.cookies["sessionid"]
    alice.handler.enforce_csrf_checks = True
    forged = {name: data[name] for name in data if name != "csrfmiddlewaretoken"}
    forged["note"] = data["note"] = "Call 555"
    answer = alice.post(url, forged)
    assert answer.status_code == 403
    assert "Call 555" not in text_of(answer)
    # One's own page's are.
    answer = alice.post(url, data)
    assert answer.status_code == 403
    assert "Call 555" in text_of(answer)
    assert nothing_was_written(story)


def test_line_ends_are_no_difference(alice, story):
    Story.objects.update(body="One\nTwo")
    page = alice.open(story)
    take_and_leave(story)
    data = form_of(page, headline="Mine", body="One\r\nTwo")
    refused = alice.post(url_of(story), data)
    assert [each.label for each in refused.context["lock_page"].differences] == [
        "Headline"
    ]
    assert saved(story).body == "One\nTwo"


# The models


def opens_saves_and_refuses(alice, bob, obj, field, **query):
    """Go through the life of a page, whatever the object's model."""
    url = url_of(obj, **query)
    page = alice.get(url)
    assert state_of(page) == "held"
    assert holder_of(obj) == alice.user
    assert state_of(bob.get(url)) == "locked"
    assert alice.send(page, "_continue", **{field: "Kept"}).status_code == 302
    assert getattr(type(obj).objects.get(pk=obj.pk), field) == "Kept"
    assert holder_of(obj) == alice.user
    expire(obj)
    assert state_of(bob.get(url)) == "held"
    refused = alice.send(page, **{field: "Stale"})
    assert refused.status_code == 403
    assert form_of(refused)[field] == ["Stale"]
    assert getattr(type(obj).objects.get(pk=obj.pk), field) == "Kept"
    assert bob.send(bob.get(url), **{field: "Theirs"}).status_code == 302
    assert getattr(type(obj).objects.get(pk=obj.pk), field) == "Theirs"
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("model", [Article, ArticleProxy, Page, Plain, Feature])
def test_models_of_all_kinds(alice, bob, model):
    obj = model.objects.create(title="As it was")
    opens_saves_and_refuses(alice, bob, obj, "title")


# An AUTO_INCREMENT column has no negative keys.
@pytest.mark.parametrize(
    "key", [pytest.param(-1, marks=pytest.mark.only_on("sqlite", "postgresql")), 2**62]
)
def test_integer_keys_at_the_edges(alice, bob, key):
    opens_saves_and_refuses(alice, bob, Plain.objects.create(pk=key), "title")


class NamedAdmin(LockableModelAdmin):
    """The key of a label can be read, and a copy of it is what is edited."""

    readonly_fields = ["name"]


@pytest.mark.parametrize(
    "name", ["a/b", "a_b", "_2F", "a b&c=d?e#f", 'quo"te', "ünïcödé", "<b>", "a:b;c"]
)
def test_text_keys_that_the_address_has_to_quote(alice, bob, serve, name):
    serve(NamedAdmin, Label)
    label = Label.objects.create(name=name)
    page = alice.open(label)
    assert state_of(page) == "held"
    assert holder_of(label) == alice.user
    assert state_of(bob.open(label)) == "locked"
    refused = bob.post(url_of(label), {"_save": "1"})
    assert refused.status_code in (302, 403)
    assert standing_token(label) == token_of(page)
    assert alice.send(page).status_code == 302
    assert not LockToken.objects.exists()


def test_a_uuid_has_one_lock_however_it_is_spelled(alice, bob):
    key = uuid.uuid4()
    page = Page.objects.create(pk=key, title="As it was")
    assert state_of(alice.get(f"/admin/tests/page/{key}/change/")) == "held"
    assert state_of(bob.get(f"/admin/tests/page/{key.hex.upper()}/change/")) == "locked"
    assert LockToken.objects.count() == 1
    assert holder_of(page) == alice.user


def test_a_key_that_no_lock_can_have_is_edited_as_in_django_with_a_warning(alice):
    label = Label.objects.create(name="x" * 256)
    page = alice.open(label)
    assert page.status_code == 200
    assert "lock_page" not in page.context
    assert any("cannot be locked" in message for message in messages_of(page))
    assert alice.send(page).status_code == 302
    assert not LockToken.objects.exists()


def test_an_object_that_is_asked_for_by_another_field(alice, bob):
    desk = Desk.objects.create(name="sports", telephone="1")
    Shift.objects.create(desk=desk)
    url = "/admin/tests/desk/sports/change/?_to_field=name"
    page = alice.get(url)
    assert state_of(page) == "held"
    assert holder_of(desk) == alice.user
    assert state_of(bob.get(url)) == "locked"
    assert state_of(bob.open(desk)) == "locked"
    expire(desk)
    bob.get(url)
    refused = alice.send(page, telephone="2")
    assert_refused(refused, telephone="2")
    expire(desk)
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    assert alice.send(again).status_code == 302
    assert Desk.objects.get().telephone == "2"
    assert not LockToken.objects.exists()


def test_a_field_that_may_not_be_asked_for_locks_nothing(alice, story):
    url = url_of(story, _to_field="body")
    assert alice.get(url).status_code == 400
    assert not LockToken.objects.exists()


def test_save_as_new_gives_up_what_was_asked_for_by_another_field(
    alice, settings, serve
):
    class Admin(LockableModelAdmin):
        save_as = True

    serve(Admin, Desk, Shift)
    Desk.objects.create(name="sports")
    url = "/admin/tests/desk/sports/change/?_to_field=name"
    page = alice.get(url)
    assert alice.send(page, "_saveasnew", name="culture").status_code == 302
    assert Desk.objects.count() == 2
    assert not LockToken.objects.exists()


class OtherDatabaseAdmin(LockableModelAdmin):
    """As Django's documentation has it for several databases."""

    using = "other"

    def save_model(self, request, obj, form, change):
        obj.save(using=self.using)

    def get_queryset(self, request):
        return super().get_queryset(request).using(self.using)


@pytest.mark.django_db(databases=["default", "other"])
def test_an_object_of_another_database(alice, bob, serve):
    serve(OtherDatabaseAdmin, Plain)
    plain = Plain.objects.using("other").create(title="As it was")
    page = alice.open(plain)
    assert state_of(page) == "held"
    assert not page.context["lock_page"].has_client
    assert LockToken.objects.using("other").get().locked_by_id == alice.user.pk
    assert state_of(bob.open(plain)) == "locked"
    assert alice.send(page, title="New").status_code == 302
    assert Plain.objects.using("other").get().title == "New"
    assert not LockToken.objects.using("other").exists()
    refused = alice.send(page, title="Stale")
    assert_refused(refused, title="Stale")
    assert Plain.objects.using("other").get().title == "New"


@pytest.mark.django_db(databases=["default", "other"])
def test_the_client_is_not_asked_about_another_database_s_object(alice, serve):
    """The API would find the one that has the same key in its own."""
    serve(OtherDatabaseAdmin, Plain)
    plain = Plain.objects.using("other").create(title="Other")
    Plain.objects.create(pk=plain.pk, title="Default")
    page = alice.open(plain)
    assert state_of(page) == "held"
    assert "Other" in text_of(page)
    assert not page.context["lock_page"].has_client
    assert "lock_tokens/admin.js" not in text_of(page)


# Adding


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


# Races


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_who_open_at_once_one_edits(alice, bob, story):
    for _ in range(5):
        LockToken.objects.all().delete()
        pages = race(
            lambda: state_of_race(alice, story), lambda: state_of_race(bob, story)
        )
        assert sorted(pages) == ["held", "locked"]
        winner = (alice, bob)[pages.index("held")]
        assert holder_of(story) == winner.user


def state_of_race(somebody, story):
    answer = somebody.open(story)
    assert answer.status_code == 200
    return state_of(answer)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_open_at_once_share_the_lock(alice, story):
    alice.get("/admin/")
    other_tab = alice.other_tab()
    for _ in range(5):
        LockToken.objects.all().delete()
        tokens = race(
            lambda: token_of(alice.open(story)), lambda: token_of(other_tab.open(story))
        )
        assert set(tokens) == {standing_token(story)}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_tabs_that_save_at_once_one_does(alice, story):
    other_tab = alice.other_tab()
    for turn in range(5):
        page = alice.open(story)
        texts = [f"First {turn}", f"Second {turn}"]

        def post(tab, text, page=page):
            return tab.send(page, headline=text)

        answers = race(
            lambda post=post, texts=texts: post(alice, texts[0]),
            lambda post=post, texts=texts: post(other_tab, texts[1]),
        )
        statuses = [answer.status_code for answer in answers]
        assert sorted(statuses) == [302, 403]
        winner = statuses.index(302)
        assert saved(story).headline == texts[winner]
        assert form_of(answers[1 - winner])["headline"] == [texts[1 - winner]]
        assert not LockToken.objects.exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_late_save_and_another_who_opens_never_both_win(alice, bob, story):
    for turn in range(5):
        before = saved(story).headline
        page = alice.open(story)
        expire(story)
        late = f"Late {turn}"
        answer, theirs = race(
            lambda page=page, late=late: alice.send(page, headline=late),
            lambda: bob.open(story),
        )
        shown = form_of(theirs).get("headline")
        if answer.status_code == 302:
            assert saved(story).headline == late
            assert shown in (None, [late])  # read-only, or what was saved
        else:
            assert answer.status_code == 403
            assert saved(story).headline == before
            assert shown == [before]
            assert holder_of(story) == bob.user
        LockToken.objects.all().delete()


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_nobody_gets_the_object_while_it_is_being_saved(alice, bob, serve, story):
    seen = []

    @serve
    class Admin(StoryAdmin):
        def save_related(self, request, form, formsets, change):
            super().save_related(request, form, formsets, change)
            seen.extend(race(lambda: state_of_race(bob, story)))

    page = alice.open(story)
    assert alice.send(page, headline="New").status_code == 302
    assert seen == ["locked"]
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_whoever_opens_while_an_expired_lock_saves_sees_what_was_saved(
    alice, bob, serve, story
):
    """The save itself keeps the lock that nobody had taken."""
    waiting = []

    @serve
    class Admin(StoryAdmin):
        def save_related(self, request, form, formsets, change):
            super().save_related(request, form, formsets, change)
            waiting.append(InThread(lambda: bob.open(story)))
            wait_until_blocked_or_done(waiting[0])

    page = alice.open(story)
    expire(story)
    assert alice.send(page, headline="New").status_code == 302
    (theirs,) = waiting
    assert form_of(theirs()).get("headline") in (None, ["New"])
    assert saved(story).headline == "New"
    assert holder_of(story) in (None, bob.user)


@pytest.mark.django_db(transaction=True)
def test_an_error_after_the_save_leaves_nothing_to_others(alice, bob, serve, story):
    serve(failing("response_change"))
    page = alice.open(story)
    with pytest.raises(RuntimeError):
        alice.send(page, headline="New")
    assert saved(story).headline == "As it was"
    assert state_of(bob.open(story)) == "locked"
    assert standing_token(story) == token_of(page)


# The change form's own actions


has_form_actions = pytest.mark.skipif(
    not hasattr(admin, "ActionLocation"),
    reason="change forms have actions from Django 6.1 on",
)


def acting(serve):
    """Serve a change form with an action of its own."""

    @admin.action(location=admin.ActionLocation.CHANGE_FORM)
    def shout_here(model_admin, request, queryset):
        admin_site.shout(model_admin, request, queryset)

    @serve
    class Admin(StoryAdmin):
        actions = [shout_here]


def run_action(somebody, story):
    data = {
        "CHANGE_FORM-action": "shout_here",
        "_selected_action": str(story.pk),
        "index": "0",
    }
    return somebody.post(url_of(story), data, follow=True)


@has_form_actions
def test_an_action_of_the_page_runs_under_its_own_lock(alice, serve, story):
    acting(serve)
    page = alice.open(story)
    assert "CHANGE_FORM-action" in text_of(page)
    answer = run_action(alice, story)
    assert saved(story).headline == "AS IT WAS"
    # The page that was open shows what was there before.
    assert state_of(answer) == "held"
    assert token_of(answer) != token_of(page)
    assert alice.send(page, body="Mine").status_code == 403
    assert saved(story).body == "Once"


@has_form_actions
def test_an_action_of_the_page_runs_on_a_free_object(alice, serve, story):
    acting(serve)
    run_action(alice, story)
    assert saved(story).headline == "AS IT WAS"


@has_form_actions
def test_no_action_of_the_page_runs_on_what_another_edits(alice, bob, serve, story):
    acting(serve)
    alice.open(story)
    page = bob.open(story)
    assert "CHANGE_FORM-action" not in text_of(page)
    answer = run_action(bob, story)
    assert saved(story).headline == "As it was"
    assert any("Alice Writer" in message for message in messages_of(answer))
    assert holder_of(story) == alice.user


@has_form_actions
@pytest.mark.parametrize("button", ["_lock_again", "_take_over"])
def test_beside_an_action_the_way_on_is_open(alice, serve, story, button):
    acting(serve)
    page = alice.open(story)
    take_and_leave(story)
    refused = alice.send(page, headline="Mine")
    assert refused.status_code == 403
    sent = form_of(refused, button)
    sent.setdefault("CHANGE_FORM-action", [""])
    sent.setdefault("_selected_action", [str(story.pk)])
    again = alice.post(url_of(story), sent)
    assert state_of(again) == "again"
    assert form_of(again)["headline"] == ["Mine"]


@has_form_actions
def test_beside_an_action_a_save_keeps_its_rules(alice, serve, story):
    acting(serve)
    page = alice.open(story)
    take_and_leave(story)
    sent = {**form_of(page, headline="Mine"), "CHANGE_FORM-action": ""}
    assert alice.post(url_of(story), sent).status_code == 403
    assert nothing_was_written(story)


@has_form_actions
def test_beside_an_action_save_as_new_gives_the_original_up(alice, serve, story):
    acting(serve)
    page = alice.open(story)
    sent = {**form_of(page, "_saveasnew", headline="Copy"), "CHANGE_FORM-action": ""}
    assert alice.post(url_of(story), sent).status_code == 302
    assert Story.objects.count() == 2
    assert not LockToken.objects.exists()


@has_form_actions
def test_an_action_that_the_page_does_not_have_is_no_way_around_the_lock(
    alice, bob, story, page
):
    """Where there are no actions Django takes it for a save."""
    data = form_of(page, lock_token=None, headline="Mine", _save=None)
    answer = bob.post(url_of(story), {**data, "CHANGE_FORM-action": "shout"})
    assert answer.status_code == 403
    assert nothing_was_written(story)
    assert holder_of(story) == alice.user
