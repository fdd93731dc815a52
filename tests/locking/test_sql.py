"""What each operation does to the database, and how many statements it takes."""

import datetime
import time
from datetime import timedelta

import pytest
from django.db import (
    DatabaseError,
    OperationalError,
    connection,
    connections,
    models,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    RenewedSinceError,
    UnlockForbiddenError,
)
from lock_tokens.holding import hold_lock
from lock_tokens.locking.fields import UTCDateTimeField, UTCNow
from lock_tokens.locking.sql import for_database
from lock_tokens.locking.sql.mysql import MariaDBStatements, MySQLStatements
from lock_tokens.locking.sql.portable import PortableStatements, later
from lock_tokens.locking.sql.returning import PostgreSQLStatements, SQLiteStatements
from lock_tokens.locking.sql.rows import new_lock
from lock_tokens.locking.transactions import ATTEMPTS, is_retryable, retry_on_conflict
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.signals import lock_acquired
from tests.models import Article, Page
from tests.support.helpers import expire, lock_row, race, use_statements

in_transaction = pytest.mark.django_db
autocommit = pytest.mark.django_db(transaction=True)


@pytest.fixture
def article(db):
    article = Article.objects.create(title="A title")
    article.is_locked()  # warms the caches: content type, statements
    return article


def number_of_statements(operation, *errors):
    with CaptureQueriesContext(connection) as queries:
        try:
            operation()
        except errors:
            pass
        else:
            assert not errors, "it was not refused"
    return len(queries)


# Statements, pinned


@autocommit
def test_acquiring_a_free_object_is_one_statement(article):
    assert number_of_statements(article.lock) == 1


@autocommit
def test_refusing_a_held_object_is_two_statements_with_the_holder(
    article, django_user_model
):
    alice = django_user_model.objects.create(username="alice")
    article.lock(user=alice)
    assert number_of_statements(article.lock, AlreadyLockedError) == 2
    with CaptureQueriesContext(connection), pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    with CaptureQueriesContext(connection) as queries:
        assert caught.value.locked_by.username == "alice"
    assert len(queries) == 0


@autocommit
def test_replacing_an_expired_lock_is_one_statement(article):
    article.lock()
    expire(article)
    assert number_of_statements(article.lock) == 1


@autocommit
def test_renewing_releasing_and_asking_are_one_statement_each(article):
    token = article.lock()["token"]
    assert number_of_statements(lambda: article.lock(token)) == 1
    assert number_of_statements(lambda: article.lock("0" * 32), InvalidToken) == 1
    assert number_of_statements(lambda: article.check_lock(token)) == 1
    assert number_of_statements(article.is_locked) == 1
    assert number_of_statements(article.lock_info) == 1
    assert number_of_statements(lambda: article.unlock(token)) == 1
    assert (
        number_of_statements(lambda: article.unlock(token), UnlockForbiddenError) == 1
    )


@autocommit
def test_garbage_for_a_token_asks_the_database_nothing(article):
    article.lock()
    assert number_of_statements(lambda: article.lock("garbage"), InvalidToken) == 0
    assert number_of_statements(lambda: article.unlock("x"), UnlockForbiddenError) == 0


@autocommit
def test_the_state_of_a_hundred_objects_is_one_statement(article):
    articles = [Article.objects.create() for _ in range(100)]
    for locked in articles[:50]:
        locked.lock()
    assert number_of_statements(lambda: LockToken.objects.infos(articles)) == 1


@autocommit
def test_inside_a_transaction_the_fast_path_needs_no_savepoint(article):
    with transaction.atomic():
        held = {}
        # MariaDB and MySQL look first, so as not to keep a holder from renewing.
        expected = 2 if connection.vendor == "mysql" else 1
        assert number_of_statements(lambda: held.update(article.lock())) == expected
        assert number_of_statements(lambda: article.lock(held["token"])) == 1
        assert number_of_statements(lambda: article.unlock(held["token"])) == 1


# The same rules in every dialect


@autocommit
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


@autocommit
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


@autocommit
def test_replacing_and_taking_over_inside_a_transaction(article, dialect):
    old = LockToken.objects.acquire(article)
    expire(article)
    with transaction.atomic():
        new = LockToken.objects.acquire(article)
        newest = LockToken.objects.take_over(article)
        Article.objects.update(title="Still usable")
    assert LockToken.objects.get() == newest
    assert len({old.token_str, new.token_str, newest.token_str}) == 3


