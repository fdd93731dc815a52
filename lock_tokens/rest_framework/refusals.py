"""What a view of REST framework answers when it does not get the lock it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error
from rest_framework.exceptions import APIException, ErrorDetail

from ..api.errors import ApiError, database_failed, locked, not_locked
from ..api.operations import void_token
from ..exceptions import AlreadyLockedError
from ..locking.info import LockInfo, serialized
from ..locking.lock_key import LockKey
from ..locking.lock_token import LockToken


class LockRefused(APIException):
    """A request was refused because of a lock.

    It has a ``status_code`` and a ``detail``. The latter is the body of the answer: a
    dict with at least ``error``, a code for programs, and ``detail``, a sentence in
    English. Values that are not known are ``None``.
    """

    def __init__(self, error: ApiError) -> None:
        self.status_code = error.status
        self.code = error.code
        # The base class is not called: it would turn each None into text.
        self.detail: Any = {
            name: ErrorDetail(value, error.code) if isinstance(value, str) else value
            for name, value in error.body.items()
        }
        if error.retry_after is not None:
            self.wait = error.retry_after  # becomes Retry-After

    def __str__(self) -> str:
        return str(self.detail["detail"])

    def get_codes(self) -> str:
        """Return the code."""
        return self.code

    def get_full_details(self) -> dict[str, Any]:
        """Return the sentence and the code."""
        return {"message": self.detail["detail"], "code": self.code}


@contextmanager
def refusals() -> Iterator[None]:
    """Raise ``LockRefused`` for an ``ApiError`` and for a failure of the database."""
    try:
        yield
    except ApiError as error:
        raise LockRefused(error) from error
    except Error as error:
        raise LockRefused(database_failed(error)) from error


def refused_by_lock(holder: AlreadyLockedError | LockInfo) -> ApiError:
    """Return the error for a write to an object that somebody else has locked: a 423."""
    return locked(holder).with_status(423)


def refused_void_token(lock_key: LockKey | None) -> ApiError:
    """Return the error for a write with a void token: a 412 that names the holder."""
    error = void_token(lock_key) if lock_key else not_locked()
    return error.with_status(412, **serialized(None))


def refused_without_token(lock_key: LockKey | None) -> ApiError:
    """Return the error for a write without the token it needs: a 423, else a 428."""
    info = LockToken.objects.info(lock_key) if lock_key else None
    if info is not None:
        return refused_by_lock(info)
    return ApiError(
        428,
        "lock_required",
        "Lock the object first, then send the token with this request.",
    )
