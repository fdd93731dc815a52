"""Writes of several clients at once: who stalls, and who comes in between."""

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from rest_framework.test import APIClient

from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from tests.models import Article, Desk
from tests.settings import DATABASE
from tests.support.drf_racing import Stop, acquire, call, edit, stalled
from tests.support.drf_writes import assert_refused
from tests.support.helpers import InThread, expire, lock_row, wait_until_blocked_or_done
from tests.support.objects import title_of

pytestmark = [
    pytest.mark.urls("tests.support.drf_racing"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.race,
]


@pytest.fixture
def stop_at(monkeypatch):
    """Let the next request that comes to a stage wait there."""
    stops = []

    def stop_at(stage):
        stop = Stop(stage)
        stops.append(stop)
        monkeypatch.setattr(Stop, "current", stop)
        return stop

    fence = LockTokenManager.fence

    def late_fence(self, *args, **options):
        Stop.at("fence")
        return fence(self, *args, **options)

    def late(acquire):
        def late_acquire(self, *args, **options):
            Stop.at("acquire")
            return acquire(self, *args, **options)

        return late_acquire

    monkeypatch.setattr(LockTokenManager, "fence", late_fence)
    monkeypatch.setattr(
        LockTokenManager, "get_or_acquire", late(LockTokenManager.get_or_acquire)
    )
    yield stop_at
    for stop in stops:
        stop.go.set()


# A write that arrives too late


AT_OBJECT = ("object", "object permission", "fence")
BEFORE_THE_FENCE = [
    *(("mixed", stage) for stage in ("permission", "initial", "fence")),
    *(("mixed-at-object", stage) for stage in ("before object", *AT_OBJECT)),
    *(("alone", stage) for stage in ("permission", "initial", "fence")),
    *(("alone-at-object", stage) for stage in AT_OBJECT),
    ("hand-made", "object"),
]
OUTSIDE_TRANSACTIONS = [False, True]
if DATABASE == "sqlite":  # once a transaction has begun, no other writes
    BEFORE_THE_FENCE = [case for case in BEFORE_THE_FENCE if case[1] != "fence"]
    OUTSIDE_TRANSACTIONS = [False]


@pytest.mark.parametrize("atomic_requests", OUTSIDE_TRANSACTIONS, indirect=True)
@pytest.mark.parametrize(
    ("view", "stage", "method", "other_is"),
    [
        (view, stage, method, other_is)
        for view, stage in BEFORE_THE_FENCE
        for method, other_is in (
            ("patch", "done"),
            ("patch", "editing"),
            *([] if view == "hand-made" else [("delete", "done")]),
        )
    ],
)
def test_a_write_that_stalls_before_its_fence_changes_nothing(
    article, stop_at, atomic_requests, view, stage, method, other_is
):
    token = acquire(article)
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at(stage), method, url, {"title": "Stale"}, token)
    expire(article)
    if other_is == "done":
        edit(article, "Fresh")
    else:
        other = acquire(article)
        body = {"title": "Fresh"}
        assert call("patch", f"/mixed/{article.pk}/", body, other).status_code == 200
    assert_refused(go_on(), 412, "not_locked" if other_is == "done" else "wrong_token")
    assert title_of(article) == "Fresh"
    assert lock_row(article).exists() == (other_is == "editing")


@pytest.mark.parametrize(("view", "stage"), BEFORE_THE_FENCE)
def test_a_write_without_a_token_that_stalls_is_refused_under_a_lock(
    article, stop_at, view, stage
):
    stage = "acquire" if stage == "fence" else stage
    go_on = stalled(stop_at(stage), "patch", f"/{view}/{article.pk}/", {"title": "x"})
    token = LockToken.objects.take_over(article).token_str
    body = {"title": "Fresh"}
    assert call("patch", f"/mixed/{article.pk}/", body, token).status_code == 200
    assert_refused(go_on(), 423, "locked")
    assert title_of(article) == "Fresh"
    assert article.check_lock(token)


