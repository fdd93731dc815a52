"""What there is to know about locks: who holds one, until when, by which token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import models, router

from .bulk import infos_at
from .exceptions import AlreadyLockedError, InvalidToken
from .fields import UTCNow
from .info import LockInfo
from .places import Place, PlacingManager
from .statements import for_database
from .statements.retrying import run
from .statements.rows import Standing

if TYPE_CHECKING:
    from .models import LockToken


class AskingManager(PlacingManager):
    """The part of ``LockToken.objects`` that changes nothing."""

    def standing(self, obj: models.Model | Place) -> Standing | None:
        """Return the token that stands on the object, and whether it is live.

        ``None`` when there is no lock at all.
        """
        place = self.place_of(obj)
        statements = for_database(place.using)
        return run(
            place.using, lambda: statements.standing(place.content_type.pk, place.key)
        )

    def is_locked(self, obj: models.Model | Place) -> bool:
        """Say whether a live lock stands on the object."""
        place = self.place_of(obj)
        statements = for_database(place.using)
        return run(
            place.using, lambda: statements.is_locked(place.content_type.pk, place.key)
        )

    def info(self, obj: models.Model | Place) -> LockInfo | None:
        """Return who locks the object, since when and until when; ``None`` if free."""
        lock = self._live_lock(self.place_of(obj))
        return lock.info() if lock else None

    def infos(self, objects: Iterable[models.Model]) -> list[LockInfo | None]:
        """Return :meth:`info` of many objects, in their order.

        One query for 500 objects of one database, whatever their models.
        """
        return infos_at([self.place_of(obj) for obj in objects], self._live)

    @staticmethod
    def live() -> models.Q:
        """Return the condition of a live lock, by the database's clock.

        For a queryset of locks: to filter it, or as an annotation.
        """
        return models.Q(expires_at__gt=UTCNow())

    def get_for_object(
        self, obj: models.Model | Place, allow_expired: bool = True
    ) -> LockToken:
        """Return the row of the object's lock.

        Raises ``LockToken.DoesNotExist`` when there is none, and with
        ``allow_expired=False`` also when it has expired.
        """
        place = self.place_of(obj)
        locks = self.using(place.using) if allow_expired else self._live(place.using)
        return locks.get(**self._at(place))

    def get_held(self, obj: models.Model | Place, token: str) -> LockToken:
        """Return the row of the object's lock, also an expired one, to its holder.

        Raises ``InvalidToken`` when the token is void, and ``LockToken.DoesNotExist``
        when the object has no lock at all.
        """
        lock = self.get_for_object(obj)
        if not Standing(lock.token_str, live=True).has(token):
            raise InvalidToken(f"This token does not lock {lock}.", instance_of(obj))
        return lock

    async def ainfos(self, objects: Iterable[models.Model]) -> list[LockInfo | None]:
        """:meth:`infos`, awaitable."""
        return await sync_to_async(self.infos)(objects)

    def refusal(self, obj: models.Model | Place) -> AlreadyLockedError:
        """Return the error that says who locks the object, to be raised."""
        place = self.place_of(obj)
        return self._refusal(place, obj, self._live_lock(place))

    def _refusal(
        self, place: Place, obj: models.Model | Place, holder: LockToken | None
    ) -> AlreadyLockedError:
        if holder is None:
            message = f"{place} is being locked by somebody else."
            return AlreadyLockedError(message, instance_of(obj))
        info = holder.info()
        return AlreadyLockedError(
            f"{place} is locked by {info.locked_by or 'somebody else'}"
            f" until {info.expires_at}.",
            instance_of(obj),
            info.locked_by,
            info.locked_at,
            info.expires_at,
        )

    def _live(self, using: str) -> models.QuerySet[LockToken]:
        locks = self.using(using).filter(self.live())
        if router.db_for_read(get_user_model()) == using:
            return locks.select_related("locked_by")
        return locks

    def _live_lock(self, place: Place) -> LockToken | None:
        statements = for_database(place.using)
        return run(
            place.using, lambda: statements.live_lock(place.content_type.pk, place.key)
        )

    def _at(self, place: Place) -> dict[str, Any]:
        return {
            "locked_object_content_type_id": place.content_type.pk,
            "locked_object_id": place.key,
        }


def instance_of(obj: models.Model | Place) -> models.Model | None:
    """Return the object itself, if it is at hand."""
    return None if isinstance(obj, Place) else obj
