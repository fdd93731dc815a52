"""Pages of Django's admin with something of ours on them."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from lock_tokens.pages import LockPage


def context_of(response: HttpResponseBase) -> dict[str, Any]:
    """Return the context of a page that is not rendered yet, to be read and changed."""
    context = getattr(response, "context_data", None)
    return context if isinstance(context, dict) else {}


def formsets_of(response: Any) -> list[Any]:
    """Return the formsets of the inlines of a page that is not rendered yet."""
    inlines = context_of(response).get("inline_admin_formsets", [])
    return [inline.formset for inline in inlines]


def wrap(response: HttpResponse, template: str, page: LockPage) -> HttpResponse:
    """Let ``template`` add its blocks to the template that the page would have had.

    Which may be Django's, or the project's own for this model: ``template`` extends
    ``lock_base``. A page that is rendered already is left alone.
    """
    if isinstance(response, TemplateResponse) and not response.is_rendered:
        base = response.resolve_template(response.template_name)
        response.template_name = template
        context_of(response).update(lock_base=base, lock_page=page)
    return response
