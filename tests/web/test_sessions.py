"""Tokens in a session: who shares a lock, who is refused, and nobody locked out."""

import uuid
import warnings

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY, alogout, logout
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.signed_cookies import (
    SessionStore as SignedCookies,
)
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client

from lock_tokens.decorators import locks_object
from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    NoLockWarning,
    UnlockForbiddenError,
)
from lock_tokens.holding import fence
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.sessions import (
    check_for_session,
    forget,
    get_session_key,
    get_session_token,
    lock_for_session,
    release_on_logout,
    release_session_locks,
    remember,
    unlock_for_session,
)
from tests.models import (
    Article,
    ArticleProxy,
    Day,
    Draft,
    Label,
    Page,
    Plain,
    Translation,
)
from tests.support.helpers import (
    age,
    expire,
    new_session,
    of_url,
    race,
    same_session,
    urls_of,
)

pytestmark = pytest.mark.django_db

NO_TOKENS = [None, 5, ["a"], {"token": "a"}, True, ""]
STRANGE_KEYS = [
    "a:b",
    ":",
    "::a",
    "a b",
    " ",
    "ä/ö?ü#%&",
    "%s {0} \\ ' \"",
    "<script>",
    "日本語 🔒",
    "line\nline",
    "lock_tokens:tests.label:a",
    "x" * 255,
]


@pytest.fixture
def article():
    return Article.objects.create(title="First")


@pytest.fixture
def session():
    return new_session()


@pytest.fixture
def alice():
    return User.objects.create(username="alice")


@pytest.fixture
def cookies_engine(settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"


def logged_in(user):
    client = Client()
    client.force_login(user)
    return client.session


def with_void_token(obj, session):
    """Let another take the session's lock and leave; return the void token."""
    token = lock_for_session(obj, session)["token"]
    expire(obj)
    obj.unlock(obj.lock()["token"])
    return token


def row(obj):
    return LockToken.objects.filter(
        locked_object_id=str(obj.pk),
        locked_object_content_type=LockToken.objects.key_of(obj).content_type,
    ).first()


# Lock


def test_the_token_lies_in_the_session_and_its_dict_is_returned(article, session):
    given = lock_for_session(article, session)
    lock = LockToken.objects.get_for_object(article)
    assert given == lock.serialize()
    assert session[get_session_key(article)] == lock.token_str
    assert get_session_token(article, session) == lock.token_str
    assert article.is_locked()


def test_asking_again_renews_the_same_lock(article, session):
    first = lock_for_session(article, session)
    age(article, 60)
    second = lock_for_session(article, session)
    assert second["token"] == first["token"]
    assert row(article).expires_at.isoformat() == second["expires_at"]
    assert second["expires_at"] >= first["expires_at"]
    assert LockToken.objects.count() == 1


def test_another_session_is_refused_and_told_who_has_it(article, session, alice):
    lock_for_session(article, logged_in(alice))
    before = row(article).__dict__
    with pytest.raises(AlreadyLockedError) as caught:
        lock_for_session(article, session)
    assert caught.value.obj == article
    assert caught.value.locked_by == alice
    assert get_session_token(article, session) is None
    after = row(article).__dict__
    assert {**after, "_state": 0} == {**before, "_state": 0}


def test_force_new_gets_nobody_past_another_s_live_lock(article, session):
    lock_for_session(article, new_session())
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, session, force_new=True)


def test_two_tabs_share_the_lock(article, session):
    first = lock_for_session(article, session)
    session.save()
    second = lock_for_session(article, same_session(session))
    assert second["token"] == first["token"]


@pytest.mark.parametrize("expired", [False, True])
def test_force_new_never_throws_away_a_token_that_holds(article, session, expired):
    first = lock_for_session(article, session)
    identity = row(article).pk
    session.save()
    if expired:
        expire(article)
    second = lock_for_session(article, same_session(session), force_new=True)
    assert second["token"] == first["token"]
    assert row(article).pk == identity
    assert article.is_locked()
    # The first tab still works.
    assert check_for_session(article, session)


