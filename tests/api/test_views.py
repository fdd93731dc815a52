"""The JSON API: what each call answers, and what it does to the lock."""

import json
import logging
import time
from datetime import datetime, timedelta, timezone

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils.http import http_date

from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.permissions import is_staff
from tests.models import Article, ArticleProxy, Draft, Feature, Label, Page, Plain
from tests.support.api import address, error_of, send, states_of
from tests.support.helpers import age, expire, lock_row

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

FREE = {"locked": False, "locked_by": None, "locked_at": None, "expires_at": None}
NOBODY = {"locked_by": None, "locked_at": None, "expires_at": None}
VOID = "0" * 32


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


def row_of(obj):
    return lock_row(obj).get()


def seconds_left(answer):
    """Return how long the lock in the answer lives, by this host's clock."""
    expires_at = datetime.fromisoformat(answer.json()["expires_at"])
    return (expires_at - datetime.now(timezone.utc)).total_seconds()


# The table of calls and statuses


@pytest.mark.parametrize(
    ("standing", "status", "error"),
    [("free", 201, None), ("live", 403, "locked"), ("expired", 201, None)],
)
def test_acquiring(client, article, standing, status, error):
    before = None if standing == "free" else article.lock()["token"]
    if standing == "expired":
        expire(article)
    answer = client.post(address(article))
    assert answer.status_code == status
    if error:
        assert error_of(answer) == error
        assert row_of(article).token_str == before
    else:
        assert row_of(article).token_str == answer.json()["token"] != before


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("standing", "shown", "status", "error"),
    [
        ("live", "its own", 200, None),
        ("expired", "its own", 200, None),
        ("live", "another", 403, "wrong_token"),
        ("expired", "another", 403, "wrong_token"),
        ("live", "garbage", 403, "wrong_token"),
        ("released", "its own", 404, "not_locked"),
        ("released", "another", 404, "not_locked"),
        ("released", "garbage", 404, "not_locked"),
        ("taken", "its own", 403, "wrong_token"),
        ("taken and left", "its own", 404, "not_locked"),
    ],
)
def test_calls_with_a_token(client, article, method, standing, shown, status, error):
    token = article.lock()["token"]
    if standing == "expired":
        expire(article)
    if standing == "released":
        article.unlock(token)
    if standing.startswith("taken"):
        other = LockToken.objects.take_over(article).token_str
    if standing == "taken and left":
        article.unlock(other)
    before = lock_row(article).values().first()
    given = {"its own": token, "another": VOID, "garbage": "g\N{SNOWMAN} h"}[shown]
    answer = client.generic(method, address(article, given))
    if error:
        assert (answer.status_code, error_of(answer)) == (status, error)
        assert lock_row(article).values().first() == before
    elif method == "DELETE":
        assert (answer.status_code, answer.content) == (204, b"")
        assert not lock_row(article).exists()
    else:
        assert answer.status_code == status
        assert answer.json() == row_of(article).serialize()
        assert article.is_locked() == (standing == "live" or method == "PATCH")


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_an_object_that_is_not_there(client, article, method):
    url = address(article, None if method == "POST" else VOID)
    article.delete()
    answer = client.generic(method, url)
    assert (answer.status_code, error_of(answer)) == (404, "not_found")
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("model", [Article, Page, Label, Plain, Feature])
def test_models_of_every_kind_of_key_live_through_a_lock(client, model):
    obj = model.objects.create(**({"name": "a/b"} if model is Label else {}))
    answer = client.post(address(obj))
    assert answer.status_code == 201
    url = address(obj, answer.json()["token"])
    assert client.get(address(obj)).json()["locked"] is True
    assert client.patch(url).status_code == 200
    assert client.delete(url).status_code == 204
    assert client.get(address(obj)).json() == FREE


def test_a_proxy_s_lock_is_that_of_its_model(client, article, held):
    proxy = ArticleProxy.objects.get()
    assert client.post(address(proxy)).status_code == 403
    assert client.get(address(proxy, held["token"])).status_code == 200


def test_what_the_manager_leaves_out_is_not_there(client):
    draft = Draft.objects.create(draft=False)
    assert client.get(address(draft)).status_code == 404
    assert client.get(states_of(Draft, draft.pk)).json() == {
        "states": {str(draft.pk): None}
    }


