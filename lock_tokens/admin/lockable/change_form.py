"""The change page: whoever opens it locks the object, and only they can save.

A save is checked against the token of the page it comes from, in one transaction with
all that it writes.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any, cast

from django.contrib.admin import options
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.holding import FencedLock, fence
from lock_tokens.locking.info import LockInfo
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.refusals import TOKEN_FIELD
from lock_tokens.sessions import forget, remember
from lock_tokens.web.lock_page import ELSEWHERE, HELD, LOCKED, is_of
from lock_tokens.web.request_tokens import forget_token

from ...locking.transactions import reread
from .base import get_lock_page, is_prefetch, sent_token
from .helpers import (
    LOCK_AGAIN,
    OWN_BUTTONS,
    SAVE_AS_NEW,
    TAKE_OVER,
    context_of,
    formsets_of,
    read_only,
    show_all_rows,
    wrap,
)
from .nothing_saved import DELETED, FORBIDDEN, is_form, keeping_input, nothing_saved
from .refused_form import RefusedFormLocks


class ChangeFormLocks(RefusedFormLocks):
    """The part of ``LockableModelAdmin`` that has the change page."""

    def get_urls(self) -> Any:
        urls = super().get_urls()
        own = f"{self.opts.app_label}_{self.opts.model_name}"
        forms = {f"{own}_{page}" for page in ("add", "change", "changelist")}
        for pattern in urls:
            if pattern.name in forms:
                pattern.callback = keeping_input(pattern.callback, self.admin_site)
        return urls

    @method_decorator(csrf_protect)
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Lock the object for its change page, and save only what comes from that."""
        arguments = (request, object_id, form_url, extra_context)
        if request.method == "POST" and self._posts_action(request):
            return super().changeform_view(*arguments)
        obj = self.get_lockable_object(request, object_id, self.has_change_permission)
        if obj is None:
            return self._without_lock(arguments)
        if SAVE_AS_NEW in request.POST:
            return self._save_as_new(obj, arguments)
        if request.method == "GET":
            return self._open(obj, arguments)
        if request.method != "POST":
            return super().changeform_view(*arguments)
        if {LOCK_AGAIN, TAKE_OVER} & {*request.POST}:
            return self._go_on(obj, arguments)
        return self._save(obj, arguments)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> models.Model | None:
        """Return the object; under a lock as it is now, whatever was read before."""
        obj: models.Model | None = super().get_object(request, object_id, from_field)
        page = get_lock_page(request)
        if page is not None and obj is None:
            page.is_gone = True
        if (
            obj is not None
            and page is not None
            and page.is_new
            and connections[obj._state.db or DEFAULT_DB_ALIAS].in_atomic_block
        ):
            reread(obj)
        return obj

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = super().render_change_form(request, context, *args, **kwargs)
        page = get_lock_page(request)
        if page is None:
            return response
        page.shown = True
        if page.bound:
            for formset in formsets_of(response):
                show_all_rows(formset)
        if page.state in (LOCKED, ELSEWHERE):
            context_of(response).update(save_as=False, action_form=None)
        return wrap(response, "lock_tokens/admin/change_form.html", page)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        page = get_lock_page(request)
        if page is not None and page.fenced:
            page.saved = True
        return super().log_change(request, obj, message)

    # Inner matters

    def _posts_action(self, request: HttpRequest) -> bool:
        """Say whether Django takes this for an action of a change page (from 6.1 on)."""
        location = getattr(options, "ActionLocation", None)
        if location is None or OWN_BUTTONS & {*request.POST}:
            return False
        location = location.CHANGE_FORM
        return f"{location.value}-action" in request.POST and bool(
            self._get_actions_with_action_location(  # type: ignore[attr-defined]
                request, action_location=location
            )
        )

    def _without_lock(self, arguments: Any) -> HttpResponseBase:
        """Let Django answer; but not with a redirect that would lose what was typed."""
        request, object_id, *_rest = arguments
        if (
            is_form(request)
            and object_id
            and SAVE_AS_NEW not in request.POST
            and self.has_change_permission(request)
            and self.get_object(request, unquote(object_id)) is None
        ):
            return nothing_saved(request, self.admin_site, DELETED, status=404)
        try:
            return cast("HttpResponseBase", super().changeform_view(*arguments))
        except PermissionDenied:
            if not is_form(request) or TOKEN_FIELD not in request.POST:
                raise
            return nothing_saved(request, self.admin_site, FORBIDDEN, status=403)

    def _save_as_new(self, obj: models.Model, arguments: Any) -> HttpResponseBase:
        """Let Django add another object, and give up the lock of the one it is made of."""
        request, *_rest = arguments
        token = request.POST.get(TOKEN_FIELD, "")
        current = LockToken.objects.current_token(obj)
        if current is None or not current.matches(token):
            return self._without_lock(arguments)
        self.set_lock_page(request, obj, HELD, token=token)
        response = super().changeform_view(*arguments)
        if response.status_code // 100 == 3:
            with suppress(UnlockForbiddenError):
                LockToken.objects.release(obj, token)
                forget(obj, request.session)
        return response

    def _open(self, obj: models.Model, arguments: Any) -> HttpResponseBase:
        request, *_rest = arguments
        if is_prefetch(request):
            return HttpResponse(status=503)
        try:
            token = self.lock_for_page(request, obj)
        except AlreadyLockedError as error:
            return self._show_locked(obj, error, arguments)
        self.set_lock_page(request, obj, HELD, token=token)
        return super().changeform_view(*arguments)

    def _show_locked(
        self, obj: models.Model, error: AlreadyLockedError, arguments: Any
    ) -> HttpResponseBase:
        request, object_id, form_url, extra_context = arguments
        holder = LockInfo(
            error.locked_by, cast("Any", error.locked_at), cast("Any", error.expires_at)
        )
        state = ELSEWHERE if is_of(holder, request.user) else LOCKED
        self.set_lock_page(
            request, obj, state, holder=holder if error.locked_at else None
        )
        hidden = {**(extra_context or {}), "show_delete": False}
        return super(ChangeFormLocks, read_only(self)).changeform_view(
            request, object_id, form_url, hidden
        )

    def _save(self, obj: models.Model, arguments: Any) -> HttpResponseBase:
        request, *_rest = arguments
        token = sent_token(request, obj)
        lock_key = LockToken.objects.key_of(obj)
        with ExitStack() as stack:
            try:
                fenced = stack.enter_context(
                    fence(obj, token, timeout=self.lock_timeout)
                )
            except InvalidToken:
                return self._refuse(obj, arguments)
            page = self.set_lock_page(
                request, obj, HELD, token=fenced.token, fenced=True
            )
            response = super().changeform_view(*arguments)
            page.fenced = False
            if page.is_gone:
                return nothing_saved(request, self.admin_site, DELETED, status=404)
            # Another page than these is a question, of a package that asks before it saves.
            status = response.status_code
            saved = status < 400 and (page.saved or status >= 300)
            fenced.release = saved
            if saved and "_continue" in request.POST:
                self._lock_anew(obj, request, fenced)
        if not saved:
            remember(obj, request.session, fenced.token)
        else:
            forget_token(request, lock_key, fenced.token)
        return response

    def _lock_anew(
        self, obj: models.Model, request: HttpRequest, fenced: FencedLock
    ) -> None:
        """Go on with a new token: other tabs that have the old one show the old text."""
        LockToken.objects.release(obj, fenced.token)
        fenced.release = False
        forget(obj, request.session)
        self.lock_for_page(request, obj)
