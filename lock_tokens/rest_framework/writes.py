"""A request that writes, under the lock of its object."""

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
from rest_framework.request import Request

from ..api.errors import unavailable
from ..api.operations import user_or_none
from ..exceptions import AlreadyLockedError, InvalidToken
from ..holding import FencedLock, fence, fence_unlocked
from ..locking.fields import to_utc
from ..locking.lock_key import LockKey, database_of
from ..locking.lock_token import LockToken
from ..locking.object_keys import key_field, key_value
from ..locking.transactions import reads_stale_snapshot, reread
from .headers import EXPIRY_HEADER, sent_token
from .refusals import LockRefused, locked, refusals, required, void
from .targets import creates, get_object, has_own_hook, hook, known_place

Handler = Callable[..., HttpResponseBase]


class LockedWrite:
    """What one request holds while its handler writes.

    With a token, a fence; without one, the lock of an object that is free, for the time
    of the write. Either is a transaction around the handler: if that raises, all of it
    is undone.
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
        self._read: list[models.Model] = []
        self._is_getting_object = False
        self._may_show_the_past = False
        self._own_transactions: set[str] = set()
        self._has_hooks = False
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def around(self, handler: Handler) -> Handler:
        """Return the handler, to run under the lock."""

        @wraps(handler)
        def inner(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            self.has_begun, is_done = True, False
            try:
                with self._stack:
                    with refusals():
                        self._token = sent_token(self.request)
                    self._lock_target()
                    self.is_running = True
                    response = handler(request, *args, **kwargs)
                    self._finish(response)
                    is_done = True
            except OperationalError as error:
                if not is_done or self._has_hooks:
                    raise  # the handler's own, or what it had put off until the commit
                raise LockRefused(unavailable()) from error
            finally:
                self.has_begun = self.is_running = False
                vars(self.view).pop("get_object", None)
            self._describe(response)
            return response

        return inner

    def lock(self, obj: models.Model | LockKey, *, is_second: bool = False) -> None:
        """Hold the object's lock until the handler is done.

        The token of the request is for one object. A second one is only locked if it is
        free.

        Raises ``LockRefused``: 423 under another's lock, 412 with a void token, 428
        without one where the view has ``lock_required``, 503 when the database fails.
        ``ValueError`` for a composite key.
        """
        token = None if is_second else self._token
        lock_key = _place_of(obj)
        self._note_transactions(obj, lock_key)
        with refusals():
            if not is_second and token is None and self._is_lock_required():
                raise required(lock_key)
            if lock_key is None:  # nobody can lock it
                if token is not None:
                    raise void(None)
                return
            try:
                fenced = self._stack.enter_context(
                    fence(obj, token)
                    if token is not None
                    else fence_unlocked(obj, user=user_or_none(self.request.user))
                )
            except InvalidToken as error:
                raise void(lock_key) from error
            except AlreadyLockedError as error:
                raise locked(error) from error
        self._fenced[lock_key] = fenced

    def lock_checked(self, obj: Any) -> None:
        """:meth:`lock` an object whose permission the handler checks; read it again.

        The first one, unless the object of the request was locked before. Of the others
        those of its kind, in a generic view: what belongs to it, or it to, is checked
        and not written. In another view each of them.

        Raises as :meth:`lock`, and ``Http404`` when it is gone.
        """
        if not self.is_running or self._is_getting_object or not _is_saved(obj):
            return
        if _place_of(obj) in self._fenced:
            self._read_again_if_past(obj)
        elif self._is_decided():
            return
        elif self._target is None:
            self._lock_found(obj)
        elif not isinstance(self.view, GenericAPIView) or self._is_of_its_kind(obj):
            self.lock(obj, is_second=True)
            self._read_again(obj)

    def ends_lock_of(self, obj: models.Model) -> bool:
        """Say whether nobody will hold the object's lock once this write is done."""
        lock_key = _place_of(obj)
        if lock_key is None or not self.is_running or lock_key not in self._fenced:
            return False
        return self._fenced[lock_key].release or self._releases(lock_key)

    def _lock_target(self) -> None:
        """Lock the object that the request is about, if its address has one."""
        lock_key = known_place(self.view)
        if lock_key is not None:
            try:
                self.lock(lock_key)
                self._target = lock_key
            except LockRefused as refusal:
                if refusal.status_code != 503:
                    # Who may not have the object is told that, and not of its lock.
                    get_object(self.view)
                raise
        else:
            obj = hook(self.view)(self.view)
            if isinstance(obj, models.Model):
                self.lock(obj)
                self._target = obj
        if hasattr(self.view, "get_object"):
            self._get_object = self.view.get_object
            self.view.get_object = self.get_object

    def get_object(self) -> Any:
        """Stand in for the view's ``get_object()``: what that gives is locked.

        Which it is not yet where the address does not tell the object, and where by now
        another has the name that the address has.
        """
        self._is_getting_object = True
        try:
            obj = self._get_object()
        finally:
            self._is_getting_object = False
        if not _is_saved(obj):
            return obj
        if _place_of(obj) in self._fenced:
            was_read_before_the_lock = obj is self._target
            if was_read_before_the_lock:
                self._read_again(obj)
            else:
                self._read_again_if_past(obj)
        elif not self._is_decided():
            self._lock_found(obj)
        return obj

    def _is_decided(self) -> bool:
        """Say whether no other object than the one locked before is to be locked."""
        return creates(self.view) or has_own_hook(self.view)

    def _lock_found(self, obj: models.Model) -> None:
        self.lock(obj)
        self._target = obj
        self._read_again(obj)

    def _read_again_if_past(self, obj: models.Model) -> None:
        if self._may_show_the_past:
            self._read_again(obj)

    def _read_again(self, obj: models.Model) -> None:
        """Read it as it is now, once: from then on, the handler may have changed it."""
        if any(obj is before for before in self._read):
            return
        self._read.append(obj)
        try:
            reread(obj)
        except ObjectDoesNotExist as error:
            raise Http404 from error

    def _is_of_its_kind(self, obj: models.Model) -> bool:
        target = self._target
        model: Any = target.model if isinstance(target, LockKey) else type(target)
        return obj._meta.concrete_model is model._meta.concrete_model

    def _is_lock_required(self) -> bool:
        return bool(getattr(self.view, "lock_required", False))

    def _note_transactions(
        self, obj: models.Model | LockKey, lock_key: LockKey | None
    ) -> None:
        """Take down where the lock and the object are, and what transactions are open."""
        if lock_key is None:
            return
        using = self._databases[lock_key] = database_of(obj)
        for database in {lock_key.using, using} - self._own_transactions:
            if not connections[database].in_atomic_block:
                self._own_transactions.add(database)
            elif reads_stale_snapshot(database):
                self._may_show_the_past = True

    def _finish(self, response: HttpResponseBase) -> None:
        """Say which locks end with the transaction."""
        is_done = response.status_code < 400
        for using in self._own_transactions:
            if is_done and connections[using].needs_rollback:
                raise TransactionManagementError(
                    "The handler has caught an error of the database that undoes all of"
                    " its writes. Put what may fail into a transaction.atomic() of its"
                    " own."
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
                f"{type(self.view).__name__} has written, and HoldsLock has not seen to"
                " what: call check_object_permissions() before."
            )

    def _releases(self, lock_key: LockKey) -> bool:
        if getattr(self.view, "release_on_write", False):
            return True
        # With its object, the lock has come to its end.
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

    def _describe(self, response: HttpResponseBase) -> None:
        if self._expires_at is not None:
            response[EXPIRY_HEADER] = to_utc(self._expires_at).isoformat()


def _place_of(obj: models.Model | LockKey) -> LockKey | None:
    """Return where the lock is kept; ``None`` for a key too long to have one."""
    if isinstance(obj, models.Model):
        key_field(type(obj))  # a composite key is a mistake of the project's
        if not LockToken.objects.can_be_locked(obj):
            return None
    return LockToken.objects.key_of(obj)


def _is_saved(obj: Any) -> bool:
    return isinstance(obj, models.Model) and not obj._state.adding
