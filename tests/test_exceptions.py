"""What the errors tell, and that they never tell the token."""

import pickle

import pytest

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    LockTokensError,
    NoLockWarning,
    UnlockForbiddenError,
)

ERRORS = [LockTokensError, AlreadyLockedError, InvalidToken, UnlockForbiddenError]


@pytest.mark.parametrize("error_class", ERRORS)
def test_an_error_carries_a_message_and_the_object_or_nothing(error_class):
    thing = object()
    error = error_class("Not now.", thing)
    assert str(error) == "Not now."
    assert error.obj is thing
    with pytest.raises(LockTokensError) as caught:
        raise error_class
    assert str(caught.value) == ""
    assert caught.value.obj is None


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


@pytest.mark.django_db
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


@pytest.mark.django_db
def test_errors_survive_the_way_from_one_process_to_another(article, alice):
    article.lock(user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is AlreadyLockedError
    assert str(error) == str(caught.value)
    assert (error.obj, error.locked_by) == (article, alice)
    assert error.expires_at == caught.value.expires_at