@autocommit
def test_a_rollback_undoes_an_acquire(article, dialect):
    with transaction.atomic():
        article.lock()
        transaction.set_rollback(True)
    assert not article.is_locked()
    article.lock()


@autocommit
def test_a_uuid_key_and_a_uuid_free_of_dashes_are_one(dialect):
    page = Page.objects.create()
    held = page.lock()
    assert page.check_lock(held["token"])
    assert LockToken.objects.get().locked_object_id == str(page.pk)


# Renewing what has not been renewed since


@autocommit
def test_a_renewal_may_name_the_expiry_that_it_replaces(article, dialect):
    locks = LockToken.objects
    lock = locks.acquire(article, timeout=60)
    second = locks.renew(
        article, lock.token_str, timeout=90, expiring_at=lock.expires_at
    )
    assert LockToken.objects.get().expires_at == second > lock.expires_at
    with pytest.raises(RenewedSinceError) as caught:
        locks.renew(article, lock.token_str, timeout=5, expiring_at=lock.expires_at)
    assert caught.value.obj == article
    assert lock.token_str not in str(caught.value)
    assert LockToken.objects.get().expires_at == second
    shorter = locks.renew(article, lock.token_str, timeout=5, expiring_at=second)
    assert LockToken.objects.get().expires_at == shorter < second


@autocommit
def test_an_expired_lock_is_revived_by_its_expiry(article, dialect):
    token = article.lock()["token"]
    expire(article)
    expired_at = LockToken.objects.get().expires_at
    LockToken.objects.renew(article, token, expiring_at=expired_at)
    assert article.is_locked()


@autocommit
def test_the_expiry_is_no_substitute_for_the_token(article, dialect):
    lock = LockToken.objects.acquire(article)
    for token in ("0" * 32, "garbage"):
        with pytest.raises(InvalidToken):
            LockToken.objects.renew(article, token, expiring_at=lock.expires_at)
    assert LockToken.objects.get().expires_at == lock.expires_at
    LockToken.objects.release(article, lock.token_str)
    with pytest.raises(InvalidToken):
        LockToken.objects.renew(article, lock.token_str, expiring_at=lock.expires_at)


@autocommit
@pytest.mark.parametrize("microsecond", [0, 1, 500_000, 999_999])
def test_an_expiry_matches_to_the_microsecond(article, dialect, microsecond):
    """Also one on the second, which SQLite's text could have without its zeros."""
    token = article.lock()["token"]
    expiry = datetime.datetime(
        2050, 1, 2, 3, 4, 5, microsecond, tzinfo=datetime.timezone.utc
    )
    lock_row(article).update(expires_at=expiry)
    for other in (-1, 1):
        with pytest.raises(RenewedSinceError):
            LockToken.objects.renew(
                article, token, expiring_at=expiry + timedelta(microseconds=other)
            )
    abroad = expiry.astimezone(datetime.timezone(timedelta(hours=5, minutes=30)))
    assert LockToken.objects.renew(article, token, expiring_at=abroad) < expiry


@pytest.mark.only_on("sqlite", reason="elsewhere an expiry is no text")
@autocommit
def test_an_expiry_that_sqlite_s_clock_set_on_the_second_matches(article, dialect):
    token = article.lock()["token"]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE lock_tokens_locktoken SET expires_at = '2050-01-02 03:04:05.000000'"
        )
    expiry = LockToken.objects.get().expires_at
    assert expiry.microsecond == 0
    LockToken.objects.renew(article, token, expiring_at=expiry)


@autocommit
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_an_expiry_matches_without_time_zones_too(settings, zone, dialect):
    settings.USE_TZ = False
    settings.TIME_ZONE = zone
    article = Article.objects.create()
    lock = LockToken.objects.acquire(article)
    assert lock.expires_at.tzinfo is None
    again = LockToken.objects.renew(
        article, lock.token_str, timeout=60, expiring_at=lock.expires_at
    )
    with pytest.raises(RenewedSinceError):
        LockToken.objects.renew(article, lock.token_str, expiring_at=lock.expires_at)
    LockToken.objects.renew(article, lock.token_str, expiring_at=again)


@autocommit
def test_statements_of_a_renewal_that_names_the_expiry(article):
    lock = LockToken.objects.acquire(article)

    def renew():
        LockToken.objects.renew(
            article, lock.token_str, timeout=60, expiring_at=lock.expires_at
        )

    assert number_of_statements(renew) == 1
    assert number_of_statements(renew, RenewedSinceError) == 2


