"""How many statements an operation takes, and the same rules in every dialect."""

from contextlib import nullcontext

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.holding import fence, hold_lock
from lock_tokens.locking.transactions import retry_on_conflict
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.signals import lock_acquired
from tests.models import Article, Page, Plain
from tests.support.helpers import (
    ACQUIRE,
    ACQUIRE_IN_AUTOCOMMIT,
    REFUSAL,
    InThread,
    expire,
    isolate,
    race,
    undoes_old_snapshots,
)

pytestmark = pytest.mark.django_db(transaction=True)


def number_of_statements(operation, *errors):
    with CaptureQueriesContext(connection) as queries:
        try:
            operation()
        except errors:
            pass
        else:
            assert not errors, "it was not refused"
    return len(queries)


def test_acquiring_and_refusing_with_the_holder(article, alice):
    acquire = len(ACQUIRE_IN_AUTOCOMMIT)
    assert number_of_statements(article.lock) == acquire
    assert number_of_statements(article.lock, AlreadyLockedError) == REFUSAL
    expire(article)
    assert number_of_statements(lambda: article.lock(user=alice)) == acquire
    # RETURNING gives MariaDB the row of the lock, but not that of the user.
    refused = 2 if connection.vendor == "mysql" else 1
    assert number_of_statements(article.lock, AlreadyLockedError) == refused
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert number_of_statements(lambda: caught.value.locked_by.username) == 0
    plain = Plain.objects.create()
    LockToken.objects.is_locked(plain)
    assert number_of_statements(lambda: LockableModel.lock(plain)) == acquire


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
def test_refusing_while_the_holder_saves(article, alice):
    """MariaDB cannot return a row that is in use, and reads it instead."""
    held = article.lock(user=alice)

    def refused():
        return number_of_statements(article.lock, AlreadyLockedError)

    with fence(article, held["token"]):
        assert InThread(refused)() == (2 if connection.vendor == "mysql" else 1)


def test_renewing_releasing_and_asking_are_one_statement_each(article):
    token = article.lock()["token"]
    for operation, *errors in (
        (lambda: article.lock(token),),
        (lambda: article.lock("0" * 32), InvalidToken),
        (lambda: article.check_lock(token),),
        (article.is_locked,),
        (article.lock_info,),
        (lambda: LockToken.objects.get_by_token(article, token),),
        (lambda: article.unlock(token),),
        (lambda: article.unlock(token), UnlockForbiddenError),
    ):
        assert number_of_statements(operation, *errors) == 1


def test_garbage_for_a_token_asks_the_database_nothing(article):
    article.lock()
    assert number_of_statements(lambda: article.lock("garbage"), InvalidToken) == 0
    assert number_of_statements(lambda: article.unlock("x"), UnlockForbiddenError) == 0


def test_the_state_of_a_hundred_objects_is_one_statement():
    articles = [Article.objects.create() for _ in range(100)]
    for locked in articles[:50]:
        locked.lock()
    assert number_of_statements(lambda: LockToken.objects.infos(articles)) == 1


def test_inside_a_transaction_the_fast_path_needs_no_savepoint(article):
    with transaction.atomic():
        held = {}
        # MariaDB and MySQL look first, so as not to keep a holder from renewing.
        expected = len(ACQUIRE) + (connection.vendor == "mysql")
        assert number_of_statements(lambda: held.update(article.lock())) == expected
        refused = number_of_statements(article.lock, AlreadyLockedError)
        assert refused == (2 if connection.vendor == "sqlite" else 1)
        assert number_of_statements(lambda: article.lock(held["token"])) == 1
        assert number_of_statements(lambda: article.unlock(held["token"])) == 1


# The same rules in every dialect


def test_life_of_a_lock(article, dialect):
    locks = LockToken.objects
    assert not article.is_locked()
    assert locks.current_token(article) is None
    first = locks.acquire(article, timeout=60)
    assert LockToken.objects.get().serialize() == first.serialize()
    assert LockToken.objects.get().pk == first.pk
    assert LockToken.objects.get().locked_at == first.locked_at
    assert (first.expires_at - first.locked_at).total_seconds() == pytest.approx(60)
    assert article.is_locked()
    with pytest.raises(AlreadyLockedError):
        article.lock()
    renewed = locks.renew(article, first.token_str, timeout=90)
    assert LockToken.objects.get().expires_at == renewed > first.expires_at
    longer = locks.renew(article, first.token_str, timeout=30, extend=True)
    assert LockToken.objects.get().expires_at == longer == renewed
    longer = locks.renew(article, first.token_str, timeout=3000, extend=True)
    assert LockToken.objects.get().expires_at == longer > renewed
    expire(article)
    assert not article.is_locked()
    assert locks.current_token(article).matches(first.token_str)
    assert not locks.current_token(article).live
    second = locks.acquire(article)
    assert second.pk != first.pk
    with pytest.raises(InvalidToken):
        locks.renew(article, first.token_str)
    with pytest.raises(UnlockForbiddenError):
        locks.release(article, first.token_str)
    third = locks.take_over(article)
    assert LockToken.objects.get().pk == third.pk != second.pk
    assert locks.current_token(article).matches(third.token_str)
    locks.release(article, third.token_str)
    assert not LockToken.objects.exists()
    locks.take_over(article)
    assert locks.remove(article) is True
    assert locks.remove(article) is False


