"""One round: a fresh table, the locks that the operation needs, and the clients' work."""

from django.contrib.auth.models import Group
from django.db import connection

from lock_tokens.models import LockableModel, LockToken

from .operations import ON_HELD_OBJECTS, OPERATIONS


def make_objects(number):
    """Return as many saved objects of a small model."""
    return [Group.objects.get_or_create(name=f"group {n}")[0] for n in range(number)]


def empty_table():
    """Delete all locks, and what earlier rounds have left behind in the table."""
    table = connection.ops.quote_name(LockToken._meta.db_table)
    verb = "DELETE FROM" if connection.vendor == "sqlite" else "TRUNCATE TABLE"
    with connection.cursor() as cursor:
        cursor.execute(f"{verb} {table}")


def run_round(clients, objects, order):
    """Do ``order["operation"]`` for ``order["seconds"]``; return the measurement.

    With ``order["shared"]`` all clients work on one object and share its token.
    """
    empty_table()
    if order["shared"]:
        objects = objects[:1] * len(objects)
    tokens = {}
    if order["operation"] in ON_HELD_OBJECTS:
        tokens = {obj: LockableModel.lock(obj)["token"] for obj in set(objects)}
    operations = OPERATIONS[order["contender"]]

    def operation_of(client, count):
        obj = objects[client]
        return operations(obj, tokens.get(obj), count)[order["operation"]]

    return clients.measure(operation_of, order["seconds"])
