"""The row of an inline has a page of its own too: its two pages never undo each other."""

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.admin.lockable.shown_rows import fields_saved_since
from lock_tokens.models import LockToken
from tests.models import Comment, Keyword, Label, Reply, Story
from tests.support.admin_site import (
    CommentInline,
    StoryAdmin,
    assert_refused,
    form_of,
    holder_of,
    new_site,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    token_of,
    urls_of_site,
)
from tests.support.helpers import ACQUIRE, InThread, expire, wait_until_blocked_or_done


@pytest.fixture
def rows(story):
    return [Comment.objects.create(story=story, text=text) for text in ("one", "two")]


@pytest.fixture
def serve_inline(serve):
    """Serve stories with comments in an inline that has these attributes."""

    def serve_inline(**attributes):
        serve(StoryAdmin, inlines=[type("Inline", (CommentInline,), attributes)])

    return serve_inline


def texts():
    return list(Comment.objects.order_by("pk").values_list("text", flat=True))


def assert_not_saved(answer, *said):
    """Check that the page says why nothing was saved, and that it can go on."""
    assert answer.status_code == 200
    assert state_of(answer) == "held"
    for text in ("Nothing was saved", *said):
        assert text in answer.text
    shown = answer.context["original"]
    assert not LogEntry.objects.filter(
        object_id=shown.pk, content_type=ContentType.objects.get_for_model(shown)
    ).exists()


def test_a_row_that_another_edits_on_its_own_page_is_not_saved(alice, bob, story, rows):
    theirs = bob.open(rows[0])
    page = alice.open(story)
    typed = {"headline": "Mine", "comment_set__0__text": "Mine"}
    wrong = alice.send(page, **typed, comment_set__1__text="Mine too")
    assert_not_saved(wrong, "“one”", "Bob Writer has been editing it")
    assert "“two”" not in wrong.text
    assert (saved(story).headline, texts()) == ("As it was", ["one", "two"])
    assert form_of(wrong)["headline"] == ["Mine"]
    assert form_of(wrong)["comment_set-0-text"] == ["Mine"]
    assert [holder_of(story), holder_of(rows[0])] == [alice.user, bob.user]
    assert LockToken.objects.count() == 2
    # When the other has finished, it can be saved.
    assert bob.send(theirs).status_code == 302
    assert alice.send(wrong).status_code == 302
    assert (saved(story).headline, texts()) == ("Mine", ["Mine", "Mine too"])
    assert not LockToken.objects.exists()


def test_rows_that_are_not_changed_may_be_edited_by_others(alice, bob, story, rows):
    bob.open(rows[0])
    assert alice.send(alice.open(story), comment_set__1__text="Mine").status_code == 302
    assert texts() == ["one", "Mine"]
    assert holder_of(rows[0]) == bob.user


@pytest.mark.parametrize("edited", ["“one”", "Reply: “reply”"])
def test_a_row_that_another_edits_or_edits_below_is_not_deleted(
    alice, bob, story, rows, edited
):
    reply = Reply.objects.create(comment=rows[0], text="reply")
    LockToken.objects.acquire(rows[0] if edited == "“one”" else reply, user=bob.user)
    wrong = alice.send(alice.open(story), headline="Mine", comment_set__0__DELETE="on")
    assert_not_saved(wrong, edited, "Bob Writer has been editing it")
    assert form_of(wrong)["comment_set-0-DELETE"] == ["on"]
    assert (saved(story).headline, texts()) == ("As it was", ["one", "two"])
    LockToken.objects.all().delete()
    page = alice.open(story)
    assert alice.send(page, comment_set__0__DELETE="on").status_code == 302
    assert texts() == ["two"]


