"""The answer to a form that came too late: a page with all that was typed, to send again.

The page is a form. *Save now* sends all that was sent before, with a new CSRF token.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.template import Context
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import decorator_from_middleware
from django.utils.translation import gettext as _
from django.views.decorators.csrf import requires_csrf_token

from lock_tokens import settings
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.refusals import TOKEN_FIELD
from lock_tokens.sessions import remember
from lock_tokens.web.client_config import get_csrf
from lock_tokens.web.going_on import goes_on

from .posted import FILE, has_text, posted_fields

SIGNED_OUT = "signed_out"
OUTDATED = "outdated"  # its CSRF token is from before a sign-in
DELETED = "deleted"
FORBIDDEN = "forbidden"
LOCKED = "locked"

View = Callable[..., HttpResponseBase]


def keeping_input(view: View, model_admin: Any, name: str | None = "object_id") -> View:
    """Return a view that does not lose what was typed if it may not be saved.

    The admin would redirect a user who is signed out to the sign-in page. A form with an
    old CSRF token would get Django's error page. ``name`` is that of :func:`key_in_url`.
    """
    site = model_admin.admin_site

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        object_id = key_in_url(name, args, kwargs)
        is_trusted = False

        def answer(request: HttpRequest) -> HttpResponseBase:
            nonlocal is_trusted
            is_trusted = True
            if is_form(request) and not site.has_permission(request):
                return give_back(request, model_admin, object_id)
            try:
                return view(request, *args, **kwargs)
            except PermissionDenied:
                # The change page knows more: whether its user was ever allowed to.
                if object_id is not None or not is_form(request):
                    raise
                return nothing_saved(request, model_admin, FORBIDDEN)

        middleware: Any = settings.find_middleware(CsrfViewMiddleware)
        protect: Any = decorator_from_middleware(middleware or CsrfViewMiddleware)
        response: HttpResponseBase = protect(answer)(request)
        if is_trusted or not is_form(request) or not is_from_own_page(request):
            return response
        show: Any = requires_csrf_token(give_back)
        return show(request, model_admin, object_id)  # type: ignore[no-any-return]

    # The middleware would answer before this view. It checks the token by itself.
    wrapper.csrf_exempt = True  # type: ignore[attr-defined]
    # LoginRequiredMiddleware must not redirect either. The admin checks by itself.
    wrapper.login_required = False  # type: ignore[attr-defined]
    return wrapper


def key_in_url(
    name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str | None:
    """Return the argument with the object's key; ``None`` if the URL has none.

    ``name`` is that of the argument; ``None`` is the first positional one.
    """
    key = kwargs.get(name) if name is not None else next(iter(args), None)
    return None if key is None else str(key)


def is_form(request: HttpRequest) -> bool:
    """Say whether the request carries what was typed, and not only a choice."""
    return (
        request.method == "POST"
        and ("_save" in request.POST or "action" not in request.POST)
        and has_text(request)
    )


def is_from_own_page(request: HttpRequest) -> bool:
    """Say whether a page of this site has sent the form. The browser says so.

    Without this, another site could have a text of its own shown here, and the user would
    save it with one click.
    """
    own = f"{request.scheme}://{request.get_host()}"
    return (
        request.headers.get("Sec-Fetch-Site") == "same-origin"
        or request.headers.get("Origin") == own
    )


def give_back(
    request: HttpRequest, model_admin: Any, object_id: str | None
) -> TemplateResponse:
    """Return the page for a form of a user who is signed out, or has signed in since."""
    if model_admin.admin_site.has_permission(request):
        return nothing_saved(request, model_admin, OUTDATED)
    if object_id is not None and hasattr(request, "session"):
        keep_lock(request, model_admin, object_id)
    return nothing_saved(request, model_admin, SIGNED_OUT)


def keep_lock(request: HttpRequest, model_admin: Any, object_id: str) -> None:
    """Let the user go on with the lock of a session that has ended, after signing in.

    The page of that session has sent the token. The new session gets it.
    """
    token = request.POST.get(TOKEN_FIELD)
    with suppress(ValueError):
        lock_key = LockToken.objects.key_of_pk(model_admin.model, unquote(object_id))
        current = LockToken.objects.current_token(lock_key)
        if token is not None and current is not None and current.matches(token):
            remember(lock_key, request.session, token)


def nothing_saved(
    request: HttpRequest, model_admin: Any, reason: str, status: int = 403
) -> TemplateResponse:
    """Return the page that gives back what was typed; ``reason`` says why."""
    titles = {
        SIGNED_OUT: _("You are signed out"),
        OUTDATED: _("This is not saved yet"),
        DELETED: _("This is no longer available"),
        FORBIDDEN: _("You are no longer allowed to change this"),
        LOCKED: _("Somebody else is editing this"),
    }
    site = model_admin.admin_site
    request.current_app = site.name
    fields = posted_fields(request, model_admin)
    list_url = reverse("admin:index", current_app=site.name)
    context = {
        **site.each_context(request),
        "title": titles[reason],
        "reason": reason,
        "fields": fields,
        "has_files": any(field.kind == FILE for field in fields),
        "can_save": reason != DELETED,
        "button": _("Go on with my text") if goes_on(request) else _("Save now"),
        "form_url": request.get_full_path(),
        "csrf_cookie": get_csrf(Context(), request).get("cookie", ""),
        # Not back to this object: its page would be a second one with the same lock.
        "login_url": login_url(site.name, list_url),
        "list_url": list_url,
        "is_popup": "_popup" in request.POST or "_popup" in request.GET,
    }
    response = TemplateResponse(
        request, "lock_tokens/admin/interrupted.html", context, status=status
    )
    add_never_cache_headers(response)
    return response


def login_url(site: str, path: str) -> str:
    """Return the URL to sign in to the admin, and to come back to ``path``."""
    return f"{reverse('admin:login', current_app=site)}?{urlencode({'next': path})}"
