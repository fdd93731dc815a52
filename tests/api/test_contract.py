"""What both doors answer, the JSON API and the route of a viewset, and do to the lock."""

import logging
from datetime import datetime, timedelta, timezone

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.test.client import MULTIPART_CONTENT
from django.test.utils import CaptureQueriesContext

from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from tests.support.api import row_of, seconds_left, since
from tests.support.doors import assert_refused, token_dict
from tests.support.helpers import ACQUIRE_IN_AUTOCOMMIT, REFUSAL, age, expire, lock_row
from tests.support.views import browser_of

pytestmark = pytest.mark.django_db

FREE = {"locked": False, "locked_by": None, "locked_at": None, "expires_at": None}
NOBODY = {"locked_by": None, "locked_at": None, "expires_at": None}
VOID = "0" * 32
FORM = "application/x-www-form-urlencoded"


def bring_about(situation, article, user=None):
    """Let the article's lock be so; return the token that was this client's."""
    if situation == "free":
        return VOID
    token = article.lock(user=user)["token"]
    if situation == "expired":
        expire(article)
    if situation == "released":
        article.unlock(token)
    if situation.startswith("taken"):
        other = LockToken.objects.take_over(article).token_str
    if situation == "taken and left":
        article.unlock(other)
    return token


# The table of calls and statuses


@pytest.mark.parametrize("is_signed_in", [False, True])
@pytest.mark.parametrize(
    ("situation", "status"),
    [
        ("free", 201),
        ("live", 403),
        ("expired", 201),
        ("released", 201),
        ("taken", 403),
        ("taken and left", 201),
    ],
)
def test_the_state_and_acquiring(door, article, alice, situation, status, is_signed_in):
    bring_about(situation, article, alice if is_signed_in else None)
    if is_signed_in:
        door.client.force_login(alice)
    before = lock_row(article).values().first()
    state, head = door.state(), door.send("HEAD")
    info = LockToken.objects.info(article)
    assert state.status_code == 200
    assert state.json() == ({"locked": True, **info.serialize()} if info else FREE)
    assert state.json()["locked"] is (status == 403)
    assert (head.status_code, head.content, head["ETag"]) == (200, b"", state["ETag"])
    assert head["Content-Type"] == state["Content-Type"]
    answer = door.acquire()
    assert "Idempotent-Replayed" not in answer
    if status == 403:
        assert_refused(answer, 403, "locked")
        assert lock_row(article).values().first() == before
    else:
        assert answer.status_code == 201
        assert seconds_left(answer) == pytest.approx(3600, abs=5)
        assert before is None or row_of(article).token_str != before["token_str"]
        assert row_of(article).locked_by == (alice if is_signed_in else None)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("situation", "shown", "status", "error"),
    [
        ("free", "another", 404, "not_locked"),
        ("live", "its own", 200, None),
        ("expired", "its own", 200, None),
        ("live", "another", 403, "wrong_token"),
        ("expired", "another", 403, "wrong_token"),
        ("live", "garbage", 403, "wrong_token"),
        ("released", "its own", 404, "not_locked"),
        ("released", "another", 404, "not_locked"),
        ("released", "garbage", 404, "not_locked"),
        ("taken", "its own", 403, "wrong_token"),
        ("taken", "another", 403, "wrong_token"),
        ("taken and left", "its own", 404, "not_locked"),
        ("taken and left", "another", 404, "not_locked"),
    ],
)
def test_calls_with_a_token(door, article, method, situation, shown, status, error):
    token = bring_about(situation, article)
    before = lock_row(article).values().first()
    given = {"its own": token, "another": "1" * 32, "garbage": "g\N{SNOWMAN} h"}[shown]
    answer = door.send(method, given)
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer["Content-Type"] == "application/json"
        assert error or answer["ETag"] == door.read(token)["ETag"]
    elif error:
        assert_refused(answer, status, error)
    elif method == "DELETE":
        assert (answer.status_code, answer.content) == (204, b"")
        assert not lock_row(article).exists()
        return
    else:
        assert answer.status_code == status
        assert answer.json()["token"] == token
        assert article.is_locked() == (situation == "live" or method == "PATCH")
    if error or method != "PATCH":
        assert lock_row(article).values().first() == before
    else:
        assert row_of(article).expires_at > before["expires_at"]


