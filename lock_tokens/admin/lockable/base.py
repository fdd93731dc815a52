"""What every part of ``LockableModelAdmin`` knows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import TO_FIELD_VAR
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _

from lock_tokens.locking.lock_token import LockToken

from .checks import LockableModelAdminChecks
from .request_locks import held, holds, skipped_message
from .visit import visit_of


class LockingModelAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The attributes that tune the lock, and the object of a request."""

    #: The life of a lock in seconds; ``None`` is the ``TIMEOUT`` setting.
    lock_timeout: float | None = None
    #: Whether a page that is open renews its lock.
    lock_renew: bool = True
    #: Whether a page that is left gives its lock up.
    lock_release_on_leave: bool = True
    #: Whether those with the permission may take a lock over.
    lock_take_over: bool = True
    #: Names of actions that change nothing, which run also on what others edit.
    lock_exempt_actions: Collection[str] = ()

    checks_class = LockableModelAdminChecks

    def has_take_over_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        """Say whether this user may end another's lock on the object."""
        return self.lock_take_over and request.user.has_perm(
            "lock_tokens.take_over_locktoken"
        )

    def save_model(
        self, request: HttpRequest, obj: models.Model, form: Any, change: bool
    ) -> None:
        """Save the object; from a page that does not know of locks, under one of its own.

        The pages of this class have one already. Others that save by this method, as to
        revert to an earlier version, are refused what somebody else is editing.

        Raises ``PermissionDenied`` then.
        """
        visit = visit_of(request)
        if not change or (visit and visit.fenced) or holds(request, obj):
            super().save_model(request, obj, form, change)
            return
        with held(request) as locks:
            locks.acquire([obj], self.lock_timeout, request.user)
            if locks.skipped:
                raise PermissionDenied(skipped_message(locks.skipped.items()))
            super().save_model(request, obj, form, change)
            locks.written = True

    def get_lockable_object(
        self, request: HttpRequest, object_id: str | None, is_permitted: Any
    ) -> models.Model | None:
        """Return the object of a page; ``None`` without one that may and can be locked."""
        to_field = request.POST.get(TO_FIELD_VAR, request.GET.get(TO_FIELD_VAR))
        if object_id is None or (
            to_field and not self.to_field_allowed(request, to_field)
        ):
            return None
        obj: models.Model | None = self.get_object(
            request, unquote(object_id), to_field
        )
        if obj is None or not is_permitted(request, obj):
            return None
        if not LockToken.objects.can_be_locked(obj):
            self.message_user(
                request,
                _(
                    "This cannot be locked: its key is too long. Others may be editing"
                    " it at the same time."
                ),
                messages.WARNING,
            )
            return None
        return obj
