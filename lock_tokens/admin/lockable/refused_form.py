"""A change form without its lock: refused, with all that was typed, and the way on.

The way on is to lock the object again, or to take the lock over, and to have what was
typed in a page that can be saved.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import ObjectDoesNotExist
from django.db import models, router, transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.locking.info import LockInfo
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.refusals import TOKEN_FIELD
from lock_tokens.sessions import infos_of_others, remember, take_over_for_session
from lock_tokens.web.lock_page import AGAIN, REFUSED, LockPage, is_of, someone

from ...locking.transactions import reread
from .base import LockingModelAdmin
from .differences import differences, files_of, is_same_lock, last_change_of
from .helpers import (
    TAKE_OVER,
    context_of,
    formsets_of,
    has_gone_rows,
    is_plain_save,
    never_saving,
    with_gone_rows_as_new,
)
from .nothing_saved import DELETED, nothing_saved


class RefusedFormLocks(LockingModelAdmin):
    """The part of ``LockableModelAdmin`` that loses nothing of a form without its lock."""

    def _refuse(self, obj: models.Model, arguments: Any) -> HttpResponseBase:
        """Answer a save without the lock: all that was entered, and nothing written."""
        request, *_rest = arguments
        page = self.set_lock_page(
            request,
            obj,
            REFUSED,
            token=request.POST.get(TOKEN_FIELD, ""),
            holder=infos_of_others([obj], request.session)[0],
        )
        response = self._show_sent(obj, page, arguments)
        if (
            is_plain_save(request)
            and page.shown
            and not (page.differences or page.files or context_of(response)["errors"])
        ):
            # A second click on Save, most of all: the first one saved all this.
            self.message_user(
                request,
                _("There was nothing to save: all this is saved already."),
                messages.INFO,
            )
            # Django's own answers: a project's hooks may write.
            if page.is_popup:
                return ModelAdmin.response_change(self, request, obj)
            if "_continue" in request.POST:
                return HttpResponseRedirect(request.get_full_path())
            return ModelAdmin.response_post_save_change(self, request, obj)
        if page.shown:
            response.status_code = 403
        return response

    def _go_on(self, obj: models.Model, arguments: Any) -> HttpResponseBase:
        """Lock the object again for what was typed, which is not saved yet."""
        request, *_rest = arguments
        has_text = TOKEN_FIELD in request.POST
        try:
            token = self._lock_again(request, obj)
        except AlreadyLockedError:
            if has_text:
                return self._refuse(obj, arguments)
            return HttpResponseRedirect(request.get_full_path())
        if not has_text:
            return HttpResponseRedirect(request.get_full_path())
        page = self.set_lock_page(request, obj, AGAIN, token=token)
        return self._show_sent(obj, page, arguments)

    def _lock_again(self, request: HttpRequest, obj: models.Model) -> str:
        token = request.POST.get(TOKEN_FIELD, "")
        with suppress(InvalidToken):  # then it was not void after all
            LockToken.objects.renew(obj, token, timeout=self.lock_timeout)
            remember(obj, request.session, token)
            return token
        holder = LockToken.objects.info(obj)
        asked = request.POST.get(TAKE_OVER, "")
        if holder is not None and is_same_lock(asked, holder):
            if is_of(holder, request.user):
                return self._take_over(request, obj, holder)
            if self.has_take_over_permission(request, obj):
                with transaction.atomic(using=LockToken.objects.key_of(obj).using):
                    token = self._take_over(request, obj, holder)
                    message = _("Took over from %(name)s.") % {"name": someone(holder)}
                    self.log_change(request, obj, message)
                return token
        return self.lock_for_page(request, obj)

    def _take_over(
        self, request: HttpRequest, obj: models.Model, holder: LockInfo
    ) -> str:
        """End the holder's lock, and no other's; return the token of the new one."""
        held = take_over_for_session(
            obj,
            request.session,
            timeout=self.lock_timeout,
            user=request.user,
            locked_at=holder.locked_at,
        )
        return held["token"]

    def _show_sent(
        self, obj: models.Model, page: LockPage, arguments: Any
    ) -> HttpResponseBase:
        """Show the form as it was sent, and where it differs from what is saved."""
        request, object_id, form_url, extra_context = arguments
        using = router.db_for_write(self.model)
        if page.state == REFUSED:
            hidden = {
                "show_save": False,
                "show_save_and_continue": False,
                "show_save_and_add_another": False,
                "show_delete": False,
            }
            extra_context = {**(extra_context or {}), **hidden}

        def show() -> Any:
            # Whatever a project's hooks do on a POST, nothing of it stays.
            with transaction.atomic(using=using):
                response = super(RefusedFormLocks, never_saving(self)).changeform_view(
                    request, object_id, form_url, extra_context
                )
                transaction.set_rollback(True, using=using)
            return response

        response: HttpResponseBase = show()
        if page.is_gone:
            return nothing_saved(request, self.admin_site, DELETED, status=404)
        if page.shown and has_gone_rows(formsets_of(response)):
            request.POST = with_gone_rows_as_new(request.POST, formsets_of(response))
            response = show()
        if page.shown:
            context = context_of(response)
            formsets = formsets_of(response)
            with suppress(ObjectDoesNotExist):  # this very moment
                reread(obj)
            page.files = files_of(request, context["adminform"].form)
            page.differences = differences(obj, context["adminform"].form, formsets)
            page.last_change = last_change_of(obj)
        return response