@pytest.mark.race
@autocommit
def test_of_two_that_know_one_expiry_one_renews(article, dialect):
    lock = LockToken.objects.acquire(article)

    def renew(timeout):
        try:
            return LockToken.objects.renew(
                article, lock.token_str, timeout=timeout, expiring_at=lock.expires_at
            )
        except RenewedSinceError:
            return None

    renewed = race(*(lambda timeout=n: renew(timeout) for n in (10, 20, 30, 40)))
    (expiry,) = filter(None, renewed)
    assert LockToken.objects.get().expires_at == expiry


@autocommit
def test_an_expiry_is_matched_inside_a_transaction(article, dialect):
    lock = LockToken.objects.acquire(article)
    with transaction.atomic():
        again = LockToken.objects.renew(
            article, lock.token_str, timeout=5, expiring_at=lock.expires_at
        )
        with pytest.raises(RenewedSinceError):
            LockToken.objects.renew(
                article, lock.token_str, expiring_at=lock.expires_at
            )
        Article.objects.update(title="Still usable")
    assert LockToken.objects.get().expires_at == again
    assert Article.objects.get().title == "Still usable"


# Acquiring again, and asking with a token


@autocommit
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


@autocommit
def test_acquiring_again_never_shortens_the_lock(article, dialect):
    lock = LockToken.objects.acquire(article, owner="mine", timeout=600)
    again, is_new = LockToken.objects.get_or_acquire(article, owner="mine", timeout=5)
    assert is_new is False
    assert again.expires_at == lock.expires_at == LockToken.objects.get().expires_at


@autocommit
def test_get_held_is_the_row_for_its_holder(article):
    locks = LockToken.objects
    lock = locks.acquire(article)
    assert locks.get_by_token(article, lock.token_str) == lock
    assert (
        number_of_statements(lambda: locks.get_by_token(article, lock.token_str)) == 1
    )
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


# The clock


@autocommit
def test_the_database_s_clock_decides(article, dialect, monkeypatch):
    """A host whose clock is an hour ahead or behind changes nothing."""
    from django.utils import timezone

    real = timezone.now
    for ahead in (timedelta(hours=2), -timedelta(hours=2)):
        monkeypatch.setattr(timezone, "now", lambda ahead=ahead: real() + ahead)
        held = LockToken.objects.acquire(article)
        assert abs(held.expires_at - real()) < timedelta(seconds=3700)
        assert article.is_locked()
        with pytest.raises(AlreadyLockedError):
            article.lock()
        LockToken.objects.renew(article, held.token_str)
        assert not LockToken.objects.remove_expired()
        LockToken.objects.release(article, held.token_str)


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
@autocommit
def test_an_expiry_is_the_same_moment_under_every_time_zone_setting(
    settings, use_tz, zone, dialect
):
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = zone
    article = Article.objects.create()
    held = LockToken.objects.acquire(article, timeout=600)
    row = LockToken.objects.get()
    assert row.expires_at == held.expires_at
    assert row.expires_at.tzinfo is None or use_tz
    now = datetime.datetime.now(datetime.timezone.utc)
    expiry = datetime.datetime.fromisoformat(row.serialize()["expires_at"])
    assert timedelta(seconds=590) < expiry - now < timedelta(seconds=610)
    assert article.is_locked()
    assert not row.has_expired()
    renewed = LockToken.objects.renew(article, held.token_str, timeout=900)
    assert LockToken.objects.get().expires_at == renewed
    row.refresh_from_db()
    row.save()
    assert LockToken.objects.get().expires_at == renewed
    assert LockToken.objects.filter(expires_at=renewed).exists()
    assert LockToken.objects.filter(expires_at__gt=UTCNow()).exists()
    by_hand = LockToken(locked_object=Article.objects.create())
    by_hand.save()
    assert by_hand.locked_object.is_locked()
    expire(article)
    assert not article.is_locked()
    assert LockToken.objects.get(pk=row.pk).has_expired()


