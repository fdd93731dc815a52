"""Which statements a database has, and what its errors mean."""

import time

import pytest
from django.db import (
    DatabaseError,
    OperationalError,
    connection,
    connections,
    transaction,
)

from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.locking.fields import UTCNow
from lock_tokens.locking.sql import for_database
from lock_tokens.locking.sql.mysql import MariaDBStatements, MySQLStatements
from lock_tokens.locking.sql.portable import PortableStatements
from lock_tokens.locking.sql.returning import PostgreSQLStatements, SQLiteStatements
from lock_tokens.locking.sql.rows import new_lock
from lock_tokens.locking.transactions import ATTEMPTS, is_retryable, retry_on_conflict
from lock_tokens.models import LockToken
from lock_tokens.sessions import take_over_for_session
from tests.models import Article
from tests.settings import DATABASE
from tests.support.helpers import (
    expire,
    isolate,
    new_session,
    race,
    undoes_old_snapshots,
    use_statements,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def for_database_anew():
    for_database.cache_clear()
    yield
    for_database.cache_clear()


def test_each_database_has_its_statements():
    expected = {
        "postgresql": PostgreSQLStatements,
        "sqlite": SQLiteStatements,
        "mariadb": MariaDBStatements,
        "mysql": MySQLStatements,
    }[DATABASE]
    assert type(for_database(LockToken, "default")) is expected
    assert for_database(LockToken, "default") is for_database(LockToken, "default")


@pytest.mark.only_on("mariadb", reason="for MariaDB and MySQL")
def test_mysql_and_mariadb_have_statements_of_their_own(monkeypatch):
    monkeypatch.setitem(vars(connections["default"]), "mysql_is_mariadb", False)
    assert type(for_database(LockToken, "default")) is MySQLStatements


def test_a_database_without_a_dialect_goes_the_orm_s_way(monkeypatch):
    monkeypatch.setattr(type(connections["default"]), "vendor", "another")
    assert type(for_database(LockToken, "default")) is PortableStatements


@pytest.mark.only_on(
    "sqlite", "postgresql", reason="MySQL's statements do without RETURNING"
)
def test_a_database_without_returning_goes_the_orm_s_way(monkeypatch):
    features = connections["default"].features
    monkeypatch.setitem(vars(features), "can_return_columns_from_insert", False)
    assert type(for_database(LockToken, "default")) is PortableStatements


def test_the_clock_of_a_database_without_a_dialect():
    sql, params = UTCNow().as_sql(None, connection)
    assert (sql, list(params)) == ("CURRENT_TIMESTAMP", [])


def test_a_user_model_in_several_tables_is_not_joined(article, alice, monkeypatch):
    """It is looked up instead."""
    article.lock(user=alice)
    for_database.cache_clear()
    monkeypatch.setattr(type(alice)._meta, "parents", {Article: None})
    statements = for_database(LockToken, "default")
    assert statements.users is None
    monkeypatch.undo()
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by == alice
    expire(article)
    article.lock(user=alice)
    assert article.lock_info().locked_by == alice


# Errors of the database


class DriverError(Exception):
    sqlstate = "40001"


def failing(times, error):
    attempts = []

    def operation():
        attempts.append(1)
        if len(attempts) <= times:
            raise error
        return len(attempts)

    return operation


def caused_by(error, cause):
    error.__cause__ = cause
    return error


DEADLOCK = OperationalError(1213, "Deadlock found")


SERIALIZATION = caused_by(OperationalError("could not serialize"), DriverError())


@pytest.mark.parametrize("error", [DEADLOCK, SERIALIZATION])
def test_what_the_database_undid_is_asked_again(error):
    assert is_retryable(error)
    assert retry_on_conflict("default", failing(3, error)) == 4
    with pytest.raises(OperationalError):
        retry_on_conflict("default", failing(ATTEMPTS, error))


@pytest.mark.django_db
def test_inside_a_transaction_it_is_the_caller_s_to_try_again():
    with pytest.raises(OperationalError):
        retry_on_conflict("default", failing(1, DEADLOCK))


def test_other_errors_are_not_asked_again():
    error = OperationalError("disk full")
    assert not is_retryable(error)
    assert not is_retryable(OperationalError())
    with pytest.raises(OperationalError, match="disk full"):
        retry_on_conflict("default", failing(1, error))


@pytest.mark.only_on(
    "mysql", reason="only MariaDB's and MySQL's statements look at errors"
)
@pytest.mark.parametrize("error", [DatabaseError, OperationalError])
def test_other_errors_of_an_acquire_reach_the_caller(article, monkeypatch, error):

    def failing(*args):
        raise error("disk full")

    monkeypatch.setattr(for_database(LockToken, "default"), "lock_of", failing)
    with pytest.raises(error, match="disk full"):
        article.lock()


@pytest.mark.only_on("mysql", reason="only MariaDB and MySQL end the wait")
def test_a_row_locked_by_a_transaction_is_a_refusal_on_mariadb(article):
    """There the wait has an end; elsewhere the acquire waits for the transaction."""
    held = article.lock()
    expire(article)
    other = connection.copy("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute(
                "UPDATE lock_tokens_locktoken SET locked_by_id = 7 WHERE token_str = %s",
                [held["token"]],
            )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
        started = time.monotonic()
        with transaction.atomic():
            with pytest.raises(AlreadyLockedError):
                article.lock()
            Article.objects.update(title="Still usable")
        with pytest.raises(AlreadyLockedError):
            article.lock()
        assert time.monotonic() - started < 5  # it waits once, not once an attempt
    finally:
        other.close()
        connection.close()
    assert Article.objects.get().title == "Still usable"


@pytest.fixture
def busy(article, alice):
    """Alice's lock, whose row another transaction keeps; a wait for it ends soon."""
    lock = LockToken.objects.acquire(article, user=alice)
    other = connection.copy("default")
    with other.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("UPDATE lock_tokens_locktoken SET created = created")
        cursor.execute("SELECT id FROM lock_tokens_locktoken FOR UPDATE")
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
    yield lock
    other.close()
    connection.close()


@pytest.mark.only_on("mysql", reason="only MariaDB and MySQL end the wait")
@pytest.mark.parametrize("in_session", [False, True])
@pytest.mark.parametrize("of_one_lock", [False, True])
def test_taking_over_a_row_locked_by_a_transaction_is_a_refusal_on_mariadb(
    article, alice, busy, in_session, of_one_lock
):
    options = {"locked_at": busy.locked_at} if of_one_lock else {}

    def take_over():
        if in_session:
            take_over_for_session(article, new_session(), **options)
        else:
            LockToken.objects.take_over(article, **options)

    with pytest.raises(AlreadyLockedError) as caught:
        take_over()
    assert (caught.value.obj, caught.value.locked_by) == (article, alice)
    with transaction.atomic():
        with pytest.raises(AlreadyLockedError):
            take_over()
        Article.objects.update(title="Still usable")
    assert Article.objects.get().title == "Still usable"
    assert article.check_lock(busy.token_str)


@pytest.mark.only_on("mysql", reason="only MariaDB and MySQL have the option")
@pytest.mark.parametrize("of_one_lock", [False, True])
def test_taking_over_where_a_wait_undoes_the_whole_transaction(
    article, busy, monkeypatch, of_one_lock
):
    options = {"locked_at": busy.locked_at} if of_one_lock else {}
    monkeypatch.setattr(for_database(LockToken, "default"), "waits_undo_all", True)
    with pytest.raises(AlreadyLockedError):
        LockToken.objects.take_over(article, **options)
    with transaction.atomic():
        with pytest.raises(OperationalError):
            LockToken.objects.take_over(article, **options)
        assert connection.needs_rollback


@pytest.mark.only_on("mysql", reason="only MariaDB and MySQL have the option")
def test_a_wait_that_undoes_the_whole_transaction_is_no_mere_refusal(
    article, monkeypatch
):
    """MariaDB and MySQL with innodb_rollback_on_timeout: the caller has to know."""
    article.lock()
    expire(article)
    statements = for_database(LockToken, "default")
    assert statements.waits_undo_all is False
    monkeypatch.setattr(statements, "waits_undo_all", True)
    other = connection.copy("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute("UPDATE lock_tokens_locktoken SET locked_by_id = 7")
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
        with pytest.raises(AlreadyLockedError):
            article.lock()  # in autocommit there is nothing to undo
        with transaction.atomic():
            with pytest.raises(OperationalError):
                article.lock()
            assert connection.needs_rollback
    finally:
        other.close()
        connection.close()


# Others come between two statements


def looking(monkeypatch, statements, first):
    """Have the statements look for a live lock by ``first`` once."""
    live_lock = statements.live_lock

    def look(*key):
        monkeypatch.setattr(statements, "live_lock", live_lock)
        return first(*key)

    monkeypatch.setattr(statements, "live_lock", look)


def test_a_lock_that_goes_while_asking_who_holds_it_is_acquired(article, monkeypatch):
    """The refusal's second statement finds nobody: the object has become free."""
    held = article.lock()
    statements = PortableStatements(LockToken, "default")
    use_statements(monkeypatch, lambda model, alias: statements)
    looking(monkeypatch, statements, lambda *key: article.unlock(held["token"]))
    assert article.lock()["token"] != held["token"]


def test_an_object_that_changes_hands_all_the_time_is_refused(article, monkeypatch):
    article.lock()
    use_statements(monkeypatch, PortableStatements)
    monkeypatch.setattr(PortableStatements, "live_lock", lambda *args: None)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by is None
    assert caught.value.expires_at is None


@pytest.mark.only_on("mysql", reason="others read nothing back")
def test_a_lock_that_is_taken_over_before_it_is_read_back_is_a_refusal(
    article, alice, monkeypatch
):
    statements = MySQLStatements(LockToken, connection)
    use_statements(monkeypatch, lambda model, alias: statements)
    read_back = statements.lock_of

    def taken_over_just_now(*args):
        monkeypatch.setattr(statements, "lock_of", read_back)
        LockToken.objects.take_over(article, user=alice)
        return read_back(*args)

    monkeypatch.setattr(statements, "lock_of", taken_over_just_now)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by == alice


def test_the_orm_s_way_reports_a_row_that_vanished(article, monkeypatch):
    """Between the insert and the look at what was inserted, or between two deletes."""
    statements = PortableStatements(LockToken, "default")
    calls = []
    insert = PortableStatements._insert

    def vanishing(*args):
        calls.append(1)
        return None if len(calls) == 1 else insert(*args)

    monkeypatch.setattr(PortableStatements, "_insert", vanishing)
    lock_key = LockToken.objects.key_of(article)
    lock = new_lock(lock_key, None, None, None)
    assert statements.take_over(lock).token_str == lock.token
    assert len(calls) == 2


def test_an_orm_row_that_goes_at_once_was_not_acquired(article, monkeypatch):
    save_base = LockToken.save_base

    def gone_at_once(self, *args, **kwargs):
        save_base(self, *args, **kwargs)
        LockToken.objects.all().delete()

    monkeypatch.setattr(LockToken, "save_base", gone_at_once)
    statements = PortableStatements(LockToken, "default")
    lock_key = LockToken.objects.key_of(article)
    assert statements.acquire(new_lock(lock_key, None, None, None)) is None


def test_an_orm_renewal_without_a_row_is_none(article):
    statements = PortableStatements(LockToken, "default")
    lock_key = LockToken.objects.key_of(article)
    key = (lock_key.content_type.pk, lock_key.object_key)
    assert statements.renew(*key, "0" * 32, 60) is None
    assert statements.release(*key, "0" * 32) is False


def test_a_take_over_that_others_keep_from_its_row_is_refused(article, monkeypatch):
    use_statements(monkeypatch, PortableStatements)
    monkeypatch.setattr(PortableStatements, "_insert", lambda *args: None)
    with pytest.raises(AlreadyLockedError):
        LockToken.objects.take_over(article)


@pytest.mark.only_on(
    "mysql", reason="MariaDB and MySQL look first inside a transaction"
)
def test_an_upsert_that_met_a_live_row_is_a_refusal(article, monkeypatch):
    """Between its look and its insert, another has acquired."""
    held = article.lock()
    for statements in (
        for_database(LockToken, "default"),
        MySQLStatements(LockToken, connection),
    ):
        looking(monkeypatch, statements, lambda *key: None)
        lock_key = LockToken.objects.key_of(article)
        lock = new_lock(lock_key, None, None, None)
        with transaction.atomic():
            assert statements.acquire(lock).token_str == held["token"]


@pytest.mark.race
@pytest.mark.only_on(
    "mariadb", reason="PostgreSQL undoes the transaction; SQLite has one writer"
)
def test_a_refusal_names_a_holder_that_the_transaction_does_not_see_yet(article, alice):
    refusal = OperationalError if undoes_old_snapshots() else AlreadyLockedError
    isolate("REPEATABLE READ")
    try:
        with transaction.atomic():
            assert not article.is_locked()
            race(lambda: article.lock(user=alice))
            assert not article.is_locked()
            with pytest.raises(refusal) as caught:
                article.lock()
            if refusal is AlreadyLockedError:
                assert caught.value.locked_by == alice
    finally:
        connection.close()
