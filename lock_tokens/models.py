"""The model that can be locked, and the lock token."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import models, transaction
from django.db.models.signals import class_prepared, pre_delete

from .exceptions import LockExpiredWarning, NoLockWarning
from .locking.info import LockInfo, token_dict
from .locking.lock_key import LockKey, key_in
from .locking.lock_token import LockToken, default_expiry
from .locking.tokens import is_well_formed
from .managers import LockableModelManager, get_and_lock

__all__ = [
    "LockInfo",
    "LockKey",
    "LockToken",
    "LockableModel",
    "default_expiry",
    "token_dict",
]


class LockableModel(models.Model):
    """A model whose objects can be locked. Adds no field and needs no migration.

    Inherit from it, or call its methods on an instance of any model:
    ``LockableModel.lock(obj)``. All methods raise ``ValueError`` for an object that is
    not saved, or whose key is composite or longer than 255 characters.
    """

    objects = LockableModelManager()

    class Meta:
        abstract = True

    def lock(
        self: models.Model,
        token: str | None = None,
        *,
        timeout: float | None = None,
        user: Any = None,
    ) -> dict[str, str]:
        """Lock the object, or with a token renew its lock; return the token dict.

        ``timeout`` is the lock's life from now in seconds, the ``TIMEOUT`` setting by
        default. ``user`` is recorded as the holder of a new lock.

        Without a token it raises ``AlreadyLockedError`` when the object has a live lock.
        With a token it raises ``InvalidToken`` when that is void or the object has no
        lock. It raises ``ValueError`` for a bad timeout or an unsaved user, and
        ``TypeError`` for a token that is no ``str``.
        """
        if token is None:
            return LockToken.objects.acquire(
                self, timeout=timeout, user=user
            ).serialize()
        return token_dict(token, LockToken.objects.renew(self, token, timeout=timeout))

    def unlock(self: models.Model, token: str) -> None:
        """Give the lock up.

        Raises ``UnlockForbiddenError`` when the token is not that of the object's lock,
        and ``TypeError`` when it is no ``str``.
        """
        LockToken.objects.release(self, token)

    def is_locked(self: models.Model) -> bool:
        """Say whether the object has a live lock."""
        return LockToken.objects.is_locked(self)

    def check_lock(self: models.Model, token: str | None) -> bool:
        """Say whether this is the token of the object's lock.

        The token of an expired lock is still valid, since nobody took the lock; it gives
        a ``LockExpiredWarning``. Any token of an object without a lock is void, and gives
        a ``NoLockWarning``. To *save* with a token, use ``fence()``: what this method
        says may have changed one statement later.

        Raises ``TypeError`` for a token that is neither a ``str`` nor ``None``.
        """
        return _check_lock(self, token)

    def check_lock_token(self: models.Model, token: str | None) -> bool:
        """The old name of :meth:`check_lock`, up to 0.2.5."""
        return _check_lock(self, token)

    def lock_info(self: models.Model) -> LockInfo | None:
        """Return who locks the object, since when and until when; ``None`` if free."""
        return LockToken.objects.info(self)

    @classmethod
    def get_and_lock(cls, *args: Any, **lookup: Any) -> tuple[Any, dict[str, str]]:
        """Return the object that ``get()`` finds, locked, and its token dict.

        As ``LockableModelManager.get_and_lock``, whatever the model's own manager is.
        """
        return get_and_lock(cls._default_manager, *args, **lookup)

    async def alock(
        self: models.Model, token: str | None = None, **options: Any
    ) -> dict[str, str]:
        """:meth:`lock`, awaitable."""
        return await sync_to_async(LockableModel.lock)(self, token, **options)

    async def aunlock(self: models.Model, token: str) -> None:
        """:meth:`unlock`, awaitable."""
        await sync_to_async(LockableModel.unlock)(self, token)

    async def ais_locked(self: models.Model) -> bool:
        """:meth:`is_locked`, awaitable."""
        return await sync_to_async(LockableModel.is_locked)(self)

    async def acheck_lock(self: models.Model, token: str | None) -> bool:
        """:meth:`check_lock`, awaitable."""
        return await sync_to_async(LockableModel.check_lock)(self, token)

    async def alock_info(self: models.Model) -> LockInfo | None:
        """:meth:`lock_info`, awaitable."""
        return await sync_to_async(LockableModel.lock_info)(self)

    @classmethod
    async def aget_and_lock(
        cls, *args: Any, **lookup: Any
    ) -> tuple[Any, dict[str, str]]:
        """:meth:`get_and_lock`, awaitable."""
        return await sync_to_async(cls.get_and_lock)(*args, **lookup)


def _check_lock(obj: models.Model, token: str | None) -> bool:
    is_well_formed(token)  # raises for what is no text, whether there is a lock or not
    current = LockToken.objects.current_token(obj)
    if current is None:
        warnings.warn("This object has no lock.", NoLockWarning, stacklevel=3)
        return False
    if not current.matches(token):
        return False
    if not current.live:
        warnings.warn(
            "This lock has expired, but nobody else has taken it.",
            LockExpiredWarning,
            stacklevel=3,
        )
    return True


def remove_lock_of_deleted(
    sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
) -> None:
    """Remove the lock of a ``LockableModel`` object that is about to be deleted.

    The lock goes before the object's row. A save under the lock takes the two rows in
    the same order, so neither waits for the other in a circle. A lock in another
    database is not part of the transaction: it goes when the deletion has committed.
    """
    try:
        lock_key = key_in(LockToken.objects, instance, using)
    except ValueError:
        return  # a key that cannot be locked
    if lock_key.using == using:
        LockToken.objects.remove(lock_key)
    else:
        remove = partial(LockToken.objects.remove, lock_key)
        transaction.on_commit(remove, using=using, robust=True)


def watch_deletion(sender: type[models.Model], **kwargs: Any) -> None:
    """Connect the receiver that removes the locks of a lockable model's objects.

    Each model has its own. A receiver without a sender would take Django's fast
    deletion away from every model of the project.
    """
    if issubclass(sender, LockableModel):
        pre_delete.connect(
            remove_lock_of_deleted,
            sender=sender,
            dispatch_uid=("lock_tokens.remove_lock_of_deleted", sender._meta.label),
        )


class_prepared.connect(watch_deletion, dispatch_uid="lock_tokens.watch_deletion")
