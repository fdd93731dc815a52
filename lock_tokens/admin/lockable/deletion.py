"""Deleting in the admin: not what somebody else is editing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import NestedObjects
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken, WrongUserError
from lock_tokens.holding import fence
from lock_tokens.locking.info import display_name
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.sessions import forget, infos_of_others
from lock_tokens.web.lock_page import HELD
from lock_tokens.web.opening import answer_without_lock, look_without_lock

from .request_locks import described, has_request_lock, session_of
from .trees import with_descendants
from .visit import Visit


@dataclass
class DeleteVisit(Visit):
    """One request to the page that asks before it deletes, or to the deletion itself."""

    object_id: str
    extra_context: dict[str, Any] | None

    def answer(self) -> HttpResponseBase:
        """Return the response."""
        request = self.request
        answer = answer_without_lock(request)
        if answer is not None:
            return answer
        try:
            if request.method == "POST":
                return self.delete()
            return self.ask_first()
        except AlreadyLockedError as error:
            message = _("This was not deleted: %(what)s.") % {
                "what": described(self.obj, error)
            }
        except WrongUserError as error:
            message = _(
                "This was not deleted, because you opened the page as %(name)s, and"
                " somebody else is signed in now."
            ) % {"name": display_name(error.locked_by)}
        except InvalidToken as error:
            if error.obj is not self.obj:
                raise  # from the deletion itself
            message = _(
                "This was not deleted. Somebody else may have changed it before you"
                " confirmed. Check it and try again."
            )
        self.model_admin.message_user(request, message, messages.WARNING)
        return HttpResponseRedirect(self.way_back())

    def ask_first(self) -> HttpResponseBase:
        """Lock the object for the question, if the user can answer yes."""
        look_without_lock(self.request, self.obj)
        found = self.model_admin.get_deleted_objects([self.obj], self.request)
        _deleted, _count, perms_needed, protected = found
        if not perms_needed and not protected:
            self.set_page(HELD, token=self.lock())
        return self.ask_django()

    def delete(self) -> HttpResponseBase:
        lock_key = LockToken.objects.key_of(self.obj)
        # No new lock here: others may have edited the object since the question.
        token, timeout = self.sent_token(), self.model_admin.lock_timeout
        user = self.request.user
        with fence(self.obj, token, timeout=timeout, user=user) as fenced:
            self.set_page(HELD, token=fenced.token)
            self.fenced = True
            response = self.ask_django()
            fenced.release = not self.shown and response.status_code < 400
        if fenced.release:
            forget(lock_key, self.request.session)
        return response

    def ask_django(self) -> HttpResponseBase:
        response: HttpResponseBase = self.model_admin._next_delete_view(
            self.request, self.object_id, self.extra_context
        )
        return response


def edited_by_others(objs: Any, request: HttpRequest, using: str) -> Iterable[str]:
    """Say which objects somebody else is editing, of all that would be deleted."""
    objs = with_descendants(objs)
    collector = NestedObjects(using=using, origin=objs)
    collector.collect(objs)
    objects = [
        obj
        for model, instances in collector.data.items()
        if not model._meta.auto_created
        for obj in instances
        if LockToken.objects.can_be_locked(obj) and not has_request_lock(request, obj)
    ]
    for obj, info in zip(
        objects,
        infos_of_others(
            objects, session_of(request), user=getattr(request, "user", None)
        ),
        strict=True,
    ):
        if info is not None:
            yield f"{capfirst(obj._meta.verbose_name)}: {described(obj, info)}"
