"""The JSON API against requests that another site forges."""

import logging
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token, rotate_token
from django.test import Client
from django.urls import path

from lock_tokens.models import LockToken
from tests.support import api
from tests.support.api import address, error_of, send

FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
CSRF_MIDDLEWARE = "django.middleware.csrf.CsrfViewMiddleware"


class OurCsrfMiddleware(CsrfViewMiddleware):
    pass


def other_middleware(get_response):
    return get_response


def wrapping_middleware(get_response):
    """Django's own, which nobody can tell by the class of this."""
    django_s = CsrfViewMiddleware(get_response)

    def middleware(request):
        return django_s(request)

    return middleware


def page(request):
    """As any page with a form."""
    return HttpResponse(get_token(request))


def sign_in_again(request):
    """As a sign-in in another tab does to the token of this one."""
    rotate_token(request)
    return HttpResponse()


urlpatterns = [*api.urlpatterns, path("page/", page), path("rotate/", sign_in_again)]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)


def token_of(answer):
    """Return the token of a refusal."""
    assert answer.status_code == 403
    body = answer.json()
    assert body.keys() == {"error", "detail", "csrf_token"}
    assert error_of(answer) == "csrf_failed"
    return body["csrf_token"]


def is_refused_without_a_token(answer):
    """Whether it is refused, with nothing in it that a browser would keep."""
    assert not answer.cookies
    return answer.status_code == 403 and answer.json() == {
        "error": "csrf_failed",
        "detail": "CSRF cookie not set.",
    }


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_a_request_without_a_token_changes_nothing(client, article, method):
    held = article.lock()
    url = address(article, None if method == "POST" else held["token"])
    assert is_refused_without_a_token(client.generic(method, url))
    client.get("/page/")
    assert token_of(client.generic(method, url))
    assert LockToken.objects.get().serialize() == held


def test_reading_needs_no_token(client, article):
    held = article.lock()
    for url in (address(article), address(article, held["token"])):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert client.generic(method, url).status_code == 200


@pytest.mark.parametrize(
    ("names", "header"),
    [
        ({}, "X-CSRFToken"),
        ({"CSRF_USE_SESSIONS": True}, "X-CSRFToken"),
        ({"CSRF_COOKIE_HTTPONLY": True}, "X-CSRFToken"),
        ({"CSRF_COOKIE_NAME": "another"}, "X-CSRFToken"),
        ({"CSRF_HEADER_NAME": "HTTP_X_OUR_TOKEN"}, "X-Our-Token"),
        ({"CSRF_COOKIE_NAME": "a", "CSRF_HEADER_NAME": "HTTP_B"}, "B"),
    ],
)
def test_the_token_of_a_refusal_is_good_for_the_next_try(
    client, settings, article, names, header
):
    for name, value in names.items():
        setattr(settings, name, value)
    client.get("/page/")
    token = token_of(send(client, "POST", address(article)))
    answer = send(client, "POST", address(article), **{header: token})
    assert answer.status_code == 201
    url = address(article, answer.json()["token"])
    assert send(client, "PATCH", url, **{header: token}).status_code == 200
    assert send(client, "DELETE", url, **{header: token}).status_code == 204


def test_the_cookie_s_own_value_is_good_too(client, article):
    client.get("/page/")
    token = client.cookies["csrftoken"].value
    assert send(client, "POST", address(article), X_CSRFToken=token).status_code == 201


def test_an_outdated_token_gets_a_good_one(client, article):
    token = client.get("/page/").content.decode()
    client.get("/rotate/")
    again = token_of(send(client, "POST", address(article), X_CSRFToken=token))
    assert send(client, "POST", address(article), X_CSRFToken=again).status_code == 201


@pytest.mark.parametrize("token", ["", "x", "y" * 32, "z" * 64, "é" * 32, "another's"])
def test_a_wrong_token_is_none(client, article, token):
    client.get("/page/")
    if token == "another's":
        token = Client().get("/page/").content.decode()
    assert token_of(send(client, "POST", address(article), X_CSRFToken=token))
    assert not LockToken.objects.exists()


def test_another_site_is_refused_whatever_it_brings(client, article):
    token = client.get("/page/").content.decode()
    ours = "http://testserver"
    for origin in ("https://elsewhere.example", "null", f"{ours}.elsewhere.example"):
        sent = {"X_CSRFToken": token, "Origin": origin}
        answer = send(client, "POST", address(article), **sent)
        assert error_of(answer) == "csrf_failed"
        assert origin in answer.json()["detail"]
    sent["Origin"] = ours
    assert send(client, "POST", address(article), **sent).status_code == 201


@pytest.mark.parametrize("multipart", [True, False])
def test_a_form_may_bring_the_token_as_its_field(client, article, multipart):
    fields = {"csrfmiddlewaretoken": client.get("/page/").content.decode()}
    form = [fields] if multipart else [urlencode(fields), FORMS[0]]
    assert client.post(address(article), *form).status_code == 201


# A browser keeps its cookies back from another site's request (SameSite)


@pytest.mark.parametrize("content_type", FORMS)
@pytest.mark.parametrize(
    "names", [{}, {"CSRF_USE_SESSIONS": True}, {"CSRF_COOKIE_HTTPONLY": True}]
)
def test_a_form_of_another_site_gets_no_cookie_and_makes_no_session(
    client, settings, article, names, content_type
):
    """They would take the place of those of a visitor who is signed in."""
    for name, value in names.items():
        setattr(settings, name, value)
    answer = client.generic(
        "POST",
        address(article),
        content_type=content_type,
        headers={"Origin": "https://elsewhere.example"},
    )
    assert not answer.cookies
    assert answer.json().keys() == {"error", "detail"}
    assert error_of(answer) == "csrf_failed"
    assert not Session.objects.exists()
    assert not LockToken.objects.exists()


