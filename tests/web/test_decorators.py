"""Views that lock the object that they are about, through Django's own handlers."""

import json
import threading

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection, connections, transaction
from django.http import (
    Http404,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
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
from lock_tokens.holding import fence
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.sessions import get_session_token, remember
from tests.models import (
    Article,
    Draft,
    Feature,
    Label,
    Page,
    Plain,
    Price,
    Translation,
)
from tests.support.helpers import expire, new_session, of_url, race, urls_of, wait_until

pytestmark = pytest.mark.django_db

ALL = [locks_object, holds_lock_on_object, requires_lock_on_object]
LOCKING = [locks_object, holds_lock_on_object]
ANSWERS_THAT_SAVED = [201, 202, 204, 301, 302, 303, 307, 308]
ANSWERS_THAT_DID_NOT = [200, 203, 206, 300, 304, 400, 403, 404, 409, 422]


@pytest.fixture
def article():
    return Article.objects.create(title="First")


@pytest.fixture
def serve(settings):
    """Give a view the urls ``/<key>/``."""

    def serve(view):
        settings.ROOT_URLCONF = urls_of(view)

    return serve


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


def url_of(obj):
    return f"/{obj.pk}/"


def key_of(request, key):
    return key


def token_in_session(client, obj):
    return get_session_token(obj, client.session)


def standing_token(obj):
    current_token = LockToken.objects.current_token(obj)
    return current_token and current_token.token


def title_of(article):
    return type(article).objects.get(pk=article.pk).title


def take_and_leave(obj):
    """Let another have the object's expired lock for a while, and leave."""
    expire(obj)
    obj.unlock(obj.lock()["token"])


def rename(request, key):
    Article.objects.filter(pk=key).update(title=request.POST.get("title", "renamed"))


@locks_object(Article, of_url)
def edit(request, key):
    return JsonResponse({**request.lock_token, "method": request.method})


@requires_lock_on_object(Article, of_url)
def save(request, key):
    rename(request, key)
    return HttpResponse("saved")


@requires_lock_on_object(Article, of_url, release=True)
def save_and_leave(request, key):
    rename(request, key)
    return HttpResponseRedirect("/")


def editing(obj):
    """Return a client whose session has the object's lock, and the token."""
    client = Client()
    session = client.session
    token = LockableModel.lock(obj)["token"]
    remember(obj, session, token)
    session.save()
    client.cookies["sessionid"] = session.session_key
    return client, token


def editor_of(obj):
    return editing(obj)[0]


# All three: which object


@pytest.mark.parametrize("decorator", ALL)
def test_the_view_keeps_its_name_doc_and_attributes(decorator):
    def my_view(request, key):
        """What it is for."""

    my_view.login_required = False
    decorated = decorator(Article, of_url)(my_view)
    assert decorated.__name__ == "my_view"
    assert decorated.__qualname__ == my_view.__qualname__
    assert decorated.__module__ == my_view.__module__
    assert decorated.__doc__ == "What it is for."
    assert decorated.login_required is False
    assert decorated.__wrapped__ is my_view


@pytest.mark.parametrize("decorator", ALL)
def test_an_async_view_stays_one_and_keeps_its_name(decorator):
    async def my_view(request, key):
        """What it is for."""

    decorated = decorator(Article, of_url)(my_view)
    assert decorated.__name__ == "my_view"
    assert decorated.__doc__ == "What it is for."
    assert decorated.__wrapped__ is my_view
    request = RequestFactory().get("/")
    request.session = new_session()
    with pytest.raises(Http404):
        async_to_sync(decorated)(request, key="0")


@pytest.mark.parametrize("decorator", ALL)
def test_get_object_id_is_called_with_the_view_s_arguments(decorator, article):
    called = []

    def get_object_id(*args, **kwargs):
        called.append((args, kwargs))
        return article.pk

    @decorator(Article, get_object_id)
    def view(request, *args, **kwargs):
        return HttpResponse(json.dumps([args, kwargs]))

    request = RequestFactory().get("/")
    request.session = new_session()
    remember(article, request.session, article.lock()["token"])
    answer = view(request, "positional", named="named")
    assert called == [((request, "positional"), {"named": "named"})]
    assert json.loads(answer.content) == [["positional"], {"named": "named"}]


@pytest.mark.parametrize("decorator", ALL)
def test_get_object_id_may_read_the_query(decorator, serve, article):
    client, _ = editing(article)
    serve(
        decorator(Article, lambda request, key: request.GET.get("article"))(
            lambda request, key: HttpResponse("here")
        )
    )
    assert client.get(f"/x/?article={article.pk}").content == b"here"
    assert client.get("/x/").status_code == 404
    assert client.get("/x/?article=").status_code == 404


@pytest.mark.parametrize("decorator", ALL)
@pytest.mark.parametrize(
    ("model", "key"),
    [
        (Article, None),
        (Article, ""),
        (Article, " "),
        (Article, "five"),
        (Article, "1.5"),
        (Article, "1e3"),
        (Article, "0x1"),
        (Article, "-1"),
        (Article, 0),
        (Article, "99999999"),
        (Article, "9" * 30),
        (Article, "9" * 5000),
        (Article, 2**63),
        (Article, -(2**63) - 1),
        (Article, 10**30),
        (Article, "1\0"),
        (Article, "\0"),
        (Article, "\ud800"),
        (Article, "١٢٣٤٥٦٧٨"),
        (Article, []),
        (Article, {}),
        (Label, None),
        (Label, ""),
        (Label, "unknown"),
        (Label, "\0"),
        (Label, "a\0b"),
        (Label, "\ud800"),
        (Label, "x" * 256),
        (Label, "x" * 100_000),
        (Label, "'; DROP TABLE tests_label; --"),
        (Page, None),
        (Page, ""),
        (Page, "5"),
        (Page, 5),
        (Page, "not-a-uuid"),
        (Page, "5f0c1f39-6b3b-4c12-9d0e-0a4d4b7d1a1"),
        (Page, "5f0c1f39-6b3b-4c12-9d0e-0a4d4b7d1a11"),
        (Page, "\0" * 32),
        (Page, "\ud800"),
        (Page, 2**200),
    ],
    ids=lambda value: ascii(value)[:20] if not isinstance(value, type) else None,
)
def test_a_key_that_is_none_or_of_no_object_is_a_404(decorator, model, key, client):
    @decorator(model, lambda request: key)
    def view(request):
        raise AssertionError("not reached")

    request = RequestFactory().get("/")
    request.session = new_session()
    with pytest.raises(Http404):
        view(request)
    assert LockToken.objects.count() == 0
    # The database still answers: nothing has broken the transaction.
    assert Article.objects.count() == 0


@pytest.mark.parametrize("decorator", ALL)
def test_an_url_for_no_object_is_a_404_page(decorator, serve, client):
    serve(decorator(Article, of_url)(lambda request, key: HttpResponse("here")))
    for url in ("/5/", "/five/", "/%00/", "/%FF/", f"/{'9' * 40}/"):
        assert client.get(url).status_code == 404
        assert client.post(url).status_code == 404


@pytest.mark.parametrize("decorator", ALL)
def test_an_object_that_the_default_manager_hides_is_a_404(decorator, serve):
    draft = Draft.objects.create()
    client = editor_of(draft)
    serve(decorator(Draft, of_url)(lambda request, key: HttpResponse("here")))
    assert client.get(url_of(draft)).status_code == 200
    hidden = Draft.objects.create(draft=False)
    assert client.get(url_of(hidden)).status_code == 404
    assert LockToken.objects.current_token(hidden) is None


@pytest.mark.parametrize("decorator", ALL)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Plain.objects.create(),
        lambda: Page.objects.create(),
        lambda: Label.objects.create(name="a:b/ü %s"),
        lambda: Feature.objects.create(),
    ],
    ids=["third party", "uuid", "text", "child"],
)
def test_objects_of_any_model_and_key(decorator, make, serve, client):
    obj = make()
    serve(
        locks_object(type(obj), lambda request, key: obj.pk)(
            lambda request, key: HttpResponse("edit")
        )
    )
    assert client.get("/x/").content == b"edit"
    serve(
        decorator(type(obj), lambda request, key: str(obj.pk))(
            lambda request, key: HttpResponse("here")
        )
    )
    assert client.post("/x/").content == b"here"
    assert Client().post("/x/").status_code == (
        200 if decorator is holds_lock_on_object else 403
    )