@pytest.mark.parametrize("locked_by_another", [False, True])
def test_a_void_token_is_refused_and_stays_to_be_refused_again(
    article, session, locked_by_another
):
    void = with_void_token(article, session)
    if locked_by_another:
        article.lock()
    for _ in range(2):
        with pytest.raises(InvalidToken):
            lock_for_session(article, session)
        assert get_session_token(article, session) == void
    assert LockToken.objects.count() == locked_by_another


def test_force_new_forgets_a_void_token_and_acquires_anew(article, session):
    void = with_void_token(article, session)
    given = lock_for_session(article, session, force_new=True)
    assert given["token"] != void
    assert get_session_token(article, session) == given["token"]
    assert article.check_lock(given["token"])


def test_a_released_token_never_works_again(article, session):
    token = lock_for_session(article, session)["token"]
    unlock_for_session(article, session)
    remember(article, session, token)
    with pytest.raises(InvalidToken):
        lock_for_session(article, session)
    with pytest.raises(UnlockForbiddenError):
        unlock_for_session(article, session)
    assert LockToken.objects.count() == 0


def test_timeout_is_that_of_the_new_lock_and_of_the_renewal(article, session):
    lock_for_session(article, session, timeout=60)
    lock = row(article)
    assert (lock.expires_at - lock.locked_at).total_seconds() == pytest.approx(
        60, abs=1
    )
    lock_for_session(article, session, timeout=600)
    lock = row(article)
    assert 599 < (lock.expires_at - lock.locked_at).total_seconds() < 660


@pytest.mark.parametrize("timeout", [0, -1, "60", True])
def test_a_bad_timeout_is_a_value_error(article, session, timeout):
    with pytest.raises(ValueError, match="number of seconds"):
        lock_for_session(article, session, timeout=timeout)
    lock_for_session(article, session)
    with pytest.raises(ValueError, match="number of seconds"):
        lock_for_session(article, session, timeout=timeout)


def test_an_object_of_any_model_can_be_locked(session):
    plain = Plain.objects.create()
    token = lock_for_session(plain, session)["token"]
    assert get_session_token(plain, session) == token
    unlock_for_session(plain, session)
    assert LockToken.objects.count() == 0


def test_a_proxy_shares_the_lock_in_the_session(article, session):
    proxy = ArticleProxy.objects.get(pk=article.pk)
    token = lock_for_session(article, session)["token"]
    assert get_session_key(proxy) == get_session_key(article)
    assert lock_for_session(proxy, session)["token"] == token


# Holder


def test_the_holder_is_the_user_who_is_logged_in(article, alice):
    lock_for_session(article, logged_in(alice))
    assert article.lock_info().locked_by == alice


def test_the_holder_of_an_anonymous_session_is_unknown(article, session):
    lock_for_session(article, session)
    assert article.lock_info().locked_by is None


def test_user_comes_before_the_one_who_is_logged_in(article, alice):
    bob = User.objects.create(username="bob")
    lock_for_session(article, logged_in(alice), user=bob)
    assert article.lock_info().locked_by == bob


def test_an_anonymous_user_is_no_holder(article, session):
    lock_for_session(article, session, user=AnonymousUser())
    assert article.lock_info().locked_by is None


def test_an_unsaved_user_is_a_value_error(article, session):
    with pytest.raises(ValueError, match="unsaved user"):
        lock_for_session(article, session, user=User(username="nobody"))
    assert not article.is_locked()


@pytest.mark.parametrize("garbage", ["", "no number", "1.5"])
def test_garbage_instead_of_a_user_is_no_holder(article, session, garbage):
    session[SESSION_KEY] = garbage
    lock_for_session(article, session)
    assert article.is_locked()
    assert article.lock_info().locked_by is None


