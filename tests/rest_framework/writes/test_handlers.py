"""Writes through views of REST framework: what they undo, and who is asked first."""

import logging

import pytest
from django.db import DatabaseError, OperationalError, connection, connections
from django.http import Http404
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from rest_framework import exceptions, permissions
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import api_view, permission_classes
from rest_framework.generics import get_object_or_404
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIClient
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin
from tests.models import Article, Keyword, Story
from tests.support.drf_site import api_client, with_token
from tests.support.drf_writes import VOID, title
from tests.support.helpers import age, expire, lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]

DETAIL = {"put": "update", "patch": "partial_update", "delete": "destroy"}
MADE = [
    pytest.param((True, False), id="mixin"),
    pytest.param((False, True), id="permission"),
]


class Titles(ModelSerializer):
    class Meta:
        model = Article
        fields = ["id", "title"]


def made(kind, **attributes):
    """Return a viewset with the mixin, with the permission, or with neither."""
    has_mixin, has_permission = kind
    bases = (LockableViewSetMixin, ModelViewSet) if has_mixin else (ModelViewSet,)
    if has_permission:
        own = attributes.get("permission_classes", [])
        attributes["permission_classes"] = [*own, HoldsLock]
    base = {"queryset": Article.objects.all(), "serializer_class": Titles}
    return type("Made", bases, {**base, **attributes})


class Routes:
    """A URLconf with one view under every number."""

    def __init__(self, view):
        self.urlpatterns = [path("<int:pk>/", view), path("", view)]


@pytest.fixture
def serve(settings):
    def serve(view):
        if isinstance(view, type) and issubclass(view, ModelViewSet):
            view = view.as_view(DETAIL)
        settings.ROOT_URLCONF = Routes(view)

    return serve


@pytest.fixture
def unlocked(article):
    """Say what a lock's row has, to be compared."""
    return lambda: list(LockToken.objects.values())


# What is undone


@pytest.mark.matrix
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("state", ["held", "expired", "free", "expired, no token"])
@pytest.mark.parametrize("releases", [False, True])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (exceptions.ValidationError("no"), 400),
        (exceptions.PermissionDenied(), 403),
        (Http404(), 404),
        (exceptions.Throttled(3), 429),
    ],
)
def test_an_error_after_the_write_undoes_it_and_leaves_the_lock_as_it_was(
    article, client, serve, unlocked, kind, state, releases, error, status
):
    def write(self, subject):
        Article.objects.filter(pk=article.pk).update(title="Half done")
        assert lock_row(article).exists()
        raise error

    serve(
        made(
            kind, perform_update=write, perform_destroy=write, release_on_write=releases
        )
    )
    headers = {}
    if state != "free":
        token = article.lock()["token"]
        age(article, 100)
        if state != "held":
            expire(article)
        if state != "expired, no token":
            headers = with_token(token)
    before = unlocked()
    for method in ("put", "patch", "delete"):
        send = getattr(client, method)
        answer = send(f"/{article.pk}/", {"title": "x"}, **headers)
        assert answer.status_code == status
        assert "Lock-Expires-At" not in answer
        assert title(article) == "First"
        assert unlocked() == before


@pytest.mark.parametrize("kind", MADE)
def test_a_validation_error_of_put_and_patch_keeps_the_lock(
    article, client, serve, unlocked, kind
):
    serve(made(kind, release_on_write=True))
    token = article.lock()["token"]
    age(article, 100)
    before = unlocked()
    for method in (client.put, client.patch):
        answer = method(f"/{article.pk}/", {"title": "x" * 300}, **with_token(token))
        assert answer.status_code == 400
        assert set(answer.json()) == {"title"}
        assert unlocked() == before


