"""Asking again for a lock whose first answer was lost: ``Idempotency-Key``, and races."""

import uuid

import pytest
from django.test import Client

from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.sessions import lock_for_session
from tests.models import Article, ArticleProxy, Label, Page
from tests.support.api import address, error_of, send
from tests.support.doors import token_dict
from tests.support.helpers import (
    ACQUIRE_IN_AUTOCOMMIT,
    REFUSAL,
    age,
    expire,
    lock_row,
    new_session,
    race,
)
from tests.support.views import browser_of

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

KEY = str(uuid.UUID(int=7))
OTHER_KEY = str(uuid.UUID(int=8))
RACERS = 12


def ask(door, key=KEY, body=b""):
    """Ask at a door for the lock with a key, which no answer has in it."""
    answer = door.acquire(body, Idempotency_Key=key)
    if key in (KEY, OTHER_KEY):
        assert key not in f"{answer.content.decode()} {answer.headers}"
    return answer


def ask_api(client, obj, key=KEY):
    return send(client, "POST", address(obj), Idempotency_Key=key)


def is_replay(answer):
    assert answer.status_code == 201
    return answer.headers.get("Idempotent-Replayed") == "true"


def is_refused(answer):
    return (answer.status_code, error_of(answer)) == (403, "locked")


# The same key


def replays(answer, first):
    """Say whether the answer is told to be that which was given first."""
    return is_replay(answer) and answer.json()["token"] == first.json()["token"]


def test_the_same_key_gets_the_whole_answer_again_and_is_told_so(door, article):
    first = ask(door)
    assert not is_replay(first)
    assert "Idempotent-Replayed" not in first
    again = ask(door)
    assert replays(again, first)
    assert LockToken.objects.count() == 1
    token = again.json()["token"]
    assert door.renew(token).status_code == 200
    assert door.release(token).status_code == 204


def test_a_replay_lets_the_lock_live_on_and_never_shortens_it(door, article):
    first = ask(door)
    age(article, 1000)
    again = ask(door)
    assert is_replay(again)
    assert again.json()["expires_at"] >= first.json()["expires_at"]
    short = ask(door, body={"timeout": 2})
    assert is_replay(short)
    assert short.json()["expires_at"] == again.json()["expires_at"]


def test_a_replay_from_another_session_keeps_the_holder_and_the_moment(
    door, alice, article
):
    first = ask(door.by(browser_of(alice)), "1")
    before = lock_row(article).get()
    assert replays(ask(door.by(browser_of(alice)), "1"), first)
    after = lock_row(article).get()
    assert (after.pk, after.locked_at) == (before.pk, before.locked_at)
    assert after.locked_by == alice


def test_a_replay_stays_one_when_the_secret_key_is_rotated(door, settings):
    first = ask(door)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert replays(ask(door), first)
    settings.SECRET_KEY_FALLBACKS = []
    assert is_refused(ask(door))


def test_a_proxy_s_key_is_that_of_its_model(client, article):
    ask_api(client, article)
    assert is_replay(ask_api(client, ArticleProxy.objects.get()))


@pytest.mark.django_db(transaction=True)
def test_queries_of_each(client, article, django_assert_num_queries):
    # object, whose it is, acquire
    with django_assert_num_queries(2 + len(ACQUIRE_IN_AUTOCOMMIT)):
        assert not is_replay(ask_api(client, article))
    with django_assert_num_queries(4):  # object, whose it is, renew, the row
        assert is_replay(ask_api(client, article))
    with django_assert_num_queries(2 + REFUSAL):  # object, whose it is, be refused
        assert is_refused(ask_api(client, article, OTHER_KEY))


# Another


def test_another_key_or_none_is_refused(door):
    first = ask(door)
    assert is_refused(ask(door, OTHER_KEY))
    assert is_refused(ask(door, KEY.upper() + "X"))
    assert is_refused(door.acquire())
    door.release(first.json()["token"])
    door.acquire()
    assert is_refused(ask(door))


