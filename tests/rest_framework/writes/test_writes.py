"""Writes through views of REST framework, under the lock of their object."""

import pytest
from django.db import transaction
from rest_framework import exceptions
from rest_framework.generics import ListCreateAPIView
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import LockRefused
from tests.models import Article, Story
from tests.support.drf_site import (
    ArticleSerializer,
    ArticleViewSet,
    api_client,
    with_token,
)
from tests.support.drf_writes import (
    VOID,
    assert_refused,
    locked,
    made,
    needs_the_lock,
    request,
    url_of,
)
from tests.support.helpers import age, expire, lock_row
from tests.support.objects import title_of

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]

GUARDED = [
    "/api/articles/{}/",
    "/api/strict/{}/",
    "/api/releasing/{}/",
    "/api/permission/{}/",
    "/generic/{}/",
    "/mixed/{}/",
]


@pytest.fixture(params=GUARDED)
def url(request, article):
    """The article, in each kind of view."""
    return request.param.format(article.pk)


def test_without_the_token_a_locked_object_is_not_written_to(
    url, article, alice, client
):
    held = article.lock(user=alice)
    age(article, 100)
    before = lock_row(article).values().get()
    for method in ("put", "patch", "delete"):
        answer = getattr(client, method)(url, {"title": "Lost"})
        assert_refused(answer, 423, "locked")
        assert answer.json()["locked_by"] == "Alice Liddell"
        assert answer.json()["expires_at"] == before["expires_at"].isoformat()
        assert held["token"] not in answer.content.decode()
    assert title_of(article) == "First"
    assert lock_row(article).values().get() == before


@pytest.mark.parametrize("state", ["live", "expired"])
def test_with_the_token_it_is_written_to(url, article, client, state):
    headers = locked(article)
    age(article, 100) if state == "live" else expire(article)
    answer = client.patch(url, {"title": "Second"}, **headers)
    assert answer.status_code == 200
    assert title_of(article) == "Second"
    if "releasing" in url:
        assert "Lock-Expires-At" not in answer
        assert not lock_row(article).exists()
    else:
        lock = LockToken.objects.get_by_token(article, headers["headers"]["Lock-Token"])
        assert answer["Lock-Expires-At"] == lock.serialize()["expires_at"]


def test_a_void_token_writes_nothing(url, article, alice, client):
    own = article.lock()["token"]
    article.unlock(own)
    for locks, code in ((False, "not_locked"), (True, "wrong_token")):
        if locks:
            article.lock(user=alice)
        before = lock_row(article).values().first()
        for token in (own, VOID, "", "nonsense"):
            for method in ("put", "delete"):
                answer = request(client, method, url)(**with_token(token))
                assert_refused(answer, 412, code)
                holder = "Alice Liddell" if locks else None
                assert answer.json()["locked_by"] == holder
        assert lock_row(article).values().first() == before
    assert title_of(article) == "First"


def test_a_free_object_is_written_to_without_a_token(url, article, client):
    answer = client.patch(url, {"title": "Second"})
    if "strict" in url:
        assert_refused(answer, 428, "lock_required")
        assert title_of(article) == "First"
    else:
        assert answer.status_code == 200
        assert title_of(article) == "Second"
        assert answer.json()["lock"]["locked"] is False
    assert "Lock-Expires-At" not in answer
    assert not lock_row(article).exists()


def test_a_write_without_a_token_makes_an_expired_one_void(article, client):
    headers = locked(article)
    expire(article)
    url = f"/api/articles/{article.pk}/"
    assert client.patch(url, {"title": "Second"}).status_code == 200
    assert client.patch(url, {"title": "Stale"}, **headers).status_code == 412
    assert title_of(article) == "Second"


def test_a_delete_gives_the_lock_up(url, article, client):
    assert client.delete(url, **locked(article)).status_code == 204
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


def test_a_validation_error_keeps_the_lock_as_it_was(url, article, client):
    headers = locked(article)
    age(article, 100)
    before = lock_row(article).values().get()
    for method in (client.put, client.patch):
        answer = method(url, {"title": "x" * 500}, **headers)
        assert answer.status_code == 400
        assert set(answer.json()) == {"title"}
        assert lock_row(article).values().get() == before


def test_other_methods_are_answered_as_without_locks(url, article, client):
    article.lock()
    for method in (client.get, client.head, client.options):
        assert method(url).status_code == 200
    assert client.post(url, {"title": "x"}).status_code == 405


def test_an_action_on_a_locked_object_needs_its_token(article, client):
    send = request(client, "post", f"/api/articles/{article.pk}/shout/")
    needs_the_lock(send, article)
    assert title_of(article) == "FIRST"


def test_lists_need_no_token(article, client):
    article.lock()
    assert client.post("/api/strict/", {"title": "New"}).status_code == 201
    assert client.post("/api/strict/clear/").status_code == 204


# What a view overrides


