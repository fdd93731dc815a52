"""``locks_object``: a view that shows an object to edit, and leaves it locked."""

from functools import partial

import pytest
from django.http import HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

from lock_tokens.decorators import locks_object
from lock_tokens.models import LockToken
from lock_tokens.sessions import remember
from tests.support.helpers import expire, new_session, race
from tests.support.objects import title_of
from tests.support.views import (
    LOCKING,
    edit,
    editing,
    save,
    save_and_leave,
    send_token,
    take_and_leave,
    token_in_session,
    token_of_row,
    url_of,
    with_session,
)

pytestmark = pytest.mark.django_db


def show_token(request, key):
    return JsonResponse(request.lock_token)


def test_it_locks_and_leaves_it_locked(decorate, article, new_client):
    decorate(locks_object, show_token, new_client)
    client = new_client()
    answer = client.get(url_of(article))
    assert answer.status_code == 200
    given = answer.json()
    lock = LockToken.objects.get_for_object(article)
    assert given["token"] == lock.token_str == token_in_session(client, article)
    assert given["expires_at"] == lock.expires_at.isoformat()
    assert article.is_locked()
    # It is renewed for every request of the session, and for no other.
    expire(article)
    assert client.post(url_of(article)).json()["token"] == given["token"]
    assert article.is_locked()
    assert client.get(url_of(article)).json()["token"] == given["token"]
    assert new_client().get(url_of(article)).status_code == 403
    assert client.get("/five/").status_code == 404


def test_it_records_who_is_logged_in(serve, client, article, alice):
    client.force_login(alice)
    serve(edit)
    client.get(url_of(article))
    assert article.lock_info().locked_by == alice


def test_it_leaves_a_json_body_to_the_view(decorate, article):
    client, token = editing(article)
    decorate(locks_object, lambda request, key: HttpResponse(request.body))
    headers = {"Lock-Token": token}
    answer = client.post(
        url_of(article), '{"a": 1}', "application/json", headers=headers
    )
    assert answer.content == b'{"a": 1}'


def test_it_works_under_atomic_requests(serve, atomic_requests, client, article):
    serve(edit)
    for method in (client.get, client.post):
        assert method(url_of(article)).status_code == 200
        assert article.is_locked()
    assert Client().get(url_of(article)).status_code == 403


# A void token in the session


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_void_token_is_refused_where_it_may_be_saved_and_replaced_where_it_is_shown(
    serve, article, method, new_client
):
    client, void = editing(article, new_client)
    serve(edit)
    take_and_leave(article)
    for _ in range(2):
        assert getattr(client, method)(url_of(article)).status_code == 403
        assert token_in_session(client, article) == void
    assert LockToken.objects.count() == 0
    # Looking at it again heals.
    assert client.get(url_of(article)).status_code == 200
    assert token_in_session(client, article) != void
    assert token_of_row(article) == token_in_session(client, article)
    assert getattr(client, method)(url_of(article)).status_code == 200


def test_a_look_that_was_refused_does_not_make_a_void_token_none(serve, article):
    client, _ = editing(article)
    serve(edit)
    expire(article)
    other = article.lock()["token"]
    assert client.get(url_of(article)).status_code == 403
    article.unlock(other)
    assert client.post(url_of(article)).status_code == 403


@pytest.mark.parametrize("decorator", LOCKING)
@pytest.mark.parametrize("is_void", [False, True])
def test_force_new_replaces_a_void_token_alone_and_gets_past_nobody(
    decorate, article, decorator, is_void
):
    client, token = editing(article)
    decorate(decorator, show_token, force_new=True)
    assert Client().post(url_of(article)).status_code == 403
    # The page's own void token is no session's to replace.
    void = {"lock_token": "0" * 32}
    assert client.post(url_of(article), void).status_code == 403
    take_and_leave(article) if is_void else expire(article)
    assert (client.post(url_of(article)).json()["token"] != token) is is_void


# The page's own token


