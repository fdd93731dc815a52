"""What a page of the admin is told about the lock of its object."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import display_for_field, quote
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import normalize_newlines

from lock_tokens.locking.fields import to_utc
from lock_tokens.locking.info import LockInfo, display_name
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.web.lock_page import Difference, LockPage


def is_same_lock(asked: str, holder: LockInfo) -> bool:
    """Say whether ``asked`` is the :attr:`LockPage.take_over_value` of this lock."""
    try:
        return datetime.fromisoformat(asked) == to_utc(holder.locked_at)
    except (TypeError, ValueError):
        return False


def new_page(
    model_admin: Any, request: HttpRequest, obj: models.Model, state: str
) -> LockPage:
    """Return the page of an object in the admin, as far as all states have it."""
    lock_key = LockToken.objects.key_of(obj)
    names = model_admin.opts
    site = model_admin.admin_site.name
    url = reverse(
        f"admin:{names.app_label}_{names.model_name}_change",
        args=(quote(obj.pk),),
        current_app=site,
    )
    if model_admin.has_view_or_change_permission(request):
        list_name = f"admin:{names.app_label}_{names.model_name}_changelist"
    else:
        list_name = "admin:index"
    return LockPage(
        state=state,
        # As the API knows it: with the permissions of a proxy model.
        app_label=names.app_label,
        model_name=str(names.model_name),
        object_id=lock_key.object_key,
        verbose_name=str(names.verbose_name),
        object_name=str(obj),
        user_name=display_name(request.user) or "",
        user=request.user,
        can_take_over=model_admin.has_take_over_permission(request, obj),
        timeout=model_admin.lock_timeout,
        renew=model_admin.lock_renew,
        release_on_leave=model_admin.lock_release_on_leave,
        url=url,
        list_url=reverse(list_name, current_app=site),
        login_url=login_url(site, url),
        request=request,
        obj=obj,
        is_popup=bool({"_popup"} & {*request.GET, *request.POST}),
        bound=request.method == "POST",
    )


def login_url(site: str, path: str) -> str:
    """Return where to sign in to the admin, and come back to ``path``."""
    return f"{reverse('admin:login', current_app=site)}?{urlencode({'next': path})}"


def last_change_of(obj: models.Model) -> LogEntry | None:
    """Return the latest entry of the object's history in the admin."""
    content_type = ContentType.objects.get_for_model(obj)
    entries = LogEntry.objects.filter(
        content_type_id=content_type.pk, object_id=str(obj.pk)
    )
    return entries.select_related("user").order_by("-action_time", "-pk").first()


def differences(current: models.Model, form: Any, formsets: Any) -> list[Difference]:
    """Return where a form that was sent differs from what is saved now.

    ``current`` is the object as it is saved; ``form`` and ``formsets`` are bound.
    """
    found = [
        Difference(
            str(form[name].label),
            saved_value(current, name, form),
            form[name].id_for_label,
        )
        for name in form.changed_data
        if not is_same_text(
            form.get_initial_for_field(form.fields[name], name), form[name]
        )
    ]
    return found + [
        Difference(str(formset.model._meta.verbose_name_plural), "")
        for formset in formsets
        if formset.has_changed()
    ]


def files_of(request: HttpRequest, form: Any) -> list[str]:
    """Return of which fields a file was sent, which no page can have chosen already.

    Also with the form that this one comes from, where no file was chosen again.
    """
    labels = {form.add_prefix(name): str(form[name].label) for name in form.fields}
    sent = [labels.get(name, name) for name in request.FILES]
    return list(dict.fromkeys(sent + request.POST.getlist("_lock_files")))


def is_same_text(saved: Any, bound_field: Any) -> bool:
    """Say whether only the line ends differ, which browsers make their own."""
    sent = bound_field.data
    return (
        isinstance(saved, str)
        and isinstance(sent, str)
        and normalize_newlines(saved) == normalize_newlines(sent)
    )


def saved_value(current: models.Model, name: str, form: Any) -> str:
    """Return, for reading, what is saved in a field of a form."""
    model_field = {
        found.name: found
        for found in (*current._meta.fields, *current._meta.many_to_many)
    }.get(name)
    if model_field is None:
        value = form.get_initial_for_field(form.fields[name], name)
        return "" if value is None else str(value)
    value = getattr(current, name)
    if isinstance(model_field, models.ManyToManyField):
        return ", ".join(map(str, value.all()))
    return str(display_for_field(value, model_field, ""))


def differ(
    one: models.Model, other: models.Model, except_for: Container[str] = ()
) -> bool:
    """Say whether two readings of a row differ, but for the fields of these names.

    Columns that ``one`` was read without are not compared.
    """
    deferred = one.get_deferred_fields()
    return any(
        getattr(one, column.attname) != getattr(other, column.attname)
        for column in one._meta.concrete_fields
        if column.name not in except_for and column.attname not in deferred
    )
