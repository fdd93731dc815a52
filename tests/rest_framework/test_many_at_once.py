"""Many writes at once: none is lost."""

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from django.db import connection
from rest_framework.test import APIClient

from lock_tokens.models import LockToken
from tests.models import Article, Desk
from tests.support.drf_racing import acquire, call
from tests.support.helpers import expire, lock_row, race
from tests.support.objects import title_of

pytestmark = [
    pytest.mark.urls("tests.support.drf_racing"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.race,
]

RACERS = 16
REFUSALS = {403, 412, 423, 503}


COUNTING = ["counting", "counting-alone", "counting-at-object", "hand-made"]


@pytest.mark.parametrize("view", COUNTING)
@pytest.mark.parametrize(
    ("with_token", "has_expired"),
    [(0, False), (RACERS, False), (RACERS, True), (RACERS // 2, True)],
    ids=["no token", "one token", "one expired token", "an expired token and none"],
)
def test_of_many_writes_none_is_lost(atomic_requests, view, with_token, has_expired):
    article = Article.objects.create(title="0")
    url = f"/{view}/{article.pk}/"
    token = acquire(article) if with_token else None
    if has_expired:
        expire(article)
    answers = race(
        *[lambda: call("patch", url, {"title": "0"}, token)] * with_token,
        *[lambda: call("patch", url, {"title": "0"})] * (RACERS - with_token),
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= REFUSALS | {200}
    assert title_of(article) == str(statuses.count(200))
    if with_token == RACERS:
        assert statuses == [200] * RACERS
        assert article.check_lock(token)
    if not with_token:
        assert statuses.count(200) >= 1
        assert not lock_row(article).exists()


@pytest.mark.only_on("postgresql", "mariadb", reason="SQLite has one isolation level")
@pytest.mark.parametrize("view", COUNTING)
@pytest.mark.parametrize("has_token", [True, False])
def test_of_many_writes_under_repeatable_read_none_is_lost(
    atomic_requests, repeatable_read, view, has_token
):
    """PostgreSQL undoes those that have read what was, and the project answers 500."""
    article = Article.objects.create(title="0")
    token = acquire(article) if has_token else None
    url = f"/{view}/{article.pk}/"
    body = {"title": "0"}

    def write():
        calm = APIClient(raise_request_exception=False)
        return call("patch", url, body, token, client=calm).status_code

    statuses = race(*[write] * RACERS)
    undone = {500} if connection.vendor == "postgresql" else set()
    assert set(statuses) <= REFUSALS | {200} | undone
    assert title_of(article) == str(statuses.count(200))
    assert statuses.count(200) >= 1


@pytest.mark.parametrize("view", ["mixed", "mixed-at-object", "alone", "strict"])
def test_of_many_who_lock_read_write_and_release_none_is_lost(atomic_requests, view):
    article = Article.objects.create(title="0")
    url = f"/{view}/{article.pk}/"
    route = f"/mixed/{article.pk}/lock/"

    def client():
        done, refused = 0, set()
        for _ in range(6):
            answer = call("post", route)
            if answer.status_code != 201:
                refused.add(answer.status_code)
                continue
            token = answer.json()["token"]
            number = call("get", url).json()["title"]
            answer = call("patch", url, {"title": str(int(number) + 1)}, token)
            assert answer.status_code == 200, answer.content
            answer = call("delete", route, None, token)
            assert answer.status_code == 204, answer.content
            done += 1
        return done, refused

    results = race(*[client] * RACERS)
    assert set().union(*(refused for _done, refused in results)) <= REFUSALS
    assert title_of(article) == str(sum(done for done, _refused in results))
    assert title_of(article) != "0"
    assert not lock_row(article).exists()


def test_of_many_who_lose_and_take_locks_only_holders_write():
    """Locks expire at any moment. What is written is what its holder has read, plus one."""
    article = Article.objects.create(title="0")
    url = f"/mixed/{article.pk}/"

    def client():
        done, statuses = 0, set()
        for _ in range(6):
            answer = call("post", f"{url}lock/")
            statuses.add(answer.status_code)
            if answer.status_code != 201:
                lock_row(article).update(expires_at="2020-01-01T00:00:00Z")
                continue
            token = answer.json()["token"]
            number = call("get", url).json()["title"]
            answer = call("patch", url, {"title": str(int(number) + 1)}, token)
            statuses.add(answer.status_code)
            done += answer.status_code == 200
        return done, statuses

    results = race(*[client] * 8)
    statuses = set().union(*(seen for _done, seen in results))
    assert statuses <= REFUSALS | {200, 201}
    assert title_of(article) == str(sum(done for done, _statuses in results))


@pytest.mark.parametrize("with_lock", [True, False])
def test_writes_of_different_fields_at_once_lose_nothing(with_lock):
    desk = Desk.objects.create(name="news")
    token = LockToken.objects.acquire(desk).token_str if with_lock else None

    def write(**fields):
        answer = call("patch", f"/desks/{desk.pk}/", fields, token)
        assert answer.status_code in ({200} if with_lock else {200, 423, 503})
        return fields if answer.status_code == 200 else {}

    for number in range(5):
        written = race(
            lambda number=number: write(name=f"name-{number}"),
            lambda number=number: write(telephone=str(number)),
        )
        desk.refresh_from_db()
        for fields in written:
            assert all(getattr(desk, name) == value for name, value in fields.items())
        assert any(written)


@pytest.mark.parametrize("view", ["mixed", "alone"])
@pytest.mark.parametrize("with_token", [0, RACERS // 2])
def test_of_many_deletions_one_deletes(article, view, with_token):
    url = f"/{view}/{article.pk}/"
    token = acquire(article) if with_token else None
    answers = race(
        *[lambda: call("delete", url, None, token)] * with_token,
        *[lambda: call("delete", url)] * (RACERS - with_token),
    )
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(204) == 1
    assert set(statuses) <= REFUSALS | {204, 404}
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


def test_of_many_that_lock_two_objects_crosswise_none_is_lost_and_none_hangs():
    """The database ends a deadlock, and whoever it has undone may try again."""
    one, two = (Article.objects.create(title="0") for _ in range(2))
    LockToken.objects.is_locked(one)
    there, back = f"/both/{one.pk}/{two.pk}/", f"/both/{two.pk}/{one.pk}/"
    answers = race(
        *[lambda: call("patch", there, {})] * 4, *[lambda: call("patch", back, {})] * 4
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= REFUSALS | {200}
    assert title_of(one) == title_of(two) == str(statuses.count(200))
    assert not LockToken.objects.exists()
