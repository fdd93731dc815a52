"""The change list in the admin: who edits what, actions, and editing in the list."""

import json
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from urllib.parse import urlencode

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, OperationalError, connection, connections, models
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from lock_tokens.admin import LockableModelAdmin, LockStateFilter
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.querysets import live_lock
from lock_tokens.sessions import get_session_token
from lock_tokens.signals import lock_acquired
from tests.models import (
    Article,
    ArticleProxy,
    Comment,
    Document,
    Keyword,
    Label,
    Page,
    Plain,
    Price,
    Sample,
    Story,
    Translation,
)
from tests.support.admin_site import (
    StoryAdmin,
    TextAdmin,
    form_of,
    holder_of,
    list_of,
    messages_of,
    person,
    standing_token,
    state_of,
    text_of,
    token_of,
    url_of,
)
from tests.support.helpers import expire, lock_row, race

pytestmark = [pytest.mark.urls("tests.support.admin_site"), pytest.mark.django_db]

LIST = "/admin/tests/story/"


@pytest.fixture
def stories():
    """Three stories: Alice will edit the first, nobody the second, Bob the third."""
    return [
        Story.objects.create(headline=name, body="Once")
        for name in ("first", "second", "third")
    ]


@pytest.fixture
def edited(alice, bob, stories):
    """The pages that Alice and Bob have open."""
    first, _second, third = stories
    return alice.open(first), bob.open(third)


def headlines():
    return [story.headline for story in Story.objects.order_by("pk")]


def bodies():
    return [story.body for story in Story.objects.order_by("pk")]


def act(somebody, action, objects, url=LIST, **more):
    """Run an action on the objects, as the list's button does."""
    data = {
        "action": action,
        "index": "0",
        "select_across": "0",
        "_selected_action": [str(obj.pk) for obj in objects],
        **more,
    }
    return somebody.post(url, data, follow=True)


# Actions


def test_an_action_runs_on_free_and_own_rows_and_names_the_rest(bob, stories, edited):
    page, _own = edited
    answer = act(bob, "shout", stories)
    assert headlines() == ["first", "SECOND", "THIRD"]
    (message,) = messages_of(answer)
    assert "“first”" in message
    assert "Alice Writer" in message
    assert "second" not in message.lower()
    assert standing_token(stories[0]) == token_of(page)


def test_an_action_runs_on_expired_locks_of_others(alice, bob, stories, edited):
    expire(stories[0])
    answer = act(bob, "shout", stories)
    assert headlines() == ["FIRST", "SECOND", "THIRD"]
    assert messages_of(answer) == []
    # Whoever had it cannot write over that.
    page, _own = edited
    assert alice.send(page, body="Mine").status_code == 403
    assert bodies()[0] == "Once"


def test_one_s_own_lock_in_another_browser_counts_as_another_s(alice, stories, edited):
    elsewhere = alice.elsewhere()
    answer = act(elsewhere, "shout", stories[:2])
    assert headlines() == ["first", "SECOND", "third"]
    assert "Alice Writer" in messages_of(answer)[0]


def test_when_all_is_left_out_the_action_is_not_run(bob, serve, stories, edited):
    runs = []

    @admin.action
    def count(model_admin, request, queryset):
        runs.append(list(queryset))

    @serve
    class Admin(StoryAdmin):
        actions = [count]

    answer = act(bob, "count", stories[:1])
    assert runs == []
    assert "Alice Writer" in messages_of(answer)[0]
    act(bob, "count", stories)
    assert runs == [stories[1:]]


def test_all_rows_of_all_pages_can_be_selected(bob, serve, stories, edited):
    @serve
    class Admin(StoryAdmin):
        list_per_page = 1

    act(bob, "shout", stories[1:2], select_across="1")
    assert headlines() == ["first", "SECOND", "THIRD"]
    assert LockToken.objects.get().locked_object == stories[0]


@pytest.mark.parametrize("across", ["0", "", "False", None])
def test_without_that_only_what_is_selected_is_looked_at(bob, stories, edited, across):
    more = {} if across is None else {"select_across": across}
    data = {"action": "shout", "index": "0", "_selected_action": [stories[1].pk]}
    answer = bob.post(LIST, {**data, **more}, follow=True)
    assert headlines() == ["first", "SECOND", "third"]
    assert messages_of(answer) == []
    assert LockToken.objects.count() == 2


def test_a_queryset_update_writes_nothing_of_others(bob, stories, edited):
    act(bob, "update_all", stories, select_across="1")
    assert bodies() == ["Once", "updated", "updated"]


def test_exempt_actions_run_on_all(bob, stories, edited):
    answer = act(bob, "print_all", stories)
    assert text_of(answer) == "first second third"
    _theirs, own = edited
    assert standing_token(stories[2]) == token_of(own)


def test_locks_are_given_up_after_the_action(bob, stories):
    act(bob, "shout", stories)
    assert headlines() == ["FIRST", "SECOND", "THIRD"]
    assert not LockToken.objects.exists()


def test_locks_are_given_up_when_the_action_fails(bob, serve, stories, edited):
    @admin.action
    def fail(model_admin, request, queryset):
        raise RuntimeError("the disk is full")

    @serve
    class Admin(StoryAdmin):
        actions = [fail]

    page, own = edited
    with pytest.raises(RuntimeError):
        act(bob, "fail", stories)
    assert standing_token(stories[0]) == token_of(page)
    assert standing_token(stories[1]) is None
    assert standing_token(stories[2]) == token_of(own)


