"""Saving without a token, while nobody has the object locked."""

import threading
from functools import partial

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import fence, fence_unlocked
from lock_tokens.locking.fields import to_utc
from lock_tokens.models import LockToken
from lock_tokens.signals import lock_acquired, lock_released, lock_replaced
from tests.models import Article, Feature, Label, Page, Plain, Translation
from tests.support.helpers import again_if_undone, expire, isolate, lock_row, race

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = {
    "an integer": lambda: Article.objects.create(),
    "a UUID": lambda: Page.objects.create(),
    "a text": lambda: Label.objects.create(name="It's 100% ünï/c++"),
    "a one-to-one": lambda: Feature.objects.create(),
    "a third party's": lambda: Plain.objects.create(),
}
UNLOCKABLE = {
    "unsaved": lambda: Article(),
    "unsaved with a key": lambda: Article(pk=5),
    "too long": lambda: Label.objects.create(name="x" * 256),
    "composite": lambda: Translation.objects.create(
        article=Article.objects.create(), language="en"
    ),
}


class Failure(Exception):
    pass


def title_of(article):
    return Article.objects.get(pk=article.pk).title


def rename(article, title="Second"):
    Article.objects.filter(pk=article.pk).update(title=title)


def failing_save(obj):
    with fence_unlocked(obj):
        rename(obj)
        raise Failure


def elsewhere(function):
    """Return what the function gives on a connection of its own."""
    return race(function)[0]


def test_a_free_object_is_saved_and_free_again(article):
    with fence_unlocked(article):
        rename(article)
    assert title_of(article) == "Second"
    assert not lock_row(article).exists()


def test_it_is_locked_meanwhile(article, alice):
    with fence_unlocked(article, user=alice) as fenced:
        row = lock_row(article).get()
        assert (row.token_str, row.locked_by) == (fenced.token, alice)
        assert to_utc(row.expires_at) == to_utc(fenced.expires_at)
        assert LockToken.objects.is_locked(article)
        assert fenced.release
        assert set(fenced.serialize()) == {"token", "expires", "expires_at"}


def test_without_a_user_nobody_is_the_holder(article):
    with fence_unlocked(article):
        assert LockToken.objects.info(article).locked_by is None


def test_an_unsaved_user_is_a_value_error(article, django_user_model):
    with pytest.raises(ValueError), fence_unlocked(article, user=django_user_model()):
        pytest.fail("the block ran")
    assert not lock_row(article).exists()


def test_a_live_lock_is_refused_before_the_block(article, held, alice):
    before = lock_row(article).values().get()
    with pytest.raises(AlreadyLockedError) as caught, fence_unlocked(article):
        pytest.fail("the block ran")
    assert caught.value.locked_by == alice
    assert caught.value.expires_at == before["expires_at"]
    assert held["token"] not in f"{caught.value} {caught.value!r}"
    assert lock_row(article).values().get() == before


def test_ones_own_live_lock_is_refused_too(article, held, alice):
    with pytest.raises(AlreadyLockedError), fence_unlocked(article, user=alice):
        pytest.fail("the block ran")


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


def test_its_own_token_is_void_afterwards(article):
    with fence_unlocked(article) as fenced:
        pass
    with pytest.raises(InvalidToken), fence(article, fenced.token):
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


def test_the_lock_is_given_up_at_the_end_alone(article):
    with fence_unlocked(article) as fenced:
        rename(article)
        assert article.check_lock(fenced.token)
        rename(article, "Third")
        assert article.check_lock(fenced.token)
    assert not lock_row(article).exists()


def test_the_block_may_keep_the_lock(article):
    with fence_unlocked(article) as fenced:
        fenced.release = False
    assert article.check_lock(fenced.token)
    assert article.is_locked()


def test_the_object_may_be_deleted_in_the_block(article):
    with fence_unlocked(article):
        article.delete()
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