# Bodies


def test_acquiring_answers_the_token_dict(client, article):
    answer = client.post(address(article))
    assert answer.json() == row_of(article).serialize()
    assert answer.json().keys() == {"token", "expires", "expires_at"}
    assert seconds_left(answer) == pytest.approx(3600, abs=5)
    assert answer["ETag"] == f'"{answer.json()["expires_at"]}"'
    assert "Idempotent-Replayed" not in answer


def test_a_refusal_says_who_has_it_since_when_and_until_when(client, article, held):
    answer = client.post(address(article))
    body = answer.json()
    assert error_of(answer) == "locked"
    assert body.keys() == {"error", "detail", "locked_by", "locked_at", "expires_at"}
    assert body["locked_by"] == "Alice Liddell"
    assert body["locked_at"] == row_of(article).locked_at.isoformat()
    assert body["expires_at"] == held["expires_at"]


def test_a_wrong_token_s_refusal_says_who_has_it(client, article, held):
    for method in ("GET", "PATCH", "DELETE"):
        body = client.generic(method, address(article, VOID)).json()
        assert body["locked_by"] == "Alice Liddell"
        assert body["expires_at"] == held["expires_at"]
    expire(article)
    body = client.get(address(article, VOID)).json()
    assert {name: body[name] for name in NOBODY} == NOBODY


def test_no_refusal_and_no_state_ever_has_the_token(client, article, held):
    token = held["token"]
    mine = address(article, token)
    answers = [
        client.post(address(article)),
        send(client, "POST", address(article), Idempotency_Key="k" * 20),
        client.get(address(article)),
        client.get(states_of(Article, article.pk)),
        client.get(address(article, VOID)),
        client.patch(address(article, VOID)),
        client.delete(address(article, VOID)),
        client.put(mine),
        send(client, "PATCH", mine, {"timeout": -1}),
        send(client, "PATCH", mine, {"timeout": 1}, If_Match='"x"'),
    ]
    article.delete()
    answers.append(client.get(mine))
    for answer in answers:
        assert token not in answer.content.decode()
        assert token not in str(answer.headers)


def test_the_holder_is_recorded_and_named(client, article, alice):
    client.force_login(alice)
    answer = client.post(address(article))
    assert answer.status_code == 201
    assert row_of(article).locked_by == alice
    client.logout()
    assert client.get(address(article)).json()["locked_by"] == "Alice Liddell"


def test_a_holder_without_a_full_name_is_called_by_the_login_name(
    client, article, django_user_model
):
    client.force_login(django_user_model.objects.create(username="bob"))
    client.post(address(article))
    assert client.get(address(article)).json()["locked_by"] == "bob"


def test_an_anonymous_holder_is_nobody(client, article):
    client.post(address(article))
    assert row_of(article).locked_by is None
    state = client.get(address(article)).json()
    assert state["locked"] is True
    assert state["locked_by"] is None


@pytest.mark.parametrize("format", ["%H Uhr", "</script>\"'", "é \N{SNOWMAN}", "until"])
def test_any_dateformat_is_json_and_leaves_expires_at_alone(
    client, settings, article, format
):
    settings.LOCK_TOKENS = {"DATEFORMAT": format}
    answer = client.post(address(article))
    expires_at = datetime.fromisoformat(answer.json()["expires_at"])
    assert answer.json()["expires"] == expires_at.strftime(format)
    assert expires_at.utcoffset() == timedelta(0)
    again = send(
        client,
        "PATCH",
        address(article, answer.json()["token"]),
        If_Match=answer["ETag"],
    )
    assert again.status_code == 200


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_times_are_in_utc_also_without_time_zones(client, settings, zone):
    settings.USE_TZ = False
    settings.TIME_ZONE = zone
    article = Article.objects.create()
    answer = client.post(address(article))
    assert seconds_left(answer) == pytest.approx(3600, abs=5)
    state = client.get(address(article)).json()
    assert state["expires_at"] == answer.json()["expires_at"]
    url = address(article, answer.json()["token"])
    renewed = send(client, "PATCH", url, {"timeout": 60}, If_Match=answer["ETag"])
    assert renewed.status_code == 200
    assert seconds_left(renewed) == pytest.approx(60, abs=5)
    late = send(client, "PATCH", url, {"timeout": 5}, If_Match=answer["ETag"])
    assert late.status_code == 412


