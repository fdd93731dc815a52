"""Many objects at once: those that nobody else edits are held while they are changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.info import display_name
from lock_tokens.models import LockToken
from lock_tokens.places import Place
from lock_tokens.sessions import forget, get_session_token, infos_of_others

from ..fresh import as_now
from .differences import differ

MAX_NAMED = 10
logger = logging.getLogger("lock_tokens")


class Held:
    """The locks of many objects, to be given up together.

    ``left_out`` has what somebody else edits, with who that is. ``written`` says
    whether the objects may have changed: then also the locks that the session had
    before are given up, for its pages show what was there before.
    """

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.left_out: dict[models.Model, Any] = {}
        self.written = False
        self._acquired: dict[Place, str] = {}
        self._own: dict[Place, str] = {}  # which the session had before

    def acquire(
        self, objects: Sequence[models.Model], timeout: float | None, user: Any
    ) -> None:
        """Hold what is free or the session's own; note the rest in ``left_out``."""
        objects = [obj for obj in objects if LockToken.objects.can_be_locked(obj)]
        infos = infos_of_others(objects, self.session)
        for obj, info in zip(objects, infos, strict=True):
            try:
                if info is not None:
                    self.left_out[obj] = info
                else:
                    self._acquire(obj, timeout, user)
            except AlreadyLockedError as error:
                self.left_out[obj] = error

    def leave_out_changed(self, objects: Sequence[models.Model]) -> None:
        """Leave out what is no longer as it was read, where it cannot be read again.

        That is in a transaction that goes on being shown what it saw first.
        """
        for obj in objects:
            if not connections[obj._state.db or DEFAULT_DB_ALIAS].in_atomic_block:
                return
            current = as_now(type(obj)._base_manager.using(obj._state.db))
            now = current.filter(pk=obj.pk).first()
            if now is None or differ(obj, now):
                self.left_out.setdefault(obj, AlreadyLockedError(obj=obj))

    def has(self, obj: models.Model) -> bool:
        """Say whether the object is held here."""
        place = LockToken.objects.place_of(obj)
        return place in self._acquired or place in self._own

    def _acquire(self, obj: models.Model, timeout: float | None, user: Any) -> None:
        locks = LockToken.objects
        place = locks.place_of(obj)
        token = get_session_token(obj, self.session)
        if token is not None:
            with suppress(InvalidToken):
                locks.renew(obj, token, timeout=timeout, extend=True)
                self._own[place] = token
                return
        lock = locks.acquire(obj, timeout=timeout, user=user)
        self._acquired[place] = lock.token_str

    def release(self) -> None:
        """Give up what was acquired, and if anything was written what was there too."""
        ended = self._acquired | (self._own if self.written else {})
        for place, token in ended.items():
            if connections[place.using].needs_rollback:
                continue  # so is the lock
            try:
                LockToken.objects.release(place, token)
            except UnlockForbiddenError:
                continue  # deleted with its object
            except DatabaseError:
                # Not in the place of an error of the action. The lock will expire.
                logger.warning(
                    "Could not release the lock of %s.", place, exc_info=True
                )
        if self.written:
            for place in self._own:
                forget(place, self.session)


@contextmanager
def held(request: HttpRequest) -> Iterator[Held]:
    """Give a :class:`Held` of the request, whose locks end with the block."""
    locks = Held(request.session)
    request._held = locks  # type: ignore[attr-defined]
    try:
        yield locks
    finally:
        locks.release()


def holds(request: HttpRequest, obj: models.Model) -> bool:
    """Say whether the request itself has the lock of the object, for as long as it runs."""
    locks = getattr(request, "_held", None)
    return locks is not None and locks.has(obj)


def someone(lock: Any) -> str:
    """Return how to call the holder of a lock within a sentence."""
    return display_name(lock.locked_by) or _("somebody")


def described(obj: models.Model, holder: Any) -> str:
    """Say who is editing the object. ``holder`` is a ``LockInfo`` or the refusal."""
    values = {
        "object": str(obj),
        "name": display_name(holder.locked_by),
        "time": since(holder.locked_at) if holder.locked_at else "",
    }
    if values["name"] and values["time"]:
        return _("“%(object)s” (%(name)s has been editing it since %(time)s)") % values
    return _("“%(object)s” (somebody else is editing it)") % values


def named_briefly(obj: models.Model, holder: Any) -> str:
    """Name the object, and who is editing it where that is known."""
    name = display_name(holder.locked_by)
    if not name or not holder.locked_at:
        return _("“%(object)s”") % {"object": obj}
    return _("“%(object)s” (%(name)s, since %(time)s)") % {
        "object": obj,
        "name": name,
        "time": since(holder.locked_at),
    }


def since(moment: datetime) -> str:
    """Return the time of a moment, and its date too unless that is today."""
    if timezone.is_aware(moment):
        moment, today = timezone.localtime(moment), timezone.localdate()
    else:
        today = date.today()
    if moment.date() == today:
        return str(formats.time_format(moment, "TIME_FORMAT"))
    return str(formats.date_format(moment, "SHORT_DATETIME_FORMAT"))


def left_out_message(left_out: Iterable[tuple[models.Model, Any]]) -> str:
    """Say what was left out, and why."""
    all_left_out = list(left_out)
    named = ", ".join(named_briefly(*pair) for pair in all_left_out[:MAX_NAMED])
    more = len(all_left_out) - MAX_NAMED
    if more > 0:
        named = ngettext(
            "%(named)s and %(count)d more", "%(named)s and %(count)d more", more
        ) % {"named": named, "count": more}
    return ngettext(
        "Left out, because somebody else is editing it: %(named)s.",
        "Left out, because others are editing them: %(named)s.",
        len(all_left_out),
    ) % {"named": named}