def test_get_or_acquire_says_whether_the_lock_is_new(article, dialect):
    locks = LockToken.objects
    lock, is_new = locks.get_or_acquire(article, owner="mine", timeout=60)
    assert is_new is True
    again, is_new = locks.get_or_acquire(article, owner="mine", timeout=90)
    assert is_new is False
    assert (again.pk, again.token_str) == (lock.pk, lock.token_str)
    assert LockToken.objects.get().expires_at == again.expires_at > lock.expires_at
    for owner in ("another's", None):
        with pytest.raises(AlreadyLockedError):
            locks.get_or_acquire(article, owner=owner)
    expire(article)
    newer, is_new = locks.get_or_acquire(article, owner="mine")
    assert is_new is True
    assert newer.token_str != lock.token_str


def test_acquiring_again_never_shortens_the_lock(article, dialect):
    lock = LockToken.objects.acquire(article, owner="mine", timeout=600)
    again, is_new = LockToken.objects.get_or_acquire(article, owner="mine", timeout=5)
    assert is_new is False
    assert again.expires_at == lock.expires_at == LockToken.objects.get().expires_at


def test_get_by_token_is_the_row_for_its_holder(article):
    locks = LockToken.objects
    lock = locks.acquire(article)
    assert locks.get_by_token(article, lock.token_str) == lock
    expire(article)
    assert locks.get_by_token(article, lock.token_str) == lock
    for token in ("0" * 32, "garbage", "", None, lock.token_str.upper() + " "):
        with pytest.raises(InvalidToken) as caught:
            locks.get_by_token(article, token)
        assert caught.value.obj == article
        assert lock.token_str not in str(caught.value)
    locks.release(article, lock.token_str)
    with pytest.raises(LockToken.DoesNotExist):
        locks.get_by_token(article, lock.token_str)


def test_the_holder_comes_as_the_orm_reads_it(
    article, alice, django_user_model, dialect
):
    article.lock(user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    holder = caught.value.locked_by
    stored = django_user_model.objects.get()
    for field in stored._meta.concrete_fields:
        assert getattr(holder, field.attname) == getattr(stored, field.attname)
    assert holder._state.db == "default"
    assert not holder._state.adding


def test_whoever_acquires_is_the_holder_of_the_lock_that_comes_back(
    article, alice, dialect
):
    lock = LockToken.objects.acquire(article, user=alice)
    assert lock.locked_by == lock.info().locked_by == alice
    expire(article)
    assert LockToken.objects.acquire(article, user=alice).locked_by == alice
    assert LockToken.objects.take_over(article, user=alice).locked_by == alice


def test_a_uuid_key_and_a_uuid_free_of_dashes_are_one(dialect):
    page = Page.objects.create()
    held = page.lock()
    assert page.check_lock(held["token"])
    assert LockToken.objects.get().locked_object_id == str(page.pk)


# In a transaction


def test_a_refusal_leaves_the_transaction_usable(article, dialect):
    article.lock()
    with transaction.atomic():
        with pytest.raises(AlreadyLockedError):
            article.lock()
        with pytest.raises(InvalidToken):
            article.lock("0" * 32)
        with pytest.raises(UnlockForbiddenError):
            article.unlock("0" * 32)
        Article.objects.update(title="Written after the refusals")
    assert Article.objects.get().title == "Written after the refusals"


def test_replacing_and_taking_over_inside_a_transaction(article, dialect):
    old = LockToken.objects.acquire(article)
    expire(article)
    with transaction.atomic():
        new = LockToken.objects.acquire(article)
        newest = LockToken.objects.take_over(article)
        Article.objects.update(title="Still usable")
    assert LockToken.objects.get() == newest
    assert len({old.token_str, new.token_str, newest.token_str}) == 3


def test_a_rollback_undoes_an_acquire(article, dialect):
    with transaction.atomic():
        article.lock()
        transaction.set_rollback(True)
    assert not article.is_locked()
    article.lock()


def test_without_django_s_autocommit_an_operation_is_part_of_the_transaction(
    article, monkeypatch
):
    """What the database undoes is the caller's to try again; signals go out at once."""

    deadlocks = iter([OperationalError(1213, "Deadlock found")])

    def undone_once():
        for error in deadlocks:
            raise error

    told = []
    lock_acquired.connect(lambda **kwargs: told.append(kwargs["object_id"]), weak=False)
    receivers = lock_acquired.receivers
    try:
        transaction.set_autocommit(False)
        with pytest.raises(OperationalError):
            retry_on_conflict("default", undone_once)
        held = article.lock()
        assert told == [str(article.pk)]
        with hold_lock(Article.objects.create()) as other:
            assert other.in_transaction()
        transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
        receivers.clear()
        lock_acquired.sender_receivers_cache.clear()
    assert article.check_lock(held["token"])


@pytest.mark.race
@pytest.mark.only_on(
    "mysql", reason="elsewhere the database refuses, or shows the current row"
)
def test_get_and_lock_in_a_transaction_sees_what_others_have_saved(article):
    """Also where the transaction has read before, and would be shown that again."""
    undoes = undoes_old_snapshots()
    isolate("REPEATABLE READ")
    try:
        with (
            pytest.raises(OperationalError) if undoes else nullcontext(),
            transaction.atomic(),
        ):
            assert Article.objects.get().title == "First"
            race(lambda: Article.objects.update(title="Saved meanwhile"))
            obj, _held = Article.objects.get_and_lock(pk=article.pk)
            assert obj.title == "Saved meanwhile"
    finally:
        connection.close()
    assert LockToken.objects.exists() is not undoes