@pytest.mark.parametrize(
    "token", ["x", "0" * 31, "0" * 33, VOID.upper(), "\0", "é", "~"]
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_is_no_token_is_a_wrong_one(door, article, held, method, token):
    assert_refused(door.send(method, token), 403, "wrong_token")
    article.unlock(held["token"])
    assert_refused(door.send(method, token), 404, "not_locked")


def test_a_token_in_upper_case_is_another(door, article, held):
    lock_row(article).update(token_str="a" * 32)
    for method in ("GET", "PATCH", "DELETE"):
        assert_refused(door.send(method, "A" * 32), 403, "wrong_token")
        assert door.send(method, "a" * 32).status_code in (200, 204)


# Bodies


def test_a_refusal_says_who_has_it_since_when_and_until_when(door, article, held):
    answers = [door.acquire()]
    answers += [door.send(each, VOID) for each in ("GET", "PATCH", "DELETE")]
    for answer in answers:
        body = answer.json()
        assert body["locked_by"] == "Alice Liddell"
        assert body["locked_at"] == row_of(article).locked_at.isoformat()
        assert body["expires_at"] == held["expires_at"]
    expire(article)
    body = door.read(VOID).json()
    assert {name: body[name] for name in NOBODY} == NOBODY


@pytest.mark.parametrize("holder", ["Alice Liddell", "bob", None])
def test_the_holder_is_recorded_and_named(door, article, alice, bob, holder):
    """By the full name, else by the login name."""
    user = {"Alice Liddell": alice, "bob": bob, None: None}[holder]
    door = door.by(browser_of(user))
    assert door.acquire().status_code == 201
    assert row_of(article).locked_by == user
    door.client.logout()  # the lock is not the session's
    state = door.state().json()
    assert (state["locked"], state["locked_by"]) == (True, holder)


@pytest.mark.parametrize("status", [403, 409, 423])
def test_the_status_of_a_refusal_can_be_chosen(door, settings, article, held, status):
    settings.LOCK_TOKENS = {"API_LOCKED_STATUS": status}
    assert_refused(door.acquire(), status, "locked")
    for method in ("GET", "PATCH", "DELETE"):
        assert_refused(door.send(method, VOID), 403, "wrong_token")
    expire(article)
    assert door.acquire().status_code == 201


@pytest.mark.parametrize("format", ["%H Uhr", "</script>\"'", "é \N{SNOWMAN}", "until"])
def test_any_dateformat_is_json_and_leaves_expires_at_alone(door, settings, format):
    settings.LOCK_TOKENS = {"DATEFORMAT": format}
    answer = door.acquire()
    expires_at = datetime.fromisoformat(answer.json()["expires_at"])
    assert answer.json()["expires"] == expires_at.strftime(format)
    assert expires_at.utcoffset() == timedelta(0)
    token = answer.json()["token"]
    assert token_dict(door.read(token).json()) == token_dict(answer.json())
    assert door.renew(token, If_Match=answer["ETag"]).status_code == 200


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_times_are_in_utc_also_without_time_zones(door, settings, zone):
    settings.USE_TZ = False
    settings.TIME_ZONE = zone
    answer = door.acquire()
    assert seconds_left(answer) == pytest.approx(3600, abs=5)
    assert door.state().json()["expires_at"] == answer.json()["expires_at"]
    token = answer.json()["token"]
    renewed = door.renew(token, {"timeout": 60}, If_Match=answer["ETag"])
    assert renewed.status_code == 200
    assert seconds_left(renewed) == pytest.approx(60, abs=5)
    late = door.renew(token, {"timeout": 5}, If_Match=answer["ETag"])
    assert late.status_code == 412


# Timeouts


def ask(door, method, held, body, **options):
    """Send a body by a call that takes one."""
    return door.send(
        method, held["token"] if method == "PATCH" else None, body, **options
    )


WITH_A_BODY = pytest.mark.parametrize(
    ("method", "done"), [("POST", 201), ("PATCH", 200)]
)


@WITH_A_BODY
@pytest.mark.parametrize(
    ("timeout", "life"),
    [
        *(("60", 60), ("2.5", 2.5), ("3600", 3600)),
        *((short, 0) for short in ("0.001", "1e-6", "1e-300")),
        *((long, 3600) for long in ("3600.0000001", "1000000000", "1e300", "1e400")),
        ("1" + "0" * 400, 3600),
    ],
)
def test_a_call_may_name_a_timeout_up_to_the_setting_s(
    door, article, held, method, done, timeout, life
):
    expire(article)
    answer = ask(door, method, held, f'{{"timeout": {timeout}}}'.encode())
    assert answer.status_code == done
    assert seconds_left(answer) == pytest.approx(life, abs=1.5)


@WITH_A_BODY
@pytest.mark.parametrize("body", [b"", {}, {"timeout": 3600}])
def test_the_setting_is_the_timeout_and_the_longest(
    door, settings, article, held, method, done, body
):
    settings.LOCK_TOKENS = {"TIMEOUT": 100}
    expire(article)
    answer = ask(door, method, held, body)
    assert answer.status_code == done
    assert seconds_left(answer) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "timeout",
    [
        *("0", "-0.0", "-1", "-1e300", "-1e400", "-1" + "0" * 400, "true", "false"),
        *("null", '""', '"60"', "[60]", "{}"),
    ],
)
@pytest.mark.parametrize("longest", [0.5, 3600])
def test_what_is_no_timeout(door, settings, article, held, method, timeout, longest):
    """A true is no number either, even where a lock lives for less than a second."""
    settings.LOCK_TOKENS = {"TIMEOUT": longest}
    for _ in ("live", "expired"):
        before = lock_row(article).values().get()
        answer = ask(door, method, held, f'{{"timeout": {timeout}}}'.encode())
        assert_refused(answer, 400, "invalid_timeout")
        assert lock_row(article).values().get() == before
        expire(article)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "body",
    [
        *([], [5], 5, 0, "timeout", "", None, True, False, {"timeuot": 5}),
        *({"timeout": 5, "token": "x"}, {"csrfmiddlewaretoken": "x"}),
    ],
)
def test_what_is_no_body(door, article, held, method, body):
    assert_refused(ask(door, method, held, body), 400, "invalid_body")
    assert row_of(article).serialize() == held


