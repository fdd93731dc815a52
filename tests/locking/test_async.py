"""The async twins, async blocks and async views: the same promises, awaited."""

import asyncio
import inspect
import logging
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.signals import connection_created
from django.http import Http404, HttpResponse, HttpResponseRedirect, JsonResponse
from django.test import AsyncClient, Client
from django.utils.decorators import method_decorator
from django.views import View

from lock_tokens.decorators import (
    holds_lock_on_object,
    locks_object,
    requires_lock_on_object,
)
from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    NoLockWarning,
    UnlockForbiddenError,
)
from lock_tokens.holding import FencedLock, afence, ahold_lock
from lock_tokens.locking.renewal import HeldLock
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.sessions import remember
from tests.models import Article, Draft, Plain
from tests.support.helpers import expire, of_url, urls_of, wait_until

pytestmark = pytest.mark.django_db

ALL = [locks_object, holds_lock_on_object, requires_lock_on_object]
SHORT = 0.3


@pytest.fixture
def article():
    return Article.objects.create(title="First")


@pytest.fixture
def token(article):
    return article.lock()["token"]


@pytest.fixture
def alice():
    return User.objects.create(username="alice")


@pytest.fixture
def serve(settings):
    """Give a view the urls ``/<key>/``."""

    def serve(view):
        settings.ROOT_URLCONF = urls_of(view)

    return serve


def run(coroutine_function):
    """Run an async test, with the ORM in this thread and its transaction."""
    return async_to_sync(coroutine_function)()


def title_of(article):
    return Article.objects.get(pk=article.pk).title


async def arename(article, title="Second"):
    await Article.objects.filter(pk=article.pk).aupdate(title=title)


def row(obj):
    return LockToken.objects.get_for_object(obj)


async def until(condition, seconds=15):
    """Ask until the condition holds, and let the event loop run meanwhile."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await sync_to_async(condition)():
        assert asyncio.get_running_loop().time() < deadline, "it never came about"
        await asyncio.sleep(0.01)


def renewed_since(obj):
    """Return a condition: the lock has been renewed since now."""
    before = row(obj).expires_at
    return lambda: row(obj).expires_at > before


# The twins


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


# afence


@pytest.mark.django_db(transaction=True)
def test_afence_lets_the_holder_save_in_one_transaction(article, token):
    async def work():
        async with afence(article, token) as fenced:
            assert isinstance(fenced, FencedLock)
            assert await sync_to_async(lambda: connection.in_atomic_block)()
            await arename(article)
        assert not await sync_to_async(lambda: connection.in_atomic_block)()
        return fenced

    fenced = run(work)
    assert title_of(article) == "Second"
    assert fenced.token == token
    assert fenced.expires_at == row(article).expires_at
    assert article.is_locked()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("set_by_the_block", [False, True])
def test_afence_releases_with_the_save(article, token, set_by_the_block):
    async def work():
        async with afence(article, token, release=not set_by_the_block) as fenced:
            if set_by_the_block:
                fenced.release = True
            await arename(article)

    run(work)
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
def test_an_exception_in_afence_undoes_everything(article, token, error):
    expire(article)
    before = LockToken.objects.values().get()

    async def work():
        async with afence(article, token, release=True):
            await arename(article)
            raise error

    with pytest.raises(error):
        run(work)
    assert title_of(article) == "First"
    assert LockToken.objects.values().get() == before
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_afence_refuses_before_the_block(article, token):
    ran = []

    async def work(void, **options):
        async with afence(article, void, **options):
            ran.append(True)

    for void in ("0" * 32, None, ""):
        with pytest.raises(InvalidToken) as caught:
            async_to_sync(work)(void)
        assert caught.value.obj is article
    with pytest.raises(ValueError, match="number of seconds"):
        async_to_sync(work)(token, timeout=-1)
    assert ran == []
    assert article.check_lock(token)
    assert not connection.in_atomic_block


def test_afence_extends_to_its_timeout(article, token):
    before = row(article).expires_at

    async def work():
        async with afence(article, token, timeout=60) as fenced:
            assert fenced.expires_at == before
        async with afence(article, token, timeout=7200) as fenced:
            return fenced.expires_at

    expires_at = run(work)
    assert row(article).expires_at == expires_at
    assert 3599 < (expires_at - before).total_seconds() < 3660


@pytest.mark.django_db(transaction=True)
def test_afence_joins_the_transaction_that_is_open(article, token):
    async def save():
        async with afence(article, token, release=True):
            await arename(article)

    @transaction.atomic
    def work():
        async_to_sync(save)()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert title_of(article) == "First"
    assert article.check_lock(token)


# ahold_lock


def other_threads():
    """Return the threads but asgiref's own, which end when they are collected."""
    return {
        thread
        for thread in threading.enumerate()
        if not thread.name.startswith("ThreadPoolExecutor")
    }