@pytest.mark.parametrize("has_error", [False, True])
def test_a_row_that_another_has_changed_meanwhile_stays_when_it_is_not_touched(
    alice, bob, story, rows, has_error, page
):
    """An error elsewhere does not hide that it has changed."""
    bob.send(bob.open(rows[0]), text="Theirs")
    if has_error:
        page = alice.send(page, headline="")
        assert "This field is required" in page.text
    assert alice.send(page, headline="Mine").status_code == 302
    assert (saved(story).headline, texts()) == ("Mine", ["Theirs", "two"])


def test_who_has_touched_it_is_told_what_is_saved_before_it_is_replaced(
    alice, bob, story, rows, page
):
    bob.send(bob.open(rows[0]), text="Theirs")
    wrong = alice.send(page, headline="Mine", comment_set__0__text="Mine")
    assert_not_saved(
        wrong,
        "“Theirs” (somebody else changed it after you opened this page)",
        "Text: “Theirs”",
        "To replace it, save again.",
    )
    assert (saved(story).headline, texts()) == ("As it was", ["Theirs", "two"])
    assert form_of(wrong)["comment_set-0-text"] == ["Mine"]
    # What another changes after that is told again.
    bob.send(bob.open(rows[0]), text="Theirs again")
    wrong = alice.send(wrong)
    assert_not_saved(wrong, "Text: “Theirs again”")
    assert alice.send(wrong).status_code == 302
    assert texts() == ["Mine", "two"]


def test_who_wants_to_delete_it_is_told_what_is_saved(alice, bob, rows, page):
    bob.send(bob.open(rows[0]), text="Theirs")
    wrong = alice.send(page, comment_set__0__DELETE="on")
    assert_not_saved(wrong, "Text: “Theirs”", "To delete it all the same, save again.")
    assert texts() == ["Theirs", "two"]
    assert alice.send(wrong).status_code == 302
    assert texts() == ["two"]


def test_after_a_refusal_only_the_rows_that_were_typed_in_replace_others(
    alice, bob, rows, page
):
    for row in rows:
        bob.send(bob.open(row), text="Theirs")
    refused = alice.send_late(page, comment_set__0__text="Mine")
    (difference,) = refused.context["lock_page"].differences
    assert difference.label == "comments"
    assert alice.send(alice.send(refused, "_lock_again")).status_code == 302
    assert texts() == ["Mine", "Theirs"]


def test_rows_that_only_others_have_changed_are_no_difference(alice, bob, story, rows):
    page = alice.open(story)
    take_and_leave(story)
    bob.send(bob.open(rows[0]), text="Theirs")
    assert alice.send(page).status_code == 302
    assert texts() == ["Theirs", "two"]


def test_one_s_own_page_of_a_row_is_void_after_it_was_saved_in_the_inline(
    alice, story, rows
):
    own = alice.open(rows[0])
    page = alice.open(story)
    assert alice.send(page, comment_set__0__text="Mine").status_code == 302
    assert texts() == ["Mine", "two"]
    assert_refused(alice.send(own, text="Stale"), text="Stale")
    assert texts() == ["Mine", "two"]
    assert not LockToken.objects.exists()


def test_one_s_own_page_of_a_row_keeps_its_lock_when_nothing_is_saved(
    alice, bob, story, rows
):
    own = alice.open(rows[0])
    bob.open(rows[1])
    page = alice.open(story)
    wrong = alice.send(page, comment_set__0__text="Mine", comment_set__1__text="Mine")
    assert_not_saved(wrong, "“two”")
    assert standing_token(rows[0]) == token_of(own)
    assert alice.send(own, text="Own").status_code == 302
    assert texts() == ["Own", "two"]


def test_an_expired_lock_of_a_row_is_void_after_the_inline_was_saved(
    alice, bob, story, rows
):
    theirs = bob.open(rows[0])
    expire(rows[0])
    page = alice.open(story)
    assert alice.send(page, comment_set__0__text="Mine").status_code == 302
    assert_refused(bob.send(theirs), text="one")
    assert texts() == ["Mine", "two"]


