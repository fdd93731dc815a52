"""A replica that lags: what a request reads under a lock does not come from there."""

import pytest

from lock_tokens.models import LockToken
from tests.models import Article, Desk, Page
from tests.support.drf_site import with_token
from tests.support.replica import as_written, catch_up

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"], transaction=True),
    pytest.mark.urls("tests.support.drf_site"),
    pytest.mark.usefixtures("replica"),
]


@pytest.fixture
def article():
    article = Article.objects.create(title="First")
    catch_up(Article)
    Article.objects.update(title="Second")
    return article


@pytest.mark.parametrize("with_a_lock", [True, False])
@pytest.mark.parametrize("view", ["api/articles", "api/permission", "generic", "mixed"])
def test_a_write_that_changes_nothing_undoes_nothing(
    client, article, view, with_a_lock
):
    url = f"/{view}/{article.pk}/"
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(as_written(article)).token_str)
    answer = client.patch(url, {}, **headers)
    assert (answer.status_code, answer.json()["title"]) == (200, "Second")
    assert as_written(article).title == "Second"


def test_a_write_by_another_field_than_the_key(client):
    desk = Desk.objects.create(name="news", telephone="1")
    catch_up(Desk)
    Desk.objects.update(telephone="2")
    answer = client.patch("/api/desks/news/", {"name": "news"})
    assert (answer.status_code, answer.json()["telephone"]) == (200, "2")
    assert as_written(desk).telephone == "2"


@pytest.mark.parametrize("view", ["api/articles", "api/permission", "generic", "mixed"])
def test_one_object_is_shown_as_it_is_saved_and_a_list_as_the_replica_has_it(
    client, article, view
):
    url = f"/{view}/{article.pk}/"
    assert client.get(url).json()["title"] == "Second"
    assert client.head(url).status_code == 200
    assert client.options(url).status_code == 200
    assert [each["title"] for each in client.get("/api/articles/").json()] == ["First"]


def test_what_the_replica_does_not_have_yet_can_be_locked(client):
    page = Page.objects.create()
    url = f"/api/pages/{page.pk}/"
    assert client.get(f"{url}lock/").json()["locked"] is False
    token = client.post(f"{url}lock/").json()["token"]
    answer = client.patch(url, {"title": "New"}, **with_token(token))
    assert answer.status_code == 200
    assert client.delete(f"{url}lock/", **with_token(token)).status_code == 204
