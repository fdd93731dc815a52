"""Which object a request to a view of REST framework is about."""

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
    """Return the object that the view's request writes to; ``None`` for none.

    That is what ``get_object()`` gives where the address tells an object. Elsewhere it
    is not known before the handler runs: what that gets or checks is locked then.
    """
    if not _is_about_object(view):
        return None
    obj: models.Model = get_object(view)
    return obj


def hook(view: Any) -> Callable[[Any], models.Model | None]:
    """Return the view's own ``get_object_to_lock()``, or that of all views."""
    found: Callable[[Any], models.Model | None] = getattr(
        type(view), "get_object_to_lock", get_object_to_lock
    )
    return found


def known_place(view: Any) -> LockKey | None:
    """Return where the lock is kept, if that is known before the object is read.

    Then the lock comes first, and the handler reads what cannot change any more. Else
    the object is read twice, before and after.

    It is for a plain ``get_object()`` by the primary key, if that is no text: of a text,
    the database may take several spellings for one. And if no row is read as that of a
    multi-table child, which has a lock of its own.
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
        return None  # no key at all


def get_object(view: Any) -> Any:
    """Return the view's object, also where its queryset needs a transaction."""
    try:
        return view.get_object()
    except TransactionManagementError:  # of select_for_update()
        with transaction.atomic(using=view.get_queryset().db):
            return view.get_object()


def has_own_hook(view: Any) -> bool:
    """Say whether the view itself says what is to be locked."""
    return hook(view) is not get_object_to_lock


def creates(view: Any) -> bool:
    """Say whether the request makes an object, which nobody can have locked.

    Its address may have the key of what the new object belongs to.
    """
    if view.request.method != "POST" or not isinstance(view, CreateModelMixin):
        return False
    return bool(getattr(view, "action", "create") == "create")


def _is_about_object(view: Any) -> bool:
    """Say whether the address of a generic view's request tells an object."""
    if not isinstance(view, GenericAPIView):
        return False
    is_standard = has_standard_get_object(view)
    if is_standard and not _has_queryset(view):
        return False
    detail = getattr(view, "detail", None)
    if detail is not None:
        return bool(detail)  # as a router has it
    if view.request.method != "POST" and not is_standard:
        return True
    return _lookup(view) in view.kwargs and not creates(view)


def has_standard_get_object(view: Any) -> bool:
    """Say whether a generic view finds its object as REST framework does."""
    cls: Any = type(view)
    return cls.get_object is GenericAPIView.get_object


def _may_give_children(view: Any, queryset: models.QuerySet[Any]) -> bool:
    """Say whether rows may come as multi-table children of what the queryset is of.

    Querysets with a way of their own may give such, and so may filters.
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
    """Return the name that the address has for the key."""
    return str(view.lookup_url_kwarg or view.lookup_field)
