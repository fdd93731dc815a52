"""What was typed is given back when it can no longer be saved."""

import pytest

from lock_tokens.models import LockToken
from tests.models import Comment, Story
from tests.support.admin_site import (
    StoryAdmin,
    form_of,
    nothing_was_written,
    person,
    saved,
    state_of,
    take_and_leave,
    url_of,
)


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
    text = answer.text
    assert "Precious &lt;b&gt;" in text
    assert "Remark" in text
    assert "secret1" not in text
    assert "secret2" not in text
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
    assert "Precious" in answer.text
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
    assert "Precious" in answer.text
    assert alice.open(story).status_code == 302


def test_logging_out_gives_the_locks_up(alice, bob, story):
    alice.open(story)
    alice.post("/admin/logout/")
    assert not LockToken.objects.exists()
    assert state_of(bob.open(story)) == "held"


@pytest.mark.parametrize("button", ["_save", "_lock_again"])
@pytest.mark.parametrize("hidden_field", [{}, {"lock_token": None}])
def test_the_text_about_an_object_that_is_gone_is_given_back(
    alice, story, page, button, hidden_field
):
    """Also by a template that has no hidden field."""
    typed = {"headline": "Precious", "comment_set__0__text": "Remark"}
    story.delete()
    answer = alice.send(page, button, **typed, **hidden_field)
    assert answer.status_code == 404
    assert "Precious" in answer.text
    assert "Remark" in answer.text
    assert "no-store" in answer["Cache-Control"]
    assert not Story.objects.exists()
    assert not Comment.objects.exists()


@pytest.mark.parametrize("button", ["_save", "_continue", "_lock_again"])
@pytest.mark.parametrize("is_void", [False, True])
def test_the_text_is_given_back_when_the_object_goes_while_it_is_being_saved(
    alice, serve, story, page, button, is_void
):
    if is_void:
        take_and_leave(story)

    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            if obj is not None and request.method == "POST":
                Story.objects.filter(pk=obj.pk).delete()
            return True

    answer = alice.send(page, button, headline="Precious")
    assert answer.status_code == 404
    assert "Precious" in answer.text
    assert not Story.objects.exists()


def test_what_one_may_not_see_any_more_is_not_said_to_be_deleted(alice, serve, story):
    @serve
    class Admin(StoryAdmin):
        def get_queryset(self, request):
            return super().get_queryset(request).filter(is_urgent=False)

    page = alice.open(story)
    Story.objects.update(is_urgent=True)
    answer = alice.send(page, headline="Precious")
    assert answer.status_code == 404
    assert "Precious" in answer.text
    assert "or you are no longer allowed to see it" in answer.text
    assert "omebody has deleted" not in answer.text
    assert saved(story).headline == "As it was"


def test_save_as_new_works_also_when_the_original_is_gone(alice, story, page):
    story.delete()
    assert alice.send(page, "_saveasnew", headline="Copy").status_code == 302
    assert Story.objects.get().headline == "Copy"


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
    assert "Precious" in answer.text
    assert "no longer allowed to change this" in answer.text
    assert saved(story).headline == "As it was"


def test_whoever_never_had_the_permission_is_answered_as_in_django(story):
    carol = person("carol", "tests.view_story")
    answer = carol.post(url_of(story), {"headline": "Mine", "_save": "1"})
    assert answer.status_code == 403
    assert "Mine" not in answer.text
    assert nothing_was_written(story)


def test_a_new_object_of_somebody_who_is_signed_out_is_given_back(alice):
    page = alice.get("/admin/tests/story/add/")
    alice.logout()
    answer = alice.send(page, headline="Precious")
    assert answer.status_code == 403
    assert "Precious" in answer.text
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
    assert "Call 555" not in answer.text
    # One's own page's are.
    answer = alice.post(url, data)
    assert answer.status_code == 403
    assert "Call 555" in answer.text
    assert nothing_was_written(story)