def test_an_error_of_the_database_in_an_action_is_not_hidden(
    bob, serve, stories, monkeypatch
):
    """In a transaction that is broken by then nothing can be given up, nor need be."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)

    @admin.action
    def fail(model_admin, request, queryset):
        Story.objects.create(pk=queryset[0].pk)

    @serve
    class Admin(StoryAdmin):
        actions = [fail]

    with pytest.raises(IntegrityError):
        act(bob, "fail", stories)
    assert not LockToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_taken_while_others_are_being_locked_is_left_out(
    alice, bob, stories
):
    first, second, _third = stories

    def take_second(sender, object_id, **kwargs):
        if object_id == str(first.pk):
            LockToken.objects.acquire(second, user=alice.user)

    lock_acquired.connect(take_second)
    try:
        answer = act(bob, "shout", [first, second])
    finally:
        lock_acquired.disconnect(take_second)
    assert sorted(headlines()) == ["FIRST", "second", "third"]
    assert "Alice Writer" in messages_of(answer)[0]
    assert LockToken.objects.get().locked_object == second


@pytest.mark.parametrize("what", ["changed", "deleted"])
def test_what_others_wrote_before_it_was_locked_is_not_acted_upon_in_a_transaction(
    bob, stories, monkeypatch, what
):
    """Which might go on being shown what it saw first."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    story = Story.objects.filter(pk=stories[0].pk)

    acquire = LockTokenManager.acquire

    def write_and_acquire(self, *args, **kwargs):
        if what == "changed":
            story.update(body="Theirs")
        else:
            story.delete()
        return acquire(self, *args, **kwargs)

    monkeypatch.setattr(LockTokenManager, "acquire", write_and_acquire)
    answer = act(bob, "shout", stories)
    assert headlines() == ["first", "SECOND", "THIRD"][what == "deleted" :]
    assert "“first”" in messages_of(answer)[0]
    assert "Theirs" in bodies() or what == "deleted"
    assert not LockToken.objects.exists()


def test_an_action_may_give_the_locks_up_itself(bob, serve, stories, edited):
    @admin.action
    def release(model_admin, request, queryset):
        queryset.update(body="written")
        LockToken.objects.all().delete()

    @serve
    class Admin(StoryAdmin):
        actions = [release]

    assert act(bob, "release", stories[1:]).status_code == 200
    assert bodies() == ["Once", "written", "written"]
    assert get_session_token(stories[2], bob.session) is None


def test_a_lock_that_cannot_be_given_up_does_not_undo_the_action(
    bob, serve, stories, monkeypatch, caplog
):
    def fail(self, *args, **kwargs):
        raise OperationalError("the server has gone away")

    @admin.action
    def write(model_admin, request, queryset):
        queryset.update(body="written")
        monkeypatch.setattr(LockTokenManager, "release", fail)

    @serve
    class Admin(StoryAdmin):
        actions = [write]

    data = {"action": "write", "_selected_action": [stories[0].pk]}
    assert bob.post(LIST, data).status_code == 302
    assert bodies() == ["written", "Once", "Once"]
    (record,) = [each for each in caplog.records if each.name == "lock_tokens"]
    assert "Could not release" in record.getMessage()


def test_one_s_own_open_page_is_void_after_an_action_that_writes(bob, stories, edited):
    _theirs, own = edited
    act(bob, "shout", stories[2:])
    assert standing_token(stories[2]) is None
    assert get_session_token(stories[2], bob.session) is None
    assert bob.send(own, body="Mine").status_code == 403
    assert headlines()[2] == "THIRD"
    assert bodies()[2] == "Once"


@pytest.mark.parametrize("action", ["ask", "export", "print_all", "delete_selected"])
def test_one_s_own_open_page_lives_on_after_a_question_or_a_file(
    bob, stories, edited, action
):
    _theirs, own = edited
    answer = act(bob, action, stories[1:])
    assert answer.status_code == 200
    assert not answer.redirect_chain
    assert standing_token(stories[1]) is None
    assert standing_token(stories[2]) == token_of(own)
    assert bob.send(own, headline="Mine").status_code == 302
    assert headlines()[2] == "Mine"


@pytest.mark.parametrize("status", [204, 303])
def test_one_s_own_open_page_is_void_after_an_action_that_says_it_is_done(
    bob, serve, stories, edited, status
):
    @admin.action
    def write(model_admin, request, queryset):
        queryset.update(body="written")
        return HttpResponse(status=status, headers={"Location": LIST})

    @serve
    class Admin(StoryAdmin):
        actions = [write]

    _theirs, own = edited
    data = {"action": "write", "_selected_action": [stories[2].pk]}
    assert bob.post(LIST, data).status_code == status
    assert bodies()[2] == "written"
    assert bob.send(own, headline="Mine").status_code == 403
    assert (headlines()[2], bodies()[2]) == ("third", "written")


def test_a_file_has_what_the_action_may_see(bob, stories, edited):
    answer = act(bob, "export", stories)
    assert b"".join(answer.streaming_content) == b"secondthird"


@pytest.mark.parametrize("action", ["", "no such action"])
def test_no_action_at_all_ends_no_lock(bob, stories, edited, action):
    _theirs, own = edited
    act(bob, action, stories)
    assert headlines() == ["first", "second", "third"]
    assert standing_token(stories[2]) == token_of(own)
    assert LockToken.objects.count() == 2


@pytest.mark.parametrize("index", ["x", "0", "5"])
def test_whichever_button_was_pressed_others_rows_stay(bob, stories, edited, index):
    act(bob, "shout", stories, index=index)
    assert headlines()[0] == "first"
    assert headlines()[1] == "SECOND"


def test_a_button_with_no_number_is_the_first_one(bob, stories, edited):
    """As Django takes it, which would run another action than the one looked at."""
    act(bob, ["update_all", "print_all"], stories, index="abc")
    assert bodies() == ["Once", "updated", "updated"]
    answer = act(bob, ["update_all", "print_all"], stories, index="1")
    assert text_of(answer) == "first second third"


