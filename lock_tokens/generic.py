"""Generic views that lock the object of their page.

``LockedUpdateView`` is Django's ``UpdateView`` under a lock. ``LockedObjectMixin`` does the
same for other views with one object and a form.
"""

from __future__ import annotations

from contextlib import ExitStack
from copy import copy
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.forms import BaseFormSet
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.utils.http import urlencode
from django.views.generic import UpdateView

from .exceptions import AlreadyLockedError, InvalidToken, WrongUserError
from .holding import fence
from .locking.error_reports import hide_tokens
from .locking.info import LockInfo, display_name
from .locking.lock_token import LockToken
from .locking.primary import reading_from_primary
from .locking.transactions import reread
from .refusals import TOKEN_FIELD, refuse, submitted_fields
from .sessions import infos_of_others, lock_for_session, remember
from .web.differences import differences, files_of
from .web.going_on import goes_on, lock_again
from .web.lock_page import (
    AGAIN,
    ELSEWHERE,
    HELD,
    LOCKED,
    REFUSED,
    LockPage,
    holder_of,
)
from .web.opening import answer_without_lock, look_without_lock
from .web.request_tokens import (
    SAVED,
    forget_token,
    own_or_session_token,
    page_token,
)

__all__ = ["LockedObjectMixin", "LockedUpdateView"]


