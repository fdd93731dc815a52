import pytest
from django.db import connection

from lock_tokens import managers
from lock_tokens.statements.mysql import MySQLStatements
from lock_tokens.statements.portable import PortableStatements


@pytest.fixture(params=["own", "portable", "mysql"])
def dialect(request, monkeypatch):
    """Let a test run on every set of statements that this database can execute.

    Its own; the ORM's way, which other databases go; and on MariaDB also MySQL's, which
    has no ``RETURNING``.
    """
    if request.param == "portable":
        monkeypatch.setattr(managers, "for_database", PortableStatements)
    if request.param == "mysql":
        if connection.vendor != "mysql":
            pytest.skip("MySQL's statements run on MariaDB and MySQL")
        statements = MySQLStatements(connection)
        monkeypatch.setattr(managers, "for_database", lambda alias: statements)
    return request.param
