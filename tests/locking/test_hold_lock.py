"""``hold_lock`` and ``ahold_lock``: a lock that is renewed while a block runs."""

import asyncio
import inspect
import logging
import threading
from functools import partial, wraps

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, connection, transaction

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import ahold_lock, fence, hold_lock
from lock_tokens.locking.renewal import HeldLock
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.settings import get_timeout
from tests.models import Article
from tests.support.helpers import expire, lock_row, race, threads, wait_until
from tests.support.objects import UNLOCKABLE, rename, title_of
from tests.support.twins import inside

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("nothing_leaks"),
]

SHORT = 0.1
twins = pytest.mark.parametrize("hold", [hold_lock, ahold_lock])
losses = pytest.mark.parametrize("how", ["taken over", "released"])


def decorate(decorator):
    """Decorate a function as one or as a coroutine function; it is called as the former."""
    if not isinstance(decorator, ahold_lock):
        return decorator

    def decorate(function):
        @decorator
        @wraps(function)
        async def job(*args, **kwargs):
            return await sync_to_async(function)(*args, **kwargs)

        assert inspect.iscoroutinefunction(job)
        return wraps(job)(async_to_sync(job))

    return decorate


def not_run(held=None):
    pytest.fail("the block ran")


def take_over(obj):
    return LockToken.objects.take_over(obj).token_str


def lose(how, article, token):
    if how == "taken over":
        take_over(article)
    else:
        article.unlock(token)


def wait_until_renewed(obj):
    before = lock_row(obj).get().expires_at
    wait_until(lambda: lock_row(obj).get().expires_at > before)


def renewing_threads():
    return [each for each in threads() if each.name.startswith("renewing")]


@twins
def test_the_object_is_locked_while_the_block_runs(article, alice, hold):
    def block(held):
        assert isinstance(held, HeldLock)
        assert article.check_lock(held.token)
        assert article.is_locked()
        info = article.lock_info()
        assert info.locked_by == alice
        life = info.expires_at - info.locked_at
        assert life.total_seconds() == pytest.approx(60, abs=0.01)
        assert held.lost is False
        held.check()
        with pytest.raises(AlreadyLockedError):
            article.lock()

    inside(hold(article, user=alice, timeout=60), block)
    assert LockToken.objects.count() == 0


def test_the_timeout_is_the_setting_s_by_default(article, settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 90}
    with hold_lock(article) as held:
        info = article.lock_info()
        life = (info.expires_at - info.locked_at).total_seconds()
        assert life == pytest.approx(90, abs=0.01)
        assert held.interval == get_timeout() / 3 == 30


@twins
def test_holding_what_another_has_locked_is_refused(article, token, hold):
    with pytest.raises(AlreadyLockedError) as caught:
        inside(hold(article), not_run)
    assert caught.value.obj is article
    assert article.check_lock(token)
    assert article.is_locked()


def test_holding_replaces_an_expired_lock(article, token):
    expire(article)
    with hold_lock(article) as held:
        assert held.token != token
        assert article.is_locked()
    assert LockToken.objects.count() == 0


@pytest.mark.parametrize("kind", UNLOCKABLE)
def test_what_cannot_be_locked_cannot_be_held(kind):
    with pytest.raises(ValueError, match=r"cannot be locked|A lock accepts at most"):
        inside(hold_lock(UNLOCKABLE[kind]()), not_run)


def test_an_unsaved_user_cannot_hold(article):
    with pytest.raises(ValueError, match="unsaved user"):
        inside(hold_lock(article, user=User(username="nobody")), not_run)
    assert LockToken.objects.count() == 0


@twins
@pytest.mark.parametrize("timeout", [0, -1, "60", True, float("nan")])
def test_a_bad_timeout_is_a_value_error(article, hold, timeout):
    with pytest.raises(ValueError, match="number of seconds"):
        inside(hold(article, timeout=timeout), not_run)
    assert LockToken.objects.count() == 0


@twins
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
def test_it_is_released_when_the_block_raises(article, hold, error):
    def block(held):
        assert article.is_locked()
        raise error("the block's")

    with pytest.raises(error) as caught:
        inside(hold(article), block)
    assert error is asyncio.CancelledError or str(caught.value) == "the block's"
    assert LockToken.objects.count() == 0


# Renewal