# locks_object


def test_locks_object_locks_and_leaves_it_locked(serve, client, article):
    serve(edit)
    answer = client.get(url_of(article))
    assert answer.status_code == 200
    given = answer.json()
    lock = LockToken.objects.get_for_object(article)
    assert given["token"] == lock.token_str == token_in_session(client, article)
    assert given["expires_at"] == lock.expires_at.isoformat()
    assert article.is_locked()


def test_locks_object_renews_for_every_request_of_the_session(serve, client, article):
    serve(edit)
    first = client.get(url_of(article)).json()
    expire(article)
    second = client.post(url_of(article)).json()
    assert second["token"] == first["token"]
    assert article.is_locked()
    assert client.get(url_of(article)).json()["token"] == first["token"]


def test_locks_object_refuses_others_and_does_not_run_the_view(serve, client, article):
    called = []
    serve(
        locks_object(Article, of_url)(
            lambda request, key: called.append(1) or HttpResponse()
        )
    )
    article.lock()
    assert client.get(url_of(article)).status_code == 403
    assert client.post(url_of(article)).status_code == 403
    assert called == []


def test_locks_object_records_who_is_logged_in(serve, client, article):
    alice = User.objects.create(username="alice")
    client.force_login(alice)
    serve(edit)
    client.get(url_of(article))
    assert article.lock_info().locked_by == alice


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_void_token_in_the_session_is_replaced_where_the_object_is_shown(
    serve, client, article, method
):
    serve(edit)
    void = client.get(url_of(article)).json()["token"]
    take_and_leave(article)
    assert getattr(client, method)(url_of(article)).status_code == 200
    assert token_in_session(client, article) != void
    assert standing_token(article) == token_in_session(client, article)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_void_token_in_the_session_is_refused_where_it_may_be_saved(
    serve, client, article, method
):
    serve(edit)
    void = client.get(url_of(article)).json()["token"]
    take_and_leave(article)
    for _ in range(2):
        assert getattr(client, method)(url_of(article)).status_code == 403
        assert token_in_session(client, article) == void
    assert LockToken.objects.count() == 0
    # Looking at it again heals.
    assert client.get(url_of(article)).status_code == 200
    assert getattr(client, method)(url_of(article)).status_code == 200


def send_token(client, how, url, token, **data):
    if how == "field":
        return client.post(url, {"lock_token": token, **data})
    return client.post(url, data, headers={"Lock-Token": token})


@pytest.mark.parametrize("how", ["field", "header"])
def test_the_page_s_own_token_comes_before_the_session_s(serve, article, how):
    client, token = editing(article)
    serve(edit)
    answer = send_token(client, how, url_of(article), token)
    assert answer.json()["token"] == token
    answer = send_token(client, how, url_of(article), "0" * 32)
    assert answer.status_code == 403
    assert token_in_session(client, article) == token
    # Another's session, with the token of this page.
    stranger = Client()
    assert stranger.post(url_of(article)).status_code == 403
    answer = send_token(stranger, how, url_of(article), token)
    assert answer.json()["token"] == token


