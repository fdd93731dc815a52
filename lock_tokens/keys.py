"""One text for one key, however it is spelled."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

MAX_LENGTH = 255


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


def text_key(model: type[models.Model], value: Any) -> str:
    """Return the key ``value`` of ``model`` as the text that the lock is kept under.

    ``5`` and ``"5"`` give the same text, and so do all spellings of a UUID.

    Raises ``ValueError`` when the value is no key of this model, when the key is
    composite, and when its text is longer than 255 characters.
    """
    field = key_field(model)
    try:
        key = str(field.to_python(value))
    except ValidationError as error:
        raise ValueError(
            f"{value!r} is not a key of {model._meta.label}: {error.messages[0]}"
        ) from error
    if len(key) > MAX_LENGTH:
        raise ValueError(
            f"The key of this {model._meta.label} has {len(key)} characters; "
            f"a lock takes up to {MAX_LENGTH}."
        )
    return key


def object_key(obj: models.Model) -> str:
    """Return the text that the lock of ``obj`` is kept under.

    Raises ``ValueError`` for an unsaved object, and as :func:`text_key` does.
    """
    model = obj._meta.concrete_model or type(obj)
    key_field(model)
    if obj.pk is None or obj._state.adding:
        raise ValueError(f"An unsaved {model._meta.label} cannot be locked.")
    return text_key(model, obj.pk)
