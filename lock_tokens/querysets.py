"""Querysets of lockable models that know about locks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from django.db import models
from django.db.models.query import ModelIterable

from .locking.fields import ObjectKeyField
from .locking.lock_key import TYPE_FIELD
from .locking.lock_token import LockToken
from .locking.object_keys import key_field

M = TypeVar("M", bound=models.Model)

OBJECTS_A_QUERY = 500


class KeyText(models.Func):
    """A primary key as the text that its lock is kept under, in SQL."""

    arity = 1
    output_field = ObjectKeyField(max_length=255)

    def __init__(self, key: Any, *, field: models.Field[Any, Any]) -> None:
        super().__init__(key)
        self.key_field = field

    def _is_kept_as_digits(self, connection: Any) -> bool:
        """Whether this is a UUID in a column of text, natively or by a field's choice."""
        return isinstance(self.key_field, models.UUIDField) and not (
            connection.features.has_native_uuid_field
            and self.key_field.db_type(connection)
            == models.UUIDField().db_type(connection)
        )

    def _text(self, connection: Any, text_type: str) -> str:
        if self._is_kept_as_digits(connection):
            # The column has 32 digits: insert the dashes of str(UUID).
            parts = [
                f"SUBSTR(%(expressions)s, {start}, {length})"
                for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            ]
            if connection.vendor == "mysql":
                return f"CONCAT_WS('-', {', '.join(parts)})"
            return "(" + " || '-' || ".join(parts) + ")"
        return f"CAST(%(expressions)s AS {text_type})"

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        extra.setdefault("template", self._text(connection, "text"))
        return super().as_sql(compiler, connection, **extra)

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        collation = self.output_field.db_parameters(connection)["collation"]
        template = (
            f"CONVERT({self._text(connection, 'char')} USING utf8mb4)"
            f" COLLATE {collation}"
        )
        return self.as_sql(compiler, connection, template=template, **extra)


class LockStateIterable(ModelIterable):  # type: ignore[type-arg]
    """Gives each object the state of its lock, with one query for each batch."""

    def __iter__(self) -> Iterator[Any]:
        locks = LockToken.objects
        queryset: Any = self.queryset
        objects = super().__iter__()
        while batch := list(islice(objects, OBJECTS_A_QUERY)):
            for obj, state in zip(batch, locks.infos(batch), strict=True):
                # For a LockStateField: the other name may be used for something else.
                obj._lock_state = state
                setattr(obj, queryset._lock_state_attr, state)
                yield obj


def live_lock(
    model: type[models.Model], by: models.Model | None = None
) -> models.Exists:
    """Return the condition that an object of this model has a live lock.

    Use it in ``filter()`` on any queryset of the model. With ``by``, the lock must be
    that user's.

    Raises ``TypeError`` for models whose key is no integer, text or UUID, and
    ``ValueError`` for composite keys.
    """
    holder = {"locked_by": by.pk} if by else {}
    field = key_field(model)
    if not isinstance(
        field,
        models.IntegerField | models.CharField | models.TextField | models.UUIDField,
    ):
        raise TypeError(
            "locked() and unlocked() support integer, text and UUID keys, but not the"
            f" {type(field).__name__} of {model._meta.label}."
        )
    meta = (model._meta.concrete_model or model)._meta
    key = KeyText(models.OuterRef("pk"), field=field)
    # By the name of the content type, not its id: a queryset may be written at class
    # level, where no query can be made yet.
    is_of_model = models.Q(
        locked_object_content_type__app_label=meta.app_label,
        locked_object_content_type__model=meta.model_name,
    )
    if hasattr(model, TYPE_FIELD):  # see real_model()
        is_of_model |= models.Q(locked_object_content_type=models.OuterRef(TYPE_FIELD))
    return models.Exists(
        LockToken._base_manager.filter(
            LockToken.objects.live(),
            is_of_model,
            locked_object_id=key,
            **holder,
        )
    )


class LockableQuerySet(models.QuerySet[M]):
    """A queryset that can be filtered by locks.

    ``locked()`` and ``unlocked()`` are conditions in SQL, so the lock table must be in
    the same database. ``with_lock_state()`` works across databases.
    """

    _lock_state_attr = "lock_state"

    def locked(self, by: models.Model | None = None) -> LockableQuerySet[M]:
        """Return the objects that have a live lock; with ``by``, one of that user.

        Raises ``TypeError`` for models whose key is no integer, text or UUID, and
        ``ValueError`` for composite keys.
        """
        return self.filter(live_lock(self.model, by))

    def unlocked(self) -> LockableQuerySet[M]:
        """Return the objects that are free. Raises as :meth:`locked` does."""
        return self.filter(~live_lock(self.model))

    def with_lock_state(self, to_attr: str = "lock_state") -> LockableQuerySet[M]:
        """Give each object a ``lock_state``: its ``LockInfo``, ``None`` when free.

        ``to_attr`` is another name for the attribute. One query more for each 500
        objects. Has no effect on ``values()``.

        Raises ``ValueError`` when the model or an annotation already uses the name.
        """
        taken = getattr(self.model, to_attr, None) is not None
        if taken or to_attr in self.query.annotations:
            raise ValueError(
                f"{self.model._meta.label} already has a {to_attr!r}. Give another name:"
                " with_lock_state(to_attr=…)."
            )
        clone: LockableQuerySet[M] = self._chain()  # type: ignore[attr-defined]
        clone._iterable_class = LockStateIterable
        clone._lock_state_attr = to_attr
        return clone

    def _clone(self) -> LockableQuerySet[M]:
        clone: LockableQuerySet[M] = super()._clone()  # type: ignore[misc]
        clone._lock_state_attr = self._lock_state_attr
        return clone