@pytest.fixture
def nothing_leaks():
    """The test leaves no thread behind."""
    before = other_threads()
    yield
    wait_until(lambda: other_threads() <= before)


@pytest.mark.django_db(transaction=True)
def test_ahold_lock_locks_while_the_block_runs(article, alice, nothing_leaks):
    async def work():
        async with ahold_lock(article, user=alice, timeout=60) as held:
            assert isinstance(held, HeldLock)
            assert await article.acheck_lock(held.token)
            info = await article.alock_info()
            assert info.locked_by == alice
            life = (info.expires_at - info.locked_at).total_seconds()
            assert life == pytest.approx(60, abs=0.01)
            held.check()
            with pytest.raises(AlreadyLockedError):
                async with ahold_lock(article):
                    pass
        return len(asyncio.all_tasks())

    assert run(work) == 1
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_ahold_lock_is_refused_while_another_has_it(article, token):
    async def work():
        async with ahold_lock(article):
            raise AssertionError("not reached")

    with pytest.raises(AlreadyLockedError):
        run(work)
    assert article.check_lock(token)


@pytest.mark.django_db(transaction=True)
def test_ahold_lock_renews_in_the_background(article, nothing_leaks):
    async def work():
        async with ahold_lock(article, timeout=SHORT) as held:
            for _ in range(2):
                await until(await sync_to_async(renewed_since)(article))
            held.check()
            assert not held.lost

    run(work)
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_ahold_lock_tells_of_the_loss(article, nothing_leaks):
    seen = []

    async def work():
        async with ahold_lock(article, timeout=SHORT) as held:
            await LockToken.objects.atake_over(article)

            async def lost():
                while not held.lost:
                    await asyncio.sleep(0.01)

            await asyncio.wait_for(lost(), 15)
            with pytest.raises(InvalidToken):
                held.check()
            seen.append(held)

    with pytest.raises(InvalidToken, match="was lost"):
        run(work)
    assert seen
    assert article.is_locked()


@pytest.mark.django_db(transaction=True)
def test_ahold_lock_tells_of_the_loss_at_the_end(article):
    async def work():
        async with ahold_lock(article):
            await LockToken.objects.atake_over(article)

    with pytest.raises(InvalidToken, match="was lost"):
        run(work)
    assert article.is_locked()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
def test_ahold_lock_releases_when_the_block_raises(article, error, nothing_leaks):
    async def work():
        async with ahold_lock(article):
            assert await article.ais_locked()
            raise error

    with pytest.raises(error):
        run(work)
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_ahold_lock_releases_when_its_task_is_cancelled(article, nothing_leaks):
    async def work():
        inside = asyncio.Event()

        async def job():
            async with ahold_lock(article):
                inside.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(job())
        await asyncio.wait_for(inside.wait(), 15)
        assert await article.ais_locked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work)
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_block_s_own_error_comes_before_the_loss(article, caplog):
    async def work():
        async with ahold_lock(article):
            await LockToken.objects.atake_over(article)
            raise ZeroDivisionError("the block's")

    with caplog.at_level(logging.WARNING, logger="lock_tokens"):
        with pytest.raises(ZeroDivisionError, match="the block's"):
            run(work)
    assert "Could not release" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_database_error_in_a_renewal_is_logged_and_it_is_tried_again(
    article, monkeypatch, caplog
):
    tried = []
    renew = LockTokenManager.renew

    def failing(*args, **kwargs):
        tried.append(len(tried) < 2)
        if tried[-1]:
            raise OperationalError("gone away")
        return renew(*args, **kwargs)

    monkeypatch.setattr(LockTokenManager, "renew", failing)

    async def work():
        async with ahold_lock(article, timeout=SHORT) as held:
            await until(await sync_to_async(renewed_since)(article))
            held.check()

    run(work)
    assert tried[:3] == [True, True, False]
    assert caplog.text.count("Could not renew") == 2
    assert LockToken.objects.count() == 0


def test_inside_a_transaction_nothing_is_renewed(article):
    async def work():
        async with ahold_lock(article, timeout=SHORT) as held:
            assert len(asyncio.all_tasks()) == 1
            assert await article.acheck_lock(held.token)

    run(work)
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_decorated_coroutine_function(article, alice):
    @ahold_lock(article, user=alice, timeout=60)
    async def job(a, *, b):
        """What it does."""
        assert (await article.alock_info()).locked_by == alice
        return a, b

    assert inspect.iscoroutinefunction(job)
    assert job.__name__ == "job"
    assert job.__doc__ == "What it does."
    assert async_to_sync(job)(1, b=2) == (1, 2)
    assert async_to_sync(job)(3, b=4) == (3, 4)
    assert LockToken.objects.count() == 0


