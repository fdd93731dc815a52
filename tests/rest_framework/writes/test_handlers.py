"""Writes through views of REST framework: what they undo and cost, who is asked first."""

import logging

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, connection
from django.http import Http404
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework import exceptions, permissions
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import api_view, permission_classes

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock
from tests.models import Article, Desk, Keyword
from tests.support.drf_site import TitleSerializer, api_client, with_token
from tests.support.drf_writes import (
    VOID,
    assert_refused,
    assert_refuses,
    checked,
    locked,
    made,
    needs_the_lock,
    rename,
    request,
    url_of,
)
from tests.support.helpers import ACQUIRE, age, expire, lock_row
from tests.support.objects import title_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def in_atomic_requests(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


RELEASES = pytest.mark.parametrize("releases", [False, True])


# What is undone


class Failure(Exception):
    pass


@pytest.mark.matrix
@pytest.mark.parametrize("state", ["held", "expired", "free", "expired, no token"])
@RELEASES
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (exceptions.ValidationError("no"), 400),
        (exceptions.PermissionDenied(), 403),
        (Http404(), 404),
        (exceptions.Throttled(3), 429),
        (Failure(), 500),
    ],
)
def test_an_error_after_the_write_undoes_it_and_leaves_the_lock_as_it_was(
    article, client, serve_locked, state, releases, error, status
):
    def write(self, subject):
        Article.objects.filter(pk=article.pk).update(title="Half done")
        assert lock_row(article).exists()
        raise error

    serve_locked(perform_update=write, perform_destroy=write, release_on_write=releases)
    client.raise_request_exception = False
    headers = {} if state == "free" else locked(article)
    if headers:
        age(article, 100)
        if state != "held":
            expire(article)
        if state == "expired, no token":
            headers = {}
    for method in ("put", "patch", "delete"):
        answer = assert_refuses(request(client, method, article), status, **headers)
        assert "Lock-Expires-At" not in answer


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 423), (with_token(VOID), 412), ({"headers": {"If": "nonsense"}}, 400)],
)
@pytest.mark.usefixtures("in_atomic_requests")
def test_under_atomic_requests_a_refusal_undoes_what_came_before(
    article, patch, serve_locked, headers, status
):
    class Audits(permissions.BasePermission):
        def has_permission(self, request, view):
            assert connection.in_atomic_block
            Keyword.objects.create(name="audit")
            return True

    serve_locked(permission_classes=[Audits])
    article.lock()
    assert_refuses(patch, status, **headers)


@pytest.mark.django_db(transaction=True)
@RELEASES
@pytest.mark.usefixtures("in_atomic_requests")
def test_under_atomic_requests_a_write_and_its_lock_are_one(
    article, patch, serve_locked, releases, with_a_lock, headers
):
    def write(self, serializer):
        serializer.save()
        if fails:
            raise exceptions.ValidationError("no")

    serve_locked(perform_update=write, release_on_write=releases)
    fails = True
    assert_refuses(patch, 400, **headers)
    fails = False
    answer = patch(**headers)
    assert answer.status_code == 200
    assert title_of(article) == "Second"
    assert lock_row(article).exists() is (with_a_lock and not releases)
    assert ("Lock-Expires-At" in answer) is (with_a_lock and not releases)


# The database


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError, DatabaseError])
def test_a_database_that_fails_every_statement_is_a_503(
    article, patch, serve_locked, caplog, headers, error
):
    def fail(*args):
        raise error("the server has gone away")

    serve_locked()
    with caplog.at_level(logging.ERROR, "lock_tokens"):
        with connection.execute_wrapper(fail):
            answer = patch(**headers)
    assert_refused(answer, 503, "unavailable")
    assert answer["Retry-After"] == "2"
    assert "gone away" not in answer.content.decode()
    assert [record.name for record in caplog.records][:1] == ["lock_tokens"]
    assert title_of(article) == "First"


def fail(*args, **options):
    raise OperationalError


@pytest.mark.parametrize("method", ["release", "renew"])
def test_a_database_that_fails_to_release_is_a_503(
    article, patch, serve_locked, monkeypatch, method
):
    serve_locked(release_on_write=True)
    headers = locked(article)
    monkeypatch.setattr(LockToken.objects, method, fail)
    assert patch(**headers).status_code == 503
    assert title_of(article) == "First"


def test_a_failure_of_the_handlers_own_stays_its_own(patch, serve_locked):
    serve_locked(perform_update=fail)
    with pytest.raises(OperationalError):
        patch()


# Who is asked first


