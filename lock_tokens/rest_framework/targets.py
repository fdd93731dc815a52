"""Find the object that a request to a view of REST framework writes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models, router, transaction
from django.db.models.query import ModelIterable
from django.db.transaction import TransactionManagementError
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import CreateModelMixin

from ..locking.lock_key import LockKey
from ..locking.lock_token import LockToken
from ..locking.object_keys import key_field
from ..querysets import LockableQuerySet


def get_object_to_lock(view: Any) -> models.Model | None:
    """Return the object that the request writes to; ``None`` if it is not known yet.

    It is what ``get_object()`` returns, if the URL leads to one object. Otherwise the
    object is locked when the handler gets it or checks its permission.
    """
    if not _is_about_object(view):
        return None
    obj: models.Model = get_view_object(view)
    return obj


def get_hook(view: Any) -> Callable[[Any], models.Model | None]:
    """Return the view's own ``get_object_to_lock()``, else the default."""
    found: Callable[[Any], models.Model | None] = getattr(
        type(view), "get_object_to_lock", get_object_to_lock
    )
    return found


def known_lock_key(view: Any) -> LockKey | None:
    """Return the lock key, if it is known before the object is read.

    Then the lock comes first, and the handler reads an object that cannot change any
    more. Otherwise the object is read twice, before the lock and after.

    The key is known if a standard ``get_object()`` finds the object by its primary key.
    A text key is not enough, because the database may treat several spellings as equal.
    The queryset must not return multi-table children: these have locks of their own.
    """
    if (
        has_own_hook(view)
        or not _is_about_object(view)
        or not has_standard_get_object(view)
        or _lookup(view) not in view.kwargs
    ):
        return None
    queryset: Any = view.get_queryset()
    if not isinstance(queryset, models.QuerySet):
        return None
    model = queryset.model
    if view.lookup_field not in ("pk", model._meta.pk.name):
        return None
    if not isinstance(key_field(model), models.IntegerField | models.UUIDField):
        return None
    if queryset.db != router.db_for_write(model) or _may_give_children(view, queryset):
        return None
    try:
        return LockToken.objects.key_of_pk(model, view.kwargs[_lookup(view)])
    except ValueError:
        return None  # this is not a key of the model


def get_view_object(view: Any) -> Any:
    """Return the view's object, in a transaction if its queryset needs one."""
    try:
        return view.get_object()
    except TransactionManagementError:  # of select_for_update()
        with transaction.atomic(using=view.get_queryset().db):
            return view.get_object()


def has_own_hook(view: Any) -> bool:
    """Say whether the view has its own ``get_object_to_lock()``."""
    return get_hook(view) is not get_object_to_lock


def creates(view: Any) -> bool:
    """Say whether the request makes an object, which nobody can have locked.

    Its URL may have the key of the object that the new one belongs to.
    """
    if view.request.method != "POST" or not isinstance(view, CreateModelMixin):
        return False
    return bool(getattr(view, "action", "create") == "create")


def lists_objects(view: Any) -> bool:
    """Say whether this is a generic view whose URL leads to many objects."""
    return isinstance(view, GenericAPIView) and not _is_about_object(view)


def _is_about_object(view: Any) -> bool:
    """Say whether this is a generic view whose URL leads to one object."""
    if not isinstance(view, GenericAPIView):
        return False
    is_standard = has_standard_get_object(view)
    if is_standard and not _has_queryset(view):
        return False
    detail = getattr(view, "detail", None)
    if detail is not None:
        return bool(detail)  # from a router
    if view.request.method != "POST" and not is_standard:
        return True
    return _lookup(view) in view.kwargs and not creates(view)


def has_standard_get_object(view: Any) -> bool:
    """Say whether a generic view has REST framework's own ``get_object()``."""
    cls: Any = type(view)
    return cls.get_object is GenericAPIView.get_object


def _may_give_children(view: Any, queryset: models.QuerySet[Any]) -> bool:
    """Say whether the queryset may return multi-table children of its model.

    A queryset class of the project's may do so, and so may filters.
    """
    has_children = any(
        isinstance(field, models.OneToOneRel) and field.parent_link
        for field in queryset.model._meta.get_fields(include_hidden=True)
    )
    cls: Any = type(view)
    return has_children and (
        type(queryset) not in (models.QuerySet, LockableQuerySet)
        or queryset._iterable_class is not ModelIterable
        or bool(view.filter_backends)
        or cls.filter_queryset is not GenericAPIView.filter_queryset
    )


def _has_queryset(view: Any) -> bool:
    cls: Any = type(view)
    return (
        getattr(view, "queryset", None) is not None
        or cls.get_queryset is not GenericAPIView.get_queryset
    )


def _lookup(view: Any) -> str:
    """Return the name of the key in the URL's arguments."""
    return str(view.lookup_url_kwarg or view.lookup_field)