def test_the_form_field_comes_before_the_header(serve, article):
    client, token = editing(article)
    serve(edit)
    answer = client.post(
        url_of(article), {"lock_token": "0" * 32}, headers={"Lock-Token": token}
    )
    assert answer.status_code == 403
    answer = client.post(
        url_of(article), {"lock_token": token}, headers={"Lock-Token": "0" * 32}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "garbage",
    ["x", " ", "0" * 31, "0" * 33, "\0" * 32, "é" * 32, "x" * 10_000],
    ids=ascii,
)
@pytest.mark.parametrize("view", [edit, save])
def test_garbage_in_the_form_is_a_void_token(serve, article, view, garbage):
    client, token = editing(article)
    serve(view)
    answer = client.post(url_of(article), {"lock_token": garbage})
    assert answer.status_code == 403
    assert title_of(article) == "First"
    assert article.check_lock(token)


def test_the_stale_first_tab_is_refused(serve, client, article, settings):
    """A lock expires, another edits and leaves, a second tab acquires anew."""
    settings.ROOT_URLCONF = (
        path("edit/<key>/", edit),
        path("save/<key>/", save_and_leave),
    )
    first_tab = client.get(f"/edit/{article.pk}/").json()["token"]
    expire(article)
    bob = Client()
    bobs_tab = bob.get(f"/edit/{article.pk}/").json()["token"]
    bobs = {"lock_token": bobs_tab, "title": "Bob's"}
    assert bob.post(f"/save/{article.pk}/", bobs).status_code == 302
    second_tab = client.get(f"/edit/{article.pk}/").json()["token"]
    assert second_tab != first_tab
    mine = {"lock_token": first_tab, "title": "Mine"}
    assert client.post(f"/save/{article.pk}/", mine).status_code == 403
    assert client.post(f"/edit/{article.pk}/", mine).status_code == 403
    assert title_of(article) == "Bob's"
    # The second tab shows Bob's work, and may save.
    mine["lock_token"] = second_tab
    assert client.post(f"/save/{article.pk}/", mine).status_code == 302
    assert title_of(article) == "Mine"


@pytest.mark.parametrize("how", ["field", "header"])
def test_a_page_s_token_that_holds_is_the_session_s_from_then_on(serve, article, how):
    token = article.lock()["token"]
    client = Client()
    session = client.session
    remember(article, session, "0" * 32)
    session.save()
    client.cookies["sessionid"] = session.session_key
    serve(edit)
    assert client.post(url_of(article)).status_code == 403
    assert send_token(client, how, url_of(article), token).status_code == 200
    assert token_in_session(client, article) == token
    assert client.post(url_of(article)).status_code == 200


@pytest.mark.parametrize("how", ["field", "header"])
def test_a_page_s_token_that_is_void_leaves_the_session_alone(serve, article, how):
    client = Client()
    serve(edit)
    article.lock()
    assert send_token(client, how, url_of(article), "0" * 32).status_code == 403
    assert token_in_session(client, article) is None


def test_a_page_s_token_works_without_any_session(serve, article, settings):
    settings.MIDDLEWARE = []
    token = article.lock()["token"]
    serve(edit)
    answer = Client().post(url_of(article), {"lock_token": token})
    assert answer.json()["token"] == token


@pytest.mark.parametrize("decorator", LOCKING)
def test_force_new_replaces_a_void_token_whatever_the_method(serve, article, decorator):
    client, void = editing(article)
    take_and_leave(article)
    serve(
        decorator(Article, of_url, force_new=True)(
            lambda request, key: JsonResponse(request.lock_token)
        )
    )
    given = client.post(url_of(article)).json()
    assert given["token"] != void


@pytest.mark.parametrize("decorator", LOCKING)
def test_force_new_throws_away_no_token_that_holds_and_gets_past_nobody(
    serve, article, decorator
):
    client, token = editing(article)
    serve(
        decorator(Article, of_url, force_new=True)(
            lambda request, key: JsonResponse(request.lock_token)
        )
    )
    assert Client().post(url_of(article)).status_code == 403
    # The page's own void token is no session's to replace.
    void = {"lock_token": "0" * 32}
    assert client.post(url_of(article), void).status_code == 403
    expire(article)
    assert client.post(url_of(article)).json()["token"] == token


def test_locks_object_leaves_a_json_body_to_the_view(serve, article):
    client, token = editing(article)

    @locks_object(Article, of_url)
    def view(request, key):
        return JsonResponse(json.loads(request.body))

    serve(view)
    answer = client.post(
        url_of(article),
        {"a": 1},
        content_type="application/json",
        headers={"Lock-Token": token},
    )
    assert answer.json() == {"a": 1}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_sessions_that_ask_together_have_one_winner(serve, article):
    serve(edit)
    clients = [Client() for _ in range(6)]
    for client in clients:
        client.cookies["sessionid"] = new_session().session_key
    article.is_locked()

    def ask(client):
        return client.get(url_of(article)).status_code

    statuses = race(*[lambda client=client: ask(client) for client in clients])
    assert sorted(statuses) == [200] + [403] * 5


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_ask_together_both_get_in(serve, article):
    serve(edit)
    key = new_session().session_key
    article.is_locked()

    def ask():
        client = Client()
        client.cookies["sessionid"] = key
        return client.get(url_of(article)).json()["token"]

    assert len(set(race(*[ask] * 6))) == 1


def test_locks_object_under_atomic_requests(serve, atomic_requests, article):
    serve(edit)
    client = Client()
    assert client.get(url_of(article)).status_code == 200
    assert article.is_locked()
    assert client.post(url_of(article)).status_code == 200
    assert Client().get(url_of(article)).status_code == 403


