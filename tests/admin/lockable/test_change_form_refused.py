"""A save without the lock writes nothing, and its page keeps what was typed."""

import pytest
from django.contrib.admin.models import LogEntry

from lock_tokens.models import LockToken
from tests.models import Keyword, Story
from tests.support.admin_site import (
    LIST,
    StoryAdmin,
    assert_refused,
    buttons_of,
    everything_typed,
    form_of,
    holder_of,
    messages_of,
    nothing_was_written,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    token_of,
    url_of,
)
from tests.support.helpers import expire


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
    assert_refused(
        answer,
        headline="My headline",
        is_urgent="on",
        comment_set__0__text="My remark",
        keywords=str(keyword.pk),
        lock_token=void,
    )
    assert form_of(answer)["body"][0].replace("\r", "") == "My body\nin two lines"
    assert not buttons_of(answer) & {"_save", "_continue", "_addanother"}
    assert "deletelink" not in answer.text
    assert "Bob Writer" in answer.text
    assert nothing_was_written(story)
    assert holder_of(story) == bob.user


def test_a_void_token_is_refused_also_when_the_object_is_free(alice, story, page):
    answer = alice.send_late(page, headline="", body="Mine")
    assert answer.context["lock_page"].holder is None
    assert "This field is required" in answer.text
    assert_refused(alice.send(page, headline="Mine"), headline="Mine")
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
    assert 'id="id_headline"' in answer.text
    assert shown.differences[0].field_id == "id_headline"
    assert shown.last_change.user == bob.user
    assert "Theirs" in answer.text
    assert "Changed Headline and Keywords." in answer.text
    assert form_of(answer)["headline"] == ["Mine"]
    assert saved(story).headline == "Theirs"


def test_a_form_without_the_field_is_refused_with_a_void_token_in_the_session(
    alice, story, page
):
    take_and_leave(story)
    assert alice.send(page, headline="New", lock_token=None).status_code == 403
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


@pytest.mark.parametrize(
    ("button", "goes_to"),
    [("_save", LIST), ("_continue", None), ("_addanother", LIST)],
)
def test_the_same_sent_twice_is_not_refused(alice, story, page, button, goes_to):
    data = form_of(page, button, headline="New", body="Text", is_urgent="on")
    assert alice.post(url_of(story), data).status_code == 302
    for _ in range(2):
        answer = alice.post(url_of(story), data, follow=True)
        assert answer.redirect_chain == [(goes_to or url_of(story), 302)]
        assert answer.status_code == 200
        assert any("nothing to save" in message for message in messages_of(answer))
        take_and_leave(story)
    assert saved(story).headline == "New"
    assert LogEntry.objects.count() == 1


def test_nothing_new_with_an_error_is_refused(alice, story, page):
    """What could not be saved is no double click."""
    take_and_leave(story)
    data = form_of(page, comment_set__TOTAL_FORMS="nonsense")
    assert alice.post(url_of(story), data).status_code == 403
    assert nothing_was_written(story)


@pytest.mark.parametrize("query", [{}, {"_popup": 1}])
def test_sent_twice_no_hook_of_the_project_s_writes_without_the_lock(
    alice, bob, serve, story, query
):
    """A popup still closes."""

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
    answer = alice.post(url, data)
    assert answer.status_code == (200 if query else 302)
    assert ("popup_response" in answer.text) == bool(query)
    assert not saved(story).is_urgent
    assert LogEntry.objects.count() == 1
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


def test_line_ends_are_no_difference(alice, story):
    Story.objects.update(body="One\nTwo")
    page = alice.open(story)
    take_and_leave(story)
    refused = alice.send(page, headline="Mine", body="One\r\nTwo")
    (difference,) = refused.context["lock_page"].differences
    assert difference.label == "Headline"
    assert saved(story).body == "One\nTwo"