@pytest.mark.only_on(
    "sqlite", "mariadb", reason="this database keeps time zones itself"
)
@autocommit
def test_the_column_is_in_utc_whatever_the_database_s_time_zone(settings):
    """DATABASES["TIME_ZONE"] tells Django how other columns are kept, not this one."""
    article = Article.objects.create()
    # Not of the proxy that django.db.connection is: it has no such cache.
    cached = vars(connections["default"])
    own = connection.settings_dict.get("TIME_ZONE")
    connection.settings_dict["TIME_ZONE"] = "Asia/Kolkata"
    cached.pop("timezone", None)
    cached.pop("timezone_name", None)
    try:
        held = LockToken.objects.acquire(article)
        assert LockToken.objects.get().expires_at == held.expires_at
        row = LockToken.objects.get()
        row.save()
        assert LockToken.objects.get().expires_at == held.expires_at
        assert article.is_locked()
    finally:
        connection.settings_dict["TIME_ZONE"] = own
        cached.pop("timezone", None)
        cached.pop("timezone_name", None)


# Which dialect


@in_transaction
def test_each_database_has_its_statements():
    for_database.cache_clear()
    expected = {
        "postgresql": PostgreSQLStatements,
        "sqlite": SQLiteStatements,
        "mysql": MariaDBStatements,
    }[connection.vendor]
    assert type(for_database(LockToken, "default")) is expected
    assert for_database(LockToken, "default") is for_database(LockToken, "default")


@pytest.mark.only_on("mariadb", reason="for MariaDB and MySQL")
@in_transaction
def test_mysql_and_mariadb_have_statements_of_their_own(monkeypatch):
    for_database.cache_clear()
    monkeypatch.setitem(vars(connections["default"]), "mysql_is_mariadb", False)
    assert type(for_database(LockToken, "default")) is MySQLStatements
    for_database.cache_clear()


@in_transaction
def test_a_database_without_a_dialect_goes_the_orm_s_way(monkeypatch, article):
    for_database.cache_clear()
    monkeypatch.setattr(type(connections["default"]), "vendor", "another")
    assert type(for_database(LockToken, "default")) is PortableStatements
    for_database.cache_clear()


@pytest.mark.only_on(
    "sqlite", "postgresql", reason="MySQL's statements do without RETURNING"
)
@in_transaction
def test_a_database_without_returning_goes_the_orm_s_way(monkeypatch):
    for_database.cache_clear()
    features = connections["default"].features
    monkeypatch.setitem(vars(features), "can_return_columns_from_insert", False)
    assert type(for_database(LockToken, "default")) is PortableStatements
    for_database.cache_clear()


@in_transaction
def test_the_clock_of_a_database_without_a_dialect():
    sql, params = UTCNow().as_sql(None, connection)
    assert (sql, list(params)) == ("CURRENT_TIMESTAMP", [])


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


@autocommit
@pytest.mark.parametrize("error", [DEADLOCK, SERIALIZATION])
def test_what_the_database_undid_is_asked_again(error):
    assert is_retryable(error)
    assert retry_on_conflict("default", failing(3, error)) == 4
    with pytest.raises(OperationalError):
        retry_on_conflict("default", failing(ATTEMPTS, error))


@in_transaction
def test_inside_a_transaction_it_is_the_caller_s_to_try_again():
    with pytest.raises(OperationalError):
        retry_on_conflict("default", failing(1, DEADLOCK))


@autocommit
def test_other_errors_are_not_asked_again():
    error = OperationalError("disk full")
    assert not is_retryable(error)
    assert not is_retryable(OperationalError())
    with pytest.raises(OperationalError, match="disk full"):
        retry_on_conflict("default", failing(1, error))


@autocommit
def test_a_lock_that_goes_while_asking_who_holds_it_is_acquired(article, monkeypatch):
    """The refusal's second statement finds nobody: the object has become free."""
    held = article.lock()
    manager = type(LockToken.objects)
    live_lock = manager._live_lock

    def released_just_now(self, lock_key):
        monkeypatch.setattr(manager, "_live_lock", live_lock)
        article.unlock(held["token"])
        return live_lock(self, lock_key)

    monkeypatch.setattr(manager, "_live_lock", released_just_now)
    assert article.lock()["token"] != held["token"]


@autocommit
def test_an_object_that_changes_hands_all_the_time_is_refused(article, monkeypatch):
    article.lock()
    monkeypatch.setattr(type(LockToken.objects), "_live_lock", lambda *args: None)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by is None
    assert caught.value.expires_at is None


@pytest.mark.only_on("mariadb", reason="only MariaDB and MySQL end the wait")
@autocommit
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


@pytest.mark.only_on(
    "mariadb", reason="only MariaDB's and MySQL's statements look at errors"
)
@autocommit
@pytest.mark.parametrize("error", [DatabaseError, OperationalError])
def test_other_errors_of_an_acquire_reach_the_caller(article, monkeypatch, error):

    def failing(*args):
        raise error("disk full")

    monkeypatch.setattr(for_database(LockToken, "default"), "_insert", failing)
    with pytest.raises(error, match="disk full"):
        article.lock()


