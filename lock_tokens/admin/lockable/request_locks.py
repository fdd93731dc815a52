"""The locks of many objects, which one request acquires and releases."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.locking.info import display_name, listed
from lock_tokens.locking.lock_key import LockKey
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.locking.transactions import current_rows
from lock_tokens.sessions import forget, get_session_token, infos_of_others
from lock_tokens.web.differences import differ
from lock_tokens.web.lock_page import since

logger = logging.getLogger("lock_tokens")


class RequestLocks:
    """The locks of many objects, to be released together.

    ``skipped`` has the objects that somebody else is editing, each with the holder.
    ``written`` says whether the objects may have changed. If so, the locks that the
    session had before are released too, because its pages show the old text.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.session = session_of(request)
        self.user = getattr(request, "user", None)
        self.skipped: dict[models.Model, Any] = {}
        self.written = False
        self._acquired: dict[LockKey, str] = {}
        self._own: dict[LockKey, str] = {}  # which the session had before

    def acquire(self, objects: Sequence[models.Model], timeout: float | None) -> None:
        """Lock what is free or the session's own, and note the rest in ``skipped``."""
        objects = [
            obj
            for obj in objects
            if LockToken.objects.can_be_locked(obj) and not self.has(obj)
        ]
        infos = infos_of_others(objects, self.session, user=self.user)
        others = zip(objects, infos, strict=True)
        self.skipped |= {obj: info for obj, info in others if info is not None}
        free = {
            LockToken.objects.key_of(obj): obj
            for obj in objects
            if obj not in self.skipped
        }
        # In one order for all, so that two transactions never wait for each other.
        for lock_key in sorted(free, key=lambda each: each.order):
            obj = free[lock_key]
            try:
                self._acquire(obj, lock_key, timeout)
            except AlreadyLockedError as error:
                self.skipped[obj] = error

    def skip_changed(self, objects: Sequence[models.Model]) -> None:
        """Skip what has changed since it was read, where it cannot be read again.

        That is inside a transaction, which may go on showing what it saw first.
        """
        for obj in objects:
            if not connections[obj._state.db or DEFAULT_DB_ALIAS].in_atomic_block:
                return
            current = current_rows(type(obj)._base_manager.using(obj._state.db))
            now = current.filter(pk=obj.pk).first()
            if now is None or differ(obj, now):
                self.skipped.setdefault(obj, AlreadyLockedError(obj=obj))

    def has(self, obj: models.Model) -> bool:
        """Say whether the lock of the object is one of these."""
        lock_key = LockToken.objects.key_of(obj)
        return lock_key in self._acquired or lock_key in self._own

    def _acquire(
        self, obj: models.Model, lock_key: LockKey, timeout: float | None
    ) -> None:
        locks = LockToken.objects
        token = get_session_token(obj, self.session)
        if token is not None:
            with suppress(InvalidToken):
                locks.renew(obj, token, timeout=timeout, extend=True, user=self.user)
                self._own[lock_key] = token
                return
        lock = locks.acquire(obj, timeout=timeout, user=self.user)
        self._acquired[lock_key] = lock.token_str

    def release(self) -> None:
        """Release what was acquired; after a write, the locks from before too."""
        ended = self._acquired | (self._own if self.written else {})
        for lock_key, token in ended.items():
            if connections[lock_key.using].needs_rollback:
                continue  # the rollback ends the lock too
            try:
                LockToken.objects.release(lock_key, token)
            except UnlockForbiddenError:
                continue  # deleted with its object
            except DatabaseError:
                # Do not hide an error of the action. The lock will expire.
                logger.warning(
                    "Could not release the lock of %s.", lock_key, exc_info=True
                )
        if self.written:
            for lock_key in self._own:
                forget(lock_key, self.session)


@contextmanager
def request_locks(request: HttpRequest) -> Iterator[RequestLocks]:
    """Give the :class:`RequestLocks` of the request; its locks end with the block."""
    locks = RequestLocks(request)
    request._request_locks = locks  # type: ignore[attr-defined]
    try:
        yield locks
    finally:
        locks.release()


def session_of(request: HttpRequest) -> Any:
    """Return the session; an empty dict if the request has none.

    A test or a script may call a ModelAdmin's methods with such a request.
    """
    return getattr(request, "session", {})


def has_request_lock(request: HttpRequest, obj: models.Model) -> bool:
    """Say whether the lock of the object is one that ends with the request."""
    locks = getattr(request, "_request_locks", None)
    return locks is not None and locks.has(obj)


def note_write(request: HttpRequest) -> None:
    """Note that an object was saved under the locks that end with the request."""
    locks = getattr(request, "_request_locks", None)
    if locks is not None:
        locks.written = True


def described(obj: models.Model, holder: Any) -> str:
    """Say who is editing the object. ``holder`` is a ``LockInfo`` or an error."""
    values = {
        "object": str(obj),
        "name": display_name(holder.locked_by),
        "time": since(holder.locked_at) if holder.locked_at else "",
    }
    if values["name"] and values["time"]:
        return _("“%(object)s” (%(name)s has been editing it since %(time)s)") % values
    return _("“%(object)s” (somebody else is editing it)") % values


def changed_meanwhile(obj: models.Model) -> str:
    """Say that the object has changed since a page showed it."""
    return _("“%(object)s” (somebody else changed it after you opened this page)") % {
        "object": obj
    }


def named_briefly(obj: models.Model, holder: Any) -> str:
    """Name the object, and the user who is editing it if known."""
    name = display_name(holder.locked_by)
    if not name or not holder.locked_at:
        return _("“%(object)s”") % {"object": obj}
    return _("“%(object)s” (%(name)s, since %(time)s)") % {
        "object": obj,
        "name": name,
        "time": since(holder.locked_at),
    }


def skipped_message(skipped: dict[models.Model, Any]) -> str:
    """Say what was skipped, and why."""
    named = listed([named_briefly(*pair) for pair in skipped.items()])
    return ngettext(
        "This was skipped because somebody else is editing it: %(named)s.",
        "These were skipped because other people are editing them: %(named)s.",
        len(skipped),
    ) % {"named": named}
