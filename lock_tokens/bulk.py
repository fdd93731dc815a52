"""Many locks at once: their state, and their removal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from django.db import connections, models, transaction

from .info import LockInfo
from .places import Place
from .statements.retrying import run

if TYPE_CHECKING:
    from .models import LockToken

KEYS_A_QUERY = 500


def infos_at(
    places: list[Place], live_locks: Callable[[str], models.QuerySet[LockToken]]
) -> list[LockInfo | None]:
    """Return what is known of the live lock at each place, ``None`` where it is free.

    ``live_locks`` gives the live locks of a database. One query for 500 places of one
    database, whatever their models.
    """
    infos: dict[Place, LockInfo] = {}
    for using in dict.fromkeys(place.using for place in places):
        here = [place for place in places if place.using == using]
        for start in range(0, len(here), KEYS_A_QUERY):
            batch = {
                (place.content_type.pk, place.key): place
                for place in here[start : start + KEYS_A_QUERY]
            }
            for lock in live_locks(using).filter(_at(batch)):
                key = lock.locked_object_content_type_id, lock.locked_object_id
                infos[batch[key]] = lock.info()
    return [infos.get(place) for place in places]


def _at(keys: dict[tuple[int, str], Place]) -> models.Q:
    by_type = defaultdict(list)
    for content_type_id, key in keys:
        by_type[content_type_id].append(key)
    condition = models.Q()
    for content_type_id, of_type in by_type.items():
        condition |= models.Q(
            locked_object_content_type_id=content_type_id, locked_object_id__in=of_type
        )
    return condition


def delete_in_batches(
    expired: models.QuerySet[LockToken], batch_size: int, time_limit: float | None
) -> int:
    """Delete the rows of a queryset that still belong to it, batch by batch.

    A row that somebody's transaction has is passed over where the database can. No
    batch is begun later than ``time_limit`` seconds from now. Returns how many were
    deleted.
    """
    using = expired.db
    features = connections[using].features
    rows = expired.order_by("pk").values_list("pk", flat=True)
    if features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)

    def delete_batch() -> tuple[int, int]:
        if connections[using].vendor == "sqlite":
            # One statement: a transaction that reads first could not become a writer.
            gone = expired.filter(pk__in=rows[:batch_size]).delete()[0]
            return gone, gone
        with transaction.atomic(using=using):
            batch = list(rows[:batch_size])
            return len(batch), expired.filter(pk__in=batch).delete()[0]

    deleted = 0
    started = monotonic()
    while time_limit is None or monotonic() - started < time_limit:
        found, gone = run(using, delete_batch)
        deleted += gone
        if found < batch_size:
            break
    return deleted
