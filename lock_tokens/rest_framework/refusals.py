"""What a view of REST framework answers without the lock that it needs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error
from rest_framework.exceptions import APIException, ErrorDetail

from ..api import errors
from ..api.errors import ApiError, unavailable
from ..api.operations import void_token
from ..locking.info import serialized
from ..locking.lock_key import LockKey
from ..locking.lock_token import LockToken

logger = logging.getLogger("lock_tokens")


class LockRefused(APIException):
    """A refusal of the lock, with the status and the body that our own API gives it.

    ``status_code``; ``detail``, a dict with at least ``error``, a code for programs, and
    ``detail``, a sentence in English. What is not known in it is ``None``.
    """

    def __init__(self, error: ApiError) -> None:
        self.status_code = error.status
        self.code = error.code
        # Not by way of the base class, which would make texts of what is None.
        self.detail: Any = {
            name: value if value is None else ErrorDetail(str(value), error.code)
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
    """Have a refusal of the block's, or a failure of the database in it, answered."""
    try:
        yield
    except ApiError as error:
        raise LockRefused(error) from error
    except Error as error:
        logger.exception("The database failed a lock.")
        raise LockRefused(unavailable()) from error


def locked(holder: Any) -> ApiError:
    """Another's lock stands. ``holder`` says who: a ``LockInfo``, or the refusal."""
    error = errors.locked(holder)
    error.status = 423
    return error


def void(lock_key: LockKey | None) -> ApiError:
    """The token is void; whose lock the object has now, if it has one."""
    error = void_token(lock_key) if lock_key else errors.not_locked()
    if error.code == "not_locked":
        error.body |= serialized(None)
    error.status = 412
    return error


def required(lock_key: LockKey | None) -> ApiError:
    """No token came where one is needed: a 423 under another's lock, else a 428."""
    info = LockToken.objects.info(lock_key) if lock_key else None
    if info is not None:
        return locked(info)
    return ApiError(
        428, "lock_required", "Lock the object first, and send the token with this."
    )
