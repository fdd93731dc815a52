"""The settings of the tests with all packages; ``PACKAGES_THEME`` names a theme."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [
    *filter(None, [os.environ.get("PACKAGES_THEME")]),
    *INSTALLED_APPS,
    "tests.packages",
    "nested_admin",
    "reversion",
    "simple_history",
    "django_object_actions",
    "django_fsm",
    "import_export",
    "treebeard",
    "mptt",
    "polymorphic",
    "parler",
    "hijack",
    "hijack.contrib.admin",
    "tinymce",
]
MIDDLEWARE = [
    *MIDDLEWARE,
    "simple_history.middleware.HistoryRequestMiddleware",
    "hijack.middleware.HijackUserMiddleware",
]
PARLER_LANGUAGES = {
    None: [{"code": "en"}, {"code": "de"}],
    "default": {"fallbacks": []},
}
