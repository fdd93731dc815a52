"""The lock token, and the model that can be locked."""

from __future__ import annotations

import datetime
import warnings
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, IntegrityError, models, router, transaction
from django.db.models.signals import class_prepared, post_delete
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import settings
from .exceptions import (
    InvalidToken,
    LockExpiredWarning,
    NoLockWarning,
)
from .fields import ObjectKeyField, UTCDateTimeField, to_utc
from .info import LockInfo
from .keys import MAX_LENGTH
from .managers import LockableModelManager, LockTokenManager, get_and_lock
from .tokens import new_token


def default_expiry() -> datetime.datetime:
    """Return the expiry of a row that is made without the lock's own statements."""
    return timezone.now() + datetime.timedelta(seconds=settings.get_timeout())


def token_dict(token: str, expires_at: datetime.datetime) -> dict[str, str]:
    """Return what the holder of a lock gets: the token and its expiry.

    ``expires`` is in the ``DATEFORMAT`` setting's format and in UTC (in ``TIME_ZONE``
    when ``USE_TZ`` is off); ``expires_at`` is ISO 8601 in UTC, for programs.
    """
    if timezone.is_naive(expires_at):
        shown = timezone.make_aware(expires_at)
    else:
        shown = to_utc(expires_at)
    return {
        "token": token,
        "expires": shown.strftime(settings.DATEFORMAT),
        "expires_at": to_utc(expires_at).isoformat(),
    }


