"""Sphinx builds the documentation with ``sphinx-build -W docs docs/_build/html``."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# The API pages import the package, and its models need a project around them.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from lock_tokens import __version__  # noqa: E402

project = "django-lock-tokens"
author = "The django-lock-tokens team"
project_copyright = f"2026, {author}"
version = release = __version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {release}"
html_show_sourcelink = False
# A code block without a language is a terminal, or a text.
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
