"""The JSON API: how a lock is renewed, and cut short by a page that is left."""

from datetime import datetime, timezone

import pytest

from lock_tokens.managers import LockTokenManager
from tests.support.api import address, error_of, row_of, seconds_left, send, since
from tests.support.helpers import age, expire, lock_row

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

VOID = "0" * 32


@pytest.mark.parametrize(
    ("timeout", "life"),
    [(60, 60), (2.5, 2.5), (3600, 3600), (10**9, 3600), (1e300, 3600)],
)
def test_a_renewal_may_name_a_timeout_up_to_the_setting_s(
    client, article, held, timeout, life
):
    answer = send(
        client, "PATCH", address(article, held["token"]), {"timeout": timeout}
    )
    assert answer.status_code == 200
    assert answer.json() == row_of(article).serialize()
    assert seconds_left(answer) == pytest.approx(life, abs=1.5)


@pytest.mark.parametrize("body", [None, {}])
def test_a_renewal_without_a_timeout_takes_the_setting_s(
    client, settings, article, held, body
):
    settings.LOCK_TOKENS = {"TIMEOUT": 100}
    answer = send(client, "PATCH", address(article, held["token"]), body)
    assert seconds_left(answer) == pytest.approx(100, abs=2)


@pytest.mark.parametrize(("timeout", "life"), [(60, 60), (10**9, 3600)])
def test_acquiring_may_name_a_timeout_too(client, article, timeout, life):
    answer = send(client, "POST", address(article), {"timeout": timeout})
    assert answer.status_code == 201
    assert seconds_left(answer) == pytest.approx(life, abs=1.5)


def test_leaving_shortens_the_lock_unless_another_page_has_renewed_it(client, article):
    first = client.post(address(article))
    url = address(article, first.json()["token"])
    age(article, 5)
    other_page = client.patch(url)
    assert other_page["ETag"] != first["ETag"]
    leaving = send(client, "PATCH", url, {"timeout": 3}, If_Match=first["ETag"])
    assert (leaving.status_code, error_of(leaving)) == (412, "renewed_since")
    assert leaving.json()["expires_at"] == other_page.json()["expires_at"]
    assert row_of(article).serialize() == other_page.json()
    leaving = send(client, "PATCH", url, {"timeout": 3}, If_Match=other_page["ETag"])
    assert leaving.status_code == 200
    assert seconds_left(leaving) < 3.5


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*", " * "])
def test_ways_to_match_the_expiry(client, article, held, known):
    tag = client.get(address(article, held["token"]))["ETag"]
    answer = send(
        client, "PATCH", address(article, held["token"]), If_Match=known.format(tag)
    )
    assert answer.status_code == 200


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
    ],
)
def test_whatever_else_does_not_match(client, article, held, known):
    answer = send(client, "PATCH", address(article, held["token"]), If_Match=known)
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    assert row_of(article).serialize() == held


def test_more_tags_than_anybody_needs_are_a_400(client, article, held):
    tags = ", ".join(['"2024-01-01"'] * 11)
    answer = send(client, "PATCH", address(article, held["token"]), If_Match=tags)
    assert (answer.status_code, error_of(answer)) == (400, "bad_request")


def test_an_expiry_on_the_second_matches(client, article, held):
    """It has no fraction in the ETag, nor where the ORM has written it on SQLite."""
    lock_row(article).update(expires_at=datetime(2050, 1, 1, tzinfo=timezone.utc))
    url = address(article, held["token"])
    tag = client.get(url)["ETag"]
    assert tag == '"2050-01-01T00:00:00+00:00"'
    assert send(client, "PATCH", url, If_Match=tag).status_code == 200


def test_if_match_does_not_tell_more_of_a_void_token(client, article, held):
    for tag in ('"other"', f'"{held["expires_at"]}"'):
        answer = send(client, "PATCH", address(article, VOID), If_Match=tag)
        assert (answer.status_code, error_of(answer)) == (403, "wrong_token")
    article.unlock(held["token"])
    answer = send(client, "PATCH", address(article, held["token"]), If_Match='"x"')
    assert (answer.status_code, error_of(answer)) == (404, "not_locked")


