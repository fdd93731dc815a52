"""Every path by which a view of REST framework can write to a locked object."""

import html
import json
import re
from contextlib import suppress

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from django.core.exceptions import ImproperlyConfigured
from django.db import (
    IntegrityError,
    OperationalError,
    connection,
    connections,
    models,
    transaction,
)
from django.db.models.query import ModelIterable
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.urls import path
from rest_framework import permissions
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import (
    GenericAPIView,
    ListCreateAPIView,
    get_object_or_404,
)
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import (
    GenericViewSet,
    ModelViewSet,
    ViewSet,
    ViewSetMixin,
)

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import (
    HoldsLock,
    LockableViewSetMixin,
    LockRefused,
    LockStateField,
)
from tests.models import Article, ArticleProxy, Comment, Desk, Feature, Keyword, Story
from tests.support.drf_site import ArticleSerializer, api_client, with_token
from tests.support.helpers import lock_row

pytestmark = [pytest.mark.urls("tests.support.drf_site"), pytest.mark.django_db]

VOID = "0" * 32
BOTH = pytest.mark.parametrize(
    "kind",
    [
        pytest.param((True, False), id="mixin"),
        pytest.param((False, True), id="permission"),
    ],
)
#: With the token of the object's lock, and without one while it is free.
TOKEN = pytest.mark.parametrize("with_a_lock", [True, False])


def serializer_of(model_, *names):
    class Serializer(ModelSerializer):
        lock = LockStateField()

        class Meta:
            model = model_
            fields = [*names, "lock"]

    return Serializer


def made(kind, base, **attributes):
    """Return a view with the mixin, with the permission, or with neither."""
    has_mixin, has_permission = kind
    if has_permission:
        own = attributes.get("permission_classes", [])
        attributes["permission_classes"] = [*own, HoldsLock]
    if issubclass(base, GenericAPIView):
        attributes.setdefault("queryset", Article.objects.all())
        attributes.setdefault("serializer_class", ArticleSerializer)
    return type(
        "Made", (LockableViewSetMixin, base) if has_mixin else (base,), attributes
    )


class Routes:
    """A URLconf of a test's own."""

    def __init__(self, urlpatterns):
        self.urlpatterns = urlpatterns


@pytest.fixture
def serve(settings):
    """Serve a view at an address, a viewset at those that a router makes."""

    def serve(view, address="<int:pk>/", prefix="things"):
        if issubclass(view, ViewSetMixin):
            router = SimpleRouter()
            router.register(prefix, view, prefix)
            settings.ROOT_URLCONF = Routes(router.urls)
        else:
            settings.ROOT_URLCONF = Routes([path(address, view.as_view())])

    return serve


@pytest.fixture
def client(alice):
    return api_client(alice)


def database():
    """Return all that a refused request might have changed."""
    names = (LockToken, Article, Feature, Story, Comment, Desk, Keyword)
    return [list(model.objects.order_by("pk").values()) for model in names]


def request(client, method, url, body=None):
    """Return a function that sends the same request, with the headers it is given."""
    body = {"title": "Second"} if body is None else body
    return lambda **headers: getattr(client, method)(url, body, **headers)


def refused_without_its_lock(send, obj):
    """Lock the object, and return its token: nothing else is let through."""
    token = LockToken.objects.acquire(obj).token_str
    before = database()
    for headers, status, error in (
        ({}, 423, "locked"),
        (with_token(VOID), 412, "wrong_token"),
    ):
        answer = send(**headers)
        assert answer.status_code == status
        assert answer.json()["error"] == error
        assert "Lock-Expires-At" not in answer
    assert database() == before
    return token


def needs_the_lock(send, obj):
    """Lock the object, and let nothing but its token through; then without a lock."""
    token = refused_without_its_lock(send, obj)
    answer = send(**with_token(token))
    assert answer.status_code == 200
    assert "Lock-Expires-At" in answer
    assert lock_row(obj).get().token_str == token
    lock_row(obj).delete()
    before = database()
    answer = send(**with_token(token))
    assert (answer.status_code, answer.json()["error"]) == (412, "not_locked")
    assert database() == before
    assert send().status_code == 200
    assert not LockToken.objects.exists()


def title(article):
    return Article.objects.get(pk=article.pk).title


def rename(obj, request):
    obj.title = request.data.get("title", "Renamed")
    obj.save()
    return Response({"title": obj.title})


# Rows that are of a child of the view's model


class Downcast(ModelIterable):
    """Gives the child of each row that has one, as packages for such models do."""

    def __iter__(self):
        rows = list(super().__iter__())
        found = Feature.objects.using(self.queryset.db).in_bulk(
            [row.pk for row in rows]
        )
        return iter([found.get(row.pk, row) for row in rows])


class ByIterable(models.QuerySet):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._iterable_class = Downcast


class ByGet(models.QuerySet):
    def get(self, *args, **kwargs):
        row = super().get(*args, **kwargs)
        return Feature.objects.using(self.db).filter(pk=row.pk).first() or row


class Downcasts(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return ByIterable(Article).all()


DOWNCASTS = {
    "iterable": {"queryset": ByIterable(Article).order_by("pk")},
    "get": {"queryset": ByGet(Article)},
    "backend": {"filter_backends": [Downcasts]},
    "filter": {"filter_queryset": lambda view, found: ByIterable(Article).all()},
}


@pytest.fixture(params=DOWNCASTS)
def downcast(request):
    return DOWNCASTS[request.param]


@pytest.fixture
def feature():
    return Feature.objects.create(title="First", lead="First")


@BOTH
@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_row_that_is_a_child_has_the_childs_lock(
    client, serve, feature, downcast, kind, method
):
    serve(made(kind, ModelViewSet, **downcast))
    send = request(client, method, f"/things/{feature.pk}/")
    needs_the_lock(send, feature)
    assert title(feature) == "Second"


@BOTH
def test_a_child_is_deleted_under_its_own_lock(client, serve, feature, downcast, kind):
    serve(made(kind, ModelViewSet, **downcast))
    send = request(client, "delete", f"/things/{feature.pk}/")
    token = refused_without_its_lock(send, feature)
    assert send(**with_token(token)).status_code == 204
    assert not Feature.objects.exists()
    assert not LockToken.objects.exists()


def test_the_route_and_the_writes_of_a_child_speak_of_one_lock(
    client, serve, feature, downcast
):
    serve(made((True, False), ModelViewSet, **downcast, release_on_write=True))
    url = f"/things/{feature.pk}/"
    token = client.post(f"{url}lock/").json()["token"]
    assert lock_row(feature).get().token_str == token
    answer = client.patch(url, {"title": "Lost"})
    assert (answer.status_code, title(feature)) == (423, "First")
    answer = client.patch(url, {"title": "Second"}, **with_token(token))
    assert answer.status_code == 200
    assert answer.json()["lock"]["locked"] is False
    assert client.get(f"{url}lock/").json()["locked"] is False
    assert not LockToken.objects.exists()


@BOTH
def test_rows_without_a_child_have_their_own_lock(
    client, serve, article, feature, downcast, kind
):
    serve(made(kind, ModelViewSet, **downcast))
    needs_the_lock(request(client, "patch", f"/things/{article.pk}/"), article)
    assert (title(article), title(feature)) == ("Second", "First")


@BOTH
@TOKEN
def test_the_lock_of_a_childs_parent_is_another(
    client, serve, feature, downcast, kind, with_a_lock
):
    serve(made(kind, ModelViewSet, **downcast))
    parent = LockToken.objects.acquire(Article.objects.get(pk=feature.pk))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(feature).token_str)
    answer = client.patch(f"/things/{feature.pk}/", {"title": "Second"}, **headers)
    assert answer.status_code == 200
    parent.refresh_from_db()  # stands as it was
    answer = client.patch(f"/things/{feature.pk}/", {}, **with_token(parent.token_str))
    assert answer.status_code == 412


