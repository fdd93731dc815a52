"""A request that writes, under the lock of its object."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import wraps
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import OperationalError, connections, models, router, transaction
from django.db.transaction import TransactionManagementError
from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import CreateModelMixin
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from ..api_actions import user_or_none
from ..api_errors import unavailable
from ..exceptions import AlreadyLockedError, InvalidToken
from ..fields import to_utc
from ..holding import FencedLock, fence, fence_unlocked
from ..keys import key_field
from ..models import LockToken
from ..places import Place
from .headers import EXPIRY_HEADER, sent_token
from .refusals import LockRefused, locked, refusals, required, void

Handler = Callable[..., HttpResponseBase]

#: The actions that are about the lock itself, and need none.
LOCK_ACTIONS = ("lock", "acquire_lock", "renew_lock", "release_lock")


def guard(view: Any, request: Request) -> None:
    """Have the view's handler for this request run under the lock of its object.

    For between the view's own checks and its handler, as in ``initial()``. Safe methods
    need no lock.
    """
    name = str(request.method).lower()
    handler = getattr(view, name, None)
    if (
        request.method in SAFE_METHODS
        or handler is None
        or hasattr(view, "locked_write")
        or getattr(view, "action", None) in LOCK_ACTIONS
    ):
        return
    view.locked_write = LockedWrite(view, request)
    setattr(view, name, view.locked_write.around(handler))


def get_object_to_lock(view: Any) -> models.Model | None:
    """Return the object that the view's request writes to; ``None`` for none.

    That is what ``get_object()`` gives, but for requests to a list. Other than generic
    views have none: see :meth:`LockedWrite.lock`.
    """
    if not _is_about_object(view):
        return None
    obj: models.Model = _get_object(view)
    return obj


class LockedWrite:
    """What one request holds while its handler writes.

    With a token, a fence; without one, the lock of an object that is free, for the time
    of the write. Either is a transaction around the handler: if that raises, all of it
    is undone.
    """

    def __init__(self, view: Any, request: Request) -> None:
        self.view = view
        self.request = request
        self.is_running = False
        self._stack = ExitStack()
        self._fenced: dict[Place | None, FencedLock] = {}
        self._has_target = False
        self._model: type[models.Model] | None = None
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def around(self, handler: Handler) -> Handler:
        """Return the handler, to run under the lock."""

        @wraps(handler)
        def inner(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            self.is_running, is_done = True, False
            try:
                with self._stack:
                    with refusals():
                        self._token = sent_token(self.request)
                    self._lock_target()
                    response = handler(request, *args, **kwargs)
                    self._finish(response)
                    is_done = True
            except OperationalError as error:
                if not is_done:
                    raise  # the handler's own
                raise LockRefused(unavailable()) from error
            finally:
                self.is_running = False
            self._describe(response)
            return response

        return inner

    def lock(self, obj: models.Model | Place) -> None:
        """Hold the object's lock until the handler is done.

        Raises ``LockRefused``: 423 under another's lock, 412 with a void token, 428
        without one where the view has ``lock_required``, 503 when the database fails.
        ``ValueError`` for a composite key.
        """
        self._has_target = True
        place = _place_of(obj)
        with refusals():
            if self._token is None and getattr(self.view, "lock_required", False):
                raise required(place)
            if place is None:  # nobody can lock it
                if self._token is not None:
                    raise void(None)
                return
            try:
                fenced = self._stack.enter_context(
                    fence(obj, self._token)
                    if self._token is not None
                    else fence_unlocked(obj, user=user_or_none(self.request.user))
                )
            except InvalidToken as error:
                raise void(place) from error
            except AlreadyLockedError as error:
                raise locked(error) from error
        self._fenced[place] = fenced

    def lock_checked(self, obj: Any) -> None:
        """:meth:`lock` an object that the view has read, and read it again.

        In a generic view, only if it is not the one that was locked and of its kind: by
        now, another object may have the name that the address has.

        Raises as :meth:`lock`, and ``Http404`` when it is gone.
        """
        if not self.is_running or not isinstance(obj, models.Model):
            return
        if isinstance(self.view, GenericAPIView) and not (
            self._model and isinstance(obj, self._model)
        ):
            return
        if _place_of(obj) in self._fenced:
            return
        self.lock(obj)
        try:
            obj.refresh_from_db()
        except ObjectDoesNotExist as error:
            raise Http404 from error

    def ends_lock_of(self, obj: models.Model) -> bool:
        """Say whether nobody will hold the object's lock once this write is done."""
        place = _place_of(obj)
        if not self.is_running or place not in self._fenced:
            return False
        return self._fenced[place].release or self._releases()

    def _lock_target(self) -> None:
        place = _known_place(self.view)
        if place is not None:
            try:
                self.lock(place)
            except LockRefused as refusal:
                if refusal.status_code != 503:
                    # Who may not have the object is told that, and not of its lock.
                    _get_object(self.view)
                raise
            return
        obj = _hook(self.view)(self.view)
        if obj is not None:
            self.lock(obj)
            if _hook(self.view) is get_object_to_lock:
                self._model = obj._meta.concrete_model

    def _finish(self, response: HttpResponseBase) -> None:
        """Say which locks end with the transaction."""
        is_done = response.status_code < 400
        for place, fenced in self._fenced.items():
            fenced.release = fenced.release or (is_done and self._releases())
            undone = place is None or connections[place.using].needs_rollback
            if not fenced.release and not undone:
                self._expires_at = fenced.expires_at
        if (
            is_done
            and not self._has_target
            and self.request.method != "POST"
            and not isinstance(self.view, GenericAPIView)
        ):
            raise ImproperlyConfigured(
                f"{type(self.view).__name__} has written, and HoldsLock has not seen to"
                " what: call check_object_permissions() before."
            )

    def _releases(self) -> bool:
        if getattr(self.view, "release_on_write", False):
            return True
        # With its object, the lock has come to its end.
        action = getattr(self.view, "action", "destroy")
        return self.request.method == "DELETE" and action == "destroy"

    def _describe(self, response: HttpResponseBase) -> None:
        if self._expires_at is not None:
            response[EXPIRY_HEADER] = to_utc(self._expires_at).isoformat()