# Renewal


@pytest.mark.parametrize(
    ("timeout", "life"),
    [(60, 60), (2.5, 2.5), (3600, 3600), (10**9, 3600), (1e300, 3600)],
)
def test_a_renewal_may_name_a_timeout_up_to_the_setting_s(
    client, article, held, timeout, life
):
    answer = send(
        client, "PATCH", address(article, held["token"]), {"timeout": timeout}
    )
    assert answer.status_code == 200
    assert answer.json() == row_of(article).serialize()
    assert seconds_left(answer) == pytest.approx(life, abs=1.5)


@pytest.mark.parametrize("body", [None, {}])
def test_a_renewal_without_a_timeout_takes_the_setting_s(
    client, settings, article, held, body
):
    settings.LOCK_TOKENS = {"TIMEOUT": 100}
    answer = send(client, "PATCH", address(article, held["token"]), body)
    assert seconds_left(answer) == pytest.approx(100, abs=2)


@pytest.mark.parametrize(("timeout", "life"), [(60, 60), (10**9, 3600)])
def test_acquiring_may_name_a_timeout_too(client, article, timeout, life):
    answer = send(client, "POST", address(article), {"timeout": timeout})
    assert answer.status_code == 201
    assert seconds_left(answer) == pytest.approx(life, abs=1.5)


def test_leaving_shortens_the_lock_unless_another_page_has_renewed_it(client, article):
    first = client.post(address(article))
    url = address(article, first.json()["token"])
    age(article, 5)
    other_page = client.patch(url)
    assert other_page["ETag"] != first["ETag"]
    leaving = send(client, "PATCH", url, {"timeout": 3}, If_Match=first["ETag"])
    assert (leaving.status_code, error_of(leaving)) == (412, "renewed_since")
    assert leaving.json()["expires_at"] == other_page.json()["expires_at"]
    assert row_of(article).serialize() == other_page.json()
    leaving = send(client, "PATCH", url, {"timeout": 3}, If_Match=other_page["ETag"])
    assert leaving.status_code == 200
    assert seconds_left(leaving) < 3.5


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*", " * "])
def test_ways_to_match_the_expiry(client, article, held, known):
    tag = client.get(address(article, held["token"]))["ETag"]
    answer = send(
        client, "PATCH", address(article, held["token"]), If_Match=known.format(tag)
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "known",
    [
        "",
        "garbage",
        '"other"',
        '"2024-01-01"',
        '"0001-01-01T00:00:00+23:59"',
        '"9999-12-31T23:59:59-23:59"',
        '"0001-01-01T00:00:00"',
        '"2024-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"',
    ],
)
def test_whatever_else_does_not_match(client, article, held, known):
    answer = send(client, "PATCH", address(article, held["token"]), If_Match=known)
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    assert row_of(article).serialize() == held


def test_more_tags_than_anybody_needs_are_a_400(client, article, held):
    tags = ", ".join(['"2024-01-01"'] * 11)
    answer = send(client, "PATCH", address(article, held["token"]), If_Match=tags)
    assert (answer.status_code, error_of(answer)) == (400, "bad_request")


def test_an_expiry_on_the_second_matches(client, article, held):
    """It has no fraction in the ETag, nor where the ORM has written it on SQLite."""
    lock_row(article).update(expires_at=datetime(2050, 1, 1, tzinfo=timezone.utc))
    url = address(article, held["token"])
    tag = client.get(url)["ETag"]
    assert tag == '"2050-01-01T00:00:00+00:00"'
    assert send(client, "PATCH", url, If_Match=tag).status_code == 200


def test_if_match_does_not_tell_more_of_a_void_token(client, article, held):
    for tag in ('"other"', f'"{held["expires_at"]}"'):
        answer = send(client, "PATCH", address(article, VOID), If_Match=tag)
        assert (answer.status_code, error_of(answer)) == (403, "wrong_token")
    article.unlock(held["token"])
    answer = send(client, "PATCH", address(article, held["token"]), If_Match='"x"')
    assert (answer.status_code, error_of(answer)) == (404, "not_locked")


