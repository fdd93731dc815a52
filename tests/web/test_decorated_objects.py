"""Which object a decorator locks, and what it makes of the view."""

import json

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.http import Http404, HttpResponse
from django.test import Client

from lock_tokens.decorators import holds_lock_on_object, locks_object
from lock_tokens.models import LockToken
from lock_tokens.sessions import remember
from tests.models import Article, Draft, Label, Page, Price, Translation
from tests.support.helpers import of_url
from tests.support.objects import LOCKABLE
from tests.support.views import ALL, awaited, editor_of, here, not_reached, url_of

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


def test_a_composite_key_is_the_project_s_mistake_and_no_404(decorator, request_):
    view = decorator(Translation, of_url)(not_reached)
    with pytest.raises(ValueError, match="composite primary key"):
        view(request_, "1")


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