def test_a_holder_whom_nobody_knows_is_somebody(bob, stories):
    LockToken.objects.acquire(stories[0])
    answer = act(bob, "shout", stories)
    assert headlines() == ["first", "SECOND", "THIRD"]
    assert "somebody else is editing it" in messages_of(answer)[0]


def test_nothing_selected_ends_no_lock(bob, stories, edited):
    answer = act(bob, "shout", [])
    assert "Items must be selected" in messages_of(answer)[0]
    assert LockToken.objects.count() == 2


def test_nobody_can_open_an_object_while_an_action_runs(alice, bob, serve, stories):
    seen = []

    @admin.action
    def look(model_admin, request, queryset):
        seen.append(state_of(alice.open(stories[0])))
        seen.append(holder_of(stories[0]))

    @serve
    class Admin(StoryAdmin):
        actions = [look]
        lock_timeout = 30

    act(bob, "look", stories[:1])
    assert seen == ["locked", bob.user]
    assert state_of(alice.open(stories[0])) == "held"


def test_an_action_s_locks_live_longer_than_a_page_s(bob, serve, stories):
    lives = []

    @admin.action
    def look(model_admin, request, queryset):
        lock = lock_row(queryset[0]).get()
        lives.append((lock.expires_at - lock.locked_at).total_seconds())

    @serve
    class Admin(StoryAdmin):
        actions = [look]
        lock_timeout = 30

    act(bob, "look", stories[:1])
    assert lives == [pytest.approx(3600, abs=1)]


def test_nobody_takes_a_row_while_a_long_action_is_at_work_on_it(
    alice, bob, serve, stories
):
    seen = []

    @admin.action
    def work(model_admin, request, queryset):
        lock_row(stories[0]).update(
            locked_at=models.F("locked_at") - timedelta(minutes=50),
            expires_at=models.F("expires_at") - timedelta(minutes=50),
        )
        seen.append(state_of(alice.open(stories[0])))

    @serve
    class Admin(StoryAdmin):
        actions = [work]
        lock_timeout = 30

    act(bob, "work", stories[:1])
    assert seen == ["locked"]


def test_rows_whose_key_no_lock_can_have_are_acted_upon(bob, serve):
    @admin.action
    def count(model_admin, request, queryset):
        model_admin.message_user(request, f"{queryset.count()} labels")

    class Admin(TextAdmin):
        actions = [count]

    serve(Admin, Label)
    labels = [Label.objects.create(name=name) for name in ("x" * 256, "short")]
    answer = act(bob, "count", labels, url=list_of(Label))
    assert messages_of(answer) == ["2 labels"]
    assert not LockToken.objects.exists()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["first", "SECOND", "THIRD"]),
        ("?lock=free", ["first", "SECOND", "third"]),
        ("?lock=mine", ["first", "second", "THIRD"]),
        ("?lock=locked", ["first", "second", "THIRD"]),
        ("?is_urgent__exact=0", ["first", "SECOND", "THIRD"]),
    ],
)
@pytest.mark.parametrize("across", ["0", "1"])
def test_an_action_runs_in_a_filtered_list(
    bob, stories, edited, query, expected, across
):
    """Also where the filter asks for what the action's own locks change."""
    act(bob, "shout", stories, url=LIST + query, select_across=across)
    assert headlines() == expected


def test_an_action_runs_in_a_list_whose_filter_has_another_name(
    bob, serve, stories, edited
):
    class EditedFilter(LockStateFilter):
        parameter_name = "edited"

    @serve
    class Admin(StoryAdmin):
        list_filter = [EditedFilter]

    act(bob, "shout", stories, url=f"{LIST}?edited=free")
    assert headlines() == ["first", "SECOND", "third"]


def test_an_action_gets_the_project_s_own_queryset_in_a_filtered_list(
    bob, serve, stories
):
    class Stories(models.QuerySet):
        def shout(self):
            return self.update(body="shouted")

    @admin.action
    def shout(model_admin, request, queryset):
        queryset.shout()

    @serve
    class Admin(StoryAdmin):
        actions = [shout]

        def get_queryset(self, request):
            return Stories(Story).order_by("pk")

    act(bob, "shout", stories[:1], url=f"{LIST}?lock=free")
    assert bodies() == ["shouted", "Once", "Once"]


def test_many_left_out_are_counted(alice, bob):
    many = [Story.objects.create(headline=f"story {n}") for n in range(13)]
    for story in many:
        LockToken.objects.acquire(story, user=alice.user)
    answer = act(bob, "shout", many)
    (message,) = messages_of(answer)
    assert message.count("Alice Writer") == 10
    assert "and 3 more" in message


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_who_act_on_one_row_at_once_nobody_loses(alice, bob, serve):
    """One of them is told that the other has it, or each works on what is there."""

    @admin.action
    def append(model_admin, request, queryset):
        for story in queryset:
            story.body += request.user.username[0]
            story.save()

    @serve
    class Admin(StoryAdmin):
        actions = [append]

    for _ in range(3):
        story = Story.objects.create(headline="story")
        data = {"action": "append", "index": "0", "_selected_action": [story.pk]}
        race(
            lambda data=data: alice.post(LIST, data),
            lambda data=data: bob.post(LIST, data),
        )
        assert Story.objects.get(pk=story.pk).body in ("a", "b", "ab", "ba")
        assert not LockToken.objects.exists()
    told = [
        message
        for somebody in (alice, bob)
        for message in messages_of(somebody.get(LIST))
    ]
    done = sum(len(story.body) for story in Story.objects.all())
    assert done + len(told) == 6