async def get_article(key):
    return await Article.objects.aget(pk=key)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "get",
    [get_article, lambda key: Article.objects.get(pk=key)],
    ids=["coroutine function", "function"],
)
def test_the_object_may_come_from_the_call_s_arguments(article, get):
    another = Article.objects.create()

    @ahold_lock(get)
    async def publish(key):
        return [await article.ais_locked(), await another.ais_locked()]

    assert async_to_sync(publish)(article.pk) == [True, False]
    assert async_to_sync(publish)(key=another.pk) == [False, True]
    with pytest.raises(Article.DoesNotExist):
        async_to_sync(publish)(0)
    assert LockToken.objects.count() == 0


def test_a_function_instead_of_an_object_is_refused_as_a_context_manager(article):
    async def work(get):
        async with ahold_lock(get):
            raise AssertionError("not reached")

    for get in (lambda: article, get_article):
        with pytest.raises(TypeError, match="only as a decorator"):
            async_to_sync(work)(get)
    assert LockToken.objects.count() == 0


@pytest.mark.parametrize("timeout", [0, -1, "60"])
def test_a_bad_timeout_is_a_value_error(article, timeout):
    async def work():
        async with ahold_lock(article, timeout=timeout):
            raise AssertionError("not reached")

    with pytest.raises(ValueError, match="number of seconds"):
        run(work)
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_renewals_leave_no_connection_open(article, nothing_leaks):
    opened = []

    def record(connection, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            opened.append(connection)

    async def work():
        async with ahold_lock(article, timeout=SHORT):
            for _ in range(2):
                await until(await sync_to_async(renewed_since)(article))

    connection_created.connect(record)
    try:
        run(work)
    finally:
        connection_created.disconnect(record)
    assert opened
    assert [opened_one.connection for opened_one in opened] == [None] * len(opened)


# Async views


def editing(obj):
    """Return an async client whose session has the object's lock, and the token."""
    session = Client().session
    token = LockableModel.lock(obj)["token"]
    remember(obj, session, token)
    session.save()
    client = AsyncClient()
    client.cookies["sessionid"] = session.session_key
    return client, token


def editor_of(obj):
    return editing(obj)[0]


def url_of(obj):
    return f"/{obj.pk}/"


def take_and_leave(obj):
    """Let another have the object's expired lock for a while, and leave."""
    expire(obj)
    obj.unlock(obj.lock()["token"])


def standing_token(obj):
    current_token = LockToken.objects.current_token(obj)
    return current_token and current_token.token


@async_to_sync
async def asend(client, method, url, *args, **kwargs):
    return await getattr(client, method)(url, *args, **kwargs)


def test_async_locks_object(serve, article):
    @locks_object(Article, of_url)
    async def view(request, key):
        return JsonResponse({"token": request.lock_token["token"]})

    serve(view)
    client = AsyncClient()
    token = asend(client, "get", url_of(article)).json()["token"]
    assert standing_token(article) == token
    assert asend(client, "post", url_of(article)).json()["token"] == token
    assert asend(AsyncClient(), "get", url_of(article)).status_code == 403
    assert asend(client, "get", "/five/").status_code == 404
    take_and_leave(article)
    assert asend(client, "post", url_of(article)).status_code == 403
    assert asend(client, "get", url_of(article)).status_code == 200


@pytest.mark.parametrize("raises", [False, True])
def test_async_holds_lock(serve, article, raises):
    @holds_lock_on_object(Article, of_url)
    async def view(request, key):
        assert await article.ais_locked()
        assert await article.acheck_lock(request.lock_token["token"])
        if raises:
            raise Http404
        return HttpResponse("done")

    serve(view)
    client = AsyncClient()
    assert asend(client, "get", url_of(article)).status_code == (404 if raises else 200)
    assert LockToken.objects.count() == 0
    token = article.lock()["token"]
    assert asend(client, "get", url_of(article)).status_code == 403
    assert article.check_lock(token)
    assert article.is_locked()


@pytest.mark.django_db(transaction=True)
def test_async_holds_lock_renews_while_the_view_runs(serve, article, settings):
    settings.LOCK_TOKENS = {"TIMEOUT": SHORT}

    @holds_lock_on_object(Article, of_url)
    async def view(request, key):
        lock = await LockToken.objects.aget()

        def renewed():
            return LockToken.objects.get().expires_at > lock.expires_at

        # In a thread of its own: the event loop stays free to renew.
        await sync_to_async(waiting(renewed), thread_sensitive=False)()
        return HttpResponse("done")

    def waiting(condition):
        def wait():
            try:
                wait_until(condition)
            finally:
                connections.close_all()

        return wait

    serve(view)
    assert asend(AsyncClient(), "get", url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0


def test_async_holds_lock_ends_well_when_the_view_has_lost_it(serve, article):
    @holds_lock_on_object(Article, of_url)
    async def view(request, key):
        await LockToken.objects.atake_over(article)
        return HttpResponse("done")

    serve(view)
    assert asend(AsyncClient(), "get", url_of(article)).content == b"done"
    assert article.is_locked()


@requires_lock_on_object(Article, of_url, release=True)
async def asave_and_leave(request, key):
    await Article.objects.filter(pk=key).aupdate(title=request.POST["title"])
    if request.POST["title"] == "error":
        raise Http404
    if request.POST["title"] == "invalid":
        return HttpResponse("errors")
    return HttpResponseRedirect("/")


@pytest.mark.django_db(transaction=True)
def test_async_requires_lock(serve, article):
    client, token = editing(article)
    serve(asave_and_leave)
    url = url_of(article)
    assert asend(AsyncClient(), "post", url, {"title": "a"}).status_code == 403
    void = {"title": "a", "lock_token": "0" * 32}
    assert asend(client, "post", url, void).status_code == 403
    assert title_of(article) == "First"
    assert asend(client, "post", url, {"title": "error"}).status_code == 404
    assert title_of(article) == "First"
    assert article.check_lock(token)
    assert asend(client, "post", url, {"title": "invalid"}).status_code == 200
    assert title_of(article) == "invalid"
    assert article.check_lock(token)
    assert asend(client, "post", url, {"title": "Second"}).status_code == 302
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0
    assert asend(client, "post", url, {"title": "Third"}).status_code == 403
    assert asend(client, "post", "/five/", {"title": "Third"}).status_code == 404
    assert not connection.in_atomic_block


def test_async_requires_lock_with_the_page_s_token(serve, article):
    token = article.lock()["token"]
    serve(asave_and_leave)
    form = {"title": "Second", "lock_token": token}
    assert asend(AsyncClient(), "post", url_of(article), form).status_code == 302
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0


def test_async_refusals_have_the_hooks(serve, article):
    article.lock()

    def response(request, error):
        assert isinstance(error, AlreadyLockedError)
        return HttpResponse("hook", status=423)

    @locks_object(Article, of_url, response=response)
    async def view(request, key):
        raise AssertionError("not reached")

    serve(view)
    answer = asend(AsyncClient(), "get", url_of(article))
    assert (answer.status_code, answer.content) == (423, b"hook")


class AsyncView(View):
    async def get(self, request, key):
        return HttpResponse(f"here {await Article.objects.acount()}")

    async def post(self, request, key):
        await Article.objects.filter(pk=key).aupdate(title="Second")
        return HttpResponseRedirect("/")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("decorator", ALL)
def test_as_view_of_an_async_class(serve, article, decorator):
    client = editor_of(article)
    decorated = decorator(Article, of_url)(AsyncView.as_view())
    assert decorated.view_class is AsyncView
    serve(decorated)
    assert asend(client, "get", url_of(article)).content == b"here 1"
    if decorator is holds_lock_on_object:
        article.lock()
    assert asend(AsyncClient(), "get", url_of(article)).status_code == 403
    assert asend(client, "get", "/five/").status_code == 404
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_as_view_of_an_async_class_that_saves(serve, article):
    client = editor_of(article)
    serve(requires_lock_on_object(Article, of_url, release=True)(AsyncView.as_view()))
    assert asend(AsyncClient(), "post", url_of(article)).status_code == 403
    assert title_of(article) == "First"
    assert asend(client, "post", url_of(article)).status_code == 302
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_method_of_an_async_class(serve, article):
    class AsyncEditView(View):
        @method_decorator(locks_object(Article, of_url))
        async def get(self, request, key):
            return JsonResponse({"token": request.lock_token["token"]})

        @method_decorator(requires_lock_on_object(Article, of_url, release=True))
        async def post(self, request, key):
            await Article.objects.filter(pk=key).aupdate(title="Second")
            return HttpResponseRedirect("/")

    serve(AsyncEditView.as_view())
    client = AsyncClient()
    token = asend(client, "get", url_of(article)).json()["token"]
    assert standing_token(article) == token
    assert asend(AsyncClient(), "get", url_of(article)).status_code == 403
    assert asend(client, "post", url_of(article)).status_code == 302
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0
    assert asend(client, "post", url_of(article)).status_code == 403


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("decorator", ALL)
def test_a_sync_view_served_by_asgi(serve, article, decorator):
    client = editor_of(article)
    serve(decorator(Article, of_url)(lambda request, key: HttpResponse("here")))
    assert asend(client, "post", url_of(article)).content == b"here"
