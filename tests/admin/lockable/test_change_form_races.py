"""Change pages that are opened and saved at the same time."""

import pytest

from lock_tokens.models import LockToken
from tests.support.admin_site import (
    StoryAdmin,
    form_of,
    holder_of,
    saved,
    standing_token,
    state_of,
    token_of,
)
from tests.support.helpers import (
    InThread,
    expire,
    race,
    wait_until_blocked_or_done,
)


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_a_page_does_not_show_what_its_transaction_saw_before_others_saved(
    alice, bob, serve, story, snapshots
):
    turns = []

    def save():
        return bob.send(bob.open(story), headline="Theirs").status_code

    @serve
    class Admin(StoryAdmin):
        def has_change_permission(self, request, obj=None):
            if obj is not None and request.user == alice.user and not turns:
                turns.extend(race(save))
            return True

    page = alice.open(story)
    assert turns == [302]
    assert state_of(page) == "held"
    assert form_of(page)["headline"] == ["Theirs"]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_who_open_at_once_one_edits(alice, bob, story):
    for _ in range(5):
        LockToken.objects.all().delete()
        pages = race(
            lambda: state_of_race(alice, story), lambda: state_of_race(bob, story)
        )
        assert sorted(pages) == ["held", "locked"]
        winner = (alice, bob)[pages.index("held")]
        assert holder_of(story) == winner.user


def state_of_race(somebody, story):
    answer = somebody.open(story)
    assert answer.status_code == 200
    return state_of(answer)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_open_at_once_share_the_lock(alice, story):
    alice.get("/admin/")
    other_tab = alice.other_tab()
    for _ in range(5):
        LockToken.objects.all().delete()
        tokens = race(
            lambda: token_of(alice.open(story)), lambda: token_of(other_tab.open(story))
        )
        assert set(tokens) == {standing_token(story)}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_tabs_that_save_at_once_one_does(alice, story):
    other_tab = alice.other_tab()
    for turn in range(5):
        page = alice.open(story)
        texts = [f"First {turn}", f"Second {turn}"]

        def post(tab, text, page=page):
            return tab.send(page, headline=text)

        answers = race(
            lambda post=post, texts=texts: post(alice, texts[0]),
            lambda post=post, texts=texts: post(other_tab, texts[1]),
        )
        statuses = [answer.status_code for answer in answers]
        assert sorted(statuses) == [302, 403]
        winner = statuses.index(302)
        assert saved(story).headline == texts[winner]
        assert form_of(answers[1 - winner])["headline"] == [texts[1 - winner]]
        assert not LockToken.objects.exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_late_save_and_another_who_opens_never_both_win(alice, bob, story):
    for turn in range(5):
        before = saved(story).headline
        page = alice.open(story)
        expire(story)
        late = f"Late {turn}"
        answer, theirs = race(
            lambda page=page, late=late: alice.send(page, headline=late),
            lambda: bob.open(story),
        )
        shown = form_of(theirs).get("headline")
        if answer.status_code == 302:
            assert saved(story).headline == late
            assert shown in (None, [late])  # read-only, or what was saved
        else:
            assert answer.status_code == 403
            assert saved(story).headline == before
            assert shown == [before]
            assert holder_of(story) == bob.user
        LockToken.objects.all().delete()


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_nobody_gets_the_object_while_it_is_being_saved(alice, bob, serve, story):
    seen = []

    @serve
    class Admin(StoryAdmin):
        def save_related(self, request, form, formsets, change):
            super().save_related(request, form, formsets, change)
            seen.extend(race(lambda: state_of_race(bob, story)))

    page = alice.open(story)
    assert alice.send(page, headline="New").status_code == 302
    assert seen == ["locked"]
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_whoever_opens_while_an_expired_lock_saves_sees_what_was_saved(
    alice, bob, serve, story
):
    """The save itself keeps the lock that nobody had taken."""
    waiting = []

    @serve
    class Admin(StoryAdmin):
        def save_related(self, request, form, formsets, change):
            super().save_related(request, form, formsets, change)
            waiting.append(InThread(lambda: bob.open(story)))
            wait_until_blocked_or_done(waiting[0])

    page = alice.open(story)
    expire(story)
    assert alice.send(page, headline="New").status_code == 302
    (theirs,) = waiting
    assert form_of(theirs()).get("headline") in (None, ["New"])
    assert saved(story).headline == "New"
    assert holder_of(story) in (None, bob.user)
