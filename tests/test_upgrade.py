"""Upgrading a site that runs 0.2.5, with its locks; and going back."""

import datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.models import LockableModel, LockToken

DATA = Path(__file__).parent / "data" / "v0_2_5"
LIVE = "1" * 32
EXPIRED = "2" * 32
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

CHARSET = {"mysql": " CHARACTER SET utf8mb4"}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old_database(request, settings, tmp_path):
    """A database as 0.2.5 leaves it, in the place of the default one.

    ``request.param`` is the time zone in which the site kept its naive local time.
    """
    zone = getattr(request, "param", None)
    own = connections["default"]
    if own.vendor == "sqlite":
        scratch = tmp_path / "v0_2_5.sqlite3"
    else:
        scratch = f"{own.settings_dict['NAME']}_v0_2_5"
        administer(own, f"DROP DATABASE IF EXISTS {scratch}")
        administer(own, f"CREATE DATABASE {scratch}{CHARSET.get(own.vendor, '')}")
    new = connections.create_connection("default")
    new.settings_dict = {**own.settings_dict, "NAME": scratch}
    connections["default"] = new
    if zone:
        settings.USE_TZ = False
        settings.TIME_ZONE = zone
    try:
        load(zone)
        yield new
    finally:
        new.close()
        connections["default"] = own
        if own.vendor != "sqlite":
            administer(own, f"DROP DATABASE {scratch}")


def administer(own, statement):
    with own._nodb_cursor() as cursor:
        cursor.execute(statement)


def load(zone):
    vendor = {"mysql": "mariadb"}.get(connection.vendor, connection.vendor)
    sql = (DATA / f"{vendor}.sql").read_text()
    for name, ago in (("live", 600), ("expired", 7200)):
        moment = NOW - datetime.timedelta(seconds=ago)
        if zone and not connection.features.supports_timezones:
            moment = moment.astimezone(ZoneInfo(zone))
        value = moment.replace(tzinfo=None).isoformat(" ")
        if connection.features.supports_timezones:
            value += "+00"
        sql = sql.replace(f"{{{name}}}", value)
    with connection.cursor() as cursor:
        for statement in sql.split(";\n"):
            if statement.strip():
                cursor.execute(statement)


def migrate(*args):
    call_command("migrate", *args, verbosity=0)


def utc(value):
    if value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(django_settings.TIME_ZONE))
    return value.astimezone(datetime.timezone.utc)


@pytest.mark.parametrize(
    "old_database", [None, "Asia/Kolkata", "America/New_York", "UTC"], indirect=True
)
def test_live_locks_survive_the_upgrade(old_database):
    # The fixture's rows know nothing of the tests' own models.
    migrate("lock_tokens")
    migrate("auth")
    migrate("contenttypes")
    alice, bob = User.objects.order_by("pk")
    row = LockToken.objects.get_for_object(alice)
    assert row.locked_object == alice
    assert utc(row.locked_at) == NOW - datetime.timedelta(seconds=600)
    assert utc(row.expires_at) == NOW + datetime.timedelta(seconds=3000)
    assert row.locked_by is None
    assert LockableModel.is_locked(alice)
    assert not LockableModel.is_locked(bob)
    assert LockableModel.check_lock(alice, LIVE)
    with pytest.raises(AlreadyLockedError):
        LockableModel.lock(alice)
    renewed = LockableModel.lock(alice, LIVE)
    assert renewed["token"] == LIVE
    LockableModel.unlock(alice, LIVE)
    # Expired, and nobody took it: still good.
    LockableModel.lock(bob, EXPIRED)
    LockableModel.unlock(bob, EXPIRED)
    LockableModel.lock(alice)
    assert LockToken.objects.get().pk > 2


def test_the_timeout_of_the_site_sets_the_expiry(old_database, settings):
    settings.LOCK_TOKENS = {"TIMEOUT": 60}
    migrate("lock_tokens")
    row = LockToken.objects.get(token_str=LIVE)
    assert row.expires_at - row.locked_at == datetime.timedelta(seconds=60)


def test_going_back_and_forth_keeps_what_the_old_table_has_room_for(old_database):
    migrate("lock_tokens")
    migrate("auth")
    alice, bob = User.objects.order_by("pk")
    lock_key = LockToken.objects.key_of(alice)
    LockToken.objects.acquire(lock_key._replace(object_key="a text"))
    LockToken.objects.acquire(lock_key._replace(object_key="99999999999"))
    migrate("lock_tokens", "0002")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT locked_object_id, token_str FROM lock_tokens_locktoken ORDER BY 1"
        )
        assert [tuple(row) for row in cursor.fetchall()] == [
            (alice.pk, LIVE),
            (bob.pk, EXPIRED),
        ]
    migrate("lock_tokens")
    assert LockableModel.check_lock(alice, LIVE)
    LockableModel.unlock(alice, LIVE)


def columns_and_constraints():
    with connection.cursor() as cursor:
        table = LockToken._meta.db_table
        described = connection.introspection.get_table_description(cursor, table)
        constraints = connection.introspection.get_constraints(cursor, table)
    return (
        {(c.name, c.type_code, c.null_ok, c.collation) for c in described},
        sorted(
            (tuple(c["columns"]), c["primary_key"], c["unique"], bool(c["foreign_key"]))
            for c in constraints.values()
            if not c["check"]
        ),
    )


def test_an_upgraded_table_is_like_a_new_one(old_database):
    migrate("lock_tokens")
    upgraded = columns_and_constraints()
    migrate("lock_tokens", "zero")
    migrate("lock_tokens")
    assert upgraded == columns_and_constraints()


def test_the_first_two_migrations_make_the_published_table(old_database):
    published = columns_and_constraints()
    migrate("lock_tokens", "zero")
    migrate("lock_tokens", "0002")
    columns, constraints = columns_and_constraints()
    assert {name for name, *_ in columns} == {name for name, *_ in published[0]}
    assert columns == published[0]
    assert constraints == published[1]


def changes_of_lock_tokens():
    loader = MigrationLoader(None, ignore_no_migrations=True)
    detector = MigrationAutodetector(
        loader.project_state(), ProjectState.from_apps(apps)
    )
    return detector.changes(loader.graph).get("lock_tokens", [])


def test_there_is_nothing_to_migrate():
    assert changes_of_lock_tokens() == []


@pytest.mark.parametrize(
    "auto_field", ["django.db.models.AutoField", "django.db.models.BigAutoField"]
)
def test_no_default_auto_field_asks_for_a_migration(settings, auto_field):
    settings.DEFAULT_AUTO_FIELD = auto_field
    out = StringIO()
    call_command("makemigrations", "lock_tokens", check=True, dry_run=True, stdout=out)
    assert "No changes" in out.getvalue()


def test_the_migrations_of_this_version_are_applied():
    executor = MigrationExecutor(connection)
    assert (
        executor.migration_plan(
            [
                node
                for node in executor.loader.graph.leaf_nodes()
                if node[0] == "lock_tokens"
            ]
        )
        == []
    )
