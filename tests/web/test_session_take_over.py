"""Taking over into a session, and who else holds what."""

import pytest

from lock_tokens.exceptions import InvalidToken
from lock_tokens.models import LockToken
from lock_tokens.sessions import (
    check_for_session,
    get_session_token,
    infos_of_others,
    lock_for_session,
    remember,
    take_over_for_session,
)
from tests.models import Article, Label, Page, Plain
from tests.support.helpers import expire, lock_row, new_session, same_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def session():
    return new_session()


def test_taking_over_ends_another_s_lock(article, session, alice):
    theirs = new_session()
    lock_for_session(article, theirs)
    held = take_over_for_session(article, session, user=alice)
    assert get_session_token(article, session) == held["token"]
    assert LockToken.objects.get().token_str == held["token"]
    assert LockToken.objects.info(article).locked_by == alice
    assert check_for_session(article, session)
    with pytest.raises(InvalidToken):
        lock_for_session(article, theirs)


def test_taking_over_what_is_free_locks_it(article, session):
    held = take_over_for_session(article, session)
    assert {"token", "expires"} <= held.keys()
    assert check_for_session(article, session)


def test_taking_over_one_s_own_makes_a_new_lock(article, session):
    first = lock_for_session(article, session)["token"]
    held = take_over_for_session(article, session)
    assert held["token"] != first
    assert get_session_token(article, session) == held["token"]
    with pytest.raises(InvalidToken):
        LockToken.objects.renew(article, first)


def test_taking_over_takes_a_timeout(article, session):
    take_over_for_session(article, session, timeout=30)
    lock = lock_row(article).get()
    assert (lock.expires_at - lock.locked_at).total_seconds() == pytest.approx(30)


def test_the_user_of_the_session_is_the_holder(article, session, alice):
    session["_auth_user_id"] = str(alice.pk)
    take_over_for_session(article, session)
    assert LockToken.objects.info(article).locked_by == alice


def test_another_request_of_the_session_shares_what_was_taken_over(article, session):
    """Also one that came in before the token was stored."""
    parallel = same_session(session)
    held = take_over_for_session(article, session)
    assert lock_for_session(article, parallel)["token"] == held["token"]


def test_an_unsaved_object_and_a_bad_timeout_are_refused(article, session):
    with pytest.raises(ValueError):
        take_over_for_session(Article(), session)
    with pytest.raises(ValueError):
        take_over_for_session(article, session, timeout=-1)
    assert not LockToken.objects.exists()


def test_others_are_who_holds_what_this_session_does_not(session, alice):
    mine, theirs, free, expired, lost = [
        Article.objects.create(title=title) for title in "abcde"
    ]
    lock_for_session(mine, session)
    theirs.lock(user=alice)
    expired.lock(user=alice)
    expire(expired)
    remember(lost, session, "0" * 32)
    lost.lock(user=alice)
    objects = [lost, free, theirs, mine, expired]
    infos = infos_of_others(iter(objects), session)
    assert [info and info.locked_by for info in infos] == [
        alice,
        None,
        alice,
        None,
        None,
    ]


def test_others_are_known_of_objects_of_several_models(session, alice):
    objects = [
        Page.objects.create(),
        Plain.objects.create(),
        Label.objects.create(name="a/b"),
    ]
    for obj in objects:
        LockToken.objects.acquire(obj, user=alice)
    infos = infos_of_others(objects, session)
    assert [info.locked_by for info in infos] == [alice] * 3
    assert infos_of_others([], session) == []


def test_others_cost_one_query_and_one_for_each_token_of_the_session(
    session, alice, django_assert_num_queries
):
    articles = [Article.objects.create() for _ in range(6)]
    for article in articles[:2]:
        lock_for_session(article, session)
    for article in articles[2:5]:
        article.lock(user=alice)
    with django_assert_num_queries(3):
        infos = infos_of_others(articles, session)
    assert [info is not None for info in infos] == [
        False,
        False,
        True,
        True,
        True,
        False,
    ]


def test_others_of_a_key_that_no_lock_can_have_are_refused(session):
    with pytest.raises(ValueError):
        infos_of_others([Label.objects.create(name="x" * 256)], session)
