"""``fence`` and ``hold_lock``: a token kept for a block of code."""

import logging
import threading

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.signals import connection_created

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import FencedLock, fence, hold_lock
from lock_tokens.locking.renewal import HeldLock
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken, token_dict
from lock_tokens.settings import get_timeout
from tests.models import Article, ArticleProxy, Label, Page, Plain, Translation
from tests.support.helpers import age, expire, race, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SHORT = 0.3
UNLOCKABLE = [
    lambda: Article(),
    lambda: Article(pk=5),
    lambda: Label.objects.create(name="x" * 256),
    lambda: Translation.objects.create(article=Article.objects.create(), language="en"),
]
BAD_TIMEOUTS = [0, -1, "60", True, float("nan")]


class LocksElsewhere:
    """A router that keeps the locks in a database of their own."""

    def db_for_read(self, model, **hints):
        return "other" if model is LockToken else None

    db_for_write = db_for_read


@pytest.fixture
def locks_elsewhere(settings):
    settings.DATABASE_ROUTERS = [LocksElsewhere()]


@pytest.fixture
def article():
    return Article.objects.create(title="First")


@pytest.fixture
def token(article):
    return article.lock()["token"]


def title_of(article):
    return Article.objects.get(pk=article.pk).title


def rename(article, title="Second"):
    Article.objects.filter(pk=article.pk).update(title=title)


def row(obj):
    return LockToken.objects.get_for_object(obj)


def take_over(obj):
    return LockToken.objects.take_over(obj).token_str


# fence


def test_a_fence_lets_the_holder_save(article, token):
    with fence(article, token) as fenced:
        assert isinstance(fenced, FencedLock)
        rename(article)
    assert title_of(article) == "Second"
    assert fenced.token == token
    assert fenced.expires_at == row(article).expires_at
    assert fenced.release is False
    assert fenced.serialize() == token_dict(token, fenced.expires_at)
    assert article.is_locked()


def test_a_fence_opens_a_transaction_and_ends_it(article, token):
    assert not connection.in_atomic_block
    with fence(article, token):
        assert connection.in_atomic_block
    assert not connection.in_atomic_block
    with pytest.raises(InvalidToken), fence(article, "0" * 32):
        pass
    assert not connection.in_atomic_block


def test_a_fence_joins_the_transaction_that_is_open(article, token):
    @transaction.atomic
    def work():
        with fence(article, token, release=True):
            rename(article)
        assert connection.in_atomic_block
        assert title_of(article) == "Second"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    # The outer transaction took the save and the release back.
    assert title_of(article) == "First"
    assert article.check_lock(token)


@pytest.mark.parametrize("state", ["free", "taken", "taken and expired", "released"])
def test_a_void_token_is_refused_before_the_block(article, token, state):
    if state == "free":
        article.unlock(token)
    elif state == "released":
        article.unlock(token)
        article.lock()
    else:
        take_over(article)
    if state == "taken and expired":
        expire(article)
    before = list(LockToken.objects.values())
    ran = []
    with pytest.raises(InvalidToken) as caught, fence(article, token):
        ran.append(True)
    assert ran == []
    assert caught.value.obj is article
    assert list(LockToken.objects.values()) == before


@pytest.mark.parametrize(
    "garbage", [None, "", "x", "0" * 31, "A" * 32, b"0" * 32, 5, "\0" * 32]
)
def test_garbage_is_a_void_token(article, token, garbage):
    with pytest.raises(InvalidToken), fence(article, garbage):
        pass
    assert article.check_lock(token)


def test_a_void_token_leaves_an_outer_transaction_usable(article):
    with transaction.atomic():
        with pytest.raises(InvalidToken), fence(article, "0" * 32):
            pass
        rename(article)
    assert title_of(article) == "Second"


@pytest.mark.parametrize("make", UNLOCKABLE)
def test_what_cannot_be_locked_cannot_be_fenced(make):
    obj = make()
    with pytest.raises(ValueError, match=r"cannot be locked|a lock takes up to"):
        with fence(obj, "0" * 32):
            pass
    assert not connection.in_atomic_block


@pytest.mark.parametrize("timeout", BAD_TIMEOUTS)
def test_a_bad_timeout_is_a_value_error(article, token, timeout):
    with pytest.raises(ValueError, match="number of seconds"):
        with fence(article, token, timeout=timeout):
            pass
    with pytest.raises(ValueError, match="number of seconds"):
        with hold_lock(Plain.objects.create(), timeout=timeout):
            pass
    assert not connection.in_atomic_block
    assert LockToken.objects.count() == 1