def test_a_user_who_is_gone_is_no_holder(article, alice):
    session = logged_in(alice)
    alice.delete()
    lock_for_session(article, session)
    assert article.lock_info().locked_by is None


def test_renewing_keeps_the_holder(article, alice):
    session = logged_in(alice)
    lock_for_session(article, session)
    del session[SESSION_KEY]
    lock_for_session(article, session)
    assert article.lock_info().locked_by == alice


# Unlock and check


def test_unlock_frees_the_object_and_forgets_the_token(article, session):
    lock_for_session(article, session)
    unlock_for_session(article, session)
    assert not article.is_locked()
    assert LockToken.objects.count() == 0
    assert get_session_token(article, session) is None
    assert get_session_key(article) not in session


def test_unlocking_without_a_token_is_forbidden(article, session):
    article.lock()
    with pytest.raises(UnlockForbiddenError) as caught:
        unlock_for_session(article, session)
    assert caught.value.obj is article
    assert article.is_locked()


def test_unlocking_with_a_void_token_is_forbidden_each_time(article, session):
    void = with_void_token(article, session)
    article.lock()
    for _ in range(2):
        with pytest.raises(UnlockForbiddenError):
            unlock_for_session(article, session)
        assert get_session_token(article, session) == void
    assert article.is_locked()


def test_unlocking_leaves_the_session_s_other_locks(article, session):
    another = Article.objects.create()
    lock_for_session(article, session)
    token = lock_for_session(another, session)["token"]
    unlock_for_session(article, session)
    assert get_session_token(another, session) == token
    assert another.is_locked()


def test_check_is_true_only_for_the_session_that_holds_the_lock(article, session):
    assert check_for_session(article, session) is False
    lock_for_session(article, session)
    assert check_for_session(article, session) is True
    assert check_for_session(article, new_session()) is False


def test_check_warns_of_an_expired_lock_that_still_holds(article, session):
    lock_for_session(article, session)
    expire(article)
    with pytest.warns(LockExpiredWarning):
        assert check_for_session(article, session) is True


def test_check_warns_of_a_token_on_an_object_without_a_lock(article, session):
    with_void_token(article, session)
    with pytest.warns(NoLockWarning):
        assert check_for_session(article, session) is False


def test_check_of_a_void_token_is_false_while_another_has_the_lock(article, session):
    with_void_token(article, session)
    article.lock()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_for_session(article, session) is False


def test_check_without_a_token_asks_nothing(
    article, session, django_assert_num_queries
):
    session.load()
    get_session_key(article)
    with django_assert_num_queries(0), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_for_session(article, session) is False


def test_the_session_s_token_is_good_for_a_fence(article, session):
    lock_for_session(article, session)
    with fence(article, get_session_token(article, session)):
        Article.objects.filter(pk=article.pk).update(title="Second")
    article.refresh_from_db()
    assert article.title == "Second"


@pytest.mark.django_db(transaction=True)
def test_statements(article, session, django_assert_num_queries):
    session["loaded"] = True
    get_session_key(article)
    with django_assert_num_queries(1):
        lock_for_session(article, session)
    with django_assert_num_queries(1):
        lock_for_session(article, session)
    with django_assert_num_queries(1):
        check_for_session(article, session)
    with django_assert_num_queries(1):
        unlock_for_session(article, session)
    with_void_token(article, session)
    with django_assert_num_queries(1), pytest.raises(InvalidToken):
        lock_for_session(article, session)
    with django_assert_num_queries(2):
        lock_for_session(article, session, force_new=True)
    other = new_session()
    other["loaded"] = True
    with django_assert_num_queries(2), pytest.raises(AlreadyLockedError):
        lock_for_session(article, other)


# Keys


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_text_keys_of_any_characters(session, key):
    label = Label.objects.create(name=key)
    token = lock_for_session(label, session)["token"]
    session.save()
    again = same_session(session)
    assert lock_for_session(label, again)["token"] == token
    assert check_for_session(label, again)
    release_session_locks(again)
    assert LockToken.objects.count() == 0
    assert get_session_token(label, again) is None


