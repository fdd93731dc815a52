"""Where a lock is kept, and how a manager finds that out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import connections, models, router

from .keys import object_key, text_key

if TYPE_CHECKING:
    from .models import LockToken


class Place(NamedTuple):
    """Where an object's lock is kept: database, content type and key."""

    using: str
    content_type: ContentType
    key: str

    @property
    def model(self) -> type[models.Model]:
        """The concrete model of the locked object."""
        return self.content_type.model_class()  # type: ignore[return-value]

    @property
    def about(self) -> tuple[str, ...]:
        """What a token of this place is for, in words that no other place has."""
        return (*self.content_type.natural_key(), self.key)

    def __str__(self) -> str:
        return f"{self.content_type.name} {self.key}"


def database_of(obj: models.Model | Place) -> str:
    """Return the database that the object itself is written to."""
    if isinstance(obj, Place):
        return router.db_for_write(obj.model)
    return router.db_for_write(type(obj), instance=obj)


class PlacingManager(models.Manager["LockToken"]):
    """The part of ``LockToken.objects`` that says where the lock of an object is kept."""

    def place_of(self, obj: models.Model | Place) -> Place:
        """Return where the lock of ``obj`` is kept."""
        if isinstance(obj, Place):
            return obj
        key = object_key(obj)
        return self._place(type(obj), key, obj)

    def can_be_locked(self, obj: models.Model) -> bool:
        """Say whether the object's key can be one of a lock.

        Not that of an unsaved object, nor a composite one, nor one that is too long.
        """
        try:
            self.place_of(obj)
        except ValueError:
            return False
        return True

    def place_of_key(self, model: type[models.Model], key: Any) -> Place:
        """Return where the lock of the object with this key is kept.

        For an object that is not at hand. Where the table's collation takes several
        spellings of a text key for one, give the key as the row has it.

        Raises ``ValueError`` when ``key`` cannot be a key of the model.
        """
        hint = self._object_in(router.db_for_write(model))
        return self._place(model, text_key(model, key), hint)

    def place_of_deleted(self, obj: models.Model, using: str) -> Place:
        """Return where the lock of an object was kept that ``using`` has no longer.

        Raises ``ValueError`` when the key is composite or too long.
        """
        model = type(obj)
        return self._place(model, text_key(model, obj.pk), self._object_in(using))

    def place_of_lock(self, lock: LockToken) -> Place:
        """Return the place of a loaded row."""
        using = self._db or lock._state.db or router.db_for_write(self.model)
        content_types = ContentType.objects.db_manager(using)
        content_type = content_types.get_for_id(lock.locked_object_content_type_id)
        return Place(using, content_type, str(lock.locked_object_id))

    def _place(self, model: type[models.Model], key: str, hint: models.Model) -> Place:
        using = self._db or router.db_for_write(self.model, instance=hint)
        features = connections[using].features
        if "\0" in key and features.prohibits_null_characters_in_text_exception:
            raise ValueError("This database takes no NUL character in a key.")
        content_types = ContentType.objects.db_manager(using)
        return Place(using, content_types.get_for_model(model), key)

    def _object_in(self, using: str) -> LockToken:
        """Return something that a router can ask where it came from."""
        hint = self.model()
        hint._state.db = using
        return hint
