"""The actions of the change list."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, OperationalError, connections, models
from django.http import HttpResponse

from lock_tokens.admin import LockStateFilter
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.sessions import get_session_token
from lock_tokens.signals import lock_acquired
from tests.models import Comment, Label, Story
from tests.support.admin_site import (
    LIST,
    StoryAdmin,
    TextAdmin,
    act,
    bodies,
    headlines,
    holder_of,
    interrupted_by,
    list_of,
    messages_of,
    standing_token,
    state_of,
    token_of,
    url_of,
)
from tests.support.helpers import expire, lock_row, race


def test_an_action_runs_on_free_and_own_rows_and_names_the_rest(bob, stories, edited):
    page, _own = edited
    answer = act(bob, "shout", stories)
    assert headlines() == ["first", "SECOND", "THIRD"]
    (message,) = messages_of(answer)
    assert "“first”" in message
    assert "Alice Writer" in message
    assert "second" not in message.lower()
    assert standing_token(stories[0]) == token_of(page)


def test_one_s_own_lock_in_another_browser_counts_as_another_s(alice, stories, edited):
    answer = act(alice.elsewhere(), "shout", stories[:2])
    assert headlines() == ["first", "SECOND", "third"]
    assert "Alice Writer" in messages_of(answer)[0]


def test_an_action_runs_on_expired_locks_of_others(alice, bob, stories, edited):
    expire(stories[0])
    answer = act(bob, "shout", stories)
    assert headlines() == ["FIRST", "SECOND", "THIRD"]
    assert messages_of(answer) == []
    # Whoever had it cannot write over that.
    page, _own = edited
    assert alice.send(page, body="Mine").status_code == 403
    assert bodies()[0] == "Once"


def test_when_all_is_left_out_the_action_is_not_run(bob, serve_action, stories, edited):
    runs = []

    @serve_action
    def count(model_admin, request, queryset):
        runs.append(list(queryset))

    answer = act(bob, "count", stories[:1])
    assert runs == []
    assert "Alice Writer" in messages_of(answer)[0]
    act(bob, "count", stories)
    assert runs == [stories[1:]]


def test_all_rows_of_all_pages_can_be_selected(bob, serve, stories, edited):
    serve(StoryAdmin, list_per_page=1)
    act(bob, "shout", stories[1:2], select_across="1")
    assert headlines() == ["first", "SECOND", "THIRD"]
    assert LockToken.objects.get().locked_object == stories[0]
    act(bob, "update_all", stories[1:2], select_across="1")
    assert bodies() == ["Once", "updated", "updated"]


@pytest.mark.parametrize("across", ["0", "", "False", None])
def test_without_that_only_what_is_selected_is_looked_at(bob, stories, edited, across):
    more = {} if across is None else {"select_across": across}
    data = {"action": "shout", "index": "0", "_selected_action": [stories[1].pk]}
    answer = bob.post(LIST, {**data, **more}, follow=True)
    assert headlines() == ["first", "SECOND", "third"]
    assert messages_of(answer) == []
    assert LockToken.objects.count() == 2


def test_a_file_has_what_the_action_may_see_and_exempt_ones_see_all(
    bob, stories, edited
):
    answer = act(bob, "export", stories)
    assert b"".join(answer.streaming_content) == b"secondthird"
    answer = act(bob, "print_all", stories)
    assert answer.text == "first second third"
    _theirs, own = edited
    assert standing_token(stories[2]) == token_of(own)


def test_locks_are_given_up_after_the_action(bob, stories):
    act(bob, "shout", stories)
    assert headlines() == ["FIRST", "SECOND", "THIRD"]
    assert not LockToken.objects.exists()


def test_locks_are_given_up_when_the_action_fails(bob, serve_action, stories, edited):
    @serve_action
    def fail(model_admin, request, queryset):
        raise RuntimeError("the disk is full")

    page, own = edited
    with pytest.raises(RuntimeError):
        act(bob, "fail", stories)
    assert standing_token(stories[0]) == token_of(page)
    assert standing_token(stories[1]) is None
    assert standing_token(stories[2]) == token_of(own)


def test_an_error_of_the_database_in_an_action_is_not_hidden(
    bob, serve_action, stories, monkeypatch
):
    """In a transaction that is broken by then nothing can be given up, nor need be."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)

    @serve_action
    def fail(model_admin, request, queryset):
        Story.objects.create(pk=queryset[0].pk)

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


def test_an_action_may_give_the_locks_up_itself(bob, serve_action, stories, edited):
    @serve_action
    def release(model_admin, request, queryset):
        queryset.update(body="written")
        LockToken.objects.all().delete()

    assert act(bob, "release", stories[1:]).status_code == 200
    assert bodies() == ["Once", "written", "written"]
    assert get_session_token(stories[2], bob.session) is None


