"""A task that is cancelled leaves no transaction open and no lock behind."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import InterfaceError, connection, connections

from lock_tokens.exceptions import InvalidToken
from lock_tokens.holding import afence, ahold_lock, fence, hold_lock
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def article():
    article = Article.objects.create(title="As it was")
    article.is_locked()
    return article


def run(main):
    """Run a coroutine, and tell whether its ORM thread was left in a transaction."""

    def left_behind():
        left = connection.in_atomic_block
        if left:
            connection.rollback()
        connections.close_all()
        return left

    async def outer():
        try:
            await asyncio.wait_for(main(), 30)
        finally:
            outer.left = await sync_to_async(left_behind)()

    asyncio.run(outer())
    return outer.left


async def occupy(release):
    """Keep the ORM's thread busy until ``release`` is set; return the task that does."""
    started = threading.Event()

    def work():
        started.set()
        release.wait(30)

    task = asyncio.ensure_future(sync_to_async(work)())
    await asyncio.to_thread(started.wait, 30)
    return task


async def cancelled(task):
    """Return whether the task ended by being cancelled."""
    (result,) = await asyncio.gather(task, return_exceptions=True)
    return isinstance(result, asyncio.CancelledError)


def test_cancelled_while_the_fence_waits_for_its_turn(article):
    token = article.lock()["token"]

    async def main():
        async def save():
            async with afence(article, token):
                raise AssertionError("the block must not run")

        release = threading.Event()
        busy = await occupy(release)
        task = asyncio.ensure_future(save())
        await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        assert await cancelled(task)
        await busy

    assert run(main) is False
    assert article.check_lock(token)


@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has one writer at a time")
def test_cancelled_while_the_fence_waits_for_the_row(article):
    token = article.lock()["token"]
    entered, leave = threading.Event(), threading.Event()

    def other():
        try:
            with fence(article, token):
                entered.set()
                leave.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(30)

    async def main():
        async def save():
            async with afence(article, token):
                raise AssertionError("the block must not run")

        task = asyncio.ensure_future(save())
        await asyncio.sleep(0.2)  # it gets to the row
        task.cancel()
        leave.set()
        assert await cancelled(task)

    try:
        assert run(main) is False
    finally:
        leave.set()
        thread.join()


@pytest.mark.parametrize("context", [afence, ahold_lock])
def test_cancelled_while_it_is_about_to_be_refused(article, context):
    held = article.lock()
    arguments = (article, "0" * 32) if context is afence else (article,)

    async def main():
        async def enter():
            async with context(*arguments):
                raise AssertionError("the block must not run")

        release = threading.Event()
        busy = await occupy(release)
        task = asyncio.ensure_future(enter())
        await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        assert await cancelled(task)
        await busy

    assert run(main) is False
    assert article.check_lock(held["token"])


def test_ahold_lock_is_for_coroutines():
    with pytest.raises(TypeError, match="use hold_lock"):

        @ahold_lock(lambda: None)
        def job():
            pass


def test_cancelled_in_the_block_undoes_it(article):
    token = article.lock()["token"]

    async def main():
        written = asyncio.Event()

        async def save():
            async with afence(article, token, release=True):
                await Article.objects.aupdate(title="Half done")
                written.set()
                await asyncio.sleep(30)

        task = asyncio.ensure_future(save())
        await written.wait()
        task.cancel()
        assert await cancelled(task)

    assert run(main) is False
    assert Article.objects.get().title == "As it was"
    assert article.check_lock(token)


def test_cancelled_while_the_fence_is_left(article):
    """The end of the block had been reached: the save stands, whole."""
    token = article.lock()["token"]

    async def main():
        release = threading.Event()
        leaving = asyncio.Event()

        async def save():
            async with afence(article, token):
                await Article.objects.aupdate(title="Saved")
                save.busy = await occupy(release)
                leaving.set()

        task = asyncio.ensure_future(save())
        await leaving.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        assert await cancelled(task)
        await save.busy

    assert run(main) is False
    assert Article.objects.get().title == "Saved"


def test_cancelled_while_the_lock_is_being_acquired(article):
    async def main():
        async def hold():
            async with ahold_lock(article):
                raise AssertionError("the block must not run")

        release = threading.Event()
        busy = await occupy(release)
        task = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        assert await cancelled(task)
        await busy

    run(main)
    assert not article.is_locked()


def test_cancelled_while_the_lock_is_being_released(article):
    async def main():
        release = threading.Event()
        leaving = asyncio.Event()

        async def hold():
            async with ahold_lock(article):
                hold.busy = await occupy(release)
                leaving.set()

        task = asyncio.ensure_future(hold())
        await leaving.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        await asyncio.gather(task, return_exceptions=True)
        await hold.busy

    run(main)
    assert not article.is_locked()


def test_a_loop_that_ends_releases_what_its_jobs_hold(article):
    """asyncio.run() cancels every task, the renewing one too."""

    async def main():
        held = asyncio.Event()

        async def hold():
            async with ahold_lock(article):
                held.set()
                await asyncio.sleep(30)

        main.task = asyncio.ensure_future(hold())
        await held.wait()

    asyncio.run(main())
    assert not article.is_locked()


def test_a_refused_fence_raises_its_own_error_and_no_cancellation(article):
    async def main():
        async with afence(article, "0" * 32):
            raise AssertionError("the block must not run")

    with pytest.raises(InvalidToken):
        run(main)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_connection_that_breaks_is_tried_again(article, monkeypatch, asynchronous):
    """Django's InterfaceError is no DatabaseError."""
    renew = LockTokenManager.renew
    calls = []

    def breaking(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise InterfaceError("connection already closed")
        return renew(self, *args, **kwargs)

    monkeypatch.setattr(LockTokenManager, "renew", breaking)
    if asynchronous:

        async def main():
            async with ahold_lock(article, timeout=0.3) as held:
                await asyncio.to_thread(wait_until, lambda: len(calls) > 1, 15)
                assert not held.lost

        run(main)
    else:
        with hold_lock(article, timeout=0.3) as held:
            wait_until(lambda: len(calls) > 1, 15)
            assert not held.lost
    assert not LockToken.objects.exists()