class LockedObjectMixin:
    """A page with a form, under which two people cannot edit one object at a time.

    ::

        class ArticleUpdate(LockedUpdateView):
            model = Article
            fields = ["title", "body"]
            success_url = "/articles/"

    Name it before the view in the bases, and after classes that check permissions. The
    view needs ``get_object()``, ``get_form()`` and ``form_invalid()``, as
    ``UpdateView`` has them. Its template has ``{% lock_form %}`` in the form.

    GET locks the object. If somebody else is editing it, the page shows the form
    disabled, and who that is. POST saves in a fence, and a redirect releases the lock. A
    save without the lock is answered with 403 and the view's own page: it has all that
    was typed, says where that differs from what is saved, and offers to go on.
    """

    #: The life of a lock in seconds; ``None`` is the ``TIMEOUT`` setting.
    lock_timeout: float | None = None
    #: Whether a page that is open renews its lock.
    lock_renew: bool = True
    #: Whether a page releases its lock when the user leaves it.
    lock_release_on_leave: bool = True
    #: Whether users with the permission may take over a lock.
    lock_take_over: bool = True

    #: The object, read under its lock.
    locked_object: Any = None
    #: What the templates show of the lock.
    lock_page: LockPage

    request: HttpRequest
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def has_take_over_permission(self) -> bool:
        """Say whether this user may end another's lock on ``self.locked_object``."""
        return self.lock_take_over and self.request.user.has_perm(
            "lock_tokens.take_over_locktoken"
        )

    def lock_taken_over(self, holder: LockInfo) -> None:
        """Do what a project wants when this user has taken over the lock of ``holder``.

        It runs in the transaction of the take-over. By default, nothing.
        """

    @reading_from_primary()
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        hide_tokens(request)
        if request.method in ("GET", "HEAD"):
            answer = self._show
        elif request.method == "OPTIONS":
            answer = self._ask_view
        else:
            answer = self._go_on if goes_on(request) else self._save
        turned_away = answer_without_lock(request)
        if turned_away is not None:
            return turned_away
        try:
            return answer()
        except Http404 as error:
            if not submitted_fields(request):
                raise
            return refuse(request, error)

    def get_object(self, queryset: Any = None) -> Any:
        """Return the object as it was read under its lock."""
        if self.locked_object is not None:
            return self.locked_object
        return super().get_object(queryset)  # type: ignore[misc]

    def get_form(self, *args: Any, **kwargs: Any) -> Any:
        """Return the form. Nothing can be typed into it while somebody else is editing."""
        form = super().get_form(*args, **kwargs)  # type: ignore[misc]
        if self.lock_page.state in (LOCKED, ELSEWHERE):
            for field in form.fields.values():
                field.disabled = True
        return form

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(lock_page=self.lock_page, **kwargs)  # type: ignore[misc,no-any-return]

    # One request

    def _ask_view(self) -> Any:
        """Return the answer of Django's view."""
        return super().dispatch(self.request, *self.args, **self.kwargs)  # type: ignore[misc]

    def _show(self) -> Any:
        """Lock the object for the page, or show who has locked it."""
        obj = self.get_object()
        try:
            if self.request.method == "HEAD":
                look_without_lock(self.request, obj)
                token = None
            else:
                token = self._lock(obj)
        except AlreadyLockedError as error:
            self._set_page(obj, LOCKED, holder=holder_of(error))
        else:
            self._read(obj)
            self._set_page(obj, HELD, token=token)
        return self._ask_view()

    def _save(self) -> Any:
        """Let the view save in a fence. If the lock is lost, show what was typed."""
        request, obj = self.request, self.get_object()
        lock_key = LockToken.objects.key_of(obj)
        token = own_or_session_token(page_token(request), request, obj)
        fencing = fence(obj, token, timeout=self.lock_timeout, user=self._user)
        with ExitStack() as stack:
            try:
                fenced = stack.enter_context(fencing)
            except InvalidToken as error:
                return self._refuse(obj, error)
            self._read(obj)
            self._set_page(obj, HELD, token=fenced.token)
            answer = self._ask_view()
            fenced.release = answer.status_code in SAVED
        if fenced.release:
            forget_token(request, lock_key, fenced.token)
        else:
            remember(obj, request.session, fenced.token)
        return answer

    def _go_on(self) -> Any:
        """Lock the object again for what was typed, and show it. It is not saved yet."""
        request = self.request
        obj = self.locked_object = self.get_object()
        has_text = TOKEN_FIELD in request.POST
        try:
            token = lock_again(
                request,
                obj,
                self._user,
                self.lock_timeout,
                self.has_take_over_permission,
                self.lock_taken_over,
            )
        except AlreadyLockedError as error:
            if has_text:
                return self._refuse(obj, error.__cause__)
        else:
            if has_text:
                self._set_page(obj, AGAIN, token=token)
                return self._show_sent(obj)
        return HttpResponseRedirect(request.get_full_path())

    def _refuse(self, obj: models.Model, error: BaseException | None) -> Any:
        """Answer a save without the lock: show all that was typed, and write nothing."""
        request = self.request
        if not submitted_fields(request) and not request.FILES:
            return HttpResponseRedirect(request.get_full_path())  # nothing was typed
        (holder,) = infos_of_others([obj], request.session, user=self._user)
        opened_by = None
        if isinstance(error, WrongUserError):
            opened_by = display_name(error.locked_by)
        token = request.POST.get(TOKEN_FIELD, "")
        page = self._set_page(
            obj, REFUSED, token=token, holder=holder, opened_by=opened_by
        )
        answer = self._show_sent(obj)
        if page.is_saved and not opened_by:
            # Most often a second click on Save: the first one has saved all this.
            return HttpResponseRedirect(self.get_success_url())  # type: ignore[attr-defined]
        if answer.status_code == 200:
            answer.status_code = 403
        return answer

    def _show_sent(self, obj: models.Model) -> Any:
        """Show the form as it was sent, and where it differs from what is saved."""
        self._read(obj)
        # Validation changes the object of the form.
        self.object = copy(obj)
        form: Any = self.get_form()
        form.full_clean()
        self.object = obj
        page = self.lock_page
        page.files = files_of(self.request, form)
        page.differences = differences(obj, form, [])
        answer = self.form_invalid(form)  # type: ignore[attr-defined]
        # Formsets are known when the view has made them for its template.
        context = getattr(answer, "context_data", None) or {}
        formsets = [each for each in context.values() if isinstance(each, BaseFormSet)]
        changed = [each for each in formsets if each.is_bound and each.has_changed()]
        page.differences += differences(obj, form, changed)[len(page.differences) :]
        page.is_saved = not (page.differences or page.files or form.errors)
        return answer

    # Its parts

    @property
    def _user(self) -> Any:
        return getattr(self.request, "user", None)

    def _lock(self, obj: models.Model) -> str:
        session = self.request.session
        options: Any = {"timeout": self.lock_timeout, "user": self._user}
        return lock_for_session(obj, session, force_new=True, **options)["token"]

    def _read(self, obj: models.Model) -> None:
        """Read the object again, under its lock. Raise ``Http404`` when it is gone."""
        try:
            reread(obj)
        except ObjectDoesNotExist:
            raise Http404("The object has just been deleted.") from None
        self.locked_object = obj

    def _set_page(self, obj: models.Model, state: str, **fields: Any) -> LockPage:
        """Decide what the page shows of the lock."""
        self.locked_object = obj
        page = LockPage(
            state=state,
            app_label=obj._meta.app_label,
            model_name=str(obj._meta.model_name),
            object_id=LockToken.objects.key_of(obj).object_key,
            obj=obj,
            request=self.request,
            user=self._user,
            can_go_on=True,
            can_take_over=self.has_take_over_permission(),
            timeout=self.lock_timeout,
            renew=self.lock_renew,
            release_on_leave=self.lock_release_on_leave,
            url=self.request.get_full_path(),
            login_url=login_url(self.request),
            **fields,
        )
        if state == LOCKED and page.is_own:
            page.state = ELSEWHERE
        self.lock_page = page
        return page


class LockedUpdateView(LockedObjectMixin, UpdateView):  # type: ignore[type-arg]
    """Django's ``UpdateView``, as :class:`LockedObjectMixin` describes it."""


def login_url(request: HttpRequest) -> str:
    """Return the URL to sign in and come back; empty if the project has none."""
    try:
        url = resolve_url(settings.LOGIN_URL)
    except NoReverseMatch:
        return ""
    return f"{url}?{urlencode({'next': request.get_full_path()})}"
