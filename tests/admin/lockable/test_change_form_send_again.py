"""The page that gives a form back is a form: it sends all of that again."""

import pytest
from django import forms
from django.contrib import admin
from django.contrib.contenttypes.admin import GenericTabularInline
from django.core.files.uploadedfile import SimpleUploadedFile
from django.middleware.csrf import CsrfViewMiddleware

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.admin.lockable.posted import prefixes
from lock_tokens.models import LockToken
from tests.models import Comment, Document, Keyword, Sample, Story
from tests.support.admin_site import (
    CHANGE,
    LIST,
    asked,
    bodies,
    form_of,
    holder_of,
    permit,
    person,
    saved,
    standing_token,
    state_of,
    token_of,
    url_of,
)

OWN = {"Origin": "http://testserver"}


def end_session(somebody):
    """Let the session end by its age, and not by signing out."""
    somebody.session.delete()


def send_signed_out(somebody, page, *buttons, **changes):
    """Send the page's form when the session has ended; return the page given back."""
    end_session(somebody)
    answer = somebody.send(page, *buttons, **changes)
    assert answer.status_code == 403
    return answer


def sign_in(somebody):
    """Sign in again, in another tab of the same browser: it gets a new CSRF token."""
    somebody.force_login(somebody.user)


def shown_fields(answer):
    return {
        field.label: field.text
        for field in answer.context["fields"]
        if field.kind != "hidden"
    }


@pytest.fixture
def guarded(alice):
    """Alice's browser, at a site that checks CSRF tokens."""
    alice.handler.enforce_csrf_checks = True
    return alice


def test_save_now_saves_it_all_once_somebody_has_signed_in_again(alice, story, page):
    keyword = Keyword.objects.create(name="fire")
    answer = send_signed_out(
        alice,
        page,
        headline="Precious",
        body="In two\r\nlines",
        is_urgent="on",
        keywords=[keyword.pk],
        comment_set__0__text="Remark",
    )
    assert "press “Save now”" in answer.text
    # Fields have the labels of the form.
    shown = shown_fields(answer)
    assert shown.pop("Body").split() == ["In", "two", "lines"]
    assert shown == {
        "Headline": "Precious",
        "Is urgent": "yes",
        "Keywords": "Your choice is kept.",
        "Comment #1: Text": "Remark",
    }
    sign_in(alice)
    assert alice.send(answer).status_code == 302
    story = saved(story)
    assert (story.headline, story.is_urgent) == ("Precious", True)
    assert story.body.replace("\r", "") == "In two\nlines"
    assert story.keywords.get() == keyword
    assert Comment.objects.get().text == "Remark"
    assert not LockToken.objects.exists()


def test_it_is_sent_by_the_button_that_was_pressed(alice, story, page):
    data = form_of(page, "_continue", headline="Precious")
    end_session(alice)
    answer = alice.post(url_of(story, _popup=1), data)
    again = form_of(answer, "none")
    assert again["_continue"] == ["1"]
    assert "_save" not in again
    sign_in(alice)
    answer = alice.post(answer.wsgi_request.get_full_path(), again)
    assert answer.url == url_of(story, _popup=1)


def test_going_on_while_signed_out_goes_on_later(alice, page):
    answer = send_signed_out(alice, page, "_lock_again", headline="Precious")
    assert "press “Go on with my text”" in answer.text
    sign_in(alice)
    answer = alice.send(answer, "none")
    assert state_of(answer) == "again"
    assert form_of(answer)["headline"] == ["Precious"]


def test_what_others_saved_meanwhile_is_not_overwritten(alice, bob, story, page):
    alice.logout()  # which releases the lock
    answer = alice.send(page, headline="Precious")
    bob.send(bob.open(story), headline="Bob's")
    sign_in(alice)
    answer = alice.send(answer)
    assert state_of(answer) == "refused"
    assert form_of(answer)["headline"] == ["Precious"]
    assert saved(story).headline == "Bob's"


def test_the_lock_of_a_session_that_has_ended_is_its_user_s_to_go_on_with(
    alice, bob, story, page
):
    answer = send_signed_out(alice, page, headline="Precious")
    assert state_of(bob.open(story)) == "locked"
    sign_in(alice)
    assert token_of(alice.open(story)) == token_of(page)
    assert alice.send(answer).status_code == 302


def test_a_void_token_is_not_given_to_the_next_session(alice, story, page):
    send_signed_out(alice, page, lock_token="0" * 32)
    sign_in(alice)
    assert state_of(alice.open(story)) == "elsewhere"
    assert standing_token(story) == token_of(page)


# What the page shows


def test_choices_have_their_names(alice, serve):
    serve(LockableModelAdmin, Sample)
    page = alice.open(Sample.objects.create(name="One", choice=1000))
    moment = {"moment_0": "2026-01-31", "moment_1": "12:30"}
    shown = shown_fields(send_signed_out(alice, page, choice="2000", **moment))
    assert shown["Choice"] == "many"
    assert shown["Moment"] == "12:30"


