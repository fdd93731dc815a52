"""A session keeps few tokens: one that is a cookie stays small enough for a browser."""

import pytest
from django.contrib.sessions.backends.signed_cookies import (
    SessionStore as SignedCookies,
)
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from lock_tokens.models import LockToken
from lock_tokens.sessions import (
    MAX_TOKENS,
    get_session_key,
    get_session_token,
    lock_for_session,
    remember,
)
from tests.models import Article, Page
from tests.support.helpers import expire, new_session
from tests.support.objects import title_of
from tests.support.views import edit, save, take_and_leave, url_of

pytestmark = pytest.mark.django_db

# What browsers keep of a cookie, with its name and attributes.
MAX_COOKIE = 4096


def tokens_in(session):
    return [name for name in session.keys() if name.startswith("lock_tokens:")]  # noqa: SIM118


@pytest.fixture
def full(session):
    """Articles whose tokens fill the session, the oldest first."""
    articles = [Article.objects.create(title="First") for _ in range(MAX_TOKENS)]
    for article in articles:
        lock_for_session(article, session)
    assert len(tokens_in(session)) == MAX_TOKENS
    return articles


def test_a_cookie_stays_small_after_many_pages_with_long_keys():
    session = SignedCookies()
    for number in range(70):
        obj = Page.objects.create()
        token = lock_for_session(obj, session)["token"]
        if number % 2:
            obj.unlock(token)  # as a page that is left does, by the API
    session.save()
    assert len(f"sessionid={session.session_key}; Path=/; HttpOnly") < MAX_COOKIE
    again = SignedCookies(session.session_key)
    assert get_session_token(obj, again) == token


def test_a_form_without_the_hidden_field_saves_after_many_pages(
    settings, serve, client, article
):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    session = client.session
    for _ in range(130):
        lock_for_session(Article.objects.create(), session)
    session.save()
    client.cookies["sessionid"] = session.session_key
    serve(edit)
    assert client.get(url_of(article)).status_code == 200
    assert len(client.cookies["sessionid"].OutputString()) < MAX_COOKIE
    serve(save)
    assert client.post(url_of(article), {"title": "Second"}).status_code == 200
    assert title_of(article) == "Second"


@pytest.mark.parametrize("end", [take_and_leave, expire])
def test_void_tokens_and_those_of_expired_locks_are_dropped_first(session, full, end):
    for article in (full[7], full[20]):
        end(article)
    lock_for_session(Article.objects.create(), session)
    assert get_session_token(full[7], session) is None
    assert get_session_token(full[20], session) is not None
    lock_for_session(Article.objects.create(), session)
    assert get_session_token(full[20], session) is None
    assert len(tokens_in(session)) == MAX_TOKENS


def test_then_the_oldest_and_its_lock_stays(serve, session, full):
    token = get_session_token(full[0], session)
    lock_for_session(Article.objects.create(), session)
    assert get_session_token(full[0], session) is None
    assert all(get_session_token(article, session) for article in full[1:])
    # The page has its own token, and the session recognises the lock as its own.
    assert full[0].check_lock(token)
    assert lock_for_session(full[0], session)["token"] == token


def test_what_is_no_lock_any_more_is_dropped_before_all_others(session, full):
    last = full[-1]
    session[f"lock_tokens:no.model:{last.pk}"] = "0" * 32
    session[f"lock_tokens@nowhere:tests.article:{last.pk}"] = "0" * 32
    session["lock_tokens:tests.article:five"] = "0" * 32
    session["lock_tokens_of_the_project"] = "kept"
    for article in full:
        assert lock_for_session(article, session)["token"]  # drops nothing
    lock_for_session(Article.objects.create(), session)
    assert all(get_session_token(article, session) for article in full[1:])
    assert len(tokens_in(session)) == MAX_TOKENS
    assert session["lock_tokens_of_the_project"] == "kept"


def test_values_of_the_project_under_names_like_ours_stay(session, full):
    own = {
        "lock_tokens:panel": "open",
        "lock_tokens:": {"a": 1},
        "lock_tokens:tests.page:garbage": ["0"],
        f"lock_tokens:tests.article:{full[-1].pk + 1000}": 5,
    }
    session.update(own)
    lock_for_session(Article.objects.create(), session)
    assert {name: session.get(name) for name in own} == own
    assert get_session_token(full[0], session) is None
    assert all(get_session_token(article, session) for article in full[1:])


@pytest.mark.django_db(databases=["default", "other"])
def test_tokens_of_another_database_count_and_are_asked_for_there(session, full):
    there = Article.objects.using("other").create()
    locks = LockToken.objects.db_manager("other")
    remember(there, session, locks.acquire(there).token_str)
    assert get_session_token(full[0], session) is None
    locks.take_over(there)
    lock_for_session(Article.objects.create(), session)
    assert get_session_key(there) not in session


def test_another_database_that_is_down_does_not_stop_a_lock(monkeypatch, session, full):
    def fail(*args):
        raise OperationalError("gone away")

    monkeypatch.setattr(type(LockToken.objects), "current_tokens", fail)
    lock_for_session(Article.objects.create(), session)
    assert get_session_token(full[0], session) is None
    assert len(tokens_in(session)) == MAX_TOKENS


def test_a_full_session_costs_one_query_more(session, full):
    empty = new_session()
    lock_for_session(Article.objects.create(), empty)
    one, two = Article.objects.create(), Article.objects.create()
    with CaptureQueriesContext(connection) as with_room:
        lock_for_session(one, empty)
    with CaptureQueriesContext(connection) as with_none:
        lock_for_session(two, session)
    assert len(with_none) == len(with_room) + 1


def test_a_void_token_is_still_refused_while_there_is_room(serve, client):
    serve(edit)
    articles = [Article.objects.create() for _ in range(3)]
    for article in articles:
        client.get(url_of(article))
        take_and_leave(article)
    for article in articles:
        assert client.post(url_of(article)).status_code == 403