@pytest.mark.parametrize("release", [False, True])
def test_an_exception_undoes_everything_in_the_block(article, token, release):
    expire(article)
    before = LockToken.objects.values().get()

    def save():
        with fence(article, token, release=release) as fenced:
            rename(article)
            fenced.release = True
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        save()
    assert title_of(article) == "First"
    assert LockToken.objects.values().get() == before
    assert not connection.in_atomic_block


def test_a_fence_revives_an_expired_lock_that_nobody_took(article, token):
    expire(article)
    with fence(article, token):
        assert article.is_locked()
    assert article.is_locked()
    assert article.check_lock(token)


def test_a_fence_extends_the_lock_and_never_shortens_it(article):
    token = article.lock(timeout=100)["token"]
    long = row(article).expires_at
    with fence(article, token, timeout=50) as fenced:
        pass
    assert fenced.expires_at == row(article).expires_at == long
    with fence(article, token, timeout=200) as fenced:
        pass
    assert fenced.expires_at == row(article).expires_at
    assert 90 < (fenced.expires_at - long).total_seconds() <= 100.1


def test_a_fence_extends_to_the_timeout_setting(article, token, settings):
    age(article, 600)
    before = row(article).expires_at
    with fence(article, token):
        pass
    assert 599 < (row(article).expires_at - before).total_seconds() < 660
    settings.LOCK_TOKENS = {"TIMEOUT": 7200}
    with fence(article, token):
        pass
    assert 4199 < (row(article).expires_at - before).total_seconds() < 4260


def test_release_gives_the_lock_up_with_the_save(article, token):
    with fence(article, token, release=True) as fenced:
        assert fenced.release is True
        assert article.is_locked()
        rename(article)
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0


@pytest.mark.parametrize("release", [False, True])
def test_the_block_may_decide_about_the_release(article, token, release):
    with fence(article, token, release=not release) as fenced:
        fenced.release = release
    assert (LockToken.objects.count() == 0) is release


@pytest.mark.parametrize("release", [False, True])
def test_the_object_may_be_deleted_in_a_fence(article, token, release):
    with fence(article, token, release=release):
        Article.objects.get(pk=article.pk).delete()
    assert not Article.objects.exists()
    assert LockToken.objects.count() == 0


def test_fences_nest(article, token):
    another = Article.objects.create()
    anothers = another.lock()["token"]
    with fence(article, token, release=True), fence(another, anothers):
        with fence(article, token):
            rename(article)
    assert not article.is_locked()
    assert another.is_locked()
    assert title_of(article) == "Second"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plain.objects.create(),
        lambda: Page.objects.create(),
        lambda: Label.objects.create(name="a:b"),
    ],
    ids=["third party", "uuid", "text"],
)
def test_objects_of_any_model_can_be_fenced(make):
    obj = make()
    token = LockToken.objects.acquire(obj).token_str
    with fence(obj, token, release=True):
        assert LockToken.objects.is_locked(obj)
    assert LockToken.objects.count() == 0


def test_a_proxy_is_fenced_with_its_concrete_model(article, token):
    with fence(ArticleProxy.objects.get(pk=article.pk), token, release=True):
        pass
    assert not article.is_locked()


def test_a_fence_is_one_statement_and_its_release_another(
    article, token, django_assert_num_queries
):
    # Besides BEGIN and COMMIT, which are logged as queries too.
    with django_assert_num_queries(3), fence(article, token):
        pass
    with django_assert_num_queries(4), fence(article, token, release=True):
        pass


@pytest.mark.race
def test_nobody_gets_the_lock_before_the_transaction_ends(article, token):
    expire(article)
    fenced, asked = threading.Event(), threading.Event()

    def save():
        with fence(article, token, release=True):
            fenced.set()
            asked.wait(0.3)
            rename(article)

    def take():
        assert fenced.wait(30)
        taken = take_over(article)
        asked.set()
        return taken, title_of(article)

    _, (taken, seen) = race(save, take)
    assert seen == "Second"
    assert article.check_lock(taken)


@pytest.mark.race
def test_of_a_save_and_a_take_over_at_once_one_comes_first(article):
    for _ in range(10):
        rename(article, "First")
        LockToken.objects.remove(article)
        token = article.lock()["token"]

        def save(token=token):
            try:
                with fence(article, token):
                    rename(article)
            except InvalidToken:
                return False
            return True

        def take():
            return take_over(article), title_of(article)

        saved, (taken, seen) = race(save, take)
        # Whoever took it saw the save, or there was none.
        assert (title_of(article) == "Second") is saved
        assert seen == title_of(article)
        assert article.check_lock(taken)


