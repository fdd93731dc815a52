"""Editing in the change list."""

from urllib.parse import urlencode

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.models import LockToken
from tests.models import Story
from tests.support.admin_site import (
    LIST,
    StoryAdmin,
    bodies,
    form_of,
    headlines,
    interrupted_by,
    messages_of,
    standing_token,
    state_of,
    token_of,
)
from tests.support.helpers import lock_row, race


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_a_list_does_not_write_what_its_transaction_saw_before_others_saved(
    alice, bob, serve, stories, snapshots
):
    model_admin, turns = interrupted_by(alice, stories[0])
    serve(model_admin)
    data = form_of(
        bob.get(LIST), form__0__is_urgent="on", form__1__body="For the second"
    )
    answer = bob.post(LIST, data, follow=True)
    assert turns == [302]
    assert headlines() == ["Theirs", "second", "third"]
    assert bodies() == ["Theirs", "For the second", "Once"]
    assert not Story.objects.filter(is_urgent=True).exists()
    assert "“Theirs”" in messages_of(answer)[0]
    assert not LockToken.objects.exists()


def test_rows_of_others_are_not_written_and_free_ones_are(alice, bob, stories):
    page = bob.get(LIST)
    theirs = alice.open(stories[0])
    LockToken.objects.acquire(stories[2])
    answer = bob.send(
        page,
        form__0__body="For the first",
        form__0__is_urgent="on",
        form__1__body="For the second",
        form__2__body="For the third",
        follow=True,
    )
    assert bodies() == ["Once", "For the second", "Once"]
    assert not Story.objects.filter(is_urgent=True).exists()
    warning, unknown, success = messages_of(answer)
    assert "“first”" in warning
    assert "Alice Writer" in warning
    assert "For the first" in warning
    assert "second" not in warning
    assert "“third” (somebody else is editing it)" in unknown
    assert success.startswith("1 story")
    assert LogEntry.objects.get().object_id == str(stories[1].pk)
    assert standing_token(stories[0]) == token_of(theirs)
    assert LockToken.objects.count() == 2


def test_a_row_that_was_changed_since_is_not_overwritten(alice, bob, stories):
    """Not in another cell either."""
    page = bob.get(LIST)
    alice.send(alice.open(stories[0]), body="Theirs")
    Story.objects.filter(pk=stories[2].pk).update(is_urgent=True)
    answer = bob.send(
        page,
        form__0__body="Mine",
        form__1__body="For the second",
        form__2__body="For the third",
        form__2__is_urgent=None,
        follow=True,
    )
    assert bodies() == ["Theirs", "For the second", "Once"]
    assert Story.objects.get(is_urgent=True) == stories[2]
    warning = messages_of(answer)[0]
    assert "“first”" in warning
    assert "Mine" in warning


def test_unchanged_rows_are_never_written(bob, stories):
    """Django alone would write what the list showed over what was saved since."""
    page = bob.get(LIST)
    Story.objects.update(body="Theirs", is_urgent=True)
    answer = bob.send(page, follow=True)
    assert bodies() == ["Theirs"] * 3
    assert Story.objects.filter(is_urgent=True).count() == 3
    assert messages_of(answer) == []
    assert not LogEntry.objects.exists()


def test_a_list_of_many_rows_sends_one_field_more_for_each(bob, settings, serve):
    columns = {
        "ordering": ["pk"],
        "list_display": ["pk", "headline", "is_urgent", "body"],
        "list_editable": ["headline", "is_urgent", "body"],
    }
    Story.objects.bulk_create(
        Story(headline="story", body="Once", is_urgent=True) for _ in range(20)
    )

    def number_of_fields(model_admin):
        serve(model_admin, **columns)
        data = form_of(bob.get(LIST))
        return sum(
            len(value) if isinstance(value, list) else 1 for value in data.values()
        )

    djangos, ours = map(number_of_fields, (admin.ModelAdmin, LockableModelAdmin))
    assert ours - djangos == 20
    # What Django lets in is enough for that.
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = ours
    data = urlencode(form_of(bob.get(LIST), form__0__body="Mine"), doseq=True)
    kind = "application/x-www-form-urlencoded"
    assert bob.post(LIST, data, content_type=kind).status_code == 302
    assert bodies()[0] == "Mine"


