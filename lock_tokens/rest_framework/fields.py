"""The state of an object's lock, as a field of a serializer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import models
from rest_framework import serializers

from ..api.operations import public_state
from ..locking.info import LockInfo
from ..locking.lock_token import LockToken
from .serializers import LockStateSerializer


class LockStateField(LockStateSerializer):
    """Whether the object is locked, by whom, since when and until when.

    ::

        class ArticleSerializer(serializers.ModelSerializer):
            lock = LockStateField()

    Its value is ``{"locked", "locked_by", "locked_at", "expires_at"}``, as in the JSON
    API. It never has a token. The field is read-only.

    A list takes one more query for every 500 objects. Lists within lists are included if
    they are prefetched. If the objects come from ``with_lock_state()``, no query is
    needed.

    In the answer to a write that releases the lock, the object is free.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("source", "*")
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return public_state(self._info(instance))

    def _info(self, obj: Any) -> LockInfo | None:
        if not isinstance(obj, models.Model):
            if self.root.instance is None:
                return None  # input that is not saved yet
            raise TypeError(
                f"LockStateField needs an instance of a model, not {type(obj).__name__}."
            )
        locks = LockToken.objects
        write = getattr(self.context.get("view"), "locked_write", None)
        if not locks.can_be_locked(obj) or (write and write.ends_lock_of(obj)):
            return None
        if hasattr(obj, "_lock_state"):  # from with_lock_state()
            return obj._lock_state  # type: ignore[no-any-return]
        infos = self._infos_of_list()
        found = infos.get(_key(obj), self) if infos else self
        return locks.info(obj) if found is self else found  # type: ignore[return-value]

    def _infos_of_list(self) -> dict[Any, LockInfo | None]:
        """Return the states of all objects in the list around the field. Read them once."""
        if not hasattr(self, "_infos"):
            found = {_key(obj): obj for obj in _objects(self)}
            infos = LockToken.objects.infos(found.values()) if len(found) > 1 else []
            self._infos = dict(zip(found, infos, strict=False))
        return self._infos


def _objects(field: Any) -> Iterator[models.Model]:
    """Yield the objects that the field is for, if they are read already."""
    path: list[Any] = []
    serializer = field.parent
    while serializer is not None:
        path.insert(0, serializer)
        serializer = serializer.parent
    values: Iterable[Any] = [path[0].instance]
    for serializer in path:
        if isinstance(serializer.parent, serializers.BaseSerializer) and not isinstance(
            serializer.parent, serializers.ListSerializer
        ):
            values = [
                _read(value, serializer.source_attrs)
                for value in values
                if value is not None
            ]
        if isinstance(serializer, serializers.ListSerializer):
            values = [item for value in values for item in _items(value)]
    for value in (_read(value, field.source_attrs) for value in values):
        if isinstance(value, models.Model) and LockToken.objects.can_be_locked(value):
            yield value


def _items(value: Any) -> Iterable[Any]:
    """Return the items of a list. Do not run a query for them."""
    return value if isinstance(value, list | tuple | models.QuerySet) else ()


def _read(value: Any, names: Iterable[str]) -> Any:
    """Return the related object or objects; ``None`` if that takes a query."""
    for name in names:
        if not isinstance(value, models.Model):
            return None
        prefetched = getattr(value, "_prefetched_objects_cache", {})
        if name in prefetched:
            value = prefetched[name]
        else:
            value = value._state.fields_cache.get(name)
    return value


def _key(obj: models.Model) -> tuple[Any, Any]:
    return obj._meta.concrete_model, obj.pk
