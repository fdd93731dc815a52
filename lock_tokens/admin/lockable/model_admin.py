"""``LockableModelAdmin``, the admin of models whose edits are locked."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin, display, options
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import TO_FIELD_VAR
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, connections, models, router, transaction
from django.db.models.query import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_protect

from lock_tokens.locking.error_reports import hide_tokens
from lock_tokens.locking.info import LockInfo
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.locking.primary import reading_from_primary
from lock_tokens.locking.transactions import reread
from lock_tokens.refusals import TOKEN_HEADER
from lock_tokens.settings import get_timeout
from lock_tokens.web.lock_page import (
    AGAIN,
    ELSEWHERE,
    HELD,
    LOCKED,
    REFUSED,
    since,
    someone,
)

from .change_list import LockStateFilter, posted_action, selects_across
from .change_visit import ChangeVisit
from .checks import COLUMNS, LockableModelAdminChecks
from .deletion import DeleteVisit, edited_by_others
from .helpers import (
    NO_OTHER_BUTTONS,
    OWN_BUTTONS,
    context_of,
    formsets_of,
    show_all_rows,
    with_free_names,
    wrap,
)
from .inline_rows import lock_aware_inline, lock_rows, show_refused
from .list_editable import lock_aware
from .nothing_saved import keeping_input
from .object_views import has_written, respecting_locks
from .request_locks import (
    has_request_lock,
    note_write,
    request_locks,
    skipped_message,
)
from .trees import skip_edited_below
from .visit import visit_of

LONG_ENOUGH = 3600  # seconds, for an action


class LockableModelAdmin(ModelAdmin):  # type: ignore[type-arg]
    """A ``ModelAdmin`` under which two people cannot edit one object at the same time.

    It works for every model, lockable or not. The user who opens a change page locks its
    object, and only the page that holds the lock can be saved. Others see the page
    read-only, and the name of the user who is editing. ``docs/admin.rst`` describes it all.

    You can combine it with other ModelAdmin classes.
    """

    #: The life of a lock in seconds; ``None`` is the ``TIMEOUT`` setting.
    lock_timeout: float | None = None
    #: Whether a page that is open renews its lock.
    lock_renew: bool = True
    #: Whether a page releases its lock when the user leaves it.
    lock_release_on_leave: bool = True
    #: Whether users with the permission may take over a lock.
    lock_take_over: bool = True
    #: Names of actions that change nothing. They run even on what others are editing.
    lock_exempt_actions: Collection[str] = ()

    #: Names of URLs in ``get_urls()`` that change nothing. Their views lock nothing.
    lock_exempt_views: Collection[str] = ()

    checks_class = LockableModelAdminChecks

    def has_take_over_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        """Say whether this user may end another's lock on the object."""
        return self.lock_take_over and request.user.has_perm(
            "lock_tokens.take_over_locktoken"
        )

    @property
    def urls(self) -> Any:
        """Django's URLs and the project's, whose views of objects respect the lock."""
        return respecting_locks(self.get_urls(), self)

    # The change page

    def get_urls(self) -> Any:
        urls = super().get_urls()
        own = f"{self.opts.app_label}_{self.opts.model_name}"
        forms = {f"{own}_{page}" for page in ("add", "change", "changelist")}
        for pattern in urls:
            if pattern.name in forms:
                pattern.callback = keeping_input(pattern.callback, self)
        return urls

    @method_decorator(csrf_protect)
    @reading_from_primary()
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Lock the object for its change page, and save only what comes from that page."""
        hide_tokens(request)
        if request.method == "POST" and self._posts_action(request):
            return super().changeform_view(request, object_id, form_url, extra_context)
        obj = self.get_lockable_object(request, object_id, self.has_change_permission)
        visit = ChangeVisit(self, request, obj, object_id, form_url, extra_context)
        return visit.answer()

    def _next_changeform_view(self, *arguments: Any, is_fenced: bool = False) -> Any:
        """Return the answer of the next class, for a visit that has seen to the lock.

        In a fence, Django's own view begins no second transaction, which would cost a
        savepoint. Any error ends the fence.
        """
        view: Any = super().changeform_view
        using = router.db_for_write(self.model)
        if (
            is_fenced
            and connections[using].in_atomic_block
            and view.__func__ is ModelAdmin.changeform_view
        ):
            with transaction.atomic(using=using, savepoint=False):
                return self._changeform_view(*arguments)  # type: ignore[attr-defined]
        return view(*arguments)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> models.Model | None:
        """Return the object. A page with a new lock shows it as it is now."""
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

    def get_form(self, *args: Any, **kwargs: Any) -> Any:
        """Return Django's form. A field of the name of the token's gets another."""
        return with_free_names(super().get_form(*args, **kwargs))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = super().render_change_form(request, context, *args, **kwargs)
        visit = visit_of(request)
        if visit is None:
            return response
        visit.shown = True
        visit.context = context
        if visit.page.state in (HELD, AGAIN):
            response[TOKEN_HEADER] = visit.page.token or ""  # for scripts
        if visit.page.bound:
            formsets = formsets_of(context)
            for formset in formsets:
                show_all_rows(formset)
            show_refused(visit, context, formsets)
        if visit.page.state in (LOCKED, ELSEWHERE):
            context_of(response).update(save_as=False, action_form=None)
        if visit.page.state in (LOCKED, ELSEWHERE, REFUSED):
            context_of(response).update(NO_OTHER_BUTTONS)
        return wrap(response, "lock_tokens/admin/change_form.html", visit.page)

    def render_history_view(
        self,
        request: HttpRequest,
        template: Any,
        context: dict[str, Any],
        **kwargs: Any,
    ) -> HttpResponse:
        """Return a page of django-simple-history, which asks for it by this name."""
        response = TemplateResponse(request, template, context)
        visit = visit_of(request)
        if visit is None or "adminform" not in context:
            return response
        visit.shown = True
        return wrap(response, "lock_tokens/admin/change_form.html", visit.page)

    def get_formsets_with_inlines(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> Any:
        visit = visit_of(request)
        for formset, inline in super().get_formsets_with_inlines(request, obj):
            yield lock_aware_inline(formset, visit) if visit else formset, inline

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        visit = visit_of(request)
        if visit is not None and visit.fenced:
            visit.saved = True
        return super().log_change(request, obj, message)

    # Deletion

    @method_decorator(csrf_protect)
    @reading_from_primary()
    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Delete the object under its lock, which the page that asks first acquires."""
        hide_tokens(request)
        obj = self.get_lockable_object(request, object_id, self.has_delete_permission)
        if obj is None or request.method not in ("GET", "POST"):
            return super().delete_view(request, object_id, extra_context)
        return DeleteVisit(self, request, obj, object_id, extra_context).answer()

    def _next_delete_view(self, *arguments: Any) -> Any:
        """Return the answer of the next class, as ``_next_changeform_view`` does."""
        return super().delete_view(*arguments)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return Django's answer, in which all that others are editing is protected."""
        deleted, count, perms_needed, protected = super().get_deleted_objects(
            objs, request
        )
        edited = edited_by_others(objs, request, router.db_for_write(self.model))
        return deleted, count, perms_needed, [*protected, *edited]

    def render_delete_form(
        self, request: HttpRequest, context: dict[str, Any]
    ) -> HttpResponse:
        response = super().render_delete_form(request, context)
        visit = visit_of(request)
        if visit is None:
            return response
        visit.shown = True
        return wrap(response, "lock_tokens/admin/delete_confirmation.html", visit.page)

    # The change list

    @display(description=gettext_lazy("being edited by"), empty_value="")
    def lock_state(self, obj: models.Model) -> str | None:
        """Column for ``list_display``: who is editing the object, and since when."""
        info: LockInfo | None = None
        if hasattr(obj, "_lock_info"):
            info = obj._lock_info
        elif LockToken.objects.can_be_locked(obj):
            info = LockToken.objects.info(obj)
        if info is None:
            return None
        values = {"name": someone(info), "time": since(info.locked_at)}
        text = _("%(name)s, since %(time)s") % values
        return format_html('<span class="lock-state">{}</span>', text)

    #: The same column, for a model that has a field named ``lock_state``.
    lock_column = lock_state

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return Django's change list; one query reads the locks of all its rows."""
        changes = super().get_changelist_instance(request)
        if not COLUMNS.isdisjoint(self.get_list_display(request)):
            locks = LockToken.objects
            rows = [row for row in changes.result_list if locks.can_be_locked(row)]
            for row, info in zip(rows, locks.infos(rows), strict=True):
                row._lock_info = info
        return changes

    def response_action(  # type: ignore[override]
        self, request: HttpRequest, queryset: QuerySet[Any], **location: Any
    ) -> Any:
        """Run an action on what nobody else is editing, under its locks."""
        action = posted_action(request, location)
        if not action or action in self.lock_exempt_actions:
            return super().response_action(request, queryset, **location)
        selected = queryset
        if not selects_across(request, location):
            keys = request.POST.getlist(ACTION_CHECKBOX_NAME)
            selected = queryset.filter(pk__in=keys)
        with request_locks(request) as locks:
            objects = list(selected)
            # Nothing renews these locks. They end with the action, so they may be long.
            seconds = max(get_timeout(self.lock_timeout), LONG_ENOUGH)
            locks.acquire(objects, seconds)
            locks.skip_changed(objects)
            if action == "delete_selected":
                skip_edited_below(objects, locks)
            if locks.skipped:
                message = skipped_message(locks.skipped)
                self.message_user(request, message, messages.WARNING)
                if len(locks.skipped) == len(objects):
                    return HttpResponseRedirect(request.get_full_path())
                queryset = queryset.exclude(pk__in=[obj.pk for obj in locks.skipped])
            if self._is_filtered_by_locks(request):
                # What was free is locked now, so the filtered list would be empty.
                may_change = [obj.pk for obj in objects if obj not in locks.skipped]
                queryset = self.get_queryset(request).filter(pk__in=may_change)
            response = super().response_action(request, queryset, **location)
            # A page, most often a question, or a file is not a change yet.
            locks.written = response is not None and has_written(response)
        return response

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        hide_tokens(request)
        writes = request.method == "POST"
        reading = reading_from_primary() if writes else nullcontext()
        with reading, request_locks(request) as locks:
            try:
                response = super().changelist_view(request, extra_context)
            except Exception:
                locks.written = False  # Django has undone what it saved
                raise
            locks.written = True
        return response

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return Django's formset, which saves nothing that others are editing."""
        formset = super().get_changelist_formset(request, **kwargs)
        return lock_aware(formset, request, self)

    def _is_filtered_by_locks(self, request: HttpRequest) -> bool:
        return any(
            isinstance(found, type)
            and issubclass(found, LockStateFilter)
            and found.parameter_name in request.GET
            for found in self.get_list_filter(request)
        )

    # Other pages, and what all pages share

    def save_model(
        self, request: HttpRequest, obj: models.Model, form: Any, change: bool
    ) -> None:
        """Save the object under a lock.

        The pages of this class have the lock already. Other pages that save by this
        method, for example to revert to an earlier version, get one for the save.

        Raises ``PermissionDenied`` when somebody else is editing the object.
        """
        visit = visit_of(request)
        if visit and visit.fenced:
            locks = getattr(request, "_request_locks", None)
            if locks is not None:
                lock_rows(visit, obj, locks)
            super().save_model(request, obj, form, change)
            return
        if not change or has_request_lock(request, obj):
            super().save_model(request, obj, form, change)
            note_write(request)
            return
        with request_locks(request) as locks:
            locks.acquire([obj], self.lock_timeout)
            if locks.skipped:
                raise PermissionDenied(skipped_message(locks.skipped))
            super().save_model(request, obj, form, change)
            locks.written = True

    def get_lockable_object(
        self, request: HttpRequest, object_id: str | None, is_permitted: Any
    ) -> models.Model | None:
        """Return the object of a page; ``None`` if it may not or cannot be locked."""
        to_field = request.POST.get(TO_FIELD_VAR, request.GET.get(TO_FIELD_VAR))
        if object_id is None or (
            to_field and not self.to_field_allowed(request, to_field)
        ):
            return None
        obj = self.get_object(request, unquote(object_id), to_field)
        if obj is None or not is_permitted(request, obj):
            return None
        if not LockToken.objects.can_be_locked(obj):
            message = _(
                "This cannot be locked because its key is too long. Other people may"
                " be editing it at the same time."
            )
            self.message_user(request, message, messages.WARNING)
            return None
        return obj

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