@autocommit
def test_the_orm_s_way_reports_a_row_that_vanished(article, monkeypatch):
    """Between the insert and the look at what was inserted, or between two deletes."""
    statements = PortableStatements(LockToken, "default")
    calls = []
    insert = PortableStatements._insert

    def vanishing(self, lock):
        calls.append(1)
        return None if len(calls) == 1 else insert(self, lock)

    monkeypatch.setattr(PortableStatements, "_insert", vanishing)
    lock_key = LockToken.objects.key_of(article)
    lock = new_lock(lock_key, None, None, None)
    assert statements.take_over(lock).token == lock.token
    assert len(calls) == 2


@autocommit
def test_an_orm_row_that_goes_at_once_was_not_acquired(article, monkeypatch):
    save_base = LockToken.save_base

    def gone_at_once(self, *args, **kwargs):
        save_base(self, *args, **kwargs)
        LockToken.objects.all().delete()

    monkeypatch.setattr(LockToken, "save_base", gone_at_once)
    statements = PortableStatements(LockToken, "default")
    lock_key = LockToken.objects.key_of(article)
    assert statements.acquire(new_lock(lock_key, None, None, None)) is None


@autocommit
def test_an_orm_renewal_without_a_row_is_none(article):
    statements = PortableStatements(LockToken, "default")
    lock_key = LockToken.objects.key_of(article)
    key = (lock_key.content_type.pk, lock_key.object_key)
    assert statements.renew(*key, "0" * 32, 60) is None
    assert statements.release(*key, "0" * 32) is False


# The table


@in_transaction
def test_the_expiry_and_the_holder_carry_no_index():
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(
            cursor, LockToken._meta.db_table
        )
    indexed = {
        tuple(c["columns"])
        for c in constraints.values()
        if (c["index"] or c["unique"]) and not c["foreign_key"]
    }
    assert indexed == {
        ("id",),
        ("locked_object_content_type_id", "locked_object_id"),
    } or indexed == {("locked_object_content_type_id", "locked_object_id")}


@pytest.mark.only_on("postgresql", reason="PostgreSQL's statistics tell")
@in_transaction
def test_renewals_are_heap_only_updates_on_postgresql():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a"
            " ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
            " WHERE i.indrelid = 'lock_tokens_locktoken'::regclass"
        )
        assert "expires_at" not in {name for (name,) in cursor.fetchall()}


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_lock_is_kept_beside_its_object():
    article = Article.objects.using("other").create()
    held = article.lock()
    assert LockToken.objects.using("other").get().token_str == held["token"]
    assert not LockToken.objects.using("default").exists()
    assert article.check_lock(held["token"])
    assert LockToken.objects.infos([article])[0] is not None
    assert list(Article.objects.using("other").locked()) == [article]
    assert Article.objects.using("other").with_lock_state().get().lock_state
    article.lock(held["token"])
    article.unlock(held["token"])
    obj, held = Article.objects.db_manager("other").get_and_lock(pk=article.pk)
    assert obj._state.db == "other"
    obj.delete()
    assert not LockToken.objects.using("other").exists()


class LocksElsewhere:
    def db_for_write(self, model, **hints):
        return "other" if model is LockToken else None

    db_for_read = db_for_write


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_router_may_keep_the_locks_elsewhere(settings, django_user_model):
    settings.DATABASE_ROUTERS = [LocksElsewhere()]
    alice = django_user_model.objects.create(username="alice")
    article = Article.objects.using("default").create()
    other = Article.objects.using("default").create()
    held = article.lock(user=alice)
    assert LockToken.objects.using("other").count() == 1
    assert not LockToken.objects.using("default").exists()
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by == alice
    assert article.lock_info().locked_by == alice
    assert [bool(info) for info in LockToken.objects.infos([article, other])] == [
        True,
        False,
    ]
    assert [
        bool(a.lock_state) for a in Article.objects.order_by("pk").with_lock_state()
    ] == [
        True,
        False,
    ]
    lock_key = LockToken.objects.key_of_pk(Article, article.pk)
    assert lock_key.using == "other"
    expire(article)
    assert LockToken.objects.remove_expired() == 1
    with pytest.raises(InvalidToken):
        article.lock(held["token"])


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_database_can_be_chosen(django_user_model):
    article = Article.objects.create()
    locks = LockToken.objects.db_manager("other")
    lock = locks.acquire(article)
    assert not article.is_locked()
    assert locks.is_locked(article)
    assert locks.info(article) is not None
    locks.renew(article, lock.token_str)
    locks.release(article, lock.token_str)
    assert connections["other"].alias == "other"


