"""Where the lock of an object is kept: database, content type and key of the object.

The functions take the manager or a queryset of the lock table as ``locks``. The database
is the one chosen with ``db_manager()`` or ``using()``, else the one that the router gives
for writing.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, Protocol

from django.contrib.contenttypes.models import ContentType, ContentTypeManager
from django.db import connections, models, router

from .object_keys import key_value, object_key, text_key

#: The field of django-polymorphic with the content type of the real object.
TYPE_FIELD = "polymorphic_ctype"


class Locks(Protocol):
    """What a manager and a queryset of the lock table both have."""

    model: Any
    _db: str | None


class LockKey(NamedTuple):
    """Where an object's lock is kept: database, content type and the object's key."""

    using: str
    content_type: ContentType
    object_key: str

    @property
    def model(self) -> type[models.Model]:
        """The concrete model of the locked object."""
        return self.content_type.model_class()  # type: ignore[return-value]

    @property
    def columns(self) -> tuple[int, str]:
        """The unique key of the lock's row: content type and object key."""
        return self.content_type.pk, self.object_key

    @property
    def order(self) -> tuple[str, int, Any]:
        """What to sort by before one transaction takes the locks of several objects.

        Transactions that take them in one order do not wait for each other in a circle.
        Of one model it is the order of the primary keys, in which Django deletes.
        """
        value = key_value(self.model, self.object_key)
        return self.using, self.content_type.pk, value

    @property
    def about(self) -> tuple[str, ...]:
        """The object that a token is for, in words that name no other object."""
        return (*self.content_type.natural_key(), self.object_key)

    def __str__(self) -> str:
        return f"{self.content_type.name} {self.object_key}"


def key_of(locks: Locks, obj: models.Model | LockKey) -> LockKey:
    """Return the lock key of a saved object.

    Raises ``ValueError`` for an object that is not saved, or whose key is composite or
    longer than 255 characters.
    """
    if isinstance(obj, LockKey):
        return obj
    return _lock_key(locks, model_of(obj), object_key(obj), obj)


def key_of_pk(locks: Locks, model: type[models.Model], pk: Any) -> LockKey:
    """Return the lock key of the object with this primary key.

    Use it when you do not have the object. If the table's collation accepts several
    spellings of a text key, give the key as its row has it.

    Raises ``ValueError`` when ``pk`` cannot be a key of the model.
    """
    using = router.db_for_write(model)
    key = text_key(model, pk)
    if hasattr(model, TYPE_FIELD):
        rows = model._base_manager.using(using).filter(pk=pk)
        content_type_id = rows.values_list(TYPE_FIELD, flat=True).first()
        model = real_model(model, content_type_id, using)
    return _lock_key(locks, model, key, _row_in(locks, using))


def key_in(locks: Locks, obj: models.Model, using: str) -> LockKey:
    """Return the lock key of an object in the database ``using``, saved or not.

    Raises ``ValueError`` when its key is composite or too long.
    """
    model = model_of(obj)
    return _lock_key(locks, model, text_key(model, obj.pk), _row_in(locks, using))


def key_of_row(locks: Locks, row: Any) -> LockKey:
    """Return the lock key of a ``LockToken`` row."""
    using = locks._db or row._state.db or router.db_for_write(locks.model)
    content_type = content_types(using).get_for_id(row.locked_object_content_type_id)
    return LockKey(using, content_type, str(row.locked_object_id))


def real_model(
    model: type[models.Model], content_type_id: int | None, using: str | None
) -> type[models.Model]:
    """Return the model under which a row of this model is locked.

    That is ``model``. But the row of a parent, in multi-table inheritance, may note which
    child it belongs to, as django-polymorphic does. Then it is the child.
    """
    if content_type_id is not None:
        real = content_types(using).get_for_id(content_type_id).model_class()
        if real and issubclass(real, model._meta.concrete_model or model):
            return real
    return model


def model_of(obj: models.Model) -> type[models.Model]:
    """Return the model under which the object is locked."""
    content_type_id = getattr(obj, f"{TYPE_FIELD}_id", None)
    # Not type(obj): request.user is in a wrapper.
    return real_model(obj.__class__, content_type_id, obj._state.db)


@cache
def content_types(using: str | None) -> ContentTypeManager:
    """Return the content types of a database. All share one cache."""
    return ContentType.objects.db_manager(using)


def database_of(obj: models.Model | LockKey) -> str:
    """Return the database that the object itself is written to."""
    if isinstance(obj, LockKey):
        return router.db_for_write(obj.model)
    return router.db_for_write(obj.__class__, instance=obj)


def instance_of(obj: models.Model | LockKey) -> models.Model | None:
    """Return the object, or ``None`` when there is only its lock key."""
    return None if isinstance(obj, LockKey) else obj


def _lock_key(
    locks: Locks, model: type[models.Model], key: str, hint: models.Model
) -> LockKey:
    using = locks._db or router.db_for_write(locks.model, instance=hint)
    if "\0" in key:
        features = connections[using].features
        if features.prohibits_null_characters_in_text_exception:
            raise ValueError("This database does not accept NUL characters in a key.")
    return LockKey(using, content_types(using).get_for_model(model), key)


def _row_in(locks: Locks, using: str) -> models.Model:
    """Return an instance that tells a router which database it came from."""
    hint: models.Model = locks.model()
    hint._state.db = using
    return hint