@pytest.fixture
def snapshots(monkeypatch):
    """Have each request in one transaction, on MariaDB with what it saw first."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    yield
    connection.close()


def interrupted_by(somebody, story):
    """Return an admin in which somebody else saves the story, once a list has been read."""
    turns = []

    def save():
        page = form_of(somebody.open(story), headline="Theirs", body="Theirs")
        return somebody.post(url_of(story), page).status_code

    class Admin(StoryAdmin):
        def get_changelist_instance(self, request):
            changes = super().get_changelist_instance(request)
            if request.method == "POST" and not turns:
                turns.extend(race(save))
            return changes

    return Admin, turns


@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_an_action_does_not_write_what_its_transaction_saw_before_others_saved(
    alice, bob, serve, stories, snapshots
):
    model_admin, turns = interrupted_by(alice, stories[0])
    serve(model_admin)
    answer = act(bob, "shout", stories)
    assert turns == [302]
    assert bodies() == ["Theirs", "Once", "Once"]
    assert headlines()[1:] == ["SECOND", "THIRD"]
    if headlines()[0] == "Theirs":
        assert "“first”" in messages_of(answer)[0]
    else:
        assert headlines()[0] == "THEIRS"
    assert not LockToken.objects.exists()


@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has one writer")
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


# Deleting what is selected


def test_deleting_asks_about_what_nobody_else_edits_and_deletes_that(
    bob, stories, edited
):
    page, _own = edited
    question = act(bob, "delete_selected", stories)
    text = text_of(question)
    assert url_of(stories[1]) in text
    assert url_of(stories[0]) not in text
    assert "Alice Writer" in messages_of(question)[0]
    assert Story.objects.count() == 3
    # What was asked is answered.
    answer = bob.send(question, "post", _save=None, follow=True)
    assert headlines() == ["first"]
    assert any("deleted" in message for message in messages_of(answer))
    assert LogEntry.objects.count() == 2
    assert standing_token(stories[0]) == token_of(page)
    assert LockToken.objects.count() == 1


def test_what_is_locked_between_question_and_answer_stays(alice, bob, stories):
    question = act(bob, "delete_selected", stories)
    alice.open(stories[0])
    answer = bob.send(question, "post", _save=None, follow=True)
    assert headlines() == ["first"]
    assert any("Alice Writer" in message for message in messages_of(answer))


def test_deleting_all_that_is_selected_of_others_deletes_nothing(bob, stories, edited):
    answer = act(bob, "delete_selected", stories[:1], post="yes")
    assert headlines() == ["first", "second", "third"]
    assert "Alice Writer" in messages_of(answer)[0]


def test_what_would_be_deleted_along_is_protected(alice, bob, stories):
    comment = stories[1].comment_set.create(text="Being edited")
    alice.open(comment)
    for more in ({}, {"post": "yes"}):
        answer = act(bob, "delete_selected", stories, **more)
        assert answer.status_code == 200
        assert "Being edited" in text_of(answer)
        assert "Alice Writer" in text_of(answer)
        assert Story.objects.count() == 3
        assert Comment.objects.get() == comment
    assert holder_of(comment) == alice.user
    assert LockToken.objects.count() == 1


# Editing in the list


def test_rows_of_others_are_not_written_and_free_ones_are(alice, bob, stories):
    page = bob.get(LIST)
    theirs = alice.open(stories[0])
    answer = bob.send(
        page,
        form__0__body="For the first",
        form__0__is_urgent="on",
        form__1__body="For the second",
        follow=True,
    )
    assert bodies() == ["Once", "For the second", "Once"]
    assert not Story.objects.filter(is_urgent=True).exists()
    warning, success = messages_of(answer)
    assert "“first”" in warning
    assert "Alice Writer" in warning
    assert "For the first" in warning
    assert "second" not in warning
    assert success.startswith("1 story")
    assert LogEntry.objects.get().object_id == str(stories[1].pk)
    assert standing_token(stories[0]) == token_of(theirs)
    assert LockToken.objects.count() == 1


def test_a_row_that_was_changed_since_is_not_overwritten(alice, bob, stories):
    page = bob.get(LIST)
    alice.send(alice.open(stories[0]), body="Theirs")
    answer = bob.send(
        page, form__0__body="Mine", form__1__body="For the second", follow=True
    )
    assert bodies() == ["Theirs", "For the second", "Once"]
    warning = messages_of(answer)[0]
    assert "“first”" in warning
    assert "Mine" in warning


def test_a_row_that_was_changed_in_another_cell_is_not_overwritten(bob, stories):
    page = bob.get(LIST)
    Story.objects.filter(pk=stories[0].pk).update(is_urgent=True)
    bob.send(page, form__0__body="Mine", form__0__is_urgent=None)
    assert bodies()[0] == "Once"
    assert Story.objects.get(pk=stories[0].pk).is_urgent


def test_unchanged_rows_are_never_written(alice, bob, stories):
    """Django alone would write what the list showed over what was saved since."""
    page = bob.get(LIST)
    Story.objects.update(body="Theirs", is_urgent=True)
    answer = bob.send(page, follow=True)
    assert bodies() == ["Theirs"] * 3
    assert Story.objects.filter(is_urgent=True).count() == 3
    assert messages_of(answer) == []
    assert not LogEntry.objects.exists()


def as_browsers_send(data):
    """Return a form's fields with the line ends that browsers give to all of them."""

    def ends(value):
        return value.replace("\r\n", "\n").replace("\n", "\r\n")

    return {
        name: [ends(value) for value in values]
        if isinstance(values, list)
        else ends(values)
        for name, values in data.items()
    }


@pytest.mark.parametrize(
    "body", ["one\ntwo", "one\r\ntwo", "one\rtwo", "one ", " one", "\none", "one\n"]
)
def test_line_ends_and_blanks_are_no_change(bob, stories, body):
    Story.objects.update(body=body)
    data = as_browsers_send(form_of(bob.get(LIST)))
    assert messages_of(bob.post(LIST, data, follow=True)) == []
    assert bodies() == [body] * 3
    page = bob.get(LIST)
    answer = bob.post(
        LIST, as_browsers_send(form_of(page, form__0__is_urgent="on")), follow=True
    )
    (success,) = messages_of(answer)
    assert success.startswith("1 story")
    assert Story.objects.get(is_urgent=True) == stories[0]
    assert bodies()[1:] == [body] * 2


