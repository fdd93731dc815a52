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
from lock_tokens.sessions import lock_for_session
from lock_tokens.web.lock_page import LockPage
from lock_tokens.web.request_tokens import form_token, own_or_session_token

from .checks import LockableModelAdminChecks
from .differences import new_page
from .request_locks import held, holds, skipped_message


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
        page = get_lock_page(request)
        if not change or (page and page.fenced) or holds(request, obj):
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

    def lock_for_page(self, request: HttpRequest, obj: models.Model) -> str:
        """Lock the object for a page that shows it now, and return the token.

        Raises ``AlreadyLockedError`` when another live lock stands.
        """
        held = lock_for_session(
            obj,
            request.session,
            force_new=True,
            timeout=self.lock_timeout,
            user=request.user,
        )
        return held["token"]

    def set_lock_page(
        self, request: HttpRequest, obj: models.Model, state: str, **more: Any
    ) -> LockPage:
        """Note what this request's page is told of the lock; ``more`` are its fields."""
        page = new_page(self, request, obj, state)
        for name, value in more.items():
            setattr(page, name, value)
        request._lock_page = page  # type: ignore[attr-defined]
        return page


def sent_token(request: HttpRequest, obj: models.Model) -> str:
    """Return the token of the form that was sent, else the session's; empty if none."""
    return own_or_session_token(form_token(request), request, obj)


def is_prefetch(request: HttpRequest) -> bool:
    """Say whether nobody sees the page yet.

    Answered with an error, the browser asks again when somebody does.
    """
    return "prefetch" in request.headers.get("Sec-Purpose", "")


def get_lock_page(request: HttpRequest) -> LockPage | None:
    """Return what this request's page is told of its lock; ``None`` without one."""
    return getattr(request, "_lock_page", None)