@pytest.mark.parametrize("kind", MADE)
def test_a_refusal_changes_nothing_of_the_lock(article, client, serve, unlocked, kind):
    serve(made(kind))
    article.lock()
    age(article, 100)
    before = unlocked()
    for headers in ({}, with_token(VOID), with_token("")):
        for method in ("put", "patch", "delete"):
            answer = getattr(client, method)(f"/{article.pk}/", {}, **headers)
            assert answer.status_code in (412, 423)
            assert answer["Content-Type"] == "application/json"
            assert "Lock-Expires-At" not in answer
    assert unlocked() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(
    ("headers", "status"), [({}, 423), (with_token(VOID), 412), ("bad", 400)]
)
def test_under_atomic_requests_a_refusal_undoes_what_came_before(
    article, client, serve, monkeypatch, kind, headers, status
):
    class Audits(permissions.BasePermission):
        def has_permission(self, request, view):
            assert connection.in_atomic_block
            Keyword.objects.create(name="audit")
            return True

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    serve(made(kind, permission_classes=[Audits]))
    article.lock()
    if headers == "bad":
        headers = {"headers": {"If": "nonsense"}}
    answer = client.patch(f"/{article.pk}/", {"title": "Lost"}, **headers)
    assert answer.status_code == status
    assert not Keyword.objects.exists()
    assert title(article) == "First"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("releases", [False, True])
@pytest.mark.parametrize("with_a_lock", [False, True])
def test_under_atomic_requests_a_write_and_its_lock_are_one(
    article, client, serve, monkeypatch, kind, releases, with_a_lock
):
    def write(self, serializer):
        serializer.save()
        if fails:
            raise exceptions.ValidationError("no")

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    serve(made(kind, perform_update=write, release_on_write=releases))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = list(LockToken.objects.values())
    for fails, status, text in ((True, 400, "First"), (False, 200, "Second")):
        answer = client.patch(f"/{article.pk}/", {"title": "Second"}, **headers)
        assert answer.status_code == status
        assert title(article) == text
        if fails:
            assert list(LockToken.objects.values()) == before
    assert lock_row(article).exists() is (with_a_lock and not releases)
    assert ("Lock-Expires-At" in answer) is (with_a_lock and not releases)


# The database


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("with_a_lock", [False, True])
@pytest.mark.parametrize("error", [OperationalError, DatabaseError])
def test_a_database_that_fails_every_statement_is_a_503(
    article, client, serve, caplog, kind, with_a_lock, error
):
    def fail(*args):
        raise error("the server has gone away")

    serve(made(kind))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    with caplog.at_level(logging.ERROR, "lock_tokens"):
        with connection.execute_wrapper(fail):
            answer = client.patch(f"/{article.pk}/", {"title": "x"}, **headers)
    assert answer.status_code == 503
    assert answer.json() == {"error": "unavailable", "detail": answer.json()["detail"]}
    assert answer["Retry-After"] == "2"
    assert "gone away" not in answer.content.decode()
    assert [record.name for record in caplog.records][:1] == ["lock_tokens"]
    assert title(article) == "First"


# Who is asked first


