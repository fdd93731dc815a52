"""The operations through Django's ORM, for databases without a dialect here.

They take more statements than the dialects. The rules are the same: the insert on the
unique key decides, an expired row is deleted by a condition on the database's clock, and
the row count tells whether a renewal or a release succeeded.
"""

from __future__ import annotations

import datetime
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models.functions import Greatest

from ..fields import UTCDateTimeField, UTCNow
from .rows import Busy, CurrentToken, NewLock

# Everybody who takes over at the same moment may win once before us.
TAKE_OVERS = 200


def later(seconds: float) -> models.Func:
    """Return the time ``seconds`` from now, in SQL."""
    return SixDigits(UTCNow() + models.Value(datetime.timedelta(seconds=seconds)))


class SixDigits(models.Func):
    """A time as the column has it: on SQLite, text with all six digits."""

    template = "%(expressions)s"
    arity = 1
    output_field = UTCDateTimeField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', %(expressions)s)",
            **extra,
        )


class PortableStatements:
    looks_first = False

    def __init__(self, model: type[models.Model], alias: str) -> None:
        self.model = model
        self.alias = alias

    def waiting(self) -> AbstractContextManager[None]:
        """Do as the dialects' method does. This way knows of no such wait."""
        return nullcontext()

    def _row(self, content_type_id: int, key: str) -> models.QuerySet[Any]:
        return self.model._base_manager.using(self.alias).filter(
            locked_object_content_type_id=content_type_id, locked_object_id=key
        )

    def is_locked(self, content_type_id: int, key: str) -> bool:
        """Say whether the object has a live lock."""
        return self._row(content_type_id, key).filter(expires_at__gt=UTCNow()).exists()

    def current_token(self, content_type_id: int, key: str) -> CurrentToken | None:
        """Return the token of the lock, and whether it is live; ``None`` if free."""
        row = (
            self._row(content_type_id, key)
            .annotate(live=models.Q(expires_at__gt=UTCNow()))
            .values_list("token_str", "live")
            .first()
        )
        return CurrentToken(row[0], bool(row[1])) if row else None

    def live_lock(self, content_type_id: int, key: str) -> Any:
        """Return the live lock, ``None`` when there is none."""
        return self._row(content_type_id, key).filter(expires_at__gt=UTCNow()).first()

    def acquire(self, lock: NewLock) -> Any:
        """Lock a free object, or replace its expired lock; return the lock that it has.

        That is the new one, or another's live one. It is ``None`` when another's went
        away meanwhile.
        """
        made = self._insert(lock, lock.token)
        if made is None:
            row = self._row(lock.content_type_id, lock.key)
            replaced, _ = row.filter(expires_at__lte=UTCNow()).delete()
            made = self._insert(lock, lock.replacing_token if replaced else lock.token)
        return made or self.live_lock(lock.content_type_id, lock.key)

    def take_over(self, lock: NewLock) -> Any:
        """Lock the object, end the lock that it had, and return the new one.

        Raises ``Busy`` when others were faster each time.
        """
        for _attempt in range(TAKE_OVERS):
            with transaction.atomic(using=self.alias):
                self._row(lock.content_type_id, lock.key).delete()
                made = self._insert(lock, lock.token)
                if made:
                    return made
        raise Busy

    def _insert(self, lock: NewLock, token: str) -> Any:
        row = self._row(lock.content_type_id, lock.key)
        try:
            with transaction.atomic(using=self.alias):
                row.model(
                    created=UTCNow(),
                    token_str=token,
                    locked_object_content_type_id=lock.content_type_id,
                    locked_object_id=lock.key,
                    locked_at=UTCNow(),
                    expires_at=later(lock.seconds),
                    locked_by_id=lock.locked_by_id,
                ).save_base(using=self.alias, force_insert=True)
        except IntegrityError:
            return None
        return row.filter(token_str=token).first()

    def renew(
        self,
        content_type_id: int,
        key: str,
        token: str,
        seconds: float,
        extend: bool = False,
        expiring_at: datetime.datetime | None = None,
        user_id: Any = None,
    ) -> datetime.datetime | None:
        """Move the expiry to ``seconds`` from now and return it.

        With ``extend`` a later expiry is kept. Returns ``None`` when this is not the
        lock's token, when the expiry is no longer ``expiring_at``, and when a user other
        than ``user_id`` has the lock.
        """
        row = self._row(content_type_id, key).filter(token_str=token)
        expiry = later(seconds)
        due = row if expiring_at is None else row.filter(expires_at=expiring_at)
        if user_id is not None:
            due = due.filter(models.Q(locked_by=None) | models.Q(locked_by_id=user_id))
        if not due.update(
            expires_at=Greatest("expires_at", expiry) if extend else expiry
        ):
            return None
        return row.values_list("expires_at", flat=True).first()

    def release(self, content_type_id: int, key: str, token: str) -> bool:
        """Delete the lock that has this token; say whether there was one."""
        row = self._row(content_type_id, key).filter(token_str=token)
        return row.delete()[0] > 0

    def remove(self, content_type_id: int, key: str) -> bool:
        """Delete the object's lock, whoever holds it; say whether there was one."""
        return self._row(content_type_id, key).delete()[0] > 0
