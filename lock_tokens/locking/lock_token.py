"""The table of locks: one row for each locked object."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, IntegrityError, models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..exceptions import InvalidToken
from ..settings import get_timeout
from .fields import ObjectKeyField, UTCDateTimeField
from .info import LockInfo, token_dict
from .lock_key import key_of_row
from .manager import LockTokenManager
from .object_keys import MAX_LENGTH
from .tokens import new_token


def default_expiry() -> datetime:
    """Return the expiry of a row that is made without the lock's own statements."""
    return timezone.now() + timedelta(seconds=get_timeout())


class LockToken(models.Model):
    """The lock of one object. ``token_str`` is the secret that proves it yours.

    The manager's methods make and end rows, each in one statement that decides by the
    database's clock.
    """

    created = UTCDateTimeField(_("created"), default=timezone.now, editable=False)
    token_str = models.CharField(
        _("token"), max_length=32, editable=False, default=new_token
    )
    # No index of its own: the unique key below begins with this column.
    locked_object_content_type = models.ForeignKey(
        ContentType,
        on_delete=models.CASCADE,
        verbose_name=_("type of the object"),
        db_index=False,
    )
    locked_object_id = ObjectKeyField(_("key of the object"), max_length=MAX_LENGTH)
    locked_object = GenericForeignKey("locked_object_content_type", "locked_object_id")
    locked_at = UTCDateTimeField(_("locked at"), default=timezone.now, editable=False)
    # No index: a renewal changes this column alone. As long as no index has it,
    # PostgreSQL updates the row in place (heap-only), and heartbeats do not bloat it.
    # The clean-up scans the table, which has one row for each object being edited.
    expires_at = UTCDateTimeField(
        _("expires at"), default=default_expiry, editable=False
    )
    # No constraint: acquiring a lock must not depend on the user's row, and must not
    # wait for a transaction that changes it.
    locked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        verbose_name=_("locked by"),
        related_name="+",
        null=True,
        blank=True,
        editable=False,
        db_constraint=False,
        db_index=False,
    )

    objects = LockTokenManager["LockToken"]()

    class Meta:
        verbose_name = _("lock token")
        verbose_name_plural = _("lock tokens")
        unique_together = (("locked_object_content_type", "locked_object_id"),)
        permissions = [("take_over_locktoken", "Can take over another's lock")]

    def __str__(self) -> str:
        return f"{self.locked_object_content_type} {self.locked_object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row. A new row replaces an expired one.

        A row that was deleted meanwhile is not made again.

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
                    locks.using(using).at(key_of_row(locks, self)).expired().delete()
                super().save(*args, **kwargs)
        except IntegrityError as error:
            raise locks.refusal(key_of_row(locks, self)) from error
        except DatabaseError as error:
            if new or type(self)._base_manager.using(using).filter(pk=self.pk).exists():
                raise
            raise InvalidToken(f"{self} has lost this lock.") from error

    def has_expired(self) -> bool:
        """Say whether the expiry has passed, by this host's clock.

        This is for display. ``is_locked()`` decides by the database's clock.
        """
        expired: bool = self.expires_at <= timezone.now()
        return expired

    def get_expiration_datetime(self) -> datetime:
        """Return the expiry."""
        expires_at: datetime = self.expires_at
        return expires_at

    def renew(self, timeout: float | None = None) -> None:
        """Let the lock run ``timeout`` seconds (``TIMEOUT`` by default) from now.

        Raises ``InvalidToken`` when this row is gone; never makes a new one.
        """
        locks = type(self)._default_manager.db_manager(self._state.db)
        lock_key = key_of_row(locks, self)
        self.expires_at = locks.renew(lock_key, self.token_str, timeout=timeout)

    def serialize(self) -> dict[str, str]:
        """Return the token dict: ``token``, ``expires`` and ``expires_at``."""
        return token_dict(self.token_str, self.expires_at)

    def info(self) -> LockInfo:
        """Return what may be told to anybody: who, since when and until when."""
        return LockInfo(self.holder(), self.locked_at, self.expires_at)

    def holder(self) -> Any:
        """Return the user who holds the lock; ``None`` when unknown or deleted."""
        if self.locked_by_id is None:
            return None
        if type(self)._meta.get_field("locked_by").is_cached(self):
            return self.locked_by
        users = get_user_model()
        manager = users._base_manager.using(router.db_for_read(users))
        return manager.filter(pk=self.locked_by_id).first()
