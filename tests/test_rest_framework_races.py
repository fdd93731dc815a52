"""Writes of several clients at once, through views of REST framework."""

import threading

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from django.urls import path
from rest_framework.viewsets import ModelViewSet

from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin
from tests.drf_site import ArticleSerializer, DeskSerializer, api_client, with_token
from tests.helpers import expire, lock_row, race
from tests.models import Article, Desk

pytestmark = [
    pytest.mark.urls(__name__),
    pytest.mark.django_db(transaction=True),
]


class Stall:
    """A place in the code where a request waits until it may go on."""

    def __init__(self):
        self.reached, self.go_on = threading.Event(), threading.Event()

    def wait(self):
        self.reached.set()
        assert self.go_on.wait(20)


class Stalls:
    """Waits where the test says, before the lock or within the write."""

    before = within = None

    def check_permissions(self, request):
        super().check_permissions(request)
        if self.before:
            self.before.wait()

    def perform_update(self, serializer):
        if self.within:
            self.within.wait()
        super().perform_update(serializer)

    def perform_destroy(self, instance):
        if self.within:
            self.within.wait()
        super().perform_destroy(instance)


class WithMixin(Stalls, LockableViewSetMixin, ModelViewSet):
    queryset = Article.objects.all()
    serializer_class = ArticleSerializer


class WithPermission(Stalls, ModelViewSet):
    queryset = Article.objects.all()
    serializer_class = ArticleSerializer
    permission_classes = [HoldsLock]


class Desks(LockableViewSetMixin, ModelViewSet):
    queryset = Desk.objects.all()
    serializer_class = DeskSerializer


ACTIONS = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
LOCK = {"post": "acquire_lock", "delete": "release_lock"}
urlpatterns = [
    path("mixin/<int:pk>/", WithMixin.as_view(dict(ACTIONS))),
    path("permission/<int:pk>/", WithPermission.as_view(dict(ACTIONS))),
    path("desks/<int:pk>/", Desks.as_view(dict(ACTIONS))),
    path("desks/<int:pk>/lock/", Desks.as_view(dict(LOCK))),
]
KINDS = [("mixin", WithMixin), ("permission", WithPermission)]


def stall(monkeypatch, view, where):
    made = Stall()
    monkeypatch.setattr(view, where, made)
    return made


@pytest.mark.parametrize("method", ["patch", "delete"])
@pytest.mark.parametrize(("name", "view"), KINDS)
def test_a_stalled_write_whose_lock_was_taken_changes_nothing(
    article, monkeypatch, name, view, method
):
    token = article.lock()["token"]
    stalled = stall(monkeypatch, view, "before")

    def write():
        send = getattr(api_client(), method)
        return send(f"/{name}/{article.pk}/", {"title": "Stale"}, **with_token(token))

    def take_and_save():
        stalled.reached.wait(20)
        expire(article)
        lock = LockToken.objects.acquire(article)
        Article.objects.update(title="Newer")
        LockToken.objects.release(article, lock.token_str)
        stalled.go_on.set()

    answer, _ = race(write, take_and_save)
    assert answer.status_code == 412
    assert Article.objects.get().title == "Newer"


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize("method", ["patch", "delete"])
@pytest.mark.parametrize(("name", "view"), KINDS)
def test_nobody_takes_the_lock_of_a_write_that_is_under_way(
    article, monkeypatch, name, view, method, token
):
    headers = with_token(article.lock()["token"]) if token else {}
    stalled = stall(monkeypatch, view, "within")
    taken = []

    def write():
        send = getattr(api_client(), method)
        return send(f"/{name}/{article.pk}/", {"title": "Written"}, **headers)

    def take_over():
        stalled.reached.wait(20)
        threading.Timer(0.5, let_go).start()
        try:
            LockToken.objects.take_over(article)
            taken.append(Article.objects.filter(pk=article.pk).first())
        except AlreadyLockedError:
            pass

    def let_go():
        assert not taken, "the lock was taken while its holder was saving"
        stalled.go_on.set()

    answer, _ = race(write, take_over)
    assert answer.status_code == (200 if method == "patch" else 204)
    for seen in taken:
        assert seen is None if method == "delete" else seen.title == "Written"


@pytest.mark.parametrize("with_lock", [True, False])
def test_parallel_writes_of_different_fields_lose_nothing(with_lock):
    desk = Desk.objects.create(name="news")
    headers = {}
    if with_lock:
        headers = with_token(LockToken.objects.acquire(desk).token_str)

    def write(**fields):
        answer = api_client().patch(f"/desks/{desk.pk}/", fields, **headers)
        assert answer.status_code in (200, 423, 503)
        return fields if answer.status_code == 200 else {}

    for number in range(5):
        written = race(
            lambda number=number: write(name=f"name-{number}"),
            lambda number=number: write(telephone=str(number)),
        )
        desk.refresh_from_db()
        for fields in written:
            for field, value in fields.items():
                assert getattr(desk, field) == value
        assert any(written)
        if with_lock:
            assert all(written)


def test_no_increment_is_lost():
    desk = Desk.objects.create(name="news", telephone="0")
    LockToken.objects.is_locked(desk)
    url, racers, rounds = f"/desks/{desk.pk}/", 8, 5

    def racer():
        client = api_client()
        done = tries = 0
        while done < rounds:
            tries += 1
            assert tries < 3000
            lock = client.post(f"{url}lock/")
            assert lock.status_code in (201, 403, 503)
            if lock.status_code != 201:
                continue
            headers = with_token(lock.json()["token"])
            number = int(client.get(url).json()["telephone"]) + 1
            answer = client.patch(url, {"telephone": str(number)}, **headers)
            done += answer.status_code == 200
            assert answer.status_code in (200, 503)
            client.delete(f"{url}lock/", **headers)
        return done

    assert sum(race(*[racer] * racers)) == racers * rounds
    desk.refresh_from_db()
    assert desk.telephone == str(racers * rounds)
    assert not lock_row(desk).exists()