def test_who_has_not_signed_in_is_told_so_and_how(article, serve_locked):
    serve_locked(
        authentication_classes=[BasicAuthentication],
        permission_classes=[permissions.IsAuthenticated],
    )
    article.lock()
    for headers in ({}, with_token(VOID), {"headers": {"If": "nonsense"}}):
        answer = request(api_client(), "patch", article)(**headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Basic")
        assert set(answer.json()) == {"detail"}


def test_a_session_without_csrf_token_is_told_nothing_of_the_lock(
    article, alice, serve_locked
):
    serve_locked()
    article.lock()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    answer = browser.patch(url_of(article), {}, content_type="application/json")
    assert answer.status_code == 403
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("state", ["free", "locked", "expired"])
@pytest.mark.parametrize("required", [False, True])
def test_what_a_queryset_leaves_out_is_not_found_locked_or_not(
    article, client, serve_locked, state, required
):
    serve_locked(
        queryset=Article.objects.exclude(pk=article.pk), lock_required=required
    )
    sent = [{}, with_token(VOID)]
    if state != "free":
        sent.append(locked(article))
    if state == "expired":
        expire(article)
    for headers in sent:
        for method in ("put", "patch", "delete"):
            answer = assert_refuses(request(client, method, article), 404, **headers)
            assert set(answer.json()) == {"detail"}


def test_a_lock_that_is_required_is_told_by_whom_it_is_kept(
    article, alice, patch, serve_locked
):
    serve_locked(lock_required=True)
    held = article.lock(user=alice)
    answer = patch()
    assert_refused(answer, 423, "locked")
    assert answer.json()["locked_by"] == "Alice Liddell"
    assert answer.json()["expires_at"] == held["expires_at"]
    expire(article)
    assert_refuses(patch, 428, "lock_required")
    assert patch(**with_token(held["token"])).status_code == 200


@pytest.mark.parametrize(
    "classes",
    [
        [permissions.IsAuthenticated & HoldsLock],
        [HoldsLock & permissions.IsAuthenticated],
        [HoldsLock, permissions.IsAuthenticated],
        [permissions.IsAuthenticated, HoldsLock],
        [HoldsLock | permissions.IsAdminUser],
        [permissions.IsAdminUser | HoldsLock],
    ],
)
def test_the_permission_beside_others(article, patch, serve, classes):
    serve(made("", permission_classes=classes))
    needs_the_lock(patch, article)


def test_an_alternative_to_the_lock_goes_without_it(article, serve, admin_user):
    serve(made("", permission_classes=[permissions.IsAdminUser | HoldsLock]))
    article.lock()
    assert request(api_client(admin_user), "patch", article)().status_code == 200


def test_a_permission_that_is_asked_too_late_is_a_mistake_of_the_projects(
    article, client, patch, serve
):
    class Nobody(permissions.BasePermission):
        def has_object_permission(self, request, view, obj):
            return False

    serve(made("", permission_classes=[Nobody | HoldsLock]))
    article.lock()
    with pytest.raises(ImproperlyConfigured, match="too late"):
        patch()
    assert title_of(article) == "First"
    assert client.get(url_of(article)).status_code == 200
    assert client.options(url_of(article)).status_code == 200


def test_the_mixin_and_the_permission_go_together(article, client, patch, serve):
    serve(made("mixin and permission", serializer_class=TitleSerializer))
    url = url_of(article, "lock/")
    headers = with_token(client.post(url).json()["token"])
    assert patch().status_code == 423
    with CaptureQueriesContext(connection) as queries:
        assert patch(**headers).status_code == 200
    updates = [query for query in queries if query["sql"].startswith("UPDATE")]
    assert len(updates) == 2  # one fence, one write
    assert client.delete(url, **headers).status_code == 204
    assert title_of(article) == "Second"


def test_a_function_may_check_its_object_through_its_view(article, patch, serve):
    @api_view(["PATCH"])
    @permission_classes([HoldsLock])
    def view(request, pk):
        return rename(checked(request.parser_context["view"], pk), request)

    serve(view)
    needs_the_lock(patch, article)
    assert title_of(article) == "Second"


# The header


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        *(({"Lock-Token": form}, 200) for form in ("{0}", "<{0}>", " <{0}> ")),
        *(({"If": form}, 200) for form in ("(<{0}>)", " ( <{0}> ) ")),
        *(({"If": "(<{0}>)", "Lock-Token": own}, 200) for own in ("{0}", "<{0}>")),
        *(
            ({"Lock-Token": form}, 412)
            for form in ("{0}, {0}", '"{0}"', "<<{0}>>", "<>")
        ),
        *(({"If": form}, 412) for form in ("(<>)", "(<{0}x>)", f"(<{VOID}>)")),
        *(
            ({"If": form}, 400)
            for form in (
                *("(<{0}>", "(<{0}> <{0}>)", "</x> (<{0}>)", "(Not <{0}>)", "{0}"),
                *('(["{0}"])', '(<{0}> ["tag"])', "(<{0}>) (<{0}>)", "({0})"),
                *("<{0}>", "", "(<>"),
            )
        ),
        *(({"If": "(<{0}>)", "Lock-Token": other}, 400) for other in ("", VOID)),
    ],
)
def test_the_forms_of_the_token(
    article, client, patch, serve_locked, kind, headers, status
):
    serve_locked()
    token = article.lock()["token"]
    headers = {name: value.format(token) for name, value in headers.items()}
    answer = patch(headers=headers)
    assert answer.status_code == status
    assert title_of(article) == ("Second" if status == 200 else "First")
    if status == 400:
        assert_refused(answer, 400, "invalid_if")
    if kind == "permission":
        return
    # The route of the lock reads them the same.
    for method in ("get", "head", "patch", "delete"):
        answer = getattr(client, method)(url_of(article, "lock/"), headers=headers)
        done = 204 if method == "delete" else 200
        assert answer.status_code == {200: done, 412: 403, 400: 400}[status]
        if status == 400 and method != "head":
            assert_refused(answer, 400, "invalid_if")
    assert lock_row(article).exists() is (status != 200)


