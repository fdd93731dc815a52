"""Lock an object, ask about it, unlock it: the methods of ``LockableModel``."""

import re
import warnings
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    NoLockWarning,
    UnlockForbiddenError,
)
from lock_tokens.locking.info import LockInfo
from lock_tokens.models import LockableModel, LockToken
from tests.models import Article
from tests.support.helpers import age, expire
from tests.support.objects import LOCKABLE
from tests.support.twins import Awaited

pytestmark = pytest.mark.django_db

VOID = "0" * 32


@pytest.fixture(params=["lock", "alock"])
def lockable(request, article):
    """The article, whose methods are sync; the same with its async methods."""
    return article if request.param == "lock" else Awaited(article)


def life_of(row):
    return (row.expires_at - row.locked_at).total_seconds()


# lock()


def test_lock_returns_the_token_and_its_expiry(lockable):
    before = timezone.now()
    held = lockable.lock()
    row = LockToken.objects.get()
    assert set(held) == {"token", "expires", "expires_at"}
    assert re.fullmatch("[0-9a-f]{32}", held["token"])
    assert held["token"] == row.token_str
    assert held["expires_at"] == row.expires_at.isoformat()
    assert held["expires"] == row.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    life = row.expires_at - before
    assert timedelta(seconds=3590) < life < timedelta(seconds=3610)


def test_expires_is_in_the_format_of_the_settings(article, settings):
    settings.LOCK_TOKENS = {"DATEFORMAT": "%d/%m/%y"}
    row_date = LockToken.objects.acquire(article).expires_at.strftime("%d/%m/%y")
    assert LockToken.objects.get().serialize()["expires"] == row_date


def test_each_lock_has_another_token(article):
    tokens = set()
    for _ in range(3):
        held = article.lock()
        tokens.add(held["token"])
        article.unlock(held["token"])
    assert len(tokens) == 3


