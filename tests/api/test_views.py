"""The JSON API: its objects, methods, settings, failures and logs."""

import logging

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, connections
from django.test import AsyncClient, Client
from django.urls import include, path, reverse

from lock_tokens.models import LockToken
from lock_tokens.permissions import is_staff
from tests.models import Article, ArticleProxy, Draft, Feature, Label, Page, Plain
from tests.support.api import address, error_of, send, states_of
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT"
VOID = "0" * 32


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


def row_of(obj):
    return lock_row(obj).get()


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


# Objects


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
    live_through_a_lock(client, obj)


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


def test_no_refusal_and_no_state_has_the_token(client, article, held):
    mine = address(article, held["token"])
    answers = [client.get(states_of(Article, article.pk)), client.put(mine)]
    article.delete()
    answers.append(client.get(mine))
    for answer in answers:
        assert held["token"] not in f"{answer.content.decode()} {answer.headers}"


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
    yield 412, send(client, "PATCH", url, If_Unmodified_Since=LONG_AGO)
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