def test_no_two_objects_have_one_session_key():
    uuid_text = "5f0c1f39-6b3b-4c12-9d0e-0a4d4b7d1a11"
    objects = [Label(name=key) for key in [*STRANGE_KEYS, "A:b", "a:B", "1", uuid_text]]
    objects += [Article(pk=1), Plain(pk=1), Draft(pk=1), Article(pk=11)]
    objects += [Page(pk=uuid.UUID(uuid_text)), Day(date="2024-02-29")]
    for obj in objects:
        obj._state.adding = False
    keys = [get_session_key(obj) for obj in objects]
    assert len(set(keys)) == len(keys)


def test_uuid_keys(session):
    page = Page.objects.create()
    token = lock_for_session(page, session)["token"]
    spelled = Page(pk=page.pk.hex.upper())
    spelled._state.adding = False
    assert get_session_key(spelled) == get_session_key(page)
    assert lock_for_session(spelled, session)["token"] == token
    release_session_locks(session)
    assert LockToken.objects.count() == 0


def test_a_key_that_is_text_finds_the_integer_s_token(article, session):
    token = lock_for_session(article, session)["token"]
    spelled = Article(pk=str(article.pk))
    spelled._state.adding = False
    assert get_session_token(spelled, session) == token


@pytest.mark.parametrize(
    "make",
    [
        lambda: Article(),
        lambda: Article(pk=5),
        lambda: Label.objects.create(name="x" * 256),
        lambda: Translation.objects.create(
            article=Article.objects.create(), language="en"
        ),
    ],
    ids=["without a key", "unsaved", "too long", "composite"],
)
def test_what_cannot_be_locked_is_a_value_error(session, make):
    obj = make()
    for ask in (
        lambda: get_session_key(obj),
        lambda: get_session_token(obj, session),
        lambda: lock_for_session(obj, session),
        lambda: unlock_for_session(obj, session),
        lambda: check_for_session(obj, session),
        lambda: remember(obj, session, "token"),
        lambda: forget(obj, session),
    ):
        with pytest.raises(ValueError, match=r"cannot be locked|a lock takes up to"):
            ask()
    assert LockToken.objects.count() == 0


def test_remember_and_forget_ask_no_database(
    article, session, django_assert_num_queries
):
    session["loaded"] = True
    token = article.lock()["token"]
    with django_assert_num_queries(0):
        remember(article, session, token)
        assert get_session_token(article, session) == token
        forget(article, session)
        assert get_session_token(article, session) is None
    assert article.check_lock(token)


def test_remembering_the_same_token_again_leaves_the_session_unmodified(
    article, session
):
    lock_for_session(article, session)
    session.save()
    session = same_session(session)
    lock_for_session(article, session)
    assert not session.modified


@pytest.mark.parametrize("garbage", NO_TOKENS)
def test_garbage_instead_of_a_token_is_no_token(article, session, garbage):
    session[get_session_key(article)] = garbage
    assert get_session_token(article, session) is None
    assert check_for_session(article, session) is False
    with pytest.raises(UnlockForbiddenError):
        unlock_for_session(article, session)
    token = lock_for_session(article, session)["token"]
    assert get_session_token(article, session) == token


@pytest.mark.parametrize("garbage", ["garbage", "é" * 32, "0" * 31, "0" * 33, "A" * 32])
def test_a_text_that_is_no_token_is_a_void_token(article, session, garbage):
    session[get_session_key(article)] = garbage
    with pytest.raises(InvalidToken):
        lock_for_session(article, session)
    with pytest.raises(UnlockForbiddenError):
        unlock_for_session(article, session)
    token = lock_for_session(article, session, force_new=True)["token"]
    assert get_session_token(article, session) == token