def test_an_expired_lock_is_revived_by_its_etag(client, article, held):
    expire(article)
    url = address(article, held["token"])
    tag = client.get(url)["ETag"]
    assert send(client, "PATCH", url, If_Match=tag).status_code == 200
    assert article.is_locked()


# If-Unmodified-Since: for a page that does not know what its own last renewal did


def since(seconds):
    """Return the date that long from now, as HTTP writes it."""
    return http_date(time.time() + seconds)


def leave(client, url, date, **headers):
    body = {"timeout": 5}
    return send(client, "PATCH", url, body, If_Unmodified_Since=date, **headers)


def test_a_lock_that_nobody_has_renewed_since_is_cut_short(client, article, held):
    url = address(article, held["token"])
    answer = leave(client, url, since(3))
    assert answer.status_code == 200
    assert answer.json()["expires_at"] < held["expires_at"]
    assert seconds_left(answer) <= 6
    client.patch(url)
    age(article, 100)
    assert leave(client, url, since(-90)).status_code == 200


def test_a_lock_that_somebody_has_renewed_since_is_left_alone(client, article, held):
    url = address(article, held["token"])
    answer = leave(client, url, since(-10))
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    assert answer.json()["expires_at"] == held["expires_at"]
    age(article, 100)
    assert leave(client, url, since(-110)).status_code == 412
    client.patch(url)
    expires_at = row_of(article).expires_at
    assert leave(client, url, since(-90)).status_code == 412
    assert row_of(article).expires_at == expires_at


def test_when_it_was_renewed_is_told_by_the_timeout_setting(client, settings, article):
    settings.LOCK_TOKENS = {"TIMEOUT": 60}
    url = address(article, client.post(address(article)).json()["token"])
    assert leave(client, url, since(-10)).status_code == 412
    assert leave(client, url, since(3)).status_code == 200
    send(client, "PATCH", url, {"timeout": 40})  # as if it were 20 seconds ago
    assert leave(client, url, since(-10)).status_code == 200


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Friday, 01-Jan-99 00:00:00 GMT",
        "Fri Jan  1 00:00:00 1999",
    ],
)
def test_dates_of_long_ago(client, article, held, date):
    answer = leave(client, address(article, held["token"]), date)
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")


@pytest.mark.parametrize(
    "date",
    [
        *("", "yesterday", "*", "0", "2024-01-01T00:00:00Z", "x" * 5000),
        "Thu, 32 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 25:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 CET",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ],
)
def test_what_is_no_date_does_not_count(client, article, held, date):
    assert leave(client, address(article, held["token"]), date).status_code == 200


def test_the_date_does_not_count_beside_if_match(client, article, held):
    url = address(article, held["token"])
    long_ago = since(-9999)
    tag = f'"{held["expires_at"]}"'
    assert leave(client, url, long_ago, If_Match="*").status_code == 200
    client.patch(url)
    answer = leave(client, url, since(3), If_Match=tag)
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    tag = client.get(url)["ETag"]
    assert leave(client, url, long_ago, If_Match=tag).status_code == 200


def test_the_date_does_not_tell_more_of_a_void_token(client, article, held):
    for date in (since(-10), since(3)):
        for token in (VOID, "x"):
            answer = leave(client, address(article, token), date)
            assert (answer.status_code, error_of(answer)) == (403, "wrong_token")
    article.unlock(held["token"])
    answer = leave(client, address(article, held["token"]), since(3))
    assert (answer.status_code, error_of(answer)) == (404, "not_locked")


def test_an_expired_lock_is_revived_before_its_date(client, article, held):
    expire(article)
    assert leave(client, address(article, held["token"]), since(0)).status_code == 200
    assert article.is_locked()