def test_the_manager_s_fence_needs_a_transaction(article, token):
    before = LockToken.objects.values().get()
    with pytest.raises(transaction.TransactionManagementError):
        LockToken.objects.fence(article, token)
    assert LockToken.objects.values().get() == before
    with transaction.atomic():
        expires_at = LockToken.objects.fence(article, token, timeout=7200)
    assert row(article).expires_at == expires_at
    with transaction.atomic(), pytest.raises(InvalidToken):
        LockToken.objects.fence(article, "0" * 32)
    with transaction.atomic():
        lock_key = LockToken.objects.key_of(article)
        assert LockToken.objects.fence(lock_key, token) == expires_at


# fence, with the locks in another database


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
@pytest.mark.parametrize("release", [False, True])
def test_locks_may_live_in_another_database(article, locks_elsewhere, release):
    token = article.lock()["token"]
    assert LockToken.objects.using("default").count() == 0
    assert LockToken.objects.using("other").count() == 1
    with fence(article, token, release=release):
        assert connections["default"].in_atomic_block
        assert connections["other"].in_atomic_block
        rename(article)
    assert title_of(article) == "Second"
    assert article.is_locked() is not release
    for alias in ("default", "other"):
        assert not connections[alias].in_atomic_block


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_both_databases_are_undone_together(article, locks_elsewhere):
    token = article.lock()["token"]
    before = LockToken.objects.using("other").values().get()

    def save():
        with fence(article, token, release=True):
            rename(article)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        save()
    assert title_of(article) == "First"
    assert LockToken.objects.using("other").values().get() == before
    with pytest.raises(InvalidToken), fence(article, "0" * 32):
        rename(article)
    assert title_of(article) == "First"


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_the_object_s_transaction_ends_before_its_lock_s(article, locks_elsewhere):
    token = article.lock()["token"]
    ended = []
    with fence(article, token, release=True):
        for alias in ("default", "other"):
            transaction.on_commit(lambda alias=alias: ended.append(alias), using=alias)
    assert ended == ["default", "other"]


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_an_object_of_another_database_is_fenced_there():
    article = Article.objects.using("other").create(title="First")
    token = article.lock()["token"]
    assert LockToken.objects.using("other").count() == 1
    with fence(article, token, release=True):
        assert connections["other"].in_atomic_block
        assert not connections["default"].in_atomic_block
        article.title = "Second"
        article.save()
    article.refresh_from_db()
    assert article.title == "Second"
    assert LockToken.objects.using("other").count() == 0


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_a_lock_in_another_database_is_held_and_renewed(article, locks_elsewhere):
    with hold_lock(article, timeout=SHORT) as held:
        before = LockToken.objects.using("other").get().expires_at
        wait_until(lambda: LockToken.objects.using("other").get().expires_at > before)
        held.check()
    assert LockToken.objects.using("other").count() == 0


# hold_lock


def threads():
    return [thread.name for thread in threading.enumerate()]


@pytest.fixture(autouse=True)
def nothing_leaks():
    """No test leaves a thread behind, nor a connection that it opened."""
    before = threads()
    opened = []

    def record(connection, **kwargs):
        opened.append((threading.current_thread(), connection))

    connection_created.connect(record)
    yield
    connection_created.disconnect(record)
    assert threads() == before
    for thread, its_connection in opened:
        if thread is not threading.main_thread():
            assert its_connection.connection is None, f"{thread.name} left it open"


def test_holding_locks_while_the_block_runs(article):
    alice = User.objects.create(username="alice")
    with hold_lock(article, user=alice, timeout=60) as held:
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
    assert LockToken.objects.count() == 0


def test_the_timeout_is_the_setting_s_by_default(article, settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 90}
    with hold_lock(article) as held:
        info = article.lock_info()
        life = (info.expires_at - info.locked_at).total_seconds()
        assert life == pytest.approx(90, abs=0.01)
        assert held.interval == get_timeout() / 3 == 30


def test_holding_what_another_has_locked_is_refused(article, token):
    ran = []
    with pytest.raises(AlreadyLockedError) as caught, hold_lock(article):
        ran.append(True)
    assert ran == []
    assert caught.value.obj is article
    assert article.check_lock(token)
    assert article.is_locked()


def test_holding_replaces_an_expired_lock(article, token):
    expire(article)
    with hold_lock(article) as held:
        assert held.token != token
        assert article.is_locked()
    assert LockToken.objects.count() == 0


@pytest.mark.parametrize("make", UNLOCKABLE)
def test_what_cannot_be_locked_cannot_be_held(make):
    obj = make()
    with pytest.raises(ValueError, match=r"cannot be locked|a lock takes up to"):
        with hold_lock(obj):
            pass