def test_a_bad_body_is_told_first(door, article, held):
    assert_refused(door.renew(VOID, {"timeout": 0}), 400, "invalid_timeout")
    article.unlock(held["token"])
    assert_refused(door.renew(held["token"], {"timeout": 0}), 400, "invalid_timeout")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"\xff", b"timeout=5", b"{}\0", b"  ", b"\n"),
        pytest.param(b"[" * 100_000, id="brackets"),
        *(b'{"timeout": NaN}', b'{"timeout": Infinity}', b'{"timeout": -Infinity}'),
        *(b'{"timeout": 0x10}', b'{"timeout": }'),
        b'{"timeout": 1' + b"0" * 5000 + b"}",
    ],
)
def test_what_is_no_json(door, article, held, method, body):
    assert_refused(ask(door, method, held, body), 400, "invalid_json")
    assert row_of(article).serialize() == held


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("content_type", ["text/plain", "junk", "text/json"])
def test_what_is_not_said_to_be_json(door, article, held, method, content_type):
    answer = ask(door, method, held, b'{"timeout": 5}', content_type=content_type)
    assert_refused(answer, 415, "unsupported_media_type")
    assert row_of(article).serialize() == held


def test_a_form_that_breaks_off_cannot_be_read(door):
    answer = door.acquire(b"junk", content_type="multipart/form-data")
    assert_refused(answer, 400, "bad_request")


@WITH_A_BODY
@pytest.mark.parametrize("body", [b"", b'{"timeout": 5}'])
def test_json_may_say_its_charset(door, article, held, method, done, body):
    expire(article)
    json = "Application/JSON; charset=utf-8"
    assert ask(door, method, held, body, content_type=json).status_code == done


@pytest.mark.parametrize("content_type", [FORM, MULTIPART_CONTENT])
def test_an_empty_form_is_no_body(door, content_type):
    assert door.acquire(content_type=content_type).status_code == 201


# If-Match


def test_leaving_shortens_the_lock_unless_another_page_has_renewed_it(door, article):
    first = door.acquire()
    token = first.json()["token"]
    age(article, 5)
    other_page = door.renew(token)
    assert other_page["ETag"] != first["ETag"]
    leaving = door.renew(token, {"timeout": 3}, If_Match=first["ETag"])
    assert_refused(leaving, 412, "renewed_since")
    assert leaving.json()["expires_at"] == other_page.json()["expires_at"]
    assert row_of(article).serialize() == token_dict(other_page.json())
    leaving = door.renew(token, {"timeout": 3}, If_Match=other_page["ETag"])
    assert leaving.status_code == 200
    assert seconds_left(leaving) < 3.5


