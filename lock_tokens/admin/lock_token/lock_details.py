"""What the list of locks shows besides its rows: the holders and the objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import models, router
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from lock_tokens.locking.info import display_name
from lock_tokens.locking.lock_token import LockToken
from lock_tokens.locking.object_keys import key_value, text_key
from lock_tokens.web.lock_page import someone


def with_details(
    locks: Iterable[Any], request: HttpRequest, admin_site: AdminSite
) -> list[Any]:
    """Return the locks with all that is shown of them, in a handful of queries.

    Each has its content type and its holder at hand. ``found`` is its object, or ``None``
    when that is gone. ``found_url`` is the object's page in this admin, or ``None`` when
    there is none for this user.
    """
    locks = list(locks)
    new = [lock for lock in locks if not hasattr(lock, "found")]
    if new:
        fill_in_holders(new)
        fill_in_content_types(new)
        fill_in_objects(new)
    for lock in new:
        lock.found_url = url_of(lock.found, request, admin_site)
    return locks


def url_of(
    obj: models.Model | None, request: HttpRequest, admin_site: AdminSite
) -> str | None:
    if obj is None or not admin_site.is_registered(type(obj)):
        return None
    model_admin = admin_site.get_model_admin(type(obj))
    if not model_admin.has_view_or_change_permission(request, obj):
        return None
    page = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    try:
        return reverse(page, args=(quote(obj.pk),), current_app=admin_site.name)
    except NoReverseMatch:  # an admin without that page
        return None


def name_of_holder(key: Any, user: Any) -> str | None:
    """Return the name of a lock's holder; ``None`` for a lock without a user."""
    if user is None and key is not None:
        return _("deleted (key %(key)s)") % {"key": key}
    return display_name(user)


def name_of_object(lock: Any) -> str:
    """Return the name of a locked object; its key when there is no such object."""
    if lock.found is None:
        return _("deleted (key %(key)s)") % {"key": lock.locked_object_id}
    return str(lock.found) or str(lock.locked_object_id)


def name_of_lock(lock: Any) -> str:
    """Name a lock by its holder and its object."""
    gone = lock.found is None
    return _("The lock of %(name)s on %(model)s “%(object)s”") % {
        "name": someone(lock),
        "model": lock.locked_object_content_type.name,
        "object": lock.locked_object_id if gone else name_of_object(lock),
    }


def is_called(user: Any, word: str) -> bool:
    """Say whether a word is in one of the user's names, or in the e-mail address."""
    if user is None:
        return False
    email = getattr(user, getattr(user, "EMAIL_FIELD", "") or "email", "")
    names = (display_name(user), getattr(user, user.USERNAME_FIELD), email)
    return any(word.casefold() in str(name or "").casefold() for name in names)


def holders_of(locks: models.QuerySet[LockToken]) -> dict[Any, Any]:
    """Return the holders of these locks by key; ``None`` for a user who is gone."""
    keys = list(locks.values_list("locked_by_id", flat=True).distinct())
    users = users_by_key(keys)
    return {key: users.get(key) for key in keys}


def users_by_key(keys: Iterable[Any]) -> dict[Any, Any]:
    users = get_user_model()
    objects = users._base_manager.using(router.db_for_read(users))
    return objects.in_bulk([key for key in set(keys) if key is not None])


def fill_in_holders(locks: list[Any]) -> None:
    """Give each lock its ``locked_by``, with one query for all."""
    field = LockToken._meta.get_field("locked_by")
    users = users_by_key(lock.locked_by_id for lock in locks)
    for lock in locks:
        field.set_cached_value(lock, users.get(lock.locked_by_id))


def fill_in_content_types(locks: list[Any]) -> None:
    """Give each lock its content type, with one query for all.

    A content type can be gone only where the database does not check foreign keys. The
    lock gets one then that says so.
    """
    field = LockToken._meta.get_field("locked_object_content_type")
    keys = {lock.locked_object_content_type_id for lock in locks}
    found = ContentType.objects.using(locks[0]._state.db).in_bulk(keys)
    for lock in locks:
        key = lock.locked_object_content_type_id
        name = _("unknown type (key %(key)s)") % {"key": key}
        unknown = ContentType(pk=key, app_label="?", model=name)
        field.set_cached_value(lock, found.get(key, unknown))


def fill_in_objects(locks: list[Any]) -> None:
    """Give each lock its object as ``found``, with one query for each model."""
    by_type = defaultdict(list)
    for lock in locks:
        by_type[lock.locked_object_content_type].append(lock)
    for content_type, of_type in by_type.items():
        model = content_type.model_class()
        keys = [lock.locked_object_id for lock in of_type]
        found = objects_by_key(model, keys) if model else {}
        for lock in of_type:
            lock.found = found.get(lock.locked_object_id)


def objects_by_key(
    model: type[models.Model], keys: Iterable[str]
) -> dict[str, models.Model]:
    """Return the objects that are there, even those that a default manager hides."""
    texts = {}
    for key in keys:
        with suppress(ValueError):  # no key of this model
            texts[key] = text_key(model, key)
    objects = model._base_manager.all()
    values = [key_value(model, key) for key in texts]
    found: list[models.Model] = []
    try:
        found += objects.filter(pk__in=values)
    except (ValueError, OverflowError):  # the database cannot hold one of the values
        for value in values:
            with suppress(ValueError, OverflowError):
                found += objects.filter(pk=value)
    by_text = {text_key(model, obj.pk): obj for obj in found}
    return {key: by_text[text] for key, text in texts.items() if text in by_text}
