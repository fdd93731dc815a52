"""The state of an object's lock, and of many: who has it, and whether that is news."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lock_tokens.models import LockToken
from tests.models import Article, Page
from tests.support.api import error_of, send, states_of

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

FREE = {"locked": False, "locked_by": None, "locked_at": None, "expires_at": None}


def state_of(obj):
    info = LockToken.objects.info(obj)
    return {"locked": True, **info.serialize()} if info else FREE


def test_the_state_of_many_objects(client, article, held):
    other = Article.objects.create()
    answer = client.get(states_of(Article, other.pk, article.pk, 10**6, "x"))
    assert answer.json() == {
        "states": {
            str(other.pk): FREE,
            str(article.pk): state_of(article),
            "1000000": None,
            "x": None,
        }
    }
    assert next(iter(answer.json()["states"])) == str(other.pk)
    assert answer["Cache-Control"] == "no-store"


def test_each_spelling_of_a_key_gets_its_state(client):
    page = Page.objects.create()
    page.lock()
    keys = [str(page.pk), page.pk.hex, str(page.pk).upper()]
    states = client.get(states_of(Page, *keys, keys[0])).json()["states"]
    assert states == dict.fromkeys(keys, state_of(page))


def test_known_states_of_many_objects_are_a_304(client, article):
    url = states_of(Article, article.pk)
    tag = client.get(url)["ETag"]
    assert send(client, "GET", url, If_None_Match=tag).status_code == 304
    article.lock()
    assert send(client, "GET", url, If_None_Match=tag).status_code == 200


def test_a_state_that_came_compressed_is_known_by_its_tag(client, settings):
    """Django's GZipMiddleware marks the ETag as a weak one."""
    settings.MIDDLEWARE = [
        "django.middleware.gzip.GZipMiddleware",
        *settings.MIDDLEWARE,
    ]
    url = states_of(Article, *(Article.objects.create().pk for _ in range(9)))
    answer = send(client, "GET", url, Accept_Encoding="gzip")
    assert answer["Content-Encoding"] == "gzip"
    assert answer["ETag"].startswith("W/")
    assert send(client, "GET", url, If_None_Match=answer["ETag"]).status_code == 304


@pytest.mark.parametrize("number", [0, 101, 1000])
def test_states_are_asked_for_one_to_a_hundred_objects(client, number):
    answer = client.get(states_of(Article, *range(number)))
    assert (answer.status_code, error_of(answer)) == (400, "invalid_object_id")


def test_a_hundred_states_are_two_queries(client, article):
    articles = [Article.objects.create() for _ in range(100)]
    articles[7].lock()
    url = states_of(Article, *(article.pk for article in articles))
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    assert len(queries) == 2
    states = answer.json()["states"]
    assert [key for key in states if states[key]["locked"]] == [str(articles[7].pk)]