def test_the_page_s_own_token_comes_before_the_session_s(serve, article, how):
    client, token = editing(article)
    serve(edit)
    assert send_token(client, how, url_of(article), token).json()["token"] == token
    assert send_token(client, how, url_of(article), "0" * 32).status_code == 403
    assert token_in_session(client, article) == token
    # Another's session, with the token of this page.
    stranger = Client()
    assert stranger.post(url_of(article)).status_code == 403
    assert send_token(stranger, how, url_of(article), "0" * 32).status_code == 403
    assert token_in_session(stranger, article) is None
    assert send_token(stranger, how, url_of(article), token).json()["token"] == token


@pytest.mark.parametrize("field_is_void", [True, False])
def test_the_form_field_comes_before_the_header(serve, article, field_is_void):
    client, token = editing(article)
    serve(edit)
    field, header = ("0" * 32, token) if field_is_void else (token, "0" * 32)
    headers = {"Lock-Token": header}
    answer = client.post(url_of(article), {"lock_token": field}, headers=headers)
    assert answer.status_code == (403 if field_is_void else 200)


@pytest.mark.parametrize(
    "garbage",
    ["", "x", " ", "0" * 31, "0" * 33, "\0" * 32, "é" * 32, "x" * 10_000],
    ids=ascii,
)
@pytest.mark.parametrize("view", [edit, save])
def test_garbage_in_the_form_is_a_void_token(serve, article, view, garbage):
    client, token = editing(article)
    serve(view)
    answer = client.post(url_of(article), {"lock_token": garbage})
    assert answer.status_code == 403
    assert title_of(article) == "First"
    assert article.check_lock(token)
    assert client.post(url_of(article)).status_code == 200


def test_a_page_s_token_that_holds_is_the_session_s_from_then_on(
    serve, article, how, session
):
    token = article.lock()["token"]
    remember(article, session, "0" * 32)
    session.save()
    client = with_session(session)
    serve(edit)
    assert client.post(url_of(article)).status_code == 403
    assert send_token(client, how, url_of(article), token).status_code == 200
    assert token_in_session(client, article) == token
    assert client.post(url_of(article)).status_code == 200


def test_a_page_s_token_works_without_any_session(serve, client, article, settings):
    settings.MIDDLEWARE = []
    token = article.lock()["token"]
    serve(edit)
    answer = client.post(url_of(article), {"lock_token": token})
    assert answer.json()["token"] == token


def test_the_stale_first_tab_is_refused(serve, client, article, settings):
    """A lock expires, another edits and leaves, a second tab acquires anew."""
    settings.ROOT_URLCONF = (
        path("edit/<key>/", edit),
        path("save/<key>/", save_and_leave),
    )
    first_tab = client.get(f"/edit/{article.pk}/").json()["token"]
    expire(article)
    bob = Client()
    bobs_tab = bob.get(f"/edit/{article.pk}/").json()["token"]
    bobs = {"lock_token": bobs_tab, "title": "Bob's"}
    assert bob.post(f"/save/{article.pk}/", bobs).status_code == 302
    second_tab = client.get(f"/edit/{article.pk}/").json()["token"]
    assert second_tab != first_tab
    mine = {"lock_token": first_tab, "title": "Mine"}
    assert client.post(f"/save/{article.pk}/", mine).status_code == 403
    assert client.post(f"/edit/{article.pk}/", mine).status_code == 403
    assert title_of(article) == "Bob's"
    # The second tab shows Bob's work, and may save.
    mine["lock_token"] = second_tab
    assert client.post(f"/save/{article.pk}/", mine).status_code == 302
    assert title_of(article) == "Mine"


# Side by side


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_sessions_that_ask_together_have_one_winner(serve, article):
    serve(edit)
    clients = [with_session(new_session()) for _ in range(6)]
    answers = race(*[partial(client.get, url_of(article)) for client in clients])
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 5


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_ask_together_both_get_in(serve, article, session):
    serve(edit)
    tabs = [with_session(session) for _ in range(6)]
    answers = race(*[partial(tab.get, url_of(article)) for tab in tabs])
    assert len({answer.json()["token"] for answer in answers}) == 1
