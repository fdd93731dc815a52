"""Requests side by side, logins and changing keys: a session's lock stays its own."""

from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import alogin, login
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.signed_cookies import (
    SessionStore as SignedCookies,
)
from django.http import HttpRequest, HttpResponse
from django.test import Client

from lock_tokens.decorators import locks_object
from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.models import LockToken
from lock_tokens.sessions import (
    check_for_session,
    forget,
    get_session_token,
    lock_for_session,
    unlock_for_session,
)
from tests.models import Article
from tests.support.helpers import new_session, of_url, race, same_session
from tests.support.views import edit, request_with, take_and_leave, url_of

pytestmark = pytest.mark.django_db


# Side by side


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("void", [False, True])
def test_requests_that_come_in_together_share_the_lock(article, session, void):
    if void:
        old = lock_for_session(article, session)["token"]
        take_and_leave(article)
        session.save()

    def request():
        copy = same_session(session)
        token = lock_for_session(article, copy, force_new=void)["token"]
        copy.save()
        return token

    tokens = race(*[request] * 8)
    assert len(set(tokens)) == 1
    assert not (void and tokens[0] == old)
    assert LockToken.objects.count() == 1
    # Whichever saved last: the session has the token, renews and unlocks.
    later = same_session(session)
    assert lock_for_session(article, later)["token"] == tokens[0]
    unlock_for_session(article, later)
    assert LockToken.objects.count() == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_sessions_that_come_in_together_have_one_winner(article):
    def request(session):
        try:
            return lock_for_session(article, session)["token"]
        except AlreadyLockedError:
            return None

    tokens = race(*[partial(request, new_session()) for _ in range(8)])
    assert len([token for token in tokens if token]) == 1


@pytest.mark.parametrize(
    ("new", "known_before"),
    [(new_session, False), (new_session, True), (SignedCookies, True)],
)
def test_a_request_that_overwrites_the_session_does_not_lock_its_owner_out(
    article, new, known_before
):
    session = new()
    if known_before:
        lock_for_session(Article.objects.create(), session)
        session.save()
    slow, quick = same_session(session), same_session(session)
    slow["cart"] = 1
    token = lock_for_session(article, quick)["token"]
    quick.save()
    slow.save()
    # The browser keeps the cookie that came last.
    after = same_session(slow)
    assert get_session_token(article, after) is None
    assert lock_for_session(article, after)["token"] == token
    after.save()
    assert check_for_session(article, same_session(after))
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, new())


def test_an_overwriting_request_that_brings_back_a_released_token_is_healed(
    article, session
):
    token = lock_for_session(article, session)["token"]
    session.save()
    slow = same_session(session)
    slow["cart"] = 1
    quick = same_session(session)
    unlock_for_session(article, quick)
    quick.save()
    slow.save()
    after = same_session(session)
    with pytest.raises(InvalidToken):
        lock_for_session(article, after)
    healed = lock_for_session(article, after, force_new=True)["token"]
    assert healed != token
    assert article.check_lock(healed)


# The owner's secret


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
def test_logging_in_keeps_the_lock_s_owner(
    article, alice, settings, client, engine, tmp_path
):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    session = client.session
    token = lock_for_session(article, session)["token"]
    session.save()
    client.force_login(alice)
    after = client.session
    assert after.session_key != session.session_key
    assert lock_for_session(article, after)["token"] == token
    # Even when a request beside the login made the session forget the token.
    forget(article, after)
    assert lock_for_session(article, after)["token"] == token


@pytest.mark.parametrize("log_in", [login, async_to_sync(alogin)])
def test_logging_in_changes_the_owner_s_secret(article, alice, session, log_in):
    """Who knew the session before the login does not know what is locked after it."""
    mine = Article.objects.create()
    lock_for_session(mine, session)
    session.save()
    planted = {**session}
    log_in(request_with(session), alice)
    token = lock_for_session(article, session)["token"]
    attacker = new_session()
    attacker.update(planted)
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, attacker)
    # Twice is once more.
    before = session["lock_tokens_owner"]
    log_in(request_with(session), alice)
    assert session["lock_tokens_owner"] != before
    forget(article, session)
    assert lock_for_session(article, session)["token"] == token
    assert lock_for_session(mine, session)["token"] == get_session_token(mine, session)