def test_an_expired_lock_is_revived_by_its_etag(client, article, held):
    expire(article)
    url = address(article, held["token"])
    tag = client.get(url)["ETag"]
    assert send(client, "PATCH", url, If_Match=tag).status_code == 200
    assert article.is_locked()


# If-Unmodified-Since: for a page that does not know what its own last renewal did


def leave(client, url, date, **headers):
    body = {"timeout": 5}
    return send(client, "PATCH", url, body, If_Unmodified_Since=date, **headers)


def test_a_lock_that_nobody_has_renewed_since_is_cut_short(client, article, held):
    url = address(article, held["token"])
    answer = leave(client, url, since(3))
    assert answer.status_code == 200
    assert answer.json()["expires_at"] < held["expires_at"]
    assert seconds_left(answer) <= 6
    client.patch(url)
    age(article, 100)
    assert leave(client, url, since(-90)).status_code == 200


def test_a_lock_that_somebody_has_renewed_since_is_left_alone(client, article, held):
    url = address(article, held["token"])
    answer = leave(client, url, since(-10))
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    assert answer.json()["expires_at"] == held["expires_at"]
    age(article, 100)
    assert leave(client, url, since(-110)).status_code == 412
    client.patch(url)
    expires_at = row_of(article).expires_at
    assert leave(client, url, since(-90)).status_code == 412
    assert row_of(article).expires_at == expires_at


def test_when_it_was_renewed_is_told_by_the_timeout_setting(client, settings, article):
    settings.LOCK_TOKENS = {"TIMEOUT": 60}
    url = address(article, client.post(address(article)).json()["token"])
    assert leave(client, url, since(-10)).status_code == 412
    assert leave(client, url, since(3)).status_code == 200
    send(client, "PATCH", url, {"timeout": 40})  # as if it were 20 seconds ago
    assert leave(client, url, since(-10)).status_code == 200


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Friday, 01-Jan-99 00:00:00 GMT",
        "Fri Jan  1 00:00:00 1999",
    ],
)
def test_dates_of_long_ago(client, article, held, date):
    answer = leave(client, address(article, held["token"]), date)
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")


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
def test_what_is_no_date_does_not_count(client, article, held, date):
    assert leave(client, address(article, held["token"]), date).status_code == 200


def test_the_date_does_not_count_beside_if_match(client, article, held):
    url = address(article, held["token"])
    long_ago = since(-9999)
    tag = f'"{held["expires_at"]}"'
    assert leave(client, url, long_ago, If_Match="*").status_code == 200
    client.patch(url)
    answer = leave(client, url, since(3), If_Match=tag)
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    tag = client.get(url)["ETag"]
    assert leave(client, url, long_ago, If_Match=tag).status_code == 200


def test_the_date_does_not_tell_more_of_a_void_token(client, article, held):
    for date in (since(-10), since(3)):
        for token in (VOID, "x"):
            answer = leave(client, address(article, token), date)
            assert (answer.status_code, error_of(answer)) == (403, "wrong_token")
    article.unlock(held["token"])
    answer = leave(client, address(article, held["token"]), since(3))
    assert (answer.status_code, error_of(answer)) == (404, "not_locked")


def test_an_expired_lock_is_revived_before_its_date(client, article, held):
    expire(article)
    assert leave(client, address(article, held["token"]), since(0)).status_code == 200
    assert article.is_locked()


def test_who_renews_at_that_very_moment_comes_first(client, article, held, monkeypatch):
    get_by_token = LockTokenManager.get_by_token

    def get_held_and_be_late(self, obj, token):
        monkeypatch.undo()
        lock = get_by_token(self, obj, token)
        self.renew(obj, token, timeout=1000)
        return lock

    monkeypatch.setattr(LockTokenManager, "get_by_token", get_held_and_be_late)
    answer = leave(client, address(article, held["token"]), since(3))
    assert (answer.status_code, error_of(answer)) == (412, "renewed_since")
    assert 900 < seconds_left(answer) < 1001