@BOTH
def test_a_child_is_read_again_under_its_lock(
    client, serve, feature, downcast, monkeypatch, kind
):
    """What it was before the lock was had is not written back."""
    fence = LockToken.objects.fence

    def meanwhile(*args, **options):
        Feature.objects.filter(pk=feature.pk).update(lead="Theirs")
        return fence(*args, **options)

    serve(made(kind, ModelViewSet, **downcast))
    token = LockToken.objects.acquire(feature).token_str
    monkeypatch.setattr(LockToken.objects, "fence", meanwhile)
    answer = client.patch(
        f"/things/{feature.pk}/", {"title": "Second"}, **with_token(token)
    )
    assert answer.status_code == 200
    feature.refresh_from_db()
    assert (feature.title, feature.lead) == ("Second", "Theirs")


@BOTH
def test_a_child_may_need_its_lock_always(client, serve, feature, downcast, kind):
    serve(made(kind, ModelViewSet, **downcast, lock_required=True))
    answer = client.patch(f"/things/{feature.pk}/", {"title": "Lost"})
    assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
    assert title(feature) == "First"
    token = LockToken.objects.acquire(feature).token_str
    answer = client.patch(
        f"/things/{feature.pk}/", {"title": "Second"}, **with_token(token)
    )
    assert answer.status_code == 200


@BOTH
@pytest.mark.parametrize("method", ["put", "post"])
def test_a_handler_that_does_not_ask_for_the_child_needs_its_lock_too(
    client, serve, feature, downcast, kind, method
):
    class View(ModelViewSet):
        @action(detail=True, methods=["put", "post"])
        def publish(self, request, pk):
            return rename(Article.objects.get(pk=pk), request)

    serve(made(kind, View, **downcast))
    send = request(client, method, f"/things/{feature.pk}/publish/")
    needs_the_lock(send, feature)
    LockToken.objects.acquire(feature)
    parent = LockToken.objects.acquire(Article.objects.get(pk=feature.pk))
    before = database()
    assert send(**with_token(parent.token_str)).status_code == 412
    assert database() == before


# Handlers of generic views that find their object by themselves


class Finds:
    """Handlers for every unsafe method that write to what ``find()`` gives."""

    def post(self, request, **kwargs):
        return rename(self.find(), request)

    put = patch = delete = post


class ByAnotherName(Finds):
    def find(self):
        found = get_object_or_404(self.get_queryset(), pk=self.kwargs["number"])
        self.check_object_permissions(self.request, found)
        return found


class ByGetObject(Finds):
    """A ``get_object()`` of its own, for an address that names nothing."""

    def get_object(self):
        return Article.objects.latest("pk")

    def find(self):
        return self.get_object()


class ByGetObjectThatChecks(ByGetObject):
    def get_object(self):
        found = super().get_object()
        self.check_object_permissions(self.request, found)
        return found


class ByKeywordsOfItsOwn(Finds):
    """REST framework's ``get_object()``, told by the handler what to look for."""

    def find(self):
        self.kwargs["pk"] = self.kwargs["number"]
        return self.get_object()


class Twice(ByAnotherName):
    """Finds the same object twice, as handlers that call each other do."""

    def find(self):
        super().find()
        return super().find()


FINDS = pytest.mark.parametrize(
    "finds",
    [
        ByAnotherName,
        ByGetObject,
        ByGetObjectThatChecks,
        ByKeywordsOfItsOwn,
        Twice,
    ],
)


@BOTH
@FINDS
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_handler_finds_needs_its_lock(
    client, serve, article, kind, finds, method
):
    view = made(kind, type("View", (finds, GenericAPIView), {}))
    serve(view, "<int:number>/")
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


@BOTH
@FINDS
@pytest.mark.parametrize("method", ["post", "put"])
def test_what_a_handler_finds_may_need_its_lock_always(
    client, serve, article, kind, finds, method
):
    base = type("View", (finds, GenericAPIView), {})
    serve(made(kind, base, lock_required=True), "<int:number>/")
    send = request(client, method, f"/{article.pk}/")
    answer = send()
    assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
    assert title(article) == "First"
    token = article.lock()["token"]
    assert send(**with_token(token)).status_code == 200
    assert title(article) == "Second"


@BOTH
@TOKEN
@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("method", ["post", "put"])
def test_what_a_handler_finds_is_read_again_under_the_lock(
    client, serve, kind, with_a_lock, checks, method
):
    story = Story.objects.create(headline="First", body="First")

    class View(GenericAPIView):
        def get_object(self):
            found = Story.objects.get()
            if found.body == "First":  # a colleague, before the lock is had
                Story.objects.update(body="Theirs")
            if checks:
                self.check_object_permissions(self.request, found)
            return found

        def post(self, request):
            found = self.get_object()
            found.headline = "Second"
            found.save()
            return Response({"body": found.body})

        put = post

    serve(made(kind, View, queryset=Story.objects.all()), "")
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(story).token_str)
    answer = request(client, method, "/")(**headers)
    assert (answer.status_code, answer.json()) == (200, {"body": "Theirs"})
    story.refresh_from_db()
    assert (story.headline, story.body) == ("Second", "Theirs")


@BOTH
@pytest.mark.parametrize("method", ["post", "put"])
def test_what_a_handler_finds_and_is_gone_by_then_is_not_found(
    client, serve, article, kind, method
):
    class View(Finds, GenericAPIView):
        def find(self):
            found = Article.objects.get(pk=article.pk)
            Article.objects.filter(pk=article.pk).delete()
            self.check_object_permissions(self.request, found)
            return found

    serve(made(kind, View), "")
    answer = request(client, method, "/")()
    assert answer.status_code == 404
    assert not LockToken.objects.exists()


@BOTH
def test_who_may_not_have_what_a_handler_finds_is_told_nothing(
    client, serve, article, kind
):
    class Nobody(permissions.BasePermission):
        def has_object_permission(self, request, view, obj):
            return False

    class View(ByAnotherName, GenericAPIView):
        permission_classes = [Nobody, *([HoldsLock] if kind[1] else [])]

    article.lock()
    serve(made((kind[0], False), View), "<int:number>/")
    before = database()
    for headers in ({}, with_token(VOID)):
        answer = client.post(f"/{article.pk}/", {"title": "Lost"}, **headers)
        assert answer.status_code == 403
        assert set(answer.json()) == {"detail"}
    assert database() == before