class LockToken(models.Model):
    """The lock of one object. ``token_str`` is the secret that proves it yours.

    Rows are made and ended by the manager's methods, which decide by the database's
    clock in one statement each.
    """

    created = UTCDateTimeField(_("created"), default=timezone.now, editable=False)
    token_str = models.CharField(
        _("token"), max_length=32, editable=False, default=new_token
    )
    # The unique key below begins with this column: an index of its own would only
    # have to be written.
    locked_object_content_type = models.ForeignKey(
        ContentType,
        on_delete=models.CASCADE,
        verbose_name=_("type of the object"),
        db_index=False,
    )
    locked_object_id = ObjectKeyField(_("key of the object"), max_length=MAX_LENGTH)
    locked_object = GenericForeignKey("locked_object_content_type", "locked_object_id")
    locked_at = UTCDateTimeField(_("locked at"), default=timezone.now, editable=False)
    # No index: a renewal changes this column alone, and as long as no index has it,
    # PostgreSQL updates the row in place (heap-only), without bloat under heartbeats.
    # The clean-up scans the table, which has one row for each object being edited.
    expires_at = UTCDateTimeField(
        _("expires at"), default=default_expiry, editable=False
    )
    # No constraint: whether a lock may be had must not hang on the user's row, nor
    # wait for a transaction that changes it.
    locked_by = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        verbose_name=_("locked by"),
        related_name="+",
        null=True,
        blank=True,
        editable=False,
        db_constraint=False,
        db_index=False,
    )

    objects = LockTokenManager()

    class Meta:
        verbose_name = _("lock token")
        verbose_name_plural = _("lock tokens")
        unique_together = (("locked_object_content_type", "locked_object_id"),)
        permissions = [("take_over_locktoken", "Can take over another's lock")]

    def __str__(self) -> str:
        return f"{self.locked_object_content_type} {self.locked_object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row; a row that was deleted meanwhile is not made again.

        A new row takes the place of an expired one.

        Raises ``AlreadyLockedError`` when a new row meets another lock of its object,
        and ``InvalidToken`` when a loaded row is gone.
        """
        new = self._state.adding or self.pk is None
        if not new:
            kwargs["force_update"] = True
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        locks = type(self)._default_manager.db_manager(using)
        try:
            with transaction.atomic(using=using):
                if new:
                    locks.remove_expired_at(self)
                super().save(*args, **kwargs)
        except IntegrityError as error:
            raise locks.refusal(locks.place_of_lock(self)) from error
        except DatabaseError as error:
            if new or type(self)._base_manager.using(using).filter(pk=self.pk).exists():
                raise
            raise InvalidToken(f"{self} has lost this lock.") from error

    def has_expired(self) -> bool:
        """Say whether the expiry has passed, by this host's clock.

        For display. What decides is the database's clock: ``is_locked()``.
        """
        expired: bool = self.expires_at <= timezone.now()
        return expired

    def get_expiration_datetime(self) -> datetime.datetime:
        """Return the expiry."""
        expires_at: datetime.datetime = self.expires_at
        return expires_at

    def renew(self, timeout: float | None = None) -> None:
        """Let the lock run ``timeout`` seconds (``TIMEOUT`` by default) from now.

        Raises ``InvalidToken`` when this row no longer stands; never makes a new one.
        """
        manager = type(self)._default_manager.db_manager(self._state.db)
        place = manager.place_of_lock(self)
        self.expires_at = manager.renew(place, self.token_str, timeout=timeout)

    def serialize(self) -> dict[str, str]:
        """Return the token dict: ``token``, ``expires`` and ``expires_at``."""
        return token_dict(self.token_str, self.expires_at)

    def info(self) -> LockInfo:
        """Return what may be told to anybody: who, since when and until when."""
        return LockInfo(self.holder(), self.locked_at, self.expires_at)

    def holder(self) -> Any:
        """Return the user who holds the lock; ``None`` when unknown or gone."""
        if self.locked_by_id is None:
            return None
        if type(self)._meta.get_field("locked_by").is_cached(self):
            return self.locked_by
        users = get_user_model()
        manager = users._base_manager.using(router.db_for_read(users))
        return manager.filter(pk=self.locked_by_id).first()


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

        Raises ``AlreadyLockedError`` when another live lock stands, ``InvalidToken``
        when the given token is void or the object has no lock, and ``ValueError`` for a
        bad timeout or an unsaved user.
        """
        if token is None:
            return LockToken.objects.acquire(
                self, timeout=timeout, user=user
            ).serialize()
        return token_dict(token, LockToken.objects.renew(self, token, timeout=timeout))

    def unlock(self: models.Model, token: str) -> None:
        """Give the lock up.

        Raises ``UnlockForbiddenError`` when the token is not that of the object's lock.
        """
        LockToken.objects.release(self, token)

    def is_locked(self: models.Model) -> bool:
        """Say whether a live lock stands on the object."""
        return LockToken.objects.is_locked(self)

    def check_lock(self: models.Model, token: str | None) -> bool:
        """Say whether this is the token of the object's lock.

        Also when the lock has expired, with a ``LockExpiredWarning``: nobody took it,
        so it is still valid. A token on an object without any lock is void, with a
        ``NoLockWarning``. To *save* on the strength of a token, use ``fence()``: what
        is true here may be over one statement later.
        """
        return _check_lock(self, token)

    def check_lock_token(self: models.Model, token: str | None) -> bool:
        """:meth:`check_lock`, by the name that it had up to 0.2.5."""
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
    standing = LockToken.objects.standing(obj)
    if standing is None:
        warnings.warn("This object has no lock.", NoLockWarning, stacklevel=3)
        return False
    if not standing.has(token):
        return False
    if not standing.live:
        warnings.warn(
            "This lock has expired, and nobody has taken it.",
            LockExpiredWarning,
            stacklevel=3,
        )
    return True


def remove_lock_of_deleted(
    sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
) -> None:
    """Remove the lock of a ``LockableModel`` object together with the object."""
    try:
        LockToken.objects.remove(LockToken.objects.place_of_deleted(instance, using))
    except ValueError:
        return  # a key that cannot be locked


def watch_deletion(sender: type[models.Model], **kwargs: Any) -> None:
    """Have the locks of a lockable model's objects removed with them.

    One receiver a model, not one for all: a receiver without a sender would cost every
    model of the project Django's fast deletion.
    """
    if issubclass(sender, LockableModel):
        post_delete.connect(
            remove_lock_of_deleted,
            sender=sender,
            dispatch_uid=("lock_tokens.remove_lock_of_deleted", sender._meta.label),
        )


class_prepared.connect(watch_deletion, dispatch_uid="lock_tokens.watch_deletion")