def test_the_same_key_on_another_object_is_another_token(client, article):
    other = Article.objects.create()
    page = Page.objects.create()
    label = Label.objects.create(name=str(article.pk))
    answers = [ask_api(client, obj) for obj in (article, other, page, label)]
    assert not any(map(is_replay, answers))
    assert len({answer.json()["token"] for answer in answers}) == 4


@pytest.mark.parametrize(
    ("first", "then"), [("alice", "bob"), ("alice", None), (None, "alice")]
)
def test_somebody_else_s_key_is_no_key(door, alice, bob, first, then):
    users = {"alice": alice, "bob": bob, None: None}
    token = ask(door.by(browser_of(users[first]))).json()["token"]
    refused = ask(door.by(browser_of(users[then])))
    assert is_refused(refused)
    assert token not in refused.content.decode()
    assert is_replay(ask(door.by(browser_of(users[first]))))


def test_a_user_s_key_cannot_be_made_up_by_somebody_without_one(door, alice):
    """Nothing in a key ends its own quotation and goes on as another's."""
    ask(door.by(browser_of(alice)), "a" * 20)
    for key in (f'api", "{alice.pk}", "{"a" * 20}', f'{alice.pk}", "{"a" * 20}'):
        assert is_refused(ask(door, key))


def test_a_session_s_lock_is_not_for_its_key(door, article):
    session = new_session()
    lock_for_session(article, session)
    for key in (session.session_key, session.session_key.ljust(20)):
        assert is_refused(ask(door, key))


# Afterwards


def test_once_it_has_expired_the_key_revives_the_lock(door, alice, article):
    """A new one would make the token of this client's other pages void."""
    door = door.by(browser_of(alice))
    first = ask(door)
    expire(article)
    before = lock_row(article).get()
    again = ask(door, body={"timeout": 60})
    assert replays(again, first)
    after = lock_row(article).get()
    assert (after.pk, after.locked_at) == (before.pk, before.locked_at)
    assert after.locked_by == alice
    assert article.is_locked()
    seconds = (after.expires_at - before.expires_at).total_seconds()
    assert 50 < seconds < 120
    assert door.read(first.json()["token"]).status_code == 200


@pytest.mark.parametrize("key", [OTHER_KEY, None])
def test_who_has_another_key_or_none_gets_a_new_lock_for_an_expired_one(
    door, article, key
):
    first = ask(door)
    expire(article)
    again = ask(door, key) if key else door.acquire()
    assert not is_replay(again)
    assert again.json()["token"] != first.json()["token"]
    assert door.read(first.json()["token"]).status_code == 403


def test_a_lock_that_goes_while_it_is_revived_makes_way(door, article, monkeypatch):
    first = ask(door).json()["token"]
    expire(article)
    renew = LockTokenManager.renew

    def renew_too_late(self, obj, token, **options):
        monkeypatch.undo()
        self.take_over(obj)
        return renew(self, obj, token, **options)

    monkeypatch.setattr(LockTokenManager, "renew", renew_too_late)
    assert is_refused(ask(door))
    assert lock_row(article).get().token_str != first


def test_once_it_is_released_the_key_gets_a_new_lock(door, article):
    first = ask(door).json()["token"]
    door.release(first)
    again = ask(door)
    assert not is_replay(again)
    assert again.json()["token"] != first


@pytest.mark.parametrize("how", ["taken over", "expired and locked"])
def test_a_lock_that_another_got_meanwhile_is_refused_to_the_key(door, article, how):
    ask(door)
    if how == "taken over":
        LockToken.objects.take_over(article)
    else:
        expire(article)
        article.lock()
    assert is_refused(ask(door))


# What can be a key


@pytest.mark.parametrize(
    "key",
    ["", '""', '"', "x", "x" * 15, f'"{"x" * 15}"', "x" * 256, "é" * 20, "a\tb" * 10],
)
def test_a_key_that_could_be_guessed_or_read_two_ways_is_bad(door, key):
    answer = ask(door, key)
    assert (answer.status_code, error_of(answer)) == (400, "invalid_idempotency_key")
    assert not LockToken.objects.exists()
    door.obj.lock()
    assert ask(door, key).status_code == 400