@pytest.mark.parametrize("situation", ["live", "expired"])
@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*", " * "])
def test_ways_to_match_the_expiry(door, article, situation, known):
    token = bring_about(situation, article)
    sent = known.format(door.read(token)["ETag"])
    assert door.renew(token, {"timeout": 5}, If_Match=sent).status_code == 200
    assert article.is_locked()


@pytest.mark.parametrize("situation", ["live", "expired"])
@pytest.mark.parametrize(
    "known",
    [
        "",
        "garbage",
        '"other"',
        '"2024-01-01"',
        '"0001-01-01T00:00:00+23:59"',
        '"9999-12-31T23:59:59-23:59"',
        '"0001-01-01T00:00:00"',
        '"2024-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"',
        ", ".join(['"2024-01-01"'] * 10),
    ],
)
def test_whatever_else_does_not_match(door, article, situation, known):
    token = bring_about(situation, article)
    before = lock_row(article).values().get()
    answer = door.renew(token, {"timeout": 5}, If_Match=known)
    assert_refused(answer, 412, "renewed_since")
    assert lock_row(article).values().get() == before


def test_more_tags_than_anybody_needs_are_a_400(door, held):
    tags = ", ".join(['"2024-01-01"'] * 11)
    assert_refused(door.renew(held["token"], If_Match=tags), 400, "bad_request")


def test_an_expiry_on_the_second_matches(door, article, held):
    """It has no fraction in the ETag, nor where the ORM has written it on SQLite."""
    lock_row(article).update(expires_at=datetime(2050, 1, 1, tzinfo=timezone.utc))
    tag = door.read(held["token"])["ETag"]
    assert tag == '"2050-01-01T00:00:00+00:00"'
    assert door.renew(held["token"], If_Match=tag).status_code == 200


# If-Unmodified-Since: for a page that does not know what its own last renewal did


def leave(door, token, date, **headers):
    return door.renew(token, {"timeout": 5}, If_Unmodified_Since=date, **headers)


@pytest.mark.parametrize("situation", ["live", "expired"])
@pytest.mark.parametrize(
    "sent",
    [
        *({"If_Match": each} for each in ("*", '"other"', "{}")),
        *({"If_Unmodified_Since": each} for each in (-9999, -10, 3, 9999)),
    ],
)
def test_a_condition_does_not_tell_more_of_a_void_token(door, article, situation, sent):
    own = bring_about(situation, article)
    for name, value in sent.items():
        is_tag = isinstance(value, str)
        tag = door.read(own)["ETag"]
        sent = {name: value.format(tag) if is_tag else since(value)}
    for token in ("1" * 32, "x"):
        answer = door.renew(token, {"timeout": 5}, **sent)
        assert_refused(answer, 403, "wrong_token")
    article.unlock(own)
    for token in (own, "1" * 32):
        answer = door.renew(token, {"timeout": 5}, **sent)
        assert_refused(answer, 404, "not_locked")


def test_a_lock_that_nobody_has_renewed_since_is_cut_short(door, article, held):
    token = held["token"]
    answer = leave(door, token, since(3))
    assert answer.status_code == 200
    assert answer.json()["expires_at"] < held["expires_at"]
    assert seconds_left(answer) <= 6
    door.renew(token)
    age(article, 100)
    assert leave(door, token, since(-90)).status_code == 200


def test_a_lock_that_somebody_has_renewed_since_is_left_alone(door, article, held):
    token = held["token"]
    answer = leave(door, token, since(-10))
    assert_refused(answer, 412, "renewed_since")
    assert answer.json()["expires_at"] == held["expires_at"]
    age(article, 100)
    assert leave(door, token, since(-110)).status_code == 412
    door.renew(token)
    expires_at = row_of(article).expires_at
    assert leave(door, token, since(-90)).status_code == 412
    assert row_of(article).expires_at == expires_at


def test_when_it_was_renewed_is_told_by_the_timeout_setting(door, settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 60}
    token = door.acquire().json()["token"]
    assert leave(door, token, since(-10)).status_code == 412
    assert leave(door, token, since(3)).status_code == 200
    door.renew(token, {"timeout": 40})  # as if it were 20 seconds ago
    assert leave(door, token, since(-10)).status_code == 200


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Friday, 01-Jan-99 00:00:00 GMT",
        "Fri Jan  1 00:00:00 1999",
    ],
)
def test_dates_of_long_ago(door, held, date):
    assert_refused(leave(door, held["token"], date), 412, "renewed_since")