# Sessions of the published 0.2.5


@pytest.fixture
def published(article, session):
    """A session that 0.2.5 has left with a live lock; return it with the token."""
    token = article.lock()["token"]
    session[f"tests_article_{article.pk}"] = token
    session.save()
    return same_session(session), token


def test_a_token_of_0_2_5_is_found_and_holds(article, published):
    session, token = published
    assert get_session_token(article, session) == token
    assert check_for_session(article, session)


def test_a_token_of_0_2_5_renews_and_moves_to_the_new_key(article, published):
    session, token = published
    assert lock_for_session(article, session)["token"] == token
    assert session[get_session_key(article)] == token
    assert f"tests_article_{article.pk}" not in session
    session.save()
    assert check_for_session(article, same_session(session))


@pytest.mark.parametrize("renewed", [False, True])
def test_a_token_of_0_2_5_unlocks_and_is_forgotten(article, published, renewed):
    session, _ = published
    if renewed:
        lock_for_session(article, session)
    unlock_for_session(article, session)
    assert not article.is_locked()
    assert get_session_token(article, session) is None
    assert f"tests_article_{article.pk}" not in session


def test_a_void_token_of_0_2_5_is_refused_and_healed(article, published):
    session, token = published
    article.unlock(token)
    with pytest.raises(InvalidToken):
        lock_for_session(article, session)
    healed = lock_for_session(article, session, force_new=True)["token"]
    assert healed != token
    assert f"tests_article_{article.pk}" not in session
    assert get_session_token(article, session) == healed


# Logging out


def test_logging_out_releases_the_session_s_locks_and_no_others(
    client, alice, settings
):
    settings.ROOT_URLCONF = urls_of(
        locks_object(Article, of_url)(lambda request, key: HttpResponse())
    )
    mine = [Article.objects.create() for _ in range(3)]
    other = Article.objects.create()
    same_user_elsewhere = Client()
    same_user_elsewhere.force_login(alice)
    assert same_user_elsewhere.get(f"/{other.pk}/").status_code == 200
    client.force_login(alice)
    for article in mine:
        assert client.get(f"/{article.pk}/").status_code == 200
    assert LockToken.objects.count() == 4
    assert client.post("/logout/").status_code == 302
    assert [article.is_locked() for article in mine] == [False] * 3
    assert LockToken.objects.count() == 1
    assert other.is_locked()
    assert same_user_elsewhere.get(f"/{other.pk}/").status_code == 200


def request_with(session, user=None):
    request = HttpRequest()
    request.session = session
    request.user = user or AnonymousUser()
    return request


def test_logging_out_releases_locks_of_every_kind_of_key(alice):
    session = logged_in(alice)
    for obj in (
        Article.objects.create(),
        Plain.objects.create(),
        Page.objects.create(),
        Label.objects.create(name="a:b"),
        Day.objects.create(date="2024-02-29"),
    ):
        lock_for_session(obj, session)
    assert LockToken.objects.count() == 5
    logout(request_with(session, alice))
    assert LockToken.objects.count() == 0


def test_logging_out_an_anonymous_session_releases_too(article, session):
    lock_for_session(article, session)
    logout(request_with(session))
    assert not article.is_locked()


def test_logging_out_asynchronously_releases_too(article, alice):
    session = logged_in(alice)
    lock_for_session(article, session)
    async_to_sync(alogout)(request_with(session, alice))
    assert not article.is_locked()
    assert LockToken.objects.count() == 0


def test_logging_out_releases_a_lock_that_has_expired(article, session):
    lock_for_session(article, session)
    expire(article)
    logout(request_with(session))
    assert LockToken.objects.count() == 0


def test_logging_out_leaves_what_another_has_taken_meanwhile(article, session):
    lock_for_session(article, session)
    expire(article)
    token = article.lock()["token"]
    logout(request_with(session))
    assert article.check_lock(token)
    assert article.is_locked()


