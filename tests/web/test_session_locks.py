"""Lock, check and unlock with the token that a session has."""

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    NoLockWarning,
    UnlockForbiddenError,
)
from lock_tokens.models import LockToken
from lock_tokens.sessions import (
    check_for_session,
    get_session_key,
    get_session_token,
    infos_of_others,
    lock_for_session,
    remember,
    take_over_for_session,
    unlock_for_session,
)
from tests.models import Article, ArticleProxy
from tests.support.helpers import (
    ACQUIRE_IN_AUTOCOMMIT,
    REFUSAL,
    age,
    expire,
    lock_row,
    new_session,
    same_session,
)
from tests.support.objects import LOCKABLE
from tests.support.views import browser_of, take_and_leave

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[lock_for_session, take_over_for_session])
def lock(request):
    """The ways in which a session gets a lock."""
    return request.param


def with_void_token(obj, session):
    """Let another take the session's lock and leave; return the void token."""
    token = lock_for_session(obj, session)["token"]
    take_and_leave(obj)
    return token


def life_of(obj):
    lock = lock_row(obj).get()
    return (lock.expires_at - lock.locked_at).total_seconds()


# Lock


def test_the_token_lies_in_the_session_and_its_dict_is_returned(article, session, lock):
    given = lock(article, session)
    row = LockToken.objects.get_for_object(article)
    assert given == row.serialize()
    assert session[get_session_key(article)] == row.token_str
    assert get_session_token(article, session) == row.token_str
    assert check_for_session(article, session)
    assert article.is_locked()


def test_asking_again_renews_the_same_lock(article, session):
    first = lock_for_session(article, session)
    age(article, 60)
    second = lock_for_session(article, session)
    assert second["token"] == first["token"]
    assert lock_row(article).get().expires_at.isoformat() == second["expires_at"]
    assert second["expires_at"] >= first["expires_at"]
    assert LockToken.objects.count() == 1


@pytest.mark.parametrize("force_new", [False, True])
def test_another_session_is_refused_and_told_who_has_it(
    article, session, alice, force_new
):
    lock_for_session(article, browser_of(alice).session)
    before = lock_row(article).values().get()
    with pytest.raises(AlreadyLockedError) as caught:
        lock_for_session(article, session, force_new=force_new)
    assert caught.value.obj == article
    assert caught.value.locked_by == alice
    assert get_session_token(article, session) is None
    assert lock_row(article).values().get() == before


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("force_new", [False, True])
def test_two_tabs_share_the_lock(article, session, expired, force_new):
    first = lock_for_session(article, session)
    identity = lock_row(article).get().pk
    session.save()
    if expired:
        expire(article)
    second = lock_for_session(article, same_session(session), force_new=force_new)
    assert second["token"] == first["token"]
    assert lock_row(article).get().pk == identity
    assert article.is_locked()
    # The first tab still works.
    assert check_for_session(article, session)


@pytest.mark.parametrize("end", ["taken and left", "taken", "released"])
def test_a_void_token_is_refused_and_stays_to_be_refused_again(article, session, end):
    if end == "released":
        void = lock_for_session(article, session)["token"]
        unlock_for_session(article, session)
        remember(article, session, void)
    else:
        void = with_void_token(article, session)
    if end == "taken":
        article.lock()
    for _ in range(2):
        with pytest.raises(InvalidToken):
            lock_for_session(article, session)
        with pytest.raises(UnlockForbiddenError):
            unlock_for_session(article, session)
        assert get_session_token(article, session) == void
    assert LockToken.objects.count() == (end == "taken")


def test_force_new_forgets_a_void_token_and_acquires_anew(article, session):
    void = with_void_token(article, session)
    given = lock_for_session(article, session, force_new=True)
    assert given["token"] != void
    assert get_session_token(article, session) == given["token"]
    assert article.check_lock(given["token"])


def test_timeout_is_that_of_the_new_lock_or_of_the_renewal(article, session, lock):
    lock(article, session, timeout=60)
    assert life_of(article) == pytest.approx(60, abs=30)
    lock_for_session(article, session, timeout=600)
    assert 599 < life_of(article) < 660


@pytest.mark.parametrize("timeout", [0, -1, "60", True])
def test_a_bad_timeout_is_a_value_error(article, session, lock, timeout):
    with pytest.raises(ValueError, match="number of seconds"):
        lock(article, session, timeout=timeout)
    assert not LockToken.objects.exists()
    lock_for_session(article, session)
    with pytest.raises(ValueError, match="number of seconds"):
        lock(article, session, timeout=timeout)


def test_a_proxy_shares_the_lock_in_the_session(article, session):
    proxy = ArticleProxy.objects.get(pk=article.pk)
    token = lock_for_session(article, session)["token"]
    assert get_session_key(proxy) == get_session_key(article)
    assert lock_for_session(proxy, session)["token"] == token


