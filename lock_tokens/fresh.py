"""Rows as they are now, whatever the transaction has seen before."""

from __future__ import annotations

from typing import TypeVar

from django.db import connections, models

M = TypeVar("M", bound=models.Model)


def as_now(objects: models.QuerySet[M]) -> models.QuerySet[M]:
    """Have rows read as they are now, also in a transaction that has read them before.

    Which could be shown what it saw then (ATOMIC_REQUESTS, under REPEATABLE READ).
    """
    connection = connections[objects.db]
    if connection.in_atomic_block and connection.features.has_select_for_update:
        own = ("self",) if connection.features.has_select_for_update_of else ()
        return objects.select_for_update(of=own)
    return objects


def read_again(obj: models.Model) -> None:
    """Read the object as it is now. Raises ``DoesNotExist`` when it is gone."""
    objects = type(obj)._base_manager.using(obj._state.db)
    obj.refresh_from_db(from_queryset=as_now(objects))


def may_show_the_past(using: str) -> bool:
    """Say whether the open transaction reads what was, and lets that be written over.

    MariaDB and MySQL do, but for READ COMMITTED. PostgreSQL undoes such a transaction.
    """
    connection = connections[using]
    return (
        connection.in_atomic_block
        and connection.vendor == "mysql"
        and getattr(connection, "isolation_level", None) != "read committed"
    )
