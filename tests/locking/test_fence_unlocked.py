"""Saving without a token, while nobody has the object locked."""

from functools import partial

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import fence, fence_unlocked
from lock_tokens.locking.fields import to_utc
from lock_tokens.models import LockToken
from lock_tokens.signals import lock_acquired, lock_released, lock_replaced
from tests.models import Article, Plain
from tests.support.helpers import (
    ACQUIRE,
    InThread,
    again_if_undone,
    expire,
    isolate,
    lock_row,
    race,
    wait_until_blocked_or_done,
)
from tests.support.objects import LOCKABLE, UNLOCKABLE, rename, title_of

pytestmark = pytest.mark.django_db(transaction=True)


class Failure(Exception):
    pass


def failing_save(obj):
    with fence_unlocked(obj):
        rename(obj)
        raise Failure


@pytest.mark.parametrize("by_key", [False, True])
def test_a_free_object_is_saved_and_free_again(article, by_key):
    obj = LockToken.objects.key_of(article) if by_key else article
    with fence_unlocked(obj) as fenced:
        assert connection.in_atomic_block
        assert LockToken.objects.info(article).locked_by is None
        rename(article)
        assert article.check_lock(fenced.token)
        rename(article, "Third")
        assert article.check_lock(fenced.token)
    assert not connection.in_atomic_block
    assert title_of(article) == "Third"
    assert not lock_row(article).exists()
    with pytest.raises(InvalidToken), fence(article, fenced.token):
        pytest.fail("the block ran")


def test_it_is_locked_meanwhile(article, alice):
    with fence_unlocked(article, user=alice) as fenced:
        row = lock_row(article).get()
        assert (row.token_str, row.locked_by) == (fenced.token, alice)
        assert to_utc(row.expires_at) == to_utc(fenced.expires_at)
        assert LockToken.objects.is_locked(article)
        assert fenced.release
        assert set(fenced.serialize()) == {"token", "expires", "expires_at"}


def test_an_unsaved_user_is_a_value_error(article, django_user_model):
    with pytest.raises(ValueError), fence_unlocked(article, user=django_user_model()):
        pytest.fail("the block ran")
    assert not lock_row(article).exists()


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("by_key", [False, True])
def test_a_live_lock_is_refused_before_the_block(article, held, alice, own, by_key):
    obj = LockToken.objects.key_of(article) if by_key else article
    user = alice if own else None
    before = lock_row(article).values().get()
    with pytest.raises(AlreadyLockedError) as caught, fence_unlocked(obj, user=user):
        pytest.fail("the block ran")
    assert caught.value.locked_by == alice
    assert caught.value.expires_at == before["expires_at"]
    assert held["token"] not in f"{caught.value} {caught.value!r}"
    assert lock_row(article).values().get() == before


def test_a_refusal_leaves_an_outer_transaction_usable(article, held):
    with transaction.atomic():
        rename(article)
        with pytest.raises(AlreadyLockedError), fence_unlocked(article):
            pytest.fail("the block ran")
        assert title_of(article) == "Second"
    assert title_of(article) == "Second"
    assert article.check_lock(held["token"])


def test_an_expired_lock_makes_way_and_its_token_is_void(article, held):
    expire(article)
    with fence_unlocked(article) as fenced:
        assert fenced.token != held["token"]
        assert lock_row(article).get().token_str == fenced.token
    assert not lock_row(article).exists()
    with pytest.raises(InvalidToken), fence(article, held["token"]):
        pytest.fail("the block ran")


def test_an_exception_undoes_the_save_and_the_lock(article):
    with pytest.raises(Failure):
        failing_save(article)
    assert title_of(article) == "First"
    assert not lock_row(article).exists()


def test_an_exception_brings_an_expired_lock_back_as_it_was(article, held):
    expire(article)
    before = lock_row(article).values().get()
    with pytest.raises(Failure):
        failing_save(article)
    assert lock_row(article).values().get() == before
    with fence(article, held["token"]):
        pass


def test_a_broken_transaction_is_undone_without_another_error(article):
    with fence_unlocked(article):
        rename(article)
        transaction.set_rollback(True)
    assert title_of(article) == "First"
    assert not lock_row(article).exists()


def test_the_block_may_keep_the_lock(article):
    with fence_unlocked(article) as fenced:
        fenced.release = False
    assert article.check_lock(fenced.token)
    assert article.is_locked()


@pytest.mark.parametrize("model", [Article, Plain])  # Plain knows nothing of locks
def test_the_object_may_be_deleted_in_the_block(model):
    obj = model.objects.create()
    with fence_unlocked(obj):
        model.objects.filter(pk=obj.pk).delete()
    assert not model.objects.exists()
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("expired", [False, True])
def test_it_joins_the_transaction_that_is_open(article, expired):
    if expired:
        article.lock()
        expire(article)
    before = list(lock_row(article).values())

    @transaction.atomic
    def work():
        with fence_unlocked(article):
            rename(article)
        assert not lock_row(article).exists()
        raise Failure

    with pytest.raises(Failure):
        work()
    assert title_of(article) == "First"
    assert list(lock_row(article).values()) == before


