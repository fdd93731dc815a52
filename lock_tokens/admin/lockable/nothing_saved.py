"""The answer to a form that came too late: all that was typed, on a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect

from lock_tokens.refusals import submitted_fields

from .differences import login_url

SIGNED_OUT = "signed_out"
DELETED = "deleted"
FORBIDDEN = "forbidden"


def keeping_input(
    view: Callable[..., HttpResponseBase], admin_site: AdminSite
) -> Callable[..., HttpResponseBase]:
    """Have a form of somebody who is signed out answered with what they typed.

    The admin would send them to the sign-in page, and the text would be lost.
    """

    def signed_out(request: HttpRequest) -> TemplateResponse:
        return nothing_saved(request, admin_site, SIGNED_OUT, status=403)

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_form(request) and not admin_site.has_permission(request):
            # Not without the check: another site's page could have its words shown here.
            return csrf_protect(signed_out)(request)
        return view(request, *args, **kwargs)

    # Nor shall LoginRequiredMiddleware: the admin asks itself who comes.
    wrapper.login_required = False  # type: ignore[attr-defined]
    return wrapper


def typed_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what a person typed, without what the admin's forms send besides."""
    return [
        (name, value)
        for name, value in submitted_fields(request)
        if not name.startswith(("_", "initial-"))
        and not name.endswith(("-id", "_FORMS"))
        and "__prefix__" not in name
    ]


def is_form(request: HttpRequest) -> bool:
    """Say whether what was typed comes with the request, and not only a choice."""
    return request.method == "POST" and (
        "_save" in request.POST or "action" not in request.POST
    )


def nothing_saved(
    request: HttpRequest, admin_site: AdminSite, reason: str, status: int
) -> TemplateResponse:
    """Return the page that gives back what was typed; ``reason`` says why it has to."""
    titles = {
        SIGNED_OUT: _("You are signed out"),
        DELETED: _("This is no longer here"),
        FORBIDDEN: _("You may no longer change this"),
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