def test_a_row_that_was_deleted_since_does_not_come_back(bob, stories):
    page = bob.get(LIST)
    stories[0].delete()
    bob.send(page, form__0__body="Mine", form__1__body="Second")
    assert "first" not in headlines()


def test_a_whole_list_of_others_writes_nothing(alice, bob, stories):
    page = bob.get(LIST)
    for story in stories:
        alice.open(story)
    typed = {f"form__{n}__body": "Mine" for n in range(3)}
    answer = bob.send(page, **typed, follow=True)
    assert bodies() == ["Once"] * 3
    assert len(messages_of(answer)) == 3
    assert not LogEntry.objects.exists()


def test_a_list_that_does_not_say_what_it_showed_works_as_in_django(
    alice, bob, stories
):
    """A template of the project's own need not print the hidden fields."""
    Story.objects.filter(pk=stories[1].pk).update(is_urgent=True)
    hidden = {f"initial-form-{row}-id": None for row in range(3)}
    typed = {"form__2__is_urgent": "on", "form__2__body": ""}
    page = bob.get(LIST)
    assert {*hidden} <= {*form_of(page)}
    alice.open(stories[0])  # which is another's
    bob.send(page, **hidden, **typed, form__0__body="Mine", form__1__is_urgent=None)
    rows = [(story.is_urgent, story.body) for story in Story.objects.order_by("pk")]
    assert rows == [(False, "Once"), (False, "Once"), (True, "")]


def test_an_error_in_the_list_writes_and_locks_nothing(alice, bob, serve, stories):
    serve(
        StoryAdmin,
        list_display=["pk", "headline", "body"],
        list_editable=["headline", "body"],
    )
    page = bob.get(LIST)
    alice.send(alice.open(stories[2]), body="Theirs")
    answer = bob.send(page, form__0__headline="", form__1__body="Precious")
    assert answer.status_code == 200
    assert "This field is required" in answer.text
    assert form_of(answer)["form-1-body"] == ["Precious"]
    assert bodies() == ["Once", "Once", "Theirs"]
    assert not LockToken.objects.exists()
    # It goes on from what it showed first.
    assert bob.send(answer, form__0__headline="Now").status_code == 302
    assert headlines() == ["Now", "second", "third"]
    assert bodies() == ["Once", "Precious", "Theirs"]


def test_an_error_while_the_list_is_saved_undoes_it_and_gives_the_locks_up(
    alice, serve, stories
):
    @serve
    class Admin(StoryAdmin):
        def save_model(self, request, obj, form, change):
            super().save_model(request, obj, form, change)
            if obj.headline == "second":
                raise RuntimeError("the disk is full")

    own = token_of(alice.open(stories[0]))
    page = alice.get(LIST)
    with pytest.raises(RuntimeError):
        alice.send(page, form__0__body="One", form__1__body="Two")
    assert bodies() == ["Once"] * 3
    assert standing_token(stories[0]) == own
    assert standing_token(stories[1]) is None


def test_one_s_own_open_page_is_void_after_the_list_was_saved(alice, stories):
    own = alice.open(stories[0])
    other = alice.open(stories[1])
    alice.send(alice.get(LIST), form__0__body="By the list")
    assert bodies()[0] == "By the list"
    assert alice.send(own, headline="Stale").status_code == 403
    assert headlines()[0] == "first"
    # What the list did not change lives on.
    assert alice.send(other, headline="Fresh").status_code == 302
    assert headlines()[1] == "Fresh"
    assert not LockToken.objects.exists()


