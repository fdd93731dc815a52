"""The JSON API: what each call answers, and what it does to the lock."""

from datetime import datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse

from lock_tokens.models import LockToken
from tests.models import Article, ArticleProxy, Draft, Feature, Label, Page, Plain
from tests.support.api import address, error_of, row_of, seconds_left, send, states_of
from tests.support.helpers import expire, lock_row

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

FREE = {"locked": False, "locked_by": None, "locked_at": None, "expires_at": None}
NOBODY = {"locked_by": None, "locked_at": None, "expires_at": None}
VOID = "0" * 32


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
