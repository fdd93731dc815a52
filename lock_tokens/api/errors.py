"""What the JSON API answers when it cannot do what it was asked."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse

from .. import settings
from ..exceptions import AlreadyLockedError
from ..locking.info import LockInfo, serialized


class ApiError(Exception):
    """An answer that ends a request: a status, a code for programs, and more.

    The body is ``{"error": code, "detail": a sentence in English, …}``. It never has a
    token. ``retry_after`` says in how many seconds to try again, if that may help.
    """

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.body = {"error": code, "detail": detail, **more}
        self.retry_after: int | None = None

    def response(self) -> JsonResponse:
        """Return the answer."""
        response = JsonResponse(self.body, status=self.status)
        if self.retry_after is not None:
            response["Retry-After"] = str(self.retry_after)
        return response


def bad_request(code: str, detail: str) -> ApiError:
    """A request that makes no sense."""
    return ApiError(400, code, detail)


def not_found(detail: str) -> ApiError:
    """No such app, model or object, or none that this API knows."""
    return ApiError(404, "not_found", detail)


def not_locked() -> ApiError:
    """The object is there, and no lock on it."""
    return ApiError(404, "not_locked", "This object has no lock.")


def wrong_token(info: LockInfo | None) -> ApiError:
    """A void token; ``info`` is about whoever locks the object now."""
    return ApiError(
        403, "wrong_token", "This token does not lock the object.", **serialized(info)
    )


def renewed_since(info: LockInfo) -> ApiError:
    """The lock has not the expiry of ``If-Match`` but another, which is told."""
    expires_at = info.serialize()["expires_at"]
    return ApiError(
        412, "renewed_since", "The lock was renewed since.", expires_at=expires_at
    )


def locked(holder: AlreadyLockedError | LockInfo) -> ApiError:
    """A refusal to lock what another has locked, with what may be told about it."""
    return ApiError(
        settings.API_LOCKED_STATUS,
        "locked",
        "Another lock stands on this object.",
        **serialized(holder),
    )


def unavailable() -> ApiError:
    """The database failed."""
    error = ApiError(503, "unavailable", "Try again in a moment.")
    error.retry_after = 2
    return error
