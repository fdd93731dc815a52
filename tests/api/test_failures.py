"""The JSON API: a database that fails, and what gets into a log."""

import logging

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied
from django.db import (
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
)
from django.test import AsyncClient, Client

from lock_tokens.models import LockToken
from lock_tokens.permissions import is_staff
from tests.models import Article
from tests.support.api import address, error_of, row_of, send, since
from tests.support.doors import assert_refused

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]


# A database that fails


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_in_a_request_s_transaction(
    client, atomic_requests, article
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


# Without the table, at both doors


@pytest.mark.parametrize(
    "error",
    [
        ProgrammingError('relation "lock_tokens_locktoken" does not exist'),
        ProgrammingError(1146, "Table 'lock_tokens_locktoken' doesn't exist"),
        OperationalError("no such table: lock_tokens_locktoken"),
        OperationalError("no such column: lock_tokens_locktoken.expires_at"),
        OperationalError(1054, "Unknown column 'expires_at' in 'field list'"),
        IntegrityError("violates foreign key constraint"),
    ],
    ids=str,
)
def test_a_database_that_nobody_has_migrated_is_not_back_in_a_moment(
    door, held, caplog, error
):
    def fail(*args):
        raise error

    for method in ("GET", "POST", "DELETE"):
        token = None if method == "POST" else held["token"]
        with connection.execute_wrapper(fail):
            answer = door.client.generic(
                method, door.address(token), headers=door.headers(token)
            )
        assert_refused(answer, 500, "server_error")
    assert caplog.text.count("Did you run migrate?") == 3
    assert held["token"] not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_without_the_table_itself(client, article):
    with connection.schema_editor() as editor:
        editor.alter_db_table(LockToken, LockToken._meta.db_table, "away")
    try:
        answer = client.post(address(article))
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(LockToken, "away", LockToken._meta.db_table)
    assert (answer.status_code, error_of(answer)) == (500, "server_error")
    assert client.post(address(article)).status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("atomic", [False, True])
def test_a_database_that_nobody_can_reach_is_a_503_behind_django_s_middleware(
    client, settings, monkeypatch, article, alice, method, atomic
):
    """With the session's database away too, and a permission that needs the user."""

    def refuse(*args):
        raise OperationalError("could not connect to server")

    settings.LOCK_TOKENS = {"API_PERMISSION": "lock_tokens.permissions.is_staff"}
    client.force_login(alice)
    token = None if method == "POST" else article.lock()["token"]
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic)
    with monkeypatch.context() as patch:
        connection.close()
        patch.setattr(type(connections["default"]), "get_new_connection", refuse)
        answer = client.generic(method, address(article, token))
        connection.close()
    assert (answer.status_code, error_of(answer)) == (503, "unavailable")


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