def test_declared_fields_and_rows_of_any_inline_have_labels(alice, serve, story):
    class Form(forms.ModelForm):
        reason = forms.CharField(label="Why this changed")

    class Keywords(admin.TabularInline):
        model = Story.keywords.through
        extra = 1

    class Comments(admin.TabularInline):
        model = Comment

    serve(LockableModelAdmin, form=Form, inlines=[Keywords, Comments])
    answer = send_signed_out(
        alice,
        alice.open(story),
        reason="A typo",
        Story_keywords__0__keyword=Keyword.objects.create(name="fire").pk,
        tests__0__x="?",
        comment_set__0__DELETE="on",
    )
    shown = shown_fields(answer)
    assert shown["Why this changed"] == "A typo"
    assert shown["Story-keyword relationship #1: Keyword"] == "Your choice is kept."
    assert shown["Comment #1: Delete"] == "yes"
    assert shown["Tests-0-x"] == "?"


@pytest.fixture
def comment(story):
    return Comment.objects.create(story=story, text="A")


def test_nobody_who_is_signed_out_learns_the_name_of_an_object(alice, comment):
    answer = send_signed_out(alice, alice.open(comment), text="Precious")
    assert shown_fields(answer)["Story"] == "Your choice is kept."
    assert "As it was" not in answer.text
    sign_in(alice)
    assert alice.send(answer).status_code == 302
    assert Comment.objects.get().text == "Precious"


@pytest.mark.parametrize("may_view", [True, False])
def test_a_user_reads_the_names_of_objects_that_they_may_see(comment, may_view):
    carol = person("carol", "tests.change_comment")
    page = carol.open(comment)
    carol.user.user_permissions.clear()
    permit(carol.user, "tests.add_comment", *["tests.view_story"] * may_view)
    shown = shown_fields(carol.send(page, text="Precious"))
    assert shown["Story"] == ("As it was" if may_view else "Your choice is kept.")


@pytest.mark.parametrize("key", ["x", "99999", "9" * 30])
def test_the_key_of_no_object_is_no_name(alice, comment, key):
    page = alice.open(comment)
    comment.delete()
    shown = shown_fields(alice.send(page, story=key))
    assert shown["Story"] == "Your choice is kept."


def test_passwords_are_to_be_typed_again(alice, page):
    answer = send_signed_out(alice, page, headline="Precious", password="hunter2")
    assert "hunter2" not in answer.text
    assert form_of(answer)["password"] == [""]
    assert "Type this again before you save" in answer.text


def test_files_are_to_be_chosen_again(alice, serve):
    serve(LockableModelAdmin, Document)
    page = alice.open(Document.objects.create(title="One"))
    answer = send_signed_out(alice, page, file=SimpleUploadedFile("a.txt", b"a"))
    assert shown_fields(answer) == {"Title": "One", "File": ""}
    assert 'enctype="multipart/form-data"' in answer.text
    assert "Choose this file again before you save" in answer.text


def test_what_cannot_be_saved_any_more_has_no_button(alice, story, page):
    story.delete()
    answer = alice.send(page, headline="Precious", password="hunter2")
    assert answer.status_code == 404
    assert "Save now" not in answer.text
    assert "This page cannot show it." in answer.text


def test_a_button_without_a_text_leads_to_the_sign_in_page(alice, bob, story):
    bob.open(story)
    value = asked(alice.open(story))
    end_session(alice)
    answer = alice.post(url_of(story), {"_take_over": value})
    assert answer.status_code == 302
    assert "/login/" in answer.url


# An old CSRF token


def test_save_without_a_script_after_signing_in_elsewhere_asks_to_press_again(
    guarded, story, page
):
    data = form_of(page, headline="Precious")
    end_session(guarded)
    guarded.post("/admin/login/", headers=OWN)
    guarded.cookies["csrftoken"] = "x" * 32
    sign_in(guarded)
    answer = guarded.post(url_of(story), data, headers=OWN)
    assert answer.status_code == 403
    assert "You have signed in or out since you opened the form" in answer.text
    assert shown_fields(answer)["Headline"] == "Precious"
    assert guarded.post(url_of(story), form_of(answer), headers=OWN).status_code == 302
    assert saved(story).headline == "Precious"


