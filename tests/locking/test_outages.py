"""A database that was away for a while, and took the caller's connection with it."""

import threading

import pytest
from django.db import (
    Error,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)

from lock_tokens.holding import ahold_lock, fence, hold_lock
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import race, wait_until
from tests.support.objects import rename, title_of
from tests.support.twins import inside

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no server"),
]

twins = pytest.mark.parametrize("hold", [hold_lock, ahold_lock])


def cut():
    """End this thread's connection at the server, as a restart does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_backend_pid()"
            if connection.vendor == "postgresql"
            else "SELECT CONNECTION_ID()"
        )
        (number,) = cursor.fetchone()

    def end():
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_terminate_backend(%s)", [number])
            else:
                cursor.execute("KILL %s", [number])

    race(end)

    def is_gone():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error:
            return True
        return False

    wait_until(is_gone)


@twins
@pytest.mark.parametrize("raises", [False, True])
def test_the_lock_is_released_on_a_new_connection(article, caplog, hold, raises):
    def block(held):
        cut()
        assert held.lost is False
        if raises:
            raise ZeroDivisionError

    try:
        inside(hold(article), block)
    except ZeroDivisionError:
        assert raises
    else:
        assert not raises
    assert not LockToken.objects.exists()
    assert "Could not release" not in caplog.text


def test_a_block_whose_renewals_have_recovered_ends_well(article, monkeypatch):
    renew = LockTokenManager.renew
    failed = []

    def failing(self, *args, **options):
        is_renewal = threading.current_thread() is not threading.main_thread()
        if is_renewal and len(failed) < 2:
            failed.append(True)
            raise OperationalError("the server is starting up")
        return renew(self, *args, **options)

    monkeypatch.setattr(LockTokenManager, "renew", failing)
    with hold_lock(article, timeout=0.3) as held:
        cut()
        wait_until(lambda: len(failed) == 2)
        close_old_connections()
        with fence(article, held.token):
            rename(article)
        cut()
    assert held.lost is False
    assert title_of(article) == "Second"
    assert not LockToken.objects.exists()


def test_in_a_transaction_that_is_cut_all_is_undone_and_told(article):
    with pytest.raises(Error):
        break_in_transaction(article)
    close_old_connections()
    assert not LockToken.objects.exists()
    assert title_of(article) == "First"


@transaction.atomic
def break_in_transaction(article):
    with hold_lock(article):
        Article.objects.update(title="Second")
        cut()
