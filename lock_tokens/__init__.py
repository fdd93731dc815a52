"""Edit locks for Django: one person edits an object at a time."""

__version__ = "1.0.0.dev0"
