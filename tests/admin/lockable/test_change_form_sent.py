"""What was sent beside the fields of the form: a refusal keeps that too."""

import pytest
from django import forms
from django.contrib import admin
from django.forms import inlineformset_factory

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.models import LockToken
from tests.models import Comment, Reply, Sample, Story
from tests.support.admin_site import (
    CommentInline,
    StoryAdmin,
    assert_refused,
    form_of,
    messages_of,
    saved,
    state_of,
    take_and_leave,
    url_of,
)

SAME = "What you typed is the same as the saved version."


@pytest.fixture
def notes(serve):
    """Serve an admin that saves a note, which is no field of the form."""

    @serve
    class Admin(StoryAdmin):
        def save_model(self, request, obj, form, change):
            obj.body = request.POST.get("note", obj.body)
            super().save_model(request, obj, form, change)


def others_of(page):
    return page.context["lock_page"].others


def save_refused(alice, refused):
    """Go on from the refused page, and save."""
    assert alice.send(alice.send(refused, "_lock_again")).status_code == 302


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
@pytest.mark.parametrize("note", ["My note", ""])
def test_a_name_that_save_model_reads_is_never_said_to_be_saved(
    alice, notes, story, button, note, page
):
    take_and_leave(story)
    refused = alice.send(page, button, note=note)
    assert_refused(refused)
    assert note in refused.text
    assert SAME not in refused.text
    assert saved(story).body == "Once"


def test_what_was_typed_under_such_a_name_stays_until_it_is_saved(
    alice, bob, notes, story, page
):
    take_and_leave(story)
    refused = alice.send(page, note="My <b>\nnote = 1")
    assert refused.context["lock_page"].others == [("Note", "My <b>\nnote = 1")]
    bob.open(story)
    refused = alice.send(refused, "_lock_again")
    assert_refused(refused)
    LockToken.objects.all().delete()
    again = alice.send(refused, "_lock_again", note="My other note")
    assert state_of(again) == "again"
    assert [(name, value.replace("\r", "")) for name, value in others_of(again)] == [
        ("Note", "My other note"),
        ("Note", "My <b>\nnote = 1"),
    ]
    assert "My &lt;b&gt;" in again.text
    assert SAME not in again.text
    assert alice.send(again, note="My note").status_code == 302
    assert saved(story).body == "My note"


def test_a_password_under_such_a_name_is_not_shown(alice, notes, story, page):
    take_and_leave(story)
    refused = alice.send(page, new_password="secret1")
    assert_refused(refused)
    assert "secret1" not in refused.text


