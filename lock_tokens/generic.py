"""Generic views that lock the object of their page.

``LockedUpdateView`` is Django's ``UpdateView`` under a lock. ``LockedObjectMixin`` does the
same for other views with one object and a form.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from copy import copy
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import models
from django.forms import BaseForm, BaseFormSet
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
from .locking.primary import reading_from_primary, rendered_from_primary
from .locking.transactions import reread
from .refusals import SHOWING_METHODS, TOKEN_FIELD, refuse, submitted_fields
from .sessions import infos_of_others, lock_for_session, remember
from .web.differences import differences, files_of
from .web.going_on import goes_on, lock_again
from .web.lock_page import (
    AGAIN,
    ELSEWHERE,
    HELD,
    LOCKED,
    READ_ONLY_FIELD,
    REFUSED,
    LockPage,
    holder_of,
)
from .web.opening import answer_without_lock, look_without_lock
from .web.request_tokens import (
    SAVED,
    VOID_TOKEN,
    forget_token,
    own_or_session_token,
    page_token,
)

logger = logging.getLogger("lock_tokens")

__all__ = ["LockedObjectMixin", "LockedUpdateView"]


class LockedObjectMixin:
    """A page with a form, under which two people cannot edit one object at a time.

    ::

        class ArticleUpdate(LockedUpdateView):
            model = Article
            fields = ["title", "body"]
            success_url = "/articles/"

    Name it before the view in the bases, and after classes that check permissions. The
    view needs ``get_object()``, ``get_form()``, ``get_context_data()`` and
    ``render_to_response()``, as ``UpdateView`` has them. Its template has
    ``{% lock_form %}`` in the form.

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
        return (
            self.lock_take_over
            and self._user is not None
            and self._user.has_perm("lock_tokens.take_over_locktoken")
        )

    def lock_taken_over(self, holder: LockInfo) -> None:
        """Do what a project wants when this user has taken over the lock of ``holder``.

        It runs in the transaction of the take-over. By default, nothing.
        """

    @reading_from_primary()
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        hide_tokens(request)
        if not hasattr(request, "session"):
            raise ImproperlyConfigured("A page keeps its lock in request.session.")
        turned_away = answer_without_lock(request)
        if turned_away is not None:
            return turned_away
        if request.method == "OPTIONS":
            return self._ask_view()
        try:
            self.locked_object = self.get_object()
            if request.method in SHOWING_METHODS:
                answer = self._show()
            elif goes_on(request):
                answer = self._go_on()
            else:
                answer = self._save()
        except Http404 as error:
            is_found = self.locked_object is not None and not isinstance(error, Gone)
            if is_found or not submitted_fields(request):
                raise
            return refuse(request, error)
        return rendered_from_primary(answer)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the context. Nothing can be typed while somebody else is editing."""
        context: dict[str, Any] = super().get_context_data(  # type: ignore[misc]
            lock_page=self.lock_page, **kwargs
        )
        if self.lock_page.state in (LOCKED, ELSEWHERE):
            for form in forms_in(context):
                for field in form.fields.values():
                    field.disabled = True
        return context

    # One request

    def _ask_view(self) -> Any:
        """Return the answer of Django's view."""
        return super().dispatch(self.request, *self.args, **self.kwargs)  # type: ignore[misc]

    def _show(self) -> Any:
        """Lock the object for the page, or show who has locked it."""
        obj = self.locked_object
        try:
            if self.request.method == "HEAD":
                look_without_lock(self.request, obj)
                token = None
            else:
                token = self._lock(obj)
        except AlreadyLockedError as error:
            self._set_page(LOCKED, holder=holder_of(error))
        else:
            self._read()
            self._set_page(HELD, token=token)
        return self._ask_view()

    def _save(self) -> Any:
        """Let the view save in a fence. If the lock is lost, show what was typed."""
        request, obj = self.request, self.locked_object
        if READ_ONLY_FIELD in request.POST:  # nothing could be typed into that page
            return HttpResponseRedirect(request.get_full_path())
        lock_key = LockToken.objects.key_of(obj)
        token = own_or_session_token(page_token(request), request, obj)
        fencing = fence(obj, token, timeout=self.lock_timeout, user=self._user)
        with ExitStack() as stack:
            try:
                fenced = stack.enter_context(fencing)
            except InvalidToken as error:
                return self._refuse(error)
            self._read()
            self._set_page(HELD, token=fenced.token)
            answer = self._ask_view()
            fenced.release = answer.status_code in SAVED
        if fenced.release:
            forget_token(request, lock_key, fenced.token)
        else:
            remember(lock_key, request.session, fenced.token)
        return answer

    def _go_on(self) -> Any:
        """Lock the object again for what was typed, and show it. It is not saved yet."""
        request = self.request
        has_text = TOKEN_FIELD in request.POST
        try:
            token = lock_again(
                request,
                self.locked_object,
                self._user,
                self.lock_timeout,
                self.has_take_over_permission,
                self.lock_taken_over,
            )
        except AlreadyLockedError as error:
            if has_text:
                return self._refuse(error.__cause__ or error)
        else:
            if has_text:
                self._set_page(AGAIN, token=token)
                return self._show_sent()
        return HttpResponseRedirect(request.get_full_path())

    def _refuse(self, error: BaseException) -> Any:
        """Answer a save without the lock: show all that was typed, and write nothing."""
        request = self.request
        (holder,) = infos_of_others(
            [self.locked_object], request.session, user=self._user
        )
        opened_by = None
        if isinstance(error, WrongUserError):
            opened_by = display_name(error.locked_by)
        token = request.POST.get(TOKEN_FIELD) or VOID_TOKEN
        self._set_page(REFUSED, token=token, holder=holder, opened_by=opened_by)
        try:
            answer = self._show_sent()
        except Http404:
            raise
        except Exception:
            # The view's page needs what its post() prepares. Better another page than none.
            logger.exception("The page of a refused save could not be shown.")
            return refuse(request, error)  # type: ignore[arg-type]
        if answer.status_code == 200:
            answer.status_code = 403
        return answer

    def _show_sent(self) -> Any:
        """Show the form as it was sent, and where it differs from what is saved."""
        self._read()
        obj = self.locked_object
        # Validation changes the object of the form.
        self.object = self.locked_object = copy(obj)
        form: Any = self.get_form()  # type: ignore[attr-defined]
        form.full_clean()
        self.object = self.locked_object = obj
        context = self.get_context_data(form=form)
        forms = forms_in(context)
        changed = [
            each
            for each in formsets_in(context)
            if each.is_bound and each.has_changed()
        ]
        page = self.lock_page
        page.files = files_of(self.request, form)
        page.differences = differences(obj, form, changed)
        page.others = [
            (name, value)
            for name, value in submitted_fields(self.request)
            if not name.startswith("_")
            and not any(has_input(each, name) for each in forms)
        ]
        return self.render_to_response(context)  # type: ignore[attr-defined]

    # Its parts

    @property
    def _user(self) -> Any:
        return getattr(self.request, "user", None)

    def _lock(self, obj: models.Model) -> str:
        session = self.request.session
        options: Any = {"timeout": self.lock_timeout, "user": self._user}
        return lock_for_session(obj, session, force_new=True, **options)["token"]

    def _read(self) -> None:
        """Read the object again, under its lock. Raise :class:`Gone` when it is gone."""
        try:
            reread(self.locked_object)
        except ObjectDoesNotExist:
            raise Gone("The object has just been deleted.") from None

    def _get_locked_object(self, *_args: Any, **_kwargs: Any) -> Any:
        return self.locked_object

    def _set_page(self, state: str, **fields: Any) -> LockPage:
        """Decide what the page shows of the lock.

        The view finds the object as it was read under the lock, whatever its own
        ``get_object()`` would read.
        """
        obj = self.locked_object
        self.get_object = self._get_locked_object
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
            login_url=self._login_url(),
            **fields,
        )
        if state == LOCKED and page.is_own:
            page.state = ELSEWHERE
        self.lock_page = page
        return page

    def _login_url(self) -> str:
        """Return the URL to sign in and come back; empty if the project has none."""
        try:
            url = resolve_url(getattr(self, "login_url", None) or settings.LOGIN_URL)
        except NoReverseMatch:
            return ""
        return f"{url}?{urlencode({'next': self.request.get_full_path()})}"


class LockedUpdateView(LockedObjectMixin, UpdateView):  # type: ignore[type-arg]
    """Django's ``UpdateView``, as :class:`LockedObjectMixin` describes it."""


class Gone(Http404):
    """The object was deleted while the request got its lock."""


def formsets_in(context: dict[str, Any]) -> list[Any]:
    """Return the formsets of a page, also those in a list."""
    found = []
    for value in context.values():
        values = value if isinstance(value, list | tuple) else [value]
        found += [each for each in values if isinstance(each, BaseFormSet)]
    return found


def forms_in(context: dict[str, Any]) -> list[Any]:
    """Return the forms of a page, with the rows of its formsets."""
    forms = [value for value in context.values() if isinstance(value, BaseForm)]
    for formset in formsets_in(context):
        forms += [formset.management_form, formset.empty_form, *formset.forms]
    return forms


def has_input(form: Any, name: str) -> bool:
    """Say whether a form has an input of this name. A field may have several inputs."""
    return any(name.startswith(field.html_name) for field in form)
