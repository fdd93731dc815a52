"""``fence`` and ``afence``: a token that is verified until the transaction ends."""

import asyncio

import pytest
from django.db import connection, connections, transaction

from lock_tokens.exceptions import InvalidToken
from lock_tokens.holding import FencedLock, afence, fence
from lock_tokens.models import LockToken, token_dict
from tests.models import Article, ArticleProxy
from tests.support.helpers import (
    InThread,
    age,
    expire,
    lock_row,
    race,
    wait_until_blocked_or_done,
)
from tests.support.objects import LOCKABLE, UNLOCKABLE, rename, title_of
from tests.support.twins import inside

pytestmark = pytest.mark.django_db(transaction=True)
two_databases = pytest.mark.django_db(databases=["default", "other"], transaction=True)


@pytest.fixture(params=[fence, afence], ids=["fence", "afence"])
def fenced(request):
    """Run a function inside ``fence``, and inside ``afence``."""

    def fenced(obj, token, block=lambda lock: None, **options):
        return inside(request.param(obj, token, **options), block)

    return fenced


def expiry(obj):
    return lock_row(obj).get().expires_at


def take_over(obj):
    return LockToken.objects.take_over(obj).token_str


def test_the_holder_may_save(article, token, fenced):
    def save(lock):
        assert connection.in_atomic_block
        rename(article)
        return lock

    lock = fenced(article, token, save)
    assert not connection.in_atomic_block
    assert title_of(article) == "Second"
    assert isinstance(lock, FencedLock)
    assert lock.token == token
    assert lock.expires_at == expiry(article)
    assert lock.release is False
    assert lock.serialize() == token_dict(token, lock.expires_at)
    assert article.is_locked()


def test_it_joins_the_transaction_that_is_open(article, token, fenced):
    @transaction.atomic
    def work():
        fenced(article, token, lambda lock: rename(article), release=True)
        assert connection.in_atomic_block
        assert title_of(article) == "Second"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    # The outer transaction took the save and the release back.
    assert title_of(article) == "First"
    assert article.check_lock(token)


@pytest.mark.parametrize("state", ["free", "taken", "taken and expired", "released"])
def test_a_void_token_is_refused_before_the_block(article, token, fenced, state):
    if state in ("free", "released"):
        article.unlock(token)
    if state == "released":
        article.lock()
    if "taken" in state:
        take_over(article)
    if "expired" in state:
        expire(article)
    before = list(LockToken.objects.values())
    with pytest.raises(InvalidToken) as caught:
        fenced(article, token, lambda lock: pytest.fail("the block ran"))
    assert caught.value.obj is article
    assert list(LockToken.objects.values()) == before
    assert not connection.in_atomic_block


@pytest.mark.parametrize("garbage", [None, "", "x", "0" * 31, "A" * 32, "\0" * 32])
def test_garbage_is_a_void_token(article, token, fenced, garbage):
    with pytest.raises(InvalidToken):
        fenced(article, garbage)
    assert article.check_lock(token)


def test_a_void_token_leaves_an_outer_transaction_usable(article):
    with transaction.atomic():
        with pytest.raises(InvalidToken), fence(article, "0" * 32):
            pass
        rename(article)
    assert title_of(article) == "Second"


@pytest.mark.parametrize("kind", UNLOCKABLE)
def test_what_cannot_be_locked_cannot_be_fenced(kind):
    obj = UNLOCKABLE[kind]()
    with pytest.raises(ValueError, match=r"cannot be locked|A lock accepts at most"):
        with fence(obj, "0" * 32):
            pass
    assert not connection.in_atomic_block


@pytest.mark.parametrize("timeout", [0, -1, "60", True, float("nan")])
def test_a_bad_timeout_is_a_value_error(article, token, fenced, timeout):
    with pytest.raises(ValueError, match="number of seconds"):
        fenced(article, token, timeout=timeout)
    assert not connection.in_atomic_block
    assert LockToken.objects.count() == 1


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
def test_an_exception_undoes_everything_in_the_block(
    article, token, fenced, release, error
):
    expire(article)
    before = LockToken.objects.values().get()

    def save(lock):
        rename(article)
        lock.release = True
        raise error

    with pytest.raises(error):
        fenced(article, token, save, release=release)
    assert title_of(article) == "First"
    assert LockToken.objects.values().get() == before
    assert not connection.in_atomic_block


