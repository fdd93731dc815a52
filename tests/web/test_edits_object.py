"""``edits_object``: one decorator for a view that shows a form and saves it."""

from functools import partial

import pytest
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.decorators import method_decorator
from django.views.generic import UpdateView

from lock_tokens.decorators import edits_object
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import InThread, race, wait_until_blocked_or_done
from tests.support.objects import rename, title_of
from tests.support.views import (
    not_reached,
    take_and_leave,
    token_in_session,
    token_of_row,
    url_of,
)

pytestmark = pytest.mark.django_db


def edit(request, key):
    """Show the article, or save the title that was sent. An empty title is an error."""
    article = request.locked_object
    if request.method == "POST" and request.POST["title"]:
        article.title = request.POST["title"]
        article.save()
        return HttpResponseRedirect("/")
    return JsonResponse({"title": article.title, **request.lock_token})


@pytest.fixture
def page(serve):
    serve(edits_object(Article, "key")(edit))


def send(client, article, token, title):
    return client.post(url_of(article), {"lock_token": token, "title": title})


@pytest.mark.django_db(transaction=True)
def test_a_page_is_opened_has_an_error_is_saved_and_is_free(
    decorate, article, new_client
):
    decorate(edits_object, edit, new_client)
    alice, bob = new_client(), new_client()
    page = alice.get(url_of(article)).json()
    assert page["title"] == "First"
    assert page["token"] == token_of_row(article) == token_in_session(alice, article)
    assert bob.get(url_of(article)).status_code == 403
    assert send(alice, article, page["token"], "").json()["token"] == page["token"]
    assert article.is_locked()
    assert send(alice, article, page["token"], "Second").status_code == 302
    assert title_of(article) == "Second"
    assert not article.is_locked()
    assert token_in_session(alice, article) is None
    assert bob.get(url_of(article)).json()["title"] == "Second"


@pytest.mark.usefixtures("page")
def test_a_page_that_lost_its_lock_saves_nothing(article, client):
    token = client.get(url_of(article)).json()["token"]
    take_and_leave(article)
    answer = send(client, article, token, "Second")
    assert answer.status_code == 403
    assert "Second" in answer.content.decode()
    assert title_of(article) == "First"


@pytest.mark.usefixtures("page")
def test_head_shows_the_object_and_locks_nothing(article, client):
    assert client.head(url_of(article)).status_code == 200
    assert not article.is_locked()


def test_options_asks_only_the_view(serve, article, client):
    def view(request, key):
        assert not hasattr(request, "locked_object")
        return HttpResponse()

    serve(edits_object(Article, "key")(view))
    assert client.options(url_of(article)).status_code == 200


@pytest.mark.parametrize(
    ("release", "is_released"),
    [(False, False), (True, False), (lambda answer: "Saved" in answer, True)],
)
def test_release_says_which_answers_release(
    serve, article, client, release, is_released
):
    def view(request, key):
        return HttpResponse(headers={"Saved": "yes"})

    serve(edits_object(Article, "key", release)(view))
    client.get(url_of(article))
    assert client.post(url_of(article)).status_code == 200
    assert article.is_locked() is not is_released


def test_a_generic_view_takes_the_object_as_its_own(serve, article, client):
    @method_decorator(edits_object(Article, "key"), name="dispatch")
    class Update(UpdateView):
        fields = ["title"]
        success_url = "/"

        def get_object(self):
            return self.request.locked_object

        def render_to_response(self, context, **kwargs):
            return HttpResponse(context["form"].initial["title"])

    serve(Update.as_view())
    assert client.get(url_of(article)).content == b"First"
    assert client.post(url_of(article), {"title": "Second"}).status_code == 302
    assert (title_of(article), article.is_locked()) == ("Second", False)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.django_db(transaction=True)
def test_the_object_is_read_under_its_lock(serve, article, client, method):
    """Somebody saves after the decorator found the object, and before it is locked."""

    def get_object(request, key):
        found = Article.objects.get(pk=key)
        race(partial(rename, article, "Theirs"))
        return found

    serve(edits_object(Article, "key")(edit))
    client.get(url_of(article))
    serve(edits_object(Article, get_object)(edit))
    answer = getattr(client, method)(url_of(article), {"title": ""})
    assert answer.json()["title"] == "Theirs"


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
@pytest.mark.usefixtures("atomic_requests")
@pytest.mark.django_db(transaction=True)
def test_it_is_read_anew_in_a_transaction_that_has_read_it(serve, article, client):
    test_the_object_is_read_under_its_lock(serve, article, client, "post")


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_object_that_is_deleted_meanwhile_is_a_404(serve, article, client, method):
    serve(edits_object(Article, "key")(edit))
    client.get(url_of(article))

    def get_object(request, key):
        found = Article.objects.get(pk=key)
        Article.objects.filter(pk=key)._raw_delete("default")
        return found

    serve(edits_object(Article, get_object)(not_reached))
    answer = getattr(client, method)(url_of(article), {"title": "Second"})
    assert answer.status_code == 404
    # What was typed is given back.
    assert ("Second" in answer.content.decode()) is (method == "post")


@pytest.mark.django_db(transaction=True)
def test_a_save_keeps_others_out_until_it_is_committed(serve, article, client):
    def view(request, key):
        answer = edit(request, key)
        if request.method == "POST":
            rival = InThread(lambda: LockToken.objects.take_over(article))
            wait_until_blocked_or_done(rival)
            assert rival.is_running()
            transaction.on_commit(rival)
        return answer

    serve(edits_object(Article, "key")(view))
    token = client.get(url_of(article)).json()["token"]
    assert send(client, article, token, "Second").status_code == 302
    assert title_of(article) == "Second"
    assert article.is_locked()