def test_who_renews_at_that_very_moment_comes_first(client, article, held, monkeypatch):
    get_by_token = LockTokenManager.get_by_token

    def get_held_and_be_late(self, obj, token):
        monkeypatch.undo()
        lock = get_by_token(self, obj, token)
        self.renew(obj, token, timeout=1000)
        return lock

    monkeypatch.setattr(LockTokenManager, "get_by_token", get_held_and_be_late)
    answer = leave(client, address(article, held["token"]), since(3))
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    assert 900 < seconds_left(answer) < 1001


# Methods and headers

OF_STATES = {"GET", "HEAD", "OPTIONS"}
OF_LOCK = OF_STATES | {"POST"}
OF_TOKEN = OF_STATES | {"PATCH", "DELETE"}


def urls_and_methods(obj):
    return [
        (states_of(type(obj), obj.pk), OF_STATES),
        (address(obj), OF_LOCK),
        (address(obj, VOID), OF_TOKEN),
    ]


def test_other_methods_are_refused_with_those_that_there_are(client, article):
    for url, allowed in urls_and_methods(article):
        for method in {"POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO"} - allowed:
            answer = client.generic(method, url)
            assert (answer.status_code, error_of(answer)) == (405, "method_not_allowed")
            assert set(answer["Allow"].split(", ")) == allowed


def test_options_are_the_methods_that_there_are(client, article):
    for url, allowed in urls_and_methods(article):
        answer = client.options(url)
        assert (answer.status_code, answer.content) == (200, b"")
        assert set(answer["Allow"].split(", ")) == allowed
        assert answer["Cache-Control"] == "no-store"


def test_a_head_is_a_get_without_its_body(client, article, held):
    for url in (
        address(article),
        address(article, held["token"]),
        states_of(Article, article.pk),
    ):
        full = client.get(url)
        head = client.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head["ETag"] == full["ETag"]
        assert head["Content-Type"] == full["Content-Type"]
    assert client.head(address(article, VOID)).status_code == 403


def test_no_answer_may_be_stored(client, article):
    lock = client.post(address(article))
    url = address(article, lock.json()["token"])
    for answer in (
        lock,
        client.post(address(article)),
        client.get(address(article)),
        client.get(states_of(Article, article.pk)),
        client.get(url),
        client.patch(url),
        client.put(url),
        client.delete(url),
        client.get(url),
    ):
        assert answer["Cache-Control"] == "no-store"


# Where it is included, and under which settings


@pytest.mark.parametrize("namespace", ["lock_tokens", "lock-tokens", None])
def test_both_namespaces_and_none(client, settings, article, namespace):
    settings.ROOT_URLCONF = (
        path("there/", include("lock_tokens.urls", namespace=namespace)),
    )
    for name in {namespace or "lock_tokens", "lock_tokens"}:
        url = reverse(f"{name}:list-view", args=["tests", "article", article.pk])
        assert url == f"/there/tests/article/{article.pk}/"
        token = client.post(url).json()["token"]
        url = reverse(
            f"{name}:detail-view", args=["tests", "article", article.pk, token]
        )
        assert url == f"/there/tests/article/{article.pk}/{token}/"
        assert client.delete(url).status_code == 204


def test_model_names_are_taken_in_any_case(client, article):
    url = address(article).replace("article", "Article")
    assert client.post(url).status_code == 201


@pytest.mark.parametrize("status", [403, 409, 423])
def test_the_status_of_a_refusal_can_be_chosen(client, settings, article, held, status):
    settings.LOCK_TOKENS = {"API_LOCKED_STATUS": status}
    answer = client.post(address(article))
    assert (answer.status_code, error_of(answer)) == (status, "locked")
    assert client.get(address(article, VOID)).status_code == 403
    expire(article)
    assert client.post(address(article)).status_code == 201


@pytest.mark.parametrize(
    ("models", "status"),
    [
        (["tests.Article"], 200),
        (("tests.ARTICLE", "tests.Page"), 200),
        ({"tests.Page"}, 404),
        ([], 404),
        (None, 200),
    ],
)
def test_the_models_that_it_knows_can_be_limited(
    client, settings, article, held, models, status
):
    settings.LOCK_TOKENS = {"API_MODELS": models}
    for url in (
        address(article),
        address(article, held["token"]),
        states_of(Article, article.pk),
    ):
        answer = client.get(url)
        assert answer.status_code == status
        assert status == 200 or error_of(answer) == "not_found"