@autocommit
def test_a_third_party_model_is_locked_with_the_same_statements(article):
    assert number_of_statements(lambda: LockableModel.lock(article)) == 1


@autocommit
def test_the_holder_comes_as_the_orm_reads_it(article, django_user_model, dialect):
    alice = django_user_model.objects.create(username="alice", first_name="Alice")
    article.lock(user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    holder = caught.value.locked_by
    stored = django_user_model.objects.get()
    for field in stored._meta.concrete_fields:
        assert getattr(holder, field.attname) == getattr(stored, field.attname)
    assert holder._state.db == "default"
    assert not holder._state.adding


@autocommit
def test_a_user_model_in_several_tables_is_not_joined(
    article, django_user_model, monkeypatch
):
    """It is looked up instead."""
    alice = django_user_model.objects.create(username="alice")
    article.lock(user=alice)
    for_database.cache_clear()
    monkeypatch.setattr(
        django_user_model._meta, "parents", {Article: None}, raising=True
    )
    statements = for_database(LockToken, "default")
    assert statements.users is None
    monkeypatch.undo()
    assert article.lock_info().locked_by == alice
    for_database.cache_clear()


# Transactions of other kinds


@autocommit
def test_without_django_s_autocommit_an_operation_is_part_of_the_transaction(
    article, monkeypatch
):
    """What the database undoes is the caller's to try again; signals go out at once."""
    told = []
    lock_acquired.connect(lambda **kwargs: told.append(kwargs["object_id"]), weak=False)
    receivers = lock_acquired.receivers
    try:
        transaction.set_autocommit(False)
        with pytest.raises(OperationalError):
            retry_on_conflict("default", failing(1, DEADLOCK))
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


@pytest.mark.only_on("mariadb", reason="only MariaDB and MySQL have the option")
@autocommit
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


@pytest.mark.race
@pytest.mark.only_on(
    "mariadb", reason="elsewhere the database refuses, or shows the current row"
)
@autocommit
def test_get_and_lock_in_a_transaction_sees_what_others_have_saved(article):
    """Also where the transaction has read before, and would be shown that again."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        with transaction.atomic():
            assert Article.objects.get().title == "A title"
            race(lambda: Article.objects.update(title="Saved meanwhile"))
            obj, _held = Article.objects.get_and_lock(pk=article.pk)
            assert obj.title == "Saved meanwhile"
    finally:
        connection.close()


@autocommit
def test_a_take_over_that_others_keep_from_its_row_is_refused(article, monkeypatch):
    use_statements(monkeypatch, PortableStatements)
    monkeypatch.setattr(PortableStatements, "_insert", lambda *args: None)
    with pytest.raises(AlreadyLockedError):
        LockToken.objects.take_over(article)


@pytest.mark.only_on(
    "mariadb", reason="MariaDB and MySQL look first inside a transaction"
)
@autocommit
def test_an_upsert_that_met_a_live_row_is_a_refusal(article, monkeypatch):
    """Between its look and its insert, another has acquired."""
    article.lock()
    for statements in (
        for_database(LockToken, "default"),
        MySQLStatements(LockToken, connection),
    ):
        monkeypatch.setattr(statements, "is_locked", lambda *args: False)
        lock_key = LockToken.objects.key_of(article)
        lock = new_lock(lock_key, None, None, None)
        with transaction.atomic():
            assert statements.acquire(lock) is None


@pytest.mark.only_on("sqlite", reason="only SQLite keeps times as texts")
@autocommit
def test_an_expiry_without_fractions_has_its_zeros(article, monkeypatch):
    article.lock()
    whole = models.Value(
        datetime.datetime(2050, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        output_field=UTCDateTimeField(),
    )
    monkeypatch.setattr("lock_tokens.locking.sql.portable.UTCNow", lambda: whole)
    LockToken._base_manager.update(expires_at=later(60))
    with connection.cursor() as cursor:
        cursor.execute("SELECT expires_at || '' FROM lock_tokens_locktoken")
        assert cursor.fetchone() == ("2050-01-02 03:05:05.000000",)
