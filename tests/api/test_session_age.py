"""An open page renews its lock, and not the session of whoever has left it open."""

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.file import SessionStore as Files
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from lock_tokens.api.requests import leave_session_alone
from tests.support.api import address, states_of

pytestmark = pytest.mark.django_db

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]


def page(request):
    return HttpResponse(request.user.get_username())


urlpatterns = [path("page/", page), path("locks/", include("lock_tokens.urls"))]


@pytest.fixture
def site(settings):
    settings.ROOT_URLCONF = __name__
    settings.SESSION_SAVE_EVERY_REQUEST = True
    settings.SESSION_COOKIE_AGE = 1000


@pytest.fixture(params=ENGINES)
def engine(request, settings, site, tmp_path, monkeypatch):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    # The class keeps the path of the first test that has files.
    monkeypatch.setattr(Files, "_storage_path", str(tmp_path), raising=False)
    cache.clear()
    return request.param


def age_of(engine, client, folder):
    """Return what tells when the session was last saved."""
    if engine in ("db", "cached_db"):
        return Session.objects.get().expire_date
    if engine == "file":
        (file,) = folder.iterdir()
        return file.stat().st_mtime_ns
    if engine == "cache":
        (expires,) = cache._expire_info.values()
        return expires
    return client.cookies["sessionid"].value


def calls(client, article):
    """Make all the calls of a page that is open, and return the answers."""
    lock = client.post(address(article))
    url = address(article, lock.json()["token"])
    return [
        lock,
        client.get(address(article)),
        client.get(states_of(type(article), article.pk)),
        client.get(url),
        client.patch(url),
        client.patch(address(article, "0" * 32)),
        client.delete(url),
    ]


def test_a_page_that_is_left_open_does_not_prolong_the_session(
    engine, client, article, alice, tmp_path
):
    client.force_login(alice)
    before = age_of(engine, client, tmp_path)
    for answer in calls(client, article):
        assert answer.status_code in (200, 201, 204, 403)
        assert not answer.cookies
    assert age_of(engine, client, tmp_path) == before
    # Somebody who opens a page does.
    answer = client.get("/page/")
    assert answer.content == b"alice"
    assert answer.cookies["sessionid"]["max-age"] == 1000
    if engine != "signed_cookies":  # whose clock knows only whole seconds
        assert age_of(engine, client, tmp_path) != before


def test_the_session_ends_while_the_page_renews(site, client, article, alice):
    client.force_login(alice)
    url = address(article, client.post(address(article)).json()["token"])
    for _ in range(3):
        Session.objects.update(expire_date=F("expire_date") - timedelta(seconds=400))
        assert client.patch(url).status_code == 200  # which needs no session
    assert client.get("/page/").content == b""


def test_a_session_may_be_left_alone_twice(site, client):
    request = HttpRequest()
    request.session = client.session
    request.session["visits"] = 1
    for _ in range(2):
        leave_session_alone(request)
    assert request.session["visits"] == 1
    assert not request.session.is_empty()


def test_the_cookie_of_a_login_meanwhile_is_not_replaced(
    settings, site, client, article, alice
):
    """The answer to a renewal may come after that to a login in another tab."""
    client.get("/page/")
    session = client.session
    session["visits"] = 1
    session.save()
    client.cookies["sessionid"] = session.session_key

    def login(request, model, obj):
        client.force_login(alice)
        return True

    settings.LOCK_TOKENS = {"API_PERMISSION": login}
    answer = client.get(address(article))
    assert answer.status_code == 200
    assert not answer.cookies
    assert client.get("/page/").content == b"alice"


def test_what_changes_in_the_session_is_saved(settings, site, client, article, alice):
    client.force_login(alice)

    def count(request, model, obj):
        request.session["calls"] = request.session.get("calls", 0) + 1
        return True

    settings.LOCK_TOKENS = {"API_PERMISSION": count}
    for calls_so_far in (1, 2):
        answer = client.get(address(article))
        assert answer.cookies["sessionid"]["max-age"] == 1000
        assert client.session["calls"] == calls_so_far


class Empties:
    """A middleware of the project's own, between the session's and the API."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        answer = self.get_response(request)
        request.session.flush()
        return answer


def test_what_empties_the_session_still_ends_it(settings, site, client, article, alice):
    client.force_login(alice)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Empties"]
    answer = client.get(address(article))
    assert answer.cookies["sessionid"].value == ""
    assert not Session.objects.exists()


@pytest.mark.parametrize("every", [True, False])
def test_without_a_session_nothing_is_different(settings, site, article, every):
    settings.SESSION_SAVE_EVERY_REQUEST = every
    assert Client().get(address(article)).status_code == 200
    settings.MIDDLEWARE = []
    assert Client().get(address(article)).status_code == 200


def test_the_route_of_rest_framework_does_not_prolong_it_either(
    door, settings, site, alice
):
    settings.ROOT_URLCONF = type(door).urls
    door.client.force_login(alice)
    Session.objects.update(expire_date=F("expire_date") - timedelta(seconds=100))
    before = Session.objects.get().expire_date
    lock = door.acquire()
    token = lock.json()["token"]
    for answer in (lock, door.state(), door.renew(token), door.release(token)):
        assert not answer.cookies
    assert Session.objects.get().expire_date == before
