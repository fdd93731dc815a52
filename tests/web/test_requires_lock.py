"""``requires_lock_on_object``: a view that saves, inside a fence."""

from functools import partial

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect

from lock_tokens.decorators import requires_lock_on_object
from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import fence
from lock_tokens.models import LockToken
from lock_tokens.sessions import remember
from tests.models import Article
from tests.support.helpers import (
    InThread,
    expire,
    race,
    wait_until_blocked_or_done,
)
from tests.support.objects import title_of
from tests.support.views import (
    editing,
    editor_of,
    not_reached,
    rename,
    save,
    save_and_leave,
    send_token,
    take_and_leave,
    token_in_session,
    token_of_row,
    url_of,
    with_session,
)

pytestmark = pytest.mark.django_db

ANSWERS_THAT_SAVED = [201, 202, 204, 301, 302, 303, 307, 308]
ANSWERS_THAT_DID_NOT = [200, 203, 206, 300, 304, 400, 403, 404, 409, 422]


@pytest.fixture
def require(decorate):
    """Serve a view that needs the lock."""
    return partial(decorate, requires_lock_on_object)


@pytest.fixture(params=[False, True])
def release(request):
    """Without the release that follows a save, and with it."""
    return request.param


@pytest.mark.parametrize("has_expired", [False, True])
def test_it_saves_with_the_session_s_token_and_keeps_the_lock(
    require, article, has_expired, new_client
):
    client, token = editing(article, new_client)
    if has_expired:  # and nobody took it
        expire(article)

    def view(request, key):
        assert request.lock_token == LockToken.objects.get().serialize()
        assert request.lock_token["token"] == token
        rename(request, key)
        return HttpResponse("saved")

    require(view, new_client)
    assert client.post(url_of(article), {"title": "Second"}).status_code == 200
    assert title_of(article) == "Second"
    assert article.is_locked()
    assert token_in_session(client, article) == token == token_of_row(article)
    assert client.post("/five/", {"title": "Third"}).status_code == 404


def test_it_saves_with_the_page_s_token(require, article, how, new_client):
    token = article.lock()["token"]
    require(save.__wrapped__, new_client)
    answer = send_token(new_client(), how, url_of(article), token, title="Second")
    assert answer.status_code == 200
    assert title_of(article) == "Second"


def test_a_void_page_beside_a_good_session(require, article, how, new_client):
    client, token = editing(article, new_client)
    require(not_reached, new_client)
    answer = send_token(client, how, url_of(article), "0" * 32, title="Second")
    assert answer.status_code == 403
    assert article.check_lock(token)


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("method", ["get", "post"])
def test_it_refuses_without_a_token(require, article, locked, method, new_client):
    if locked:
        article.lock()
    require(not_reached, new_client)
    assert getattr(new_client(), method)(url_of(article)).status_code == 403
    assert LockToken.objects.count() == locked


@pytest.mark.parametrize("state", ["free", "taken", "taken and expired"])
def test_a_void_token_writes_nothing(require, article, state, release):
    client, void = editing(article)
    take_and_leave(article)
    if state != "free":
        article.lock()
    if state == "taken and expired":
        expire(article)
    before = list(LockToken.objects.values())
    require(not_reached, release=release)
    for form in ({"title": "Mine"}, {"title": "Mine", "lock_token": void}):
        assert client.post(url_of(article), form).status_code == 403
    assert title_of(article) == "First"
    assert list(LockToken.objects.values()) == before


@pytest.mark.parametrize("error", [Http404, PermissionDenied, KeyError])
def test_it_undoes_everything_when_the_view_raises(
    require, article, error, release, new_client
):
    client, token = editing(article, new_client)
    expire(article)
    before = LockToken.objects.values().get()

    def view(request, key):
        rename(request, key)
        raise error("the view's")

    require(view, new_client, release=release)
    client.raise_request_exception = False
    answer = client.post(url_of(article), {"title": "Second"})
    assert answer.status_code in (403, 404, 500)
    assert title_of(article) == "First"
    assert LockToken.objects.values().get() == before
    assert token_in_session(client, article) == token


