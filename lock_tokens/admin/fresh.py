"""Rows as they are now, whatever the transaction has seen before."""

from __future__ import annotations

from collections.abc import Container
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


def differ(
    one: models.Model, other: models.Model, except_for: Container[str] = ()
) -> bool:
    """Say whether two readings of a row differ, but for the fields of these names.

    Columns that ``one`` was read without are not compared.
    """
    deferred = one.get_deferred_fields()
    return any(
        getattr(one, column.attname) != getattr(other, column.attname)
        for column in one._meta.concrete_fields
        if column.name not in except_for and column.attname not in deferred
    )
