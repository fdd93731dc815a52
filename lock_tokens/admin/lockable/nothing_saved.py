"""The answer to a form that came too late: a page with all that was typed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect

from lock_tokens.refusals import submitted_fields

SIGNED_OUT = "signed_out"
DELETED = "deleted"
FORBIDDEN = "forbidden"


def keeping_input(
    view: Callable[..., HttpResponseBase], admin_site: AdminSite
) -> Callable[..., HttpResponseBase]:
    """Return a view that gives a user who is signed out the text back.

    The admin would redirect to the sign-in page, and the text would be lost.
    """

    def signed_out(request: HttpRequest) -> TemplateResponse:
        return nothing_saved(request, admin_site, SIGNED_OUT, status=403)

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_form(request) and not admin_site.has_permission(request):
            # Without this check, another site could have its own text shown here.
            return csrf_protect(signed_out)(request)
        return view(request, *args, **kwargs)

    # LoginRequiredMiddleware must not redirect either. The admin checks by itself.
    wrapper.login_required = False  # type: ignore[attr-defined]
    return wrapper


def typed_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what the user typed, without the other fields of the admin's forms."""
    return [
        (name, value)
        for name, value in submitted_fields(request)
        if not name.startswith(("_", "initial-"))
        and not name.endswith(("-id", "_FORMS"))
        and "__prefix__" not in name
    ]


def is_form(request: HttpRequest) -> bool:
    """Say whether the request carries what was typed, and not only a choice."""
    return request.method == "POST" and (
        "_save" in request.POST or "action" not in request.POST
    )


def nothing_saved(
    request: HttpRequest, admin_site: AdminSite, reason: str, status: int
) -> TemplateResponse:
    """Return the page that gives back what was typed; ``reason`` says why."""
    titles = {
        SIGNED_OUT: _("You are signed out"),
        DELETED: _("This is no longer available"),
        FORBIDDEN: _("You are no longer allowed to change this"),
    }
    request.current_app = admin_site.name
    context = {
        **admin_site.each_context(request),
        "title": titles[reason],
        "reason": reason,
        "submitted": typed_fields(request),
        "login_url": login_url(admin_site.name, request.get_full_path()),
        "list_url": reverse("admin:index", current_app=admin_site.name),
    }
    response = TemplateResponse(
        request, "lock_tokens/admin/interrupted.html", context, status=status
    )
    add_never_cache_headers(response)
    return response


def login_url(site: str, path: str) -> str:
    """Return the URL to sign in to the admin, and to come back to ``path``."""
    return f"{reverse('admin:login', current_app=site)}?{urlencode({'next': path})}"
