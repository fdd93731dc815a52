"""Keys of objects and the texts of their locks, each as the other in SQL."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.lookups import Exact

from ..fields import ObjectKeyField

INTEGERS = {
    "AutoField",
    "BigAutoField",
    "BigIntegerField",
    "IntegerField",
    "PositiveBigIntegerField",
    "PositiveIntegerField",
    "PositiveSmallIntegerField",
    "SmallAutoField",
    "SmallIntegerField",
}

UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


class KeyText(models.Func):
    """A primary key as the text that its lock is kept under."""

    arity = 1
    output_field = ObjectKeyField(max_length=255)

    def __init__(self, key: Any, *, field: models.Field[Any, Any]) -> None:
        super().__init__(key)
        self.key_field = field

    def _is_kept_as_digits(self, connection: Any) -> bool:
        """Whether this is a UUID in a column of text, natively or by a field's choice."""
        return isinstance(self.key_field, models.UUIDField) and not (
            connection.features.has_native_uuid_field
            and self.key_field.db_type(connection)
            == models.UUIDField().db_type(connection)
        )

    def _text(self, connection: Any, text_type: str) -> str:
        if self._is_kept_as_digits(connection):
            # The column has 32 digits: insert the dashes of str(UUID).
            parts = [
                f"SUBSTR(%(expressions)s, {start}, {length})"
                for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            ]
            if connection.vendor == "mysql":
                return f"CONCAT_WS('-', {', '.join(parts)})"
            return "(" + " || '-' || ".join(parts) + ")"
        return f"CAST(%(expressions)s AS {text_type})"

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        extra.setdefault("template", self._text(connection, "text"))
        return super().as_sql(compiler, connection, **extra)

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        collation = self.output_field.db_parameters(connection)["collation"]
        template = (
            f"CONVERT({self._text(connection, 'char')} USING utf8mb4)"
            f" COLLATE {collation}"
        )
        return self.as_sql(compiler, connection, template=template, **extra)


class IsKey(Exact):
    """The condition that two texts are one, for the lock of each object in turn.

    MariaDB turns NOT EXISTS with an ``=`` into one table of all locks, which it then
    compares with each object. With its other operator it looks the lock up.
    """

    def __init__(self, column: str, text: Any) -> None:
        super().__init__(models.F(column), text)

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        return f"{'<=>' if connection.vendor == 'mysql' else '='} {rhs}"


class KeyOfText(models.Func):
    """The text of a lock as a primary key, by which the object is found in its index.

    It is NULL for a text that is no such key. A lock may have one from when its model had
    keys of another kind, and a cast that fails would end the whole query. A database
    evaluates conditions in any order, but CASE in the order that is written.
    """

    arity = 1

    def __init__(self, text: Any, *, field: models.Field[Any, Any]) -> None:
        super().__init__(text, output_field=field)
        self.is_uuid = field.get_internal_type() == "UUIDField"
        self.is_large = field.get_internal_type() == "PositiveBigIntegerField"

    @staticmethod
    def can_give(field: models.Field[Any, Any]) -> bool:
        """Say whether the field's keys are integers or UUIDs in a column of Django's."""
        return type(
            field
        ).db_type is models.Field.db_type and field.get_internal_type() in INTEGERS | {
            "UUIDField"
        }

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        # What is no integer changes on the way to one and back.
        integer = (
            "CASE WHEN CAST(CAST(%(expressions)s AS integer) AS text) = %(expressions)s"
            " THEN CAST(%(expressions)s AS integer) END"
        )
        digits = "REPLACE(%(expressions)s, '-', '')"
        extra.setdefault("template", digits if self.is_uuid else integer)
        return super().as_sql(compiler, connection, **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = (
            f"CASE WHEN %(expressions)s ~ '{UUID_PATTERN}'"
            " THEN CAST(%(expressions)s AS uuid) END"
        )
        if not self.is_uuid:
            template = self._integer(
                digits="TRANSLATE(%(expressions)s, '0123456789', '') = ''",
                number="%(expressions)s ~ '^-?[0-9]{1,19}$'",
                integer="bigint",
            )
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        if not self.is_uuid:
            # "$" also matches before a line break.
            template = self._integer(
                digits="%(expressions)s NOT REGEXP '[^0-9]'",
                number=(
                    "%(expressions)s REGEXP '^-?[0-9]{1,20}$'"
                    " AND %(expressions)s NOT REGEXP '[^0-9-]'"
                ),
                integer="UNSIGNED" if self.is_large else "SIGNED",
            )
        elif connection.features.has_native_uuid_field:
            template = (
                f"CASE WHEN CHAR_LENGTH(%(expressions)s) = 36"
                f" AND %(expressions)s REGEXP '{UUID_PATTERN}'"
                " THEN CAST(%(expressions)s AS uuid) END"
            )
        else:
            # ASCII is compared in the collation of the column that has the key.
            template = "CONVERT(REPLACE(%(expressions)s, '-', '') USING ascii)"
        return self.as_sql(compiler, connection, template=template, **extra)

    def _integer(self, *, digits: str, number: str, integer: str) -> str:
        """Write a cast. The first condition is that of nearly all keys, and is cheap."""
        low, high = -(2**63), 2**63 - 1
        if integer == "UNSIGNED":
            low, high = 0, 2**64 - 1
        cast = f"CAST(%(expressions)s AS {integer})"
        return (
            f"CASE WHEN CHAR_LENGTH(%(expressions)s) BETWEEN 1 AND 18 AND {digits}"
            f" THEN {cast} WHEN {number}"
            f" THEN CASE WHEN CAST(%(expressions)s AS DECIMAL(20)) BETWEEN {low} AND {high}"
            f" THEN {cast} END END"
        )