def test_rows_of_a_read_only_inline_are_nobody_s(alice, bob, serve_inline, story, rows):
    serve_inline(has_change_permission=lambda *args, **kwargs: False)
    LockToken.objects.acquire(rows[0], user=bob.user)
    assert alice.send(alice.open(story), headline="Mine").status_code == 302
    assert (saved(story).headline, texts()) == ("Mine", ["one", "two"])


def test_forms_with_arguments_of_the_project_s_own(
    alice, bob, serve_inline, story, rows
):
    class Form(forms.ModelForm):
        def __init__(self, *args, site, **kwargs):
            super().__init__(*args, **kwargs)
            self.fields["text"].help_text = site

    class FormSet(forms.BaseInlineFormSet):
        def get_form_kwargs(self, index):
            return {**super().get_form_kwargs(index), "site": "news"}

    serve_inline(form=Form, formset=FormSet)
    page = alice.open(story)
    Comment.objects.filter(pk=rows[0].pk).update(text="Theirs")
    wrong = alice.send(page, comment_set__0__text="Mine")
    assert_not_saved(wrong, "Text: “Theirs”")
    assert alice.send(wrong).status_code == 302
    assert texts() == ["Mine", "two"]


def test_a_field_that_shows_the_time_does_not_make_a_row_seem_changed(
    alice, serve_inline, story, rows
):
    class Form(forms.ModelForm):
        seen_at = forms.DateTimeField(initial=timezone.now, required=False)

    # When a second passes, Django takes an empty row for a new one.
    serve_inline(form=Form, extra=0)
    moments = {f"comment_set__{row}__seen_at": "2001-01-01 00:00:00" for row in (0, 1)}
    answer = alice.send(alice.open(story), comment_set__0__text="Mine", **moments)
    assert answer.status_code == 302
    assert texts() == ["Mine", "two"]


def test_many_to_many_values_in_another_order_are_the_same(story):
    words = [Keyword.objects.create(name=name) for name in ("one", "two")]
    story.keywords.set(words)
    now = forms.modelform_factory(Story, fields=["keywords"])(instance=story)
    one, two = (word.pk for word in words)
    assert fields_saved_since(now, {"keywords": [one, two]}) == []
    assert fields_saved_since(now, {"keywords": [two, one]}) == []
    for other in ([one], [], None, [one, "x"], "x"):
        assert fields_saved_since(now, {"keywords": other}) == ["keywords"]


def test_what_a_field_hides_is_not_in_the_page(alice, serve, story, rows):
    class Form(forms.ModelForm):
        class Meta:
            widgets = {"text": forms.PasswordInput}

    class Inline(CommentInline):
        form = Form

    class Admin(StoryAdmin):
        def get_changelist_form(self, request, **kwargs):
            hidden = {"body": forms.PasswordInput}
            return super().get_changelist_form(request, **kwargs, widgets=hidden)

    serve(Admin, inlines=[Inline])
    Comment.objects.update(text="secret1")
    Story.objects.update(body="secret2")
    # The heading of a row names it.
    fields = form_of(alice.open(story))
    assert "secret1" not in str(fields)
    assert "initial-comment_set-0-id" in fields
    fields = form_of(alice.get("/admin/tests/story/"))
    assert "secret2" not in str(fields)
    assert "initial-form-0-id" in fields


def test_a_page_to_read_sends_nothing_back(alice, bob, story, rows):
    alice.open(story)
    locked = bob.open(story)
    assert state_of(locked) == "locked"
    assert "initial-comment_set" not in locked.text


def test_the_rows_of_two_inlines_of_one_model(alice, serve, story, rows):
    """One row that both show, changed in both, is locked once."""
    serve(StoryAdmin, inlines=[CommentInline, CommentInline])
    changes = {"comment_set-0-text": "Mine", "comment_set-2-0-text": "Mine"}
    assert alice.send(alice.open(story), **changes).status_code == 302
    assert texts() == ["Mine", "two"]
    assert not LockToken.objects.exists()


