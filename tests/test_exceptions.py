"""What the errors tell, and that they never tell the token."""

import pickle

import pytest
from django.contrib.auth.models import User

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    LockTokensError,
    NoLockWarning,
    UnlockForbiddenError,
)
from lock_tokens.models import LockToken
from tests.models import Article

ERRORS = [LockTokensError, AlreadyLockedError, InvalidToken, UnlockForbiddenError]


@pytest.fixture
def article(db):
    return Article.objects.create()


@pytest.mark.parametrize("error_class", ERRORS)
def test_an_error_carries_a_message_and_the_object(error_class):
    thing = object()
    error = error_class("Not now.", thing)
    assert str(error) == "Not now."
    assert error.obj is thing


@pytest.mark.parametrize("error_class", ERRORS)
def test_an_error_can_be_made_of_nothing(error_class):
    error = error_class()
    assert str(error) == ""
    assert error.obj is None


@pytest.mark.parametrize("error_class", ERRORS)
def test_one_base_class_catches_them_all(error_class):
    with pytest.raises(LockTokensError):
        raise error_class


@pytest.mark.parametrize("warning", [NoLockWarning, LockExpiredWarning])
def test_warnings_are_warnings_and_no_errors(warning):
    assert issubclass(warning, Warning)
    assert not issubclass(warning, LockTokensError)


def test_the_errors_are_told_apart():
    for one in ERRORS[1:]:
        for other in ERRORS[1:]:
            assert issubclass(one, other) == (one is other)


def test_already_locked_knows_nobody_unless_told():
    error = AlreadyLockedError("Locked.")
    assert (error.locked_by, error.locked_at, error.expires_at) == (None, None, None)


def test_already_locked_tells_the_holder_and_the_times(article):
    alice = User.objects.create(username="alice")
    token = article.lock(user=alice)["token"]
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    lock = LockToken.objects.get_for_object(article)
    assert caught.value.obj is article
    assert caught.value.locked_by == alice
    assert caught.value.locked_at == lock.locked_at
    assert caught.value.expires_at == lock.expires_at
    assert "alice" in str(caught.value)
    assert token not in repr(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize(
    ("operation", "error_class"),
    [
        (lambda article, void: article.lock(void), InvalidToken),
        (lambda article, void: article.unlock(void), UnlockForbiddenError),
    ],
    ids=["renew", "release"],
)
def test_a_void_token_s_error_carries_the_object_and_no_token(
    article, operation, error_class
):
    void = article.lock()["token"]
    article.unlock(void)
    current_token = article.lock()["token"]
    with pytest.raises(error_class) as caught:
        operation(article, void)
    assert caught.value.obj is article
    told = repr(caught.value) + repr(vars(caught.value))
    assert void not in told
    assert current_token not in told


def test_errors_survive_the_way_from_one_process_to_another(article):
    alice = User.objects.create(username="alice")
    article.lock(user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is AlreadyLockedError
    assert str(error) == str(caught.value)
    assert (error.obj, error.locked_by) == (article, alice)
    assert error.expires_at == caught.value.expires_at