def test_an_error_that_is_returned_keeps_the_lock(article, patch, serve_locked):
    def update(self, request, pk, partial=False):
        return Response({}, status=400)

    serve_locked(update=update, release_on_write=True)
    assert patch(**locked(article)).status_code == 400
    assert lock_row(article).exists()


def test_an_expiry_that_is_rolled_back_is_not_told(article, patch, serve_locked):
    def update(self, request, pk, partial):
        transaction.set_rollback(True)
        return Response({})

    serve_locked(update=update)
    answer = patch(**locked(article))
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer


def test_the_holder_of_a_write_without_a_token_is_its_user(
    article, alice, client, serve_locked
):
    def write(self, serializer):
        holders.append(LockToken.objects.info(article).locked_by)

    holders = []
    serve_locked(perform_update=write)
    in_session = APIClient()
    in_session.force_login(alice)
    for each in (client, in_session, api_client()):
        assert each.patch(url_of(article), {}).status_code == 200
    assert holders == [alice, alice, None]


def test_a_view_may_say_which_object_it_writes_to(article, patch, serve_locked):
    article.lock()
    for other in (Article.objects.create(), Story.objects.create()):
        serve_locked(get_object_to_lock=lambda view, other=other: other)
        headers = locked(other)
        assert patch().status_code == 423
        answer = patch(**headers)
        assert answer.status_code == 200
        assert answer["Lock-Expires-At"]
    serve_locked(get_object_to_lock=lambda view: None)
    answer = patch()
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer


def test_a_view_may_have_a_list_for_a_queryset(article, patch, serve_locked):
    serve_locked(
        get_queryset=lambda view: [article],
        filter_queryset=lambda view, found: Article.objects.all(),
    )
    article.lock()
    assert patch().status_code == 423


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lookup_field", ["pk", "title"])
def test_a_queryset_may_lock_its_rows(article, client, serve_locked, lookup_field):
    @transaction.atomic
    def update(self, request, *args, **kwargs):
        return ModelViewSet.update(self, request, *args, **kwargs)

    serve_locked(
        get_queryset=lambda view: Article.objects.select_for_update(),
        update=update,
        lookup_field=lookup_field,
        lookup_url_kwarg="pk",
    )
    Article.objects.update(title=str(article.pk))
    needs_the_lock(request(client, "patch", article, {}), article)


def test_a_list_below_an_object_is_not_that_object(article, client, serve):
    article.lock()
    post = request(client, "post", article)
    serve(made("mixin", ListCreateAPIView))
    assert post().status_code == 201
    lists = type("Lists", (ArticleViewSet,), {"act": lambda *a, **kw: Response({})})
    for options, status in (({"detail": False}, 200), ({}, 423)):
        serve(lists.as_view({"post": "act"}, **options))
        assert post().status_code == status


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_write_may_come_in_any_format(article, patch, serve_locked, form):
    serve_locked()
    assert patch(format=form, **locked(article)).status_code == 200
    assert title_of(article) == "Second"


# What else looks at a view


@pytest.mark.parametrize("kind", [*GUARDED, "/hand-made/{}/"])
def test_the_browsable_api_shows_its_pages(article, client, kind):
    def page(method, **headers):
        headers["Accept"] = "text/html"
        answer = getattr(client, method)(url, {"title": "x"}, headers=headers)
        assert "<html" in answer.content.decode()
        return answer.status_code

    url = kind.format(article.pk)
    token = article.lock()["token"]
    assert page("get") == (405 if "hand-made" in kind else 200)
    assert page("put") == 423
    assert page("put", **{"Lock-Token": token}) == 200
    assert page("options") == 200


def codes(error, context):
    """An exception handler that looks into the errors, as some packages do."""
    assert isinstance(error, exceptions.APIException)
    return Response(
        {"codes": error.get_codes(), "full": error.get_full_details()},
        status=error.status_code,
    )


def test_other_exception_handlers_can_read_a_refusal(article, patch, serve_locked):
    serve_locked(get_exception_handler=lambda view: codes)
    article.lock()
    answer = patch().json()
    assert (answer["codes"], answer["full"]["code"]) == ("locked", "locked")


# The words of a refusal, and of a mistake


def test_a_refusal_says_its_sentence(patch, serve_locked, article):
    refusals = []

    class View(ModelViewSet):
        def handle_exception(self, error):
            refusals.append(error)
            return super().handle_exception(error)

    serve_locked(View)
    locked(article)
    for headers in ({}, with_token(VOID)):
        answer = patch(**headers)
        error = refusals.pop()
        assert isinstance(error, LockRefused)
        assert error.status_code == answer.status_code
        assert str(error) == answer.json()["detail"]


@pytest.mark.parametrize("many", [True, False])
def test_the_state_of_what_is_no_object_is_a_mistake(article, many):
    rows = Article.objects.values("id", "title")
    serializer = ArticleSerializer(rows if many else rows[0], many=many)
    with pytest.raises(TypeError, match="LockStateField"):
        print(serializer.data)