UTC = timezone.utc
KINDS = {
    "text": ("one\ntwo ", "other"),
    "day": (date(2024, 1, 2), date(2025, 12, 31)),
    "moment": (
        datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2024, 7, 2, 3, 4, tzinfo=UTC),
    ),
    "time": (time(3, 4, 5, 99), time(12)),
    "duration": (timedelta(days=1, seconds=3, microseconds=5), timedelta(hours=1)),
    "price": (Decimal("1234.50"), Decimal("1000000")),
    "weight": (1234.5, 0.1),
    "number": (1234567, -1),
    "choice": (1000, 2000),
    "flag": (True, False),
    "maybe": (False, True),
    "data": ({"b": [1, None, "ü"], "a": 1.5}, ["x"]),
    "uid": (uuid.UUID(int=5), uuid.UUID(int=6)),
    "address": ("::ffff:10.0.0.1", "10.0.0.2"),
    "keyword": ("news", "sports"),
}
GERMAN = {"LANGUAGE_CODE": "de", "USE_THOUSAND_SEPARATOR": True}
NEPALI = {"LANGUAGE_CODE": "en-gb", "TIME_ZONE": "Asia/Kathmandu"}
TIMES = ["day", "moment", "time"]
NUMBERS = ["price", "weight", "number", "choice"]
# Where settings decide how a value is written, with these too.
KINDS_AND_PLACES = [
    *[(kind, {}) for kind in KINDS],
    *[(kind, GERMAN) for kind in (*TIMES, *NUMBERS, "duration", "data")],
    *[(kind, NEPALI) for kind in TIMES],
    *[(kind, {"USE_TZ": False}) for kind in TIMES],
]


def as_a_form_has_it(value):
    """Return what Django saves of a value in a row that is saved."""
    if isinstance(value, datetime | time):
        return value.replace(microsecond=0)
    return "one\r\ntwo" if value == "one\ntwo " else value


@pytest.mark.matrix
@pytest.mark.parametrize(("kind", "lock_key"), KINDS_AND_PLACES, ids=str)
def test_fields_of_all_kinds_are_changed_refused_or_left_alone(
    bob, settings, serve, kind, lock_key
):
    class Admin(LockableModelAdmin):
        list_display = ["pk", "name", kind]
        list_editable = ["name", kind]

        def get_changelist_form(self, request, **kwargs):
            # Numbers and dates are typed as the language has them.
            kwargs["localized_fields"] = "__all__"
            return super().get_changelist_form(request, **kwargs)

    for name, value in lock_key.items():
        setattr(settings, name, value)
    serve(Admin, Sample)
    one, two = KINDS[kind]
    if kind == "keyword":
        one, two = [Keyword.objects.create(name=name) for name in (one, two)]
    if kind == "moment" and not settings.USE_TZ:
        one, two = one.replace(tzinfo=None), two.replace(tzinfo=None)
    url = list_of(Sample)

    def set_to(value):
        Sample.objects.update(**{kind: value})

    def save(data):
        return messages_of(bob.post(url, as_browsers_send(data), follow=True))

    def now():
        sample = Sample.objects.get()
        return sample.name, getattr(sample, kind)

    for before, after in ((one, two), (two, one), (None, one), (one, None)):
        if None in (before, after) and not Sample._meta.get_field(kind).null:
            continue
        Sample.objects.all().delete()
        Sample.objects.create(name="first", **{kind: after})
        entered = {
            name: value
            for name, value in form_of(bob.get(url)).items()
            if name.startswith(f"form-0-{kind}")
        }
        set_to(before)
        page = form_of(bob.get(url))
        # Nothing was touched.
        assert save(page) == []
        assert now() == ("first", before)
        # The cell beside it was changed.
        assert len(save({**page, "form-0-name": "second"})) == 1
        assert now() == ("second", as_a_form_has_it(before))
        # The cell itself was.
        page = form_of(bob.get(url))
        without = {
            name: value
            for name, value in page.items()
            if not name.startswith(f"form-0-{kind}")
        }
        (message,) = save({**without, **entered})
        assert "1 sample" in message
        after = as_a_form_has_it(after)
        assert now() == ("second", after)
        # The list that was sent shows what is not there any more.
        (message,) = save({**page, "form-0-name": "third"})
        assert "third" in message
        assert now() == ("second", after)


class PathField(forms.CharField):
    """Of a project's own: its values are none that JSON has."""

    def prepare_value(self, value):
        return PurePosixPath(value) if isinstance(value, str) else value


def test_values_of_a_project_s_own_are_changed_refused_or_left_alone(
    bob, serve, stories
):
    class PathForm(forms.ModelForm):
        body = PathField()

    @serve
    class Admin(StoryAdmin):
        list_editable = ["body"]

        def get_changelist_form(self, request, **kwargs):
            return PathForm

    Story.objects.update(body="a/b")
    page = bob.get(LIST)
    assert messages_of(bob.send(page, follow=True)) == []
    (success,) = messages_of(bob.send(page, form__0__body="c", follow=True))
    assert success.startswith("1 story")
    assert bodies() == ["c", "a/b", "a/b"]
    (warning,) = messages_of(bob.send(page, form__0__body="d", follow=True))
    assert "“first”" in warning
    assert bodies() == ["c", "a/b", "a/b"]


def served_sample(serve):
    class Admin(LockableModelAdmin):
        list_display = ["pk", "name", "day"]
        list_editable = ["name", "day"]

    serve(Admin, Sample)
    return Sample.objects.create(name="first", day=date(2024, 1, 2))


