"""All SQL of the locks: one statement for each operation.

Each statement decides by itself who gets a lock, by the database's own clock (UTC, at
the start of the statement) and the unique key on content type and object id. Nothing is
read first and written later.

The SQL is built once per database, from the model's meta. For databases without a
dialect here, ``portable.py`` has the same methods through Django's ORM.
"""

from __future__ import annotations

from functools import cache

from django.db import connections, models

from .mysql import MariaDBStatements, MySQLStatements
from .portable import PortableStatements
from .returning import PostgreSQLStatements, SQLiteStatements

AnyStatements = (
    PostgreSQLStatements | SQLiteStatements | MySQLStatements | PortableStatements
)


@cache
def for_database(model: type[models.Model], alias: str) -> AnyStatements:
    """Return the statements on the lock's table in the database ``alias``."""
    connection = connections[alias]
    if connection.vendor == "mysql":
        if connection.mysql_is_mariadb:  # type: ignore[attr-defined]
            return MariaDBStatements(model, connection)
        return MySQLStatements(model, connection)
    if connection.features.can_return_columns_from_insert:
        if connection.vendor == "postgresql":
            return PostgreSQLStatements(model, connection)
        if connection.vendor == "sqlite":
            return SQLiteStatements(model, connection)
    return PortableStatements(model, alias)