@pytest.mark.django_db(transaction=True)
def test_statements(article, session, django_assert_num_queries):
    session["loaded"] = True
    acquire = len(ACQUIRE_IN_AUTOCOMMIT)
    calls = (lock_for_session, lock_for_session, check_for_session, unlock_for_session)
    for call, statements in zip(calls, (acquire, 1, 1, 1), strict=True):
        with django_assert_num_queries(statements):
            call(article, session)
    with_void_token(article, session)
    with django_assert_num_queries(1), pytest.raises(InvalidToken):
        lock_for_session(article, session)
    with django_assert_num_queries(1 + acquire):
        lock_for_session(article, session, force_new=True)
    other = new_session()
    other["loaded"] = True
    with django_assert_num_queries(REFUSAL), pytest.raises(AlreadyLockedError):
        lock_for_session(article, other)


# Holder


def test_the_holder_is_the_user_who_is_logged_in(article, alice, lock):
    session = browser_of(alice).session
    lock(article, session)
    assert article.lock_info().locked_by == alice
    # The session holds nothing that JSON cannot.
    session.save()
    again = same_session(session)
    assert dict(again.items()) == dict(session.items())
    assert again[BACKEND_SESSION_KEY]


def test_user_comes_before_the_one_who_is_logged_in(article, alice, bob, lock):
    lock(article, browser_of(alice).session, user=bob)
    assert article.lock_info().locked_by == bob


def test_an_unsaved_user_is_a_value_error(article, session):
    with pytest.raises(ValueError, match="unsaved user"):
        lock_for_session(article, session, user=User(username="nobody"))
    assert not article.is_locked()


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ({}, {}),
        ({}, {"user": AnonymousUser()}),
        *(({SESSION_KEY: garbage}, {}) for garbage in ("", "no number", "1.5", None)),
        ({SESSION_KEY: "99999"}, {}),  # who is gone
    ],
)
def test_the_holder_may_be_unknown(article, session, data, options):
    session.update(data)
    lock_for_session(article, session, **options)
    assert article.is_locked()
    assert article.lock_info().locked_by is None


def test_renewing_keeps_the_holder(article, alice):
    session = browser_of(alice).session
    lock_for_session(article, session)
    del session[SESSION_KEY]
    lock_for_session(article, session)
    assert article.lock_info().locked_by == alice


# Unlock and check


def test_unlock_frees_the_object_and_forgets_the_token(article, session):
    another = Article.objects.create()
    anothers = lock_for_session(another, session)["token"]
    lock_for_session(article, session)
    unlock_for_session(article, session)
    assert not article.is_locked()
    assert not lock_row(article).exists()
    assert get_session_token(article, session) is None
    assert get_session_key(article) not in session
    assert get_session_token(another, session) == anothers
    assert another.is_locked()


def test_unlocking_without_a_token_is_forbidden(article, session):
    article.lock()
    with pytest.raises(UnlockForbiddenError) as caught:
        unlock_for_session(article, session)
    assert caught.value.obj is article
    assert article.is_locked()


def test_check_is_true_only_for_the_session_that_holds_the_lock(article, session):
    assert check_for_session(article, session) is False
    lock_for_session(article, session)
    assert check_for_session(article, session) is True
    assert check_for_session(article, new_session()) is False
    expire(article)
    with pytest.warns(LockExpiredWarning):
        assert check_for_session(article, session) is True


@pytest.mark.filterwarnings("error")
def test_check_warns_of_a_void_token_alone_while_there_is_no_lock(
    article, session, django_assert_num_queries
):
    session.load()
    with django_assert_num_queries(0):  # without a token
        assert check_for_session(article, session) is False
    with_void_token(article, session)
    with pytest.warns(NoLockWarning):
        assert check_for_session(article, session) is False
    article.lock()
    assert check_for_session(article, session) is False


# Taking over


@pytest.mark.parametrize("own", [False, True])
def test_taking_over_ends_the_lock(article, session, alice, own):
    ended = session if own else new_session()
    first = lock_for_session(article, ended)["token"]
    held = take_over_for_session(article, session, user=alice)
    assert held["token"] != first
    assert get_session_token(article, session) == held["token"]
    assert LockToken.objects.get().token_str == held["token"]
    assert LockToken.objects.info(article).locked_by == alice
    assert check_for_session(article, session)
    with pytest.raises(InvalidToken):
        LockToken.objects.renew(article, first)


def test_another_request_of_the_session_shares_what_was_taken_over(article, session):
    """Even one that came in before the token was stored."""
    parallel = same_session(session)
    held = take_over_for_session(article, session)
    assert lock_for_session(article, parallel)["token"] == held["token"]


# The locks of others


def test_others_are_who_holds_what_this_session_does_not(session, alice):
    mine, theirs, free, expired, lost = [
        Article.objects.create(title=title) for title in "abcde"
    ]
    lock_for_session(mine, session)
    for locked in (theirs, expired, lost):
        locked.lock(user=alice)
    expire(expired)
    remember(lost, session, "0" * 32)
    infos = infos_of_others(iter([lost, free, theirs, mine, expired]), session)
    holders = [info and info.locked_by for info in infos]
    assert holders == [alice, None, alice, None, None]


def test_others_are_known_of_objects_of_several_models(session, alice):
    objects = [make() for make in LOCKABLE.values()]
    for obj in objects:
        LockToken.objects.acquire(obj, user=alice)
    infos = infos_of_others(objects, session)
    assert {info.locked_by for info in infos} == {alice}
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
    assert [bool(info) for info in infos] == [False] * 2 + [True] * 3 + [False]