def test_pages_that_were_opened_before_the_login_are_not_locked_out(
    serve, client, article, alice
):
    serve(edit)
    other = Article.objects.create()
    token = client.get(url_of(article)).json()["token"]
    forgotten = client.get(url_of(other)).json()["token"]
    client.force_login(alice)
    # The page saves with its own token, and with that of the session.
    for data in ({"lock_token": token}, {}):
        assert client.post(url_of(article), data).json()["token"] == token
    # A request beside the login has made the session forget the token.
    session = client.session
    forget(other, session)
    session.save()
    assert client.get(url_of(other)).json()["token"] == forgotten
    assert Client().get(url_of(other)).status_code == 403


def test_the_former_secret_opens_no_other_s_lock(article, alice, session):
    lock_for_session(Article.objects.create(), session)
    login(request_with(session), alice)
    article.lock()
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, session)
    session["lock_tokens_former_owner"] = ["garbage"]
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, session)


def test_a_login_of_somebody_who_never_locked_leaves_the_session_alone(session, alice):
    login(request_with(session), alice)
    assert "lock_tokens" not in str(dict(session.items()))


def test_a_login_without_a_session_is_no_concern(alice):
    user_logged_in.send(sender=type(alice), request=None, user=alice)
    user_logged_in.send(sender=type(alice), request=HttpRequest(), user=alice)


class SessionBaseWithoutStore(SessionBase):
    """The session of a first request, as a store of the project's own has it."""

    def load(self):
        return {}


def test_a_session_without_a_key_yet_can_lock_and_recovers(article):
    session = SessionBaseWithoutStore()
    assert session.session_key is None
    token = lock_for_session(article, session)["token"]
    assert lock_for_session(article, session)["token"] == token
    forget(article, session)
    assert lock_for_session(article, session)["token"] == token
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, SessionBaseWithoutStore())


def test_a_new_session_of_the_database_can_lock(article):
    session = type(new_session())()
    assert session.session_key is None
    token = lock_for_session(article, session)["token"]
    session.save()
    assert session.session_key
    again = same_session(session)
    assert lock_for_session(article, again)["token"] == token
    forget(article, again)
    assert lock_for_session(article, again)["token"] == token


def test_garbage_instead_of_the_owner_s_secret_is_replaced(article, session):
    session["lock_tokens_owner"] = ["garbage"]
    token = lock_for_session(article, session)["token"]
    forget(article, session)
    assert lock_for_session(article, session)["token"] == token


def test_rotating_the_secret_key_locks_nobody_out(article, session, settings):
    token = lock_for_session(article, session)["token"]
    forget(article, session)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert lock_for_session(article, session)["token"] == token


def test_a_session_key_that_the_store_does_not_know_proves_nothing(article, session):
    token = lock_for_session(article, session)["token"]
    key = session.session_key
    session.save()
    session.delete()
    stranger = type(session)(key)
    assert stranger.get("anything") is None
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, stranger)
    assert article.check_lock(token)


def test_the_owner_s_secret_of_one_session_opens_no_other_s_lock(article, session):
    lock_for_session(article, session)
    stranger = new_session()
    lock_for_session(Article.objects.create(), stranger)
    assert stranger["lock_tokens_owner"] != session["lock_tokens_owner"]
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, stranger)


# Signed cookies: the session's key changes whenever it is saved


def test_signed_cookies_keep_the_lock_from_request_to_request(
    article, settings, serve, client
):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    tokens = []

    @locks_object(Article, of_url)
    def view(request, key):
        tokens.append(request.lock_token["token"])
        request.session["visits"] = request.session.get("visits", 0) + 1
        return HttpResponse()

    serve(view)
    cookies = set()
    for _ in range(3):
        assert client.get(url_of(article)).status_code == 200
        cookies.add(client.cookies["sessionid"].value)
    assert len(cookies) == 3
    assert len(tokens) == 3
    assert len(set(tokens)) == 1
    assert Client().get(url_of(article)).status_code == 403
    assert client.post("/logout/").status_code == 302
    assert LockToken.objects.count() == 0


def test_signed_cookies_share_the_lock_between_requests_side_by_side(article):
    session = SignedCookies()
    session["visits"] = 1
    session.save()
    one, two = same_session(session), same_session(session)
    token = lock_for_session(article, one)["token"]
    assert lock_for_session(article, two)["token"] == token
    for session in (one, two):
        session.save()
        assert lock_for_session(article, same_session(session))["token"] == token