@pytest.mark.parametrize(
    "date",
    [
        *("", "yesterday", "*", "0", "2024-01-01T00:00:00Z", "x" * 5000),
        "Thu, 32 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 25:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 CET",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ],
)
def test_what_is_no_date_does_not_count(door, held, date):
    assert leave(door, held["token"], date).status_code == 200


def test_the_date_does_not_count_beside_if_match(door, held):
    token = held["token"]
    long_ago = since(-9999)
    tag = f'"{held["expires_at"]}"'
    assert leave(door, token, long_ago, If_Match="*").status_code == 200
    door.renew(token)
    answer = leave(door, token, since(3), If_Match=tag)
    assert_refused(answer, 412, "renewed_since")
    tag = door.read(token)["ETag"]
    assert leave(door, token, long_ago, If_Match=tag).status_code == 200


def test_an_expired_lock_is_revived_before_its_date(door, article, held):
    expire(article)
    assert leave(door, held["token"], since(0)).status_code == 200
    assert article.is_locked()


def test_who_renews_at_that_very_moment_comes_first(door, held, monkeypatch):
    get_by_token = LockTokenManager.get_by_token

    def get_held_and_be_late(self, obj, token):
        monkeypatch.undo()
        lock = get_by_token(self, obj, token)
        self.renew(obj, token, timeout=1000)
        return lock

    monkeypatch.setattr(LockTokenManager, "get_by_token", get_held_and_be_late)
    answer = leave(door, held["token"], since(3))
    assert_refused(answer, 412, "renewed_since")
    assert 900 < seconds_left(answer) < 1001


# By POST, where a firewall lets neither PATCH nor DELETE pass


@pytest.mark.parametrize("situation", ["live", "expired"])
def test_a_post_renews_as_a_patch_does(door, article, situation):
    token = bring_about(situation, article)
    answer = door.send("POST", token, {"timeout": 60}, do="renew")
    assert answer.status_code == 200
    assert answer.json()["token"] == token
    assert seconds_left(answer) == pytest.approx(60, abs=5)
    late = door.send("POST", token, do="renew", If_Match='"2024-01-01"')
    assert_refused(late, 412, "renewed_since")
    late = door.send("POST", token, do="renew", If_Unmodified_Since=since(-9999))
    assert_refused(late, 412, "renewed_since")
    bad = door.send("POST", token, {"timeout": 0}, do="renew")
    assert_refused(bad, 400, "invalid_timeout")


def test_a_post_releases_as_a_delete_does(door, article, held):
    for do in ("renew", "release"):
        assert_refused(door.send("POST", VOID, do=do), 403, "wrong_token")
    assert row_of(article).serialize() == held
    answer = door.send("POST", held["token"], do="release")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not lock_row(article).exists()
    again = door.send("POST", held["token"], do="release")
    assert_refused(again, 404, "not_locked")


@pytest.mark.parametrize("do", ["DELETE", "Renew", "acquire", "renew&do=x"])
def test_a_post_that_is_to_do_anything_else_does_nothing(door, article, held, do):
    answer = door.send("POST", held["token"], do=do)
    assert_refused(answer, 400, "invalid_do")
    assert row_of(article).serialize() == held


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_only_a_post_is_to_do_something_else(door, article, held, method):
    answer = door.send(method, held["token"], do="release")
    assert answer.status_code == (204 if method == "DELETE" else 200)
    assert lock_row(article).exists() == (method != "DELETE")


# The seconds until the expiry, by the database's clock


def test_each_answer_to_the_holder_tells_the_seconds_that_are_left(
    door, article, monkeypatch
):
    """A clock of this host that is wrong by a year changes nothing."""
    wrong = datetime.now(timezone.utc) - timedelta(days=365)
    monkeypatch.setattr("django.utils.timezone.now", lambda: wrong)
    key = {"Idempotency_Key": "5b1f3a0e-8c59-4f0e-9d6c-2f7a4f0b3c11"}
    first = door.acquire({"timeout": 60}, **key)
    assert first.json()["expires_in"] == 60
    token, tag = first.json()["token"], first["ETag"]
    age(article, 20)
    assert door.read(token).json()["expires_in"] == pytest.approx(40, abs=2)
    replayed = door.acquire({"timeout": 50}, **key)
    assert replayed["Idempotent-Replayed"] == "true"
    assert replayed.json()["expires_in"] == pytest.approx(50, abs=2)
    refused = door.renew(token, {"timeout": 5}, If_Match=tag)
    assert_refused(refused, 412, "renewed_since")
    assert refused.json()["expires_in"] == pytest.approx(50, abs=2)
    assert door.renew(token, {"timeout": 7.5}).json()["expires_in"] == 7.5
    age(article, 20)
    assert door.read(token).json()["expires_in"] == pytest.approx(-12.5, abs=2)


