"""Who may use the JSON API: the choices for ``LOCK_TOKENS["API_PERMISSION"]``.

A permission is a function of the request, the model and the object. It says whether the
request may see the lock of this object, and lock it. The object is ``None`` when no
object has the key, and when the request asks for many objects at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest
from django.urls import URLResolver
from django.utils.module_loading import import_string

from . import settings

# What people do not edit. With Django REST framework's tokens, the key is a secret.
UNEDITED_MODELS = {
    "admin.logentry",
    "auth.permission",
    "authtoken.token",
    "contenttypes.contenttype",
    "lock_tokens.locktoken",
}

Permission = Callable[[HttpRequest, type[models.Model], models.Model | None], bool]


def allow_any(
    request: HttpRequest, model: type[models.Model], obj: models.Model | None
) -> bool:
    """Allow everybody, even without signing in."""
    return True


def is_authenticated(
    request: HttpRequest, model: type[models.Model], obj: models.Model | None
) -> bool:
    """Allow users who are signed in."""
    return is_signed_in(request)


def is_staff(
    request: HttpRequest, model: type[models.Model], obj: models.Model | None
) -> bool:
    """Allow active users with ``is_staff``, as the admin does."""
    user = getattr(request, "user", None)
    return bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))


def can_change(
    request: HttpRequest, model: type[models.Model], obj: models.Model | None
) -> bool:
    """Allow users with the model's ``change`` permission, for all objects or this one.

    A proxy model has a permission of its own, as in the admin.
    """
    user = getattr(request, "user", None)
    if user is None:
        return False
    codename = get_permission_codename("change", model._meta)
    permission = f"{model._meta.app_label}.{codename}"
    return user.has_perm(permission) or (
        obj is not None and user.has_perm(permission, obj)
    )


def is_signed_in(request: HttpRequest) -> bool:
    """Say whether the request comes from a user who is signed in."""
    return bool(getattr(getattr(request, "user", None), "is_authenticated", False))


def is_api_model(model: type[models.Model]) -> bool:
    """Say whether API_MODELS includes this model.

    By default it includes all models but those that people do not edit.
    """
    allowed = settings.API_MODELS
    if model._meta.swapped:
        return False
    if allowed is None:
        return _is_edited(model)
    return model._meta.label_lower in {label.lower() for label in allowed}


def _is_edited(model: type[models.Model]) -> bool:
    """Say whether people edit objects of this model, as far as one can tell.

    They do not edit :data:`UNEDITED_MODELS`, the tables of many-to-many relations, and
    sessions. The key of a session is a secret.
    """
    concrete: Any = model._meta.concrete_model
    return not (
        model._meta.auto_created
        or concrete._meta.label_lower in UNEDITED_MODELS
        or concrete._meta.pk.name == "session_key"
    )


def is_permitted(
    request: HttpRequest, model: type[models.Model], obj: models.Model | None
) -> bool:
    """Say whether API_PERMISSION allows this. A permission may also raise to refuse."""
    try:
        return get_permission()(request, model, obj)
    except (PermissionDenied, Http404):
        return False


def get_permission() -> Permission:
    """Return the function that the ``API_PERMISSION`` setting names.

    Raises ``ImportError`` when the name cannot be imported, and ``TypeError`` when it
    cannot be called.
    """
    permission = settings.API_PERMISSION
    if isinstance(permission, str):
        permission = import_string(permission)
    if not callable(permission):
        raise TypeError(f"{permission!r} is not callable.")
    return permission  # type: ignore[no-any-return]


def includes_api(resolver: URLResolver) -> bool:
    """Say whether this part of the URLconf includes the JSON API."""
    return resolver.app_name == "lock_tokens" or any(
        includes_api(pattern)
        for pattern in resolver.url_patterns
        if isinstance(pattern, URLResolver)
    )
