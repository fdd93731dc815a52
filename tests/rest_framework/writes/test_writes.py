"""Writes through views of REST framework, under the lock of their object."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import path
from rest_framework import exceptions, permissions
from rest_framework.generics import ListCreateAPIView
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin
from tests.models import Article, Desk, Label
from tests.support.drf_site import (
    ArticleSerializer,
    ArticleViewSet,
    api_client,
    with_token,
)
from tests.support.drf_writes import VOID, title
from tests.support.helpers import age, expire, lock_row

pytestmark = [
    pytest.mark.urls("tests.support.drf_site"),
    pytest.mark.django_db(databases=["default", "other"]),
]

GUARDED = [
    "/api/articles/{}/",
    "/api/strict/{}/",
    "/api/releasing/{}/",
    "/api/permission/{}/",
    "/generic/{}/",
    "/mixed/{}/",
]


@pytest.fixture
def bob(django_user_model):
    return django_user_model.objects.create(username="bob")


@pytest.fixture(params=GUARDED)
def url(request, article):
    """The article, in each kind of view."""
    return request.param.format(article.pk)


def test_without_the_token_a_locked_object_is_not_written_to(
    url, article, alice, client
):
    token = article.lock(user=alice)
    for method in ("put", "patch", "delete"):
        answer = getattr(client, method)(url, {"title": "Lost"})
        assert answer.status_code == 423
        body = answer.json()
        assert body["error"] == "locked"
        assert body["locked_by"] == "Alice Liddell"
        assert body["expires_at"] == token["expires_at"]
        assert set(body) == {"error", "detail", "locked_by", "locked_at", "expires_at"}
        assert "Lock-Expires-At" not in answer
    assert title(article) == "First"


@pytest.mark.parametrize(
    "headers", ["Lock-Token: {}", "Lock-Token: <{}>", "If: (<{}>)"]
)
def test_with_the_token_it_is_written_to(url, article, client, headers):
    token = article.lock()["token"]
    age(article, 100)
    name, value = headers.format(token).split(": ")
    answer = client.patch(url, {"title": "Second"}, headers={name: value})
    assert answer.status_code == 200
    assert title(article) == "Second"
    if "releasing" in url:
        assert "Lock-Expires-At" not in answer
        assert not lock_row(article).exists()
    else:
        lock = LockToken.objects.get_by_token(article, token)
        assert answer["Lock-Expires-At"] == lock.serialize()["expires_at"]


def test_a_void_token_writes_nothing(url, article, alice, client):
    for locks, code in ((False, "not_locked"), (True, "wrong_token")):
        if locks:
            article.lock(user=alice)
        for token in (VOID, "", "nonsense"):
            answer = client.put(url, {"title": "Lost"}, **with_token(token))
            assert answer.status_code == 412
            assert answer.json()["error"] == code
            assert answer.json()["locked_by"] == ("Alice Liddell" if locks else None)
    assert title(article) == "First"


def test_a_token_that_another_took_over_is_void(url, article, bob, client):
    token = article.lock()["token"]
    LockToken.objects.take_over(article, user=bob)
    answer = client.delete(url, **with_token(token))
    assert answer.status_code == 412
    assert answer.json()["locked_by"] == "bob"
    assert title(article) == "First"


def test_an_expired_token_that_nobody_took_writes(url, article, client):
    token = article.lock()["token"]
    expire(article)
    answer = client.patch(url, {"title": "Second"}, **with_token(token))
    assert answer.status_code == 200
    assert title(article) == "Second"


@pytest.mark.parametrize(
    "value",
    ["({0})", "<{0}>", "(Not <{0}>)", '(<{0}> ["tag"])', "(<{0}>) (<{0}>)", "", "(<>"],
)
def test_an_if_header_of_another_form_is_refused(url, article, client, value):
    token = article.lock()["token"]
    headers = {"If": value.format(token)}
    answer = client.patch(url, {"title": "Lost"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_if")
    assert title(article) == "First"


def test_two_tokens_that_differ_are_refused(url, article, client):
    token = article.lock()["token"]
    headers = {"If": f"(<{token}>)", "Lock-Token": VOID}
    assert client.patch(url, {"title": "Lost"}, headers=headers).status_code == 400
    headers["Lock-Token"] = f"<{token}>"
    assert client.patch(url, {"title": "Second"}, headers=headers).status_code == 200


def test_a_free_object_is_written_to_without_a_token(url, article, client):
    answer = client.patch(url, {"title": "Second"})
    if "strict" in url:
        assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
        assert title(article) == "First"
    else:
        assert answer.status_code == 200
        assert title(article) == "Second"
        assert answer.json()["lock"]["locked"] is False
    assert "Lock-Expires-At" not in answer
    assert not lock_row(article).exists()


def test_a_write_without_a_token_makes_an_expired_one_void(article, client):
    token = article.lock()["token"]
    expire(article)
    url = f"/api/articles/{article.pk}/"
    assert client.patch(url, {"title": "Second"}).status_code == 200
    answer = client.patch(url, {"title": "Stale"}, **with_token(token))
    assert answer.status_code == 412
    assert title(article) == "Second"


def test_a_delete_gives_the_lock_up(url, article, client):
    token = article.lock()["token"]
    assert client.delete(url, **with_token(token)).status_code == 204
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


def test_the_lock_of_a_model_that_knows_nothing_of_locks_goes_with_its_object(
    client, superclient
):
    desk = Desk.objects.create(name="news")
    token = LockToken.objects.acquire(desk).token_str
    answer = client.delete("/api/desks/news/", **with_token(token))
    assert answer.status_code == 204
    assert not LockToken.objects.exists()


@pytest.fixture
def superclient(django_user_model):
    return api_client(django_user_model.objects.create_superuser("root"))


def test_errors_keep_the_lock_as_it_was(url, article, client):
    token = article.lock()
    before = lock_row(article).get().expires_at
    answer = client.patch(url, {"title": "x" * 500}, **with_token(token["token"]))
    assert answer.status_code == 400
    assert lock_row(article).get().expires_at == before


def test_safe_methods_need_no_token(url, article, client):
    article.lock()
    assert client.get(url).status_code == 200
    assert client.head(url).status_code == 200
    assert client.options(url).status_code == 200


def test_other_methods_are_still_not_allowed(url, article, client):
    assert client.post(url, {"title": "x"}).status_code == 405


def test_an_action_on_a_locked_object_needs_its_token(article, client):
    url = f"/api/articles/{article.pk}/shout/"
    token = article.lock()["token"]
    assert client.post(url).status_code == 423
    assert title(article) == "First"
    assert client.post(url, **with_token(token)).status_code == 200
    assert title(article) == "FIRST"


def test_lists_need_no_token(article, client):
    article.lock()
    assert client.post("/api/strict/", {"title": "New"}).status_code == 201
    assert client.post("/api/strict/clear/").status_code == 204


# What a view overrides


class Failure(Exception):
    pass


def viewset(**attributes):
    base = {"queryset": Article.objects.all(), "serializer_class": ArticleSerializer}
    bases = (LockableViewSetMixin, ModelViewSet)
    made = type("Made", bases, {**base, **attributes})
    actions = {"patch": "partial_update", "delete": "destroy", "post": "act"}
    return made.as_view({m: a for m, a in actions.items() if hasattr(made, a)})


urlpatterns = [
    path("<int:pk>/", lambda request, pk: urlpatterns[0].view(request, pk=pk))
]


@pytest.fixture
def serve(settings):
    """Serve a view under each key."""
    settings.ROOT_URLCONF = "tests.rest_framework.writes.test_writes"

    def serve(view):
        urlpatterns[0].view = view

    return serve


def is_fenced():
    return connection.in_atomic_block and bool(connection.savepoint_ids)


def test_the_fence_surrounds_an_overridden_write(article, client, serve):
    def write(self, subject):
        assert is_fenced()
        Article.objects.update(title="Half done")
        raise Failure

    token = article.lock()["token"]
    before = lock_row(article).get().expires_at
    serve(viewset(perform_update=write, perform_destroy=write))
    for method in (client.patch, client.delete):
        for headers in (with_token(token), {}):
            if not headers:
                lock_row(article).delete()
            with pytest.raises(Failure):
                method(f"/{article.pk}/", {"title": "x"}, **headers)
            assert title(article) == "First"
            if headers:
                assert lock_row(article).get().expires_at == before
            assert not LockToken.objects.exclude(token_str=token).exists()
        token = article.lock()["token"]
        before = lock_row(article).get().expires_at


def test_an_overridden_update_and_get_object_are_fenced_too(article, client, serve):
    def update(self, request, pk, partial):
        assert is_fenced()
        article = self.get_object()
        article.title = request.data["title"]
        article.save()
        return Response({})

    def get_object(self):
        return Article.objects.get(pk=self.kwargs["pk"])

    serve(viewset(update=update, get_object=get_object))
    article.lock()
    assert client.patch(f"/{article.pk}/", {"title": "Lost"}).status_code == 423
    lock_row(article).delete()
    assert client.patch(f"/{article.pk}/", {"title": "Second"}).status_code == 200
    assert title(article) == "Second"


def test_an_error_that_is_returned_keeps_the_lock(article, client, serve):
    def update(self, request, pk, partial):
        return Response({}, status=409)

    serve(viewset(update=update, release_on_write=True))
    token = article.lock()["token"]
    answer = client.patch(f"/{article.pk}/", {}, **with_token(token))
    assert answer.status_code == 409
    assert lock_row(article).exists()


def test_the_holder_of_a_write_without_a_token_is_its_user(
    article, alice, client, serve
):
    def write(self, serializer):
        holders.append(LockToken.objects.info(article).locked_by)

    holders = []
    serve(viewset(perform_update=write))
    client.patch(f"/{article.pk}/", {})
    api_client().patch(f"/{article.pk}/", {})
    assert holders == [alice, None]


def test_a_view_may_say_which_object_it_writes_to(article, client, serve):
    other = Article.objects.create(title="Other")
    other.lock()
    for hook, status in ((lambda view: other, 423), (lambda view: None, 200)):
        serve(viewset(get_object_to_lock=hook))
        article.lock()
        answer = client.patch(f"/{article.pk}/", {"title": "Second"})
        assert answer.status_code == status
        lock_row(article).delete()


def test_a_view_may_have_a_list_for_a_queryset(article, client, serve):
    serve(
        viewset(
            get_queryset=lambda view: [article],
            filter_queryset=lambda view, found: Article.objects.all(),
        )
    )
    article.lock()
    assert client.patch(f"/{article.pk}/", {"title": "x"}).status_code == 423


def test_a_key_that_is_none_is_not_found(client, serve):
    serve(viewset(lookup_field="pk"))
    for key in (0, 10**40):
        assert client.patch(f"/{key}/", {}).status_code == 404
        assert client.patch(f"/{key}/", {}, **with_token(VOID)).status_code == 404
    assert client.patch("/api/pages/nonsense/", {}).status_code == 404
    assert not LockToken.objects.exists()


# Who may not write is told nothing of the lock


class NotThisOne(permissions.BasePermission):
    def has_object_permission(self, request, view, obj):
        return False


@pytest.mark.parametrize("classes", [[NotThisOne], [NotThisOne, HoldsLock]])
def test_the_views_permissions_come_first(article, client, serve, classes):
    serve(viewset(permission_classes=classes))
    article.lock()
    for headers in ({}, with_token(VOID)):
        answer = client.patch(f"/{article.pk}/", {"title": "x"}, **headers)
        assert answer.status_code == 403
        assert set(answer.json()) == {"detail"}


def test_who_is_not_signed_in_is_told_nothing(article, serve):
    serve(viewset(permission_classes=[permissions.IsAuthenticated & HoldsLock]))
    article.lock()
    answer = api_client().patch(f"/{article.pk}/", {"title": "x"})
    assert answer.status_code in (401, 403)
    assert set(answer.json()) == {"detail"}


def test_an_alternative_to_the_lock_goes_without_it(article, client, superclient):
    class View(ModelViewSet):
        queryset = Article.objects.all()
        serializer_class = ArticleSerializer
        permission_classes = [permissions.IsAdminUser | HoldsLock]

    article.lock()
    urlpatterns[0].view = View.as_view({"patch": "partial_update"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.ROOT_URLCONF", __name__)
        url = f"/{article.pk}/"
        assert client.patch(url, {"title": "x"}).status_code == 423
        assert superclient.patch(url, {"title": "Second"}).status_code == 200


# Views that do everything by themselves


def test_a_checked_object_is_locked_from_then_on(article, client):
    url = f"/hand-made/{article.pk}/"
    token = article.lock()["token"]
    assert client.put(url, {"title": "Lost"}).status_code == 423
    assert client.put(url, {"title": "Lost"}, **with_token(VOID)).status_code == 412
    answer = client.put(url, {"title": "Second"}, **with_token(token))
    assert answer.status_code == 200
    assert "Lock-Expires-At" in answer
    assert title(article) == "Second"
    assert client.get(url).status_code == 405


def test_a_write_that_checks_no_object_is_a_mistake_of_the_projects(article, client):
    url = f"/hand-made/{article.pk}/"
    with pytest.raises(ImproperlyConfigured, match="check_object_permissions"):
        client.put(url, {"title": "x", "forgetful": True})
    assert client.post(url).status_code == 201


def test_an_object_that_is_gone_when_its_lock_is_had_is_not_found(
    article, client, monkeypatch
):
    def gone(self, *args, **options):
        raise Article.DoesNotExist

    monkeypatch.setattr(Article, "refresh_from_db", gone)
    url = f"/hand-made/{article.pk}/"
    assert client.put(url, {"title": "x"}).status_code == 404


# Any key


def test_a_text_key_in_another_spelling_is_the_same_object(client):
    Label.objects.create(name="News")
    client.post("/api/labels/News/lock/")
    # MariaDB and MySQL take the two for one; elsewhere there is no such object.
    answer = client.delete("/api/labels/NEWS/")
    assert answer.status_code == (423 if connection.vendor == "mysql" else 404)


# The database


def test_a_database_that_fails_is_a_503(url, article, client, monkeypatch):
    def fail(*args, **options):
        raise DatabaseError

    monkeypatch.setattr(LockToken.objects, "fence", fail)
    answer = client.patch(url, {"title": "x"}, **with_token(VOID))
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer["Retry-After"] == "2"


def test_atomic_requests(url, article, client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    token = article.lock()["token"]
    assert client.patch(url, {"title": "Lost"}).status_code == 423
    answer = client.patch(url, {"title": "Lost"}, **with_token(VOID))
    assert answer.status_code == 412
    answer = client.patch(url, {"title": "Second"}, **with_token(token))
    assert answer.status_code == 200
    assert title(article) == "Second"


def statements(call):
    with CaptureQueriesContext(connection) as queries:
        answer = call()
    # MariaDB's first try does not wait: SET STATEMENT … FOR INSERT.
    kinds = [query["sql"].split()[0].replace("SET", "INSERT") for query in queries]
    return answer.status_code, [kind for kind in kinds if kind not in TRANSACTION]


TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


def plain(article, client):
    urlpatterns[0].view = type(
        "Unlocked",
        (ModelViewSet,),
        {"queryset": Article.objects.all(), "serializer_class": Titles},
    ).as_view({"patch": "partial_update", "delete": "destroy"})


class Titles(ArticleSerializer):
    lock = None

    class Meta(ArticleSerializer.Meta):
        fields = ["id", "title"]


def test_a_write_costs_the_fence_and_nothing_more(article, client, serve):
    def patch(**headers):
        return statements(
            lambda: client.patch(f"/{article.pk}/", {"title": "x"}, **headers)
        )

    looks_first = ["SELECT"] if connection.vendor == "mysql" else []
    serve(None)
    plain(article, client)
    assert patch() == (200, ["SELECT", "UPDATE"])
    for release in (False, True):
        serve(viewset(serializer_class=Titles, release_on_write=release))
        token = article.lock()["token"]
        # The fence comes before the object is read, which is read once.
        ends = ["DELETE"] if release else []
        assert patch(**with_token(token)) == (
            200,
            ["UPDATE", "SELECT", "UPDATE", *ends],
        )
        lock_row(article).delete()
        assert patch() == (200, [*looks_first, "INSERT", "SELECT", "UPDATE", "DELETE"])
    article.lock()
    # Who holds it, and whether the object may be known.
    status, kinds = patch()
    assert status == 423
    assert [kind for kind in kinds if kind == "SELECT"] == ["SELECT"] * (
        2 + len(looks_first)
    )
    assert patch(**with_token(VOID)) == (412, ["UPDATE", *["SELECT"] * 3])
    lock_row(article).delete()
    serve(viewset(serializer_class=Titles, lock_required=True))
    assert patch() == (428, ["SELECT", "SELECT"])


def test_by_another_field_the_object_is_read_twice(client):
    desk = Desk.objects.create(name="news")
    token = LockToken.objects.acquire(desk).token_str
    _, kinds = statements(
        lambda: client.patch("/api/desks/news/", {}, **with_token(token))
    )
    assert kinds[:3] == ["SELECT", "UPDATE", "SELECT"]


# What else looks at a view


@pytest.mark.parametrize("kind", GUARDED)
def test_the_browsable_api_shows_its_pages(article, client, kind):
    html = {"Accept": "text/html"}
    url = kind.format(article.pk)
    token = article.lock()["token"]
    for answer, status in (
        (client.get(url, headers=html), 200),
        (client.patch(url, {"title": "x"}, headers=html), 423),
        (client.patch(url, {"title": "x"}, headers={**html, "Lock-Token": token}), 200),
        (client.options(url, headers=html), 200),
    ):
        assert answer.status_code == status
        assert "<html" in answer.content.decode()


def test_the_browsable_api_of_a_hand_made_view(article, client):
    html = {"Accept": "text/html"}
    article.lock()
    answer = client.put(f"/hand-made/{article.pk}/", {"title": "x"}, headers=html)
    assert answer.status_code == 423


def codes(error, context):
    """An exception handler that looks into the errors, as some packages do."""
    assert isinstance(error, exceptions.APIException)
    return Response(
        {"codes": error.get_codes(), "full": error.get_full_details()},
        status=error.status_code,
    )


def test_other_exception_handlers_can_read_a_refusal(article, client, serve):
    view = ArticleViewSet
    serve(
        type("Custom", (view,), {"get_exception_handler": lambda self: codes}).as_view(
            {"patch": "partial_update"}
        )
    )
    article.lock()
    answer = client.patch(f"/{article.pk}/", {"title": "x"})
    assert answer.json()["codes"] == "locked"
    assert answer.json()["full"]["code"] == "locked"


# The edges


def test_a_permission_that_is_asked_too_late_is_a_mistake_of_the_projects(
    article, client, serve
):
    class Nobody(permissions.BasePermission):
        def has_object_permission(self, request, view, obj):
            return False

    class View(ModelViewSet):
        queryset = Article.objects.all()
        serializer_class = ArticleSerializer
        permission_classes = [Nobody | HoldsLock]

    serve(View.as_view({"patch": "partial_update", "get": "retrieve"}))
    article.lock()
    with pytest.raises(ImproperlyConfigured, match="too late"):
        client.patch(f"/{article.pk}/", {"title": "Lost"})
    assert title(article) == "First"
    assert client.get(f"/{article.pk}/").status_code == 200
    assert client.options(f"/{article.pk}/").status_code == 200


@pytest.mark.parametrize("method", ["release", "renew"])
def test_a_database_that_fails_to_release_is_a_503(
    article, client, monkeypatch, method
):
    def fail(*args, **options):
        raise OperationalError

    token = article.lock()["token"]
    monkeypatch.setattr(LockToken.objects, method, fail)
    answer = client.patch(
        f"/api/releasing/{article.pk}/", {"title": "Lost"}, **with_token(token)
    )
    assert answer.status_code == 503
    assert title(article) == "First"


def test_a_failure_of_the_handlers_own_stays_its_own(article, client, serve):
    def fail(self, serializer):
        raise OperationalError

    serve(viewset(perform_update=fail))
    with pytest.raises(OperationalError):
        client.patch(f"/{article.pk}/", {"title": "x"})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lookup_field", ["pk", "title"])
def test_a_queryset_may_lock_its_rows(article, client, serve, lookup_field):
    @transaction.atomic
    def update(self, request, *args, **kwargs):
        return ModelViewSet.update(self, request, *args, **kwargs)

    serve(
        viewset(
            get_queryset=lambda view: Article.objects.select_for_update(),
            update=update,
            lookup_field=lookup_field,
            lookup_url_kwarg="pk",
        )
    )
    article.title = str(article.pk)
    article.save()
    token = article.lock()["token"]
    url = f"/{article.pk}/"
    assert client.patch(url, {}).status_code == 423
    assert client.patch(url, {}, **with_token(VOID)).status_code == 412
    assert client.patch(url, {}, **with_token(token)).status_code == 200


def test_a_list_below_an_object_is_not_that_object(article, client, serve):
    article.lock()
    creates = type(
        "Creates",
        (LockableViewSetMixin, ListCreateAPIView),
        {"queryset": Article.objects.all(), "serializer_class": ArticleSerializer},
    )
    serve(creates.as_view())
    assert client.post(f"/{article.pk}/", {"title": "New"}).status_code == 201
    made = type("Lists", (ArticleViewSet,), {"act": lambda *a, **kw: Response({})})
    serve(made.as_view({"post": "act"}, detail=False))
    assert client.post(f"/{article.pk}/").status_code == 200
    serve(made.as_view({"post": "act"}))
    assert client.post(f"/{article.pk}/").status_code == 423


def test_an_expiry_that_is_rolled_back_is_not_told(article, client, serve):
    def update(self, request, pk, partial):
        transaction.set_rollback(True)
        return Response({})

    serve(viewset(update=update))
    answer = client.patch(f"/{article.pk}/", {}, **with_token(article.lock()["token"]))
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer


def test_the_mixin_and_the_permission_go_together(article, client, serve):
    made = type("Both", (ArticleViewSet,), {"permission_classes": [HoldsLock]})
    serve(
        made.as_view(
            {
                "post": "acquire_lock",
                "delete": "release_lock",
                "patch": "partial_update",
            }
        )
    )
    url = f"/{article.pk}/"
    token = client.post(url).json()["token"]
    assert client.patch(url, {"title": "Lost"}).status_code == 423
    answer = client.patch(url, {"title": "Second"}, **with_token(token))
    assert answer.status_code == 200
    assert client.delete(url, **with_token(token)).status_code == 204
    assert title(article) == "Second"
