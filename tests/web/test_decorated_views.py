"""Views and answers of every kind, decorated."""

import pytest
from django.http import (
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.generic import UpdateView

from lock_tokens.decorators import (
    holds_lock_on_object,
    locks_object,
    requires_lock_on_object,
)
from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.models import LockToken
from tests.models import Article, Plain
from tests.support.helpers import of_url
from tests.support.objects import title_of
from tests.support.views import (
    ALL,
    SyncClient,
    editing,
    editor_of,
    here,
    rename,
    token_of_row,
    url_of,
)

pytestmark = pytest.mark.django_db

all_decorators = pytest.mark.parametrize("decorator", ALL)
lock_it = method_decorator(locks_object(Article, of_url))
save_it = method_decorator(requires_lock_on_object(Article, of_url, release=True))


class EditView(View):
    @lock_it
    def get(self, request, key):
        return JsonResponse(request.lock_token)

    @save_it
    def post(self, request, key):
        """Save."""
        rename(request, key)
        return HttpResponseRedirect("/")


class AsyncEditView(View):
    @lock_it
    async def get(self, request, key):
        return JsonResponse(request.lock_token)

    @save_it
    async def post(self, request, key):
        """Save."""
        title = request.POST["title"]
        await Article.objects.filter(pk=key).aupdate(title=title)
        return HttpResponseRedirect("/")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("view", "new_client"), [(EditView, Client), (AsyncEditView, SyncClient)]
)
def test_a_method_of_a_class(serve, article, view, new_client):
    assert view.post.__name__ == "post"
    assert view.post.__doc__ == "Save."
    serve(view.as_view())
    client = new_client()
    token = client.get(url_of(article)).json()["token"]
    assert token_of_row(article) == token
    for method in ("get", "post"):
        assert getattr(new_client(), method)(url_of(article)).status_code == 403
    assert client.post(url_of(article), {"title": "Second"}).status_code == 302
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0
    assert client.post(url_of(article), {"title": "Third"}).status_code == 403


@method_decorator(locks_object(Article, of_url), name="dispatch")
class LockedView(View):
    def get(self, request, key):
        return JsonResponse(request.lock_token)

    post = get


def test_the_dispatch_method_of_a_class(serve, client, article):
    serve(LockedView.as_view())
    token = client.get(url_of(article)).json()["token"]
    assert client.post(url_of(article)).json()["token"] == token
    assert token_of_row(article) == token
    assert Client().get(url_of(article)).status_code == 403
    assert client.get("/five/").status_code == 404


class AnyView(View):
    def get(self, request, key):
        return HttpResponse("here")


class AnyAsyncView(View):
    async def get(self, request, key):
        return HttpResponse(f"here{'' if await Article.objects.acount() else '?'}")


@pytest.mark.django_db(transaction=True)
@all_decorators
@pytest.mark.parametrize(
    ("view_class", "new_client"), [(AnyView, Client), (AnyAsyncView, SyncClient)]
)
def test_as_view_of_a_class(serve, article, decorator, view_class, new_client):
    decorated = decorator(Article, of_url)(view_class.as_view())
    assert decorated.view_class is view_class
    client = editor_of(article, new_client)
    serve(decorated)
    assert client.get(url_of(article)).content == b"here"
    assert client.post(url_of(article)).status_code in (403, 405)
    if decorator is holds_lock_on_object:
        article.lock()
    assert new_client().get(url_of(article)).status_code == 403
    assert client.get("/five/").status_code == 404


def test_a_generic_editing_view_saves_and_keeps_the_lock_while_the_form_has_errors(
    article, settings
):
    class Update(UpdateView):
        model = Article
        fields = ["title"]
        success_url = "/"
        template_name = "lock_tokens/locked.html"

    client, token = editing(article)
    view = requires_lock_on_object(Article, lambda request, pk: pk, release=True)(
        Update.as_view()
    )
    settings.ROOT_URLCONF = (path("<pk>/", view),)
    assert client.post(url_of(article), {"title": "x" * 201}).status_code == 200
    assert title_of(article) == "First"
    assert article.check_lock(token)
    assert client.post(url_of(article), {"title": "Second"}).status_code == 302
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0


def test_decorators_stack(serve, article):
    """An outer locks_object, an inner save: the view of one page that does both."""
    other = Plain.objects.create()
    save = requires_lock_on_object(Article, of_url)(here)
    serve(locks_object(Plain, lambda request, key: other.pk)(save))
    assert editor_of(article).post(url_of(article)).content == b"here"
    assert LockToken.objects.is_locked(other)
    assert Client().post(url_of(article)).status_code == 403


@all_decorators
@pytest.mark.parametrize(
    "answer",
    [
        lambda request: StreamingHttpResponse([b"a", b"b"]),
        lambda request: TemplateResponse(request, "lock_tokens/locked.html"),
    ],
    ids=["streaming", "template"],
)
def test_answers_of_every_kind(serve, article, decorator, answer):
    serve(decorator(Article, of_url)(lambda request, key: answer(request)))
    given = editor_of(article).post(url_of(article))
    assert given.status_code == 200
    assert given.getvalue()


@pytest.mark.django_db(transaction=True)
@all_decorators
def test_a_sync_view_served_by_asgi(serve, article, decorator):
    serve(decorator(Article, of_url)(here))
    assert editor_of(article, SyncClient).post(url_of(article)).content == b"here"


@all_decorators
def test_a_page_s_token_needs_no_session(rf, article, decorator):
    request = rf.post("/", {"lock_token": article.lock()["token"]})
    assert decorator(Article, of_url)(here)(request, article.pk).content == b"here"


@all_decorators
@pytest.mark.parametrize("error", [InvalidToken, AlreadyLockedError])
def test_an_error_of_another_lock_in_the_view_is_no_refusal_of_this_one(
    serve, article, decorator, error
):
    def view(request, key):
        raise error("the view's")

    serve(decorator(Article, of_url)(view))
    with pytest.raises(error, match="the view's"):
        editor_of(article).post(url_of(article))
