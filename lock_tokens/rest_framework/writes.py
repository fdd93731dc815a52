"""Requests that write, under the lock of their object."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import wraps
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import OperationalError, connections, models
from django.db.transaction import TransactionManagementError
from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import DestroyModelMixin
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from ..api.errors import unavailable
from ..api.operations import user_or_none
from ..exceptions import AlreadyLockedError, InvalidToken
from ..holding import FencedLock, fence, fence_unlocked
from ..locking.error_reports import hide_tokens
from ..locking.fields import to_utc
from ..locking.lock_key import LockKey, database_of
from ..locking.lock_token import LockToken
from ..locking.object_keys import key_field, key_value
from ..locking.primary import reading_from_primary
from ..locking.transactions import reads_stale_snapshot, reread
from .refusals import (
    LockRefused,
    refusals,
    refused_by_lock,
    refused_void_token,
    refused_without_token,
)
from .requests import is_about_lock, request_token
from .targets import (
    creates,
    get_hook,
    get_view_object,
    has_own_hook,
    known_lock_key,
    lists_objects,
)

Handler = Callable[..., HttpResponseBase]

#: The header of an answer that says when the lock expires.
EXPIRY_HEADER = "Lock-Expires-At"


def guard(view: Any, request: Request) -> None:
    """Make the view's handler for this request run under the lock of its object.

    Call it between the view's own checks and its handler, as in ``initial()``. Safe
    methods need no lock, and neither does the route to the lock itself. But whoever reads
    one object may be about to write to it: it does not come from a replica.
    """
    hide_tokens(request._request)
    name = str(request.method).lower()
    handler = getattr(view, name, None)
    if handler is None or hasattr(view, "locked_write"):
        return
    if request.method in SAFE_METHODS or is_about_lock(view):
        if not lists_objects(view):
            setattr(view, name, reading_from_primary()(handler))
        return
    view.locked_write = LockedWrite(view, request)
    setattr(view, name, view.locked_write.around(handler))


def is_lock_required(view: Any) -> bool:
    """Say whether each write of the view needs a token, even to an object that is free."""
    return bool(getattr(view, "lock_required", False))


class LockedWrite:
    """What one request holds while its handler writes.

    With a token it is a fence. Without one it is the lock of an object that is free, for
    the time of the write. Both are a transaction around the handler. If the handler
    raises, all of it is undone.
    """

    def __init__(self, view: Any, request: Request) -> None:
        self.view = view
        self.request = request
        self.has_begun = False
        self.is_running = False
        self._stack = ExitStack()
        self._fenced: dict[LockKey, FencedLock] = {}
        self._target: models.Model | LockKey | None = None
        self._databases: dict[LockKey, str] = {}
        self._were_reread: list[models.Model] = []
        self._is_getting_object = False
        self._reads_stale_snapshot = False
        self._own_transactions: set[str] = set()
        self._has_hooks = False
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def around(self, handler: Handler) -> Handler:
        """Return the handler, to run under the lock."""

        @wraps(handler)
        @reading_from_primary()
        def inner(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            self.has_begun, is_done = True, False
            try:
                with self._stack:
                    with refusals():
                        self._token = request_token(self.request)
                    self._lock_target()
                    self.is_running = True
                    response = handler(request, *args, **kwargs)
                    self._finish(response)
                    is_done = True
            except OperationalError as error:
                if not is_done or self._has_hooks:
                    raise  # from the handler, or from what it runs on commit
                raise LockRefused(unavailable()) from error
            finally:
                self.has_begun = self.is_running = False
                vars(self.view).pop("get_object", None)
            if self._expires_at is not None:
                response[EXPIRY_HEADER] = to_utc(self._expires_at).isoformat()
            return response

        return inner

    def lock(self, obj: models.Model | LockKey, *, is_second: bool = False) -> None:
        """Hold the object's lock until the handler is done.

        The token of the request is for one object. A second object is locked only if it
        is free.

        Raises ``LockRefused`` with one of these statuses: 423 when somebody else has
        locked the object, 412 when the token is void, 428 when the view has
        ``lock_required`` and there is no token, 503 or 500 when the database fails. Raises
        ``ValueError`` for a composite key.
        """
        token = None if is_second else self._token
        lock_key = _lock_key_of(obj)
        self._note_transactions(obj, lock_key)
        with refusals():
            if not is_second and token is None and is_lock_required(self.view):
                raise refused_without_token(lock_key)
            if lock_key is None:  # nobody can lock the object
                if token is not None:
                    raise refused_void_token(None)
                return
            try:
                fenced = self._stack.enter_context(
                    fence(obj, token)
                    if token is not None
                    else fence_unlocked(obj, user=user_or_none(self.request.user))
                )
            except InvalidToken as error:
                raise refused_void_token(lock_key) from error
            except AlreadyLockedError as error:
                raise refused_by_lock(error) from error
        self._fenced[lock_key] = fenced

    def lock_checked(self, obj: Any) -> None:
        """Lock an object whose permission the handler checks, and read it again.

        If the request has no object yet, the first object that is checked becomes it. In
        a generic view, the others are locked only if their model is the same: the handler
        checks related objects but does not write them. In any other view, each object is
        locked.

        Raises what :meth:`lock` raises, and ``Http404`` when the object is gone.
        """
        if not self.is_running or self._is_getting_object or not _is_saved(obj):
            return
        if _lock_key_of(obj) in self._fenced:
            if self._reads_stale_snapshot:
                self._reread(obj)
        elif self._is_decided():
            return
        elif self._target is None:
            self._lock_found(obj)
        elif not isinstance(self.view, GenericAPIView) or self._is_of_its_kind(obj):
            self.lock(obj, is_second=True)
            self._reread(obj)

    def ends_lock_of(self, obj: models.Model) -> bool:
        """Say whether the object has no lock once this write is done."""
        lock_key = _lock_key_of(obj)
        if lock_key is None or not self.is_running or lock_key not in self._fenced:
            return False
        return self._fenced[lock_key].release or self._releases(lock_key)

    def _lock_target(self) -> None:
        """Lock the object of the request, if the URL tells which one it is."""
        lock_key = known_lock_key(self.view)
        if lock_key is not None:
            try:
                self.lock(lock_key)
            except LockRefused as refusal:
                if refusal.status_code < 500:
                    # This raises for users who may not see the object. They are to learn
                    # nothing about its lock.
                    get_view_object(self.view)
                raise
            self._target = lock_key
        else:
            obj = get_hook(self.view)(self.view)
            if isinstance(obj, models.Model):
                self.lock(obj)
                self._target = obj
        if hasattr(self.view, "get_object"):
            self._get_object = self.view.get_object
            self.view.get_object = self._get_and_lock_object

    def _get_and_lock_object(self) -> Any:
        """Return what the view's ``get_object()`` returns, locked.

        The object is not locked yet if the URL does not tell which one it is, or if by
        now the URL leads to another object.
        """
        self._is_getting_object = True
        try:
            obj = self._get_object()
        finally:
            self._is_getting_object = False
        if not _is_saved(obj):
            return obj
        if _lock_key_of(obj) in self._fenced:
            # The target was read before it was locked.
            if obj is self._target or self._reads_stale_snapshot:
                self._reread(obj)
        elif not self._is_decided():
            self._lock_found(obj)
        return obj

    def _is_decided(self) -> bool:
        """Say whether the object to lock was known before the handler ran."""
        return creates(self.view) or has_own_hook(self.view)

    def _lock_found(self, obj: models.Model) -> None:
        self.lock(obj)
        self._target = obj
        self._reread(obj)

    def _reread(self, obj: models.Model) -> None:
        """Read the object as it is now, but only once: then the handler may change it."""
        if any(obj is before for before in self._were_reread):
            return
        self._were_reread.append(obj)
        try:
            reread(obj)
        except ObjectDoesNotExist as error:
            raise Http404 from error

    def _is_of_its_kind(self, obj: models.Model) -> bool:
        target = self._target
        model: Any = target.model if isinstance(target, LockKey) else type(target)
        return obj._meta.concrete_model is model._meta.concrete_model

    def _note_transactions(
        self, obj: models.Model | LockKey, lock_key: LockKey | None
    ) -> None:
        """Note the databases of lock and object, and which transactions are open."""
        if lock_key is None:
            return
        using = self._databases[lock_key] = database_of(obj)
        for database in {lock_key.using, using} - self._own_transactions:
            if not connections[database].in_atomic_block:
                self._own_transactions.add(database)
            elif reads_stale_snapshot(database):
                self._reads_stale_snapshot = True

    def _finish(self, response: HttpResponseBase) -> None:
        """Decide which locks are released with the transaction."""
        is_done = response.status_code < 400
        for using in self._own_transactions:
            if is_done and connections[using].needs_rollback:
                raise TransactionManagementError(
                    "The handler caught a database error that rolls back all of its"
                    " writes. Put the code that may fail into its own"
                    " transaction.atomic() block."
                )
            hooks: list[Any] = connections[using].run_on_commit
            self._has_hooks |= any(not is_robust for *_, is_robust in hooks)
        for lock_key, fenced in self._fenced.items():
            if connections[lock_key.using].needs_rollback:
                continue
            fenced.release = fenced.release or (is_done and self._releases(lock_key))
            if not fenced.release:
                self._expires_at = fenced.expires_at
        if (
            is_done
            and self._target is None
            and self.request.method != "POST"
            and not isinstance(self.view, GenericAPIView)
        ):
            raise ImproperlyConfigured(
                f"{type(self.view).__name__} wrote to an object that HoldsLock has not"
                " checked. Call check_object_permissions() before you write."
            )

    def _releases(self, lock_key: LockKey) -> bool:
        if getattr(self.view, "release_on_write", False):
            return True
        # An object that is gone needs no lock.
        return self.request.method == "DELETE" and self._is_gone(lock_key)

    def _is_gone(self, lock_key: LockKey) -> bool:
        view = type(self.view)
        if (
            not has_own_hook(self.view)
            and getattr(self.view, "action", "destroy") == "destroy"
            and issubclass(view, DestroyModelMixin)
            and view.destroy is DestroyModelMixin.destroy
            and view.perform_destroy is DestroyModelMixin.perform_destroy
            and lock_key.model.delete is models.Model.delete
        ):
            return True
        model = lock_key.model
        rows = model._base_manager.using(self._databases[lock_key])
        rows = rows.filter(pk=key_value(model, lock_key.object_key))
        return not rows.exists()


def _lock_key_of(obj: models.Model | LockKey) -> LockKey | None:
    """Return the lock key; ``None`` for an object whose key is too long for one."""
    if isinstance(obj, models.Model):
        key_field(type(obj))  # raises for a composite key, a mistake in the code
        if not LockToken.objects.can_be_locked(obj):
            return None
    return LockToken.objects.key_of(obj)


def _is_saved(obj: Any) -> bool:
    return isinstance(obj, models.Model) and not obj._state.adding