def test_a_list_that_claims_to_have_shown_what_cannot_be_is_refused(bob, serve):
    served_sample(serve)
    data = form_of(bob.get(list_of(Sample)), form__0__day="2025-01-01")
    data["initial-form-0-id"] = json.dumps({"name": "first", "day": "nonsense"})
    (warning,) = messages_of(bob.post(list_of(Sample), data, follow=True))
    assert "“first”" in warning
    assert "2025-01-01" in warning
    assert Sample.objects.get().day == date(2024, 1, 2)


@pytest.mark.parametrize("shown", ["", "nonsense", "[]", "null", "{}"])
def test_a_list_that_says_nothing_of_what_it_showed_works_as_in_django(
    bob, serve, shown
):
    served_sample(serve)
    data = form_of(bob.get(list_of(Sample)), form__0__day="2025-01-01")
    data["initial-form-0-id"] = shown
    (success,) = messages_of(bob.post(list_of(Sample), data, follow=True))
    assert success.startswith("1 sample")
    assert Sample.objects.get().day == date(2025, 1, 1)


@pytest.fixture
def documents(settings, serve, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    }

    class Admin(LockableModelAdmin):
        list_display = ["pk", "title", "file"]
        list_editable = ["title", "file"]
        ordering = ["pk"]

    serve(Admin, Document)
    with_file, without = [Document.objects.create(title=title) for title in "ab"]
    with_file.file.save("old.txt", ContentFile(b"old"))
    return with_file, without


def files():
    return [
        document.file.read() if document.file else None
        for document in Document.objects.order_by("pk")
    ]


def test_rows_with_files_are_saved_and_left_alone(bob, documents):
    url = list_of(Document)
    assert messages_of(bob.send(bob.get(url), follow=True)) == []
    data = form_of(bob.get(url), form__0__title="A", form__1__title="B")
    (success,) = messages_of(bob.post(url, data, follow=True))
    assert success.startswith("2 documents")
    assert [document.title for document in Document.objects.order_by("pk")] == [
        "A",
        "B",
    ]
    assert files() == [b"old", None]


def test_a_file_is_put_into_a_row_of_the_list(bob, documents):
    url = list_of(Document)
    data = form_of(
        bob.get(url),
        form__0__file=SimpleUploadedFile("new.txt", b"new"),
        form__1__file=SimpleUploadedFile("first.txt", b"first"),
    )
    (success,) = messages_of(bob.post(url, data, follow=True))
    assert success.startswith("2 documents")
    assert files() == [b"new", b"first"]


def test_a_list_with_an_older_file_does_not_bring_that_back(alice, bob, documents):
    url = list_of(Document)
    page = bob.get(url)
    theirs = form_of(
        alice.open(documents[0]), file=SimpleUploadedFile("new.txt", b"new")
    )
    assert alice.post(url_of(documents[0]), theirs).status_code == 302
    bob.send(page, form__0__title="A")
    assert files() == [b"new", None]


def test_a_list_of_many_rows_sends_one_field_more_for_each(bob, settings, serve):
    class Columns:
        ordering = ["pk"]
        list_display = ["pk", "headline", "is_urgent", "body"]
        list_editable = ["headline", "is_urgent", "body"]

    class OurAdmin(Columns, LockableModelAdmin):
        pass

    class DjangosAdmin(Columns, admin.ModelAdmin):
        pass

    Story.objects.bulk_create(
        Story(headline="story", body="Once", is_urgent=True) for _ in range(20)
    )

    def number_of_fields(model_admin):
        serve(model_admin)
        data = form_of(bob.get(LIST))
        return sum(
            len(value) if isinstance(value, list) else 1 for value in data.values()
        )

    ours, djangos = number_of_fields(OurAdmin), number_of_fields(DjangosAdmin)
    assert ours - djangos == 20
    # What Django lets in is enough for that.
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = ours
    serve(OurAdmin)
    data = urlencode(form_of(bob.get(LIST), form__0__body="Mine"), doseq=True)
    kind = "application/x-www-form-urlencoded"
    assert bob.post(LIST, data, content_type=kind).status_code == 302
    assert bodies()[0] == "Mine"


def test_a_row_that_was_deleted_since_does_not_come_back(bob, stories):
    page = bob.get(LIST)
    stories[0].delete()
    bob.send(page, form__0__body="Mine", form__1__body="Second")
    assert "first" not in headlines()


def test_a_row_of_somebody_whom_nobody_knows_is_not_written(bob, stories):
    page = bob.get(LIST)
    LockToken.objects.acquire(stories[0])
    answer = bob.send(page, form__0__body="Mine", follow=True)
    assert "“first” (somebody else is editing it)" in messages_of(answer)[0]
    assert bodies() == ["Once"] * 3


def test_a_whole_list_of_others_writes_nothing(alice, bob, stories):
    page = bob.get(LIST)
    for story in stories:
        alice.open(story)
    answer = bob.send(
        page, **{f"form__{n}__body": "Mine" for n in range(3)}, follow=True
    )
    assert bodies() == ["Once"] * 3
    assert len(messages_of(answer)) == 3
    assert not LogEntry.objects.exists()


def test_a_list_that_does_not_say_what_it_showed_works_as_in_django(bob):
    """A template of the project's own need not print the hidden fields."""
    Story.objects.create(headline="one", is_urgent=True, body="Once")
    Story.objects.create(headline="two", is_urgent=False, body="Once")
    page = bob.get(LIST)
    data = {
        name: value
        for name, value in form_of(page).items()
        if not name.startswith("initial-")
    }
    data.pop("form-0-is_urgent")
    data["form-1-is_urgent"] = "on"
    data["form-1-body"] = ""
    bob.post(LIST, data)
    assert [
        (story.is_urgent, story.body) for story in Story.objects.order_by("pk")
    ] == [(False, "Once"), (True, "")]


