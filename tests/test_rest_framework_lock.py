"""The route to an object's lock on a viewset: as our own API, under the view's rules."""

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from django.contrib.auth.models import Permission
from django.db import DatabaseError
from django.test import Client
from django.urls import path, reverse
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.filters import BaseFilterBackend
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.throttling import SimpleRateThrottle

from lock_tokens.models import LockToken
from tests import api, drf_site
from tests.drf_site import ArticleViewSet, api_client, with_token
from tests.helpers import expire, lock_row
from tests.models import Article, Story

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

VOID = "0" * 32
KEY = "5b1f3a0e-8c59-4f0e-9d6c-2f7a4f0b3c11"
LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT"


def view_of(**attributes):
    made = type("Made", (ArticleViewSet,), attributes)
    return made.as_view(
        {
            "get": "lock",
            "post": "acquire_lock",
            "patch": "renew_lock",
            "delete": "release_lock",
        }
    )


class PlainText(BaseRenderer):
    media_type = "text/plain"
    format = "txt"

    def render(self, data, *args, **kwargs):
        return repr(data)


class OneRequest(SimpleRateThrottle):
    rate = "1/day"
    scope = "one"

    def get_cache_key(self, request, view):
        return "one"


class HideAll(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.none()


urlpatterns = [
    *api.urlpatterns,
    *drf_site.urlpatterns,
    path(
        "basic/<int:pk>/",
        view_of(
            authentication_classes=[BasicAuthentication],
            permission_classes=[IsAuthenticated],
        ),
    ),
    path(
        "session/<int:pk>/",
        view_of(authentication_classes=[SessionAuthentication]),
    ),
    path("text/<int:pk>/", view_of(renderer_classes=[PlainText])),
    path("json/<int:pk>/", view_of(renderer_classes=[JSONRenderer])),
    path("throttled/<int:pk>/", view_of(throttle_classes=[OneRequest])),
    path("hidden/<int:pk>/", view_of(filter_backends=[HideAll])),
]


@pytest.fixture(autouse=True)
def exempt(settings):
    settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": True}


@pytest.fixture
def client(alice):
    return api_client(alice)


@pytest.fixture
def url(article):
    return f"/api/articles/{article.pk}/lock/"


# What each answers is compared with what our own API answers to the same request.
# "{token}" is the token of the lock, if there is one, "{etag}" its ETag.
SAME = [
    ("get", None, {}, None),
    ("get", "{token}", {}, None),
    ("get", VOID, {}, None),
    ("head", None, {}, None),
    ("post", None, {}, None),
    ("post", None, {}, {"timeout": 60}),
    ("post", None, {}, {"timeout": 10**9}),
    ("post", None, {}, {"timeout": 0}),
    ("post", None, {}, {"timeout": "60"}),
    ("post", None, {}, {"timeout": 60, "user": 1}),
    ("post", None, {}, [60]),
    ("post", None, {"Idempotency-Key": KEY}, None),
    ("post", None, {"Idempotency-Key": ""}, None),
    ("patch", "{token}", {}, None),
    ("patch", "{token}", {}, {"timeout": 60}),
    ("patch", "{token}", {}, {"timeout": -1}),
    ("patch", "{token}", {"If-Match": "{etag}"}, {"timeout": 5}),
    ("patch", "{token}", {"If-Match": '"2026-01-01T00:00:00+00:00"'}, {"timeout": 5}),
    ("patch", "{token}", {"If-Unmodified-Since": LONG_AGO}, {"timeout": 5}),
    ("patch", VOID, {}, None),
    ("delete", "{token}", {}, None),
    ("delete", VOID, {}, None),
]
HEADERS = ("ETag", "Cache-Control", "Idempotent-Replayed")


@pytest.mark.parametrize("before", ["free", "locked", "expired", "own key"])
@pytest.mark.parametrize(("method", "token", "headers", "body"), SAME)
def test_it_answers_what_our_own_api_answers(
    alice, before, method, token, headers, body
):
    def answer(to_view):
        article = Article.objects.create()
        lock = None
        if before == "own key":
            client = api_client(alice) if to_view else signed_in(alice)
            address = own(article, None, to_view)
            client.post(address, headers={"Idempotency-Key": KEY})
            lock = lock_row(article).get()
        elif before != "free":
            lock = LockToken.objects.acquire(article, user=alice)
        if before == "expired":
            expire(article)
            lock.refresh_from_db()
        values = {
            "{token}": lock.token_str if lock else VOID,
            "{etag}": f'"{lock.serialize()["expires_at"]}"' if lock else '"x"',
        }
        sent = {name: values.get(value, value) for name, value in headers.items()}
        secret = values.get(token, token)
        if to_view:
            if secret:
                sent["Lock-Token"] = secret
            return send(api_client(alice), method, own(article, None, True), body, sent)
        return send(signed_in(alice), method, own(article, secret, False), body, sent)

    ours, theirs = answer(False), answer(True)
    assert theirs.status_code == ours.status_code
    for name in HEADERS:
        assert (name in theirs) == (name in ours)
    if method != "head" and ours.content:
        ours, theirs = ours.json(), theirs.json()
        assert theirs.keys() == ours.keys()
        assert theirs.get("error") == ours.get("error")
        assert theirs.get("locked_by") == ours.get("locked_by")
        assert theirs.get("locked") == ours.get("locked")
        if "error" in ours:
            assert theirs["detail"] == ours["detail"]


def own(article, token, to_view):
    return (
        f"/api/articles/{article.pk}/lock/" if to_view else api.address(article, token)
    )


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def send(client, method, url, body, headers):
    import json

    content = b"" if body is None else json.dumps(body).encode()
    return client.generic(
        method.upper(), url, content, content_type="application/json", headers=headers
    )


def test_a_lock_from_its_beginning_to_its_end(article, alice, client, url):
    assert reverse("article-lock", args=[article.pk]) == url
    answer = client.post(url, {"timeout": 60})
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert LockToken.objects.info(article).locked_by == alice
    assert client.get(url).json()["locked_by"] == "Alice Liddell"
    assert "token" not in client.get(url).json()
    assert client.get(url, **with_token(token)).json()["token"] == token
    answer = client.patch(url, **with_token(token))
    assert answer.json()["token"] == token
    assert answer.json()["expires_at"] > client.get(url).json()["locked_at"]
    assert client.get(url, headers={"If": f"(<{token}>)"}).json()["token"] == token
    assert client.delete(url, **with_token(token)).status_code == 204
    assert client.get(url).json()["locked"] is False


def test_a_state_that_is_known_is_not_sent_again(client, url):
    etag = client.get(url)["ETag"]
    answer = client.get(url, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_renewing_and_releasing_need_a_token(article, client, url):
    article.lock()
    for method in (client.patch, client.delete):
        answer = method(url)
        assert (answer.status_code, answer.json()["error"]) == (400, "token_required")
    assert client.get(url, headers={"If": "nonsense"}).status_code == 400
    assert client.put(url).status_code == 405
    assert LockToken.objects.is_locked(article)


def test_the_status_of_a_refusal_is_a_setting(article, client, url, settings):
    settings.LOCK_TOKENS = {"API_LOCKED_STATUS": 409}
    article.lock()
    assert client.post(url).status_code == 409


def test_the_settings_of_our_own_api_do_not_apply(client, url, settings):
    settings.LOCK_TOKENS = {
        "API_PERMISSION": "lock_tokens.permissions.is_staff",
        "API_MODELS": [],
    }
    assert client.post(url).status_code == 201


@pytest.mark.parametrize("format", ["multipart", None])
def test_a_form_may_have_the_timeout(article, client, url, format):
    for value, status in (("60", 201), ("", 201), ("soon", 400)):
        if format:
            body = {"timeout": value, "csrfmiddlewaretoken": "x"}
            answer = client.post(url, body, format=format)
        else:
            answer = client.post(
                url,
                f"timeout={value}",
                content_type="application/x-www-form-urlencoded",
            )
        assert answer.status_code == status
        lock_row(article).delete()


def test_a_body_that_cannot_be_read_is_refused_by_the_view(client, url):
    answer = client.post(url, "{", content_type="application/json")
    assert answer.status_code == 400
    answer = client.post(url, "x", content_type="text/csv")
    assert answer.status_code == 415


def test_a_suffix_names_the_format(article, client):
    assert client.get(f"/api/articles/{article.pk}/lock.json").status_code == 200


def test_the_browsable_api_shows_the_lock(client, url):
    page = client.get(url, headers={"Accept": "text/html"}).content.decode()
    assert "timeout" in page
    assert client.post(url, headers={"Accept": "text/html"}).status_code == 201


# The view's own rules


def test_the_views_authentication(article):
    answer = Client().post(f"/basic/{article.pk}/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Basic")
    assert not LockToken.objects.exists()


def test_the_views_csrf_check(article, alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(f"/session/{article.pk}/").status_code == 403
    assert client.get(f"/session/{article.pk}/").status_code == 200


def test_the_views_renderers(article):
    answer = Client().get(f"/text/{article.pk}/")
    assert answer["Content-Type"].startswith("text/plain")
    assert b"'locked': False" in answer.content


def test_the_views_throttling(article):
    assert Client().get(f"/throttled/{article.pk}/").status_code == 200
    answer = Client().get(f"/throttled/{article.pk}/")
    assert answer.status_code == 429
    assert "Retry-After" in answer


def test_the_views_filters(article):
    assert Client().post(f"/hidden/{article.pk}/").status_code == 404
    assert Client().post("/json/0/").status_code == 404


@pytest.mark.parametrize("codename", ["add", "change", "delete", "view"])
def test_who_may_change_an_object_may_lock_it(alice, codename):
    alice.user_permissions.add(Permission.objects.get(codename=f"{codename}_story"))
    story = Story.objects.create(headline="Storm")
    client, url = api_client(alice), f"/api/stories/{story.pk}/lock/"
    may = codename == "change"
    answer = client.post(url)
    assert answer.status_code == (201 if may else 403)
    token = answer.json()["token"] if may else VOID
    answer = client.patch(url, **with_token(token))
    assert answer.status_code == (200 if may else 403)
    answer = client.delete(url, **with_token(token))
    assert answer.status_code == (204 if may else 403)
    assert client.get(url).status_code == 200


def test_a_database_that_fails_is_a_503(client, url, monkeypatch):
    def fail(*args, **options):
        raise DatabaseError

    monkeypatch.setattr(LockToken.objects, "get_or_acquire", fail)
    answer = client.post(url)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer["Retry-After"] == "2"
