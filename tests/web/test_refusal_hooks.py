"""What a decorator answers without the lock. Its page is in test_refusals."""

import pytest
from django.http import HttpResponse
from django.test import Client

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import of_url
from tests.support.views import (
    ALL,
    LOCKING,
    SyncClient,
    awaited,
    not_reached,
    url_of,
    use_template,
)

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("decorator", ALL)]


@pytest.fixture
def refuse(serve, decorator):
    """Serve a view that is not reached, with hooks."""

    def refuse(view=not_reached, **hooks):
        serve(decorator(Article, of_url, **hooks)(view))

    return refuse


@pytest.mark.parametrize("new_client", [Client, SyncClient])
def test_the_response_hook_gets_the_request_and_the_error(
    refuse, article, alice, decorator, new_client
):
    article.lock(user=alice)
    seen = []

    class Falsy(HttpResponse):
        def __bool__(self):
            return False

    def response(request, error):
        seen.append((request, error))
        return Falsy("ours", status=423)

    refuse(
        not_reached if new_client is Client else awaited(not_reached), response=response
    )
    answer = new_client().post(url_of(article), {"title": "typed"})
    assert (answer.status_code, answer.content) == (423, b"ours")
    ((request, error),) = seen
    assert request.POST["title"] == "typed"
    assert error.obj == article
    locks = decorator in LOCKING
    assert isinstance(error, AlreadyLockedError if locks else InvalidToken)
    assert not locks or error.locked_by == alice


def test_the_response_hook_is_not_asked_about_an_object_that_is_gone(refuse, client):
    refuse(response=lambda request, error: error.obj)
    answer = client.post("/5/", {"title": "typed"})
    assert answer.status_code == 404
    assert "typed" in answer.content.decode()
    assert client.post("/5/").status_code == 404


def test_the_error_has_the_object_as_it_is_now(refuse, client, article, monkeypatch):
    """Another saves and is still there between this request's look and its lock."""
    article.lock()
    key_of = LockToken.objects.key_of
    seen = []

    def saved_meanwhile(self, obj):
        Article.objects.filter(title="First").update(title="Second")
        return key_of(obj)

    def response(request, error):
        seen.append(error.obj.title)
        return HttpResponse(status=403)

    refuse(response=response)
    monkeypatch.setattr(type(LockToken.objects), "key_of", saved_meanwhile)
    assert client.post(url_of(article)).status_code == 403
    assert seen == ["Second"]


def test_the_template_hook(refuse, client, article, settings):
    use_template(settings, "{{ object.pk }} {{ submitted.0.1 }} {{ error }}")
    article.lock()
    refuse(template="ours.html")
    answer = client.post(url_of(article), {"title": "typed"})
    assert answer.status_code == 403
    assert answer.content.decode().startswith(f"{article.pk} typed ")
    assert answer["Cache-Control"] == "no-store"
    # It is also what gives back the input for an object that is gone.
    answer = client.post("/0/", {"title": "typed"})
    assert answer.status_code == 404
    assert answer.content.decode().strip().startswith("typed There is no article")


def test_without_a_hook_there_is_a_plain_page(refuse, client, article):
    article.lock()
    refuse()
    answer = client.post(url_of(article), {"title": "typed"})
    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/html")
    assert "typed" in answer.content.decode()
    assert "lock_tokens/locked.html" in [t.name for t in answer.templates]