def test_the_list_is_saved_under_the_locks_of_its_rows(bob, serve, stories):
    seen = []

    class Admin(StoryAdmin):
        def save_model(self, request, obj, form, change):
            lock = lock_row(obj).get()
            seen.append((lock.locked_by, lock.expires_at - lock.locked_at))
            super().save_model(request, obj, form, change)

    serve(Admin, lock_timeout=30)
    bob.send(bob.get(LIST), form__0__body="Mine")
    ((user, life),) = seen
    assert user == bob.user
    assert life.total_seconds() == pytest.approx(30, abs=10)
    assert not LockToken.objects.exists()


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_nobody_can_open_a_row_while_the_list_is_saved(alice, bob, serve, stories):
    seen = []

    @serve
    class Admin(StoryAdmin):
        def save_model(self, request, obj, form, change):
            super().save_model(request, obj, form, change)
            seen.extend(race(lambda: state_of(alice.open(obj))))

    bob.send(bob.get(LIST), form__0__body="Mine")
    assert seen == ["locked"]
    assert bodies() == ["Mine", "Once", "Once"]
    assert not LockToken.objects.exists()


def test_a_form_class_of_the_project_s_own_is_left_as_it_is(bob, serve, stories):
    StoryForm = forms.modelform_factory(Story, fields=["body"])
    serve(
        StoryAdmin,
        list_editable=["body"],
        get_changelist_form=lambda *args, **kwargs: StoryForm,
    )
    bob.send(bob.get(LIST), form__0__body="Mine")
    assert bodies()[0] == "Mine"
    form = StoryForm(instance=stories[0])
    assert "initial-" not in str(form)
    assert StoryForm({"body": "Twice"}, instance=stories[0]).has_changed()
    assert not StoryForm({"body": stories[0].body}, instance=stories[0]).has_changed()


def queries_of_saving(somebody, number):
    """Return how many statements a list needs, of whose rows some are changed."""
    page = somebody.get(LIST)
    changes = {f"form__{n}__body": f"Body {n}" for n in range(number)}
    with CaptureQueriesContext(connection) as queries:
        assert somebody.send(page, **changes).status_code == 302
    return len(queries)


def test_django_s_queries_grow_by_as_many_for_each_row_that_is_changed(bob, serve):
    """Nothing for those that stay; for each that is written, its lock and its release."""

    class DjangosAdmin(admin.ModelAdmin):
        list_display = StoryAdmin.list_display[:-1]
        list_editable = StoryAdmin.list_editable

    class OurAdmin(DjangosAdmin, LockableModelAdmin):
        pass

    def more_than_django(rows):
        counts = []
        for model_admin in (OurAdmin, DjangosAdmin):
            Story.objects.update(body="Once")
            serve(model_admin)
            counts.append(queries_of_saving(bob, rows))
        return counts[0] - counts[1]

    for n in range(3):
        Story.objects.create(headline=f"story {n}")
    more_than_django(1)  # warms the caches
    unchanged, one, two = [more_than_django(rows) for rows in (0, 1, 2)]
    for n in range(27):
        Story.objects.create(headline=f"more {n}")
    assert more_than_django(0) == unchanged == 0
    assert more_than_django(1) == one
    assert more_than_django(3) - more_than_django(2) == two - one <= 7


@pytest.mark.parametrize("key", ["", "99999"])
def test_a_list_adds_no_row_that_was_forged(bob, stories, key):
    data = form_of(bob.get(LIST)) | {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "0",
        "form-0-id": key,
        "form-0-body": "Forged",
    }
    answer = bob.post(LIST, data)
    assert answer.status_code == (400 if key == "" else 200)
    assert Story.objects.count() == 3
    assert not LockToken.objects.exists()


def test_a_list_form_may_say_that_more_has_changed_than_its_fields(
    alice, bob, serve, stories
):
    class Form(forms.ModelForm):
        @property
        def changed_data(self):
            return [*super().changed_data, "computed"]

    @serve
    class Admin(StoryAdmin):
        def get_changelist_form(self, request, **kwargs):
            return super().get_changelist_form(request, **{**kwargs, "form": Form})

    page = bob.get(LIST)
    alice.open(stories[0])
    answer = bob.send(page, form__0__body="Mine", form__1__body="Mine", follow=True)
    assert bodies() == ["Once", "Mine", "Once"]
    assert "You entered Body: “Mine”." in messages_of(answer)[0]
