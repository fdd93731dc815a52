"""``{% load lock_tokens_tags %}``"""

from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import HttpRequest
from django.template import Context
from django.utils.html import format_html

from lock_tokens import settings
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.locking.object_keys import find_object
from lock_tokens.locking.tokens import is_well_formed
from lock_tokens.refusals import is_of
from lock_tokens.web.client_config import get_base_url, get_csrf, get_nonce
from lock_tokens.web.lock_page import ELSEWHERE, HELD, LOCKED, LockPage

register = template.Library()


@register.inclusion_tag("lock_tokens/api_client.html", takes_context=True)
def lock_tokens_api_client(
    context: Context, base_url: str | None = None
) -> dict[str, Any]:
    """Load the JavaScript client into the page.

    ``base_url`` is the path under which ``lock_tokens.urls`` is included. You need it
    only if that is included within another namespace.

    The ``script`` element has the client's configuration in its attributes. It has the
    page's CSP nonce, if there is one: Django's ``csp_nonce`` in the context, or that of
    django-csp on the request.

    Raises ``NoReverseMatch`` without a ``base_url`` when ``lock_tokens.urls`` is not
    included.
    """
    request = request_of(context)
    base_url = str(base_url or get_base_url(request))
    csrf = {} if settings.API_CSRF_EXEMPT else get_csrf(context, request)
    return {
        "base_url": base_url if base_url.endswith("/") else f"{base_url}/",
        "nonce": get_nonce(context, request),
        "csrf": {"header": "", "cookie": "", "token": "", **csrf},
    }


@register.simple_tag(takes_context=True)
def lock_tokens_nonce(context: Context) -> str:
    """Return the attribute with the page's CSP nonce, if there is one."""
    nonce = get_nonce(context, request_of(context))
    return "" if nonce is None else format_html(' nonce="{}"', nonce)


@register.inclusion_tag("lock_tokens/page/form.html", takes_context=True)
def admin_lock_handler(
    context: Context,
    app_label: str,
    model_name: str,
    object_id: Any,
    token: str | None,
) -> dict[str, Any]:
    """Do in your own template what the admin's change page does about its lock.

    Use it inside the form. It brings the hidden field with the token, the notes, the
    stylesheet and the scripts. With a ``token`` the page holds the object's lock.
    Without one it shows who does. On a page of ``LockableModelAdmin`` the state of that
    page decides. If the template also has the admin's blocks, the first of the two shows
    it.

    Raises ``LookupError`` when there is no such model, and ``TypeError`` for a token that
    is no text, such as the whole token dict.
    """
    page = context.get("lock_page")
    if not isinstance(page, LockPage):
        model = apps.get_model(app_label, model_name)
        page = page_of(context, model, object_id, find_object(model, object_id), token)
    return shown(context, page)


@register.inclusion_tag("lock_tokens/page/form.html", takes_context=True)
def lock_form(context: Context) -> dict[str, Any]:
    """Put all that a form needs for its lock into the form, once a page.

    The tag brings the hidden field with the token, the notes, the stylesheet and the
    scripts. Use it within the ``form`` element of a page of ``LockedObjectMixin``, or of
    a view that is decorated with ``edits_object``.

    Raises ``ImproperlyConfigured`` on any other page, and when the template has no
    request in its context.
    """
    page = context.get("lock_page")
    if not isinstance(page, LockPage):
        request: Any = request_of(context)
        obj = getattr(request, "locked_object", None)
        if obj is None:
            raise ImproperlyConfigured(
                "{% lock_form %} needs lock_page in the context, which a view of"
                " LockedObjectMixin gives. In a view of edits_object, it needs"
                " django.template.context_processors.request in TEMPLATES."
            )
        page = page_of(context, type(obj), obj.pk, obj, request.lock_token["token"])
    return shown(context, page)


def shown(context: Context, page: LockPage) -> dict[str, Any]:
    """Return the context in which the parts of a page are shown."""
    context["lock_page"] = page
    everything: dict[str, Any] = context.flatten()  # type: ignore[assignment]
    return {**everything, "show": page.place_by_tag()}


def page_of(
    context: Context,
    model: type[models.Model],
    object_id: Any,
    obj: models.Model | None,
    token: str | None,
) -> LockPage:
    """Return what one of the project's own pages shows of a lock."""
    is_well_formed(token)  # raises for what is no text
    request = request_of(context)
    user = getattr(request, "user", None)
    if not getattr(user, "is_authenticated", False):
        user = None
    page = LockPage(
        state=HELD if token else LOCKED,
        app_label=model._meta.app_label,
        model_name=str(model._meta.model_name),
        object_id=str(object_id),
        token=token or None,
        user=user,
        url=request.get_full_path() if request else "",
        request=request,
        obj=obj,
    )
    if obj is not None and not token:
        page.holder = LockToken.objects.info(obj)
        if page.holder and is_of(page.holder, user):
            page.state = ELSEWHERE
    return page


def request_of(context: Context) -> HttpRequest | None:
    """Return the request of a page, even without the context processor for it."""
    request = context.get("request")
    if not hasattr(request, "META"):
        request = getattr(context, "request", None)
    return request