@BOTH
@pytest.mark.parametrize("base", [GenericAPIView, APIView])
def test_what_is_not_saved_yet_is_only_checked(client, serve, article, kind, base):
    class View(base):
        def put(self, request, pk):
            self.check_object_permissions(request, Article(title="Not yet"))
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            self.check_object_permissions(request, Article(title="Not yet"))
            return rename(found, request)

        post = put

    serve(made(kind, View))
    for method in ("put", "post"):
        needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


# What a new object belongs to


def creates_by_key(view, serializer):
    story = get_object_or_404(Story, pk=view.request.data["story"])
    view.check_object_permissions(view.request, story)
    serializer.save(story=story)


def creates_below(view, serializer):
    story = get_object_or_404(Story, pk=view.kwargs["pk"])
    view.check_object_permissions(view.request, story)
    serializer.save(story=story)


class CreatesBelow(ListCreateAPIView):
    """The parent comes from ``get_object()``, the object from the serializer."""

    queryset = Story.objects.all()
    serializer_class = serializer_of(Comment, "text")

    def perform_create(self, serializer):
        serializer.save(story=self.get_object())


@BOTH
@pytest.mark.parametrize("required", [False, True])
def test_what_a_new_object_belongs_to_needs_no_lock(client, serve, kind, required):
    story = Story.objects.create(headline="First")
    LockToken.objects.acquire(story)
    attributes = {
        "queryset": Comment.objects.all(),
        "serializer_class": serializer_of(Comment, "text"),
        "lock_required": required,
    }
    serve(made(kind, ModelViewSet, perform_create=creates_by_key, **attributes))
    answer = client.post("/things/", {"text": "By action", "story": story.pk})
    assert answer.status_code == 201
    serve(made(kind, ListCreateAPIView, perform_create=creates_below, **attributes))
    answer = client.post(f"/{story.pk}/", {"text": "By view"})
    assert answer.status_code == 201
    serve(
        made(
            kind,
            CreatesBelow,
            lock_required=required,
            queryset=Story.objects.all(),
            serializer_class=attributes["serializer_class"],
        )
    )
    answer = client.post(f"/{story.pk}/", {"text": "By get_object"})
    assert answer.status_code == 201
    assert story.comment_set.count() == 3
    assert LockToken.objects.get().locked_object == story


@BOTH
def test_the_model_for_a_new_object_of_the_same_kind_needs_no_lock(
    client, serve, article, kind
):
    def copy(view, serializer):
        source = Article.objects.get(pk=view.request.data["like"])
        view.check_object_permissions(view.request, source)
        serializer.save(title=source.title)

    serve(made(kind, ModelViewSet, perform_create=copy))
    article.lock()
    answer = client.post("/things/", {"title": "x", "like": article.pk})
    assert (answer.status_code, answer.json()["title"]) == (201, "First")
    assert LockToken.objects.get().locked_object == article


# Routes of a list that write to one object


class OnesOfAList(ModelViewSet):
    lock_required = False

    @action(detail=False, methods=["get", "put", "patch"])
    def latest(self, request):
        self.kwargs["pk"] = Article.objects.latest("pk").pk
        if request.method == "GET":
            return self.retrieve(request)
        return self.update(request, partial=request.method == "PATCH")

    @action(detail=False, methods=["post"], url_path="no/(?P<pk>[0-9]+)/publish")
    def publish(self, request, pk):
        return rename(self.get_object(), request)

    @action(detail=False, methods=["post"])
    def first(self, request):
        found = Article.objects.earliest("pk")
        self.check_object_permissions(request, found)
        return rename(found, request)

    @action(detail=False, methods=["post", "put", "patch", "delete"])
    def sweep(self, request):
        Article.objects.filter(title="").delete()
        return Response({})


@BOTH
@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("put", "latest/"),
        ("patch", "latest/"),
        ("post", "no/{}/publish/"),
        ("post", "first/"),
    ],
)
def test_a_route_of_a_list_that_asks_for_an_object_needs_its_lock(
    client, serve, article, kind, method, route
):
    url = "/things/" + route.format(article.pk)
    send = request(client, method, url)
    serve(made(kind, OnesOfAList))
    needs_the_lock(send, article)
    assert title(article) == "Second"
    serve(made(kind, OnesOfAList, lock_required=True))
    before = database()
    answer = send()
    assert (answer.status_code, answer.json()["error"]) == (428, "lock_required")
    assert database() == before


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_route_of_a_list_that_asks_for_none_needs_no_lock(
    client, serve, article, kind, method
):
    serve(made(kind, OnesOfAList, lock_required=True))
    article.lock()
    answer = request(client, method, "/things/sweep/")()
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer
    assert client.get("/things/latest/").status_code == 200


# Classes that would not lock


def test_the_mixin_must_stand_before_the_view():
    class Base(ModelViewSet):
        queryset = Article.objects.all()

    for view in (APIView, GenericAPIView, ViewSet, ModelViewSet, Base):
        with pytest.raises(TypeError, match="must come before"):
            type("Late", (view, LockableViewSetMixin), {})
        made = type("Early", (LockableViewSetMixin, view), {})
        type("Child", (made,), {})
        type("Beside", (made, view), {})


def test_a_mixin_of_ones_own_may_have_it():
    class Ours(LockableViewSetMixin):
        lock_required = True

    assert type("Early", (Ours, ModelViewSet), {}).lock_required
    with pytest.raises(TypeError, match="must come before"):
        type("Late", (ModelViewSet, Ours), {})


@pytest.mark.parametrize("own", ["action", "method", "value"])
def test_the_name_of_the_route_is_taken(own):
    @action(detail=True, methods=["post"])
    def lock(self, request, pk):
        """Close the thread."""

    attributes = {"action": lock, "method": lambda self: None, "value": True}
    with pytest.raises(TypeError, match="lock"):
        type("Taken", (LockableViewSetMixin, ModelViewSet), {"lock": attributes[own]})
    child = type("Child", (LockableViewSetMixin, ModelViewSet), {})
    with pytest.raises(TypeError, match="lock"):
        type("Taken", (child,), {"lock": attributes[own]})


@pytest.mark.parametrize("name", ["lock", "acquire_lock", "renew_lock", "release_lock"])
def test_under_the_permission_an_action_of_that_name_is_a_write(
    client, serve, article, name
):
    def act(self, request, pk):
        return rename(self.get_object(), request)

    act.__name__ = name
    attributes = {name: action(detail=True, methods=["post", "patch", "delete"])(act)}
    serve(made((False, True), type("View", (ModelViewSet,), attributes)))
    url = f"/things/{article.pk}/{name}/"
    for method in ("post", "patch", "delete"):
        needs_the_lock(request(client, method, url), article)
    assert title(article) == "Second"


