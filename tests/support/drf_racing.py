"""Views that stop where a test says, or that count, and how tests call them."""

import threading

from django.urls import include, path
from rest_framework import permissions
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.test import APIClient
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin
from tests.models import Article, Desk
from tests.support.drf_site import DeskSerializer, TitleSerializer
from tests.support.helpers import InThread


class Stop:
    """Where one request waits, once."""

    current = None

    def __init__(self, stage):
        self.stage = stage
        self.reached = threading.Event()
        self.go = threading.Event()

    @classmethod
    def at(cls, stage):
        stop = cls.current
        if stop is not None and stop.stage == stage and not stop.reached.is_set():
            stop.reached.set()
            assert stop.go.wait(30), "nobody let it go on"


class StopsBeforeItAsks(permissions.BasePermission):
    def has_permission(self, request, view):
        Stop.at("permission")
        return True


class StopsOnObject(permissions.BasePermission):
    def has_object_permission(self, request, view, obj):
        Stop.at("object permission")
        return True


class Stopping:
    """A viewset that stops before its lock, and within it."""

    def initial(self, *args, **kwargs):
        super().initial(*args, **kwargs)
        Stop.at("initial")

    def perform_update(self, serializer):
        Stop.at("before save")
        super().perform_update(serializer)
        Stop.at("after save")

    def perform_destroy(self, instance):
        Stop.at("before save")
        super().perform_destroy(instance)
        Stop.at("after save")


class StoppingAtObject(Stopping):
    def get_object(self):
        Stop.at("before object")
        obj = super().get_object()
        Stop.at("object")
        return obj


class OfArticles:
    queryset = Article.objects.order_by("pk")
    serializer_class = TitleSerializer
    permission_classes = [StopsBeforeItAsks, StopsOnObject]


class Guarded(OfArticles):
    permission_classes = [StopsBeforeItAsks, StopsOnObject, HoldsLock]


class OfDesks:
    queryset = Desk.objects.order_by("pk")
    serializer_class = DeskSerializer


class Mixed(Stopping, LockableViewSetMixin, OfArticles, ModelViewSet):
    """By the key: the lock comes before the object."""


class MixedAtObject(StoppingAtObject, LockableViewSetMixin, OfArticles, ModelViewSet):
    """With a get_object() of its own: the object is read before the lock too."""


class Alone(Stopping, Guarded, ModelViewSet):
    """The permission alone."""


class AloneAtObject(StoppingAtObject, Guarded, ModelViewSet):
    """The permission alone, with a get_object() of its own."""


class Desks(Stopping, LockableViewSetMixin, OfDesks, ModelViewSet):
    """By the key."""


class NamedDesks(StoppingAtObject, LockableViewSetMixin, OfDesks, ModelViewSet):
    """By another field."""

    lookup_field = "name"


class NamedDesksAlone(StoppingAtObject, OfDesks, ModelViewSet):
    """The permission alone, by another field."""

    lookup_field = "name"
    permission_classes = [HoldsLock]


class Counting(LockableViewSetMixin, OfArticles, ModelViewSet):
    """Each write adds one to what it has read."""

    def perform_update(self, serializer):
        serializer.save(title=str(int(serializer.instance.title) + 1))


class CountingAlone(Guarded, ModelViewSet):
    perform_update = Counting.perform_update


class CountingByTitle(Counting):
    """Reads the object before the lock too."""

    def get_object(self):
        return super().get_object()


class Strict(Counting):
    lock_required = True


class Both(APIView):
    """Writes to two objects, in the order of the request."""

    permission_classes = [HoldsLock]

    def patch(self, request, first, second):
        for pk in (first, second):
            article = Article.objects.get(pk=pk)
            self.check_object_permissions(request, article)
            article.title = str(int(article.title) + 1)
            article.save()
        return Response({})


class HandMade(APIView):
    permission_classes = [HoldsLock]

    def patch(self, request, pk):
        article = Article.objects.get(pk=pk)
        Stop.at("object")
        self.check_object_permissions(request, article)
        Stop.at("before save")
        if article.title.isdigit():
            article.title = str(int(article.title) + 1)
        else:
            article.title = request.data["title"]
        article.save()
        Stop.at("after save")
        return Response({"title": article.title})


router = DefaultRouter()
for name, each in {
    "mixed": Mixed,
    "mixed-at-object": MixedAtObject,
    "alone": Alone,
    "alone-at-object": AloneAtObject,
    "desks": Desks,
    "named-desks": NamedDesks,
    "named-desks-alone": NamedDesksAlone,
    "counting": Counting,
    "counting-alone": CountingAlone,
    "counting-at-object": CountingByTitle,
    "strict": Strict,
}.items():
    router.register(name, each, name)

urlpatterns = [
    path("", include(router.urls)),
    path("hand-made/<int:pk>/", HandMade.as_view()),
    path("both/<int:first>/<int:second>/", Both.as_view()),
]


def call(method, url, body=None, token=None, client=None):
    headers = {} if token is None else {"Lock-Token": token}
    client = client or APIClient()
    return getattr(client, method)(url, body, format="json", headers=headers)


def acquire(article):
    """Lock the article over HTTP, as another client; return the token."""
    answer = call("post", f"/mixed/{article.pk}/lock/")
    assert answer.status_code == 201, answer.content
    return answer.json()["token"]


def edit(article, title):
    """Lock, save and release, as another client."""
    token = acquire(article)
    url = f"/mixed/{article.pk}/"
    assert call("patch", url, {"title": title}, token).status_code == 200
    assert call("delete", f"{url}lock/", None, token).status_code == 204


def stalled(stop, method, url, body=None, token=None):
    """Send a request that stops; return how to let it go on, to its answer."""
    waiting = InThread(lambda: call(method, url, body, token))
    assert stop.reached.wait(20) or waiting(), "it never came there"

    def go_on():
        stop.go.set()
        return waiting()

    return go_on
