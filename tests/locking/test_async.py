"""The async methods of the models and their managers."""

import inspect

import pytest
from asgiref.sync import async_to_sync

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockableModel, LockToken
from tests.models import Article

pytestmark = pytest.mark.django_db


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

    async_to_sync(work)()
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