def test_a_package_s_second_call_of_save_model_finds_the_rows_locked(
    alice, serve, story, rows
):
    @serve
    class Admin(StoryAdmin):
        def save_model(self, request, obj, form, change):
            super().save_model(request, obj, form, change)
            super().save_model(request, obj, form, change)

    page = alice.open(story)
    assert alice.send(page, comment_set__0__text="Mine").status_code == 302
    assert texts() == ["Mine", "two"]


def test_a_deletion_that_only_saves_is_under_the_page_s_lock(alice, serve, story):
    @serve
    class Admin(StoryAdmin):
        def delete_model(self, request, obj):
            obj.headline = "Deleted"
            self.save_model(request, obj, None, change=True)

    page = alice.open(story, "delete")
    assert alice.send(page, "post").status_code == 302
    assert saved(story).headline == "Deleted"
    assert not LockToken.objects.exists()


@pytest.fixture
def labels(serve):
    serve(LockableModelAdmin, Label, fields=["name"])
    return [Label.objects.create(name=name) for name in ("one", "two")]


def test_a_new_key_does_not_write_over_what_another_edits(alice, bob, labels):
    """One that is free is saved as in Django."""
    theirs = bob.open(labels[1])
    page = alice.open(labels[0])
    wrong = alice.send(page, name="two")
    assert_not_saved(wrong, "“Label object (two)”", "Bob Writer has been editing it")
    assert form_of(wrong)["name"] == ["two"]
    assert Label.objects.count() == 2
    assert standing_token(labels[1]) == token_of(theirs)
    assert alice.send(page, name="three").status_code == 302
    assert set(Label.objects.values_list("name", flat=True)) == {"one", "two", "three"}
    assert standing_token(labels[0]) is None


def queries_of_saving(alice, story, number):
    page = alice.open(story)
    changes = {f"comment_set-{row}-text": f"{number} {row}" for row in range(number)}
    with CaptureQueriesContext(connection) as queries:
        assert alice.send(page, **changes).status_code == 302
    return len(queries)


def test_a_save_costs_no_more_for_rows_that_stay(alice, serve, story):
    """Two for all that are changed, and for each of them its lock and its release."""

    class DjangosAdmin(admin.ModelAdmin):
        inlines = [CommentInline]

    class OurAdmin(DjangosAdmin, LockableModelAdmin):
        pass

    for number in range(5):
        Comment.objects.create(story=story, text=f"row {number}")

    def more_than_django(number):
        counts = []
        for model_admin in (OurAdmin, DjangosAdmin):
            serve(model_admin)
            Comment.objects.update(text="Once")
            counts.append(queries_of_saving(alice, story, number))
        return counts[0] - counts[1]

    more_than_django(1)  # warms the caches
    none, one, two, five = [more_than_django(number) for number in (0, 1, 2, 5)]
    each = two - one
    assert one - none == 2 + each
    assert five - one == 4 * each
    looks_first = 1 if connection.vendor == "mysql" else 0
    assert each == looks_first + len(ACQUIRE) + 1


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_who_opens_a_row_s_page_during_the_save_sees_what_it_saves(
    alice, bob, settings, story, rows
):
    threads = []

    class Admin(StoryAdmin):
        def save_model(self, request, obj, form, change):
            super().save_model(request, obj, form, change)
            thread = InThread(lambda: bob.open(rows[0]))
            threads.append(thread)
            wait_until_blocked_or_done(thread)

    site = new_site()
    site.register(Story, Admin)
    site.register(Comment, LockableModelAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)
    page = alice.open(story)
    assert alice.send(page, comment_set__0__text="Mine").status_code == 302
    theirs = threads[0]()
    if state_of(theirs) == "held":
        assert form_of(theirs)["text"] == ["Mine"]
        assert bob.send(theirs).status_code == 302
    assert texts() == ["Mine", "two"]
