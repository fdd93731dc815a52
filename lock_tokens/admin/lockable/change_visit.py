"""What becomes of one request to the change page.

Opening the page locks the object. A save is checked against the token of its page, in one
transaction with all that it writes. A save without the lock is refused, and the answer
shows all that was typed. The user can then lock the object again, or take the lock over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import models, router, transaction
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
    WrongUserError,
)
from lock_tokens.holding import FencedLock, fence
from lock_tokens.locking.info import LockInfo, display_name
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.locking.transactions import reread
from lock_tokens.refusals import TOKEN_FIELD, TOKEN_HEADER, is_of
from lock_tokens.sessions import (
    forget,
    infos_of_others,
    remember,
)
from lock_tokens.web.differences import differences, files_of
from lock_tokens.web.going_on import goes_on, lock_again
from lock_tokens.web.lock_page import (
    AGAIN,
    ELSEWHERE,
    HELD,
    LOCKED,
    REFUSED,
    holder_of,
    someone,
)
from lock_tokens.web.opening import answer_without_lock
from lock_tokens.web.request_tokens import VOID_TOKEN, forget_token

from .helpers import (
    SAVE_AS_NEW,
    NeverSaving,
    ReadOnly,
    copy_with,
    formsets_of,
    has_gone_rows,
    has_inputs,
    is_torn,
    with_gone_rows_as_new,
)
from .inline_rows import RowsRefused
from .nothing_saved import DELETED, FORBIDDEN, is_form, nothing_saved
from .request_locks import request_locks, skipped_message
from .sent import is_plain_save, other_fields, unknown_names
from .shown_rows import has_entered
from .visit import Visit

NO_BUTTONS = {
    "show_save": False,
    "show_save_and_continue": False,
    "show_save_and_add_another": False,
    "show_delete": False,
}


@dataclass
class ChangeVisit(Visit):
    """One request to the change page. ``obj`` is ``None`` when there is nothing to lock."""

    object_id: str | None
    form_url: str
    extra_context: dict[str, Any] | None

    def answer(self) -> HttpResponseBase:
        """Return the response."""
        request = self.request
        if self.obj is None:
            return self.go_without_lock()
        if SAVE_AS_NEW in request.POST:
            return self.save_as_new()
        if TOKEN_FIELD not in request.POST and not has_inputs(
            self.model_admin, request, self.obj
        ):
            return self.show_without_inputs()
        if request.method == "GET":
            return self.open()
        if request.method != "POST":
            return self.ask_django()
        if goes_on(request):
            return self.go_on()
        return self.save()

    def ask_django(self, part: type | None = None, **context: Any) -> HttpResponseBase:
        """Return Django's answer; with ``part``, that of a ModelAdmin that may do less."""
        model_admin = copy_with(part, self.model_admin) if part else self.model_admin
        self.formsets = []
        extra = self.extra_context
        if context:
            extra = {**(extra or {}), **context}
        response: HttpResponseBase = model_admin._next_changeform_view(
            self.request,
            self.object_id,
            self.form_url,
            extra,
            is_fenced=self.fenced,
        )
        return response

    def go_without_lock(self) -> HttpResponseBase:
        """Let Django answer, but not with an error page that would lose the text."""
        request, model_admin = self.request, self.model_admin
        if (
            is_form(request)
            and self.object_id
            and SAVE_AS_NEW not in request.POST
            and model_admin.has_change_permission(request)
            and model_admin.get_object(request, unquote(self.object_id)) is None
        ):
            return nothing_saved(request, model_admin, DELETED, status=404)
        try:
            return self.ask_django()
        except PermissionDenied:
            if not is_form(request) or TOKEN_FIELD not in request.POST:
                raise
            return nothing_saved(request, model_admin, FORBIDDEN)

    def show_without_inputs(self) -> HttpResponseBase:
        """Let Django answer for a page on which nothing can be changed.

        Showing it locks nothing. A POST is from a button of the project's own. It gets
        the lock for itself, unless somebody else is editing the object.
        """
        with request_locks(self.request) as locks:
            if self.request.method == "POST":
                locks.acquire([self.obj], self.model_admin.lock_timeout)
            if locks.skipped:
                message = skipped_message(locks.skipped)
                self.model_admin.message_user(self.request, message, messages.WARNING)
                return HttpResponseRedirect(self.request.get_full_path())
            response = self.ask_django()
            locks.written = True
        return response

    def save_as_new(self) -> HttpResponseBase:
        """Let Django add another object, and release the lock of the one it copies."""
        token = self.request.POST.get(TOKEN_FIELD, "")
        current = LockToken.objects.current_token(self.obj)
        if current is None or not current.matches(token):
            return self.go_without_lock()
        self.set_page(HELD, token=token)
        response = self.ask_django()
        if response.status_code // 100 == 3:
            with suppress(UnlockForbiddenError):
                LockToken.objects.release(self.obj, token)
                forget(self.obj, self.request.session)
        return response

    # Opening the page

    def open(self) -> HttpResponseBase:
        answer = answer_without_lock(self.request)
        if answer is not None:
            return answer
        try:
            token = self.lock()
        except AlreadyLockedError as error:
            return self.show_locked(error)
        self.set_page(HELD, token=token)
        return self.ask_django()

    def show_locked(self, error: AlreadyLockedError) -> HttpResponseBase:
        state = ELSEWHERE if is_of(error, self.request.user) else LOCKED
        self.set_page(state, holder=holder_of(error))
        return self.ask_django(ReadOnly, show_delete=False)

    # Saving

    def save(self) -> HttpResponseBase:
        try:
            return self.answer_fenced(self.ask_saving)
        except RowsRefused:
            # It has ended the transaction, with all that the project's hooks wrote.
            return self.answer_fenced(self.ask_without_saving)

    def answer_fenced(self, ask: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        """Return an answer of Django's to a save, under the lock of the page."""
        request, obj = self.request, self.obj
        lock_key = LockToken.objects.key_of(obj)
        with ExitStack() as stack:
            try:
                fenced = stack.enter_context(
                    fence(
                        obj,
                        self.sent_token(),
                        timeout=self.model_admin.lock_timeout,
                        user=request.user,
                    )
                )
            except InvalidToken as error:
                return self.refuse(error)
            self.set_page(HELD, token=fenced.token)
            with request_locks(request) as row_locks:
                response = ask()
                if self.is_gone:
                    return self.say_deleted()
                # A page that is not ours is a question: some packages ask before they
                # save.
                status = response.status_code
                saved = status < 400 and (self.saved or status >= 300)
                fenced.release = row_locks.written = saved
            if saved and "_continue" in request.POST:
                response[TOKEN_HEADER] = self.lock_anew(fenced)
        if not saved:
            remember(obj, request.session, fenced.token)
        else:
            forget_token(request, lock_key, fenced.token)
        return response

    def ask_saving(self) -> HttpResponseBase:
        """Return Django's answer to a save; to one with errors, a page that is whole."""
        self.fenced = True
        try:
            response = self.ask_django()
        finally:
            self.fenced = False
        if self.shown and is_torn(self.context):
            return self.ask_without_saving()
        return response

    def lock_anew(self, fenced: FencedLock) -> str:
        """Go on with a new token: other tabs that have the old one show the old text."""
        LockToken.objects.release(self.obj, fenced.token)
        fenced.release = False
        forget(self.obj, self.request.session)
        return self.lock()

    def say_deleted(self) -> HttpResponseBase:
        return nothing_saved(self.request, self.model_admin, DELETED, status=404)

    # Refusing a save, and the way on

    def refuse(self, error: BaseException | None = None) -> HttpResponseBase:
        """Answer a save without the lock: show all that was typed, and write nothing."""
        request, model_admin = self.request, self.model_admin
        opened_by = None
        if isinstance(error, WrongUserError):
            opened_by = display_name(error.locked_by)
        page = self.set_page(
            REFUSED,
            token=request.POST.get(TOKEN_FIELD) or VOID_TOKEN,
            holder=self.holder(),
            opened_by=opened_by,
        )
        response = self.show_sent(**NO_BUTTONS)
        if (
            is_plain_save(request)
            and page.is_saved
            and not (self.context["errors"] or opened_by)
        ):
            # Most often a second click on Save: the first one has saved all this.
            model_admin.message_user(
                request,
                _("There was nothing to save. All of this is already saved."),
                messages.INFO,
            )
            # Django's own answers, because a project's hooks may write.
            if page.is_popup:
                return ModelAdmin.response_change(model_admin, request, self.obj)
            if "_continue" in request.POST:
                return HttpResponseRedirect(request.get_full_path())
            return ModelAdmin.response_post_save_change(model_admin, request, self.obj)
        if self.shown:
            response.status_code = 403
        return response

    def holder(self) -> LockInfo | None:
        """Return who has the lock, if it is not this session's."""
        request = self.request
        return infos_of_others([self.obj], request.session, user=request.user)[0]

    def go_on(self) -> HttpResponseBase:
        """Lock the object again for what was typed, and show it. It is not saved yet."""
        has_text = TOKEN_FIELD in self.request.POST
        try:
            token = self.lock_again()
        except AlreadyLockedError as error:
            if has_text:
                return self.refuse(error.__cause__)
        else:
            if has_text:
                self.set_page(AGAIN, token=token)
                return self.show_sent()
        return HttpResponseRedirect(self.request.get_full_path())

    def lock_again(self) -> str:
        request, obj, model_admin = self.request, self.obj, self.model_admin

        def note(holder: LockInfo) -> None:
            message = _("Took over from %(name)s.") % {"name": someone(holder)}
            model_admin.log_change(request, obj, message)

        return lock_again(
            request,
            obj,
            request.user,
            model_admin.lock_timeout,
            lambda: model_admin.has_take_over_permission(request, obj),
            note,
        )

    def show_sent(self, **context: Any) -> HttpResponseBase:
        """Show the form as it was sent, and where it differs from what is saved."""
        request, page = self.request, self.page
        response = self.ask_without_saving(**context)
        if self.is_gone:
            return self.say_deleted()
        while self.shown and has_gone_rows(formsets_of(self.context)):
            rows = with_gone_rows_as_new(request.POST, formsets_of(self.context))
            request.POST = rows  # type: ignore[assignment]
            response = self.ask_without_saving(**context)
        if self.shown:
            form, formsets = self.context["adminform"].form, formsets_of(self.context)
            with suppress(ObjectDoesNotExist):  # deleted this very moment
                reread(self.obj)
            unknown = unknown_names(request, form, formsets)
            page.files = files_of(request, form)
            page.differences = differences(
                self.obj, form, [each for each in formsets if has_entered(each)]
            )
            page.others = other_fields(request, self.model_admin, unknown)
            page.is_saved = not (page.differences or page.files or unknown)
            page.last_change = last_change_of(self.obj)
        return response

    def ask_without_saving(self, **context: Any) -> HttpResponseBase:
        """Return Django's page; of what a project's hooks write, nothing stays."""
        using = router.db_for_write(self.model_admin.model)
        with transaction.atomic(using=using):
            response = self.ask_django(NeverSaving, **context)
            transaction.set_rollback(True, using=using)
        return response


def last_change_of(obj: models.Model) -> LogEntry | None:
    """Return the latest entry of the object's history in the admin."""
    content_type = ContentType.objects.get_for_model(obj)
    entries = LogEntry.objects.filter(
        content_type_id=content_type.pk, object_id=str(obj.pk)
    )
    return entries.select_related("user").order_by("-action_time", "-pk").first()
