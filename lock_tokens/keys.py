"""One text for one key, however it is spelled."""

from __future__ import annotations

import math
from datetime import datetime
from datetime import timezone as datetime_timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

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
            f"{model._meta.label} has a composite primary key, which cannot be locked."
        )
    return field  # type: ignore[no-any-return]


def key_value(model: type[models.Model], value: Any) -> Any:
    """Return the value of the model's key that ``value`` spells.

    Raises ``ValueError`` when it is no key of this model, and when the key is composite.
    """
    field = key_field(model)
    try:
        value = field.to_python(value)
    except (ValidationError, InvalidOperation) as error:
        raise ValueError(f"{value!r} is not a key of {model._meta.label}.") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a key of {model._meta.label}.")
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
        raise ValueError(f"{value!r} is not a key of {model._meta.label}.") from error
    if len(key) > MAX_LENGTH:
        raise ValueError(
            f"The key of this {model._meta.label} has {len(key)} characters; "
            f"a lock takes up to {MAX_LENGTH}."
        )
    return key


def _canonical(field: models.Field[Any, Any], value: Any) -> str:
    """Return one text for all values that the database takes for one key."""
    if isinstance(field, models.DecimalField):
        return str(value.quantize(Decimal(1).scaleb(-field.decimal_places)))
    if isinstance(value, datetime):
        if timezone.is_aware(value):
            value = value.astimezone(UTC)
        return str(value.isoformat())
    value = field.get_prep_value(value)
    # Not str(value): a text of an enumeration would give its member's name.
    return str.__str__(value) if isinstance(value, str) else str(value)


def object_key(obj: models.Model) -> str:
    """Return the text that the lock of ``obj`` is kept under.

    Raises ``ValueError`` for an unsaved object, and as :func:`text_key` does.
    """
    model = obj._meta.concrete_model or type(obj)
    key_field(model)
    if obj.pk is None or obj._state.adding:
        raise ValueError(f"An unsaved {model._meta.label} cannot be locked.")
    return text_key(model, obj.pk)
