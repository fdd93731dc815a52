"""Views that lock the object that they are about.

Each decorator takes the model and ``get_object_id``, a function that is called with the
view's own arguments (the request first) and returns the object's key. An object that
does not exist, and a key that cannot be one, is a 404; if a form was sent for it, the
404 page has what was entered.

Each takes two more, for what is answered when the lock cannot be had: ``template``, the
name of a template for the 403 page (its context: :func:`lock_tokens.refusals.refuse`),
or ``response``, a function of the request and the error that returns the whole response.

They work on functions, on coroutine functions, on ``View.as_view()``, and on methods
through Django's ``method_decorator``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, cast

from asgiref.sync import iscoroutinefunction
from django.db import models
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from .exceptions import AlreadyLockedError, InvalidToken, LockTokensError
from .holding import fence
from .locking.object_keys import find_object, key_field
from .locking.renewal import HeldLock, in_thread, renewing
from .models import LockToken
from .refusals import DEFAULT_TEMPLATE, refuse, submitted_fields
from .sessions import forget
from .web.request_tokens import (
    forget_token,
    lock_for_request,
    own_or_session_token,
    page_token,
)

View = Callable[..., Any]
Release = bool | Callable[[HttpResponseBase], bool]

# What a view answers when it has saved: a form with errors is a 200.
SAVED = (201, 202, 204, 301, 302, 303, 307, 308)


def locks_object(
    model: type[models.Model],
    get_object_id: GetObjectId,
    *,
    force_new: bool = False,
    template: str = DEFAULT_TEMPLATE,
    response: Response | None = None,
) -> Callable[[View], View]:
    """Lock the object for the session before the view runs, and leave it locked.

    The view finds the token dict in ``request.lock_token``. To keep two tabs of one
    session apart, put its ``token`` into the form as the field ``lock_token`` (or send
    it as the header ``Lock-Token``): then it is that token which counts.

    Answers 403 when another live lock stands. A void token in the session is replaced
    when the request only shows (GET, HEAD); any other method is a 403, since the page
    that it comes from may be older than another's changes. ``force_new`` replaces it
    whatever the method: for views that save nothing that a page has shown.

    Without any token it acquires, whatever the method, and cannot know how old the page
    is that a form comes from. Views that save are for :func:`requires_lock_on_object`.
    """
    target = Target(model, get_object_id, template, response)

    @contextmanager
    def locked(request: HttpRequest, args: Any, kwargs: Any) -> Iterator[_Visit]:
        visit = _Visit()
        if request.method != "OPTIONS":  # which asks what the view can do
            try:
                obj = target.get_object(request, args, kwargs)
                request.lock_token = lock_for_request(request, obj, force_new)  # type: ignore[attr-defined]
            except Http404 as error:
                visit.answer = target.missing(request, error)
            except (AlreadyLockedError, InvalidToken) as error:
                visit.answer = target.refuse(request, error)
        yield visit

    return lambda view: within(locked, view)


def holds_lock_on_object(
    model: type[models.Model],
    get_object_id: GetObjectId,
    *,
    force_new: bool = False,
    keep_held: bool = False,
    template: str = DEFAULT_TEMPLATE,
    response: Response | None = None,
) -> Callable[[View], View]:
    """Lock the object for the session, and release it when the view is done or raises.

    A lock that the session had already is released too, and with it that of a page that
    is open in another tab; ``keep_held`` leaves such a lock alone. While the view runs
    the lock is renewed in the background, however long that takes.

    Answers 403 as :func:`locks_object` does; ``force_new`` is as there.
    """
    target = Target(model, get_object_id, template, response)

    @contextmanager
    def held(request: HttpRequest, args: Any, kwargs: Any) -> Iterator[_Visit]:
        visit = _Visit()
        try:
            obj = target.get_object(request, args, kwargs)
            before = own_or_session_token(page_token(request), request, obj)
            lock_token = lock_for_request(request, obj, force_new)
        except Http404 as error:
            visit.answer = target.missing(request, error)
        except (AlreadyLockedError, InvalidToken) as error:
            visit.answer = target.refuse(request, error)
        if visit.answer is not None:
            yield visit
            return
        request.lock_token = lock_token  # type: ignore[attr-defined]
        token = lock_token["token"]
        lock = HeldLock(LockToken.objects.key_of(obj), token, None)
        raised = True
        try:
            with renewing(lock):
                yield visit
            raised = False
        finally:
            if not (keep_held and token == before):
                lock.give_up()
                # With the request's transaction undone, a lock from before still stands.
                is_undone = raised and lock.in_transaction()
                if hasattr(request, "session") and not is_undone:
                    forget(lock.lock_key, request.session)

    return lambda view: within(held, view)


def requires_lock_on_object(
    model: type[models.Model],
    get_object_id: GetObjectId,
    release: Release = False,
    *,
    template: str = DEFAULT_TEMPLATE,
    response: Response | None = None,
) -> Callable[[View], View]:
    """Run the view only with the object's lock, inside a fence. For views that save.

    The token is the one in the form field ``lock_token``, else in the header
    ``Lock-Token``, else the session's. It is verified and the view runs in one
    transaction, until whose end nobody can take the lock (see ``holding.fence``); an
    exception in the view undoes all of it. The view finds the token dict in
    ``request.lock_token``, for a form that it shows again.

    With ``release=True`` the lock is given up in that same transaction if the view
    answers with a redirect, 201, 202 or 204; any other answer, such as the 200 of a form
    with errors, keeps it. ``release`` may be a function of the response instead, that
    says whether to release.

    Answers 403 without a token and with a void one.
    """
    target = Target(model, get_object_id, template, response)
    releases = (
        release
        if callable(release)
        else lambda answer: release and getattr(answer, "status_code", None) in SAVED
    )

    @contextmanager
    def fenced(request: HttpRequest, args: Any, kwargs: Any) -> Iterator[_Visit]:
        visit = _Visit()
        try:
            obj = target.get_object(request, args, kwargs)
        except Http404 as error:
            visit.answer = target.missing(request, error)
            yield visit
            return
        token = own_or_session_token(page_token(request), request, obj)
        lock_key = LockToken.objects.key_of(obj)
        with ExitStack() as stack:
            try:
                lock = stack.enter_context(fence(obj, token))
            except InvalidToken as error:
                visit.answer = target.refuse(request, error)
                yield visit
                return
            request.lock_token = lock.serialize()  # type: ignore[attr-defined]
            yield visit
            lock.release = releases(cast("HttpResponseBase", visit.answer))
        if lock.release:
            forget_token(request, lock_key, lock.token)

    return lambda view: within(fenced, view)


@dataclass
class _Visit:
    """A request to a decorated view, and its answer: a refusal before the view runs."""

    answer: HttpResponseBase | None = None


def within(guard: Callable[..., AbstractContextManager[_Visit]], view: View) -> View:
    """Return the view, sync or async, to run within the guard unless that refuses."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def asynchronous(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            async with in_thread(guard(request, args, kwargs)) as visit:
                if visit.answer is None:
                    visit.answer = await view(request, *args, **kwargs)
            return visit.answer

        return asynchronous

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with guard(request, args, kwargs) as visit:
            if visit.answer is None:
                visit.answer = view(request, *args, **kwargs)
        return visit.answer

    return wrapper