def test_an_acquire_lock_that_adds_to_ours_still_locks(client, serve, article):
    class Counts(LockableViewSetMixin, ModelViewSet):
        queryset = Article.objects.all()
        serializer_class = ArticleSerializer

        def acquire_lock(self, request, *args, **kwargs):
            Keyword.objects.create(name="locked once more")
            return super().acquire_lock(request, *args, **kwargs)

    serve(Counts)
    answer = client.post(f"/things/{article.pk}/lock/")
    assert answer.status_code == 201
    assert lock_row(article).get().token_str == answer.json()["token"]
    assert Keyword.objects.exists()


# A second object


class Merges(ModelViewSet):
    """Writes to its object and to a second one, whose permission it checks."""

    queryset = Desk.objects.order_by("pk")
    serializer_class = serializer_of(Desk, "name", "telephone")
    seconds: models.QuerySet = Desk.objects.all()

    @action(detail=True, methods=["post", "put"])
    def merge(self, request, **kwargs):
        first = self.get_object()
        second = self.seconds.get(pk=request.data["second"])
        self.check_object_permissions(request, second)
        for obj in (first, second):
            for field in ("telephone", "title"):
                if hasattr(obj, field):
                    setattr(obj, field, "merged")
            obj.save()
        return Response({"was locked": LockToken.objects.is_locked(second)})


@pytest.fixture
def desks():
    return [Desk.objects.create(name=name) for name in ("one", "two")]


LOOKUPS = pytest.mark.parametrize("lookup", ["pk", "name"])


def merging(kind, lookup, **attributes):
    attributes = {"lookup_field": lookup, "queryset": Merges.queryset, **attributes}
    attributes.setdefault("serializer_class", Merges.serializer_class)
    return made(kind, Merges, **attributes)


def merge(client, lookup, first, second, method="post"):
    url = f"/things/{getattr(first, lookup)}/merge/"
    return request(client, method, url, {"second": second.pk})


@BOTH
@LOOKUPS
@TOKEN
@pytest.mark.parametrize("method", ["post", "put"])
def test_a_second_object_that_is_free_is_held_until_the_write_is_done(
    client, serve, desks, kind, lookup, with_a_lock, method
):
    serve(merging(kind, lookup))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    answer = merge(client, lookup, *desks, method)(**headers)
    assert (answer.status_code, answer.json()) == (200, {"was locked": True})
    assert set(Desk.objects.values_list("telephone", flat=True)) == {"merged"}
    assert lock_row(desks[0]).exists() is with_a_lock
    assert not lock_row(desks[1]).exists()
    LockToken.objects.acquire(desks[1])  # free again


@BOTH
@LOOKUPS
@TOKEN
def test_a_second_object_that_is_locked_refuses_the_write(
    client, serve, desks, kind, lookup, with_a_lock
):
    serve(merging(kind, lookup))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    LockToken.objects.acquire(desks[1])
    before = database()
    answer = merge(client, lookup, *desks)(**headers)
    assert (answer.status_code, answer.json()["error"]) == (423, "locked")
    assert "Lock-Expires-At" not in answer
    assert database() == before


@BOTH
@LOOKUPS
def test_its_own_object_still_needs_its_lock_first(client, serve, desks, kind, lookup):
    serve(merging(kind, lookup))
    send = merge(client, lookup, *desks)
    token = refused_without_its_lock(send, desks[0])
    LockToken.objects.acquire(desks[1])
    assert send(**with_token(VOID)).status_code == 412
    assert send(**with_token(token)).status_code == 423
    lock_row(desks[1]).delete()
    assert send(**with_token(token)).status_code == 200


@BOTH
@LOOKUPS
def test_a_lock_that_is_required_is_that_of_the_first_object(
    client, serve, desks, kind, lookup
):
    serve(merging(kind, lookup, lock_required=True))
    send = merge(client, lookup, *desks)
    assert send().status_code == 428
    token = LockToken.objects.acquire(desks[0]).token_str
    assert send(**with_token(token)).status_code == 200
    assert not lock_row(desks[1]).exists()


@BOTH
@LOOKUPS
def test_the_same_object_may_be_checked_twice(client, serve, desks, kind, lookup):
    serve(merging(kind, lookup))
    send = merge(client, lookup, desks[0], desks[0])
    needs_the_lock(send, desks[0])


@BOTH
@LOOKUPS
@TOKEN
def test_a_second_object_is_read_again(client, serve, desks, kind, lookup, with_a_lock):
    class View(Merges):
        @action(detail=True, methods=["post"])
        def merge(self, request, **kwargs):
            self.get_object()
            second = Desk.objects.get(pk=request.data["second"])
            # A colleague, before the second lock is had.
            Desk.objects.filter(pk=second.pk).update(telephone="Theirs")
            self.check_object_permissions(request, second)
            second.save()
            return Response({})

    attributes = {"lookup_field": lookup, "queryset": Merges.queryset}
    serve(made(kind, View, serializer_class=Merges.serializer_class, **attributes))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    assert merge(client, lookup, *desks)(**headers).status_code == 200
    assert Desk.objects.get(pk=desks[1].pk).telephone == "Theirs"


@BOTH
def test_a_proxy_of_the_same_model_is_of_its_kind(client, serve, article, kind):
    other = Article.objects.create(title="Other")
    view = {"queryset": Article.objects.all(), "serializer_class": ArticleSerializer}
    serve(merging(kind, "pk", seconds=ArticleProxy.objects.all(), **view))
    token = article.lock()["token"]
    theirs = other.lock()["token"]
    send = merge(client, "pk", article, other)
    before = database()
    assert send(**with_token(token)).status_code == 423
    assert database() == before
    other.unlock(theirs)
    assert send(**with_token(token)).status_code == 200
    assert title(other) == "merged"


@BOTH
@LOOKUPS
@pytest.mark.parametrize("is_locked", [False, True])
def test_a_second_object_of_another_model_is_only_checked(
    client, serve, desks, article, kind, lookup, is_locked
):
    class NotForbidden(permissions.BasePermission):
        def has_object_permission(self, request, view, obj):
            return getattr(obj, "title", None) != "Forbidden"

    classes = [NotForbidden]
    serve(
        merging(kind, lookup, seconds=Article.objects.all(), permission_classes=classes)
    )
    token = LockToken.objects.acquire(desks[0]).token_str
    if is_locked:
        article.lock()
    send = merge(client, lookup, desks[0], article)
    answer = send(**with_token(token))
    assert (answer.status_code, answer.json()) == (200, {"was locked": is_locked})
    Article.objects.update(title="Forbidden")
    before = database()
    assert send(**with_token(token)).status_code == 403
    assert database() == before


class MergesByHand(APIView):
    """In no generic view: objects of any kind, one after the other."""

    def put(self, request, pk):
        found = [Desk.objects.get(pk=pk)]
        found += Desk.objects.filter(name="two")
        found += Article.objects.all()
        for obj in found:
            self.check_object_permissions(request, obj)
            Keyword.objects.create(name=str(LockToken.objects.is_locked(obj)))
        Desk.objects.update(telephone="merged")
        return Response({})

    post = patch = delete = put