def test_it_is_one_transaction_with_the_view(require, article):
    client = editor_of(article)
    depth = len(connection.savepoint_ids)

    def view(request, key):
        assert connection.in_atomic_block
        assert len(connection.savepoint_ids) > depth
        return HttpResponse()

    require(view)
    assert client.post(url_of(article)).status_code == 200


def test_a_void_token_that_the_view_itself_meets_is_the_view_s_own_error(
    require, article
):
    another = Article.objects.create()

    def view(request, key):
        with fence(another, "0" * 32):
            pytest.fail("the block ran")

    require(view)
    with pytest.raises(InvalidToken) as caught:
        editor_of(article).post(url_of(article))
    assert caught.value.obj == another


def test_a_view_that_answers_nothing_gets_django_s_own_error(require, article):
    require(lambda request, key: None, release=True)
    with pytest.raises(ValueError, match="didn't return an HttpResponse"):
        editor_of(article).post(url_of(article))


# Release


@pytest.mark.parametrize(
    ("status", "release", "gives_up"),
    [
        *((status, True, True) for status in ANSWERS_THAT_SAVED),
        *((status, True, False) for status in ANSWERS_THAT_DID_NOT),
        *((status, False, False) for status in (200, 302)),
    ],
)
def test_release_gives_the_lock_up_when_the_answer_says_saved(
    require, article, status, release, gives_up, new_client
):
    client, token = editing(article, new_client)

    def view(request, key):
        rename(request, key)
        return HttpResponse(status=status)

    require(view, new_client, release=release)
    assert client.post(url_of(article)).status_code == status
    assert title_of(article) == "renamed"
    left = None if gives_up else token
    assert token_of_row(article) == token_in_session(client, article) == left


@pytest.mark.parametrize(("header", "released"), [("yes", True), ("no", False)])
def test_release_may_be_a_function_of_the_answer(require, article, header, released):
    client = editor_of(article)
    answers = []

    def done(answer):
        answers.append(answer)
        return answer["X-Done"] == "yes"

    require(lambda request, key: HttpResponse(headers={"X-Done": header}), release=done)
    assert client.post(url_of(article)).status_code == 200
    assert [given["X-Done"] for given in answers] == [header]
    assert (LockToken.objects.count() == 0) is released
    assert (token_in_session(client, article) is None) is released


def test_an_error_in_that_function_undoes_the_save(require, article):
    client, token = editing(article)

    def done(answer):
        raise ZeroDivisionError

    require(save.__wrapped__, release=done)
    with pytest.raises(ZeroDivisionError):
        client.post(url_of(article))
    assert title_of(article) == "First"
    assert article.check_lock(token)


def test_a_double_submit_is_refused(serve, article):
    client, token = editing(article)
    serve(save_and_leave)
    form = {"title": "Second", "lock_token": token}
    assert client.post(url_of(article), form).status_code == 302
    assert client.post(url_of(article), form).status_code == 403
    assert client.post(url_of(article), {"title": "Third"}).status_code == 403
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0


def test_releasing_the_page_s_token_leaves_the_session_s_newer_one(serve, article):
    """Two tabs with two tokens: what the session has is not the page's to forget."""
    client, token = editing(article)
    session = client.session
    remember(article, session, "0" * 32)
    session.save()
    serve(save_and_leave)
    assert client.post(url_of(article), {"lock_token": token}).status_code == 302
    assert token_in_session(client, article) == "0" * 32


def test_releasing_forgets_nothing_where_there_is_no_session(rf, article):
    request = rf.post("/", {"lock_token": article.lock()["token"]})
    assert save_and_leave(request, article.pk).status_code == 302
    assert not article.is_locked()


