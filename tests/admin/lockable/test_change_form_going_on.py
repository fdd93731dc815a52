"""After a refusal: the page locks again with the text, and its rows and files."""

import pytest
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.models import LockToken
from lock_tokens.sessions import get_session_token
from tests.models import Comment, Document, Keyword, Story
from tests.support.admin_site import (
    StoryAdmin,
    assert_refused,
    buttons_of,
    form_of,
    holder_of,
    nothing_was_written,
    person,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    token_of,
    url_of,
)
from tests.support.helpers import expire


def test_another_s_change_of_an_inline_row_is_refused_with_the_text(alice, bob, story):
    for text in ("First", "Second"):
        story.comment_set.create(text=text)
    page = alice.open(story)
    expire(story)
    theirs = form_of(bob.open(story), comment_set__0__DELETE="on")
    assert bob.post(url_of(story), theirs).status_code == 302
    typed = {
        "comment_set__0__text": "My first",
        "comment_set__1__text": "My second",
        "comment_set__2__text": "My third",
    }
    answer = alice.send(page, **typed)
    assert answer.status_code == 403
    form = form_of(answer)
    rows = {form[f"comment_set-{number}-text"][0] for number in range(3)}
    assert rows == {*typed.values()}
    assert texts() == ["Second"]
    assert alice.send(alice.send(answer, "_lock_again")).status_code == 302
    assert {*texts()} == rows


def test_a_form_of_a_page_that_nobody_opened_may_go_on(alice, story):
    data = {"headline": "Mine", "body": "", "comment_set-TOTAL_FORMS": 0}
    refused = alice.post(url_of(story), {**data, "comment_set-INITIAL_FORMS": 0})
    assert_refused(refused, headline="Mine")
    again = alice.send(refused, "_lock_again")
    assert (state_of(again), form_of(again)["headline"]) == ("again", ["Mine"])


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
    refused = alice.send(page, **TYPED, comment_set__0__DELETE="on")
    assert refused.status_code == 403
    assert alice.send(alice.send(refused, "_lock_again")).status_code == 302
    assert texts() == ["My two", "My three", "My four"]


def test_the_rows_of_other_inlines_stay_what_they_are(alice, serve, story, rows):
    class KeywordInline(admin.TabularInline):
        model = Story.keywords.through
        extra = 0

    inlines = [KeywordInline, *StoryAdmin.inlines]
    serve(StoryAdmin, inlines=inlines, exclude=["keywords"])
    news, sports = [Keyword.objects.create(name=name) for name in ("news", "sports")]
    story.keywords.add(news)
    page = alice.open(story)
    take_and_leave(story)
    rows[0].delete()
    refused = alice.send(page, **TYPED, Story_keywords__0__keyword=sports.pk)
    assert refused.status_code == 403
    assert alice.send(alice.send(refused, "_lock_again")).status_code == 302
    assert sorted(texts()) == sorted(TYPED.values())
    assert [*saved(story).keywords.all()] == [sports]


def test_all_rows_that_are_gone_are_added_anew_after_an_error(alice, story, rows, page):
    take_and_leave(story)
    Comment.objects.all().delete()
    refused = alice.send(page, headline="", **TYPED)
    again = alice.send(refused, "_lock_again")
    wrong = alice.send(again)
    assert wrong.status_code == 200
    assert "This field is required" in wrong.text
    assert alice.send(wrong, headline="Now").status_code == 302
    assert sorted(texts()) == sorted(TYPED.values())
    assert saved(story).headline == "Now"


@pytest.fixture
def refused(alice, page):
    """A page of Alice's with a text, whose lock somebody had and left."""
    return alice.send_late(page, headline="Mine", comment_set__0__text="Remark")


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
    differences = again.context["lock_page"].differences
    assert [each.label for each in differences] == ["Headline", "comments"]
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
    again = alice.send(refused, "_lock_again", headline="", body="Mine")
    assert state_of(again) == "again"
    assert "This field is required" in again.text
    assert form_of(again)["body"] == ["Mine"]
    assert nothing_was_written(story)


def test_going_on_is_refused_while_another_edits(alice, bob, story, refused):
    theirs = token_of(bob.open(story))
    answer = alice.send(refused, "_lock_again")
    assert_refused(answer, headline="Mine")
    assert "Bob Writer" in answer.text
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
    refused = alice.send_late(alice.get(url_of(story, _popup=1)), headline="Mine")
    assert_refused(refused, _popup="1")
    assert nothing_was_written(story)
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    assert "popup_response" in alice.send(again).text
    assert saved(story).headline == "Mine"


def test_the_list_s_filters_survive_a_refusal(alice, story):
    page = alice.get(url_of(story, _changelist_filters="is_urgent__exact%3D0"))
    refused = alice.send_late(page, headline="Mine")
    answer = alice.send(alice.send(refused, "_lock_again"))
    assert answer.url == "/admin/tests/story/?is_urgent__exact=0"
    assert saved(story).headline == "Mine"


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
    assert CHOOSE_AGAIN not in page.text
    take_and_leave(document)
    refused = alice.send(page, title="Mine", file=a_file())
    assert refused.status_code == 403
    again = alice.send(refused, "_lock_again", file="")
    assert state_of(again) == "again"
    for answer in (refused, again):
        assert answer.context["lock_page"].files == ["File"]
        assert CHOOSE_AGAIN in answer.text
    assert alice.send(again, file=a_file()).status_code == 302
    document.refresh_from_db()
    assert document.title == "Mine"
    with document.file as file:
        assert file.read() == b"what was said"


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
    refused = alice.send_late(alice.open(document), title="Mine")
    for answer in (refused, alice.send(refused, "_lock_again")):
        assert answer.context["lock_page"].files == []
        assert CHOOSE_AGAIN not in answer.text