@pytest.mark.django_db(databases=["default", "other"])
def test_logging_out_goes_on_past_garbage(session):
    good = Article.objects.create()
    gone = Article.objects.create()
    lock_for_session(gone, session)
    lock_for_session(good, session)
    Article.objects.filter(pk=gone.pk)._raw_delete("default")
    garbage = {
        "lock_tokens:": "a",
        "lock_tokens:nonsense": "a",
        "lock_tokens:no.such.thing:5": "a",
        "lock_tokens:gone.model:5": "0" * 32,
        "lock_tokens:tests.nomodel:5": "0" * 32,
        "lock_tokens:tests.article:": "0" * 32,
        "lock_tokens:tests.article:five": "0" * 32,
        "lock_tokens:tests.page:5": "0" * 32,
        "lock_tokens:tests.translation:5": "0" * 32,
        f"lock_tokens:tests.label:{'x' * 300}": "0" * 32,
        "lock_tokens:tests.article:1000000": "not a token",
        "lock_tokens:tests.article:1000001": None,
        "lock_tokens:tests.article:1000002": 5,
        "lock_tokens:tests.article:1000003": ["0" * 32],
        "lock_tokens:tests.article:1000004": "0" * 32,
    }
    session.update(garbage)
    session["the project's own"] = "kept"
    # Garbage before and behind what is good.
    token = session.pop(get_session_key(good))
    remember(good, session, token)
    session.update({"lock_tokens:nonsense again": "a"})
    release_session_locks(session)
    assert not good.is_locked()
    assert LockToken.objects.count() == 0
    assert not [key for key, _ in session.items() if key.startswith("lock_tokens:")]
    assert session["the project's own"] == "kept"


def test_logging_out_of_a_request_without_a_session_is_no_error(alice):
    release_on_logout(sender=User, request=HttpRequest(), user=alice)
    release_on_logout(sender=User, request=None, user=alice)


@pytest.mark.django_db(databases=["default", "other"])
def test_release_session_locks_can_be_called_by_the_project(article, session):
    lock_for_session(article, session)
    release_session_locks(session)
    assert not article.is_locked()
    assert get_session_token(article, session) is None
    release_session_locks(session)
    # The session goes on.
    lock_for_session(article, session)
    assert article.is_locked()


# Requests side by side


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_requests_that_come_in_together_share_the_lock(article, session):
    article.is_locked()

    def request():
        copy = same_session(session)
        token = lock_for_session(article, copy)["token"]
        copy.save()
        return token

    tokens = race(*[request] * 8)
    assert len(set(tokens)) == 1
    assert LockToken.objects.count() == 1
    # Whichever saved last: the session has the token, renews and unlocks.
    later = same_session(session)
    assert lock_for_session(article, later)["token"] == tokens[0]
    unlock_for_session(article, later)
    assert LockToken.objects.count() == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_requests_that_heal_a_void_token_together_share_the_new_lock(
    article, session
):
    void = with_void_token(article, session)
    session.save()

    def request():
        copy = same_session(session)
        token = lock_for_session(article, copy, force_new=True)["token"]
        copy.save()
        return token

    tokens = race(*[request] * 8)
    assert len(set(tokens)) == 1
    assert tokens[0] != void
    assert lock_for_session(article, same_session(session))["token"] == tokens[0]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_sessions_that_come_in_together_have_one_winner(article):
    article.is_locked()
    sessions = [new_session() for _ in range(8)]

    def request(session):
        try:
            return lock_for_session(article, session)["token"]
        except AlreadyLockedError:
            return None

    tokens = race(*[lambda session=session: request(session) for session in sessions])
    assert len([token for token in tokens if token]) == 1


