"""Deleting in the admin: not what somebody else is editing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import NestedObjects, quote
from django.db import models, router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import fence
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.sessions import forget, infos_of_others
from lock_tokens.web.lock_page import HELD

from .base import LockingModelAdmin, get_lock_page, is_prefetch, sent_token
from .helpers import wrap
from .request_locks import described, holds


class DeletionLocks(LockingModelAdmin):
    """The part of ``LockableModelAdmin`` that deletes."""

    @method_decorator(csrf_protect)
    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Delete the object under its lock, which the question takes already."""
        obj = self.get_lockable_object(request, object_id, self.has_delete_permission)
        if obj is None or request.method not in ("GET", "POST"):
            return super().delete_view(request, object_id, extra_context)
        if is_prefetch(request):
            return HttpResponse(status=503)
        try:
            if request.method == "POST":
                return self._delete(request, obj, object_id, extra_context)
            token = self.lock_for_page(request, obj)
            self.set_lock_page(request, obj, HELD, token=token)
            return super().delete_view(request, object_id, extra_context)
        except AlreadyLockedError as error:
            message = _("Not deleted: %(what)s.") % {"what": described(obj, error)}
        except InvalidToken as error:
            if error.obj is not obj:
                raise  # from the deletion itself
            message = _(
                "Not deleted: others may have changed it since you were asked. Look at"
                " it again."
            )
        self.message_user(request, message, messages.WARNING)
        return HttpResponseRedirect(self._way_back(request, obj))

    def _delete(
        self,
        request: HttpRequest,
        obj: models.Model,
        object_id: str,
        extra_context: dict[str, Any] | None,
    ) -> HttpResponseBase:
        lock_key = LockToken.objects.key_of(obj)
        # Not a new lock: others may have edited the object since the question.
        token = sent_token(request, obj)
        with fence(obj, token, timeout=self.lock_timeout) as fenced:
            page = self.set_lock_page(
                request, obj, HELD, token=fenced.token, fenced=True
            )
            response = super().delete_view(request, object_id, extra_context)
            fenced.release = not page.shown and response.status_code < 400
        if fenced.release:
            forget(lock_key, request.session)
        return response

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return Django's answer; what others edit of it is protected."""
        deleted, count, perms_needed, protected = super().get_deleted_objects(
            objs, request
        )
        using = router.db_for_write(self.model)
        collector = NestedObjects(using=using, origin=objs)
        collector.collect(objs)
        return deleted, count, perms_needed, [*protected, *_edited(collector, request)]

    def render_delete_form(
        self, request: HttpRequest, context: dict[str, Any]
    ) -> HttpResponse:
        response = super().render_delete_form(request, context)
        page = get_lock_page(request)
        if page is None:
            return response
        page.shown = True
        return wrap(response, "lock_tokens/admin/delete_confirmation.html", page)

    def _way_back(self, request: HttpRequest, obj: models.Model) -> str:
        if not self.has_view_or_change_permission(request, obj):
            return reverse("admin:index", current_app=self.admin_site.name)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=(quote(obj.pk),), current_app=self.admin_site.name)


def _edited(collector: NestedObjects, request: HttpRequest) -> Iterable[str]:
    """Say which of the objects that would be deleted somebody else is editing."""
    objects = [
        obj
        for model, instances in collector.data.items()
        if not model._meta.auto_created
        for obj in instances
        if LockToken.objects.can_be_locked(obj) and not holds(request, obj)
    ]
    for obj, info in zip(
        objects, infos_of_others(objects, request.session), strict=True
    ):
        if info is not None:
            yield f"{capfirst(obj._meta.verbose_name)}: {described(obj, info)}"
