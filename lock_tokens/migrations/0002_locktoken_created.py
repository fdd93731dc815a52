"""The column that published releases up to 0.2.5 added."""

from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = [("lock_tokens", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="locktoken",
            name="created",
            field=models.DateTimeField(auto_now_add=True, default=timezone.now),
            preserve_default=False,
        ),
    ]