@twins
def test_the_lock_is_renewed_in_the_background(article, hold, nothing_leaks):
    def block(held):
        for _ in range(3):
            wait_until_renewed(article)
        held.check()
        assert not held.lost
        assert lock_row(article).get().token_str == held.token

    inside(hold(article, timeout=SHORT), block)
    assert LockToken.objects.count() == 0
    assert nothing_leaks  # the connections that it looked at


def test_an_expired_lock_that_nobody_took_is_revived(article):
    with hold_lock(article, timeout=SHORT) as held:
        expire(article)
        wait_until(article.is_locked)
        assert held.lost is False
        held.check()


def test_saving_under_a_fence_while_it_is_renewed(article):
    with hold_lock(article, timeout=SHORT) as held:
        for number in range(5):
            with fence(article, held.token, timeout=SHORT):
                rename(article, f"Number {number}")
            wait_until_renewed(article)
        held.check()
    assert title_of(article) == "Number 4"
    assert LockToken.objects.count() == 0


@twins
@pytest.mark.parametrize(
    "error",
    [OperationalError("gone away"), InterfaceError("gone away")],  # no DatabaseError
    ids=type,
)
def test_an_error_in_a_renewal_is_logged_and_it_is_tried_again(
    article, monkeypatch, caplog, hold, error
):
    tried = []
    tokens = []
    renew = LockTokenManager.renew

    def failing(*args, **kwargs):
        tried.append(len(tried) < 2)
        if tried[-1]:
            raise error
        return renew(*args, **kwargs)

    def block(held):
        tokens.append(held.token)
        wait_until_renewed(article)
        held.check()

    monkeypatch.setattr(LockTokenManager, "renew", failing)
    inside(hold(article, timeout=SHORT), block)
    assert tried[:3] == [True, True, False]
    records = [r for r in caplog.records if r.name == "lock_tokens"]
    assert len(records) == 2
    for record in records:
        assert record.levelname == "WARNING"
        assert "Could not renew" in record.getMessage()
        assert "gone away" in record.exc_text
        assert tokens[0] not in record.getMessage() + record.exc_text
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_a_lock_in_another_database_is_held_and_renewed(article, locks_elsewhere):
    with hold_lock(article, timeout=SHORT) as held:
        assert LockToken.objects.using("other").exists()
        wait_until_renewed(article)
        held.check()
    assert LockToken.objects.using("other").count() == 0


def test_the_thread_lives_as_long_as_the_block(article):
    before = threads()
    with hold_lock(article):
        (thread,) = threads() - before
        # A job that is killed does not hang on its lock.
        assert thread.daemon
    assert not thread.is_alive()


def test_a_block_that_ends_at_once_does_not_wait_for_a_renewal(article):
    # A third of an hour's life would be twenty minutes.
    for _ in range(3):
        with hold_lock(article):
            pass
    assert LockToken.objects.count() == 0


