"""The async methods of the models and their managers."""

import inspect

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    NoLockWarning,
    UnlockForbiddenError,
)
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockableModel, LockToken
from tests.models import Article, Draft, Plain
from tests.support.helpers import expire

pytestmark = pytest.mark.django_db


def run(coroutine_function):
    """Run an async test, with the ORM in this thread and its transaction."""
    return async_to_sync(coroutine_function)()


def row(obj):
    return LockToken.objects.get_for_object(obj)


def test_alock_renews_and_refuses_as_lock_does(article, alice):
    async def work():
        given = await article.alock(timeout=60, user=alice)
        again = await article.alock(given["token"], timeout=600)
        with pytest.raises(AlreadyLockedError) as caught:
            await article.alock()
        with pytest.raises(InvalidToken):
            await article.alock("0" * 32)
        with pytest.raises(ValueError, match="number of seconds"):
            await article.alock(given["token"], timeout=0)
        return given, again, caught.value

    given, again, error = run(work)
    assert set(given) == {"token", "expires", "expires_at"}
    assert again["token"] == given["token"] == row(article).token_str
    assert again["expires_at"] == row(article).expires_at.isoformat()
    assert again["expires_at"] > given["expires_at"]
    assert (error.obj, error.locked_by) == (article, alice)


def test_aunlock_takes_the_token_alone(article, token):
    async def work():
        with pytest.raises(UnlockForbiddenError):
            await article.aunlock("0" * 32)
        assert await article.ais_locked()
        await article.aunlock(token)
        assert not await article.ais_locked()
        with pytest.raises(UnlockForbiddenError):
            await article.aunlock(token)

    run(work)
    assert LockToken.objects.count() == 0


def test_acheck_lock_warns_as_check_lock_does(article, token):
    async def work():
        assert await article.acheck_lock(token) is True
        assert await article.acheck_lock("0" * 32) is False
        assert await article.acheck_lock(None) is False
        await sync_to_async(expire)(article)
        with pytest.warns(LockExpiredWarning):
            assert await article.acheck_lock(token) is True
        assert await article.ais_locked() is False
        await article.aunlock(token)
        with pytest.warns(NoLockWarning):
            assert await article.acheck_lock(token) is False

    run(work)


def test_alock_info_tells_who(article, alice):
    async def work():
        assert await article.alock_info() is None
        await article.alock(user=alice)
        return await article.alock_info()

    info = run(work)
    assert info.locked_by == alice
    assert (info.locked_at, info.expires_at) == (
        row(article).locked_at,
        row(article).expires_at,
    )


def test_aget_and_lock_of_the_model_and_of_its_manager(article, alice):
    hidden = Draft.objects.create(draft=False)

    async def work():
        found, given = await Article.aget_and_lock(pk=article.pk, lock_timeout=60)
        assert found == article
        with pytest.raises(AlreadyLockedError):
            await Article.objects.aget_and_lock(pk=article.pk)
        await found.aunlock(given["token"])
        found, given = await Article.objects.aget_and_lock(
            title="First", lock_user=alice
        )
        assert (await found.alock_info()).locked_by == alice
        with pytest.raises(Article.DoesNotExist):
            await Article.aget_and_lock(pk=0)
        with pytest.raises(Draft.DoesNotExist):
            await Draft.aget_and_lock(pk=hidden.pk)
        return found, given

    found, given = run(work)
    assert found == article
    assert given["token"] == row(article).token_str


def test_the_twins_work_on_any_model(alice):
    plain = Plain.objects.create()

    async def work():
        given = await LockableModel.alock(plain, user=alice)
        assert await LockableModel.ais_locked(plain)
        assert await LockableModel.acheck_lock(plain, given["token"])
        assert (await LockableModel.alock_info(plain)).locked_by == alice
        await LockableModel.aunlock(plain, given["token"])

    run(work)
    assert LockToken.objects.count() == 0


def test_the_manager_s_twins(article, alice):
    another = Article.objects.create()
    locks = LockToken.objects

    async def work():
        lock = await locks.aacquire(article, timeout=60, user=alice, owner="me")
        assert (await locks.aacquire(article, owner="me")).token_str == lock.token_str
        again, is_new = await locks.aget_or_acquire(article, owner="me")
        assert (again.token_str, is_new) == (lock.token_str, False)
        with pytest.raises(AlreadyLockedError):
            await locks.aacquire(article)
        expires_at = await locks.arenew(article, lock.token_str, timeout=600)
        assert expires_at > lock.expires_at
        assert await locks.arenew(article, lock.token_str, extend=True) > expires_at
        with pytest.raises(InvalidToken):
            await locks.arenew(article, "0" * 32)
        infos = await locks.ainfos([another, article])
        assert [info and info.locked_by for info in infos] == [None, alice]
        taken = await locks.atake_over(article, timeout=60, user=alice, owner="me")
        with pytest.raises(UnlockForbiddenError):
            await locks.arelease(article, lock.token_str)
        await locks.arelease(article, taken.token_str)

    run(work)
    assert LockToken.objects.count() == 0


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (owner, name)
        for owner in (LockableModel, LockTokenManager, type(Article.objects))
        for name in vars(owner)
        if name.startswith("a") and name[1:] in dir(owner)
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_each_twin_is_a_coroutine_function(owner, name):
    assert inspect.iscoroutinefunction(getattr(owner, name))