# holds_lock_on_object


def test_holds_lock_releases_when_the_view_returns(serve, client, article):
    seen = []

    @holds_lock_on_object(Article, of_url)
    def work(request, key):
        seen.append(
            (article.is_locked(), article.check_lock(request.lock_token["token"]))
        )
        assert token_in_session_of(request, article) == request.lock_token["token"]
        return HttpResponse("done")

    serve(work)
    assert client.get(url_of(article)).content == b"done"
    assert seen == [(True, True)]
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None


def token_in_session_of(request, obj):
    return get_session_token(obj, request.session)


@pytest.mark.parametrize(
    ("error", "status"), [(Http404, 404), (PermissionDenied, 403), (KeyError, 500)]
)
def test_holds_lock_releases_when_the_view_raises(
    serve, client, article, error, status
):
    @holds_lock_on_object(Article, of_url)
    def work(request, key):
        assert article.is_locked()
        raise error("the view's")

    serve(work)
    client.raise_request_exception = False
    assert client.get(url_of(article)).status_code == status
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_holds_lock_lets_the_view_s_own_error_through(article):
    @holds_lock_on_object(Article, lambda request: article.pk)
    def work(request):
        raise ZeroDivisionError("the view's")

    request = RequestFactory().get("/")
    request.session = new_session()
    with pytest.raises(ZeroDivisionError, match="the view's"):
        work(request)
    assert get_session_token(article, request.session) is None
    assert not article.is_locked()


def test_holds_lock_refuses_while_another_has_it(serve, client, article):
    called = []
    serve(
        holds_lock_on_object(Article, of_url)(
            lambda request, key: called.append(1) or HttpResponse()
        )
    )
    token = article.lock()["token"]
    assert client.post(url_of(article)).status_code == 403
    assert called == []
    assert article.check_lock(token)
    assert article.is_locked()


def test_holds_lock_releases_the_lock_that_the_session_had_already(serve, article):
    client = editor_of(article)
    serve(holds_lock_on_object(Article, of_url)(lambda request, key: HttpResponse()))
    assert client.post(url_of(article)).status_code == 200
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None


@pytest.mark.parametrize("how", ["session", "field", "header"])
@pytest.mark.parametrize("raises", [False, True])
def test_keep_held_leaves_the_lock_of_an_open_page_alone(serve, article, how, raises):
    client, token = editing(article)

    @holds_lock_on_object(Article, of_url, keep_held=True)
    def work(request, key):
        if raises:
            raise Http404
        return HttpResponse("done")

    serve(work)
    if how == "session":
        answer = client.post(url_of(article))
    else:
        answer = send_token(client, how, url_of(article), token)
    assert answer.status_code == (404 if raises else 200)
    assert article.check_lock(token)
    assert article.is_locked()
    assert token_in_session(client, article) == token