def test_an_outer_transaction_survives_the_blocks_exception(article):
    with transaction.atomic():
        other = Article.objects.create(title="Other")
        with pytest.raises(Failure):
            failing_save(article)
        assert not lock_row(article).exists()
    assert title_of(other) == "Other"
    assert title_of(article) == "First"


def test_a_key_whose_object_is_gone_leaves_nothing_behind():
    lock_key = LockToken.objects.key_of_pk(Article, 404)
    with fence_unlocked(lock_key):
        pass
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("kind", LOCKABLE)
def test_objects_with_any_key(kind):
    obj = LOCKABLE[kind]()
    with fence_unlocked(obj) as fenced:
        assert LockToken.objects.get_by_token(obj, fenced.token)
        with pytest.raises(AlreadyLockedError):
            LockToken.objects.acquire(obj)
    assert not lock_row(obj).exists()


@pytest.mark.parametrize("kind", UNLOCKABLE)
def test_what_cannot_be_locked_is_a_value_error(kind):
    with pytest.raises(ValueError), fence_unlocked(UNLOCKABLE[kind]()):
        pytest.fail("the block ran")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_an_object_of_another_database_is_locked_there():
    article = Article.objects.using("other").create(title="First")
    with fence_unlocked(article):
        assert connections["other"].in_atomic_block
        assert LockToken.objects.using("other").count() == 1
        assert not LockToken.objects.using("default").exists()
    assert not LockToken.objects.using("other").exists()


def test_a_database_that_fails_leaves_all_as_it_was(article, held):
    expire(article)
    before = lock_row(article).values().get()

    def fail_release(execute, sql, params, many, context):
        if sql.startswith("DELETE"):
            raise DatabaseError
        return execute(sql, params, many, context)

    def save():
        with connection.execute_wrapper(fail_release), fence_unlocked(article):
            rename(article)

    with pytest.raises(DatabaseError):
        save()
    assert title_of(article) == "First"
    assert lock_row(article).values().get() == before


# Statements, pinned


@pytest.mark.parametrize("state", ["free", "expired"])
def test_it_is_two_statements_and_on_mariadb_three(article, state):
    if state == "expired":
        article.lock()
        expire(article)
    with CaptureQueriesContext(connection) as queries, fence_unlocked(article):
        pass
    verbs = [query["sql"].split()[0] for query in queries]
    verbs = [verb for verb in verbs if verb not in ("BEGIN", "COMMIT")]
    # MariaDB and MySQL look before the transaction, lest they wait for a live row.
    looks_first = ["SELECT"] if connection.vendor == "mysql" else []
    assert verbs == [*looks_first, *ACQUIRE, "DELETE"]


# What others are told, and when they come at the same time


@pytest.fixture
def signals():
    """The signals that came, one after the other."""
    came = []

    def hear(signal, **kwargs):
        came.append(signal)

    all_signals = (lock_acquired, lock_replaced, lock_released)
    for signal in all_signals:
        signal.connect(hear)
    yield came
    for signal in all_signals:
        signal.disconnect(hear)


def test_signals_come_after_the_commit_and_not_after_a_failure(article, signals):
    with fence_unlocked(article):
        assert signals == []
    assert signals == [lock_acquired, lock_released]
    signals.clear()
    with pytest.raises(Failure):
        failing_save(article)
    assert signals == []


def test_nobody_else_sees_the_lock_or_the_save_before_the_end(article):
    with fence_unlocked(article):
        rename(article)
        assert InThread(lock_row(article).exists)() is False
        assert InThread(partial(title_of, article))() == "First"
    assert InThread(partial(title_of, article))() == "Second"


@pytest.mark.race
def test_who_takes_the_lock_meanwhile_waits_and_sees_the_save(article):
    def take():
        return LockToken.objects.take_over(article).token_str, title_of(article)

    with fence_unlocked(article):
        taking = InThread(take)
        wait_until_blocked_or_done(taking)
        assert taking.is_running()
        rename(article)
    token, seen = taking()
    assert seen == "Second"
    assert article.check_lock(token)


@pytest.mark.race
def test_of_many_saves_at_once_none_is_lost(level):
    for _ in range(10):
        article = Article.objects.create(title="")
        article.is_locked()

        def save(letter, article=article):
            with fence_unlocked(article):
                rename(article, title_of(article) + letter)

        def saver(letter, save=save):
            isolate(level)
            again_if_undone(lambda: save(letter))

        race(*[partial(saver, letter) for letter in "abcd"])
        assert sorted(title_of(article)) == ["a", "b", "c", "d"]
        assert not lock_row(article).exists()


@pytest.mark.race
def test_of_a_save_without_a_token_and_one_with_an_expired_one_none_is_lost():
    for _ in range(10):
        article = Article.objects.create(title="")
        token = article.lock()["token"]
        expire(article)

        def unlocked(article=article):
            try:
                with fence_unlocked(article):
                    rename(article, title_of(article) + "a")
            except AlreadyLockedError:
                return ""
            return "a"

        def locked(article=article, token=token):
            try:
                with fence(article, token):
                    rename(article, title_of(article) + "b")
            except InvalidToken:
                return ""
            return "b"

        saved = "".join(race(unlocked, locked))
        # The token is void once the other has saved; or it is live, and the other's
        # save refused.
        assert saved in ("a", "b")
        assert title_of(article) == saved