@BOTH
@TOKEN
@pytest.mark.parametrize("method", ["post", "put"])
def test_by_hand_each_further_object_is_locked_without_the_token(
    client, serve, desks, article, kind, with_a_lock, method
):
    serve(made(kind, MergesByHand, lock_required=with_a_lock))
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(desks[0]).token_str)
    send = request(client, method, f"/{desks[0].pk}/")
    for other in (desks[1], article):
        theirs = LockToken.objects.acquire(other)
        before = database()
        answer = send(**headers)
        assert (answer.status_code, answer.json()["error"]) == (423, "locked")
        assert database() == before
        theirs.delete()
    answer = send(**headers)
    assert answer.status_code == 200
    assert list(Keyword.objects.values_list("name", flat=True)) == ["True"] * 3
    assert lock_row(desks[0]).exists() is with_a_lock
    assert LockToken.objects.count() == with_a_lock


@BOTH
@pytest.mark.parametrize("method", ["put", "post"])
def test_a_second_object_of_get_object_is_refused_under_anothers_lock(
    client, serve, article, kind, method
):
    other = Article.objects.create(title="Other")

    class View(GenericAPIView):
        def put(self, request, pk):
            for key in (pk, other.pk):
                self.kwargs["pk"] = key
                rename(self.get_object(), request)
            return Response({})

        post = put

    serve(made(kind, View))
    send = request(client, method, f"/{article.pk}/")
    other.lock()
    before = database()
    assert send().status_code == 423
    assert database() == before
    lock_row(other).delete()
    assert send().status_code == 200
    assert (title(article), title(other)) == ("Second", "Second")
    assert not LockToken.objects.exists()


# The permissions of the lock's route


class Looks(permissions.BasePermission):
    """Reads what was sent, and leaves something for the view."""

    def has_permission(self, request, view):
        assert request is view.request
        request.seen = [*getattr(request, "seen", []), request.method]
        return request.data.get("timeout") != 13

    def has_object_permission(self, request, view, obj):
        assert request is view.request
        request.seen.append(request.method)
        return True


@pytest.fixture
def looked(serve):
    """Serve a viewset whose permission looks, and return what its requests had."""
    requests = []

    class Looked(LockableViewSetMixin, ModelViewSet):
        queryset = Article.objects.all()
        serializer_class = ArticleSerializer
        permission_classes = [Looks]

        def get_queryset(self):
            assert self.request.seen
            return super().get_queryset()

        def finalize_response(self, request, *args, **kwargs):
            requests.append((self.request.method, self.request.seen))
            return super().finalize_response(request, *args, **kwargs)

    serve(Looked)
    return requests


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_permission_of_the_route_may_read_the_data(client, article, looked, form):
    url = f"/things/{article.pk}/lock/"
    answer = client.post(url, {"timeout": 60}, format=form)
    assert answer.status_code == 201
    token = with_token(answer.json()["token"])
    answer = client.patch(url, {"timeout": 90}, format=form, **token)
    assert answer.status_code == 200
    assert client.get(url).status_code == 200
    assert client.delete(url, **token).status_code == 204
    assert looked == [
        # The view has its own method again.
        (method, [asked, asked])
        for method, asked in (
            ("POST", "PATCH"),
            ("PATCH", "PATCH"),
            ("GET", "GET"),
            ("DELETE", "PATCH"),
        )
    ]


def test_a_permission_of_the_route_that_says_no_leaves_the_request_as_it_was(
    client, article, looked
):
    answer = client.post(f"/things/{article.pk}/lock/", {"timeout": 13})
    assert answer.status_code == 403
    assert looked == [("POST", ["PATCH"])]
    assert not LockToken.objects.exists()


def test_a_permission_of_the_route_may_read_the_data_of_a_write(
    client, article, looked
):
    answer = client.put(f"/things/{article.pk}/", {"title": "Second"})
    assert answer.status_code == 200
    assert looked == [("PUT", ["PUT", "PUT"])]


# After the commit


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_what_fails_after_the_commit_is_not_said_to_be_unwritten(
    client, serve, article, kind, with_a_lock, method
):
    def fail():
        raise OperationalError("the search index is away")

    class View(ModelViewSet):
        def perform_update(self, serializer):
            serializer.save()
            transaction.on_commit(fail)

        def perform_destroy(self, instance):
            instance.delete()
            transaction.on_commit(fail)

    serve(made(kind, View))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    send = request(client, method, f"/things/{article.pk}/")
    with pytest.raises(OperationalError, match="the search index is away"):
        send(**headers)
    found = Article.objects.filter(pk=article.pk).values_list("title", flat=True)
    assert list(found) == (["Second"] if method == "patch" else [])
    assert lock_row(article).exists() is (with_a_lock and method == "patch")


class LocksElsewhere:
    """A router that keeps the locks in a database of their own."""

    def db_for_read(self, model, **hints):
        return "other" if model is LockToken else None

    db_for_write = db_for_read


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@BOTH
@TOKEN
def test_nor_is_it_where_locks_are_kept_elsewhere(
    client, serve, article, settings, kind, with_a_lock
):
    def fail():
        raise OperationalError("the search index is away")

    class View(ModelViewSet):
        def perform_update(self, serializer):
            serializer.save()
            transaction.on_commit(fail)

    settings.DATABASE_ROUTERS = [LocksElsewhere()]
    serve(made(kind, View))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    with pytest.raises(OperationalError, match="the search index is away"):
        client.patch(f"/things/{article.pk}/", {"title": "Second"}, **headers)
    assert title(article) == "Second"


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_a_commit_that_fails_is_a_503_and_nothing_is_written(
    client, serve, article, monkeypatch, kind, with_a_lock
):
    def fail():
        raise OperationalError("the server has gone away")

    class View(ModelViewSet):
        def perform_update(self, serializer):
            serializer.save()
            monkeypatch.setattr(connection, "_commit", fail)

    serve(made(kind, View))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    answer = request(client, "patch", f"/things/{article.pk}/")(**headers)
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer["Retry-After"]
    assert database() == before


# What a DELETE leaves of the lock


class DeletesAPart(GenericAPIView):
    def delete(self, request, pk):
        article = self.get_object()
        article.title = ""
        article.save()
        return Response(status=204)


class DeletesAPartByHand(APIView):
    def delete(self, request, pk):
        article = get_object_or_404(Article, pk=pk)
        self.check_object_permissions(request, article)
        article.title = ""
        article.save()
        return Response(status=204)


class MarksAsDeleted(ModelViewSet):
    def destroy(self, request, pk):
        article = self.get_object()
        article.title = ""
        article.save()
        return Response(status=204)


class PerformsAMark(ModelViewSet):
    def perform_destroy(self, instance):
        instance.title = ""
        instance.save()


class Queues(ModelViewSet):
    def destroy(self, request, pk):
        article = self.get_object()
        article.title = ""
        article.save()
        return Response(self.get_serializer(article).data, status=202)


