"""Writes of several clients at once: who stalls, who comes in between, who loses."""

import pytest
from rest_framework.test import APIClient

from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from tests.models import Article, Desk
from tests.settings import DATABASE
from tests.support.drf_racing import Stop, acquire, call, edit, stalled
from tests.support.drf_writes import assert_refused
from tests.support.helpers import (
    InThread,
    expire,
    lock_row,
    race,
    undoes_old_snapshots,
    wait_until_blocked_or_done,
)
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

    def late(stage, method):
        def stopping(self, *args, **options):
            Stop.at(stage)
            return method(self, *args, **options)

        return stopping

    for stage, name in (("fence", "fence"), ("acquire", "get_or_acquire")):
        method = late(stage, getattr(LockTokenManager, name))
        monkeypatch.setattr(LockTokenManager, name, method)
    yield stop_at
    for stop in stops:
        stop.go.set()


@pytest.fixture
def stall(article, stop_at):
    """Send a write to the article that stops; return how to let it go on."""

    def stall(view, stage, token=None, method="patch"):
        url = f"/{view}/{article.pk}/"
        return stalled(stop_at(stage), method, url, {"title": "Saved"}, token)

    return stall


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
    article, stall, atomic_requests, view, stage, method, other_is
):
    go_on = stall(view, stage, acquire(article), method)
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
    article, stall, view, stage
):
    go_on = stall(view, "acquire" if stage == "fence" else stage)
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
def test_whoever_takes_over_waits_for_the_write(article, stall, view, has_token):
    token = acquire(article) if has_token else None
    go_on = stall(view, "before save", token)

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
        answer = call("patch", f"/{view}/{article.pk}/", {"title": "Stale"}, token)
        assert (answer.status_code, title_of(article)) == (412, "Saved")


@pytest.mark.parametrize("view", WRITING)
@pytest.mark.parametrize("has_token", [True, False])
def test_whoever_locks_during_a_write_gets_it_afterwards_if_at_all(
    article, stall, view, has_token
):
    token = None
    if has_token:
        token = acquire(article)
        expire(article)
    go_on = stall(view, "after save", token)
    asking = meanwhile(lambda: lock_article(article))
    assert title_of(article) == "First"
    assert go_on().status_code == 200
    answer = asking()
    assert title_of(article) == "Saved"
    if has_token:
        assert_refused(answer, 403, "locked")
        assert article.check_lock(token)
    else:
        assert answer.status_code in (201, 403)
        assert article.is_locked() == (answer.status_code == 201)


@pytest.mark.parametrize("view", ["mixed", "alone"])
@pytest.mark.parametrize("has_token", [True, False])
def test_another_write_without_a_token_waits_or_is_refused(
    article, stall, view, has_token
):
    go_on = stall(view, "after save", acquire(article) if has_token else None)
    url = f"/{view}/{article.pk}/"
    other = meanwhile(lambda: call("patch", url, {"title": "Another's"}))
    assert title_of(article) == "First"
    assert go_on().status_code == 200
    status = other().status_code
    assert status in ({423} if has_token else {200, 423})
    assert title_of(article) == ("Another's" if status == 200 else "Saved")


@pytest.mark.parametrize("view", ["mixed", "alone"])
def test_a_release_waits_for_a_write_with_the_same_token(article, stall, view):
    token = acquire(article)
    go_on = stall(view, "after save", token)
    route = f"/mixed/{article.pk}/lock/"
    releasing = meanwhile(lambda: call("delete", route, None, token))
    assert releasing.is_running()
    assert go_on().status_code == 200
    assert releasing().status_code == 204
    assert title_of(article) == "Saved"
    assert not lock_row(article).exists()


@pytest.mark.parametrize("view", ["mixed", "mixed-at-object", "alone"])
def test_whoever_takes_over_waits_for_a_deletion(article, stall, view):
    go_on = stall(view, "after save", acquire(article), "delete")
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
    article, stall, view, method, has_token
):
    token = acquire(article) if has_token else None
    go_on = stall(view, "after save", token, "delete")
    url = f"/mixed/{article.pk}/lock/" if method == "post" else f"/{view}/{article.pk}/"
    other = meanwhile(lambda: call(method, url, {} if method == "post" else None))
    assert go_on().status_code == 204
    answer = other()
    if method != "post":
        assert answer.status_code in (404, 423)
    assert not Article.objects.exists()


@pytest.mark.parametrize("view", ["mixed", "alone"])
def test_a_write_that_is_undone_has_let_nobody_in(article, stall, monkeypatch, view):
    """Who has waited finds the object as it was, and the lock."""
    token = acquire(article)
    expire(article)
    go_on = stall(view, "before save", token)
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


# Many at once: no write is lost


RACERS = 16
REFUSALS = {403, 412, 423, 503}
COUNTING = ["counting", "counting-alone", "counting-at-object", "hand-made"]