@pytest.mark.parametrize("known_before", [False, True])
def test_a_request_that_overwrites_the_session_does_not_lock_its_owner_out(
    article, session, known_before
):
    if known_before:
        another = Article.objects.create()
        lock_for_session(another, session)
        session.save()
    slow = same_session(session)
    slow["cart"] = 1
    quick = same_session(session)
    token = lock_for_session(article, quick)["token"]
    quick.save()
    slow.save()
    after = same_session(session)
    assert get_session_token(article, after) is None
    assert lock_for_session(article, after)["token"] == token
    after.save()
    assert check_for_session(article, same_session(session))
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, new_session())


def test_an_overwriting_request_that_brings_back_a_released_token_is_healed(
    article, session
):
    token = lock_for_session(article, session)["token"]
    session.save()
    slow = same_session(session)
    slow["cart"] = 1
    quick = same_session(session)
    unlock_for_session(article, quick)
    quick.save()
    slow.save()
    after = same_session(session)
    with pytest.raises(InvalidToken):
        lock_for_session(article, after)
    healed = lock_for_session(article, after, force_new=True)["token"]
    assert healed != token
    assert article.check_lock(healed)


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
def test_logging_in_keeps_the_lock_s_owner(
    article, alice, settings, client, engine, tmp_path
):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    session = client.session
    token = lock_for_session(article, session)["token"]
    session.save()
    client.force_login(alice)
    after = client.session
    assert after.session_key != session.session_key
    assert lock_for_session(article, after)["token"] == token
    # Also when a request beside the login made the session forget the token.
    forget(article, after)
    assert lock_for_session(article, after)["token"] == token


def test_a_session_without_a_key_yet_can_lock_and_recovers(article):
    session = SessionBaseWithoutStore()
    assert session.session_key is None
    token = lock_for_session(article, session)["token"]
    assert lock_for_session(article, session)["token"] == token
    forget(article, session)
    assert lock_for_session(article, session)["token"] == token
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, SessionBaseWithoutStore())


class SessionBaseWithoutStore(SessionBase):
    """The session of a first request, as a store of the project's own has it."""

    def load(self):
        return {}


def test_a_new_session_of_the_database_can_lock(article):
    session = type(new_session())()
    assert session.session_key is None
    token = lock_for_session(article, session)["token"]
    session.save()
    assert session.session_key
    again = same_session(session)
    assert lock_for_session(article, again)["token"] == token
    forget(article, again)
    assert lock_for_session(article, again)["token"] == token


def test_garbage_instead_of_the_owner_s_secret_is_replaced(article, session):
    session["lock_tokens_owner"] = ["garbage"]
    token = lock_for_session(article, session)["token"]
    forget(article, session)
    assert lock_for_session(article, session)["token"] == token


def test_rotating_the_secret_key_locks_nobody_out(article, session, settings):
    token = lock_for_session(article, session)["token"]
    forget(article, session)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert lock_for_session(article, session)["token"] == token


def test_a_session_key_that_the_store_does_not_know_proves_nothing(article, session):
    token = lock_for_session(article, session)["token"]
    key = session.session_key
    session.save()
    session.delete()
    stranger = type(session)(key)
    assert stranger.get("anything") is None
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, stranger)
    assert article.check_lock(token)


def test_the_owner_s_secret_of_one_session_opens_no_other_s_lock(article, session):
    lock_for_session(article, session)
    stranger = new_session()
    lock_for_session(Article.objects.create(), stranger)
    assert stranger["lock_tokens_owner"] != session["lock_tokens_owner"]
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, stranger)


# Signed cookies: the session's key changes whenever it is saved


def test_signed_cookies_keep_the_lock_from_request_to_request(
    article, settings, cookies_engine, client
):
    tokens = []

    @locks_object(Article, of_url)
    def view(request, key):
        tokens.append(request.lock_token["token"])
        request.session["visits"] = request.session.get("visits", 0) + 1
        return HttpResponse()

    settings.ROOT_URLCONF = urls_of(view)
    cookies = set()
    for _ in range(3):
        assert client.get(f"/{article.pk}/").status_code == 200
        cookies.add(client.cookies["sessionid"].value)
    assert len(cookies) == 3
    assert len(tokens) == 3
    assert len(set(tokens)) == 1
    assert Client().get(f"/{article.pk}/").status_code == 403
    assert client.post("/logout/").status_code == 302
    assert LockToken.objects.count() == 0