GetObjectId = Callable[..., Any]
Response = Callable[[HttpRequest, LockTokensError], HttpResponseBase]


class Target(NamedTuple):
    """The object of each request to a view, and the answers that its decorator gives."""

    model: type[models.Model]
    get_object_id: GetObjectId
    template: str
    response: Response | None

    def get_object(self, request: HttpRequest, args: Any, kwargs: Any) -> models.Model:
        """Return the object; raise ``Http404`` when there is none."""
        key = self.get_object_id(request, *args, **kwargs)
        key_field(self.model)  # a composite key is a mistake of the project's
        obj = find_object(self.model, key)
        if obj is None:
            raise Http404(f"No {self.model._meta.verbose_name} with this key.")
        return obj

    def missing(self, request: HttpRequest, error: Http404) -> HttpResponseBase:
        """Answer a request about no object; only one with input needs a page of ours."""
        if not submitted_fields(request):
            raise error
        return refuse(request, error, self.template)

    def refuse(self, request: HttpRequest, error: LockTokensError) -> HttpResponseBase:
        """Answer a request that may not have the lock, with the object as it is now."""
        found = self.model._default_manager.filter(pk=error.obj.pk)
        error.obj = found.first() or error.obj
        if self.response is not None:
            return self.response(request, error)
        return refuse(request, error, self.template)
