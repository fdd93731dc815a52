"""The errors that the JSON API answers."""

from __future__ import annotations

import logging
from typing import Any

from django.db import Error
from django.http import JsonResponse

from .. import settings
from ..exceptions import AlreadyLockedError
from ..locking.info import LockInfo, seconds_left, serialized
from ..locking.transactions import needs_mending

logger = logging.getLogger("lock_tokens")


class ApiError(Exception):
    """An error that ends a request: a status, a code for programs, and more.

    The body is ``{"error": code, "detail": a sentence in English, …}``. It never has a
    token. ``retry_after`` says after how many seconds another try may help.
    """

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.body = {"error": code, "detail": detail, **more}
        self.retry_after: int | None = None

    def with_status(self, status: int, **defaults: Any) -> ApiError:
        """Return this error with another status, and with the fields that it lacks."""
        fields = {**defaults, **self.body}
        error = ApiError(status, fields.pop("error"), fields.pop("detail"), **fields)
        error.retry_after = self.retry_after
        return error

    def response(self) -> JsonResponse:
        """Return the error as a response."""
        response = JsonResponse(self.body, status=self.status)
        if self.retry_after is not None:
            response["Retry-After"] = str(self.retry_after)
        return response


def bad_request(code: str, detail: str) -> ApiError:
    """Return the error for a request that is not valid."""
    return ApiError(400, code, detail)


def invalid_json() -> ApiError:
    """Return the error for a body that is not JSON."""
    return bad_request("invalid_json", "The body is not valid JSON.")


def unreadable() -> ApiError:
    """Return the error for a body that is too large, has too many fields, or broke off."""
    return bad_request("bad_request", "The server cannot read this request.")


def unsupported_media_type() -> ApiError:
    """Return the error for fields in another format than JSON."""
    return ApiError(415, "unsupported_media_type", "Send the fields as JSON.")


def not_found(detail: str) -> ApiError:
    """Return the error for an app, model or object that the API does not know."""
    return ApiError(404, "not_found", detail)


def not_locked() -> ApiError:
    """Return the error for an object that exists and has no lock."""
    return ApiError(404, "not_locked", "This object has no lock.")


def wrong_token(info: LockInfo | None) -> ApiError:
    """Return the error for a void token. ``info`` is about the present lock."""
    return ApiError(
        403,
        "wrong_token",
        "This is not the token of the object's lock.",
        **serialized(info),
    )


def renewed_since(lock: Any) -> ApiError:
    """Return the error for a lock whose expiry is not that of ``If-Match``.

    ``lock`` is a row that ``get_by_token()`` has read.
    """
    return ApiError(
        412,
        "renewed_since",
        "The lock has been renewed in the meantime.",
        expires_at=lock.serialize()["expires_at"],
        expires_in=seconds_left(lock),
    )


def locked(holder: AlreadyLockedError | LockInfo) -> ApiError:
    """Return the refusal to lock an object that somebody else has locked."""
    return ApiError(
        settings.API_LOCKED_STATUS,
        "locked",
        "This object is already locked.",
        **serialized(holder),
    )


def unavailable() -> ApiError:
    """Return the error for a database that does not answer now."""
    error = ApiError(
        503, "unavailable", "The locks are not available now. Try again in a moment."
    )
    error.retry_after = 2
    return error


def database_failed(error: Error) -> ApiError:
    """Return the error for an exception of the database, and log the exception.

    It is a 503 if another try may help, else a 500. The log says what to do.
    """
    if needs_mending(error):
        logger.exception(
            "The database cannot run a statement of lock_tokens. Did you run migrate?"
        )
        return ApiError(
            500,
            "server_error",
            "The locks do not work on this server. Its log says why.",
        )
    logger.exception("The database raised an error while it used a lock.")
    return unavailable()