@pytest.mark.parametrize("kind", MADE)
def test_who_has_not_signed_in_is_told_so_and_how(article, serve, kind):
    serve(
        made(
            kind,
            authentication_classes=[BasicAuthentication],
            permission_classes=[permissions.IsAuthenticated],
        )
    )
    article.lock()
    for headers in ({}, with_token(VOID), {"headers": {"If": "nonsense"}}):
        answer = api_client().patch(f"/{article.pk}/", {"title": "x"}, **headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Basic")
        assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("state", ["free", "locked", "expired"])
@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("kind", MADE)
def test_what_a_queryset_leaves_out_is_not_found_locked_or_not(
    article, client, serve, unlocked, kind, state, required
):
    serve(
        made(
            kind,
            queryset=Article.objects.exclude(pk=article.pk),
            lock_required=required,
        )
    )
    sent = [{}, with_token(VOID)]
    if state != "free":
        sent.append(with_token(article.lock()["token"]))
    if state == "expired":
        expire(article)
    before = unlocked()
    for headers in sent:
        for method in ("put", "patch", "delete"):
            answer = getattr(client, method)(f"/{article.pk}/", {}, **headers)
            assert answer.status_code == 404
            assert set(answer.json()) == {"detail"}
    assert unlocked() == before


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("required", [False, True])
def test_a_lock_that_is_required_is_told_by_whom_it_is_kept(
    article, alice, client, serve, kind, required
):
    serve(made(kind, lock_required=required))
    dict_of = article.lock(user=alice)
    answer = client.patch(f"/{article.pk}/", {"title": "Lost"})
    assert answer.status_code == 423
    assert answer.json()["locked_by"] == "Alice Liddell"
    assert answer.json()["expires_at"] == dict_of["expires_at"]
    expire(article)
    answer = client.patch(f"/{article.pk}/", {"title": "Lost"})
    assert answer.status_code == (428 if required else 200)
    if required:
        assert set(answer.json()) == {"error", "detail"}
        answer = client.patch(
            f"/{article.pk}/", {"title": "Second"}, **with_token(dict_of["token"])
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "classes",
    [
        [permissions.IsAuthenticated & HoldsLock],
        [HoldsLock & permissions.IsAuthenticated],
        [HoldsLock, permissions.IsAuthenticated],
        [permissions.IsAuthenticated, HoldsLock],
        [HoldsLock | permissions.IsAdminUser],
    ],
)
def test_the_permission_beside_others(article, client, serve, classes):
    serve(made((False, False), permission_classes=classes))
    url = f"/{article.pk}/"
    token = article.lock()["token"]
    assert client.patch(url, {"title": "Lost"}).status_code == 423
    assert client.patch(url, {"title": "Lost"}, **with_token(VOID)).status_code == 412
    answer = client.patch(url, {"title": "x"}, **with_token(token))
    assert answer.status_code == 200
    assert "Lock-Expires-At" in answer


def test_the_mixin_and_the_permission_together_fence_once(article, client, serve):
    serve(made((True, True)))
    token = article.lock()["token"]
    with CaptureQueriesContext(connection) as queries:
        answer = client.patch(f"/{article.pk}/", {"title": "x"}, **with_token(token))
    assert answer.status_code == 200
    locks = [query for query in queries if "lock_tokens_locktoken" in query["sql"]]
    assert len(locks) == 1


def test_the_holder_of_a_session_is_its_user(article, alice, settings):
    seen = []

    def write(self, serializer):
        seen.append(LockToken.objects.info(article).locked_by)

    settings.ROOT_URLCONF = Routes(
        made((True, False), perform_update=write).as_view(DETAIL)
    )
    browser = APIClient()
    browser.force_login(alice)
    assert browser.patch(f"/{article.pk}/", {"title": "x"}).status_code == 200
    assert seen == [alice]


def test_a_session_without_csrf_token_is_told_nothing_of_the_lock(
    article, alice, serve
):
    serve(made((True, False)))
    article.lock()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    answer = browser.patch(f"/{article.pk}/", {}, content_type="application/json")
    assert answer.status_code == 403
    assert set(answer.json()) == {"detail"}


# The header


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Lock-Token": "{0}"}, 200),
        ({"Lock-Token": "<{0}>"}, 200),
        ({"If": "(<{0}>)"}, 200),
        ({"If": " ( <{0}> ) "}, 200),
        ({"If": "(<{0}>)", "Lock-Token": "{0}"}, 200),
        ({"If": "(<{0}>)", "Lock-Token": "<{0}>"}, 200),
        ({"Lock-Token": "{0}, {0}"}, 412),
        ({"Lock-Token": '"{0}"'}, 412),
        ({"Lock-Token": "<<{0}>>"}, 412),
        ({"Lock-Token": "<>"}, 412),
        ({"If": "(<>)"}, 412),
        ({"If": "(<{0}x>)"}, 412),
        ({"If": "(<{0}>"}, 400),
        ({"If": "(<{0}> <{0}>)"}, 400),
        ({"If": "</x> (<{0}>)"}, 400),
        ({"If": "(Not <{0}>)"}, 400),
        ({"If": '(["{0}"])'}, 400),
        ({"If": "{0}"}, 400),
        ({"If": "(<{0}>)", "Lock-Token": ""}, 400),
    ],
)
@pytest.mark.parametrize("kind", MADE)
def test_the_forms_of_the_token(article, client, serve, kind, headers, status):
    serve(made(kind))
    token = article.lock()["token"]
    headers = {name: value.format(token) for name, value in headers.items()}
    answer = client.patch(f"/{article.pk}/", {"title": "x"}, headers=headers)
    assert answer.status_code == status
    assert title(article) == ("x" if status == 200 else "First")
    if status == 400:
        assert set(answer.json()) == {"error", "detail"}
        assert answer.json()["error"] == "invalid_if"


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_write_may_come_in_any_format(article, client, serve, form):
    serve(made((True, False)))
    token = article.lock()["token"]
    answer = client.put(
        f"/{article.pk}/", {"title": "x"}, format=form, **with_token(token)
    )
    assert answer.status_code == 200
    assert title(article) == "x"


