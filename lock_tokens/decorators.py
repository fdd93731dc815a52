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

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import models
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from .exceptions import AlreadyLockedError, InvalidToken
from .holding import afence, fence
from .models import LockToken
from .places import Place
from .refusals import DEFAULT_TEMPLATE
from .renewal import HeldLock, arenewing, finished, renewing
from .request_tokens import (
    forget_token,
    lock_for_request,
    own_or_session_token,
    page_token,
)
from .sessions import forget
from .targets import GetObjectId, Response, Target

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

    def acquire(
        request: HttpRequest, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        if request.method == "OPTIONS":
            return None  # asks what the view can do, not to do it
        try:
            obj = target.get_object(request, args, kwargs)
            request.lock_token = lock_for_request(request, obj, force_new)  # type: ignore[attr-defined]
        except Http404 as error:
            return target.missing(request, error)
        except (AlreadyLockedError, InvalidToken) as error:
            return target.refuse(request, error)
        return None

    def decorator(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def asynchronous(
                request: HttpRequest, *args: Any, **kwargs: Any
            ) -> HttpResponseBase:
                refusal = await sync_to_async(acquire)(request, args, kwargs)
                if refusal is not None:
                    return refusal
                return await view(request, *args, **kwargs)  # type: ignore[no-any-return]

            return asynchronous

        @wraps(view)
        def wrapper(
            request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponseBase:
            refusal = acquire(request, args, kwargs)
            if refusal is not None:
                return refusal
            return view(request, *args, **kwargs)  # type: ignore[no-any-return]

        return wrapper

    return decorator


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

    def acquire(
        request: HttpRequest, args: Any, kwargs: Any
    ) -> tuple[HeldLock, bool] | HttpResponseBase:
        try:
            obj = target.get_object(request, args, kwargs)
            before = own_or_session_token(page_token(request), request, obj)
            lock_token = lock_for_request(request, obj, force_new)
        except Http404 as error:
            return target.missing(request, error)
        except (AlreadyLockedError, InvalidToken) as error:
            return target.refuse(request, error)
        request.lock_token = lock_token  # type: ignore[attr-defined]
        token = lock_token["token"]
        held = HeldLock(LockToken.objects.place_of(obj), token, None)
        return held, keep_held and token == before

    def release(request: HttpRequest, held: HeldLock, raised: bool) -> None:
        held.give_up()
        # With the transaction of the request undone, a lock from before still stands.
        is_undone = raised and held.in_transaction()
        if hasattr(request, "session") and not is_undone:
            forget(held.place, request.session)

    def decorator(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def asynchronous(
                request: HttpRequest, *args: Any, **kwargs: Any
            ) -> HttpResponseBase:
                acquired = await sync_to_async(acquire)(request, args, kwargs)
                if not isinstance(acquired, tuple):
                    return acquired
                held, keep = acquired
                raised = True
                try:
                    async with arenewing(held):
                        answer: HttpResponseBase = await view(request, *args, **kwargs)
                    raised = False
                finally:
                    if not keep:
                        releasing = sync_to_async(release)(request, held, raised)
                        await finished(asyncio.ensure_future(releasing))
                return answer

            return asynchronous

        @wraps(view)
        def wrapper(
            request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponseBase:
            acquired = acquire(request, args, kwargs)
            if not isinstance(acquired, tuple):
                return acquired
            held, keep = acquired
            raised = True
            try:
                with renewing(held):
                    answer: HttpResponseBase = view(request, *args, **kwargs)
                raised = False
            finally:
                if not keep:
                    release(request, held, raised)
            return answer

        return wrapper

    return decorator


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

    def prepare(
        request: HttpRequest, args: Any, kwargs: Any
    ) -> tuple[models.Model, Place, str] | HttpResponseBase:
        try:
            obj = target.get_object(request, args, kwargs)
        except Http404 as error:
            return target.missing(request, error)
        token = own_or_session_token(page_token(request), request, obj)
        return obj, LockToken.objects.place_of(obj), token

    def decorator(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def asynchronous(
                request: HttpRequest, *args: Any, **kwargs: Any
            ) -> HttpResponseBase:
                prepared = await sync_to_async(prepare)(request, args, kwargs)
                if not isinstance(prepared, tuple):
                    return prepared
                obj, place, token = prepared
                async with AsyncExitStack() as stack:
                    try:
                        fenced = await stack.enter_async_context(afence(obj, token))
                    except InvalidToken as error:
                        return await sync_to_async(target.refuse)(request, error)
                    request.lock_token = fenced.serialize()  # type: ignore[attr-defined]
                    answer: HttpResponseBase = await view(request, *args, **kwargs)
                    fenced.release = releases(answer)
                if fenced.release:
                    await sync_to_async(forget_token)(request, place, fenced.token)
                return answer

            return asynchronous

        @wraps(view)
        def wrapper(
            request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponseBase:
            prepared = prepare(request, args, kwargs)
            if not isinstance(prepared, tuple):
                return prepared
            obj, place, token = prepared
            with ExitStack() as stack:
                try:
                    fenced = stack.enter_context(fence(obj, token))
                except InvalidToken as error:
                    return target.refuse(request, error)
                request.lock_token = fenced.serialize()  # type: ignore[attr-defined]
                answer: HttpResponseBase = view(request, *args, **kwargs)
                fenced.release = releases(answer)
            if fenced.release:
                forget_token(request, place, fenced.token)
            return answer

        return wrapper

    return decorator
