"""The package beside others for the admin, one file for each of them.

Run them with ``tox run -e packages``. They define their models, so that each file stands
for itself.
"""

import pytest
from django.apps import apps


def needs(*names):
    """Skip a file unless the apps are installed, as they are in ``packages.settings``."""
    missing = [name for name in names if not apps.is_installed(name)]
    if missing:
        reason = f"{', '.join(missing)} not installed: run 'tox run -e packages'"
        pytest.skip(reason, allow_module_level=True)