# Views of other kinds


class HandMade(APIView):
    permission_classes = [HoldsLock]

    def patch(self, request, pk):
        for article in Article.objects.order_by("pk"):
            self.check_object_permissions(request, article)
            article.title += "!"
            article.save()
        if "fails" in request.data:
            raise exceptions.ValidationError("no")
        return Response({})

    def delete(self, request, pk):
        article = get_object_or_404(Article, pk=pk)
        self.check_object_permissions(request, article)
        article.delete()
        return Response(status=204)


def test_a_hand_made_view_locks_each_object_that_it_checks(article, client, serve):
    serve(HandMade.as_view())
    other = Article.objects.create(title="Other")
    other.lock()
    assert client.patch(f"/{article.pk}/", {}).status_code == 423
    assert title(article) == "First"  # undone with the rest
    lock_row(other).delete()
    assert client.patch(f"/{article.pk}/", {"fails": 1}).status_code == 400
    assert title(article) == "First"
    assert client.patch(f"/{article.pk}/", {}).status_code == 200
    assert (title(article), title(other)) == ("First!", "Other!")
    assert not LockToken.objects.exists()


def test_a_hand_made_view_reads_the_object_again(article, client, serve):
    """Its own copy is from before it had the lock."""

    class View(APIView):
        permission_classes = [HoldsLock]

        def patch(self, request, pk):
            article = Article.objects.get(pk=pk)
            Article.objects.filter(pk=pk).update(title="Another's")
            self.check_object_permissions(request, article)
            return Response({"title": article.title})

    serve(View.as_view())
    assert client.patch(f"/{article.pk}/", {}).json() == {"title": "Another's"}


@pytest.mark.parametrize("releases", [False, True])
def test_a_hand_made_view_gives_the_lock_up_as_others_do(
    article, client, serve, monkeypatch, releases
):
    monkeypatch.setattr(HandMade, "release_on_write", releases, raising=False)
    serve(HandMade.as_view())
    token = article.lock()["token"]
    answer = client.patch(f"/{article.pk}/", {}, **with_token(token))
    assert answer.status_code == 200
    assert ("Lock-Expires-At" in answer) is not releases
    assert lock_row(article).exists() is not releases
    headers = {} if releases else with_token(token)
    answer = client.delete(f"/{article.pk}/", **headers)
    assert answer.status_code == 204
    assert not LockToken.objects.exists()


def test_a_hand_made_view_may_require_the_lock(article, client, serve, monkeypatch):
    monkeypatch.setattr(HandMade, "lock_required", True, raising=False)
    serve(HandMade.as_view())
    answer = client.delete(f"/{article.pk}/")
    assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
    token = article.lock()["token"]
    answer = client.delete(f"/{article.pk}/", **with_token(token))
    assert answer.status_code == 204