@pytest.mark.parametrize("view", COUNTING)
@pytest.mark.parametrize(
    ("with_token", "has_expired"),
    [(0, False), (RACERS, False), (RACERS, True), (RACERS // 2, True)],
    ids=["no token", "one token", "one expired token", "an expired token and none"],
)
def test_of_many_writes_none_is_lost(atomic_requests, view, with_token, has_expired):
    article = Article.objects.create(title="0")
    url = f"/{view}/{article.pk}/"
    token = acquire(article) if with_token else None
    if has_expired:
        expire(article)
    answers = race(
        *[lambda: call("patch", url, {"title": "0"}, token)] * with_token,
        *[lambda: call("patch", url, {"title": "0"})] * (RACERS - with_token),
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= REFUSALS | {200}
    assert title_of(article) == str(statuses.count(200))
    if with_token == RACERS:
        assert statuses == [200] * RACERS
        assert article.check_lock(token)
    if not with_token:
        assert statuses.count(200) >= 1
        assert not lock_row(article).exists()


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one isolation level")
@pytest.mark.parametrize("view", COUNTING)
@pytest.mark.parametrize("has_token", [True, False])
def test_of_many_writes_under_repeatable_read_none_is_lost(
    atomic_requests, repeatable_read, view, has_token
):
    """Some databases undo those that have read what was: the project answers 500."""
    article = Article.objects.create(title="0")
    token = acquire(article) if has_token else None
    url = f"/{view}/{article.pk}/"
    body = {"title": "0"}

    def write():
        calm = APIClient(raise_request_exception=False)
        return call("patch", url, body, token, client=calm).status_code

    statuses = race(*[write] * RACERS)
    undone = {500} if undoes_old_snapshots() else set()
    assert set(statuses) <= REFUSALS | {200} | undone
    assert title_of(article) == str(statuses.count(200))
    assert statuses.count(200) >= 1


def write_the_next(url, token):
    number = call("get", url).json()["title"]
    return call("patch", url, {"title": str(int(number) + 1)}, token)


@pytest.mark.parametrize("view", ["mixed", "mixed-at-object", "alone", "strict"])
def test_of_many_who_lock_read_write_and_release_none_is_lost(atomic_requests, view):
    article = Article.objects.create(title="0")
    url = f"/{view}/{article.pk}/"
    route = f"/mixed/{article.pk}/lock/"

    def client():
        done, refused = 0, set()
        for _ in range(6):
            answer = call("post", route)
            if answer.status_code != 201:
                refused.add(answer.status_code)
                continue
            token = answer.json()["token"]
            answer = write_the_next(url, token)
            assert answer.status_code == 200, answer.content
            answer = call("delete", route, None, token)
            assert answer.status_code == 204, answer.content
            done += 1
        return done, refused

    results = race(*[client] * RACERS)
    assert set().union(*(refused for _done, refused in results)) <= REFUSALS
    assert title_of(article) == str(sum(done for done, _refused in results))
    assert title_of(article) != "0"
    assert not lock_row(article).exists()


def test_of_many_who_lose_and_take_locks_only_holders_write():
    """Locks expire at any moment. What is written is what its holder has read, plus one."""
    article = Article.objects.create(title="0")
    url = f"/mixed/{article.pk}/"

    def client():
        done, statuses = 0, set()
        for _ in range(6):
            answer = call("post", f"{url}lock/")
            statuses.add(answer.status_code)
            if answer.status_code != 201:
                lock_row(article).update(expires_at="2020-01-01T00:00:00Z")
                continue
            token = answer.json()["token"]
            answer = write_the_next(url, token)
            statuses.add(answer.status_code)
            done += answer.status_code == 200
        return done, statuses

    results = race(*[client] * 8)
    statuses = set().union(*(seen for _done, seen in results))
    assert statuses <= REFUSALS | {200, 201}
    assert title_of(article) == str(sum(done for done, _statuses in results))


@pytest.mark.parametrize("with_lock", [True, False])
def test_writes_of_different_fields_at_once_lose_nothing(with_lock):
    desk = Desk.objects.create(name="news")
    token = LockToken.objects.acquire(desk).token_str if with_lock else None

    def write(**fields):
        answer = call("patch", f"/desks/{desk.pk}/", fields, token)
        assert answer.status_code in ({200} if with_lock else {200, 423, 503})
        return fields if answer.status_code == 200 else {}

    for number in range(5):
        written = race(
            lambda number=number: write(name=f"name-{number}"),
            lambda number=number: write(telephone=str(number)),
        )
        desk.refresh_from_db()
        for fields in written:
            assert all(getattr(desk, name) == value for name, value in fields.items())
        assert any(written)


@pytest.mark.parametrize("view", ["mixed", "alone"])
@pytest.mark.parametrize("with_token", [0, RACERS // 2])
def test_of_many_deletions_one_deletes(article, view, with_token):
    url = f"/{view}/{article.pk}/"
    token = acquire(article) if with_token else None
    answers = race(
        *[lambda: call("delete", url, None, token)] * with_token,
        *[lambda: call("delete", url)] * (RACERS - with_token),
    )
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(204) == 1
    assert set(statuses) <= REFUSALS | {204, 404}
    assert not Article.objects.exists()
    assert not LockToken.objects.exists()


def test_of_many_that_lock_two_objects_crosswise_none_is_lost_and_none_hangs():
    """The database ends a deadlock, and whoever it has undone may try again."""
    one, two = (Article.objects.create(title="0") for _ in range(2))
    LockToken.objects.is_locked(one)
    there, back = f"/both/{one.pk}/{two.pk}/", f"/both/{two.pk}/{one.pk}/"
    answers = race(
        *[lambda: call("patch", there, {})] * 4, *[lambda: call("patch", back, {})] * 4
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= REFUSALS | {200}
    assert title_of(one) == title_of(two) == str(statuses.count(200))
    assert not LockToken.objects.exists()
