"""One request to a page of an object that can be locked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse

from lock_tokens.locking.lock_key import LockKey
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.sessions import get_or_lock_for_session
from lock_tokens.web.lock_page import AGAIN, HELD, LockPage
from lock_tokens.web.request_tokens import form_token, own_or_session_token

from .nothing_saved import login_url


@dataclass
class Visit:
    """One request to a page of ``obj``, and what has happened in it so far.

    ``page`` is what the templates show of the lock.
    """

    model_admin: Any
    request: HttpRequest
    obj: Any
    page: LockPage = field(init=False)
    #: Where the lock of the object is.
    lock_key: LockKey = field(init=False)
    #: Whether a save runs that the lock protects.
    fenced: bool = field(default=False, init=False)
    #: Whether the history has noted a change, as it does at the end of each save.
    saved: bool = field(default=False, init=False)
    #: Whether Django has shown the page, and so has not saved.
    shown: bool = field(default=False, init=False)
    #: What it has shown the change page with.
    context: dict[str, Any] = field(default_factory=dict, init=False)
    #: The formsets of the inlines, without the nested ones.
    formsets: list[Any] = field(default_factory=list, init=False)
    #: Why rows must not be saved, by the prefix of the form; the object has an empty one.
    refused_rows: dict[str, str] = field(default_factory=dict, init=False)
    #: The prefixes of those whose saved version the page tells.
    told_rows: set[str] = field(default_factory=set, init=False)
    #: Whether Django did not find the object.
    is_gone: bool = field(default=False, init=False)

    def lock(self) -> str:
        """Lock the object for the page, and return the token.

        Raises ``AlreadyLockedError`` when there is another live lock.
        """
        return self.get_or_lock()[0]

    def get_or_lock(self) -> tuple[str, bool]:
        """Do as :meth:`lock`, and also return whether the lock is new."""
        lock_token, is_new = get_or_lock_for_session(
            self.obj,
            self.request.session,
            force_new=True,
            timeout=self.model_admin.lock_timeout,
            user=self.request.user,
        )
        return lock_token["token"], is_new

    def sent_token(self) -> str:
        """Return the token of the form, else the session's; empty without any."""
        return own_or_session_token(form_token(self.request), self.request, self.obj)

    def set_page(self, state: str, **fields: Any) -> LockPage:
        """Decide what the page shows of the lock. :func:`visit_of` finds the visit now."""
        request, model_admin = self.request, self.model_admin
        names, site = model_admin.opts, model_admin.admin_site.name
        prefix = f"admin:{names.app_label}_{names.model_name}"
        url = reverse(f"{prefix}_change", args=(quote(self.obj.pk),), current_app=site)
        may_see_list = model_admin.has_view_or_change_permission(request)
        list_name = f"{prefix}_changelist" if may_see_list else "admin:index"
        self.lock_key = LockToken.objects.key_of(self.obj)
        self.page = LockPage(
            state=state,
            # The model as the API knows it: with the permissions of a proxy model.
            app_label=names.app_label,
            model_name=str(names.model_name),
            object_id=self.lock_key.object_key,
            obj=self.obj,
            request=request,
            user=request.user,
            can_take_over=model_admin.has_take_over_permission(request, self.obj),
            timeout=model_admin.lock_timeout,
            renew=model_admin.lock_renew,
            release_on_leave=model_admin.lock_release_on_leave,
            can_go_on=True,
            is_popup="_popup" in request.GET or "_popup" in request.POST,
            url=url,
            list_url=reverse(list_name, current_app=site),
            login_url=login_url(site, url),
            **fields,
        )
        request._lock_visit = self  # type: ignore[attr-defined]
        return self.page

    def way_back(self) -> str:
        """Return the URL of the change page, or of the index for who may not see it."""
        model_admin, site = self.model_admin, self.model_admin.admin_site.name
        if not model_admin.has_view_or_change_permission(self.request, self.obj):
            return reverse("admin:index", current_app=site)
        name = (
            f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_change"
        )
        return reverse(name, args=(quote(self.obj.pk),), current_app=site)

    @property
    def is_new(self) -> bool:
        """Whether this request acquired the lock: it must show the object as it is now."""
        return self.page.state == AGAIN or (
            self.page.state == HELD and not self.page.bound
        )


def visit_of(request: HttpRequest) -> Visit | None:
    """Return the visit whose page this request shows; ``None`` without a lock."""
    return getattr(request, "_lock_visit", None)
