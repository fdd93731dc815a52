"""Columns of a row as an instance of their model, read as the ORM reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

M = TypeVar("M", bound=models.Model)


class RowReader(Generic[M]):
    """Knows a model's columns and their converters, once for a database."""

    def __init__(self, model: type[M], connection: BaseDatabaseWrapper) -> None:
        self.model = model
        table = model._meta.db_table
        columns = [field.get_col(table) for field in model._meta.concrete_fields]
        self.names = [field.attname for field in model._meta.concrete_fields]
        quote = connection.ops.quote_name
        #: The columns to select, in the order that :meth:`read` takes their values in.
        self.select = ", ".join(
            f"{quote(table)}.{quote(str(column.target.column))}" for column in columns
        )
        converters = (
            (
                index,
                connection.ops.get_db_converters(column)
                + column.get_db_converters(connection),
                column,
            )
            for index, column in enumerate(columns)
        )
        self.converters = [each for each in converters if each[1]]

    def read(self, values: Sequence[Any], connection: BaseDatabaseWrapper) -> M:
        """Return the instance with these values of the columns."""
        converted = list(values)
        for index, functions, column in self.converters:
            for function in functions:
                converted[index] = function(converted[index], column, connection)
        return self.model.from_db(connection.alias, self.names, converted)