@pytest.mark.parametrize(
    ("view", "stage"), [("desks", "initial"), ("named-desks", "object")]
)
def test_a_stalled_write_without_a_token_loses_no_other_field(stop_at, view, stage):
    """What another has saved meanwhile is read again, under the lock."""
    desk = Desk.objects.create(name="news", telephone="1")
    by_name = view == "named-desks"
    url = f"/{view}/{'news' if by_name else desk.pk}/"
    mine = {"name": "news"} if by_name else {"name": "sports"}
    go_on = stalled(stop_at(stage), "patch", url, mine)
    answer = call("patch", f"/desks/{desk.pk}/", {"telephone": "2"})
    assert answer.status_code == 200
    assert go_on().status_code == 200
    desk.refresh_from_db()
    assert (desk.name, desk.telephone) == (mine["name"], "2")


def test_a_stalled_write_to_an_object_that_no_more_has_its_name_is_not_found(stop_at):
    desk = Desk.objects.create(name="news")
    go_on = stalled(
        stop_at("object"), "patch", "/named-desks/news/", {"telephone": "9"}
    )
    assert call("patch", f"/desks/{desk.pk}/", {"name": "sports"}).status_code == 200
    assert go_on().status_code == 404
    desk.refresh_from_db()
    assert desk.telephone == ""


@pytest.mark.parametrize("view", ["named-desks", "named-desks-alone"])
@pytest.mark.parametrize("method", ["patch", "delete"])
@pytest.mark.parametrize("token_of", [None, "its own", "the other's"])
def test_a_stalled_write_to_a_name_that_another_object_has_now_needs_its_lock(
    stop_at, view, method, token_of
):
    """The name has moved on: its object is not the one whose lock was had."""
    desk = Desk.objects.create(name="news")
    other = Desk.objects.create(name="sports")
    token = LockToken.objects.acquire(desk).token_str if token_of == "its own" else None
    body = {"telephone": "9"}
    url = f"/{view}/news/"
    if token_of == "the other's":
        token = LockToken.objects.acquire(other).token_str
    go_on = stalled(stop_at("object"), method, url, body, token)
    Desk.objects.filter(pk=desk.pk).update(name="old")
    Desk.objects.filter(pk=other.pk).update(name="news")
    if token_of != "the other's":
        LockToken.objects.acquire(other)
    answer = go_on()
    other.refresh_from_db()
    assert other.telephone == ""
    assert answer.status_code == (412 if token_of else 423)
    assert LockToken.objects.is_locked(other)
    assert LockToken.objects.is_locked(desk) == (token_of == "its own")


# A write that has its fence


def meanwhile(function):
    """Run the function in a thread until it waits for the database, or is done."""
    running = InThread(function)
    wait_until_blocked_or_done(running)
    return running


def lock_article(article, client=None):
    return call("post", f"/mixed/{article.pk}/lock/", client=client)


WRITING = ["mixed", "mixed-at-object", "alone", "alone-at-object", "hand-made"]


@pytest.mark.parametrize("view", WRITING)
@pytest.mark.parametrize("has_token", [True, False])
def test_whoever_takes_over_waits_for_the_write(article, stop_at, view, has_token):
    token = acquire(article) if has_token else None
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("before save"), "patch", url, {"title": "Saved"}, token)

    def take_over():
        return LockToken.objects.take_over(article).token_str, title_of(article)

    taking = meanwhile(take_over)
    assert taking.is_running()
    assert title_of(article) == "First"
    assert go_on().status_code == 200
    new, seen = taking()
    assert seen == "Saved"
    assert LockToken.objects.get().token_str == new
    if has_token:
        answer = call("patch", url, {"title": "Stale"}, token)
        assert (answer.status_code, title_of(article)) == (412, "Saved")


@pytest.mark.parametrize("view", WRITING)
def test_whoever_locks_during_a_write_with_an_expired_token_does_not_get_it(
    article, stop_at, view
):
    token = acquire(article)
    expire(article)
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("after save"), "patch", url, {"title": "Saved"}, token)
    asking = meanwhile(lambda: lock_article(article))
    assert go_on().status_code == 200
    assert_refused(asking(), 403, "locked")
    assert title_of(article) == "Saved"
    assert article.check_lock(token)