def test_a_list_that_does_not_say_what_it_showed_writes_nothing_of_others(
    alice, bob, stories
):
    page = bob.get(LIST)
    alice.open(stories[0])
    data = {
        name: value
        for name, value in form_of(page, form__0__body="Mine").items()
        if not name.startswith("initial-")
    }
    bob.post(LIST, data)
    assert bodies() == ["Once"] * 3


def test_an_error_in_the_list_writes_and_locks_nothing(bob, serve, stories):
    @serve
    class Admin(StoryAdmin):
        list_display = ["pk", "headline", "body"]
        list_editable = ["headline", "body"]

    page = bob.get(LIST)
    answer = bob.send(page, form__0__headline="", form__1__body="Precious")
    assert answer.status_code == 200
    assert "This field is required" in text_of(answer)
    assert form_of(answer)["form-1-body"] == ["Precious"]
    assert bodies() == ["Once"] * 3
    assert not LockToken.objects.exists()
    assert bob.send(answer, form__0__headline="Now").status_code == 302
    assert headlines()[0] == "Now"
    assert bodies()[1] == "Precious"


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

    @serve
    class Admin(StoryAdmin):
        lock_timeout = 30

        def save_model(self, request, obj, form, change):
            lock = lock_row(obj).get()
            seen.append((lock.locked_by, lock.expires_at - lock.locked_at))
            super().save_model(request, obj, form, change)

    bob.send(bob.get(LIST), form__0__body="Mine")
    ((user, life),) = seen
    assert user == bob.user
    assert life.total_seconds() == pytest.approx(30, abs=1)
    assert not LockToken.objects.exists()


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has one writer at a time")
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
    class StoryForm(forms.ModelForm):
        body = forms.CharField(required=False)

        class Meta:
            model = Story
            fields = ["body"]

    @serve
    class Admin(StoryAdmin):
        list_editable = ["body"]

        def get_changelist_form(self, request, **kwargs):
            return StoryForm

    page = bob.get(LIST)
    bob.send(page, form__0__body="Mine")
    assert bodies()[0] == "Mine"
    form = StoryForm(instance=stories[0])
    assert "initial-" not in str(form)
    assert StoryForm({"body": "Twice"}, instance=stories[0]).has_changed()
    assert not StoryForm({"body": stories[0].body}, instance=stories[0]).has_changed()


def queries_of_saving(somebody, number):
    """Return how many statements a list needs, of whose rows some are changed."""
    page = somebody.get(LIST)
    changes = {f"form__{n}__body": f"Body {n}" for n in range(number)}
    data = form_of(page, **changes)
    with CaptureQueriesContext(connection) as queries:
        assert somebody.post(LIST, data).status_code == 302
    return len(queries)


def test_django_s_queries_grow_by_as_many_for_each_row_that_is_form_of(bob, serve):
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


def test_what_was_entered_is_given_back_to_somebody_who_is_signed_out(bob, stories):
    data = form_of(bob.get(LIST), form__0__body="Precious")
    assert {"action", "_save"} <= {*data}  # the list is one form, with the actions
    bob.logout()
    answer = bob.post(LIST, data)
    assert answer.status_code == 403
    assert "Precious" in text_of(answer)
    assert bodies() == ["Once"] * 3


def test_an_action_of_somebody_who_is_signed_out_asks_them_to_sign_in(bob, stories):
    bob.logout()
    answer = act(bob, "shout", stories)
    assert answer.redirect_chain[0][0].startswith("/admin/login/")
    assert headlines() == ["first", "second", "third"]


# The column and the filter


def column_of(page):
    """Return what the list's column says, row by row."""
    return [
        strip_tags(cell).strip()
        for cell in text_of(page).split("field-lock_state")[1:]
        for cell in [cell.partition(">")[2].partition("</td>")[0]]
    ]


def test_the_column_says_who_edits_and_since_when(alice, bob, stories, edited):
    first, second, third = column_of(alice.get(LIST))
    assert first.startswith("Alice Writer, since ")
    assert second == ""
    assert third.startswith("Bob Writer, since ")


def test_the_column_knows_the_unknown_the_expired_and_the_escaped(bob, stories):
    LockToken.objects.acquire(stories[0])
    LockToken.objects.acquire(stories[1])
    expire(stories[1])
    bob.user.first_name, bob.user.last_name = "<b>", ""
    bob.user.save()
    LockToken.objects.acquire(stories[2], user=bob.user)
    page = bob.get(LIST)
    first, second, third = column_of(page)
    assert first.startswith("somebody, since ")
    assert second == ""
    assert "&lt;b&gt;, since" in text_of(page)
    assert third


def test_the_column_says_the_day_of_an_older_lock(bob, stories):
    LockToken.objects.acquire(stories[0], user=bob.user)
    long_ago = datetime(2020, 5, 17, tzinfo=timezone.utc)
    lock_row(stories[0]).update(locked_at=long_ago)
    assert "2020" in column_of(bob.get(LIST))[0]


def test_the_column_works_without_time_zones(alice, bob, settings, stories, edited):
    settings.USE_TZ = False
    assert column_of(alice.get(LIST))[0].startswith("Alice Writer, since ")


def test_the_column_is_empty_where_no_lock_can_be(bob):
    Label.objects.create(name="x" * 256)
    label = Label.objects.create(name="a short one")
    LockToken.objects.acquire(label, user=bob.user)
    texts = sorted(column_of(bob.get(list_of(Label))))
    assert texts[0] == ""
    assert texts[1].startswith("Bob Writer, since ")


