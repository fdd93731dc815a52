"""Settings of the newsroom, an example. Not for a site that others can reach."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

DEBUG = True
SECRET_KEY = "an example has no secrets"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "lock_tokens",
    "newsroom",
    "rest_framework",
]

MIDDLEWARE = [
    "newsroom.middleware.content_security_policy",
    "newsroom.middleware.local_time",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "newsroom.middleware.SignInMiddleware",
    "newsroom.middleware.GoneMiddleware",
]

LOCK_TOKENS = {
    # A page renews its lock while it is open. When it cannot, the lock lasts five minutes,
    # short enough to wait for its end. After that it is still good for saving, until
    # somebody else opens the article.
    "TIMEOUT": 300,
    # The JSON API is for whoever is signed in, and about what the pages lock.
    "API_PERMISSION": "lock_tokens.permissions.is_authenticated",
    "API_MODELS": ["newsroom.Article", "newsroom.Section"],
}

REST_FRAMEWORK = {
    # With Basic first, who is not signed in gets a 401. (Nobody is sent to the page to
    # sign in: REST framework keeps its views out of Django's LoginRequiredMiddleware.)
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.BasicAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    # JSON alone: the pages of the browsable API have styles inside them, which the
    # newsroom's Content-Security-Policy forbids.
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("NEWSROOM_DATABASE") or ROOT / "newsroom.sqlite3",
        "OPTIONS": {
            # A transaction asks for the right to write when it begins. Without this,
            # one that reads first can find out at its first write that it is too late.
            "transaction_mode": "IMMEDIATE",
            # Writers wait for each other, this many seconds at most.
            "timeout": 20,
            # Readers and the writer do not wait for each other.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROOT_URLCONF = "newsroom_site.urls"
WSGI_APPLICATION = "newsroom_site.wsgi.application"

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

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "article-list"
LOGOUT_REDIRECT_URL = "login"
CSRF_FAILURE_VIEW = "newsroom.views.csrf_failure"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
