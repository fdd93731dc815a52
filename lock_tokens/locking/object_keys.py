"""Keys of objects: one text for each key, and the object that has a key.

Keys may come from requests, and may be anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from datetime import timezone as datetime_timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import connections, models
from django.utils import timezone

from .primary import reading_from_primary

MAX_LENGTH = 255
UTC = datetime_timezone.utc


def key_field(model: type[models.Model]) -> models.Field[Any, Any]:
    """Return the field that holds the model's key, through one-to-one parents.

    Raises ``ValueError`` for a composite primary key: it has no single text that a
    generic foreign key could follow.
    """
    field: Any = model._meta.pk
    while field.remote_field:
        field = field.target_field
    if isinstance(field, models.CompositePrimaryKey):
        raise ValueError(
            f"{model._meta.label} has a composite primary key, so its objects cannot"
            " be locked."
        )
    return field  # type: ignore[no-any-return]


def key_value(model: type[models.Model], value: Any) -> Any:
    """Return ``value``, which may be text, as a value of the model's key.

    Raises ``ValueError`` when it is no key of this model, and when the key is composite.
    """
    field = key_field(model)
    try:
        value = field.to_python(value)
    except (ValidationError, InvalidOperation) as error:
        raise ValueError(
            f"{value!r} is not a valid key of {model._meta.label}."
        ) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a valid key of {model._meta.label}.")
    if isinstance(value, datetime) and timezone.is_naive(value) and settings.USE_TZ:
        return timezone.make_aware(value)
    return value


def text_key(model: type[models.Model], value: Any) -> str:
    """Return the key ``value`` of ``model`` as the text that the lock is kept under.

    ``5`` and ``"5"`` give the same text, and so do all spellings of a UUID.

    Raises ``ValueError`` when the value is no key of this model, when the key is
    composite, and when its text is longer than 255 characters.
    """
    try:
        key = _canonical(key_field(model), key_value(model, value))
    except (OverflowError, InvalidOperation) as error:
        raise ValueError(
            f"{value!r} is not a valid key of {model._meta.label}."
        ) from error
    if len(key) > MAX_LENGTH:
        raise ValueError(
            f"The key of this {model._meta.label} has {len(key)} characters. A lock"
            f" accepts at most {MAX_LENGTH}."
        )
    return key


def _canonical(field: models.Field[Any, Any], value: Any) -> str:
    """Return one text for all values that are one key for the database."""
    if isinstance(field, models.DecimalField):
        return str(value.quantize(Decimal(1).scaleb(-field.decimal_places)))
    if isinstance(value, datetime):
        if timezone.is_aware(value):
            value = value.astimezone(UTC)
        return str(value.isoformat())
    value = field.get_prep_value(value)
    # Not str(value): for a member of a text enumeration it would give the member's name.
    return str.__str__(value) if isinstance(value, str) else str(value)


def object_key(obj: models.Model) -> str:
    """Return the text that the lock of ``obj`` is kept under.

    Raises ``ValueError`` for an unsaved object, and as :func:`text_key` does.
    """
    model = obj._meta.concrete_model or type(obj)
    if obj.pk is None or obj._state.adding:
        raise ValueError(f"An unsaved {model._meta.label} cannot be locked.")
    return text_key(model, obj.pk)


@reading_from_primary()
def find_object(model: type[models.Model], key: Any) -> models.Model | None:
    """Return the object with this key, or ``None``.

    It is ``None`` when there is no such object, when ``key`` cannot be a key of the
    model, and when the key in the object's row is too long to be locked. (A database may
    treat two different texts as the same key.)
    """
    if key is None or _text(model, key) is None:
        return None
    try:
        found = model._default_manager.get(pk=key_value(model, key))
    except (ValueError, OverflowError, ObjectDoesNotExist):
        return None
    return found if _text(model, found.pk) is not None else None


@reading_from_primary()
def find_objects(
    model: type[models.Model], keys: Iterable[str]
) -> dict[str, models.Model | None]:
    """Return :func:`find_object` of each of the keys, with one query.

    On MySQL and MariaDB a text key may have several spellings. There, each key that the
    query did not find as it is spelled takes one more query, if anything was found.
    """
    texts = {key: _text(model, key) for key in keys}
    objects = model._default_manager.filter(
        pk__in=[
            key_value(model, key) for key, text in texts.items() if text is not None
        ]
    )
    try:
        found = {_text(model, obj.pk): obj for obj in objects}
    except (ValueError, OverflowError):  # this database has no value for one of them
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
    """Return the key as the text that locks are kept under; ``None`` if it cannot be."""
    try:
        return None if "\0" in str(key) else text_key(model, key)
    except ValueError:
        return None
