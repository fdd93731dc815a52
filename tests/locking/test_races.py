"""Real connections, real threads: who wins, and what the losers see."""

import contextlib

import pytest
from django.db import connection, connections, transaction

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.holding import fence
from lock_tokens.models import LockToken
from tests.models import Article, Feature
from tests.support.helpers import (
    InThread,
    again_if_undone,
    expire,
    isolate,
    race,
    wait_until_blocked_or_done,
)
from tests.support.objects import rename, title_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]

RACERS = 16


def acquire(article):
    try:
        return LockToken.objects.acquire(article).token_str
    except AlreadyLockedError:
        return None


def the_one(results):
    won = [result for result in results if result]
    assert len(won) == 1, f"{len(won)} winners"
    return won[0]


def lock_and_expire(article):
    """Return the token of a lock that has expired."""
    token = LockToken.objects.take_over(article).token_str
    expire(article)
    return token


@pytest.mark.parametrize("expired", [False, True])
def test_one_of_sixteen_acquires_a_free_object(article, level, dialect, expired):
    old = lock_and_expire(article) if expired else None

    def racer():
        isolate(level)
        return acquire(article)

    token = the_one(race(*[racer] * RACERS))
    assert LockToken.objects.get().token_str == token != old


@pytest.mark.parametrize("expired", [False, True])
def test_one_of_sixteen_acquires_inside_a_transaction(article, level, dialect, expired):
    old = lock_and_expire(article) if expired else None

    def attempt():
        with transaction.atomic():
            token = acquire(article)
            # Usable after a refusal, too.
            Article.objects.create(title=f"written with {token}")
            return token

    def racer():
        isolate(level)
        return again_if_undone(attempt)

    token = the_one(race(*[racer] * RACERS))
    assert LockToken.objects.get().token_str == token != old
    assert Article.objects.filter(title="written with None").count() == RACERS - 1


def test_never_two_holders_under_churn(article, dialect):
    """Everybody acquires, holds and releases, as fast as they can."""
    inside = []
    most = []
    wins = []

    def racer():
        for _ in range(12):
            token = acquire(article)
            if token is None:
                continue
            inside.append(token)
            most.append(len(inside))
            wins.append(token)
            inside.remove(token)
            LockToken.objects.release(article, token)

    race(*[racer] * 8)
    assert max(most) == 1
    assert len(wins) == len(set(wins))
    assert not LockToken.objects.exists()


def test_never_two_holders_when_locks_expire_under_churn(article):
    """Whoever renews successfully is the only one who may: all others are void."""
    wins = []

    def racer():
        for _ in range(12):
            token = acquire(article)
            if token is None:
                expire_if_any(article)
                continue
            wins.append(token)

    race(*[racer] * 8)
    renewable = []
    for token in wins:
        try:
            LockToken.objects.renew(article, token)
        except InvalidToken:
            continue
        renewable.append(token)
    assert renewable == [LockToken.objects.get().token_str]
    assert len(wins) > 1


def expire_if_any(article):
    try:
        expire(article)
    except AssertionError:
        return


def test_a_renewal_and_a_replacement_never_both_succeed(article, dialect):
    for _ in range(10):
        old = lock_and_expire(article)

        def renew(old=old):
            try:
                LockToken.objects.renew(article, old)
            except InvalidToken:
                return None
            return old

        won = the_one(race(renew, lambda: acquire(article)))
        assert LockToken.objects.get().token_str == won


def test_a_release_and_a_replacement_leave_one_lock_or_none(article, dialect):
    for _ in range(10):
        old = lock_and_expire(article)

        def release(old=old):
            try:
                LockToken.objects.release(article, old)
            except UnlockForbiddenError:
                return "too late"
            return None

        late, new = race(release, lambda: acquire(article))
        # Whatever came first, the acquire got a lock of its own and keeps it.
        assert LockToken.objects.get().token_str == new
        assert late in (None, "too late")


def test_taking_over_is_last_come_last_served(article, dialect):
    tokens = race(*[lambda: LockToken.objects.take_over(article).token_str] * RACERS)
    assert len(set(tokens)) == RACERS
    assert LockToken.objects.get().token_str in tokens


def save(article, token, title, **options):
    with fence(article, token, **options):
        Article.objects.filter(pk=article.pk).update(title=title)


def test_a_stalled_holder_s_save_changes_nothing(article, dialect):
    stalled = lock_and_expire(article)
    other = article.lock()["token"]
    save(article, other, "Another's work", release=True)
    with pytest.raises(InvalidToken):
        save(article, stalled, "Stale")
    assert Article.objects.get().title == "Another's work"
    other = article.lock()["token"]
    with pytest.raises(InvalidToken):
        save(article, stalled, "Stale")
    assert Article.objects.get().title == "Another's work"


def test_a_stalled_holder_and_whoever_took_the_lock_never_both_save(article, level):
    """Both stand at the line with a token each; the void one must lose."""
    for _ in range(5):
        stalled = lock_and_expire(article)

        def late_save(stalled=stalled):
            isolate(level)
            try:
                again_if_undone(lambda: save(article, stalled, "Stale"))
            except InvalidToken:
                return None
            return "Stale"

        def acquire_and_save():
            isolate(level)
            token = acquire(article)
            if token is None:
                return None
            again_if_undone(lambda: save(article, token, "Fresh"))
            return "Fresh"

        saved = the_one(race(late_save, acquire_and_save))
        assert Article.objects.get().title == saved


