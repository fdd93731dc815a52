"""What the JSON API does and answers. REST framework's views use it too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import models
from django.http import HttpRequest

from ..exceptions import (
    AlreadyLockedError,
    InvalidToken,
    RenewedSinceError,
    UnlockForbiddenError,
)
from ..locking.fields import to_utc
from ..locking.info import LockInfo, seconds_left, serialized, token_dict
from ..locking.lock_key import LockKey
from ..locking.lock_token import LockToken
from ..locking.tokens import FORMER_OWNER_KEY, OWNER_KEY
from .errors import ApiError, locked, not_locked, renewed_since, wrong_token
from .requests import get_owner, known_expiries, latest_expiry, matches_if_none_match


class Answer(NamedTuple):
    """A status, a body for JSON (``None`` for none), and headers."""

    status: int
    body: dict[str, Any] | None
    headers: dict[str, str]


def get_state(request: HttpRequest, obj: models.Model) -> Answer:
    """Say whether the object is locked, by whom, since when and until when."""
    return state_answer(request, public_state(LockToken.objects.info(obj)))


def acquire(
    request: HttpRequest, obj: models.Model, timeout: float, user: Any
) -> Answer:
    """Lock the object: 201 and the token dict.

    ``timeout`` is in seconds. ``user`` becomes the holder, if it is a user. Raises an
    ``ApiError`` when somebody else has locked the object, and for a bad
    ``Idempotency-Key``.
    """
    user = user_or_none(user)
    owner = get_owner(request, user)
    locks = LockToken.objects
    # Renew even an expired lock: a new one would make the token of other pages void.
    lock = None
    for known in (owner, *session_owners(request)):
        if known and lock is None:
            lock = locks.renew_owned(obj, known, timeout=timeout, user=user)
    if lock is None:
        try:
            lock, is_new = locks.get_or_acquire(
                obj, timeout=timeout, user=user, owner=owner
            )
        except AlreadyLockedError as error:
            raise locked(error) from error
        if is_new:
            return token_answer(lock.serialize(), timeout, status=201)
        with refused_if_void(obj):  # another request of this client was faster
            lock = locks.get_by_token(obj, lock.token_str)
    answer = held_answer(lock, status=201)
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


def session_owners(request: HttpRequest) -> list[str]:
    """Return the secrets by which the locks of the request's session are known.

    With them, a script gets the lock that a view has acquired for the script's page,
    also before the last login.
    """
    session = getattr(request, "session", {})
    owners = [session.get(key) for key in (OWNER_KEY, FORMER_OWNER_KEY)]
    return [owner for owner in owners if isinstance(owner, str)]


def user_or_none(user: Any) -> Any:
    """Return ``user`` if it is one. Only a user can hold a lock."""
    return user if isinstance(user, get_user_model()) else None


def get_by_token(obj: models.Model, token: str) -> Answer:
    """Answer the token dict, even when the lock has expired.

    Raises an ``ApiError`` for a void token.
    """
    with refused_if_void(obj):
        return held_answer(LockToken.objects.get_by_token(obj, token))


def renew(
    request: HttpRequest, obj: models.Model, token: str, timeout: float
) -> Answer:
    """Renew the lock, unless ``If-Match`` or ``If-Unmodified-Since`` forbids it.

    Raises an ``ApiError`` for a void token, and when the lock was renewed meanwhile.
    """
    with refused_if_void(obj):
        expires_at = _new_expiry(request, obj, token, timeout)
    return token_answer(token_dict(token, expires_at), timeout)


def release(obj: models.Model, token: str) -> Answer:
    """Release the lock: 204. Raises an ``ApiError`` for a void token."""
    with refused_if_void(obj):
        LockToken.objects.release(obj, token)
    return Answer(204, None, {})


def _new_expiry(
    request: HttpRequest, obj: models.Model, token: str, timeout: float
) -> datetime:
    """Renew the lock, as the request's conditions allow, and return its new expiry."""
    locks = LockToken.objects
    known = known_expiries(request)
    latest = latest_expiry(request)
    if latest is not None:
        expires_at = to_utc(locks.get_by_token(obj, token).expires_at)
        known = [expires_at] if expires_at <= latest else []
    if known is None:
        return locks.renew(obj, token, timeout=timeout)
    for expiry in known:
        with suppress(RenewedSinceError):
            return locks.renew(obj, token, timeout=timeout, expiring_at=expiry)
    raise renewed_since(locks.get_by_token(obj, token))


def public_state(info: LockInfo | None) -> dict[str, Any]:
    """Return what anybody may know about an object's lock."""
    return {"locked": info is not None, **serialized(info)}


def state_answer(request: HttpRequest, body: dict[str, Any]) -> Answer:
    """Answer with the state, or with a 304 when the request has its ETag."""
    content = json.dumps(body).encode()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if matches_if_none_match(request, etag):
        return Answer(304, None, {"ETag": etag})
    return Answer(200, body, {"ETag": etag})


def held_answer(lock: Any, status: int = 200) -> Answer:
    """Answer with the token dict of a row that ``get_by_token()`` has read."""
    return token_answer(lock.serialize(), seconds_left(lock), status)


def token_answer(held: dict[str, str], expires_in: float, status: int = 200) -> Answer:
    """Answer with the token dict, and with the seconds until its expiry.

    The seconds are by the database's clock, which decides about locks. No other clock
    needs to agree with it. They are negative when the lock has expired. The ETag is the
    expiry, for ``If-Match``.
    """
    body = {**held, "expires_in": expires_in}
    return Answer(status, body, {"ETag": f'"{held["expires_at"]}"'})


@contextmanager
def refused_if_void(obj: models.Model) -> Iterator[None]:
    """Refuse a void token: 404 when there is no lock, 403 when there is another."""
    try:
        yield
    except (InvalidToken, UnlockForbiddenError, LockToken.DoesNotExist) as error:
        raise void_token(obj) from error


def void_token(obj: models.Model | LockKey) -> ApiError:
    """Return the error for a void token: the object has no lock, or another one."""
    if LockToken.objects.current_token(obj) is None:
        return not_locked()
    return wrong_token(LockToken.objects.info(obj))
