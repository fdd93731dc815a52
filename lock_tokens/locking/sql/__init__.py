"""The lock's SQL, one statement an operation, and all of it in this room.

Every rule about who may have a lock is decided inside one of these statements, by the
database's own clock (UTC, at the start of the statement) and the unique key on content
type and object id. Nothing is read first and written later.

The text is built once per database, from the model's own meta. Databases without a
dialect here go the ORM's way, in ``portable.py``, with the same methods.
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