def test_keep_held_releases_what_the_view_itself_has_locked(serve, client, article):
    serve(
        holds_lock_on_object(Article, of_url, keep_held=True)(
            lambda request, key: HttpResponse("done")
        )
    )
    assert client.get(url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None
    client, _ = editing(article)
    take_and_leave(article)
    # A void token was nobody's lock: the new one is this view's.
    assert client.get(url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("lose", "locked_after"),
    [
        (lambda article, token: LockToken.objects.take_over(article), True),
        (lambda article, token: article.unlock(token), False),
        (lambda article, token: Article.objects.get(pk=article.pk).delete(), False),
    ],
    ids=["taken over", "released by the view", "object deleted"],
)
@pytest.mark.parametrize("raises", [False, True])
def test_holds_lock_ends_well_when_the_view_has_lost_it(
    serve, client, article, lose, locked_after, raises
):
    @holds_lock_on_object(Article, of_url)
    def work(request, key):
        lose(article, request.lock_token["token"])
        if raises:
            raise Http404
        return HttpResponse("done")

    serve(work)
    assert client.get(url_of(article)).status_code == (404 if raises else 200)
    assert token_in_session(client, article) is None
    assert article.is_locked() is locked_after


@pytest.mark.parametrize(("method", "status"), [("get", 200), ("post", 403)])
def test_holds_lock_and_a_void_token_in_the_session(serve, article, method, status):
    client = editor_of(article)
    take_and_leave(article)
    serve(holds_lock_on_object(Article, of_url)(lambda request, key: HttpResponse()))
    assert getattr(client, method)(url_of(article)).status_code == status
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_holds_lock_renews_while_the_view_runs(serve, client, article, settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 0.3}
    threads = threading.active_count()

    @holds_lock_on_object(Article, of_url)
    def work(request, key):
        lock = LockToken.objects.get_for_object(article)
        wait_until(
            lambda: (
                LockToken.objects.get_for_object(article).expires_at > lock.expires_at
            )
        )
        return HttpResponse("done")

    serve(work)
    assert client.get(url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0
    assert threading.active_count() == threads


def test_holds_lock_under_atomic_requests(serve, atomic_requests, article):
    threads = threading.active_count()

    @holds_lock_on_object(Article, of_url)
    def work(request, key):
        assert threading.active_count() == threads
        assert article.is_locked()
        return HttpResponse("done")

    serve(work)
    assert Client().get(url_of(article)).content == b"done"
    assert LockToken.objects.count() == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_holds_lock_keeps_others_out_while_the_view_runs(serve, article):
    running, ended = threading.Event(), threading.Event()

    @holds_lock_on_object(Article, of_url)
    def work(request, key):
        running.set()
        assert ended.wait(30)
        return HttpResponse("done")

    serve(work)
    keys = [new_session().session_key for _ in range(2)]
    clients = [Client(), Client()]
    for client, key in zip(clients, keys, strict=True):
        client.cookies["sessionid"] = key

    def second():
        assert running.wait(30)
        try:
            return clients[1].get(url_of(article)).status_code
        finally:
            ended.set()

    statuses = race(lambda: clients[0].get(url_of(article)).status_code, second)
    assert statuses == [200, 403]
    assert clients[1].get(url_of(article)).status_code == 200


# requires_lock_on_object


def test_requires_lock_saves_with_the_session_s_token_and_keeps_the_lock(
    serve, article
):
    client, token = editing(article)
    serve(save)
    answer = client.post(url_of(article), {"title": "Second"})
    assert answer.status_code == 200
    assert title_of(article) == "Second"
    assert article.check_lock(token)
    assert token_in_session(client, article) == token


@pytest.mark.parametrize("how", ["field", "header"])
def test_requires_lock_saves_with_the_page_s_token(serve, client, article, how):
    token = article.lock()["token"]
    serve(save)
    answer = send_token(client, how, url_of(article), token, title="Second")
    assert answer.status_code == 200
    assert title_of(article) == "Second"


@pytest.mark.parametrize("how", ["field", "header"])
def test_requires_lock_and_a_void_page_beside_a_good_session(serve, article, how):
    client, token = editing(article)
    serve(save)
    answer = send_token(client, how, url_of(article), "0" * 32, title="Second")
    assert answer.status_code == 403
    assert title_of(article) == "First"
    assert article.check_lock(token)


def test_requires_lock_gives_the_view_the_token_for_its_form(serve, article):
    client, token = editing(article)
    seen = []

    @requires_lock_on_object(Article, of_url)
    def view(request, key):
        seen.append((request.lock_token, LockToken.objects.get().serialize()))
        return HttpResponse()

    serve(view)
    client.post(url_of(article))
    ((given, current_token),) = seen
    assert given == current_token
    assert given["token"] == token


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("method", ["get", "post"])
def test_requires_lock_refuses_without_a_token(serve, client, article, locked, method):
    if locked:
        article.lock()
    serve(save)
    assert getattr(client, method)(url_of(article)).status_code == 403
    assert title_of(article) == "First"
    assert LockToken.objects.count() == locked


@pytest.mark.parametrize("state", ["free", "taken", "taken and expired"])
@pytest.mark.parametrize("release", [False, True])
def test_requires_lock_with_a_void_token_writes_nothing(
    serve, article, state, release, django_assert_num_queries
):
    client = editor_of(article)
    take_and_leave(article)
    if state != "free":
        article.lock()
    if state == "taken and expired":
        expire(article)
    before = list(LockToken.objects.values())
    called = []

    @requires_lock_on_object(Article, of_url, release=release)
    def view(request, key):
        called.append(key)
        return HttpResponseRedirect("/")

    serve(view)
    assert client.post(url_of(article), {"title": "Mine"}).status_code == 403
    assert called == []
    assert title_of(article) == "First"
    assert list(LockToken.objects.values()) == before


def test_requires_lock_saves_with_an_expired_token_that_nobody_took(serve, article):
    client, token = editing(article)
    expire(article)
    serve(save)
    assert client.post(url_of(article), {"title": "Second"}).status_code == 200
    assert title_of(article) == "Second"
    assert article.is_locked()
    assert article.check_lock(token)


@pytest.mark.parametrize("error", [Http404, PermissionDenied, KeyError])
@pytest.mark.parametrize("release", [False, True])
def test_requires_lock_undoes_everything_when_the_view_raises(
    serve, article, error, release
):
    client, token = editing(article)
    expire(article)
    before = LockToken.objects.values().get()

    @requires_lock_on_object(Article, of_url, release=release)
    def view(request, key):
        rename(request, key)
        raise error("the view's")

    serve(view)
    client.raise_request_exception = False
    answer = client.post(url_of(article), {"title": "Second"})
    assert answer.status_code in (403, 404, 500)
    assert title_of(article) == "First"
    assert LockToken.objects.values().get() == before
    assert token_in_session(client, article) == token


@pytest.mark.parametrize("status", ANSWERS_THAT_SAVED)
def test_release_gives_the_lock_up_when_the_answer_says_saved(serve, article, status):
    client = editor_of(article)

    @requires_lock_on_object(Article, of_url, release=True)
    def view(request, key):
        rename(request, key)
        return HttpResponse(status=status)

    serve(view)
    assert client.post(url_of(article)).status_code == status
    assert title_of(article) == "renamed"
    assert LockToken.objects.count() == 0
    assert token_in_session(client, article) is None


@pytest.mark.parametrize("status", ANSWERS_THAT_DID_NOT)
def test_release_keeps_the_lock_at_any_other_answer(serve, article, status):
    client, token = editing(article)

    @requires_lock_on_object(Article, of_url, release=True)
    def view(request, key):
        return HttpResponse(status=status)

    serve(view)
    assert client.post(url_of(article)).status_code == status
    assert article.check_lock(token)
    assert token_in_session(client, article) == token


@pytest.mark.parametrize("status", [200, 302])
def test_without_release_the_lock_stays_at_any_answer(serve, article, status):
    client, token = editing(article)
    serve(
        requires_lock_on_object(Article, of_url)(
            lambda request, key: HttpResponse(status=status)
        )
    )
    assert client.post(url_of(article)).status_code == status
    assert article.check_lock(token)
    assert token_in_session(client, article) == token


@pytest.mark.parametrize(("header", "released"), [("yes", True), ("no", False)])
def test_release_may_be_a_function_of_the_answer(serve, article, header, released):
    client = editor_of(article)
    answers = []

    def done(answer):
        answers.append(answer)
        return answer["X-Done"] == "yes"

    @requires_lock_on_object(Article, of_url, release=done)
    def view(request, key):
        return HttpResponse(headers={"X-Done": header})

    serve(view)
    answer = client.post(url_of(article))
    assert answer.status_code == 200
    assert [given["X-Done"] for given in answers] == [header]
    assert (LockToken.objects.count() == 0) is released
    assert (token_in_session(client, article) is None) is released


def test_an_error_in_that_function_undoes_the_save(serve, article):
    client, token = editing(article)

    def done(answer):
        raise ZeroDivisionError

    @requires_lock_on_object(Article, of_url, release=done)
    def view(request, key):
        rename(request, key)
        return HttpResponse()

    serve(view)
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


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_submits_at_once_save_once(serve, article):
    client, token = editing(article)
    saved = []

    @requires_lock_on_object(Article, of_url, release=True)
    def view(request, key):
        saved.append(request.POST["title"])
        rename(request, key)
        return HttpResponseRedirect("/")

    serve(view)

    def submit(title):
        tab = Client()
        tab.cookies["sessionid"] = client.cookies["sessionid"].value
        return tab.post(
            url_of(article), {"lock_token": token, "title": title}
        ).status_code

    statuses = race(*[lambda title=title: submit(title) for title in "abcd"])
    assert sorted(statuses) == [302, 403, 403, 403]
    assert [title_of(article)] == saved
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


@pytest.mark.parametrize("release", [False, True])
def test_the_view_may_delete_the_object(serve, article, release):
    client = editor_of(article)

    @requires_lock_on_object(Article, of_url, release=release)
    def view(request, key):
        Article.objects.get(pk=key).delete()
        return HttpResponseRedirect("/")

    serve(view)
    assert client.post(url_of(article)).status_code == 302
    assert not Article.objects.exists()
    assert LockToken.objects.count() == 0
    assert (token_in_session(client, article) is None) is release
    assert client.post(url_of(article)).status_code == 404


def test_requires_lock_is_one_transaction_with_the_view(serve, article):
    client = editor_of(article)
    depth = len(connection.savepoint_ids)
    seen = []

    @requires_lock_on_object(Article, of_url)
    def view(request, key):
        seen.append((connection.in_atomic_block, len(connection.savepoint_ids) > depth))
        return HttpResponse()

    serve(view)
    client.post(url_of(article))
    assert seen == [(True, True)]


def test_a_void_token_that_the_view_itself_meets_is_the_view_s_own_error(
    serve, article
):
    another = Article.objects.create()
    client = editor_of(article)

    @requires_lock_on_object(Article, of_url)
    def view(request, key):
        with fence(another, "0" * 32):
            raise AssertionError("not reached")

    serve(view)
    with pytest.raises(InvalidToken) as caught:
        client.post(url_of(article))
    assert caught.value.obj == another


@pytest.mark.parametrize("error", [InvalidToken, AlreadyLockedError])
@pytest.mark.parametrize("decorator", ALL)
def test_an_error_of_another_lock_in_the_view_is_no_refusal_of_this_one(
    serve, article, decorator, error
):
    client = editor_of(article)

    @decorator(Article, of_url)
    def view(request, key):
        raise error("the view's")

    serve(view)
    with pytest.raises(error, match="the view's"):
        client.post(url_of(article))


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_nobody_takes_the_lock_while_the_view_saves(serve, article):
    client = editor_of(article)
    expire(article)
    saving, asked = threading.Event(), threading.Event()

    @requires_lock_on_object(Article, of_url, release=True)
    def view(request, key):
        saving.set()
        # The other waits for the end of this transaction, or is refused at once.
        asked.wait(0.3)
        rename(request, key)
        return HttpResponseRedirect("/")

    def other():
        assert saving.wait(30)
        try:
            article.lock()
        except AlreadyLockedError:
            return "refused", None
        finally:
            asked.set()
        return "locked", title_of(article)

    serve(view)
    status, (outcome, seen) = race(
        lambda: client.post(url_of(article)).status_code, other
    )
    assert status == 302
    assert title_of(article) == "renamed"
    # Whoever got the lock got it after the save.
    assert (outcome, seen) in [("refused", None), ("locked", "renamed")]


def test_a_save_after_the_lock_was_taken_changes_nothing(serve, article):
    client, token = editing(article)
    expire(article)
    others = article.lock()["token"]
    serve(save_and_leave)
    answer = client.post(url_of(article), {"lock_token": token, "title": "Mine"})
    assert answer.status_code == 403
    assert title_of(article) == "First"
    assert article.check_lock(others)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("raises", [False, True])
def test_requires_lock_under_atomic_requests(serve, atomic_requests, article, raises):
    client, token = editing(article)

    @requires_lock_on_object(Article, of_url, release=True)
    def view(request, key):
        rename(request, key)
        if raises:
            raise Http404
        return HttpResponseRedirect("/")

    serve(view)
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
    serve, atomic_requests, article
):
    client = editor_of(article)
    take_and_leave(article)
    article.lock()
    before = LockToken.objects.values().get()
    serve(save)
    assert client.post(url_of(article)).status_code == 403
    assert LockToken.objects.values().get() == before
    assert title_of(article) == "First"


@pytest.mark.django_db(transaction=True)
def test_statements_of_a_save(serve, article, django_assert_num_queries):
    request = RequestFactory().post("/")
    request.session = new_session()
    request.session["loaded"] = True
    remember(article, request.session, article.lock()["token"])
    view = requires_lock_on_object(Article, lambda request: article.pk, release=True)(
        lambda request: HttpResponse(status=204)
    )
    # The object, the fence, the release; and BEGIN and COMMIT where they are logged.
    with django_assert_num_queries(3 + 2 * connection.features.uses_savepoints) as q:
        view(request)
    statements = [query["sql"].split()[0] for query in q if "BEGIN" not in query["sql"]]
    assert statements == ["SELECT", "UPDATE", "DELETE", "COMMIT"]


# Class-based views


class EditView(View):
    def get(self, request, key):
        return JsonResponse({"get": request.lock_token["token"]})

    @method_decorator(requires_lock_on_object(Article, of_url, release=True))
    def post(self, request, key):
        """Save."""
        rename(request, key)
        return HttpResponseRedirect("/")


@method_decorator(locks_object(Article, of_url), name="dispatch")
class LockedView(View):
    def get(self, request, key):
        return JsonResponse({"get": request.lock_token["token"]})

    def post(self, request, key):
        return JsonResponse({"post": request.lock_token["token"]})


def test_a_method_of_a_class(serve, article):
    client = editor_of(article)
    serve(EditView.as_view())
    assert EditView.post.__name__ == "post"
    assert EditView.post.__doc__ == "Save."
    assert Client().post(url_of(article)).status_code == 403
    assert client.post(url_of(article), {"title": "Second"}).status_code == 302
    assert title_of(article) == "Second"
    assert LockToken.objects.count() == 0
    assert client.post(url_of(article)).status_code == 403


def test_the_dispatch_method_of_a_class(serve, client, article):
    serve(LockedView.as_view())
    token = client.get(url_of(article)).json()["get"]
    assert client.post(url_of(article)).json() == {"post": token}
    assert standing_token(article) == token
    assert Client().get(url_of(article)).status_code == 403
    assert client.get("/five/").status_code == 404


@pytest.mark.parametrize("decorator", ALL)
def test_as_view_of_a_class(serve, article, decorator):
    class AnyView(View):
        def get(self, request, key):
            return HttpResponse("here")

    view = AnyView.as_view()
    decorated = decorator(Article, of_url)(view)
    assert decorated.view_class is AnyView
    client = editor_of(article)
    serve(decorated)
    assert client.get(url_of(article)).content == b"here"
    assert client.post(url_of(article)).status_code in (403, 405)


def test_a_generic_editing_view_saves_and_keeps_the_lock_while_the_form_has_errors(
    serve, settings
):
    class Update(UpdateView):
        model = Article
        fields = ["title"]
        success_url = "/"
        template_name = "lock_tokens/locked.html"

    article = Article.objects.create(title="First")
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

    @locks_object(Plain, lambda request, key: other.pk)
    @requires_lock_on_object(Article, of_url)
    def view(request, key):
        return HttpResponse("both")

    serve(view)
    client = editor_of(article)
    assert client.post(url_of(article)).content == b"both"
    assert LockToken.objects.is_locked(other)
    assert Client().post(url_of(article)).status_code == 403


@pytest.mark.parametrize("decorator", ALL)
@pytest.mark.parametrize(
    "answer",
    [
        lambda request: StreamingHttpResponse([b"a", b"b"]),
        lambda request: TemplateResponse(request, "lock_tokens/locked.html"),
    ],
    ids=["streaming", "template"],
)
def test_answers_of_every_kind(serve, article, decorator, answer):
    client = editor_of(article)
    serve(decorator(Article, of_url)(lambda request, key: answer(request)))
    given = client.post(url_of(article))
    assert given.status_code == 200
    assert given.getvalue()


# The answer of a refusal, through the decorators. Its page is in test_refusals.


@pytest.mark.parametrize("decorator", ALL)
def test_the_response_hook_gets_the_request_and_the_error(
    serve, client, article, decorator
):
    alice = User.objects.create(username="alice")
    article.lock(user=alice)
    seen = []

    def response(request, error):
        seen.append((request, error))
        return HttpResponse("ours", status=423)

    serve(
        decorator(Article, of_url, response=response)(
            lambda request, key: HttpResponse("here")
        )
    )
    answer = client.post(url_of(article), {"title": "typed"})
    assert (answer.status_code, answer.content) == (423, b"ours")
    ((request, error),) = seen
    assert request.POST["title"] == "typed"
    assert error.obj == article
    if decorator is requires_lock_on_object:
        assert isinstance(error, InvalidToken)
    else:
        assert isinstance(error, AlreadyLockedError)
        assert error.locked_by == alice


@pytest.mark.parametrize("decorator", ALL)
def test_the_response_hook_is_not_asked_about_an_object_that_is_gone(
    serve, client, decorator
):
    serve(
        decorator(Article, of_url, response=lambda request, error: error.obj)(
            lambda request, key: HttpResponse("here")
        )
    )
    answer = client.post("/5/", {"title": "typed"})
    assert answer.status_code == 404
    assert "typed" in answer.content.decode()
    assert client.post("/5/").status_code == 404


@pytest.mark.parametrize("decorator", ALL)
def test_the_error_has_the_object_as_it_is_now(
    serve, client, article, decorator, monkeypatch
):
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

    serve(
        decorator(Article, of_url, response=response)(
            lambda request, key: HttpResponse("here")
        )
    )
    monkeypatch.setattr(type(LockToken.objects), "key_of", saved_meanwhile)
    assert client.post(url_of(article)).status_code == 403
    assert seen == ["Second"]


@pytest.mark.parametrize("decorator", ALL)
def test_the_template_hook(serve, client, article, decorator, settings):
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {
                            "ours.html": "{{ object.pk }} {{ submitted.0.1 }} {{ error }}"
                        },
                    )
                ]
            },
        }
    ]
    article.lock()
    serve(
        decorator(Article, of_url, template="ours.html")(
            lambda request, key: HttpResponse("here")
        )
    )
    answer = client.post(url_of(article), {"title": "typed"})
    assert answer.status_code == 403
    assert answer.content.decode().startswith(f"{article.pk} typed ")
    assert answer["Cache-Control"] == "no-store"
    # It is also what gives back the input for an object that is gone.
    answer = client.post("/0/", {"title": "typed"})
    assert answer.status_code == 404
    assert answer.content.decode().strip().startswith("typed No article")


