"""The keys and the tokens that lie in a session."""

import uuid

import pytest

from lock_tokens.exceptions import InvalidToken, UnlockForbiddenError
from lock_tokens.models import LockToken
from lock_tokens.sessions import (
    check_for_session,
    forget,
    get_session_key,
    get_session_token,
    infos_of_others,
    lock_for_session,
    release_session_locks,
    remember,
    take_over_for_session,
    unlock_for_session,
)
from tests.models import Article, Day, Draft, Label, Page, Plain
from tests.support.helpers import same_session
from tests.support.objects import LOCKABLE, UNLOCKABLE

pytestmark = pytest.mark.django_db

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


def unread(model, key):
    """Return the object as if it had been read with the key in this spelling."""
    obj = model(pk=key)
    obj._state.adding = False
    return obj


@pytest.mark.parametrize(
    "make",
    [
        *LOCKABLE.values(),
        *[lambda key=key: Label.objects.create(name=key) for key in STRANGE_KEYS],
    ],
)
def test_keys_of_any_kind_and_characters(session, make):
    obj = make()
    token = lock_for_session(obj, session)["token"]
    session.save()
    again = same_session(session)
    assert lock_for_session(obj, again)["token"] == token
    assert check_for_session(obj, again)
    release_session_locks(again)
    assert LockToken.objects.count() == 0
    assert get_session_token(obj, again) is None


def test_no_two_objects_have_one_session_key():
    uuid_text = "5f0c1f39-6b3b-4c12-9d0e-0a4d4b7d1a11"
    texts = [*STRANGE_KEYS, "A:b", "a:B", "1", uuid_text]
    objects = [unread(Label, key) for key in texts]
    objects += [unread(model, 1) for model in (Article, Plain, Draft)]
    objects += [unread(Article, 11), unread(Day, "2024-02-29")]
    objects += [unread(Page, uuid.UUID(uuid_text))]
    keys = [get_session_key(obj) for obj in objects]
    assert len(set(keys)) == len(keys)


def test_a_key_in_another_spelling_finds_the_token(article, session):
    page = Page.objects.create()
    for obj, spelling in ((page, page.pk.hex.upper()), (article, str(article.pk))):
        token = lock_for_session(obj, session)["token"]
        spelled = unread(type(obj), spelling)
        assert get_session_key(spelled) == get_session_key(obj)
        assert lock_for_session(spelled, session)["token"] == token


@pytest.mark.parametrize("kind", UNLOCKABLE)
def test_what_cannot_be_locked_is_a_value_error(session, kind):
    obj = UNLOCKABLE[kind]()
    for ask in (
        lambda: get_session_key(obj),
        lambda: get_session_token(obj, session),
        lambda: lock_for_session(obj, session),
        lambda: take_over_for_session(obj, session),
        lambda: infos_of_others([obj], session),
        lambda: unlock_for_session(obj, session),
        lambda: check_for_session(obj, session),
        lambda: remember(obj, session, "token"),
        lambda: forget(obj, session),
    ):
        with pytest.raises(
            ValueError, match=r"cannot be locked|A lock accepts at most"
        ):
            ask()
    assert LockToken.objects.count() == 0


@pytest.mark.django_db(databases=["default", "other"])
def test_objects_of_two_databases_are_two_objects_to_a_session(session):
    here = Article.objects.using("default").create(pk=77)
    there = Article.objects.using("other").create(pk=77)
    assert get_session_key(here) == "lock_tokens:tests.article:77"
    assert get_session_key(there) == "lock_tokens@other:tests.article:77"
    for article in (here, there):
        lock_for_session(article, session)
    assert check_for_session(here, session)
    assert check_for_session(there, session)
    release_session_locks(session)
    assert not here.is_locked()
    assert not there.is_locked()


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


@pytest.mark.parametrize("garbage", [None, 5, ["a"], {"token": "a"}, True, ""])
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


def test_a_token_of_0_2_5_holds_renews_and_moves_to_the_new_key(article, published):
    session, token = published
    assert get_session_token(article, session) == token
    assert check_for_session(article, session)
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


def test_the_project_s_own_session_data_is_not_taken_for_a_token_of_0_2_5(
    article, session
):
    label = Label.objects.create(name="items")
    session["tests_label_items"] = "0" * 32
    session[f"tests_article_{article.pk}"] = {"not": "a token"}
    for obj in (label, article):
        assert get_session_token(obj, session) is None
        lock_for_session(obj, session)
        unlock_for_session(obj, session)
    assert session["tests_label_items"] == "0" * 32
    assert session[f"tests_article_{article.pk}"] == {"not": "a token"}