def test_it_revives_an_expired_lock_that_nobody_took(article, token):
    expire(article)
    with fence(article, token):
        assert article.is_locked()
    assert article.is_locked()
    assert article.check_lock(token)


def test_it_extends_the_lock_and_never_shortens_it(article, fenced):
    token = article.lock(timeout=100)["token"]
    long = expiry(article)
    for timeout in (50, 200):
        expires_at = fenced(
            article, token, lambda lock: lock.expires_at, timeout=timeout
        )
        assert expires_at == expiry(article)
        assert (expires_at == long) is (timeout == 50)
    assert 90 < (expires_at - long).total_seconds() < 160


def test_it_extends_to_the_timeout_setting(article, token, settings):
    age(article, 600)
    before = expiry(article)
    with fence(article, token):
        pass
    assert 599 < (expiry(article) - before).total_seconds() < 660
    settings.LOCK_TOKENS = {"TIMEOUT": 7200}
    with fence(article, token):
        pass
    assert 4199 < (expiry(article) - before).total_seconds() < 4260


def test_release_gives_the_lock_up_with_the_save(article, token, fenced):
    def save(lock):
        assert lock.release is True
        assert article.is_locked()
        rename(article)

    fenced(article, token, save, release=True)
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0


@pytest.mark.parametrize("release", [False, True])
def test_the_block_may_decide_about_the_release(article, token, fenced, release):
    def decide(lock):
        lock.release = release

    fenced(article, token, decide, release=not release)
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


@pytest.mark.parametrize("kind", LOCKABLE)
def test_objects_of_any_model_can_be_fenced(kind):
    obj = LOCKABLE[kind]()
    token = LockToken.objects.acquire(obj).token_str
    with fence(obj, token, release=True):
        assert LockToken.objects.is_locked(obj)
    assert LockToken.objects.count() == 0


def test_a_proxy_is_fenced_with_its_concrete_model(article, token):
    with fence(ArticleProxy.objects.get(pk=article.pk), token, release=True):
        pass
    assert not article.is_locked()


@pytest.mark.parametrize("release", [False, True])
def test_a_fence_is_one_statement_and_its_release_another(
    article, token, release, django_assert_num_queries
):
    # Besides BEGIN and COMMIT, which are logged as queries too.
    with django_assert_num_queries(3 + release), fence(article, token, release=release):
        pass


@pytest.mark.race
def test_nobody_gets_the_lock_before_the_transaction_ends(article, token):
    expire(article)
    with fence(article, token, release=True):
        taking = InThread(lambda: (take_over(article), title_of(article)))
        wait_until_blocked_or_done(taking)
        assert taking.is_running()
        rename(article)
    taken, seen = taking()
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

        saved, (taken, seen) = race(
            save, lambda: (take_over(article), title_of(article))
        )
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
    assert expiry(article) == expires_at
    with transaction.atomic(), pytest.raises(InvalidToken):
        LockToken.objects.fence(article, "0" * 32)
    with transaction.atomic():
        lock_key = LockToken.objects.key_of(article)
        assert LockToken.objects.fence(lock_key, token) == expires_at


# The locks in another database


@two_databases
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


@two_databases
def test_both_databases_are_undone_together(article, locks_elsewhere, fenced):
    token = article.lock()["token"]
    before = LockToken.objects.using("other").values().get()

    def save(lock):
        rename(article)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fenced(article, token, save, release=True)
    assert title_of(article) == "First"
    assert LockToken.objects.using("other").values().get() == before
    with pytest.raises(InvalidToken):
        fenced(article, "0" * 32, save)
    assert title_of(article) == "First"


@two_databases
def test_the_object_s_transaction_ends_before_its_lock_s(article, locks_elsewhere):
    token = article.lock()["token"]
    ended = []
    with fence(article, token, release=True):
        for alias in ("default", "other"):
            transaction.on_commit(lambda alias=alias: ended.append(alias), using=alias)
    assert ended == ["default", "other"]


@two_databases
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
