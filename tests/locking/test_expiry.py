"""The expiry: whose clock decides, and renewing what has not been renewed since."""

import datetime
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, connections, models, transaction
from django.utils import timezone

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken, RenewedSinceError
from lock_tokens.locking.fields import UTCDateTimeField, UTCNow
from lock_tokens.locking.sql.portable import later
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import age, expire, lock_row, race

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_an_expired_lock_is_revived_by_its_expiry(article, dialect):
    token = article.lock()["token"]
    expire(article)
    expired_at = LockToken.objects.get().expires_at
    LockToken.objects.renew(article, token, expiring_at=expired_at)
    assert article.is_locked()


def test_the_expiry_is_no_substitute_for_the_token(article, dialect):
    lock = LockToken.objects.acquire(article)
    for token in ("0" * 32, "garbage"):
        with pytest.raises(InvalidToken):
            LockToken.objects.renew(article, token, expiring_at=lock.expires_at)
    assert LockToken.objects.get().expires_at == lock.expires_at
    LockToken.objects.release(article, lock.token_str)
    with pytest.raises(InvalidToken):
        LockToken.objects.renew(article, lock.token_str, expiring_at=lock.expires_at)


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
def test_an_expiry_that_sqlite_s_clock_set_on_the_second_matches(article, dialect):
    token = article.lock()["token"]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE lock_tokens_locktoken SET expires_at = '2050-01-02 03:04:05.000000'"
        )
    expiry = LockToken.objects.get().expires_at
    assert expiry.microsecond == 0
    LockToken.objects.renew(article, token, expiring_at=expiry)


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


def test_statements_of_a_renewal_that_names_the_expiry(
    article, django_assert_num_queries
):
    lock = LockToken.objects.acquire(article)

    def renew():
        LockToken.objects.renew(
            article, lock.token_str, timeout=60, expiring_at=lock.expires_at
        )

    with django_assert_num_queries(1):
        renew()
    with django_assert_num_queries(2), pytest.raises(RenewedSinceError):
        renew()


@pytest.mark.race
def test_of_two_that_know_one_expiry_one_renews(article, dialect):
    lock = LockToken.objects.acquire(article)

    def renew(timeout):
        try:
            return LockToken.objects.renew(
                article, lock.token_str, timeout=timeout, expiring_at=lock.expires_at
            )
        except RenewedSinceError:
            return None

    renewed = race(*[partial(renew, seconds) for seconds in (10, 20, 30, 40)])
    (expiry,) = filter(None, renewed)
    assert LockToken.objects.get().expires_at == expiry


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


# The clock


def test_the_database_s_clock_decides(article, dialect, monkeypatch):
    """A host whose clock is an hour ahead or behind changes nothing."""
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


@pytest.mark.only_on("sqlite", "mysql", reason="this database keeps time zones itself")
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


@pytest.mark.only_on("sqlite", reason="only SQLite keeps times as texts")
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


@pytest.mark.parametrize("end", ["expiry", "take over"])
def test_a_lock_that_replaces_another_begins_now(article, dialect, end):
    locks = LockToken.objects
    locks.acquire(article, timeout=60)
    age(article, 600)
    aged = LockToken.objects.get().locked_at
    lock = locks.acquire(article) if end == "expiry" else locks.take_over(article)
    row = LockToken.objects.get()
    assert row.locked_at == row.created == lock.locked_at
    assert (row.locked_at - aged).total_seconds() > 590


def test_a_take_over_of_a_lock_that_is_no_more_names_who_has_the_object(
    article, alice, dialect
):
    locks = LockToken.objects
    asked_about = locks.acquire(article).locked_at
    new = locks.take_over(article, user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        locks.take_over(article, locked_at=asked_about - timedelta(seconds=1))
    assert (caught.value.locked_by, caught.value.locked_at) == (alice, new.locked_at)
    assert article.check_lock(new.token_str)