def test_a_viewset_without_a_queryset_is_hand_made(article, client, serve):
    class View(ViewSet):
        permission_classes = [HoldsLock]

        def destroy(self, request, pk):
            article = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, article)
            article.delete()
            return Response(status=204)

    serve(View.as_view({"delete": "destroy"}))
    token = article.lock()["token"]
    assert client.delete(f"/{article.pk}/").status_code == 423
    assert client.delete("/404/").status_code == 404
    answer = client.delete(f"/{article.pk}/", **with_token(token))
    assert answer.status_code == 204
    assert not LockToken.objects.exists()


def test_a_function_may_check_its_object_through_its_view(article, client, serve):
    @api_view(["PATCH"])
    @permission_classes([HoldsLock])
    def view(request, pk):
        article = Article.objects.get(pk=pk)
        request.parser_context["view"].check_object_permissions(request, article)
        article.title = "Second"
        article.save()
        return Response({})

    serve(view)
    token = article.lock()["token"]
    assert client.patch(f"/{article.pk}/").status_code == 423
    assert client.patch(f"/{article.pk}/", **with_token(token)).status_code == 200
    assert title(article) == "Second"


def test_a_permission_s_view_may_say_which_object_it_writes_to(article, client, serve):
    story = Story.objects.create(headline="Storm")
    serve(made((False, True), get_object_to_lock=lambda view: story))
    token = LockToken.objects.acquire(story).token_str
    article.lock()
    assert client.patch(f"/{article.pk}/", {"title": "x"}).status_code == 423
    answer = client.patch(f"/{article.pk}/", {"title": "x"}, **with_token(token))
    assert answer.status_code == 200
    assert answer["Lock-Expires-At"]


@pytest.mark.parametrize("kind", MADE)
def test_a_view_may_lock_another_object_of_the_same_model(article, client, serve, kind):
    root = Article.objects.create(title="Root")
    token = root.lock()["token"]
    serve(made(kind, get_object_to_lock=lambda view: root))
    answer = client.patch(f"/{article.pk}/", {"title": "x"}, **with_token(token))
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", MADE)
def test_nothing_to_lock_is_no_lock(article, client, serve, kind):
    serve(made(kind, get_object_to_lock=lambda view: None))
    article.lock()
    answer = client.patch(f"/{article.pk}/", {"title": "x"})
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer


# Statements, beside those of a view without locks


def statements(call):
    with CaptureQueriesContext(connection) as queries:
        answer = call()
    return answer.status_code, [query["sql"].split()[0] for query in queries]


def without_transactions(kinds):
    ends = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    return [kind for kind in kinds if kind not in ends]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(
    ("method", "status"), [("put", 200), ("patch", 200), ("delete", 204)]
)
def test_a_write_is_one_transaction_and_what_the_lock_takes(
    article, client, serve, kind, method, status
):
    def measure(view, headers):
        serve(view)
        article.save(force_insert=not Article.objects.exists())
        url = f"/{article.pk}/"
        send = getattr(client, method)
        got, kinds = statements(lambda: send(url, {"title": "x"}, **headers))
        assert got == status
        lock_row(article).delete()
        transactions = [kind for kind in kinds if kind in ("BEGIN", "SAVEPOINT")]
        return len(without_transactions(kinds)), transactions

    plain, _ = measure(made((False, False)), {})
    locking = made(kind)
    releasing = made(kind, release_on_write=True)
    # A deletion gives the lock up by itself, and the release is a statement more.
    given_up = 1 if method == "delete" else 0

    def token():
        return with_token(article.lock()["token"])

    count, transactions = measure(locking, token())
    assert count == plain + 1 + given_up
    if connection.vendor == "sqlite":  # others begin one without a statement
        assert transactions.count("BEGIN") == 1
    article.save(force_insert=not Article.objects.exists())
    count, _ = measure(releasing, token())
    assert count == plain + 2
    article.save(force_insert=not Article.objects.exists())
    count, _ = measure(locking, {})
    assert count == plain + (3 if connection.vendor == "mysql" else 2)