@pytest.fixture
def plain_is_swapped_out(settings, monkeypatch):
    monkeypatch.setattr(Plain._meta, "swappable", "PLAIN_MODEL")
    settings.PLAIN_MODEL = "tests.Article"
    vars(Plain._meta).pop("swapped", None)  # Django 6.1 keeps it
    yield
    vars(Plain._meta).pop("swapped", None)


def test_a_model_that_another_stands_in_for_is_unknown(client, plain_is_swapped_out):
    plain = Plain(pk=1)
    for url in (address(plain), address(plain, VOID), states_of(Plain, plain.pk)):
        answer = client.get(url)
        assert (answer.status_code, error_of(answer)) == (404, "not_found")


def live_through_a_lock(client, obj):
    """Call all that there is, and be refused by all that can."""
    assert client.get(address(obj)).json()["locked"] is False
    lock = client.post(address(obj))
    assert lock.status_code == 201
    assert client.post(address(obj)).status_code == 403
    assert client.get(address(obj, VOID)).status_code == 403
    url = address(obj, lock.json()["token"])
    assert send(client, "PATCH", url, If_Match='"x"').status_code == 412
    assert client.patch(url).status_code == 200
    assert client.get(url).status_code == 200
    assert client.get(states_of(type(obj), obj.pk)).status_code == 200
    assert client.delete(url).status_code == 204
    assert client.patch(url).status_code == 404


def test_it_needs_no_middleware(client, settings, article):
    settings.MIDDLEWARE = []
    live_through_a_lock(client, article)


@pytest.mark.django_db(transaction=True)
def test_it_works_under_asgi(article):
    async def live():
        client = AsyncClient()
        lock = await client.post(address(article))
        assert (await client.post(address(article))).status_code == 403
        url = address(article, lock.json()["token"])
        assert (await client.patch(url)).status_code == 200
        assert (await client.delete(url)).status_code == 204
        assert error_of(await client.delete(url)) == "not_locked"

    async_to_sync(live)()


@pytest.mark.parametrize("permission", ["is_authenticated", "is_staff", "can_change"])
def test_without_middleware_nobody_is_signed_in(client, settings, article, permission):
    settings.MIDDLEWARE = []
    settings.LOCK_TOKENS = {"API_PERMISSION": f"lock_tokens.permissions.{permission}"}
    answer = client.post(address(article))
    assert (answer.status_code, error_of(answer)) == (403, "not_authenticated")


@pytest.mark.django_db(transaction=True)
def test_it_works_with_each_request_in_a_transaction(client, atomic_requests, article):
    live_through_a_lock(client, article)


@pytest.mark.django_db(transaction=True)
def test_queries_of_each_call(client, article):
    def queries_of(method, url, status):
        with CaptureQueriesContext(connection) as queries:
            answer = client.generic(method, url)
        assert answer.status_code == status
        return len(queries)

    assert queries_of("GET", address(article), 200) == 2
    assert queries_of("POST", address(article), 201) == 2
    assert queries_of("POST", address(article), 403) == 3
    assert queries_of("GET", address(article), 200) == 2
    url = address(article, row_of(article).token_str)
    assert queries_of("GET", url, 200) == 2
    assert queries_of("PATCH", url, 200) == 2
    assert queries_of("PATCH", address(article, "x"), 403) <= 3
    assert queries_of("DELETE", url, 204) == 2


# A database that fails