def test_also_if_its_model_knows_nothing_of_locks():
    obj = Plain.objects.create()
    with fence_unlocked(obj):
        Plain.objects.filter(pk=obj.pk).delete()
    assert not Plain.objects.exists()
    assert not LockToken.objects.exists()


def test_it_opens_a_transaction_and_ends_it(article):
    assert not connection.in_atomic_block
    with fence_unlocked(article):
        assert connection.in_atomic_block
    assert not connection.in_atomic_block


def test_it_joins_the_transaction_that_is_open(article):
    def work():
        with transaction.atomic():
            with fence_unlocked(article):
                rename(article)
            assert not lock_row(article).exists()
            raise Failure

    with pytest.raises(Failure):
        work()
    assert title_of(article) == "First"
    assert not lock_row(article).exists()


def test_an_outer_transaction_survives_the_blocks_exception(article):
    with transaction.atomic():
        other = Article.objects.create(title="Other")
        with pytest.raises(Failure):
            failing_save(article)
        assert not lock_row(article).exists()
    assert title_of(other) == "Other"
    assert title_of(article) == "First"


def test_an_expired_lock_stands_again_when_the_outer_transaction_fails(article, held):
    expire(article)

    def work():
        with transaction.atomic():
            with fence_unlocked(article):
                pass
            raise Failure

    with pytest.raises(Failure):
        work()
    assert lock_row(article).get().token_str == held["token"]


def test_a_place_does_instead_of_an_object(article):
    lock_key = LockToken.objects.key_of(article)
    with fence_unlocked(lock_key) as fenced:
        rename(article)
        assert article.check_lock(fenced.token)
    assert title_of(article) == "Second"
    assert not lock_row(article).exists()


def test_a_place_that_is_locked_is_refused(article, held, alice):
    lock_key = LockToken.objects.key_of(article)
    with pytest.raises(AlreadyLockedError) as caught, fence_unlocked(lock_key):
        pytest.fail("the block ran")
    assert caught.value.locked_by == alice


def test_a_place_whose_object_is_gone_leaves_nothing_behind():
    lock_key = LockToken.objects.key_of_pk(Article, 404)
    with fence_unlocked(lock_key):
        pass
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_objects_with_any_key(kind):
    obj = KINDS[kind]()
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


def statements(operation):
    with CaptureQueriesContext(connection) as queries:
        operation()
    return [query["sql"].split()[0] for query in queries]


@pytest.mark.parametrize("state", ["free", "expired"])
def test_it_is_two_statements_and_on_mariadb_three(article, state):
    if state == "expired":
        article.lock()
        expire(article)

    def save():
        with fence_unlocked(article):
            pass

    kinds = [kind for kind in statements(save) if kind not in ("BEGIN", "COMMIT")]
    if connection.vendor == "mysql":
        # It looks before the transaction, lest it wait for a live row.
        assert kinds == ["SELECT", "INSERT", "DELETE"]
    else:
        assert kinds == ["INSERT", "DELETE"]


# What others are told, and when they come at the same time


def heard():
    """Return the names of the signals that come from now on."""
    names = []

    def hear(signal, **kwargs):
        names.append(signal)

    for signal in (lock_acquired, lock_replaced, lock_released):
        signal.connect(hear, weak=False)
    return names, hear


@pytest.fixture
def signals():
    names, hear = heard()
    yield names
    for signal in (lock_acquired, lock_replaced, lock_released):
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
        assert elsewhere(lambda: lock_row(article).exists()) is False
        assert elsewhere(lambda: title_of(article)) == "First"
    assert elsewhere(lambda: title_of(article)) == "Second"


@pytest.mark.race
def test_who_takes_the_lock_meanwhile_waits_and_sees_the_save(article):
    fenced, asked = threading.Event(), threading.Event()

    def save():
        with fence_unlocked(article):
            fenced.set()
            assert not asked.wait(0.3)
            rename(article)

    def take():
        assert fenced.wait(30)
        lock = LockToken.objects.take_over(article)
        asked.set()
        return lock.token_str, title_of(article)

    _, (token, seen) = race(save, take)
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