def test_a_lock_that_cannot_be_given_up_does_not_undo_the_action(
    bob, serve_action, stories, monkeypatch, caplog
):
    def fail(self, *args, **kwargs):
        raise OperationalError("the server has gone away")

    @serve_action
    def write(model_admin, request, queryset):
        queryset.update(body="written")
        monkeypatch.setattr(LockTokenManager, "release", fail)

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
    bob, serve_action, stories, edited, status
):
    @serve_action
    def write(model_admin, request, queryset):
        queryset.update(body="written")
        return HttpResponse(status=status, headers={"Location": LIST})

    _theirs, own = edited
    data = {"action": "write", "_selected_action": [stories[2].pk]}
    assert bob.post(LIST, data).status_code == status
    assert bodies()[2] == "written"
    assert bob.send(own, headline="Mine").status_code == 403
    assert (headlines()[2], bodies()[2]) == ("third", "written")


@pytest.mark.parametrize("action", ["", "no such action"])
def test_no_action_at_all_ends_no_lock(bob, stories, edited, action):
    _theirs, own = edited
    act(bob, action, stories)
    assert headlines() == ["first", "second", "third"]
    assert standing_token(stories[2]) == token_of(own)
    assert LockToken.objects.count() == 2
    answer = act(bob, "shout", [])
    assert "Items must be selected" in messages_of(answer)[0]
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
    assert answer.text == "first second third"


def test_a_holder_whom_nobody_knows_is_somebody(bob, stories):
    LockToken.objects.acquire(stories[0])
    answer = act(bob, "shout", stories)
    assert headlines() == ["first", "SECOND", "THIRD"]
    assert "somebody else is editing it" in messages_of(answer)[0]


def test_nobody_can_open_an_object_while_a_long_action_runs(
    alice, bob, serve_action, stories
):
    """Its locks live longer than those of a page."""
    seen = []

    def work(model_admin, request, queryset):
        lock = lock_row(queryset[0]).get()
        life = (lock.expires_at - lock.locked_at).total_seconds()
        assert life == pytest.approx(3600, abs=60)
        lock_row(stories[0]).update(
            locked_at=models.F("locked_at") - timedelta(minutes=50),
            expires_at=models.F("expires_at") - timedelta(minutes=50),
        )
        seen.append(state_of(alice.open(stories[0])))
        seen.append(holder_of(stories[0]))

    serve_action(work, lock_timeout=30)
    act(bob, "work", stories[:1])
    assert seen == ["locked", bob.user]
    assert state_of(alice.open(stories[0])) == "held"


def test_rows_whose_key_no_lock_can_have_are_acted_upon(bob, serve):
    def count(model_admin, request, queryset):
        model_admin.message_user(request, f"{queryset.count()} labels")

    serve(TextAdmin, Label, actions=[count])
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

    serve(StoryAdmin, list_filter=[EditedFilter])
    act(bob, "shout", stories, url=f"{LIST}?edited=free")
    assert headlines() == ["first", "SECOND", "third"]


def test_an_action_gets_the_project_s_own_queryset_in_a_filtered_list(
    bob, serve_action, stories
):
    class Stories(models.QuerySet):
        def shout(self):
            return self.update(body="shouted")

    def shout(model_admin, request, queryset):
        queryset.shout()

    serve_action(
        shout, get_queryset=lambda self, request: Stories(Story).order_by("pk")
    )
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
def test_of_two_who_act_on_one_row_at_once_nobody_loses(alice, bob, serve_action):
    """One of them is told that the other has it, or each works on what is there."""

    @serve_action
    def append(model_admin, request, queryset):
        for story in queryset:
            story.body += request.user.username[0]
            story.save()

    for _ in range(3):
        story = Story.objects.create(headline="story")
        data = {"action": "append", "index": "0", "_selected_action": [story.pk]}
        race(
            lambda data=data: alice.post(LIST, data),
            lambda data=data: bob.post(LIST, data),
        )
        assert Story.objects.get(pk=story.pk).body in ("a", "b", "ab", "ba")
        assert not LockToken.objects.exists()
    told = messages_of(alice.get(LIST)) + messages_of(bob.get(LIST))
    done = sum(len(story.body) for story in Story.objects.all())
    assert done + len(told) == 6


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer")
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


def test_deleting_asks_about_what_nobody_else_edits_and_deletes_that(
    bob, stories, edited
):
    page, _own = edited
    question = act(bob, "delete_selected", stories)
    text = question.text
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
        assert "Being edited" in answer.text
        assert "Alice Writer" in answer.text
        assert Story.objects.count() == 3
        assert Comment.objects.get() == comment
    assert holder_of(comment) == alice.user
    assert LockToken.objects.count() == 1


def test_an_action_of_somebody_who_is_signed_out_asks_them_to_sign_in(bob, stories):
    bob.logout()
    answer = act(bob, "shout", stories)
    assert answer.redirect_chain[0][0].startswith("/admin/login/")
    assert headlines() == ["first", "second", "third"]
