"""The table as published releases up to 0.2.5 made it."""

from django.db import migrations, models
from django.utils import timezone

import lock_tokens.locking.tokens


class Migration(migrations.Migration):
    dependencies = [("contenttypes", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="LockToken",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "token_str",
                    models.CharField(
                        default=lock_tokens.locking.tokens.new_token,
                        editable=False,
                        max_length=32,
                        unique=True,
                    ),
                ),
                ("locked_object_id", models.PositiveIntegerField()),
                (
                    "locked_at",
                    models.DateTimeField(default=timezone.now, editable=False),
                ),
                (
                    "locked_object_content_type",
                    models.ForeignKey(
                        on_delete=models.CASCADE, to="contenttypes.contenttype"
                    ),
                ),
            ],
        ),
        migrations.AlterUniqueTogether(
            name="locktoken",
            unique_together={("locked_object_content_type", "locked_object_id")},
        ),
    ]
