"""What all decorators share: their object, their view, and what they answer instead."""

import json
from functools import partial

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.http import Http404, HttpResponse
from django.test import Client

from lock_tokens.decorators import holds_lock_on_object, locks_object
from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.sessions import remember
from tests.models import Article, Draft, Label, Page, Plain, Price, Translation
from tests.support.helpers import of_url
from tests.support.objects import LOCKABLE
from tests.support.views import (
    ALL,
    LOCKING,
    awaited,
    editor_of,
    here,
    not_reached,
    url_of,
    use_template,
)

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("decorator", ALL)]


@pytest.fixture
def request_(rf, session):
    request = rf.get("/")
    request.session = session
    return request


@pytest.mark.parametrize("is_async", [False, True])
def test_the_view_keeps_its_name_doc_and_attributes(decorator, is_async, request_):
    def my_view(request, key):
        """What it is for."""

    if is_async:
        my_view = awaited(my_view)
        my_view.__doc__ = "What it is for."
    my_view.login_required = False
    decorated = decorator(Article, of_url)(my_view)
    assert decorated.__name__ == my_view.__name__
    assert decorated.__qualname__ == my_view.__qualname__
    assert decorated.__module__ == my_view.__module__
    assert decorated.__doc__ == "What it is for."
    assert decorated.login_required is False
    assert decorated.__wrapped__ is my_view
    assert iscoroutinefunction(decorated) is is_async
    with pytest.raises(Http404):
        (async_to_sync(decorated) if is_async else decorated)(request_, key="0")


def test_get_object_id_is_called_with_the_view_s_arguments(
    decorator, article, request_
):
    called = []

    def get_object_id(*args, **kwargs):
        called.append((args, kwargs))
        return article.pk

    @decorator(Article, get_object_id)
    def view(request, *args, **kwargs):
        return HttpResponse(json.dumps([args, kwargs]))

    remember(article, request_.session, article.lock()["token"])
    answer = view(request_, "positional", named="named")
    assert called == [((request_, "positional"), {"named": "named"})]
    assert json.loads(answer.content) == [["positional"], {"named": "named"}]


def test_get_object_id_may_read_the_query(decorator, serve, article):
    client = editor_of(article)
    serve(decorator(Article, lambda request, key: request.GET.get("article"))(here))
    assert client.get(f"/x/?article={article.pk}").content == b"here"
    assert client.get("/x/").status_code == 404
    assert client.get("/x/?article=").status_code == 404


NO_KEYS = {
    Article: [
        *(None, "", " ", "five", "1.5", "1e3", "0x1", "-1", 0, "99999999"),
        *("9" * 30, "9" * 5000, 2**63, -(2**63) - 1, 10**30),
        *("1\0", "\0", "\ud800", "١٢٣٤٥٦٧٨", [], {}),
    ],
    Label: [
        *(None, "", "unknown", "\0", "a\0b", "\ud800", "x" * 256, "x" * 100_000),
        "'; DROP TABLE tests_label; --",
    ],
    Page: [
        *(None, "", "5", 5, "not-a-uuid", "\0" * 32, "\ud800", 2**200),
        "5f0c1f39-6b3b-4c12-9d0e-0a4d4b7d1a1",
        "5f0c1f39-6b3b-4c12-9d0e-0a4d4b7d1a11",
    ],
    Price: ["1e400", "NaN", "x", "9" * 40],
}


@pytest.mark.parametrize(
    ("model", "key"),
    [(model, key) for model, keys in NO_KEYS.items() for key in keys],
    ids=lambda value: ascii(value)[:20] if not isinstance(value, type) else None,
)
def test_a_key_that_is_none_or_of_no_object_is_a_404(decorator, model, key, request_):
    view = decorator(model, lambda request: key)(not_reached)
    with pytest.raises(Http404):
        view(request_)
    assert LockToken.objects.count() == 0
    # The database still answers: nothing has broken the transaction.
    assert Article.objects.count() == 0


def test_an_url_for_no_object_is_a_404_page(decorator, serve, client):
    serve(decorator(Article, of_url)(here))
    for url in ("/5/", "/five/", "/%00/", "/%FF/", f"/{'9' * 40}/"):
        assert client.get(url).status_code == 404
        assert client.post(url).status_code == 404


