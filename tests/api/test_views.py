"""The JSON API: its objects, methods and settings."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import models
from django.test import AsyncClient
from django.test.utils import isolate_apps
from django.urls import include, path, reverse

from lock_tokens.models import LockToken
from lock_tokens.permissions import is_api_model
from tests.models import (
    Article,
    ArticleProxy,
    Draft,
    Feature,
    Keyword,
    Label,
    Page,
    Plain,
    Story,
)
from tests.support.api import address, error_of, send, states_of
from tests.support.helpers import new_session

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

FREE = {"locked": False, "locked_by": None, "locked_at": None, "expires_at": None}
VOID = "0" * 32


# Objects


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
    assert client.get(address(obj)).json() == FREE


@pytest.mark.parametrize("model", [Article, Page, Label, Plain, Feature])
def test_models_of_every_kind_of_key_live_through_a_lock(client, model):
    live_through_a_lock(
        client, model.objects.create(**({"name": "a/b"} if model is Label else {}))
    )


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
OF_TOKEN = OF_STATES | {"PATCH", "DELETE", "POST"}


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
        answer = client.options(url)
        assert (answer.status_code, answer.content) == (200, b"")
        assert set(answer["Allow"].split(", ")) == allowed
        assert answer["Cache-Control"] == "no-store"


def test_a_head_of_states_is_a_get_without_its_body(client, article):
    url = states_of(Article, article.pk)
    full, head = client.get(url), client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Type"):
        assert head[name] == full[name]


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


def session_of_somebody():
    session = new_session()
    return Session.objects.get(pk=session.session_key)


def row_of_a_relation():
    story = Story.objects.create()
    story.keywords.add(Keyword.objects.create())
    return Story.keywords.through.objects.get()


def log_entry():
    return LogEntry.objects.create(user=User.objects.create(), action_flag=1)


@pytest.mark.parametrize(
    "make",
    [
        session_of_somebody,
        row_of_a_relation,
        log_entry,
        ContentType.objects.first,
        Permission.objects.first,
        lambda: LockToken.objects.acquire(Article.objects.create()),
    ],
)
def test_a_stranger_cannot_try_the_keys_of_what_nobody_edits(client, settings, make):
    """That the key of a session is good must not be found out by asking."""
    obj = make()
    urls = [address(obj), address(obj, VOID), states_of(type(obj), obj.pk)]
    for url in urls:
        answer = client.get(url)
        assert (answer.status_code, error_of(answer)) == (404, "not_found")
    assert client.post(address(obj)).status_code == 404
    # A project in which somebody does edit them says so.
    settings.LOCK_TOKENS = {"API_MODELS": [obj._meta.label]}
    assert client.get(address(obj)).json() == FREE


@isolate_apps("tests")
def test_models_of_other_packages_whose_keys_are_secrets_are_left_out():
    class Token(models.Model):
        """As Django REST framework has it."""

        key = models.CharField(primary_key=True, max_length=40)

        class Meta:
            app_label = "authtoken"

    class TokenProxy(Token):
        class Meta:
            app_label = "authtoken"
            proxy = True

    class Visit(models.Model):
        """As in packages that have sessions of their own."""

        session_key = models.CharField(primary_key=True, max_length=40)

        class Meta:
            app_label = "visits"

    assert not any(is_api_model(model) for model in (Token, TokenProxy, Visit))


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