def _place_of(obj: models.Model | Place) -> Place | None:
    """Return where the lock is kept; ``None`` for a key too long to have one."""
    if isinstance(obj, models.Model):
        key_field(type(obj))  # a composite key is a mistake of the project's
        if not LockToken.objects.can_be_locked(obj):
            return None
    return LockToken.objects.place_of(obj)


def _known_place(view: Any) -> Place | None:
    """Return where the lock is kept, if that is sure before the object is read.

    Then the lock comes first, and the handler reads what cannot change any more. Else
    the object is read twice, before and after.

    Sure it is for a plain ``get_object()`` by the primary key, if that is no text: of a
    text, the database may take several spellings for one.
    """
    if (
        not _is_about_object(view)
        or type(view).get_object is not GenericAPIView.get_object
        or _hook(view) is not get_object_to_lock
        or _lookup(view) not in view.kwargs
    ):
        return None
    queryset: Any = view.get_queryset()
    if not isinstance(queryset, models.QuerySet):
        return None
    model = queryset.model
    if view.lookup_field not in ("pk", model._meta.pk.name):
        return None
    if not isinstance(key_field(model), models.IntegerField | models.UUIDField):
        return None
    if queryset.db != router.db_for_write(model):
        return None
    try:
        return LockToken.objects.place_of_key(model, view.kwargs[_lookup(view)])
    except ValueError:
        return None  # no key at all


def _is_about_object(view: Any) -> bool:
    """Say whether a generic view's request is about one object, not about a list."""
    if not isinstance(view, GenericAPIView):
        return False
    detail = getattr(view, "detail", None)
    if detail is not None:
        return bool(detail)  # as a router has it
    if view.request.method != "POST":
        return True
    # The address of what is created may have the key of what it belongs to.
    action = getattr(view, "action", "create")
    creates = action == "create" and isinstance(view, CreateModelMixin)
    return _lookup(view) in view.kwargs and not creates


def _get_object(view: Any) -> Any:
    """Return the view's object, also where its queryset needs a transaction."""
    try:
        return view.get_object()
    except TransactionManagementError:  # of select_for_update()
        with transaction.atomic(using=view.get_queryset().db):
            return view.get_object()


def _hook(view: Any) -> Callable[[Any], models.Model | None]:
    """Return the view's own ``get_object_to_lock()``, or that of all views."""
    hook: Callable[[Any], models.Model | None] = getattr(
        type(view), "get_object_to_lock", get_object_to_lock
    )
    return hook


def _lookup(view: Any) -> str:
    """Return the name that the address has for the key."""
    return str(view.lookup_url_kwarg or view.lookup_field)