def test_the_column_can_be_asked_for_one_object(bob, stories, rf):
    model_admin = StoryAdmin(Story, admin.site)
    assert model_admin.lock_state(stories[0]) is None
    LockToken.objects.acquire(stories[0], user=bob.user)
    assert "Bob Writer" in model_admin.lock_state(stories[0])
    assert model_admin.lock_state(Label.objects.create(name="x" * 256)) is None


@pytest.mark.parametrize("query", ["", "?lock=locked", "?lock=mine"])
def test_thirty_rows_need_as_many_queries_as_three(alice, query, django_user_model):
    def count():
        alice.get(LIST + query)
        with CaptureQueriesContext(connection) as queries:
            page = alice.get(LIST + query)
        return len(queries), len([text for text in column_of(page) if text])

    def add(number, user):
        for n in range(number):
            story = Story.objects.create(headline=f"story {n}")
            LockToken.objects.acquire(story, user=user)

    add(3, alice.user)
    few, shown = count()
    assert shown == 3
    add(27, alice.user)
    assert count() == (few, 30)


def test_a_list_without_the_column_asks_for_no_locks(bob, serve, stories, edited):
    @serve
    class Admin(StoryAdmin):
        list_display = ["headline"]
        list_editable = []
        list_filter = []

    with CaptureQueriesContext(connection) as queries:
        bob.get(LIST)
    assert not [query for query in queries if "locktoken" in query["sql"]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("locked", ["first", "third"]),
        ("mine", ["third"]),
        ("free", ["second"]),
        ("nonsense", ["first", "second", "third"]),
    ],
)
def test_the_filter_finds_locked_mine_and_free(bob, stories, edited, value, expected):
    page = bob.get(LIST, {"lock": value})
    assert [story.headline for story in page.context["cl"].result_list] == expected


def test_an_expired_lock_is_free_to_the_filter(bob, stories, edited):
    expire(stories[0])
    page = bob.get(LIST, {"lock": "free"})
    found = [story.headline for story in page.context["cl"].result_list]
    assert found == ["first", "second"]


def test_the_filter_offers_its_choices(bob, stories):
    text = text_of(bob.get(LIST))
    for value in ("locked", "mine", "free"):
        assert f"?lock={value}" in text


@pytest.mark.parametrize("model", [Article, ArticleProxy, Page, Label, Plain])
def test_column_and_filter_know_keys_of_all_kinds(alice, bob, model):
    field = "name" if model is Label else "title"
    mine, theirs, free = [
        model.objects.create(**{field: text}) for text in ("a/b_c", "d", "e")
    ]
    LockToken.objects.acquire(mine, user=alice.user)
    LockToken.objects.acquire(theirs, user=bob.user)
    for value, expected in [
        ("mine", {mine}),
        ("locked", {mine, theirs}),
        ("free", {free}),
    ]:
        page = alice.get(list_of(model), {"lock": value})
        assert {*page.context["cl"].result_list} == expected
    column = column_of(alice.get(list_of(model)))
    assert len([text for text in column if text]) == 2


def test_a_filtered_list_reads_related_rows_at_once_as_before(bob, serve):
    @serve
    class Admin(StoryAdmin):
        list_display = ["headline", "names"]
        list_editable = []

        def names(self, obj):
            return ", ".join(keyword.name for keyword in obj.keywords.all())

        def get_queryset(self, request):
            return super().get_queryset(request).prefetch_related("keywords")

    keyword = Keyword.objects.create(name="news")

    def count(query):
        with CaptureQueriesContext(connection) as queries:
            assert "news" in text_of(bob.get(LIST + query))
        return len(queries)

    def add(number):
        for _ in range(number):
            Story.objects.create(headline="story").keywords.add(keyword)

    add(2)
    count("?lock=free")
    few = count("?lock=free")
    add(5)
    assert count("?lock=free") == few


# What the filter is made of


def test_the_condition_is_for_any_queryset_of_the_model(alice, bob):
    mine, theirs, skipped, free = [
        Plain.objects.create(title=title) for title in "abcd"
    ]
    for plain in (mine, skipped):
        LockToken.objects.acquire(plain, user=alice.user)
    LockToken.objects.acquire(theirs, user=bob.user)
    plains = Plain.objects.exclude(title="c").order_by("-title")
    assert [*plains.filter(live_lock(Plain))] == [theirs, mine]
    assert [*plains.filter(live_lock(Plain, by=alice.user))] == [mine]
    assert [*plains.filter(~live_lock(Plain))] == [free]


@pytest.mark.django_db(databases=["default", "other"])
def test_the_condition_stays_in_the_queryset_s_database():
    plain = Plain.objects.using("other").create(title="a")
    LockToken.objects.acquire(plain)
    same_key = Plain.objects.create(pk=plain.pk)
    assert [*Plain.objects.using("other").filter(live_lock(Plain))] == [plain]
    assert [*Plain.objects.filter(~live_lock(Plain))] == [same_key]


def test_locked_by_finds_one_user_s_locks(alice, bob):
    mine, theirs, nobody_s, expired, free = [
        Article.objects.create(title=title) for title in "abcde"
    ]
    mine.lock(user=alice.user)
    theirs.lock(user=bob.user)
    nobody_s.lock()
    expired.lock(user=alice.user)
    expire(expired)
    assert [*Article.objects.locked(by=alice.user)] == [mine]
    assert [*Article.objects.locked(by=bob.user)] == [theirs]
    assert {*Article.objects.locked()} == {mine, theirs, nobody_s}
    assert {*Article.objects.unlocked()} == {expired, free}
    assert not Article.objects.locked(by=person("carol").user).exists()


@pytest.mark.parametrize("by", [None, "bob"])
def test_the_condition_says_which_models_it_is_not_for(bob, by):
    with pytest.raises(TypeError):
        live_lock(Price, by=bob.user if by else None)
    with pytest.raises(ValueError):
        live_lock(Translation, by=bob.user if by else None)
