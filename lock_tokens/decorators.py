"""Views that lock the object that they are about.

Each decorator takes the model, or its label such as ``"articles.Article"``, and
``get_object_id``. That is the name of the keyword argument with the key of the object,
or a function that returns the key or the object itself. The function is called with the
arguments of the view, the request first. If there is no such object, the answer is a 404.
If the request sent a form, the 404 page shows what was entered.

Two more options say what is answered when the lock cannot be had. ``template`` is the
name of a template for the 403 page; :func:`lock_tokens.refusals.refuse` lists its
context. ``response`` is a function of the request and the error that returns the whole
response.

Raises ``TypeError`` for an argument of the wrong kind, ``LookupError`` for the label of
no model and ``ValueError`` for a model with a composite key, all when the view is
decorated. A function that returns an object of another
model is a ``TypeError`` in the request.

The decorators work on functions, on coroutine functions, on ``View.as_view()``, and on
methods through Django's ``method_decorator``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from .exceptions import AlreadyLockedError, InvalidToken, LockTokensError
from .holding import fence
from .locking.error_reports import hide_tokens
from .locking.lock_token import LockToken
from .locking.object_keys import find_object, key_field
from .locking.primary import reading_from_primary, rendered_from_primary
from .locking.renewal import HeldLock, in_thread, renewing
from .locking.transactions import reread
from .refusals import DEFAULT_TEMPLATE, SHOWING_METHODS, refuse, submitted_fields
from .sessions import forget
from .web.opening import answer_without_lock, look_without_lock
from .web.request_tokens import (
    SAVED,
    forget_token,
    get_or_lock_for_request,
    lock_for_request,
    own_or_session_token,
    page_token,
    signed_in_user,
)

View = Callable[..., Any]
Model = type[models.Model] | str
GetObjectId = Callable[..., Any] | str
Response = Callable[[HttpRequest, LockTokensError], HttpResponseBase]
Release = bool | Callable[[HttpResponseBase], bool]


def locks_object(
    model: Model,
    get_object_id: GetObjectId,
    *,
    force_new: bool = False,
    template: str = DEFAULT_TEMPLATE,
    response: Response | None = None,
) -> Callable[[View], View]:
    """Lock the object for the session before the view runs, and leave it locked.

    The view finds the token dict in ``request.lock_token``. To keep two tabs of one
    session apart, put its ``token`` into the form as the field ``lock_token``, or send
    it as the header ``Lock-Token``. Then that token counts, and not the session's.

    Answers 403 when somebody else has locked the object. If the session's token is void,
    GET replaces it, because it only shows the object. Any other method answers 403,
    because its page may be older than somebody else's changes. ``force_new`` replaces a
    void token whatever the method. It is for views that save nothing that a page has
    shown.

    A request by which nobody edits locks nothing. HEAD runs the view with a token dict
    that has no token, and OPTIONS without one. A page that is loaded ahead of time gets a
    503. A GET by which another site loads the page gets a 403 with a link to it.

    A request without any token acquires the lock, whatever its method. Nothing tells how
    old the page of its form is. Decorate a view that saves with
    :func:`requires_lock_on_object` instead.
    """

    options = _options(model, get_object_id, template, response)
    return _decorator(lambda visit: _locking(visit, force_new), options)


def holds_lock_on_object(
    model: Model,
    get_object_id: GetObjectId,
    *,
    force_new: bool = False,
    keep_held: bool = False,
    template: str = DEFAULT_TEMPLATE,
    response: Response | None = None,
) -> Callable[[View], View]:
    """Lock the object for the session, and release it when the view is done or raises.

    A lock that the session already had is released too, even if a page in another tab
    still uses it. ``keep_held`` leaves such a lock alone. While the view runs, the lock
    is renewed in the background, however long that takes.

    HEAD runs the view with the lock, and leaves alone a lock that the session had. Other
    requests by which nobody edits are answered as by :func:`locks_object`.

    Answers 403 as :func:`locks_object` does. ``force_new`` means the same as there.
    """

    @contextmanager
    def hold(visit: _Visit) -> Iterator[None]:
        request = visit.request
        if request.method == "OPTIONS":
            yield
            return
        visit.turn_away()
        with visit.refusing():
            obj = visit.get_object()
            token_dict, is_new = get_or_lock_for_request(request, obj, force_new)
        request.lock_token = token_dict
        held = HeldLock(LockToken.objects.key_of(obj), token_dict["token"], None)
        is_done = False
        try:
            with renewing(held):
                yield
            is_done = True
        finally:
            keep = keep_held or request.method == "HEAD"
            if is_new or not keep:
                held.give_up()
                # If the request's transaction is undone, so is the release.
                is_undone = not is_done and held.in_transaction()
                if hasattr(request, "session") and not is_undone:
                    forget(held.lock_key, request.session)

    return _decorator(hold, _options(model, get_object_id, template, response))


def requires_lock_on_object(
    model: Model,
    get_object_id: GetObjectId,
    release: Release = False,
    *,
    template: str = DEFAULT_TEMPLATE,
    response: Response | None = None,
) -> Callable[[View], View]:
    """Run the view only with the object's lock, inside a fence.

    Use it for views that save. The token is the one in the form field ``lock_token``,
    else in the header ``Lock-Token``, else the session's. One transaction verifies it
    and runs the view. Nobody can take the lock before that transaction ends (see
    ``holding.fence``). An exception in the view undoes all of it. The view finds the
    token dict in ``request.lock_token``, for a form that it shows again.

    With ``release=True`` the same transaction releases the lock if the view answers with
    a redirect, 201, 202 or 204. Any other answer keeps the lock, such as the 200 of a
    form with errors. ``release`` may also be a function of the response that says whether
    to release.

    Answers 403 when there is no token, when the token is void, and when another user has
    acquired the lock than the one who is signed in now.
    """

    options = _options(model, get_object_id, template, response)
    return _decorator(lambda visit: _requiring(visit, release), options)


def edits_object(
    model: Model,
    get_object_id: GetObjectId,
    release: Release = True,
    *,
    template: str = DEFAULT_TEMPLATE,
    response: Response | None = None,
) -> Callable[[View], View]:
    """Lock the object for a view that shows a form and saves it.

    GET, HEAD and OPTIONS are answered as by :func:`locks_object`. All other methods run
    only with the lock, as with :func:`requires_lock_on_object`, and an answer that says
    that the view has saved releases it. ``release`` means the same as there.

    The view finds the object in ``request.locked_object``. It is read under the lock,
    from the database that the view writes it to. OPTIONS has none.

    Answers 403 as the two decorators do.
    """

    def edit(visit: _Visit) -> AbstractContextManager[None]:
        if visit.request.method in (*SHOWING_METHODS, "OPTIONS"):
            return _locking(visit, reads=True)
        return _requiring(visit, release, reads=True)

    return _decorator(edit, _options(model, get_object_id, template, response))


@contextmanager
def _locking(
    visit: _Visit, force_new: bool = False, reads: bool = False
) -> Iterator[None]:
    """Lock the object for the session, and leave it locked."""
    request = visit.request
    if request.method != "OPTIONS":  # it only asks what the view can do
        visit.turn_away()
        with visit.refusing():
            obj = visit.get_object()
            if request.method == "HEAD" and page_token(request) is None:
                request.lock_token = look_without_lock(request, obj)
            else:
                request.lock_token = lock_for_request(request, obj, force_new)
            if reads:
                visit.read(obj)
    yield


@contextmanager
def _requiring(visit: _Visit, release: Release, reads: bool = False) -> Iterator[None]:
    """Verify the token in a fence around the view."""

    def releases(answer: Any) -> bool:
        if callable(release):
            return release(answer)
        return release and getattr(answer, "status_code", None) in SAVED

    request = visit.request
    with ExitStack() as stack:
        with visit.refusing():
            obj = visit.get_object()
            token = own_or_session_token(page_token(request), request, obj)
            lock_key = LockToken.objects.key_of(obj)
            lock = stack.enter_context(fence(obj, token, user=signed_in_user(request)))
            if reads:
                visit.read(obj)
        request.lock_token = lock.serialize()
        yield
        lock.release = releases(visit.answer)
    if lock.release:
        forget_token(request, lock_key, lock.token)


class _Options(NamedTuple):
    """The arguments that all decorators take."""

    model: type[models.Model]
    get_object_id: Callable[..., Any]
    template: str
    response: Response | None


def _options(
    model: Model, get_object_id: GetObjectId, template: str, response: Response | None
) -> _Options:
    """Return the arguments, which are checked before there is a request."""
    if isinstance(model, str) and model.count(".") == 1:
        model = apps.get_model(model)
    if not isinstance(model, type) or not issubclass(model, models.Model):
        raise TypeError(
            "model must be a model, or a label such as 'articles.Article', not"
            f" {model!r}."
        )
    if model._meta.abstract:
        raise TypeError(f"{model.__name__} is abstract, so it has no objects to lock.")
    key_field(model)  # raises for a composite key
    if isinstance(get_object_id, str):
        get_object_id = _keyword(get_object_id)
    if not callable(get_object_id) or iscoroutinefunction(get_object_id):
        raise TypeError(
            "get_object_id must be the name of a keyword argument of the view, or a"
            f" function that is no coroutine function, not {get_object_id!r}."
        )
    if response is not None and not callable(response):
        raise TypeError(f"response must be a function, not {response!r}.")
    return _Options(model, get_object_id, template, response)


def _keyword(name: str) -> Callable[..., Any]:
    """Return the function that finds the key in a keyword argument of the view."""

    def get_object_id(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if name not in kwargs:
            names = ", ".join(kwargs) or "none"
            raise TypeError(
                f"The view has no keyword argument {name!r}. It was called with {names}."
            )
        return kwargs[name]

    return get_object_id


@dataclass
class _Visit:
    """One request to a decorated view. ``answer`` is what the view returned."""

    options: _Options
    request: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: Any = None

    def get_object(self) -> models.Model:
        """Return the object; raise ``Http404`` when there is none."""
        model = self.options.model
        key = self.options.get_object_id(self.request, *self.args, **self.kwargs)
        if isinstance(key, model):
            return key
        if isinstance(key, models.Model):
            raise TypeError(
                "get_object_id must return the key of an object, or an object of"
                f" {model._meta.label}, not of {key._meta.label}."
            )
        if key is None:  # a return that was forgotten, or a parameter that was not sent
            raise Http404("get_object_id returned None, which is the key of no object.")
        obj = find_object(model, key)
        if obj is None:
            raise Http404(f"There is no {model._meta.verbose_name} with this key.")
        return obj

    def read(self, obj: models.Model) -> None:
        """Read the object again, under its lock; raise ``Http404`` when it is gone."""
        try:
            reread(obj)
        except ObjectDoesNotExist:
            raise Http404("The object has just been deleted.") from None
        self.request.locked_object = obj

    def turn_away(self) -> None:
        """Answer a request by which nobody opens a page to edit it."""
        answer = answer_without_lock(self.request)
        if answer is not None:
            raise _Refused(answer)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Answer the request when the block finds no object or gets no lock."""
        try:
            yield
        except Http404 as error:
            if not submitted_fields(self.request):
                raise  # nothing was entered that a page of ours could give back
            answer = refuse(self.request, error, self.options.template)
            raise _Refused(answer) from error
        except (AlreadyLockedError, InvalidToken) as error:
            raise _Refused(self._refuse(error)) from error

    def _refuse(self, error: LockTokensError) -> HttpResponseBase:
        """Return the refusal. It shows the object as it is now."""
        found = self.options.model._default_manager.filter(pk=error.obj.pk)
        error.obj = found.first() or error.obj
        if self.options.response is not None:
            return self.options.response(self.request, error)
        return refuse(self.request, error, self.options.template)


class _Refused(Exception):
    """The request gets this answer, and its view does not run."""

    def __init__(self, answer: HttpResponseBase) -> None:
        self.answer = answer


def _decorator(
    guard: Callable[[_Visit], AbstractContextManager[None]], options: _Options
) -> Callable[[View], View]:
    """Return the decorator that runs a view, sync or async, within the guard."""

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            hide_tokens(request)
            visit = _Visit(options, request, args, kwargs)
            try:
                with reading_from_primary(), guard(visit):
                    visit.answer = view(request, *args, **kwargs)
            except _Refused as refused:
                visit.answer = refused.answer
            return rendered_from_primary(visit.answer)

        @wraps(view)
        async def arun(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            hide_tokens(request)
            visit = _Visit(options, request, args, kwargs)
            try:
                async with in_thread(guard(visit)):
                    visit.answer = await view(request, *args, **kwargs)
            except _Refused as refused:
                visit.answer = refused.answer
            return rendered_from_primary(visit.answer)

        return arun if iscoroutinefunction(view) else run

    return decorate