# If-None-Match


def test_a_known_state_is_a_304(door, article):
    free = door.state()
    known = door.state(If_None_Match=free["ETag"])
    assert (known.status_code, known.content) == (304, b"")
    assert known["ETag"] == free["ETag"]
    article.lock()
    answer = door.state(If_None_Match=free["ETag"])
    assert (answer.status_code, answer.json()["locked"]) == (200, True)
    assert answer["ETag"] != free["ETag"]


def test_the_state_has_another_etag_once_the_lock_is_renewed_or_taken(door, article):
    held = article.lock()
    tags = [door.state()["ETag"]]
    article.lock(held["token"], timeout=60)
    tags.append(door.state()["ETag"])
    LockToken.objects.take_over(article)
    tags.append(door.state()["ETag"])
    assert len(set(tags)) == 3


@pytest.mark.parametrize("situation", ["free", "live"])
@pytest.mark.parametrize(
    ("known", "status"),
    [
        *((each, 304) for each in ("{}", "W/{}", '"other", {}', "*")),
        *((each, 200) for each in ('"other"', "garbage", "", ",,", 'W/"')),
    ],
)
def test_ways_to_know_the_state(door, article, situation, known, status):
    bring_about(situation, article)
    sent = known.format(door.state()["ETag"])
    assert door.state(If_None_Match=sent).status_code == status


@pytest.mark.parametrize("known", ["{}", "*"])
def test_a_lock_is_read_whatever_is_known_of_it(door, held, known):
    tag = door.read(held["token"])["ETag"]
    answer = door.read(held["token"], If_None_Match=known.format(tag))
    assert (answer.status_code, token_dict(answer.json())) == (200, held)


# The database


@pytest.mark.django_db(transaction=True)
def test_queries_of_each_call(door, article):
    def queries_of(method, token, status):
        with CaptureQueriesContext(connection) as queries:
            answer = door.client.generic(
                method, door.address(token), headers=door.headers(token)
            )
        assert answer.status_code == status
        return len(queries)

    assert queries_of("GET", None, 200) == 2
    assert queries_of("POST", None, 201) == 1 + len(ACQUIRE_IN_AUTOCOMMIT)
    assert queries_of("POST", None, 403) == 1 + REFUSAL
    assert queries_of("GET", None, 200) == 2
    token = row_of(article).token_str
    assert queries_of("GET", token, 200) == 2
    assert queries_of("PATCH", token, 200) == 2
    assert queries_of("PATCH", "x", 403) <= 3
    assert queries_of("DELETE", token, 204) == 2


@pytest.mark.parametrize("fails_first", ["any statement", "that about the lock"])
@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("GET", OperationalError),
        ("POST", OperationalError),
        ("POST", DatabaseError),
        ("PATCH", OperationalError),
        ("PATCH", InterfaceError),
        ("DELETE", OperationalError),
    ],
)
def test_a_database_that_fails_is_a_503_and_logged(
    door, article, held, caplog, method, error, fails_first
):
    def fail(execute, sql, params, many, context):
        if fails_first == "any statement" or "lock_tokens_locktoken" in sql:
            raise error("the database has gone away")
        return execute(sql, params, many, context)

    token = None if method == "POST" else held["token"]
    with (
        connection.execute_wrapper(fail),
        caplog.at_level(logging.ERROR, "lock_tokens"),
    ):
        answer = door.client.generic(
            method, door.address(token), headers=door.headers(token)
        )
    assert_refused(answer, 503, "unavailable")
    assert answer["Retry-After"] == "2"
    assert "gone away" not in answer.content.decode()
    (record,) = [each for each in caplog.records if each.name == "lock_tokens"]
    assert record.exc_info[0] is error
    assert held["token"] not in caplog.text
    assert row_of(article).serialize() == held