def test_the_view_may_delete_the_object(require, article, release):
    client = editor_of(article)

    def view(request, key):
        Article.objects.get(pk=key).delete()
        return HttpResponseRedirect("/")

    require(view, release=release)
    assert client.post(url_of(article)).status_code == 302
    assert not Article.objects.exists()
    assert LockToken.objects.count() == 0
    assert (token_in_session(client, article) is None) is release
    assert client.post(url_of(article)).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_statements_of_a_save(rf, session, article, django_assert_num_queries):
    request = rf.post("/")
    request.session = session
    session["loaded"] = True
    remember(article, session, article.lock()["token"])
    view = requires_lock_on_object(Article, lambda request: article.pk, release=True)(
        lambda request: HttpResponse(status=204)
    )
    # The object, the fence, the release; and BEGIN and COMMIT where they are logged.
    with django_assert_num_queries(3 + 2 * connection.features.uses_savepoints) as q:
        view(request)
    statements = [query["sql"].split()[0] for query in q if "BEGIN" not in query["sql"]]
    assert statements == ["SELECT", "UPDATE", "DELETE", "COMMIT"]


# The whole transaction


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("raises", [False, True])
def test_it_works_under_atomic_requests(require, atomic_requests, article, raises):
    client, token = editing(article)

    def view(request, key):
        rename(request, key)
        if raises:
            raise Http404
        return HttpResponseRedirect("/")

    require(view, release=True)
    status = client.post(url_of(article), {"title": "Second"}).status_code
    if raises:
        assert status == 404
        assert title_of(article) == "First"
        assert article.check_lock(token)
        assert token_in_session(client, article) == token
    else:
        assert status == 302
        assert title_of(article) == "Second"
        assert LockToken.objects.count() == 0
        assert client.post(url_of(article), {"title": "Third"}).status_code == 403
        assert title_of(article) == "Second"


@pytest.mark.django_db(transaction=True)
def test_a_refusal_under_atomic_requests_changes_nothing(
    require, atomic_requests, article
):
    client = editor_of(article)
    take_and_leave(article)
    article.lock()
    before = LockToken.objects.values().get()
    require(not_reached)
    assert client.post(url_of(article)).status_code == 403
    assert LockToken.objects.values().get() == before


@pytest.mark.django_db(transaction=True)
def test_outside_of_one_it_opens_and_ends_a_transaction(require, article, new_client):
    client = editor_of(article, new_client)
    require(save_and_leave.__wrapped__, new_client, release=True)
    assert client.post(url_of(article)).status_code == 302
    assert client.post(url_of(article)).status_code == 403
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_a_view_that_has_its_transaction_undone_keeps_the_lock(require, article):
    client = editor_of(article)

    def view(request, key):
        rename(request, key)
        transaction.set_rollback(True)
        return HttpResponseRedirect("/")

    require(view, release=True)
    assert client.post(url_of(article)).status_code == 302
    assert title_of(article) == "First"
    assert article.is_locked()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_nobody_takes_the_lock_while_the_view_saves(require, article):
    client = editor_of(article)
    expire(article)

    def acquire():
        try:
            article.lock()
        except AlreadyLockedError:
            return "refused", None
        return "locked", title_of(article)

    def view(request, key):
        # The other waits for the end of this transaction, or is refused at once.
        view.other = InThread(acquire)
        wait_until_blocked_or_done(view.other)
        rename(request, key)
        return HttpResponseRedirect("/")

    require(view, release=True)
    assert client.post(url_of(article)).status_code == 302
    assert title_of(article) == "renamed"
    # Whoever got the lock got it after the save.
    assert view.other() in [("refused", None), ("locked", "renamed")]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_submits_at_once_save_once(require, article):
    client, token = editing(article)
    saved = []

    def view(request, key):
        saved.append(request.POST["title"])
        rename(request, key)
        return HttpResponseRedirect("/")

    require(view, release=True)

    def submit(title):
        tab = with_session(client.session)
        form = {"lock_token": token, "title": title}
        return tab.post(url_of(article), form).status_code

    statuses = race(*[partial(submit, title) for title in "abcd"])
    assert sorted(statuses) == [302, 403, 403, 403]
    assert [title_of(article)] == saved
    assert LockToken.objects.count() == 0
