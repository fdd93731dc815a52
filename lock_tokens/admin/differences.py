"""What has changed since a row was read."""

from __future__ import annotations

from collections.abc import Container

from django.db import models


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