KEEPING = [DeletesAPart, DeletesAPartByHand, MarksAsDeleted, PerformsAMark, Queues]


@BOTH
@pytest.mark.parametrize("base", KEEPING)
def test_a_delete_that_leaves_the_object_leaves_its_lock(
    client, serve, article, kind, base
):
    is_viewset = issubclass(base, ModelViewSet)
    serve(made(kind, base))
    url = f"/things/{article.pk}/" if is_viewset else f"/{article.pk}/"
    send = request(client, "delete", url)
    token = refused_without_its_lock(send, article)
    answer = send(**with_token(token))
    assert answer.status_code in (202, 204)
    assert "Lock-Expires-At" in answer
    assert title(article) == ""
    assert lock_row(article).get().token_str == token
    if answer.content:
        assert answer.json()["lock"]["locked"] is True
    assert send().status_code == 423
    lock_row(article).delete()
    assert send().status_code == answer.status_code
    assert not LockToken.objects.exists()


@BOTH
def test_a_model_that_only_marks_its_objects_keeps_their_locks(
    client, serve, article, monkeypatch, kind
):
    def mark(self, *args, **kwargs):
        self.title = ""
        self.save()

    monkeypatch.setattr(Article, "delete", mark)
    serve(made(kind, ModelViewSet))
    token = article.lock()["token"]
    answer = client.delete(f"/things/{article.pk}/", **with_token(token))
    assert answer.status_code == 204
    assert "Lock-Expires-At" in answer
    assert (title(article), lock_row(article).get().token_str) == ("", token)


@BOTH
def test_an_action_that_deletes_a_part_keeps_the_lock(client, serve, article, kind):
    class View(ModelViewSet):
        @action(detail=True, methods=["delete"])
        def picture(self, request, pk):
            return rename(self.get_object(), request)

    serve(made(kind, View))
    needs_the_lock(request(client, "delete", f"/things/{article.pk}/picture/"), article)


@BOTH
@pytest.mark.parametrize("base", KEEPING)
def test_a_view_may_give_the_lock_up_at_that_too(client, serve, article, kind, base):
    serve(made(kind, base, release_on_write=True))
    prefix = "/things" if issubclass(base, ModelViewSet) else ""
    token = article.lock()["token"]
    answer = client.delete(f"{prefix}/{article.pk}/", **with_token(token))
    assert answer.status_code in (202, 204)
    assert "Lock-Expires-At" not in answer
    assert not LockToken.objects.exists()


class DeletesByItself(GenericAPIView):
    def delete(self, request, pk):
        self.get_object().delete()
        return Response(status=204)


class DeletesInAnAction(ModelViewSet):
    def destroy(self, request, pk):
        self.get_object().delete()
        return Response(status=204)


class DeletesByHand(APIView):
    def delete(self, request, pk):
        article = get_object_or_404(Article, pk=pk)
        self.check_object_permissions(request, article)
        Article.objects.filter(pk=article.pk).delete()
        return Response(status=204)


DELETING = pytest.mark.parametrize(
    "base", [DeletesByItself, DeletesInAnAction, DeletesByHand]
)


@BOTH
@DELETING
@TOKEN
def test_a_delete_that_takes_the_object_away_takes_its_lock(
    client, serve, article, kind, base, with_a_lock
):
    serve(made(kind, base))
    prefix = "/things" if issubclass(base, ModelViewSet) else ""
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    answer = client.delete(f"{prefix}/{article.pk}/", **headers)
    assert answer.status_code == 204
    assert "Lock-Expires-At" not in answer
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


@pytest.mark.django_db(databases=["default", "other"])
@BOTH
@pytest.mark.parametrize("has_twin", [False, True])
@pytest.mark.parametrize("base", [DeletesByItself, DeletesAPart])
def test_whether_the_object_is_gone_is_asked_of_its_own_database(
    client, serve, kind, has_twin, base
):
    article = Article.objects.using("other").create(title="First")
    if has_twin:
        Article.objects.create(pk=article.pk)
    serve(made(kind, base, queryset=Article.objects.using("other").all()))
    token = article.lock()["token"]
    assert lock_row(article).db == "other"
    answer = client.delete(f"/{article.pk}/", **with_token(token))
    assert answer.status_code == 204
    is_gone = base is DeletesByItself
    assert Article.objects.using("other").exists() is not is_gone
    assert lock_row(article).exists() is not is_gone
    assert Article.objects.exists() is has_twin


@pytest.mark.parametrize("base", [DeletesByItself, DeletesInAnAction])
@BOTH
def test_asking_whether_the_object_is_gone_costs_one_query(
    client, serve, article, kind, base
):
    def measure(view, headers):
        serve(view)
        prefix = "/things" if issubclass(view, ModelViewSet) else ""
        with CaptureQueriesContext(connection) as queries:
            answer = client.delete(f"{prefix}/{article.pk}/", **headers)
        assert answer.status_code == 204
        kinds = [query["sql"].split()[0] for query in queries]
        return len([kind for kind in kinds if kind not in ("SAVEPOINT", "RELEASE")])

    plain = measure(made((False, False), base), {})
    article.save(force_insert=True)
    count = measure(made(kind, base), with_token(article.lock()["token"]))
    assert count == plain + 3  # the fence, the question, the release


@BOTH
def test_the_lock_of_what_the_deleted_belongs_to_stays(client, serve, kind):
    story = Story.objects.create(headline="First")
    comment = story.comment_set.create(text="First")
    serve(
        made(
            kind,
            ModelViewSet,
            queryset=Comment.objects.all(),
            serializer_class=serializer_of(Comment, "text"),
            get_object_to_lock=lambda view: story,
        )
    )
    token = LockToken.objects.acquire(story).token_str
    answer = client.delete(f"/things/{comment.pk}/", **with_token(token))
    assert answer.status_code == 204
    assert not Comment.objects.exists()
    assert lock_row(story).get().token_str == token


# A get_object() that remembers


@BOTH
@TOKEN
@pytest.mark.parametrize("is_gone", [False, True])
def test_an_object_that_is_remembered_is_read_again_under_the_lock(
    client, serve, kind, with_a_lock, is_gone
):
    story = Story.objects.create(headline="First", body="First")

    def meanwhile():
        found = Story.objects.filter(pk=story.pk)
        found.delete() if is_gone else found.update(body="Theirs")

    class Remembers(ModelViewSet):
        def get_object(self):
            if not hasattr(self, "found"):
                self.found = super().get_object()
                meanwhile()
            return self.found

    serve(
        made(
            kind,
            Remembers,
            queryset=Story.objects.all(),
            serializer_class=serializer_of(Story, "headline"),
        )
    )
    headers = {}
    if with_a_lock:
        headers = with_token(LockToken.objects.acquire(story).token_str)
    answer = client.patch(f"/things/{story.pk}/", {"headline": "Second"}, **headers)
    assert answer.status_code == (404 if is_gone else 200)
    if not is_gone:
        assert answer.json()["headline"] == "Second"
        story.refresh_from_db()
        assert (story.headline, story.body) == ("Second", "Theirs")


