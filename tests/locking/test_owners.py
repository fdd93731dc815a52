"""The owner of a lock: a client that gets its own lock again."""

import math

import pytest

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import expire, lock_row

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("after_an_expired_lock", [False, True])
def test_the_same_owner_gets_the_same_lock_again(article, after_an_expired_lock):
    if after_an_expired_lock:
        article.lock()
        expire(article)
    first = LockToken.objects.acquire(article, owner="one client")
    again = LockToken.objects.acquire(article, owner="one client")
    assert again == first
    assert (again.pk, again.token_str) == (first.pk, first.token_str)
    for other in ("another client", None, ""):
        with pytest.raises(AlreadyLockedError):
            LockToken.objects.acquire(article, owner=other)


def test_an_owner_s_token_is_new_each_time_and_good_for_one_object(article):
    locks = LockToken.objects
    first = locks.acquire(article, owner="one client")
    article.unlock(first.token_str)
    second = locks.acquire(article, owner="one client")
    assert second.token_str != first.token_str
    with pytest.raises(InvalidToken):
        article.lock(first.token_str)
    other = Article.objects.create()
    lock_row(article).update(locked_object_id=str(other.pk))
    with pytest.raises(AlreadyLockedError):
        locks.acquire(other, owner="one client")


def test_an_owner_s_token_outlives_only_a_rotation_of_the_secret_key(article, settings):
    first = LockToken.objects.acquire(article, owner="one client")
    own = settings.SECRET_KEY
    settings.SECRET_KEY = "another"
    with pytest.raises(AlreadyLockedError):
        LockToken.objects.acquire(article, owner="one client")
    settings.SECRET_KEY_FALLBACKS = [own]
    again = LockToken.objects.acquire(article, owner="one client")
    assert again.token_str == first.token_str


def test_an_owner_who_asks_again_has_the_lock_extended(article):
    first = LockToken.objects.acquire(article, owner="one client", timeout=5)
    again = LockToken.objects.acquire(article, owner="one client", timeout=500)
    assert again.expires_at > first.expires_at
    assert LockToken.objects.get().expires_at == again.expires_at
    kept = LockToken.objects.acquire(article, owner="one client", timeout=5)
    assert kept.expires_at == again.expires_at


def test_an_owner_whose_lock_goes_while_asking_acquires_anew(article, monkeypatch):
    first = LockToken.objects.acquire(article, owner="one client")
    manager = type(LockToken.objects)
    renew = manager.renew

    def released_just_now(self, obj, token, **options):
        monkeypatch.setattr(manager, "renew", renew)
        article.unlock(first.token_str)
        return renew(self, obj, token, **options)

    monkeypatch.setattr(manager, "renew", released_just_now)
    again = LockToken.objects.acquire(article, owner="one client")
    assert again.token_str != first.token_str
    assert LockToken.objects.get() == again


# Renewing by the owner


@pytest.mark.parametrize("expired", [True, False])
def test_an_owner_can_renew_also_an_expired_lock(article, alice, dialect, expired):
    locks = LockToken.objects
    first = locks.acquire(article, owner="one client", user=alice, timeout=5)
    if expired:
        expire(article)
    again = locks.renew_owned(article, "one client", timeout=500)
    assert (again.pk, again.token_str) == (first.pk, first.token_str)
    assert (again.locked_at, again.locked_by) == (first.locked_at, alice)
    assert again.expires_at > first.expires_at
    assert lock_row(article).get().expires_at == again.expires_at
    assert article.check_lock(first.token_str)
    kept = locks.renew_owned(locks.key_of(article), "one client", timeout=5)
    assert kept.expires_at == again.expires_at


def test_without_a_lock_an_owner_renews_none(article):
    assert LockToken.objects.renew_owned(article, "one client") is None
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("expired", [True, False])
@pytest.mark.parametrize("owner", ["another client", "one client", None])
def test_nobody_renews_a_lock_of_another_owner(article, owner, expired):
    LockToken.objects.acquire(article, owner=owner)
    if expired:
        expire(article)
    before = lock_row(article).get().serialize()
    for asking in {"one client", "third client", ""} - {owner}:
        assert LockToken.objects.renew_owned(article, asking) is None
    assert lock_row(article).get().serialize() == before


@pytest.mark.parametrize("method", ["renew", "get_by_token"])
@pytest.mark.parametrize("taken", [True, False])
def test_an_owner_whose_lock_goes_while_renewing_has_none(
    article, monkeypatch, method, taken
):
    LockToken.objects.acquire(article, owner="one client")
    manager = type(LockToken.objects)
    original = getattr(manager, method)

    def gone_just_now(self, obj, token, **options):
        monkeypatch.undo()
        self.release(obj, token)
        if taken:
            self.acquire(obj)
        return original(self, obj, token, **options)

    monkeypatch.setattr(manager, method, gone_just_now)
    assert LockToken.objects.renew_owned(article, "one client") is None
    assert LockToken.objects.exists() == taken


@pytest.mark.parametrize("timeout", [0, -1, math.inf, "60"])
def test_an_owner_renews_for_no_bad_timeout(article, timeout):
    LockToken.objects.acquire(article, owner="one client")
    with pytest.raises(ValueError, match="timeout"):
        LockToken.objects.renew_owned(article, "one client", timeout=timeout)
