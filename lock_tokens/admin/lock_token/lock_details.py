"""What the list of locks tells besides the rows: who holds them, and of what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib.admin import ModelAdmin
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


class LockDetailsAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The part of ``LockTokenAdmin`` that finds out what is shown of the locks."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        changes.result_list = self.with_details(request, changes.result_list)
        return changes

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        lock = super().get_object(request, object_id, from_field)
        return lock and self.with_details(request, [lock])[0]

    def with_details(self, request: HttpRequest, locks: Iterable[Any]) -> list[Any]:
        """Return the locks with what is shown of them, a handful of queries for all.

        Their content types and holders are at hand, and each has ``found``, its object
        (``None`` when that is gone), and ``found_url``, the object's page in this admin
        (``None`` when there is none, or not for this user).
        """
        locks = list(locks)
        new = [lock for lock in locks if not hasattr(lock, "found")]
        if new:
            fill_in_holders(new)
            fill_in_content_types(new)
            fill_in_objects(new)
        for lock in new:
            lock.found_url = self._url_of(request, lock.found)
        return locks

    def _url_of(self, request: HttpRequest, obj: models.Model | None) -> str | None:
        if obj is None or not self.admin_site.is_registered(type(obj)):
            return None
        model_admin = self.admin_site.get_model_admin(type(obj))
        if not model_admin.has_view_or_change_permission(request, obj):
            return None
        page = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
        try:
            return reverse(
                page, args=(quote(obj.pk),), current_app=self.admin_site.name
            )
        except NoReverseMatch:  # an admin without that page
            return None


def name_of_holder(key: Any, user: Any) -> str | None:
    """Return how to call who holds a lock; ``None`` for a lock without a user."""
    if user is None and key is not None:
        return _("gone (key %(key)s)") % {"key": key}
    return display_name(user)


def name_of_object(lock: Any) -> str:
    """Return how to call a locked object; its key when there is no such object."""
    if lock.found is None:
        return _("gone (key %(key)s)") % {"key": lock.locked_object_id}
    return str(lock.found) or str(lock.locked_object_id)


def name_of_lock(lock: Any) -> str:
    """Return whose lock this is, and on what."""
    gone = lock.found is None
    return _("The lock of %(name)s on %(model)s “%(object)s”") % {
        "name": someone(lock),
        "model": lock.locked_object_content_type.name,
        "object": lock.locked_object_id if gone else name_of_object(lock),
    }


def is_called(user: Any, word: str) -> bool:
    """Say whether a word is in what a user goes by, or in the e-mail address."""
    if user is None:
        return False
    email = getattr(user, getattr(user, "EMAIL_FIELD", "") or "email", "")
    names = (display_name(user), getattr(user, user.USERNAME_FIELD), email)
    return any(word.casefold() in str(name or "").casefold() for name in names)


def holders_of(locks: models.QuerySet[LockToken]) -> dict[Any, Any]:
    """Return who holds these locks, by key: ``None`` for one whose row is gone."""
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

    Where there is none, which no database allows that checks its foreign keys, one
    that says so.
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
    """Return those objects that are there, also those a default manager hides."""
    texts = {}
    for key in keys:
        with suppress(ValueError):  # no key of this model
            texts[key] = text_key(model, key)
    objects = model._base_manager.all()
    values = [key_value(model, key) for key in texts]
    found: list[models.Model] = []
    try:
        found += objects.filter(pk__in=values)
    except (ValueError, OverflowError):  # one that this database has no value for
        for value in values:
            with suppress(ValueError, OverflowError):
                found += objects.filter(pk=value)
    by_text = {text_key(model, obj.pk): obj for obj in found}
    return {key: by_text[text] for key, text in texts.items() if text in by_text}