@pytest.fixture
def failing():
    """Return a context in which every query fails."""

    def fail(execute, sql, params, many, context):
        raise OperationalError("the database has gone away")

    return connection.execute_wrapper(fail)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_a_database_that_fails_is_a_503_and_logged(
    client, article, held, failing, caplog, method
):
    url = address(article, None if method == "POST" else held["token"])
    with failing, caplog.at_level(logging.ERROR, "lock_tokens"):
        answer = client.generic(method, url)
    assert (answer.status_code, error_of(answer)) == (503, "unavailable")
    assert int(answer["Retry-After"]) > 0
    assert "gone away" not in answer.content.decode()
    (record,) = [each for each in caplog.records if each.name == "lock_tokens"]
    assert record.exc_info[0] is OperationalError
    assert held["token"] not in caplog.text
    assert row_of(article).serialize() == held


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_in_a_request_s_transaction(
    client, atomic_requests, article, failing
):
    def fail_late(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if "lock_tokens_locktoken" in sql and not sql.startswith("SELECT"):
            raise OperationalError("the database has gone away")
        return answer

    with connection.execute_wrapper(fail_late):
        answer = client.post(address(article))
    assert (answer.status_code, error_of(answer)) == (503, "unavailable")
    assert not LockToken.objects.exists()
    assert client.post(address(article)).status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic", [True, False])
def test_what_a_request_s_transaction_has_done_by_then_is_undone(
    client, settings, monkeypatch, article, atomic
):
    def permission(request, model, obj):
        Article.objects.update(title="written")
        raise OperationalError("the database has gone away")

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic)
    settings.LOCK_TOKENS = {"API_PERMISSION": permission}
    answer = client.post(address(article))
    assert (answer.status_code, error_of(answer)) == (503, "unavailable")
    article.refresh_from_db()
    assert article.title == ("First" if atomic else "written")


@pytest.mark.django_db(transaction=True)
def test_a_refusal_undoes_nothing(client, settings, atomic_requests, article):
    """A project's permission may keep a record of who was refused."""

    def permission(request, model, obj):
        Article.objects.update(title="written")
        return False

    settings.LOCK_TOKENS = {"API_PERMISSION": permission}
    assert client.post(address(article)).status_code == 403
    article.refresh_from_db()
    assert article.title == "written"


# Logs


def refusals(settings, article, token):
    """Give answers of each status to requests with a token that holds."""
    client, url = Client(), address(article, token)
    yield 400, client.patch(url, b"{", content_type="application/json")
    yield 403, Client(enforce_csrf_checks=True).delete(url)
    yield 405, client.put(url)
    yield 412, send(client, "PATCH", url, If_Match='"x"')
    yield 412, send(client, "PATCH", url, If_Unmodified_Since=since(-10))
    yield 415, client.patch(url, b"x", content_type="text/plain")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    yield 400, send(client, "PATCH", url, {"timeout": 1.23456})
    for permission, status in ((is_staff, 403), (fails, 503), (denies, 403)):
        settings.LOCK_TOKENS = {"API_PERMISSION": permission}
        yield status, client.patch(url)
    settings.LOCK_TOKENS = {"API_MODELS": []}
    yield 404, client.get(url)
    settings.LOCK_TOKENS = {}
    wrong = Article.objects.create()
    LockToken.objects.acquire(wrong)
    yield 403, client.delete(address(wrong, token))
    yield 404, client.delete(address(Article.objects.create(), token))
    yield 404, client.get(address(Article(pk=0), token))


def fails(request, model, obj):
    raise OperationalError("the database has gone away")


def denies(request, model, obj):
    raise PermissionDenied


def test_no_refusal_brings_a_token_into_a_log(settings, article, held, caplog):
    caplog.set_level(logging.INFO)
    statuses = set()
    for status, answer in refusals(settings, article, held["token"]):
        assert answer.status_code == status, answer.content
        assert error_of(answer)
        statuses.add(status)
    assert statuses == {400, 403, 404, 405, 412, 415, 503}
    assert row_of(article).token_str == held["token"]
    # The database's failure, and the forged request.
    assert {record.name for record in caplog.records} == {
        "lock_tokens",
        "django.security.csrf",
    }
    assert held["token"] not in caplog.text
    for record in caplog.records:
        assert held["token"] not in str(vars(record))


@pytest.mark.django_db(transaction=True)
def test_nor_under_asgi(article, caplog):
    caplog.set_level(logging.INFO)
    url = address(article, article.lock()["token"])

    async def be_refused():
        return await AsyncClient().put(url)

    assert async_to_sync(be_refused)().status_code == 405
    assert [each.name for each in caplog.records if each.name != "asyncio"] == []


def test_a_json_client_can_read_all_of_it(client, article):
    for answer in (client.get(address(article)), client.post(address(article))):
        assert answer["Content-Type"] == "application/json"
        assert json.loads(answer.content)