class RemembersAndAsksAgain(GenericAPIView):
    def get_object(self):
        if not hasattr(self, "found"):
            self.found = super().get_object()
        return self.found

    def put(self, request, pk):
        self.get_object().title = "Second"
        self.get_object().save()
        return Response({})


class ChecksAgain(GenericAPIView):
    def put(self, request, pk):
        found = self.get_object()
        found.title = "Second"
        self.check_object_permissions(request, found)
        found.save()
        return Response({})


class ChecksAgainByHand(APIView):
    def put(self, request, pk):
        found = get_object_or_404(Article, pk=pk)
        self.check_object_permissions(request, found)
        found.title = "Second"
        self.check_object_permissions(request, found)
        found.save()
        return Response({})


@BOTH
@TOKEN
@pytest.mark.parametrize(
    "base", [RemembersAndAsksAgain, ChecksAgain, ChecksAgainByHand]
)
def test_what_the_handler_has_changed_meanwhile_is_not_thrown_away(
    client, serve, article, monkeypatch, kind, with_a_lock, base
):
    # Where what is read under the lock may still be how it was before.
    database = connections["default"]
    monkeypatch.setattr(database, "isolation_level", "repeatable read", raising=False)
    serve(made(kind, base))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    assert client.put(f"/{article.pk}/", {}, **headers).status_code == 200
    assert title(article) == "Second"


# A write that the database has already thrown away


class Swallows(ModelViewSet):
    """Goes on after an error that has spoilt its transaction."""

    status = 200

    def update(self, request, pk, **kwargs):
        article = self.get_object()
        rename(article, request)
        with suppress(IntegrityError):
            self.note()
        return Response({"title": article.title}, status=self.status)

    def note(self):
        Desk.objects.create(name="one")


class SwallowsRightly(Swallows):
    @transaction.atomic
    def note(self):
        super().note()


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
@pytest.mark.parametrize("releases", [False, True])
def test_a_write_that_is_undone_is_no_success(
    client, serve, article, kind, with_a_lock, releases
):
    Desk.objects.create(name="one")
    serve(made(kind, Swallows, release_on_write=releases))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    with pytest.raises(TransactionManagementError):
        client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert database() == before


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@BOTH
@TOKEN
def test_nor_is_it_one_where_locks_are_kept_elsewhere(
    client, serve, article, settings, kind, with_a_lock
):
    settings.DATABASE_ROUTERS = [LocksElsewhere()]
    Desk.objects.create(name="one")
    serve(made(kind, Swallows))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    with pytest.raises(TransactionManagementError):
        client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert database() == before


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_a_refusal_of_the_handlers_own_may_be_undone(
    client, serve, article, kind, with_a_lock
):
    Desk.objects.create(name="one")
    serve(made(kind, Swallows, status=409))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    answer = client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert answer.status_code == 409
    assert "Lock-Expires-At" not in answer
    assert database() == before


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_an_error_in_a_transaction_of_its_own_spoils_nothing(
    client, serve, article, kind, with_a_lock
):
    Desk.objects.create(name="one")
    serve(made(kind, SwallowsRightly))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    answer = client.patch(f"/things/{article.pk}/", {"title": "Second"}, **headers)
    assert answer.status_code == 200
    assert title(article) == "Second"
    assert lock_row(article).exists() is with_a_lock


@pytest.mark.django_db(transaction=True)
@BOTH
@TOKEN
def test_under_atomic_requests_an_undone_write_is_djangos_to_tell(
    client, serve, article, monkeypatch, kind, with_a_lock
):
    Desk.objects.create(name="one")
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    serve(made(kind, Swallows))
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    before = database()
    answer = client.patch(f"/things/{article.pk}/", {"title": "Lost"}, **headers)
    assert answer.status_code == 200
    assert database() == before


# The browsable pages of the lock's route


PAGE = {"headers": {"Accept": "text/html"}}


def texts_of(page):
    """Return what the text areas of a page have in them."""
    found = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page.content.decode(), re.S)
    return [html.unescape(text).strip() for text in found]


def test_what_the_raw_form_of_the_route_has_is_accepted(client, serve, article):
    serve(made((True, False), ModelViewSet))
    url = f"/things/{article.pk}/lock/"
    page = client.get(url, **PAGE)
    texts = texts_of(page)
    assert texts
    for text in texts:
        assert "null" not in text
        answer = client.post(url, json.loads(text or "{}"))
        assert answer.status_code == 201
        lock_row(article).delete()


class BySerializerClass(ModelViewSet):
    def get_serializer_class(self):
        return ArticleSerializer


class ByAction(ModelViewSet):
    def get_serializer_class(self):
        names = ("list", "retrieve", "create", "update", "partial_update")
        return dict.fromkeys(names, ArticleSerializer)[self.action]


@pytest.mark.parametrize("base", [BySerializerClass, ByAction])
def test_the_route_shows_its_own_form(client, serve, article, base):
    serve(made((True, False), base))
    url = f"/things/{article.pk}/lock/"
    page = client.get(url, **PAGE)
    assert page.status_code == 200
    text = page.content.decode()
    assert 'name="timeout"' in text
    assert 'name="title"' not in text
    answer = client.post(url, {"timeout": "60"}, format="multipart", **PAGE)
    assert answer.status_code == 201
    token = lock_row(article).get().token_str
    answer = client.get(url, headers={**PAGE["headers"], "Lock-Token": token})
    assert (answer.status_code, token in answer.content.decode()) == (200, True)


def test_its_other_pages_keep_theirs(client, serve, article):
    serve(made((True, False), BySerializerClass))
    text = client.get(f"/things/{article.pk}/", **PAGE).content.decode()
    assert 'name="title"' in text
    assert 'name="timeout"' not in text


# Views that are no generic views


class Bare(ViewSet):
    """Finds its object by itself, and checks it."""

    def get_object(self):
        article = get_object_or_404(Article, pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, article)
        return article

    def update(self, request, pk):
        if "forgetful" in request.data:
            return rename(Article.objects.get(pk=pk), request)
        return rename(self.get_object(), request)

    partial_update = destroy = update

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        return rename(self.get_object(), request)

    @action(detail=False, methods=["post"])
    def sweep(self, request):
        return Response({})


def test_a_bare_viewset_has_the_route(client, serve, article):
    serve(made((True, False), Bare))
    url = f"/things/{article.pk}/lock/"
    assert client.get(url).json()["locked"] is False
    token = client.post(url, {"timeout": 60}).json()["token"]
    assert lock_row(article).get().token_str == token
    assert client.post(url).status_code == 403
    assert client.get(url, **with_token(token)).json()["token"] == token
    assert client.patch(url, {}, **with_token(token)).status_code == 200
    assert client.delete(url, **with_token(token)).status_code == 204
    assert client.get("/things/404/lock/").status_code == 404
    assert client.post("/things/404/lock/").status_code == 404
    assert not LockToken.objects.exists()


