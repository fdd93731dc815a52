"""Querysets of lockable models that know about locks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.lookups import In
from django.db.models.query import ModelIterable

from .locking.lock_key import TYPE_FIELD
from .locking.lock_token import LockToken
from .locking.object_keys import key_field
from .locking.sql.keys import IsKey, KeyOfText, KeyText

M = TypeVar("M", bound=models.Model)

OBJECTS_A_QUERY = 500


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


class LiveLock:
    """A condition that an object has a live lock. ``negated`` is the opposite.

    The two are written in different ways: there are few locks, and nearly all objects are
    free.
    """

    negated: Any

    def __invert__(self) -> Any:
        return self.negated


class IsAmongLocks(LiveLock, In):
    """The condition by the keys of all live locks. It costs by their number."""


class HasLock(LiveLock, models.Exists):
    """The condition by the text of an object's key."""


def live_lock(
    model: type[models.Model], by: models.Model | None = None
) -> IsAmongLocks | HasLock:
    """Return the condition that an object of this model has a live lock.

    Use it, or its negation by ``~``, in ``filter()`` on any queryset of the model. With
    ``by``, the lock must be that user's.

    Raises ``TypeError`` for models whose key is no integer, text or UUID, and
    ``ValueError`` for composite keys.
    """
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
    # By the name of the content type, not its id: a queryset may be written at class
    # level, where no query can be made yet. A database evaluates this once.
    content_type = ContentType.objects.filter(
        app_label=meta.app_label, model=meta.model_name
    ).values("pk")[:1]
    is_of_model = models.Q(locked_object_content_type=models.Subquery(content_type))
    is_polymorphic = hasattr(model, TYPE_FIELD)  # see real_model()
    if is_polymorphic:
        is_of_model |= models.Q(locked_object_content_type=models.OuterRef(TYPE_FIELD))
    locks = LockToken._base_manager.filter(LockToken.objects.live(), is_of_model)
    if by:
        locks = locks.filter(locked_by=by.pk)
    text = KeyText(models.OuterRef("pk"), field=field)
    condition: IsAmongLocks | HasLock
    if is_polymorphic or not KeyOfText.can_give(field):
        condition = HasLock(locks.filter(locked_object_id=text))
    else:
        found = locks.annotate(key=KeyOfText("locked_object_id", field=field))
        # NOT IN, as exclude() writes it, finds nothing beside a NULL.
        keys = found.filter(key__isnull=False).values("key")
        condition = IsAmongLocks(models.F("pk"), keys)
    condition.negated = ~models.Exists(locks.filter(IsKey("locked_object_id", text)))
    return condition


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