def test_the_same_sent_twice_is_known_with_all_that_django_s_pages_send(
    alice, serve, story
):
    """Widgets of several inputs, hidden initial values, an inline and its empty row."""

    class Row(admin.TabularInline):
        model = Story.keywords.through
        extra = 1

    class StoryForm(forms.ModelForm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.fields["body"].show_hidden_initial = True

    class SampleForm(forms.ModelForm):
        day = forms.DateField(widget=forms.SelectDateWidget, required=False)

    serve(LockableModelAdmin, form=StoryForm, inlines=[CommentInline, Row])
    Comment.objects.create(story=story, text="Remark")
    page = alice.open(story)
    data = form_of(page, headline="New") | {"comment_set-__prefix__-text": ""}
    assert is_known(alice, story, data)

    serve(LockableModelAdmin, Sample, form=SampleForm)
    sample = Sample.objects.create(name="As it was")
    moment = {"moment_0": "2026-01-02", "moment_1": "03:04:05"}
    day = {"day_year": "2026", "day_month": "1", "day_day": "2"}
    data = form_of(alice.open(sample), **moment, **day)
    assert is_known(alice, sample, data)
    assert not is_known(alice, sample, data | {"moment_2": "more"})


def is_known(alice, obj, data):
    """Send it twice; say whether the second time is told that all is saved."""
    alice.open(obj)
    assert alice.post(url_of(obj), data).status_code in (302, 403)
    answer = alice.post(url_of(obj), data, follow=True)
    return answer.status_code == 200 and any(
        "nothing to save" in message for message in messages_of(answer)
    )


def test_a_form_may_say_that_more_has_changed_than_its_fields(alice, serve, story):
    class Form(forms.ModelForm):
        @property
        def changed_data(self):
            return [*super().changed_data, "computed"]

    serve(StoryAdmin, form=Form)
    refused = alice.send_late(alice.open(story), headline="Mine")
    shown = refused.context["lock_page"].differences
    assert [(each.label, each.current) for each in shown] == [
        ("Headline", "As it was"),
        ("computed", ""),
    ]
    assert "This is different." in refused.text
    assert "The rows are different." not in refused.text
    save_refused(alice, refused)
    assert saved(story).headline == "Mine"


NESTED = (
    "<form method=post>{% csrf_token %}{{ adminform.form.as_p }}"
    "{% load lock_tokens_tags %}"
    "{% admin_lock_handler 'tests' 'story' original.pk lock_page.token %}"
    "{% for each in inline_admin_formsets %}{{ each.formset }}"
    "{% for row in each.formset.forms %}"
    "{% for nested in row.nested_formsets %}{{ nested }}{% endfor %}{% endfor %}"
    "{% for nested in each.formset.nested_formsets %}{{ nested }}{% endfor %}"
    "{% endfor %}"
    "<button name=_save>Save</button></form>"
)
TWO_ROWS = inlineformset_factory(Comment, Reply, fields=["text"], extra=1)


@pytest.fixture
def nested(serve, templates):
    """Serve an admin with rows in rows, as the packages for nested inlines build them."""
    templates(**{"nested.html": NESTED})

    @serve
    class Admin(StoryAdmin):
        change_form_template = "nested.html"

        def _create_formsets(self, request, obj, change):
            formsets, inlines = super()._create_formsets(request, obj, change)
            sent = (request.POST, request.FILES) if request.method == "POST" else ()
            for form in formsets[0].forms:
                rows = TWO_ROWS(
                    *sent, instance=form.instance, prefix=f"{form.prefix}-replies"
                )
                form.nested_formsets = [rows]
                if sent:
                    formsets.append(rows)
                    inlines.append(inlines[0])
            to_copy = TWO_ROWS(prefix=f"{formsets[0].prefix}-empty-replies")
            formsets[0].nested_formsets = [to_copy]
            return formsets, inlines

        def get_inline_formsets(self, request, formsets, inlines, obj=None):
            return super().get_inline_formsets(
                request, formsets[:1], inlines[:1], obj=obj
            )


@pytest.fixture
def replies(story):
    """Two replies to each of two comments."""
    comments = [Comment.objects.create(story=story, text=text) for text in "AB"]
    return [
        Reply.objects.create(comment=comment, text=f"{comment} {number}")
        for comment in comments
        for number in (1, 2)
    ]


def texts():
    rows = Reply.objects.order_by("comment__text", "pk")
    return [(row.comment.text, row.text) for row in rows]


def test_a_row_in_a_row_is_never_said_to_be_saved(alice, nested, replies, story):
    refused = alice.send_late(
        alice.open(story), comment_set__0__replies__1__text="Mine"
    )
    (difference,) = refused.context["lock_page"].differences
    assert difference.label == "replies"
    assert others_of(refused) == []
    save_refused(alice, refused)
    assert texts()[1] == ("A", "Mine")


def test_rows_in_rows_that_are_sent_twice_unchanged_are_known(
    alice, nested, replies, story
):
    data = form_of(alice.open(story), headline="New")
    assert is_known(alice, story, data)


def test_a_row_in_a_row_that_nobody_knows_of_is_kept_as_text(alice, story, page):
    take_and_leave(story)
    refused = alice.send(page, comment_set__0__replies__0__text="Mine")
    assert_refused(refused)
    assert others_of(refused) == [("Comment #1: Replies-0-text", "Mine")]


def test_a_row_in_a_row_that_was_deleted_meanwhile_keeps_its_text(
    alice, nested, replies, story, page
):
    take_and_leave(story)
    replies[0].delete()
    refused = alice.send(
        page,
        comment_set__0__replies__0__text="Mine",
        comment_set__1__replies__0__text="Mine too",
    )
    assert_refused(refused, comment_set__0__replies__1__text="Mine")
    save_refused(alice, refused)
    assert texts() == [("A", "A 2"), ("A", "Mine"), ("B", "Mine too"), ("B", "B 2")]


def test_rows_in_a_row_that_was_deleted_meanwhile_keep_their_text(
    alice, nested, replies, story, page
):
    take_and_leave(story)
    replies[0].comment.delete()
    refused = alice.send(
        page,
        comment_set__0__text="Mine",
        comment_set__0__replies__1__text="My reply",
        comment_set__0__replies__2__text="My new reply",
    )
    assert_refused(
        refused,
        comment_set__1__text="Mine",
        comment_set__1__replies__1__text="My reply",
    )
    save_refused(alice, refused)
    kept = [("Mine", text) for text in ("A 1", "My reply", "My new reply")]
    assert texts() == [("B", "B 1"), ("B", "B 2"), *kept]


def test_a_row_in_a_row_that_is_gone_and_was_to_be_deleted_stays_gone(
    alice, nested, replies, story, page
):
    take_and_leave(story)
    replies[0].delete()
    delete = {"comment_set-0-replies-0-DELETE": "on"}
    save_refused(alice, alice.send(page, headline="Mine", **delete))
    assert [text for _, text in texts()] == ["A 2", "B 1", "B 2"]


def test_a_row_in_a_row_that_another_edits_is_not_saved(
    alice, bob, nested, replies, story
):
    LockToken.objects.acquire(replies[2], user=bob.user)
    page = alice.open(story)
    wrong = alice.send(
        page, headline="Mine", comment_set__1__replies__0__text="Mine too"
    )
    assert state_of(wrong) == "held"
    assert "Bob Writer has been editing it" in wrong.text
    assert form_of(wrong)["comment_set-1-replies-0-text"] == ["Mine too"]
    assert saved(story).headline == "As it was"
    take_and_leave(replies[2])
    assert alice.send(wrong).status_code == 302
    assert texts()[2] == ("B", "Mine too")


def test_a_gone_row_leaves_the_rows_of_a_second_inline_of_its_model(
    alice, serve, story
):
    """Django numbers the prefix of the second inline as it numbers rows."""

    class Inline(CommentInline):
        def get_queryset(self, request):
            return super().get_queryset(request).filter(text__startswith=self.begins)

    inlines = [type(name, (Inline,), {"begins": name}) for name in ("row", "other")]
    serve(StoryAdmin, inlines=inlines)
    rows = [Comment.objects.create(story=story, text=f"row {n}") for n in range(3)]
    Comment.objects.create(story=story, text="other")
    page = alice.open(story)
    take_and_leave(story)
    rows[0].delete()
    refused = alice.send(
        page, **{"comment_set-0-text": "Mine", "comment_set-2-0-text": "My other"}
    )
    assert_refused(refused, **{"comment_set-2-0-text": "My other"})
    save_refused(alice, refused)
    texts = {comment.text for comment in Comment.objects.all()}
    assert texts == {"row 1", "row 2", "Mine", "My other"}
