"""Logging out releases the session's locks."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import alogout, logout
from django.contrib.auth.models import User
from django.db import OperationalError
from django.http import HttpRequest

from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.sessions import (
    get_session_key,
    get_session_token,
    lock_for_session,
    release_on_logout,
    release_session_locks,
    remember,
)
from tests.models import Article, Day
from tests.support.helpers import expire
from tests.support.objects import LOCKABLE
from tests.support.views import browser_of, edit, request_with, url_of

pytestmark = pytest.mark.django_db


def test_it_releases_the_session_s_locks_and_no_others(client, alice, serve):
    serve(edit)
    mine = [Article.objects.create() for _ in range(3)]
    other = Article.objects.create()
    same_user_elsewhere = browser_of(alice)
    assert same_user_elsewhere.get(url_of(other)).status_code == 200
    client.force_login(alice)
    for article in mine:
        assert client.get(url_of(article)).status_code == 200
    assert LockToken.objects.count() == 4
    assert client.post("/logout/").status_code == 302
    assert [article.is_locked() for article in mine] == [False] * 3
    assert LockToken.objects.count() == 1
    assert other.is_locked()
    assert same_user_elsewhere.get(url_of(other)).status_code == 200


@pytest.mark.parametrize("log_out", [logout, async_to_sync(alogout)])
@pytest.mark.parametrize("anonymous", [False, True])
def test_it_releases_locks_of_every_kind_of_key(
    client, session, alice, log_out, anonymous
):
    if not anonymous:
        client.force_login(alice)
        session = client.session
    objects = [make() for make in LOCKABLE.values()]
    for obj in [*objects, Day.objects.create(date="2024-02-29")]:
        lock_for_session(obj, session)
    expire(obj)
    assert LockToken.objects.count() == 6
    log_out(request_with(session, None if anonymous else alice))
    assert LockToken.objects.count() == 0


def test_it_leaves_what_another_has_taken_meanwhile(article, session):
    lock_for_session(article, session)
    expire(article)
    token = article.lock()["token"]
    logout(request_with(session))
    assert article.check_lock(token)
    assert article.is_locked()


@pytest.mark.django_db(databases=["default", "other"])
def test_it_goes_on_past_garbage(session):
    good = Article.objects.create()
    gone = Article.objects.create()
    lock_for_session(gone, session)
    lock_for_session(good, session)
    Article.objects.filter(pk=gone.pk)._raw_delete("default")
    session.update(
        {
            "lock_tokens:": "a",
            "lock_tokens:nonsense": "a",
            "lock_tokens:no.such.thing:5": "a",
            "lock_tokens:gone.model:5": "0" * 32,
            "lock_tokens:tests.nomodel:5": "0" * 32,
            "lock_tokens:tests.article:": "0" * 32,
            "lock_tokens:tests.article:five": "0" * 32,
            "lock_tokens:tests.page:5": "0" * 32,
            "lock_tokens:tests.translation:5": "0" * 32,
            f"lock_tokens:tests.label:{'x' * 300}": "0" * 32,
            "lock_tokens:tests.article:1000000": "not a token",
            "lock_tokens:tests.article:1000001": None,
            "lock_tokens:tests.article:1000002": 5,
            "lock_tokens:tests.article:1000003": ["0" * 32],
            "lock_tokens:tests.article:1000004": "0" * 32,
        }
    )
    session["the project's own"] = "kept"
    # Garbage before and behind what is good.
    token = session.pop(get_session_key(good))
    remember(good, session, token)
    session.update({"lock_tokens:nonsense again": "a"})
    release_session_locks(session)
    assert not good.is_locked()
    assert LockToken.objects.count() == 0
    # What is no token is not ours to delete.
    left = [value for key, value in session.items() if key.startswith("lock_tokens:")]
    assert left == ["a", "a", "a", "not a token", None, 5, ["0" * 32], "a"]
    assert session["the project's own"] == "kept"


def test_a_request_without_a_session_is_no_error(alice):
    release_on_logout(sender=User, request=HttpRequest(), user=alice)
    release_on_logout(sender=User, request=None, user=alice)


@pytest.mark.django_db(databases=["default", "other"])
def test_the_project_can_release_too(article, session):
    lock_for_session(article, session)
    release_session_locks(session)
    assert not article.is_locked()
    assert get_session_token(article, session) is None
    release_session_locks(session)
    # The session goes on.
    lock_for_session(article, session)
    assert article.is_locked()


def test_a_database_that_fails_does_not_keep_anybody_from_logging_out(
    session, monkeypatch, caplog
):
    first, second = Article.objects.create(), Article.objects.create()
    lock_for_session(first, session)
    lock_for_session(second, session)
    session["lock_tokens@gone:tests.article:5"] = "0" * 32
    release = LockTokenManager.release

    def failing(self, lock_key, token):
        if lock_key.object_key == str(first.pk):
            raise OperationalError("database is locked")
        return release(self, lock_key, token)

    monkeypatch.setattr(LockTokenManager, "release", failing)
    release_session_locks(session)
    assert first.is_locked()
    assert not second.is_locked()
    assert not [key for key in list(session.keys()) if ":" in key]
    assert caplog.text.count("Could not release the lock on ") == 2