@pytest.mark.parametrize("decorator", ALL)
def test_without_a_hook_there_is_a_plain_page(serve, client, article, decorator):
    article.lock()
    serve(decorator(Article, of_url)(lambda request, key: HttpResponse("here")))
    answer = client.post(url_of(article), {"title": "typed"})
    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/html")
    assert "typed" in answer.content.decode()
    assert "lock_tokens/locked.html" in [t.name for t in answer.templates]


@pytest.mark.parametrize("decorator", LOCKING)
def test_an_answer_of_the_hook_that_is_falsy_is_an_answer(
    serve, client, article, decorator
):
    class Falsy(HttpResponse):
        def __bool__(self):
            return False

    @decorator(Article, key_of, response=lambda request, error: Falsy(status=409))
    def work(request, key):
        raise AssertionError("the view ran without the lock")

    serve(work)
    article.lock()
    assert client.get(url_of(article)).status_code == 409


def test_options_asks_for_no_lock(serve, client, article):
    @locks_object(Article, key_of)
    def work(request, key):
        return HttpResponse(headers={"Allow": "GET"})

    serve(work)
    assert client.options(url_of(article)).status_code == 200
    assert not article.is_locked()


def test_an_empty_field_is_a_void_token_and_none_of_the_session_s(
    serve, client, article
):
    serve(edit)
    client.get(url_of(article))

    @requires_lock_on_object(Article, key_of)
    def save(request, key):
        rename(request, key)
        return HttpResponse()

    serve(save)
    assert client.post(url_of(article), {"lock_token": ""}).status_code == 403
    assert title_of(article) == "First"
    assert client.post(url_of(article)).status_code == 200


