"""Settings of the tests. ``DATABASE`` is sqlite, postgresql, mariadb or mysql."""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

DATABASE = os.environ.get("DATABASE", "sqlite")
# Keeps apart runs that go on at the same time on one server.
SUFFIX = os.environ.get("TEST_DATABASE_SUFFIX", "0").replace("-", "_")


def database(name: str) -> dict[str, object]:
    if DATABASE == "sqlite":
        # A file, since threads with connections of their own race for it.
        path = Path(tempfile.gettempdir()) / f"{name}_{os.getpid()}.sqlite3"
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
            },
            "TEST": {"NAME": path.with_stem(f"test_{path.stem}")},
        }
    prefix = DATABASE.upper()
    return {
        "ENGINE": {
            "postgresql": "django.db.backends.postgresql",
            "mariadb": "django.db.backends.mysql",
            "mysql": "django.db.backends.mysql",
        }[DATABASE],
        "NAME": name,
        "HOST": os.environ.get(f"{prefix}_HOST", "127.0.0.1"),
        "PORT": os.environ.get(f"{prefix}_PORT", ""),
        "USER": os.environ.get(f"{prefix}_USER", "lock_tokens"),
        "PASSWORD": os.environ.get(f"{prefix}_PASSWORD", "lock_tokens"),
        "TEST": {"NAME": f"test_{name}_{SUFFIX}"},
    }


DATABASES = {"default": database("lock_tokens"), "other": database("lock_tokens_other")}
SECRET_KEY = "for tests alone"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.support.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "lock_tokens",
    "tests",
    # Not there in the runs that show that it need not be.
    *(name for name in ("rest_framework", "drf_spectacular") if find_spec(name)),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