@pytest.mark.parametrize("in_session", [True, False])
def test_save_now_needs_at_most_two_presses(guarded, settings, story, in_session):
    settings.CSRF_USE_SESSIONS = in_session
    data = form_of(guarded.open(story), headline="Precious")
    end_session(guarded)
    answer = guarded.post(url_of(story), data, headers=OWN)
    assert "You were signed out before you saved" in answer.text
    sign_in(guarded)
    guarded.cookies["csrftoken"] = "x" * 32
    session = guarded.session
    session["_csrftoken"] = "x" * 32
    session.save()
    answer = guarded.post(url_of(story), form_of(answer), headers=OWN)
    assert "You have signed in or out since you opened the form" in answer.text
    assert guarded.post(url_of(story), form_of(answer), headers=OWN).status_code == 302
    assert saved(story).headline == "Precious"
    assert holder_of(story) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "https://testserver"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://www.testserver"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_no_other_site_has_its_words_shown_with_a_button_to_save_them(
    guarded, story, page, headers, signed_in
):
    data = form_of(page, headline="Call 555", csrfmiddlewaretoken="y" * 32)
    if not signed_in:
        end_session(guarded)
    answer = guarded.post(url_of(story), data, headers=headers)
    assert answer.status_code == 403
    assert "Call 555" not in answer.text
    assert saved(story).headline == "As it was"


def test_a_browser_that_says_that_the_page_is_of_this_site_is_believed(
    guarded, story, page
):
    data = form_of(page, headline="Mine", csrfmiddlewaretoken="y" * 32)
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://testserver"}
    answer = guarded.post(url_of(story), data, headers=headers)
    assert shown_fields(answer)["Headline"] == "Mine"


@pytest.mark.parametrize("view", ["change", "add", ""])
def test_every_form_still_needs_its_csrf_token(guarded, story, view):
    url = {"change": url_of(story), "add": f"{LIST}add/", "": LIST}[view]
    data = form_of(guarded.get(url), csrfmiddlewaretoken=None)
    for sent in (data, {"action": "shout", "_selected_action": [story.pk]}):
        answer = guarded.post(url, sent, headers=OWN)
        assert answer.status_code == 403
    assert Story.objects.get().headline == "As it was"


def test_the_project_s_own_check_of_csrf_decides(guarded, settings, story, page):
    settings.MIDDLEWARE = [
        f"{__name__}.Stricter" if "Csrf" in name else name
        for name in settings.MIDDLEWARE
    ]
    data = form_of(page, headline="Mine")
    assert guarded.post(url_of(story), data, headers=OWN).status_code == 403
    assert saved(story).headline == "As it was"


class Stricter(CsrfViewMiddleware):
    def process_view(self, request, *args):
        if request.method == "POST":
            return self._reject(request, "never")
        return super().process_view(request, *args)


# A permission that was lost


@pytest.mark.parametrize("may_view", [True, False])
def test_save_now_saves_once_the_permission_is_back(story, may_view):
    carol = person("carol", CHANGE)
    page = carol.open(story)
    carol.user.user_permissions.clear()
    permit(carol.user, *["tests.view_story"] * may_view)
    answer = carol.send(page, headline="Precious")
    assert answer.status_code == 403
    assert shown_fields(answer)["Headline"] == "Precious"
    assert "If you are allowed to change it again" in answer.text
    assert saved(story).headline == "As it was"
    permit(carol.user, CHANGE)
    assert carol.send(answer).status_code == 302
    assert saved(story).headline == "Precious"


@pytest.mark.parametrize("url", [LIST, f"{LIST}add/"])
def test_a_permission_that_was_lost_gives_back_a_new_object_and_a_list(url, story):
    carol = person("carol", "tests.add_story", "tests.change_story")
    page = carol.get(url)
    carol.user.user_permissions.clear()
    answer = carol.send(page, headline="Precious", form__0__body="Precious")
    assert answer.status_code == 403
    assert "no longer allowed to change this" in answer.text
    assert "Precious" in shown_fields(answer).values()


def test_an_action_that_is_not_permitted_is_answered_as_in_django(story):
    carol = person("carol", "tests.add_story")
    answer = carol.post(LIST, {"action": "shout", "_selected_action": [story.pk]})
    assert answer.status_code == 403
    assert "Save now" not in answer.text


def test_a_list_is_given_back_under_its_labels(bob, stories):
    page = bob.get(LIST)
    assert {"action", "_save"} <= {*form_of(page)}  # one form, with the actions
    answer = send_signed_out(bob, page, form__1__body="Precious")
    assert shown_fields(answer)["Story #2: Body"] == "Precious"
    assert bodies() == ["Once"] * 3
    sign_in(bob)
    bob.post(LIST, form_of(answer))
    assert bodies() == ["Once", "Precious", "Once"]


def test_the_rows_of_a_generic_inline_are_known_by_their_prefix(alice, rf):
    class LockInline(GenericTabularInline):
        model = LockToken
        ct_field = "locked_object_content_type"
        ct_fk_field = "locked_object_id"

    request = rf.get("/")
    request.user = alice.user
    formset = LockInline(Story, admin.site).get_formset(request)
    assert [*prefixes(Story, LockInline)] == [formset.get_default_prefix()]