def test_a_held_object_is_refused_with_holder_and_expiry(article, lockable, alice):
    held = lockable.lock(user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        lockable.lock()
    error = caught.value
    row = LockToken.objects.get()
    assert error.obj == article
    assert error.locked_by == alice == LockToken.objects.refusal(article).locked_by
    assert error.locked_at == row.locked_at
    assert error.expires_at == row.expires_at
    assert "alice" in str(error)
    assert held["token"] not in str(error)
    assert held["token"] not in repr(vars(error))


def test_a_refusal_without_a_known_holder_names_nobody(article):
    article.lock()
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by is None
    assert "somebody else" in str(caught.value)


def test_lock_with_its_token_renews(article, lockable):
    held = article.lock()
    age(article, 600)
    row = LockToken.objects.get()
    again = lockable.lock(held["token"], timeout=6000)
    assert again["token"] == held["token"]
    renewed = LockToken.objects.get()
    assert renewed.expires_at.isoformat() == again["expires_at"] > held["expires_at"]
    for field in ("pk", "locked_at", "created"):
        assert getattr(renewed, field) == getattr(row, field)


def test_an_expired_lock_that_nobody_took_renews(article):
    held = article.lock()
    expire(article)
    article.lock(held["token"])
    assert article.is_locked()


@pytest.mark.parametrize(
    "token", [VOID, "", "x" * 32, "A" * 32, "0" * 31, "0" * 33, "\0" * 32]
)
def test_a_void_token_renews_nothing(article, lockable, token):
    held = article.lock()
    before = LockToken.objects.get().expires_at
    with pytest.raises(InvalidToken) as caught:
        lockable.lock(token)
    assert caught.value.obj == article
    assert LockToken.objects.get().expires_at == before
    assert article.check_lock(held["token"])


def test_renewing_without_a_lock_is_refused_and_makes_none(article):
    held = article.lock()
    article.unlock(held["token"])
    with pytest.raises(InvalidToken):
        article.lock(held["token"])
    assert not LockToken.objects.exists()


def test_taking_an_expired_lock_makes_a_new_row(article, alice):
    old = LockToken.objects.acquire(article)
    expire(article)
    held = article.lock(user=alice)
    row = LockToken.objects.get()
    assert row.pk != old.pk
    assert row.token_str == held["token"] != old.token_str
    assert row.locked_by == alice
    assert row.locked_at > old.locked_at or row.locked_at == row.created
    with pytest.raises(InvalidToken):
        article.lock(old.token_str)
    with pytest.raises(UnlockForbiddenError):
        article.unlock(old.token_str)
    assert not article.check_lock(old.token_str)


def test_the_holder_may_be_nobody_in_particular(article):
    article.lock(user=AnonymousUser())
    assert LockToken.objects.get().locked_by is None


@pytest.mark.parametrize(
    ("user", "message"),
    [(User(username="nobody"), "unsaved user")]
    + [(other, "not a user") for other in (5, "alice", Article(pk=1))],
)
def test_only_a_saved_user_can_be_the_holder(article, user, message):
    with pytest.raises(ValueError, match=message):
        article.lock(user=user)
    assert not article.is_locked()


@pytest.mark.parametrize("timeout", [0.5, 1, 90.25, 10**8])
def test_timeout_of_one_lock(article, timeout):
    held = LockToken.objects.acquire(article, timeout=timeout)
    assert life_of(held) == pytest.approx(timeout, abs=0.002)


def test_a_renewal_may_shorten(article):
    held = article.lock()
    article.lock(held["token"], timeout=5)
    assert life_of(LockToken.objects.get()) < 60


@pytest.mark.parametrize(
    "timeout", [0, -1, float("nan"), float("inf"), True, "60", 10**10, [], Decimal(5)]
)
def test_a_bad_timeout_is_a_clear_error(article, lockable, timeout):
    with pytest.raises(ValueError, match="number of seconds"):
        lockable.lock(timeout=timeout)
    assert not article.is_locked()
    held = article.lock()
    with pytest.raises(ValueError, match="number of seconds"):
        lockable.lock(held["token"], timeout=timeout)


# unlock()


@pytest.mark.parametrize("expired", [False, True])
def test_unlock_frees_the_object(article, lockable, expired):
    token = article.lock()["token"]
    if expired:
        expire(article)
    lockable.unlock(token)
    assert not lockable.is_locked()
    assert not LockToken.objects.exists()
    with pytest.raises(UnlockForbiddenError):
        lockable.unlock(token)
    article.lock()


@pytest.mark.parametrize("token", [VOID, None, ""])
def test_only_the_token_unlocks(article, lockable, token):
    article.lock()
    with pytest.raises(UnlockForbiddenError) as caught:
        lockable.unlock(token)
    assert caught.value.obj == article
    assert lockable.is_locked()


# is_locked(), check_lock(), lock_info()


def test_an_object_is_locked_only_while_the_lock_lives(article, lockable):
    assert not lockable.is_locked()
    article.lock()
    assert lockable.is_locked()
    expire(article)
    assert not lockable.is_locked()


def test_check_lock_is_true_for_the_row_s_token(article, lockable):
    held = article.lock()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lockable.check_lock(held["token"]) is True
        assert lockable.check_lock(VOID) is False
        assert lockable.check_lock(None) is False
        expire(article)
        assert lockable.check_lock(VOID) is False


def test_check_lock_warns_of_an_expired_lock_and_of_none(article, lockable):
    held = article.lock()
    expire(article)
    with pytest.warns(LockExpiredWarning) as expired:
        assert lockable.check_lock(held["token"]) is True
    article.unlock(held["token"])
    with pytest.warns(NoLockWarning) as none:
        assert lockable.check_lock(held["token"]) is False
    if lockable is article:
        assert expired[0].filename == none[0].filename == __file__


def test_check_lock_token_is_the_published_name(article):
    held = article.lock()
    assert article.check_lock_token(held["token"]) is True
    assert LockableModel.check_lock_token(article, VOID) is False


def test_lock_info_tells_who_since_when_and_until_when(article, lockable, alice):
    assert lockable.lock_info() is None
    held = article.lock(user=alice)
    row = LockToken.objects.get()
    info = lockable.lock_info()
    assert info == LockInfo(alice, row.locked_at, row.expires_at)
    assert held["token"] not in repr(info)
    expire(article)
    assert lockable.lock_info() is None


@pytest.mark.parametrize("kind", LOCKABLE)
@pytest.mark.parametrize("wrap", [lambda obj: obj, Awaited])
def test_any_model_can_be_locked_through_lockable_model(kind, wrap, alice):
    obj = LOCKABLE[kind]()
    methods = wrap(LockableModel)
    held = methods.lock(obj, user=alice)
    assert methods.is_locked(obj)
    assert methods.check_lock(obj, held["token"])
    assert methods.lock_info(obj).locked_by == alice
    assert methods.lock(obj, held["token"])["token"] == held["token"]
    methods.unlock(obj, held["token"])
    assert not methods.is_locked(obj)


# get_and_lock()


@pytest.fixture(
    params=[
        lambda: Article.objects,
        lambda: Article,
        lambda: Awaited(Article.objects),
        lambda: Awaited(Article),
    ],
    ids=["manager", "model", "async manager", "async model"],
)
def getting(request):
    return request.param()


def test_get_and_lock(article, getting, alice):
    obj, held = getting.get_and_lock(title="First", lock_timeout=5, lock_user=alice)
    assert obj == article
    assert article.check_lock(held["token"])
    assert life_of(LockToken.objects.get()) == pytest.approx(5, abs=0.01)
    assert article.lock_info().locked_by == alice
    with pytest.raises(AlreadyLockedError):
        getting.get_and_lock(pk=article.pk)
    article.unlock(held["token"])
    obj, held = getting.get_and_lock(pk=article.pk)
    assert obj == article
    assert obj.check_lock(held["token"])


def test_get_and_lock_without_an_object(article, getting):
    with pytest.raises(Article.DoesNotExist):
        getting.get_and_lock(pk=article.pk + 1)
    Article.objects.create(title="First")
    with pytest.raises(Article.MultipleObjectsReturned):
        getting.get_and_lock(title="First")
    assert not LockToken.objects.exists()


def test_get_and_lock_reads_the_object_after_locking_it(article, monkeypatch):
    """Else it could be older than the lock, and its save would undo another's."""
    acquire = type(LockToken.objects).acquire

    def edited_meanwhile(*args, **kwargs):
        Article.objects.update(title="Edited meanwhile")
        return acquire(*args, **kwargs)

    monkeypatch.setattr(type(LockToken.objects), "acquire", edited_meanwhile)
    obj, _held = Article.objects.get_and_lock(pk=article.pk)
    assert obj.title == "Edited meanwhile"


def test_get_and_lock_of_an_object_that_goes_meanwhile(article, monkeypatch):
    acquire = type(LockToken.objects).acquire

    def deleted_meanwhile(*args, **kwargs):
        held = acquire(*args, **kwargs)
        Article.objects.filter(pk=article.pk)._raw_delete("default")
        return held

    monkeypatch.setattr(type(LockToken.objects), "acquire", deleted_meanwhile)
    with pytest.raises(Article.DoesNotExist):
        Article.objects.get_and_lock(pk=article.pk)
    assert not LockToken.objects.exists()
