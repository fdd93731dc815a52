"""Settings of a worker. ``DATABASE`` and the others are those of ``tests.settings``.

``SQLITE_DEFAULTS=1`` takes SQLite as Django sets it up, without the options that the
docs recommend.
"""

import os

from tests.settings import DATABASE, database

DATABASES = {"default": database("lock_tokens_benchmark")}
if DATABASE == "sqlite" and os.environ.get("SQLITE_DEFAULTS"):
    del DATABASES["default"]["OPTIONS"]
SECRET_KEY = "for benchmarks alone"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "lock_tokens",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