@BOTH
@pytest.mark.parametrize(
    ("method", "route"),
    [("put", ""), ("patch", ""), ("delete", ""), ("post", "publish/")],
)
def test_what_a_bare_viewset_checks_needs_its_lock(
    client, serve, article, kind, method, route
):
    serve(made(kind, Bare))
    send = request(client, method, f"/things/{article.pk}/{route}")
    needs_the_lock(send, article)
    assert title(article) == "Second"


@BOTH
def test_a_bare_viewset_that_checks_nothing_is_a_mistake(client, serve, article, kind):
    serve(made(kind, Bare))
    with pytest.raises(ImproperlyConfigured, match="check_object_permissions"):
        client.put(f"/things/{article.pk}/", {"forgetful": True})
    assert client.post("/things/sweep/").status_code == 200


def test_a_bare_viewset_without_get_object_is_told_what_it_lacks(
    client, serve, article
):
    class Lacking(ViewSet):
        def retrieve(self, request, pk):
            return Response({"title": Article.objects.get(pk=pk).title})

    serve(made((True, False), Lacking))
    assert client.get(f"/things/{article.pk}/").json() == {"title": "First"}
    for send in (client.get, client.post):
        with pytest.raises(ImproperlyConfigured, match="get_object"):
            send(f"/things/{article.pk}/lock/")
    assert not LockToken.objects.exists()


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_bare_view_checks_needs_its_lock(client, serve, article, kind, method):
    class View(APIView):
        def put(self, request, pk):
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            return rename(found, request)

        post = patch = delete = put

    serve(made(kind, View))
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


class OfSettings(GenericAPIView):
    """About something that is no row of any model."""

    def get_object(self):
        return {"title": "First"}

    def put(self, request):
        return Response({**self.get_object(), **request.data})


@BOTH
@pytest.mark.parametrize("headers", [{}, with_token(VOID)])
def test_what_is_no_row_needs_no_lock(client, serve, kind, headers):
    serve(made(kind, OfSettings), "settings/")
    answer = client.put("/settings/", {"title": "Second"}, **headers)
    assert (answer.status_code, answer.json()) == (200, {"title": "Second"})
    assert "Lock-Expires-At" not in answer


# Writes to many


class Bulk(ListCreateAPIView):
    def put(self, request):
        for article in Article.objects.order_by("pk"):
            if "checks" in request.data:
                self.check_object_permissions(request, article)
            rename(article, request)
        return Response({})

    patch = put

    def delete(self, request):
        for article in Article.objects.order_by("pk"):
            self.check_object_permissions(request, article)
            article.delete()
        return Response(status=204)


BULK = pytest.mark.parametrize("method", ["put", "patch"])


@pytest.fixture(params=["view", "actions", "actions of a list"])
def bulk(request, settings):
    """Serve a view that writes to many, in each way that it may be made."""

    def serve(kind, **attributes):
        if request.param == "view":
            view = made(kind, Bulk, **attributes).as_view()
        else:
            names = {"put_all": Bulk.put, "delete_all": Bulk.delete}
            actions = {"put": "put_all", "patch": "put_all", "delete": "delete_all"}
            view = made(kind, ModelViewSet, **names, **attributes)
            options = {"detail": False} if "list" in request.param else {}
            view = view.as_view(actions, **options)
        settings.ROOT_URLCONF = Routes([path("", view)])

    return serve


@BOTH
@BULK
def test_a_write_to_many_needs_no_lock(client, bulk, article, kind, method):
    bulk(kind, lock_required=True)
    other = Article.objects.create(title="Other")
    other.lock()
    answer = request(client, method, "/")()
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer
    assert (title(article), title(other)) == ("Second", "Second")
    assert LockToken.objects.get().locked_object == other


@BOTH
@BULK
def test_of_many_those_that_are_checked_need_theirs(
    client, bulk, article, kind, method
):
    bulk(kind)
    other = Article.objects.create(title="Other")
    send = request(client, method, "/", {"title": "Second", "checks": True})
    needs_the_lock(send, article)
    token = article.lock()["token"]
    other.lock()
    Article.objects.filter(pk=article.pk).update(title="First")
    before = database()
    for headers in ({}, with_token(token)):
        assert send(**headers).status_code == 423
        assert database() == before
    lock_row(other).delete()
    assert send(**with_token(token)).status_code == 200
    assert (title(article), title(other)) == ("Second", "Second")
    assert LockToken.objects.get().token_str == token


@BOTH
@BULK
def test_of_many_the_first_may_need_its_lock_always(
    client, bulk, article, kind, method
):
    bulk(kind, lock_required=True)
    Article.objects.create(title="Other")
    send = request(client, method, "/", {"title": "Second", "checks": True})
    before = database()
    assert send().status_code == 428
    assert database() == before
    token = article.lock()["token"]
    assert send(**with_token(token)).status_code == 200


@BOTH
@TOKEN
def test_many_are_deleted_with_their_locks(client, bulk, article, kind, with_a_lock):
    bulk(kind)
    other = Article.objects.create(title="Other")
    headers = with_token(article.lock()["token"]) if with_a_lock else {}
    other.lock()
    before = database()
    assert client.delete("/", **headers).status_code == 423
    assert database() == before
    lock_row(other).delete()
    assert client.delete("/", **headers).status_code == 204
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


@BOTH
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("name", ["pk", "number"])
def test_a_generic_view_may_have_no_queryset(
    client, serve, article, kind, method, name
):
    class View(Finds, GenericAPIView):
        def find(self):
            found = get_object_or_404(Article, pk=next(iter(self.kwargs.values())))
            self.check_object_permissions(self.request, found)
            return found

    serve(made(kind, View, queryset=None), f"<int:{name}>/")
    needs_the_lock(request(client, method, f"/{article.pk}/"), article)
    assert title(article) == "Second"


@BOTH
@pytest.mark.parametrize(
    ("method", "route"), [("put", ""), ("delete", ""), ("post", "publish/")]
)
def test_a_generic_viewset_may_have_no_queryset(
    client, serve, article, kind, method, route
):
    class View(GenericViewSet):
        def update(self, request, pk):
            found = get_object_or_404(Article, pk=pk)
            self.check_object_permissions(request, found)
            return rename(found, request)

        destroy = update

        @action(detail=True, methods=["post"])
        def publish(self, request, pk):
            return self.update(request, pk)

    serve(made(kind, View, queryset=None))
    needs_the_lock(request(client, method, f"/things/{article.pk}/{route}"), article)
    assert title(article) == "Second"


# The words of a refusal, and of a mistake


@BOTH
def test_a_refusal_says_its_sentence(client, serve, article, kind):
    refusals = []

    class View(ModelViewSet):
        def handle_exception(self, error):
            refusals.append(error)
            return super().handle_exception(error)

    serve(made(kind, View))
    article.lock()
    for headers in ({}, with_token(VOID)):
        answer = client.patch(f"/things/{article.pk}/", {}, **headers)
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
