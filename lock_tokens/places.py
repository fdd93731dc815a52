"""Where a lock is kept."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import models


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