def test_the_model_may_be_a_label_and_the_key_the_name_of_an_argument(
    decorator, serve, article
):
    serve(decorator("tests.Article", "key")(here))
    client = editor_of(article)
    assert client.post(url_of(article)).content == b"here"
    assert client.post("/99999999/").status_code == 404


def test_the_function_may_return_the_object(decorator, serve, article):
    serve(decorator(Article, lambda request, key: Article.objects.get(pk=key))(here))
    assert editor_of(article).post(url_of(article)).content == b"here"


def test_a_function_that_returns_none_is_a_404_that_says_so(decorator, request_):
    view = decorator(Article, lambda request: None)(not_reached)
    with pytest.raises(Http404, match="get_object_id returned None"):
        view(request_)


def test_an_object_of_another_model_is_the_project_s_mistake(decorator, request_):
    plain = Plain.objects.create()
    view = decorator(Article, lambda request: plain)(not_reached)
    with pytest.raises(TypeError, match=r"of tests\.Article, not of tests\.Plain"):
        view(request_)


def test_a_name_that_is_no_argument_is_told_with_those_that_are(decorator, request_):
    view = decorator(Article, "pk")(not_reached)
    with pytest.raises(TypeError, match=r"no keyword argument 'pk'.*with article_id"):
        view(request_, article_id=5)
    with pytest.raises(TypeError, match="with none"):
        view(request_, 5)


async def no_function(request, key):
    return key


@pytest.mark.parametrize(
    ("error", "words", "arguments", "options"),
    [
        (LookupError, "doesn't have a 'Artikel' model", ["tests.Artikel", "key"], {}),
        (TypeError, "such as 'articles.Article'", ["no label", "key"], {}),
        (TypeError, "must be a model", [Article(), "key"], {}),
        (TypeError, "must be a model", [Article.objects, "key"], {}),
        (TypeError, "must be a model", [str, "key"], {}),
        (TypeError, "is abstract", [LockableModel, "key"], {}),
        (ValueError, "composite primary key", [Translation, "key"], {}),
        (TypeError, "the name of a keyword argument", [Article, 5], {}),
        (TypeError, "the name of a keyword argument", [Article, None], {}),
        (TypeError, "no coroutine function", [Article, no_function], {}),
        (TypeError, "response must", [Article, "key"], {"response": "refused.html"}),
    ],
)
def test_a_wrong_argument_is_told_when_the_view_is_decorated(
    decorator, error, words, arguments, options
):
    with pytest.raises(error, match=words):
        decorator(*arguments, **options)


def test_an_object_that_the_default_manager_hides_is_a_404(decorator, serve):
    draft = Draft.objects.create()
    client = editor_of(draft)
    serve(decorator(Draft, of_url)(here))
    assert client.get(url_of(draft)).status_code == 200
    hidden = Draft.objects.create(draft=False)
    assert client.get(url_of(hidden)).status_code == 404
    assert LockToken.objects.current_token(hidden) is None


@pytest.mark.parametrize("kind", LOCKABLE)
def test_objects_of_any_model_and_key(decorator, kind, serve, client):
    obj = LOCKABLE[kind]()
    serve(locks_object(type(obj), lambda request, key: obj.pk)(here))
    assert client.get("/x/").content == b"here"
    serve(decorator(type(obj), lambda request, key: str(obj.pk))(here))
    assert client.post("/x/").content == b"here"
    assert Client().post("/x/").status_code == (
        200 if decorator is holds_lock_on_object else 403
    )


# What a decorator answers without the lock. Its page is in test_refusals


@pytest.fixture
def refuse(decorate, decorator):
    """Serve a view that is not reached, with hooks."""
    return partial(decorate, decorator, not_reached)


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

    refuse(new_client, response=response)
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
    assert client.get(url_of(article)).status_code == 403
    answer = client.post(url_of(article), {"title": "typed"})
    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/html")
    assert "typed" in answer.content.decode()
    assert "lock_tokens/locked.html" in [t.name for t in answer.templates]