def test_nobody_takes_an_expired_lock_during_a_fenced_save(article, level, dialect):
    isolate(level)
    token = lock_and_expire(article)

    def attempt():
        isolate(level)
        return again_if_undone(lambda: acquire(article))

    with fence(article, token):
        Article.objects.update(title="Saved in the fence")
        if connection.vendor == "sqlite":
            taking = None
        else:
            taking = InThread(attempt)
            wait_until_blocked_or_done(taking)
    assert (taking or InThread(attempt))() is None
    assert article.check_lock(token)
    assert Article.objects.get().title == "Saved in the fence"
    connection.close()


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
def test_whoever_takes_over_waits_for_the_fenced_save(article):
    token = article.lock()["token"]
    with fence(article, token):
        taking = InThread(lambda: LockToken.objects.take_over(article).token_str)
        wait_until_blocked_or_done(taking)
        assert taking.is_running()
        Article.objects.update(title="Saved in the fence")
    new = taking()
    assert Article.objects.get().title == "Saved in the fence"
    assert LockToken.objects.get().token_str == new
    with pytest.raises(InvalidToken):
        save(article, token, "Stale")


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
def test_a_refusal_does_not_wait_for_a_fenced_save(article):
    """The holder is alive and saving: another's attempt is told so at once."""
    token = article.lock()["token"]
    with fence(article, token):
        assert InThread(lambda: acquire(article))() is None


def test_an_acquire_that_waits_for_another_names_the_winner(
    article, alice, level, dialect
):
    """When it began, nobody had the lock."""

    def refused():
        isolate(level)
        with pytest.raises(AlreadyLockedError) as caught:
            LockToken.objects.acquire(article)
        return caught.value.locked_by, caught.value.expires_at

    with transaction.atomic():
        lock = LockToken.objects.acquire(article, user=alice)
        refusing = InThread(refused)
        wait_until_blocked_or_done(refusing)
        assert refusing.is_running()
    assert refusing() == (alice, lock.expires_at)


def test_cleaning_up_beside_acquires_and_fences_removes_no_live_lock(article):
    articles = [Article.objects.create() for _ in range(10)]
    for each in articles:
        each.lock()
        expire(each)

    def work():
        return [token for each in articles if (token := acquire(each))]

    def clean():
        for _ in range(5):
            LockToken.objects.remove_expired(batch_size=3)
        return []

    *won, _cleaned, _cleaned_too = race(work, work, work, clean, clean)
    assert sum(len(tokens) for tokens in won) == 10
    assert LockToken.objects.count() == 10


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
def test_cleaning_up_leaves_a_row_that_is_being_fenced(article):
    token = lock_and_expire(article)
    with fence(article, token):
        assert InThread(LockToken.objects.remove_expired)() == 0
    assert article.check_lock(token)


# Deleting: the lock's row first, and then the object's


@pytest.mark.parametrize("delete", ["object", "queryset", "cascade"])
def test_deleting_what_is_being_saved_waits_and_does_not_deadlock(article, delete):
    edited = Feature.objects.create() if delete == "cascade" else article
    doomed = Article.objects.filter(pk=edited.pk)
    deletion = doomed.delete if delete == "queryset" else doomed.get().delete
    token = edited.lock()["token"]
    with fence(edited, token):
        deleting = InThread(deletion)
        wait_until_blocked_or_done(deleting)
        assert deleting.is_running()
        assert type(edited).objects.filter(pk=edited.pk).update(title="Saved") == 1
    deleting()
    assert not doomed.exists()
    assert not LockToken.objects.exists()


def test_a_save_that_meets_a_deletion_is_refused_and_revives_nothing(article):
    token = article.lock()["token"]

    def save_it():
        with fence(article, token):
            article.save()

    with transaction.atomic():
        Article.objects.get().delete()
        saving = InThread(save_it)
        wait_until_blocked_or_done(saving)
        assert saving.is_running()
    with pytest.raises(InvalidToken):
        saving()
    assert not Article.objects.exists()


def test_a_deletion_that_is_undone_leaves_the_lock(article):
    token = article.lock()["token"]
    with transaction.atomic():
        Article.objects.get().delete()
        transaction.set_rollback(True)
    assert article.check_lock(token)
    assert article.is_locked()


def test_many_deletions_beside_many_saves(article):
    articles = [article, *(Article.objects.create() for _ in range(9))]
    tokens = {each: each.lock()["token"] for each in articles}

    def edit():
        for each, token in tokens.items():
            with contextlib.suppress(InvalidToken):
                save(each, token, "Saved")

    race(edit, edit, Article.objects.all().delete, edit, Article.objects.all().delete)
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


@pytest.mark.only_on("sqlite", reason="other databases have no such mode")
@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_a_take_over_while_another_writes_in_django_s_default_mode_of_sqlite(
    article, monkeypatch, is_in_transaction
):
    """A transaction that has only read cannot write any more after another's write."""
    monkeypatch.setattr(connections["default"], "transaction_mode", None)
    lock = LockToken.objects.acquire(article)
    writers = []

    def write_beside(execute, sql, *args):
        result = execute(sql, *args)
        if (
            connection.in_atomic_block
            and not sql.startswith("SAVEPOINT")
            and not writers
        ):
            writers.append(InThread(lambda: rename(article)))
            wait_until_blocked_or_done(writers[0])
        return result

    with connection.execute_wrapper(write_beside):
        with transaction.atomic() if is_in_transaction else contextlib.nullcontext():
            new = LockToken.objects.take_over(article, locked_at=lock.locked_at)
    writers[0]()
    assert LockToken.objects.get() == new
    assert title_of(article) == "Second"
