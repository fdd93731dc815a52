"""Objects by the keys that come with requests, which may be anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, models

from .keys import key_field, key_value, text_key


def find_object(model: type[models.Model], key: Any) -> models.Model | None:
    """Return the object with this key; ``None`` without one, or when it is no key.

    Also when the object's own key, which the database may take for the same as this
    one, is too long to be locked.
    """
    if key is None or _text(model, key) is None:
        return None
    try:
        found = model._default_manager.get(pk=key_value(model, key))
    except (ValueError, OverflowError, ObjectDoesNotExist):
        return None
    return found if _text(model, found.pk) is not None else None


def find_objects(
    model: type[models.Model], keys: Iterable[str]
) -> dict[str, models.Model | None]:
    """Return :func:`find_object` of each of the keys, with one query.

    On MySQL and MariaDB, where a text may have several spellings, one more for each text
    that the first query has not found as it is spelled, if it has found anything.
    """
    texts = {key: _text(model, key) for key in keys}
    objects = model._default_manager.filter(
        pk__in=[
            key_value(model, key) for key, text in texts.items() if text is not None
        ]
    )
    try:
        found = {_text(model, obj.pk): obj for obj in objects}
    except (ValueError, OverflowError):  # one that this database has no value for
        return {key: find_object(model, key) for key in texts}
    has_spellings = (
        found
        and connections[objects.db].vendor == "mysql"
        and isinstance(key_field(model), models.CharField | models.TextField)
    )

    def find(key: str, text: str | None) -> models.Model | None:
        if text is None:
            return None
        if text not in found and has_spellings:
            return find_object(model, key)
        return found.get(text)

    return {key: find(key, text) for key, text in texts.items()}


def _text(model: type[models.Model], key: Any) -> str | None:
    """Return the key as the text that locks are kept under; ``None`` if it has none."""
    try:
        return None if "\0" in str(key) else text_key(model, key)
    except ValueError:
        return None