def test_an_unsaved_user_cannot_hold(article):
    with pytest.raises(ValueError, match="unsaved user"):
        with hold_lock(article, user=User(username="nobody")):
            pass
    assert LockToken.objects.count() == 0


def test_it_is_released_when_the_block_raises(article):
    def work():
        with hold_lock(article):
            assert article.is_locked()
            raise ZeroDivisionError("the block's")

    with pytest.raises(ZeroDivisionError, match="the block's"):
        work()
    assert LockToken.objects.count() == 0


def test_the_lock_is_renewed_in_the_background(article):
    with hold_lock(article, timeout=SHORT) as held:
        for _ in range(3):
            before = row(article).expires_at
            wait_until(lambda before=before: row(article).expires_at > before)
        held.check()
        assert row(article).token_str == held.token
    assert LockToken.objects.count() == 0


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
            before = row(article).expires_at
            wait_until(lambda before=before: row(article).expires_at > before)
        held.check()
    assert title_of(article) == "Number 4"
    assert LockToken.objects.count() == 0


def lose(how, article, token):
    if how == "taken over":
        take_over(article)
    else:
        article.unlock(token)


@pytest.mark.parametrize("how", ["taken over", "released"])
def test_the_block_is_told_when_the_lock_was_lost(article, how):
    def work():
        with hold_lock(article, timeout=SHORT) as held:
            lose(how, article, held.token)
            wait_until(lambda: held.lost)
            with pytest.raises(InvalidToken):
                held.check()
            seen.append(held)

    seen = []
    with pytest.raises(InvalidToken, match="was lost"):
        work()
    assert seen[0].lost is True
    assert article.is_locked() is (how == "taken over")


@pytest.mark.parametrize("how", ["taken over", "released"])
def test_a_loss_is_told_at_the_end_also_when_no_renewal_saw_it(article, how):
    def work():
        with hold_lock(article) as held:
            lose(how, article, held.token)
            assert held.lost is False
            helds.append(held)

    helds = []
    with pytest.raises(InvalidToken, match="was lost"):
        work()
    assert helds[0].lost is True


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

    def work():
        with hold_lock(article, timeout=SHORT) as held:
            take_over(article)
            wait_until(lambda: held.lost)
            renewals.append(row(article).expires_at)
            wait_until(lambda: not renewing_threads())
            renewals.append(row(article).expires_at)

    with pytest.raises(InvalidToken):
        work()
    assert renewals[0] == renewals[1]


def renewing_threads():
    return [name for name in threads() if name.startswith("renewing")]


@pytest.mark.parametrize("how", ["taken over", "released"])
def test_the_block_s_own_error_comes_before_the_loss(article, how, caplog):
    def work():
        with hold_lock(article) as held:
            lose(how, article, held.token)
            raise ZeroDivisionError("the block's")

    with caplog.at_level(logging.WARNING, logger="lock_tokens"):
        with pytest.raises(ZeroDivisionError, match="the block's"):
            work()
    (record,) = caplog.records
    assert record.name == "lock_tokens"
    assert record.levelname == "WARNING"
    assert "Could not release" in record.getMessage()


def test_the_block_s_own_error_comes_before_a_database_error(
    article, monkeypatch, caplog
):
    def release(*args):
        raise OperationalError("the database's")

    def work():
        with hold_lock(article):
            monkeypatch.setattr(LockTokenManager, "release", release)
            raise ZeroDivisionError("the block's")

    with pytest.raises(ZeroDivisionError, match="the block's"):
        work()
    assert "Could not release" in caplog.text


def test_a_database_error_at_the_release_is_told(article, monkeypatch):
    def release(*args):
        raise OperationalError("the database's")

    def work():
        with hold_lock(article):
            monkeypatch.setattr(LockTokenManager, "release", release)

    with pytest.raises(OperationalError, match="the database's"):
        work()


def failing_renewals(monkeypatch, error, times):
    """Let the first renewals fail; return the list of those tried."""
    tried = []
    renew = LockTokenManager.renew

    def failing(*args, **kwargs):
        tried.append(len(tried) < times)
        if tried[-1]:
            raise error
        return renew(*args, **kwargs)

    monkeypatch.setattr(LockTokenManager, "renew", failing)
    return tried