def test_signed_cookies_share_the_lock_between_requests_side_by_side(article):
    session = SignedCookies()
    session["visits"] = 1
    session.save()
    one, two = SignedCookies(session.session_key), SignedCookies(session.session_key)
    token = lock_for_session(article, one)["token"]
    assert lock_for_session(article, two)["token"] == token
    one.save()
    two.save()
    for session in (one, two):
        again = SignedCookies(session.session_key)
        assert lock_for_session(article, again)["token"] == token


def test_signed_cookies_that_another_request_overwrites_keep_their_owner(article):
    session = SignedCookies()
    lock_for_session(Article.objects.create(), session)
    session.save()
    slow, quick = SignedCookies(session.session_key), SignedCookies(session.session_key)
    slow["cart"] = 1
    token = lock_for_session(article, quick)["token"]
    quick.save()
    slow.save()
    # The browser keeps the cookie that came last.
    after = SignedCookies(slow.session_key)
    assert get_session_token(article, after) is None
    assert lock_for_session(article, after)["token"] == token


def test_the_session_holds_nothing_that_json_cannot(article, alice):
    session = logged_in(alice)
    lock_for_session(article, session)
    session.save()
    again = same_session(session)
    assert dict(again.items()) == dict(session.items())
    assert again[BACKEND_SESSION_KEY]


@pytest.mark.django_db(databases=["default", "other"])
def test_objects_of_two_databases_are_two_objects_to_a_session(session):
    here = Article.objects.using("default").create(pk=77)
    there = Article.objects.using("other").create(pk=77)
    assert get_session_key(here) == "lock_tokens:tests.article:77"
    assert get_session_key(there) == "lock_tokens@other:tests.article:77"
    lock_for_session(here, session)
    lock_for_session(there, session)
    assert check_for_session(here, session)
    assert check_for_session(there, session)
    release_session_locks(session)
    assert not here.is_locked()
    assert not there.is_locked()


@pytest.mark.django_db
def test_a_database_that_fails_does_not_keep_anybody_from_logging_out(
    session, monkeypatch, caplog
):
    first, second = Article.objects.create(), Article.objects.create()
    lock_for_session(first, session)
    lock_for_session(second, session)
    session["lock_tokens@gone:tests.article:5"] = "0" * 32
    release = LockTokenManager.release

    def failing(self, lock_key, token):
        if lock_key.object_key == str(first.pk):
            raise OperationalError("database is locked")
        return release(self, lock_key, token)

    monkeypatch.setattr(LockTokenManager, "release", failing)
    release_session_locks(session)
    assert first.is_locked()
    assert not second.is_locked()
    assert not [key for key in list(session.keys()) if ":" in key]
    assert caplog.text.count("Could not release the lock of tests.article") == 2


@pytest.mark.django_db
def test_the_project_s_own_session_data_is_not_taken_for_a_token_of_0_2_5(session):
    label = Label.objects.create(name="items")
    session["tests_label_items"] = "0" * 32
    article = Article.objects.create()
    session[f"tests_article_{article.pk}"] = {"not": "a token"}
    for obj in (label, article):
        assert get_session_token(obj, session) is None
        lock_for_session(obj, session)
        unlock_for_session(obj, session)
    assert session["tests_label_items"] == "0" * 32
    assert session[f"tests_article_{article.pk}"] == {"not": "a token"}


@pytest.mark.django_db
def test_a_session_whose_user_is_null_has_no_holder(session):
    article = Article.objects.create()
    session[SESSION_KEY] = None
    lock_for_session(article, session)
    assert article.lock_info().locked_by is None
