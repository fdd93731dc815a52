"""From 0.2.5's table to one with an expiry, a holder and keys of any type.

Existing locks stay valid: their token and their expiry (``locked_at`` plus the
``TIMEOUT`` of the day of the upgrade) stay what they were.
"""

import datetime
import zoneinfo

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.utils import timezone

import lock_tokens.locking.fields
import lock_tokens.locking.tokens
import lock_tokens.models
from lock_tokens.settings import get_timeout


def to_utc(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Rewrite local time as UTC, where Django kept local time."""
    connection = schema_editor.connection
    if connection.features.supports_timezones or connection.timezone_name == "UTC":
        return
    local = zoneinfo.ZoneInfo(connection.timezone_name)
    locks = apps.get_model("lock_tokens", "LockToken")._base_manager
    for lock in locks.using(connection.alias).all():
        for name in ("created", "locked_at"):
            value = getattr(lock, name).replace(tzinfo=local)
            utc = value.astimezone(datetime.timezone.utc)
            # Django writes it unchanged, by its rules for this database.
            setattr(lock, name, utc.replace(tzinfo=local if settings.USE_TZ else None))
        lock.save()


def set_expiry(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let each lock expire when 0.2.5 would have let it."""
    locks = apps.get_model("lock_tokens", "LockToken")._base_manager
    life = models.Value(datetime.timedelta(seconds=get_timeout()))
    locks.using(schema_editor.connection.alias).update(
        expires_at=models.F("locked_at") + life
    )


def drop_keys_that_are_no_integers(
    apps: StateApps, schema_editor: BaseDatabaseSchemaEditor
) -> None:
    """Going back: 0.2.5's table has no room for other keys."""
    locks = apps.get_model("lock_tokens", "LockToken")._base_manager
    for lock in locks.using(schema_editor.connection.alias).all():
        key = lock.locked_object_id
        if not (key.isascii() and key.isdigit() and int(key) < 2**31):
            lock.delete()


class Migration(migrations.Migration):
    dependencies = [
        ("lock_tokens", "0002_locktoken_created"),
        ("contenttypes", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(to_utc, migrations.RunPython.noop),
        migrations.AlterModelOptions(
            name="locktoken",
            options={
                "verbose_name": "lock token",
                "verbose_name_plural": "lock tokens",
                "permissions": [
                    ("take_over_locktoken", "Can take over another's lock")
                ],
            },
        ),
        migrations.AlterField(
            model_name="locktoken",
            name="id",
            field=models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
            ),
        ),
        migrations.AlterField(
            model_name="locktoken",
            name="token_str",
            field=models.CharField(
                default=lock_tokens.locking.tokens.new_token,
                editable=False,
                max_length=32,
                verbose_name="token",
            ),
        ),
        migrations.AlterField(
            model_name="locktoken",
            name="locked_object_content_type",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                to="contenttypes.contenttype",
                verbose_name="type of the object",
            ),
        ),
        migrations.AlterField(
            model_name="locktoken",
            name="locked_object_id",
            field=lock_tokens.locking.fields.ObjectKeyField(
                max_length=255, verbose_name="key of the object"
            ),
        ),
        migrations.AlterField(
            model_name="locktoken",
            name="created",
            field=lock_tokens.locking.fields.UTCDateTimeField(
                default=timezone.now, editable=False, verbose_name="created"
            ),
        ),
        migrations.AlterField(
            model_name="locktoken",
            name="locked_at",
            field=lock_tokens.locking.fields.UTCDateTimeField(
                default=timezone.now, editable=False, verbose_name="locked at"
            ),
        ),
        migrations.AddField(
            model_name="locktoken",
            name="expires_at",
            field=lock_tokens.locking.fields.UTCDateTimeField(
                default=lock_tokens.models.default_expiry,
                editable=False,
                verbose_name="expires at",
            ),
        ),
        migrations.AddField(
            model_name="locktoken",
            name="locked_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="locked by",
            ),
        ),
        # After every change of the table: PostgreSQL does not alter a table that has
        # changed rows waiting in the same transaction.
        migrations.RunPython(set_expiry, drop_keys_that_are_no_integers),
    ]