def test_a_database_error_in_a_renewal_is_logged_and_it_is_tried_again(
    article, monkeypatch, caplog
):
    tried = failing_renewals(monkeypatch, OperationalError("gone away"), times=2)
    with hold_lock(article, timeout=SHORT) as held:
        before = row(article).expires_at
        wait_until(lambda: row(article).expires_at > before)
        held.check()
    assert tried[:3] == [True, True, False]
    records = [r for r in caplog.records if r.name == "lock_tokens"]
    assert len(records) == 2
    for record in records:
        assert record.levelname == "WARNING"
        assert "Could not renew" in record.getMessage()
        assert "gone away" in record.exc_text
        assert held.token not in record.getMessage() + record.exc_text
    assert LockToken.objects.count() == 0


def test_inside_a_transaction_no_thread_is_started(article):
    before = threads()
    with transaction.atomic():
        with hold_lock(article, timeout=SHORT) as held:
            assert threads() == before
            assert article.check_lock(held.token)
            rename(article)
        assert LockToken.objects.count() == 0
    assert title_of(article) == "Second"


def test_inside_a_transaction_that_is_undone_the_lock_is_undone_too(article):
    @transaction.atomic
    def work():
        with hold_lock(article):
            rename(article)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert title_of(article) == "First"
    assert LockToken.objects.count() == 0


def test_a_broken_transaction_does_not_hide_the_block_s_error(article):
    @transaction.atomic
    def work():
        with hold_lock(article):
            transaction.set_rollback(True)
            raise ZeroDivisionError("the block's")

    with pytest.raises(ZeroDivisionError, match="the block's"):
        work()
    assert LockToken.objects.count() == 0


def test_the_thread_lives_as_long_as_the_block(article):
    before = threads()
    with hold_lock(article):
        (thread,) = [t for t in threading.enumerate() if t.name not in before]
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


@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has no server")
def test_no_connection_stays_open_at_the_server(article):
    before = server_connections()
    with hold_lock(article, timeout=SHORT):
        for _ in range(2):
            expires_at = row(article).expires_at
            wait_until(
                lambda expires_at=expires_at: row(article).expires_at > expires_at
            )
    wait_until(lambda: server_connections() <= before)


def test_between_two_renewals_no_connection_is_open(article):
    opened = []

    def record(connection, **kwargs):
        opened.append(connection)

    connection_created.connect(record)
    try:
        with hold_lock(article, timeout=SHORT):
            before = row(article).expires_at
            wait_until(lambda: row(article).expires_at > before)
            wait_until(lambda: opened and opened[0].connection is None)
    finally:
        connection_created.disconnect(record)


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
    article.is_locked()
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


# hold_lock, as a decorator


def test_a_decorated_function_runs_under_the_lock(article):
    alice = User.objects.create(username="alice")

    @hold_lock(article, user=alice, timeout=60)
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


def test_a_decorator_may_get_the_object_from_the_call_s_arguments(article):
    another = Article.objects.create()

    @hold_lock(lambda article_id, title: Article.objects.get(pk=article_id))
    def publish(article_id, title):
        locked = [a.pk for a in (article, another) if a.is_locked()]
        rename(Article.objects.get(pk=article_id), title)
        return locked

    assert publish(article.pk, title="A") == [article.pk]
    assert publish(another.pk, "B") == [another.pk]
    assert [title_of(article), title_of(another)] == ["A", "B"]
    assert LockToken.objects.count() == 0


def test_a_decorated_function_is_not_run_without_the_lock(article, token):
    ran = []
    job = hold_lock(article)(lambda: ran.append(True))
    with pytest.raises(AlreadyLockedError):
        job()
    assert ran == []
    article.unlock(token)
    job()
    assert ran == [True]


def test_a_decorated_function_releases_when_it_raises(article):
    @hold_lock(lambda: article)
    def job():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        job()
    assert LockToken.objects.count() == 0


def test_a_decorated_function_is_told_of_the_loss(article):
    @hold_lock(article)
    def job():
        take_over(article)
        return "done"

    with pytest.raises(InvalidToken):
        job()


def test_what_the_get_object_function_raises_is_the_caller_s(article):
    job = hold_lock(lambda: Article.objects.get(pk=0))(lambda: None)
    with pytest.raises(Article.DoesNotExist):
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

    assert race(*[lambda article=article: job(article) for article in articles]) == [
        True
    ] * len(articles)
    assert LockToken.objects.count() == 0


def test_a_coroutine_function_is_refused_when_it_is_decorated(article):
    async def job():
        raise AssertionError("not reached")

    with pytest.raises(TypeError, match="ahold_lock"):
        hold_lock(article)(job)


def test_a_function_instead_of_an_object_is_refused_as_a_context_manager(article):
    with pytest.raises(TypeError, match="only as a decorator"):
        with hold_lock(lambda: article):
            pass
    assert LockToken.objects.count() == 0
