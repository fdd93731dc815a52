"""The pages of an object that a class adds in ``get_urls()``.

Some show the form of the object, for example to revert it: they are pages of the lock like
the change page. The others do something, often in answer to a GET: they run under the
lock, and not while somebody else is editing the object.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.decorators import decorator_from_middleware
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.holding import fence
from lock_tokens.locking.error_reports import hide_tokens
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.locking.primary import reading_from_primary
from lock_tokens.refusals import TOKEN_FIELD
from lock_tokens.sessions import forget, remember
from lock_tokens.settings import find_middleware
from lock_tokens.web.lock_page import HELD
from lock_tokens.web.opening import answer_without_lock
from lock_tokens.web.request_tokens import forget_token

from .change_visit import ChangeVisit
from .nothing_saved import LOCKED, is_form, keeping_input, key_in_url, nothing_saved
from .request_locks import described, request_locks
from .trees import respecting_moves
from .visit import Visit, visit_of

View = Callable[..., HttpResponseBase]

#: A group, named or not, begins the URL, maybe within groups that capture nothing.
KEY_FIRST = re.compile(r"\^?(\(\?:)*\((\?P<|(?!\?))")


def respecting_locks(urls: list[Any], model_admin: Any) -> list[Any]:
    """Return the URLs of a ModelAdmin; its own views of objects respect the lock."""
    # Django's own views are those that the class itself sees to.
    django = {str(url.pattern) for url in ModelAdmin.get_urls(model_admin)}
    is_tree = hasattr(model_admin.model, "get_descendants")
    add = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_add"
    for url in urls:
        if url.callback is None or url.name in model_admin.lock_exempt_views:
            continue
        regex = url.pattern.regex
        if KEY_FIRST.match(regex.pattern):
            if str(url.pattern) not in django:
                names = {number: name for name, number in regex.groupindex.items()}
                name = names.get(1)
                is_exempt = getattr(url.callback, "csrf_exempt", False)
                url.callback = respecting_lock(url.callback, model_admin, name)
                if not is_exempt:
                    url.callback = keeping_input(url.callback, model_admin, name)
        elif is_tree and url.name != add:
            url.callback = respecting_moves(url.callback, model_admin)
    return urls


def respecting_lock(view: View, model_admin: Any, name: str | None) -> View:
    """Return a view that respects the lock of its object.

    ``name`` is that of :func:`~.nothing_saved.key_in_url`.
    """

    @wraps(view)
    @reading_from_primary()
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        hide_tokens(request)
        if not model_admin.admin_site.has_permission(request):
            return behind_login(view)(request, *args, **kwargs)
        key = key_in_url(name, args, kwargs)
        obj = None
        if key is not None:
            obj = model_admin.get_object(request, unquote(key))
        if (
            obj is None
            or not LockToken.objects.can_be_locked(obj)
            # Whoever may not edit it is told nothing. The view checks what it permits.
            or not model_admin.has_change_permission(request, obj)
        ):
            return view(request, *args, **kwargs)
        visit = ObjectVisit(
            model_admin, request, obj, lambda: view(request, *args, **kwargs)
        )
        return visit.answer()

    return wrapper


def behind_login(view: View) -> View:
    """Return the view as ``LoginRequiredMiddleware``, if it is installed, lets it run.

    It does not see a view that keeps what was typed.
    """
    middleware: Any = find_middleware(LoginRequiredMiddleware)
    return decorator_from_middleware(middleware)(view) if middleware else view


@dataclass
class ObjectVisit(Visit):
    """One request to a page of the object that is not Django's."""

    view: Callable[[], HttpResponseBase]

    def answer(self) -> HttpResponseBase:
        """Return the response."""
        request = self.request
        if request.method == "OPTIONS":  # it only asks what the view can do
            return self.view()
        answer = answer_without_lock(request)
        if answer is not None:
            return answer
        try:
            if TOKEN_FIELD in request.POST:
                return self.save()
            if request.method == "GET":
                return self.open()
            return self.run()
        except AlreadyLockedError as error:
            if error.obj is not self.obj:
                raise  # from the view itself
            return self.refuse(error)

    def open(self) -> HttpResponseBase:
        """Answer a GET. The lock stays if the page shows the form of the object."""
        token, is_new = self.get_or_lock()
        self.set_page(HELD, token=token)
        keeps = not is_new
        try:
            response = self.view()
            visit = visit_of(self.request)
            shown = visit is not None and visit.shown
            keeps = shown or (keeps and not has_written(response))
        finally:
            if not keeps:
                with suppress(UnlockForbiddenError):  # deleted with the object
                    LockToken.objects.release(self.lock_key, token)
                forget(self.lock_key, self.request.session)
        return response

    def run(self) -> HttpResponseBase:
        """Answer a request that may write, under a lock that ends with it."""
        with request_locks(self.request) as locks:
            locks.acquire([self.obj], self.model_admin.lock_timeout)
            for holder in locks.skipped.values():
                return self.refuse(holder)
            response = self.view()
            locks.written = locks.written or has_written(response)
        return response

    def save(self) -> HttpResponseBase:
        """Answer the form of the object, which has the token of its page."""
        request, obj, model_admin = self.request, self.obj, self.model_admin
        with ExitStack() as stack:
            try:
                fenced = stack.enter_context(
                    fence(
                        obj,
                        self.sent_token(),
                        timeout=model_admin.lock_timeout,
                        user=request.user,
                    )
                )
            except InvalidToken as error:
                return self.show_refused(error)
            self.set_page(HELD, token=fenced.token)
            self.fenced = True
            response = self.view()
            self.fenced = False
            if visit_of(request) is not self:
                return response  # the change page itself has answered
            fenced.release = has_written(response)
        if fenced.release:
            forget_token(request, self.lock_key, fenced.token)
        else:
            remember(obj, request.session, fenced.token)
        return response

    def show_refused(self, error: InvalidToken) -> HttpResponseBase:
        """Show all that was typed in the change page, which goes on from there."""
        visit = ChangeVisit(
            self.model_admin,
            self.request,
            self.obj,
            quote(str(self.obj.pk)),
            self.way_back(),
            None,
        )
        # The view, which has not run, would have checked the CSRF token.
        show: Any = csrf_protect(lambda request: visit.refuse(error))
        return show(self.request)  # type: ignore[no-any-return]

    def refuse(self, holder: Any) -> HttpResponseBase:
        """Say who is editing the object, and keep what was typed."""
        request, model_admin = self.request, self.model_admin
        # Django's pages that ask before they delete send this name, and no text.
        if is_form(request) and "post" not in request.POST:
            show: Any = csrf_protect(
                lambda request: nothing_saved(request, model_admin, LOCKED)
            )
            return show(request)  # type: ignore[no-any-return]
        message = _("This was not done: %(what)s.") % {
            "what": described(self.obj, holder)
        }
        model_admin.message_user(request, message, messages.WARNING)
        return HttpResponseRedirect(self.way_back())


def has_written(response: HttpResponseBase) -> bool:
    """Say whether the answer is that of a view that has done something."""
    return response.status_code // 100 == 3 or response.status_code == 204