@pytest.mark.parametrize("decorator", ALL)
def test_a_page_s_token_needs_no_session(rf, article, decorator):
    held = article.lock()

    @decorator(Article, key_of)
    def work(request, key):
        return HttpResponseRedirect("/")

    request = rf.post("/", {"lock_token": held["token"]})
    assert work(request, article.pk).status_code == 302


def test_releasing_forgets_nothing_where_there_is_no_session(rf, article):
    held = article.lock()

    @requires_lock_on_object(Article, key_of, release=True)
    def work(request, key):
        return HttpResponseRedirect("/")

    request = rf.post("/", {"lock_token": held["token"]})
    assert work(request, article.pk).status_code == 302
    assert not article.is_locked()


@pytest.mark.django_db(transaction=True)
def test_a_view_that_has_its_transaction_undone_keeps_the_lock(serve, client, article):
    serve(edit)
    client.get(url_of(article))

    @requires_lock_on_object(Article, key_of, release=True)
    def save(request, key):
        rename(request, key)
        transaction.set_rollback(True)
        return HttpResponseRedirect("/")

    serve(save)
    assert client.post(url_of(article)).status_code == 302
    assert title_of(article) == "First"
    assert article.is_locked()


def test_a_view_that_answers_nothing_gets_django_s_own_error(serve, client, article):
    serve(edit)
    client.get(url_of(article))

    @requires_lock_on_object(Article, key_of, release=True)
    def save(request, key):
        return None

    serve(save)
    with pytest.raises(ValueError, match="didn't return an HttpResponse"):
        client.post(url_of(article))


