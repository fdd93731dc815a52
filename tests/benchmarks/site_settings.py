"""Settings of the benchmarks that have pages: those of the tests, with admin pages.

``DATABASE`` and the others are those of ``tests.settings``.
"""

from tests.settings import *  # noqa: F403
from tests.settings import database

DATABASES = {"default": database("lock_tokens_benchmark")}
ROOT_URLCONF = "tests.benchmarks.site_urls"