# Statements, beside those of a view without locks


def statements(send, headers):
    """Return the status, the statements, and how many transactions began."""
    with CaptureQueriesContext(connection) as queries:
        answer = send(**headers)
    # MariaDB's first try does not wait: SET STATEMENT … FOR INSERT.
    kinds = [query["sql"].split()[0].replace("SET", "INSERT") for query in queries]
    ends = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    begun = kinds.count("BEGIN") + kinds.count("SAVEPOINT")
    return answer.status_code, [kind for kind in kinds if kind not in ends], begun


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("method", "status"), [("put", 200), ("patch", 200), ("delete", 204)]
)
def test_a_write_costs_the_fence_and_nothing_more(
    article, client, serve, serve_locked, method, status
):
    def measure(headers):
        got, kinds, begun = statements(request(client, method, article), headers)
        assert got == status
        lock_row(article).delete()
        article.save(force_insert=not Article.objects.exists())
        return kinds, begun

    looks_first = ["SELECT"] if connection.vendor == "mysql" else []
    serve(made("", serializer_class=TitleSerializer))
    plain, _ = measure({})
    assert plain[:2] == ["SELECT", "SELECT" if method == "delete" else "UPDATE"]
    for releases in (False, True):
        serve_locked(serializer_class=TitleSerializer, release_on_write=releases)
        # A deletion gives the lock up by itself.
        ends = ["DELETE"] if releases or method == "delete" else []
        # The fence comes before the object is read, which is read once.
        kinds, begun = measure(locked(article))
        assert kinds == ["UPDATE", *plain, *ends]
        if connection.vendor == "sqlite":  # others begin one without a statement
            assert begun == 1
        kinds, _ = measure({})
        assert kinds == [*looks_first, *ACQUIRE, *plain, "DELETE"]


def test_what_a_refusal_costs(article, patch, serve):
    refused = ["WITH"] if connection.vendor == "postgresql" else ["SELECT"]
    serve(made("mixin", serializer_class=TitleSerializer))
    article.lock()
    # Who holds it, and whether the object may be known.
    status, kinds, _ = statements(patch, {})
    assert status == 423
    assert [kind for kind in kinds if kind != "INSERT"] == [*refused, "SELECT"]
    status, kinds, _ = statements(patch, with_token(VOID))
    assert (status, kinds) == (412, ["UPDATE", *["SELECT"] * 3])
    lock_row(article).delete()
    serve(made("mixin", serializer_class=TitleSerializer, lock_required=True))
    status, kinds, _ = statements(patch, {})
    assert (status, kinds) == (428, ["SELECT", "SELECT"])


@pytest.mark.urls("tests.support.drf_site")
def test_by_another_field_the_object_is_read_twice(client):
    headers = locked(Desk.objects.create(name="news"))
    send = request(client, "patch", "/api/desks/news/", {})
    _, kinds, _ = statements(send, headers)
    assert kinds[:3] == ["SELECT", "UPDATE", "SELECT"]
