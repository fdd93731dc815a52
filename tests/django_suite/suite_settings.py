"""The settings of Django's tests, with a runner that writes down what has failed."""

import os

from test_sqlite import *  # noqa: F403  (beside Django's tests)

TEST_RUNNER = os.environ["DJANGO_SUITE_RUNNER"]