@pytest.mark.parametrize(
    "key", ["x" * 16, "x" * 255, f'"{"x" * 255}"', "a key: {20}~ !"]
)
def test_keys_that_will_do(door, key):
    assert not is_replay(ask(door, key + "long" * (len(key) < 16)))


@pytest.mark.parametrize(("key", "status"), [("1", 201), ("", 400), ("x" * 256, 400)])
def test_a_user_s_key_may_be_short(door, alice, key, status):
    assert ask(door.by(browser_of(alice)), key).status_code == status


def test_a_key_in_quotation_marks_is_the_key_without(door):
    first = ask(door, f'"{KEY}"')
    assert replays(ask(door, KEY), first)
    assert is_refused(ask(door, f'"{KEY}'))
    assert is_refused(ask(door, f'""{KEY}""'))


# Races


def racing(article, keys):
    """Ask for the lock with each key at the same moment; return the answers."""
    return race(*(lambda key=key: ask_api(Client(), article, key) for key in keys))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_expired", [False, True])
def test_all_who_ask_with_one_key_get_one_token(article, dialect, has_expired):
    if has_expired:  # all revive it
        old = ask_api(Client(), article).json()["token"]
        expire(article)
    answers = racing(article, [KEY] * RACERS)
    assert {answer.status_code for answer in answers} == {201}
    token = LockToken.objects.get().token_str
    assert {answer.json()["token"] for answer in answers} == {token}
    assert not has_expired or token == old
    assert [*map(is_replay, answers)].count(False) == (0 if has_expired else 1)


@pytest.mark.django_db(transaction=True)
def test_one_of_those_with_keys_of_their_own_gets_the_lock(article, dialect):
    answers = racing(article, [f"{number:020}" for number in range(RACERS)])
    (won,) = [answer for answer in answers if answer.status_code == 201]
    assert won.json()["token"] == LockToken.objects.get().token_str
    assert sum(map(is_refused, [each for each in answers if each != won])) == RACERS - 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_one_of_those_without_a_key_gets_the_lock(article):
    answers = race(*[lambda: Client().post(address(article))] * RACERS)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] + [403] * (RACERS - 1)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_a_leaving_and_a_staying_page_the_lock_stays(article):
    """Whatever comes first: who leaves names the expiry that it knows."""
    for _ in range(5):
        first = ask_api(Client(), article)
        url = address(article, first.json()["token"])
        age(article, 5)
        tag = Client().get(url)["ETag"]
        leaving, staying = race(
            lambda url=url, tag=tag: send(
                Client(), "PATCH", url, {"timeout": 0.5}, If_Match=tag
            ),
            lambda url=url: Client().patch(url),
        )
        assert staying.status_code == 200
        assert leaving.status_code in (200, 412)
        assert lock_row(article).get().serialize() == token_dict(staying.json())
        Client().delete(url)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_that_leave_with_one_tag_one_is_too_late(article, dialect):
    first = ask_api(Client(), article)
    url = address(article, first.json()["token"])

    def leave(timeout):
        return send(
            Client(), "PATCH", url, {"timeout": timeout}, If_Match=first["ETag"]
        )

    answers = race(*(lambda timeout=n: leave(timeout) for n in (10, 20, 30, 40)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_releases_one_is_too_late(article):
    url = address(article, ask_api(Client(), article).json()["token"])
    answers = race(*[lambda: Client().delete(url)] * 6)
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * 5


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_releases_and_retries_at_once_never_fail(article):
    """Each answer is one of the documented, whatever came in between."""

    def life():
        statuses = set()
        for _ in range(8):
            answer = ask_api(Client(), article)
            statuses.add(answer.status_code)
            url = address(article, answer.json().get("token", "0" * 32))
            statuses.update((Client().patch(url).status_code, 0))
            statuses.add(Client().delete(url).status_code)
        return statuses

    for statuses in race(*[life] * 6):
        assert statuses <= {0, 200, 201, 204, 403, 404}
