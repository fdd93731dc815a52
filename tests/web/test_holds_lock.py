"""``holds_lock_on_object``: a view that has the lock while it runs."""

import threading
from functools import partial

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import Client

from lock_tokens.decorators import holds_lock_on_object
from lock_tokens.models import LockToken
from lock_tokens.sessions import forget, get_session_token, lock_for_session
from tests.models import Article
from tests.support.helpers import new_session, race, threads, wait_until
from tests.support.views import (
    editing,
    editor_of,
    here,
    not_reached,
    send_token,
    take_and_leave,
    token_in_session,
    token_of_row,
    url_of,
    with_session,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def hold(decorate):
    """Serve a view that holds the lock."""
    return partial(decorate, holds_lock_on_object)


def test_it_releases_when_the_view_returns(hold, article, new_client):
    def work(request, key):
        token = request.lock_token["token"]
        assert article.is_locked()
        assert get_session_token(article, request.session) == token
        assert token_of_row(article) == token
        return HttpResponse("done")

    hold(work, new_client)
    client = new_client()
    assert client.get(url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None


@pytest.mark.parametrize(
    ("error", "status"), [(Http404, 404), (PermissionDenied, 403), (KeyError, 500)]
)
def test_it_releases_when_the_view_raises(hold, article, error, status, new_client):
    def work(request, key):
        assert article.is_locked()
        raise error("the view's")

    hold(work, new_client)
    client = new_client(raise_request_exception=False)
    assert client.get(url_of(article)).status_code == status
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_it_lets_the_view_s_own_error_through(rf, article, session):
    def work(request):
        raise ZeroDivisionError("the view's")

    request = rf.get("/")
    request.session = session
    with pytest.raises(ZeroDivisionError, match="the view's"):
        holds_lock_on_object(Article, lambda request: article.pk)(work)(request)
    assert get_session_token(article, session) is None
    assert not article.is_locked()


def test_it_refuses_while_another_has_the_lock(hold, article, new_client):
    hold(not_reached, new_client)
    token = article.lock()["token"]
    assert new_client().get(url_of(article)).status_code == 403
    assert new_client().post(url_of(article)).status_code == 403
    assert token_of_row(article) == token


def test_it_releases_the_lock_that_the_session_had_already(hold, article):
    client = editor_of(article)
    hold(here)
    assert client.post(url_of(article)).status_code == 200
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None


@pytest.mark.parametrize(("method", "status"), [("get", 200), ("post", 403)])
def test_a_void_token_in_the_session(hold, article, method, status):
    client = editor_of(article)
    take_and_leave(article)
    hold(here)
    assert getattr(client, method)(url_of(article)).status_code == status
    assert LockToken.objects.count() == 0


@pytest.mark.parametrize("how", ["session", "field", "header"])
@pytest.mark.parametrize("raises", [False, True])
def test_keep_held_leaves_the_lock_of_an_open_page_alone(
    hold, article, how, raises, new_client
):
    client, token = editing(article, new_client)

    def work(request, key):
        if raises:
            raise Http404
        return HttpResponse("done")

    hold(work, new_client, keep_held=True)
    if how == "session":
        answer = client.post(url_of(article))
    else:
        answer = send_token(client, how, url_of(article), token)
    assert answer.status_code == (404 if raises else 200)
    assert article.is_locked()
    assert token_in_session(client, article) == token == token_of_row(article)


@pytest.mark.parametrize("method", ["get", "post", "head"])
def test_a_lock_is_left_alone_though_the_session_has_lost_its_token(
    hold, article, method
):
    """Two requests that save one session at the same time lose a token."""
    session = new_session()
    token = lock_for_session(article, session)["token"]
    forget(article, session)
    session.save()
    hold(here, keep_held=method != "head")
    assert getattr(with_session(session), method)(url_of(article)).status_code == 200
    assert token_of_row(article) == token


@pytest.mark.parametrize("had_a_void_token", [False, True])
def test_keep_held_releases_what_the_view_itself_has_locked(
    hold, client, article, had_a_void_token
):
    hold(here, keep_held=True)
    if had_a_void_token:  # that was nobody's lock: the new one is this view's
        client = editor_of(article)
        take_and_leave(article)
    assert client.get(url_of(article)).content == b"here"
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("lose", "locked_after"),
    [
        (lambda article, token: LockToken.objects.take_over(article), True),
        (lambda article, token: article.unlock(token), False),
        (lambda article, token: Article.objects.get(pk=article.pk).delete(), False),
    ],
    ids=["taken over", "released by the view", "object deleted"],
)
@pytest.mark.parametrize("raises", [False, True])
def test_it_ends_well_when_the_view_has_lost_the_lock(
    hold, article, lose, locked_after, raises, new_client
):
    def work(request, key):
        lose(article, request.lock_token["token"])
        if raises:
            raise Http404
        return HttpResponse("done")

    hold(work, new_client)
    client = new_client()
    assert client.get(url_of(article)).status_code == (404 if raises else 200)
    assert token_in_session(client, article) is None
    assert article.is_locked() is locked_after


@pytest.mark.django_db(transaction=True)
def test_it_renews_while_the_view_runs(hold, article, settings, new_client):
    settings.LOCK_TOKENS = {"TIMEOUT": 0.1}
    before = threads()

    def work(request, key):
        lock = LockToken.objects.get()
        wait_until(lambda: LockToken.objects.get().expires_at > lock.expires_at)
        return HttpResponse("done")

    hold(work, new_client)
    assert new_client().get(url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0
    wait_until(lambda: threads() <= before)


def test_it_starts_no_thread_under_atomic_requests(hold, atomic_requests, article):
    before = threads()

    def work(request, key):
        assert threads() == before
        assert article.is_locked()
        return HttpResponse("done")

    hold(work)
    assert Client().get(url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_raising_view_whose_transaction_is_undone_keeps_a_lock_from_before(
    hold, article, atomic_requests
):
    """Its release is undone too, so the session must not forget the token."""
    client = editor_of(article)

    def work(request, key):
        raise Http404

    hold(work)
    assert client.post(url_of(article)).status_code == 404
    assert article.is_locked()
    assert token_of_row(article) == token_in_session(client, article)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_it_keeps_others_out_while_the_view_runs(hold, article):
    running, ended = threading.Event(), threading.Event()

    def work(request, key):
        running.set()
        assert ended.wait(30)
        return HttpResponse("done")

    hold(work)
    clients = [with_session(new_session()) for _ in range(2)]

    def second():
        assert running.wait(30)
        try:
            return clients[1].get(url_of(article)).status_code
        finally:
            ended.set()

    statuses = race(lambda: clients[0].get(url_of(article)).status_code, second)
    assert statuses == [200, 403]
    assert clients[1].get(url_of(article)).status_code == 200
