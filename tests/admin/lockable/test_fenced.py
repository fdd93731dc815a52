"""A save is one transaction: of its lock, of Django, and of the project's hooks."""

import pytest
from django.contrib import admin
from django.db import IntegrityError

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.models import LockableModel
from tests.models import Comment, Keyword
from tests.support.admin_site import CommentInline, saved, state_of, token_of

pytestmark = pytest.mark.any_database


class Noting:
    """Its admin writes before it saves."""

    inlines = [CommentInline]

    def save_model(self, request, obj, form, change):
        Keyword.objects.create(name="noted")
        super().save_model(request, obj, form, change)


class Failing(admin.ModelAdmin):
    """It does something after the save, within the lock."""

    def changeform_view(self, request, *args, **kwargs):
        answer = super().changeform_view(request, *args, **kwargs)
        if request.POST.get("headline") == "Fail":
            raise IntegrityError
        return answer


def kept(story):
    return Keyword.objects.count(), saved(story).headline


@pytest.mark.parametrize("mixed_with", [(), (Failing,)])
def test_nothing_stays_of_a_save_that_a_row_stops(serve, alice, bob, story, mixed_with):
    serve(type("Admin", (Noting, LockableModelAdmin, *mixed_with), {}))
    row = Comment.objects.create(story=story, text="one")
    page = alice.open(story)
    theirs = LockableModel.lock(row, user=bob.user)
    stopped = alice.send(page, headline="Mine", comment_set__0__text="Mine")
    assert (stopped.status_code, state_of(stopped)) == (200, "held")
    assert "Nothing was saved" in stopped.text
    assert token_of(stopped) == token_of(page)
    assert kept(story) == (0, "As it was")
    LockableModel.unlock(row, theirs["token"])
    assert alice.send(stopped).status_code == 302
    assert kept(story) == (1, "Mine")


def test_an_error_after_the_save_undoes_it(serve, alice, story):
    serve(type("Admin", (Noting, LockableModelAdmin, Failing), {}))
    page = alice.open(story)
    with pytest.raises(IntegrityError):
        alice.send(page, headline="Fail")
    assert kept(story) == (0, "As it was")
    assert alice.send(page, headline="Mine").status_code == 302