@pytest.mark.parametrize("decorator", ALL)
def test_a_composite_key_is_the_project_s_mistake_and_no_404(rf, decorator):
    @decorator(Translation, key_of)
    def work(request, key):
        raise AssertionError("not reached")

    with pytest.raises(ValueError, match="composite primary key"):
        work(rf.get("/"), "1")


@pytest.mark.parametrize("key", ["1e400", "NaN", "x", "9" * 40])
def test_nonsense_for_a_decimal_key_is_a_404(rf, key):
    @locks_object(Price, key_of)
    def work(request, key):
        raise AssertionError("not reached")

    with pytest.raises(Http404):
        work(rf.get("/"), key)


@pytest.mark.django_db(transaction=True)
def test_a_raising_view_whose_transaction_is_undone_keeps_a_lock_from_before(
    serve, client, article, atomic_requests
):
    """Its release is undone too, so the session must not forget the token."""
    serve(edit)
    client.get(url_of(article))

    @holds_lock_on_object(Article, key_of)
    def work(request, key):
        raise Http404

    serve(work)
    assert client.post(url_of(article)).status_code == 404
    assert article.is_locked()
    assert standing_token(article) == token_in_session(client, article)


def test_a_stale_form_without_a_field_is_refused_after_a_look_that_was_refused(
    serve, client, article
):
    """Being refused a look must not turn a void token into none at all."""
    serve(edit)
    client.get(url_of(article))
    expire(article)
    other = article.lock()["token"]
    assert client.get(url_of(article)).status_code == 403
    article.unlock(other)
    assert client.post(url_of(article)).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_an_async_view_may_keep_the_lock_that_the_session_had(serve, client, article):
    serve(edit)
    client.get(url_of(article))

    @holds_lock_on_object(Article, key_of, keep_held=True)
    async def work(request, key):
        return HttpResponse()

    serve(work)
    assert client.post(url_of(article)).status_code == 200
    assert article.is_locked()
    assert standing_token(article) == token_in_session(client, article)