def server_connections():
    """Count this database's connections, as its server sees them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
            if connection.vendor == "postgresql"
            else "SELECT COUNT(*) FROM information_schema.processlist"
            " WHERE db = DATABASE()"
        )
        return cursor.fetchone()[0]


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no server")
def test_no_connection_stays_open_at_the_server(article):
    before = server_connections()
    with hold_lock(article, timeout=SHORT):
        for _ in range(2):
            wait_until_renewed(article)
    wait_until(lambda: server_connections() <= before)


def test_between_two_renewals_no_connection_is_open(article, nothing_leaks):
    with hold_lock(article, timeout=0.3):
        wait_until_renewed(article)
        wait_until(lambda: nothing_leaks and nothing_leaks[0].connection is None)


def test_many_locks_at_once(article):
    articles = [Article.objects.create() for _ in range(3)]
    with hold_lock(articles[0]), hold_lock(articles[1]), hold_lock(articles[2]):
        assert len(renewing_threads()) == 3
        assert LockToken.objects.count() == 3
    assert LockToken.objects.count() == 0


def test_one_hold_can_be_used_again(article):
    holding = hold_lock(article)
    tokens = []
    for _ in range(2):
        with holding as held:
            tokens.append(held.token)
            with pytest.raises(AlreadyLockedError), hold_lock(article):
                pass
    assert tokens[0] != tokens[1]
    assert LockToken.objects.count() == 0


@pytest.mark.race
def test_sixteen_jobs_at_once_have_one_winner(article):
    barrier = threading.Barrier(16)

    def job():
        try:
            with hold_lock(article):
                barrier.wait(30)
                return "won"
        except AlreadyLockedError:
            barrier.wait(30)
            return "refused"

    assert sorted(race(*[job] * 16)) == ["refused"] * 15 + ["won"]
    assert LockToken.objects.count() == 0


# The loss


@twins
@losses
def test_the_block_is_told_when_the_lock_was_lost(article, how, hold):
    seen = []

    def block(held):
        lose(how, article, held.token)
        wait_until(lambda: held.lost)
        with pytest.raises(InvalidToken):
            held.check()
        seen.append(held)

    with pytest.raises(InvalidToken, match="was lost"):
        inside(hold(article, timeout=SHORT), block)
    assert seen[0].lost is True
    assert article.is_locked() is (how == "taken over")


@twins
@losses
def test_a_loss_is_told_at_the_end_also_when_no_renewal_saw_it(article, how, hold):
    seen = []

    def block(held):
        lose(how, article, held.token)
        assert held.lost is False
        seen.append(held)

    with pytest.raises(InvalidToken, match="was lost"):
        inside(hold(article), block)
    assert seen[0].lost is True
    assert article.is_locked() is (how == "taken over")


def test_the_block_may_delete_the_object_and_its_lock_with_it(article):
    another = Article.objects.create()
    with hold_lock(article, timeout=SHORT) as held:
        article.delete()
        wait_until(lambda: held.lost)
    with transaction.atomic(), hold_lock(another):
        another.delete()
    assert not Article.objects.exists()
    assert LockToken.objects.count() == 0


def test_the_taker_keeps_the_lock(article):
    with pytest.raises(InvalidToken), hold_lock(article):
        taken = take_over(article)
    assert article.check_lock(taken)
    assert article.is_locked()


def test_a_void_token_renews_nothing_after_the_loss(article):
    renewals = []

    def block(held):
        take_over(article)
        wait_until(lambda: held.lost)
        renewals.append(lock_row(article).get().expires_at)
        wait_until(lambda: not renewing_threads())
        renewals.append(lock_row(article).get().expires_at)

    with pytest.raises(InvalidToken):
        inside(hold_lock(article, timeout=SHORT), block)
    assert renewals[0] == renewals[1]


@twins
@losses
def test_the_block_s_own_error_comes_before_the_loss(article, how, caplog, hold):
    def block(held):
        lose(how, article, held.token)
        raise ZeroDivisionError("the block's")

    with caplog.at_level(logging.WARNING, logger="lock_tokens"):
        with pytest.raises(ZeroDivisionError, match="the block's"):
            inside(hold(article), block)
    (record,) = caplog.records
    assert record.name == "lock_tokens"
    assert record.levelname == "WARNING"
    assert "Could not release" in record.getMessage()


@pytest.mark.parametrize("raises", [False, True])
def test_a_database_error_at_the_release_is_told_or_logged(
    article, monkeypatch, caplog, raises
):
    def release(*args):
        raise OperationalError("the database's")

    def block(held):
        monkeypatch.setattr(LockTokenManager, "release", release)
        if raises:
            raise ZeroDivisionError("the block's")

    error, message = (
        (ZeroDivisionError, "the block's")
        if raises
        else (OperationalError, "the database's")
    )
    with pytest.raises(error, match=message):
        inside(hold_lock(article), block)
    assert ("Could not release" in caplog.text) is raises


# Inside a transaction


@twins
def test_inside_a_transaction_nothing_is_renewed(article, hold):
    before = threads()

    def block(held):
        assert threads() == before
        assert article.check_lock(held.token)
        rename(article)

    with transaction.atomic():
        inside(hold(article, timeout=SHORT), block)
        assert LockToken.objects.count() == 0
    assert title_of(article) == "Second"


@pytest.mark.parametrize("broken", [False, True])
def test_inside_a_transaction_that_is_undone_the_lock_is_undone_too(article, broken):
    @transaction.atomic
    def work():
        with hold_lock(article):
            rename(article)
            if broken:
                transaction.set_rollback(True)
            raise ZeroDivisionError("the block's")

    with pytest.raises(ZeroDivisionError, match="the block's"):
        work()
    assert title_of(article) == "First"
    assert LockToken.objects.count() == 0


def test_a_held_lock_can_be_renewed_and_released_by_hand(article, caplog):
    lock_key = LockToken.objects.key_of(article)
    lock = LockToken.objects.acquire(article)
    held = HeldLock(lock_key, lock.token_str, 60)
    assert held.interval == 20
    assert held.in_transaction() is False
    with transaction.atomic():
        assert held.in_transaction() is True
    assert held.renew() is True
    held.release()
    assert not article.is_locked()
    assert held.renew() is False
    assert held.lost is True
    for refused in (held.check, held.release):
        with pytest.raises(InvalidToken):
            refused()
    held.give_up()
    assert "Could not release" in caplog.text


# As a decorator


@twins
def test_a_decorated_function_runs_under_the_lock(article, alice, hold):
    @decorate(hold(article, user=alice, timeout=60))
    def job(a, *, b):
        """What it does."""
        info = article.lock_info()
        assert info.locked_by == alice
        life = (info.expires_at - info.locked_at).total_seconds()
        assert life == pytest.approx(60, abs=0.01)
        return a, b

    assert job.__name__ == "job"
    assert job.__doc__ == "What it does."
    assert job(1, b=2) == (1, 2)
    assert LockToken.objects.count() == 0
    assert job(3, b=4) == (3, 4)


async def aget_article(article_id, title):
    return await Article.objects.aget(pk=article_id)


def get_article(article_id, title):
    return Article.objects.get(pk=article_id)


@pytest.mark.parametrize(
    "decorator",
    [hold_lock(get_article), ahold_lock(get_article), ahold_lock(aget_article)],
    ids=["hold_lock", "ahold_lock", "ahold_lock, coroutine function"],
)
def test_the_object_may_come_from_the_call_s_arguments(article, decorator):
    another = Article.objects.create()

    @decorate(decorator)
    def publish(article_id, title):
        rename(Article.objects.get(pk=article_id), title)
        return [article.is_locked(), another.is_locked()]

    assert publish(article.pk, title="A") == [True, False]
    assert publish(another.pk, "B") == [False, True]
    assert [title_of(article), title_of(another)] == ["A", "B"]
    with pytest.raises(Article.DoesNotExist):
        publish(0, "C")
    assert LockToken.objects.count() == 0


@twins
def test_a_decorated_function_is_not_run_without_the_lock(article, token, hold):
    ran = []

    @decorate(hold(article))
    def job():
        ran.append(True)

    with pytest.raises(AlreadyLockedError):
        job()
    assert ran == []
    article.unlock(token)
    job()
    assert ran == [True]


@twins
def test_a_decorated_function_releases_when_it_raises(article, hold):
    @decorate(hold(lambda: article))
    def job():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        job()
    assert LockToken.objects.count() == 0


@twins
def test_a_decorated_function_is_told_of_the_loss(article, hold):
    @decorate(hold(article))
    def job():
        take_over(article)
        return "done"

    with pytest.raises(InvalidToken):
        job()


def test_a_decorated_method(article):
    class Job:
        @hold_lock(lambda self: self.article)
        def run(self):
            return self.article.is_locked()

    job = Job()
    job.article = article
    assert job.run() is True
    assert not article.is_locked()


@pytest.mark.race
def test_calls_of_one_decorated_function_side_by_side():
    articles = [Article.objects.create() for _ in range(6)]
    articles[0].is_locked()

    @hold_lock(lambda article: article)
    def job(article):
        return article.is_locked()

    assert race(*[partial(job, article) for article in articles]) == [True] * 6
    assert LockToken.objects.count() == 0


def test_each_decorator_is_for_functions_of_its_own_kind(article):
    async def coroutine():
        pytest.fail("it ran")

    with pytest.raises(TypeError, match="ahold_lock"):
        hold_lock(article)(coroutine)
    with pytest.raises(TypeError, match="Use hold_lock"):
        ahold_lock(article)(not_run)


@pytest.mark.parametrize(
    "context",
    [hold_lock(get_article), ahold_lock(get_article), ahold_lock(aget_article)],
)
def test_a_function_instead_of_an_object_is_refused_as_a_context_manager(context):
    with pytest.raises(TypeError, match="only to a decorator"):
        inside(context, not_run)
    assert LockToken.objects.count() == 0
