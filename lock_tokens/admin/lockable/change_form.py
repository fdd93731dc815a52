"""The change page: to open it locks the object, and no other page can save."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import options
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from lock_tokens.locking.transactions import reread
from lock_tokens.web.lock_page import ELSEWHERE, LOCKED

from .base import LockingModelAdmin
from .change_visit import ChangeVisit
from .helpers import OWN_BUTTONS, context_of, formsets_of, show_all_rows, wrap
from .nothing_saved import keeping_input
from .visit import visit_of


class ChangeFormLocks(LockingModelAdmin):
    """The part of ``LockableModelAdmin`` for the change page."""

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
        """Lock the object for its change page, and save only what comes from that page."""
        if request.method == "POST" and self._posts_action(request):
            return super().changeform_view(request, object_id, form_url, extra_context)
        obj = self.get_lockable_object(request, object_id, self.has_change_permission)
        visit = ChangeVisit(self, request, obj, object_id, form_url, extra_context)
        return visit.answer()

    def _next_changeform_view(self, *arguments: Any) -> Any:
        """Return the answer of the next class, for a visit that has seen to the lock."""
        return super().changeform_view(*arguments)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> models.Model | None:
        """Return the object; under a new lock as it is now, whatever was read before."""
        obj: models.Model | None = super().get_object(request, object_id, from_field)
        visit = visit_of(request)
        if visit is None:
            return obj
        if obj is None:
            visit.is_gone = True
        elif (
            visit.is_new
            and connections[obj._state.db or DEFAULT_DB_ALIAS].in_atomic_block
        ):
            reread(obj)
        return obj

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = super().render_change_form(request, context, *args, **kwargs)
        visit = visit_of(request)
        if visit is None:
            return response
        visit.shown = True
        if visit.page.bound:
            for formset in formsets_of(response):
                show_all_rows(formset)
        if visit.page.state in (LOCKED, ELSEWHERE):
            context_of(response).update(save_as=False, action_form=None)
        return wrap(response, "lock_tokens/admin/change_form.html", visit.page)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        visit = visit_of(request)
        if visit is not None and visit.fenced:
            visit.saved = True
        return super().log_change(request, obj, message)

    def _posts_action(self, request: HttpRequest) -> bool:
        """Say whether Django runs this as an action of a change page (from 6.1 on)."""
        location = getattr(options, "ActionLocation", None)
        if location is None or OWN_BUTTONS & {*request.POST}:
            return False
        location = location.CHANGE_FORM
        return f"{location.value}-action" in request.POST and bool(
            self._get_actions_with_action_location(  # type: ignore[attr-defined]
                request, action_location=location
            )
        )