@pytest.mark.parametrize("view", WRITING)
def test_whoever_locks_during_a_write_without_a_token_gets_it_afterwards(
    article, stop_at, view
):
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("after save"), "patch", url, {"title": "Saved"})
    asking = meanwhile(lambda: lock_article(article))
    seen_before = title_of(article)
    assert go_on().status_code == 200
    answer = asking()
    assert seen_before == "First"
    assert answer.status_code in (201, 403)
    assert title_of(article) == "Saved"
    assert article.is_locked() == (answer.status_code == 201)


@pytest.mark.parametrize("view", ["mixed", "alone"])
@pytest.mark.parametrize("has_token", [True, False])
def test_another_write_without_a_token_waits_or_is_refused(
    article, stop_at, view, has_token
):
    token = acquire(article) if has_token else None
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("after save"), "patch", url, {"title": "Saved"}, token)
    other = meanwhile(lambda: call("patch", url, {"title": "Another's"}))
    assert title_of(article) == "First"
    assert go_on().status_code == 200
    answer = other()
    if has_token:
        assert answer.status_code == 423
    else:
        assert answer.status_code in (200, 423)
    title = "Another's" if answer.status_code == 200 else "Saved"
    assert title_of(article) == title


@pytest.mark.parametrize("view", ["mixed", "alone"])
def test_a_release_waits_for_a_write_with_the_same_token(article, stop_at, view):
    token = acquire(article)
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("after save"), "patch", url, {"title": "Saved"}, token)
    route = f"/mixed/{article.pk}/lock/"
    releasing = meanwhile(lambda: call("delete", route, None, token))
    assert releasing.is_running()
    assert go_on().status_code == 200
    assert releasing().status_code == 204
    assert title_of(article) == "Saved"
    assert not lock_row(article).exists()


@pytest.mark.parametrize("view", ["mixed", "mixed-at-object", "alone"])
def test_whoever_takes_over_waits_for_a_deletion(article, stop_at, view):
    token = acquire(article)
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("after save"), "delete", url, None, token)
    taking = meanwhile(lambda: LockToken.objects.take_over(article))
    assert taking.is_running()
    assert Article.objects.exists()
    assert go_on().status_code == 204
    assert taking()
    assert not Article.objects.exists()


@pytest.mark.parametrize("view", ["mixed", "alone"])
@pytest.mark.parametrize("method", ["patch", "delete", "post"])
@pytest.mark.parametrize("has_token", [True, False])
def test_who_comes_during_a_deletion_is_refused_or_finds_nothing(
    article, stop_at, view, method, has_token
):
    token = acquire(article) if has_token else None
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("after save"), "delete", url, None, token)
    there = f"/mixed/{article.pk}/lock/" if method == "post" else url
    other = meanwhile(lambda: call(method, there, {} if method == "post" else None))
    assert go_on().status_code == 204
    answer = other()
    if method != "post":
        assert answer.status_code in ({423, 404} if has_token else {404, 423})
    assert not Article.objects.exists()


@pytest.mark.parametrize("view", ["mixed", "alone"])
def test_a_write_that_is_undone_has_let_nobody_in(article, stop_at, monkeypatch, view):
    """Who has waited finds the object as it was, and the lock."""
    token = acquire(article)
    expire(article)
    url = f"/{view}/{article.pk}/"
    go_on = stalled(stop_at("before save"), "patch", url, {"title": "Saved"}, token)
    # Django's test client raises what fails in anybody's request.
    calm = APIClient(raise_request_exception=False)
    asking = meanwhile(lambda: lock_article(article, calm))

    def fail(self, *args, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(Article, "save", fail)
    with pytest.raises(ZeroDivisionError):
        go_on()
    # The fence's extension is undone, so that the lock had expired all along: whoever
    # asked for it has either got it since, or was refused while it was fenced.
    answer = asking()
    assert answer.status_code in (201, 403)
    assert title_of(article) == "First"
    assert lock_row(article).exists()
