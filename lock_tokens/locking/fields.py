"""Columns and a clock whose meaning does not depend on the project's settings."""

from __future__ import annotations

import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone


def from_utc(value: datetime.datetime) -> datetime.datetime:
    """Return an aware datetime in the form that the project's settings ask for.

    Under ``USE_TZ`` it is aware and in UTC, else naive and in ``TIME_ZONE``.
    """
    return value if settings.USE_TZ else timezone.make_naive(value)


def to_utc(value: datetime.datetime) -> datetime.datetime:
    """Return one of the project's datetimes as an aware one in UTC."""
    if timezone.is_naive(value):
        value = timezone.make_aware(value)
    return value.astimezone(datetime.timezone.utc)


class UTCDateTimeField(models.DateTimeField):  # type: ignore[type-arg]
    """A ``DateTimeField`` that is stored in UTC, whatever the settings say.

    The lock's statements write the database's own UTC clock. On databases without time
    zones, Django stores local time when ``USE_TZ`` is off or the database has a
    ``TIME_ZONE``. An expiry in local time would jump by an hour twice a year.
    """

    def from_db_value(
        self,
        value: datetime.datetime | None,
        expression: Any,
        connection: BaseDatabaseWrapper,
    ) -> datetime.datetime | None:
        if value is None or connection.features.supports_timezones:
            return value
        return from_utc(value.replace(tzinfo=datetime.timezone.utc))

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        value = value if prepared else self.get_prep_value(value)
        if (
            not isinstance(value, datetime.datetime)
            or connection.features.supports_timezones
        ):
            return super().get_db_prep_value(value, connection, prepared=True)
        value = to_utc(value).replace(tzinfo=None)
        if connection.vendor == "sqlite":
            # SQLite compares text: each value needs six digits, even when they are zeros.
            return value.isoformat(sep=" ", timespec="microseconds")
        return connection.ops.adapt_datetimefield_value(value)


class ObjectKeyField(models.CharField):  # type: ignore[type-arg]
    """Text in which two keys are equal only if they are the same text.

    The default collations of MySQL and MariaDB treat ``a`` and ``A`` as equal, and also
    ``a`` and ``a ``. There the column gets a binary collation without padding.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, str | None]:
        parameters: dict[str, str | None] = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = (
                "utf8mb4_nopad_bin"
                if connection.mysql_is_mariadb  # type: ignore[attr-defined]
                else "utf8mb4_0900_bin"
            )
        return parameters


class UTCNow(models.Func):
    """The database's clock at the start of the statement, in UTC, to the microsecond.

    SQLite's clock has milliseconds. Django's ``Now()`` cannot be used: on MySQL and
    MariaDB it is in the session's time zone.
    """

    template = "CURRENT_TIMESTAMP"
    output_field = UTCDateTimeField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(
            compiler, connection, template="STATEMENT_TIMESTAMP()", **extra
        )

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW')",
            **extra,
        )