def test_a_session_without_a_secret_gets_none(client, settings, article, alice):
    settings.CSRF_USE_SESSIONS = True
    client.force_login(alice)
    before = Session.objects.get().session_data
    answer = client.post(address(article))
    assert (answer.status_code, error_of(answer)) == (403, "csrf_failed")
    assert "csrf_token" not in answer.json()
    assert not answer.cookies
    assert Session.objects.get().session_data == before


def test_the_secret_of_a_session_stays_the_one_that_it_is(client, settings, article):
    settings.CSRF_USE_SESSIONS = True
    token = client.get("/page/").content.decode()
    answer = client.post(address(article))
    assert token_of(answer)
    assert not answer.cookies
    assert send(client, "POST", address(article), X_CSRFToken=token).status_code == 201


@pytest.mark.parametrize("cookie", ["x", "!" * 32, "x" * 33])
def test_a_cookie_that_is_no_secret_is_replaced(client, article, cookie):
    client.cookies["csrftoken"] = cookie
    token = token_of(client.post(address(article)))
    assert client.cookies["csrftoken"].value != cookie
    assert send(client, "POST", address(article), X_CSRFToken=token).status_code == 201


def test_a_refusal_is_logged_without_the_address(client, article, caplog):
    held = article.lock()
    url = address(article, held["token"])
    with caplog.at_level(logging.DEBUG):
        is_refused_without_a_token(client.patch(url))
        client.get("/page/")
        reason = client.delete(url).json()["detail"]
    records = [each for each in caplog.records if each.name.startswith("django.s")]
    assert [each.name for each in records] == ["django.security.csrf"] * 2
    assert [each.levelno for each in records] == [logging.WARNING] * 2
    assert "CSRF cookie not set." in records[0].getMessage()
    assert reason in records[1].getMessage()
    assert not [each for each in caplog.records if "/locks/" in each.getMessage()]


# Which middleware there is


def test_api_csrf_exempt_does_without_the_check(client, settings, article):
    settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": True}
    answer = client.post(address(article))
    assert answer.status_code == 201
    assert client.delete(address(article, answer.json()["token"])).status_code == 204


def without_csrf(settings, *more):
    return [name for name in settings.MIDDLEWARE if name != CSRF_MIDDLEWARE] + [*more]


@pytest.mark.parametrize("exempt", [True, False])
def test_a_project_without_the_middleware_is_checked_too(
    client, settings, article, exempt
):
    settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": exempt}
    for middleware in ([], without_csrf(settings, f"{__name__}.other_middleware")):
        settings.MIDDLEWARE = middleware
        assert client.get(address(article)).status_code == 200
        LockToken.objects.all().delete()
        answer = client.post(address(article))
        if exempt:
            assert answer.status_code == 201
        else:
            assert is_refused_without_a_token(answer)


@pytest.mark.parametrize("use_sessions", [True, False])
def test_without_the_middleware_the_cookie_s_own_value_is_good(
    client, settings, article, use_sessions
):
    """As of a page whose view has ``csrf_protect``."""
    settings.CSRF_USE_SESSIONS = use_sessions
    token = client.get("/page/").content.decode()
    settings.MIDDLEWARE = without_csrf(settings)
    answer = client.post(address(article))
    assert (answer.status_code, error_of(answer)) == (403, "csrf_failed")
    assert send(client, "POST", address(article), X_CSRFToken=token).status_code == 201


@pytest.mark.parametrize("name", ["OurCsrfMiddleware", "wrapping_middleware"])
def test_a_middleware_made_from_django_s_is_one(client, settings, article, name):
    settings.MIDDLEWARE = without_csrf(settings, f"{__name__}.{name}")
    assert is_refused_without_a_token(client.post(address(article)))
    client.get("/page/")
    token = token_of(client.post(address(article)))
    assert send(client, "POST", address(article), X_CSRFToken=token).status_code == 201


class LenientMiddleware(CsrfViewMiddleware):
    """As of a project whose programs bring something else than a cookie."""

    def process_view(self, request, callback, *args):
        if "Authorization" in request.headers:
            return None
        return super().process_view(request, callback, *args)


def test_the_project_s_own_middleware_decides(client, settings, article):
    settings.MIDDLEWARE = without_csrf(settings, f"{__name__}.LenientMiddleware")
    assert is_refused_without_a_token(client.post(address(article)))
    answer = send(client, "POST", address(article), Authorization="Bearer x")
    assert answer.status_code == 201


def failure_page(request, reason=""):
    raise AssertionError("that is for people")


def test_the_project_s_failure_page_is_left_alone(client, settings, article):
    """It may tell the visitor, on the next page, of what no visitor has done."""
    settings.CSRF_FAILURE_VIEW = f"{__name__}.failure_page"
    assert is_refused_without_a_token(client.post(address(article)))


def test_the_check_comes_before_everything_else(client, settings):
    """Nothing can be found out about objects by forging requests."""
    settings.LOCK_TOKENS = {"API_PERMISSION": "lock_tokens.permissions.is_staff"}
    answer = client.post("/locks/no/such/thing/")
    assert error_of(answer) == "csrf_failed"
