"""A task that is cancelled leaves no transaction open and no lock behind."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from lock_tokens.exceptions import InvalidToken
from lock_tokens.holding import afence, ahold_lock, fence
from tests.models import Article
from tests.support.helpers import InThread
from tests.support.objects import rename, title_of

pytestmark = pytest.mark.django_db(transaction=True)


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


async def cancel(task):
    """Cancel the task, and wait until it ends by that."""
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError)


async def cancel_while_busy(task, busy, release):
    """Cancel the task while it waits for the ORM's thread, which is free soon after."""
    await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_later(0.02, release.set)
    await cancel(task)
    await busy


def cancelled_on_entering(context):
    async def main():
        async def enter():
            async with context:
                pytest.fail("the block ran")

        release = threading.Event()
        busy = await occupy(release)
        await cancel_while_busy(asyncio.ensure_future(enter()), busy, release)

    assert run(main) is False


def cancelled_on_leaving(context, block):
    async def main():
        release, leaving = threading.Event(), asyncio.Event()

        async def work():
            async with context:
                await block()
                work.busy = await occupy(release)
                leaving.set()

        task = asyncio.ensure_future(work())
        await leaving.wait()
        await cancel_while_busy(task, work.busy, release)

    assert run(main) is False


def test_cancelled_while_the_fence_waits_for_its_turn(article):
    token = article.lock()["token"]
    cancelled_on_entering(afence(article, token))
    assert article.check_lock(token)


def test_cancelled_while_the_lock_is_being_acquired(article):
    cancelled_on_entering(ahold_lock(article))
    assert not article.is_locked()


@pytest.mark.parametrize("context", [afence, ahold_lock])
def test_cancelled_while_it_is_about_to_be_refused(article, context):
    token = article.lock()["token"]
    arguments = (article, "0" * 32) if context is afence else (article,)
    cancelled_on_entering(context(*arguments))
    assert article.check_lock(token)


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
def test_cancelled_while_the_fence_waits_for_the_row(article):
    token = article.lock()["token"]
    entered, leave = threading.Event(), threading.Event()

    def other():
        with fence(article, token):
            entered.set()
            leave.wait(30)

    holding = InThread(other)
    assert entered.wait(30)

    async def main():
        async def save():
            async with afence(article, token):
                pytest.fail("the block ran")

        task = asyncio.ensure_future(save())
        await asyncio.sleep(0.2)  # it gets to the row
        asyncio.get_running_loop().call_later(0.02, leave.set)
        await cancel(task)

    try:
        assert run(main) is False
    finally:
        leave.set()
        holding()


@pytest.mark.parametrize("context", [afence, ahold_lock])
def test_cancelled_in_the_block_undoes_it(article, context):
    token = article.lock()["token"] if context is afence else None
    entering = context(article, token, release=True) if token else context(article)

    async def main():
        written = asyncio.Event()

        async def work():
            async with entering:
                await Article.objects.aupdate(title="Half done")
                written.set()
                await asyncio.sleep(30)

        task = asyncio.ensure_future(work())
        await written.wait()
        assert await article.ais_locked()
        await cancel(task)

    assert run(main) is False
    if context is afence:
        assert title_of(article) == "First"
        assert article.check_lock(token)
    else:
        assert not article.is_locked()


def test_cancelled_while_the_fence_is_left(article):
    """The end of the block had been reached: the save is kept, whole."""
    token = article.lock()["token"]
    cancelled_on_leaving(afence(article, token), lambda: sync_to_async(rename)(article))
    assert title_of(article) == "Second"


def test_cancelled_while_the_lock_is_being_released(article):
    cancelled_on_leaving(ahold_lock(article), lambda: asyncio.sleep(0))
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
            pytest.fail("the block ran")

    with pytest.raises(InvalidToken):
        run(main)
