"""The locks of views in drf-spectacular's schema. Loaded if that is installed."""

from __future__ import annotations

import re
from copy import copy
from functools import cache, update_wrapper
from inspect import getattr_static
from itertools import takewhile
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiViewExtension
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import extend_schema_field
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import CreateModelMixin, DestroyModelMixin
from rest_framework.permissions import AND, OR, SAFE_METHODS
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from .descriptions import (
    EXPIRY,
    RETRY_AFTER,
    ROUTE,
    ROUTE_HEADERS,
    STATE,
    route_answers,
    token_header,
    write_refusals,
)
from .fields import LockStateField
from .permissions import HoldsLock
from .requests import is_about_lock
from .serializers import LockTimeoutSerializer, SecondsField
from .targets import has_own_hook, has_standard_get_object
from .viewsets import LockableViewSetMixin
from .writes import is_lock_required

extend_schema_field(
    {"type": "number", "format": "double", "minimum": 0, "exclusiveMinimum": True}
)(SecondsField)


class LockStates(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """The component of a lock's state. Its description is not the Python docstring."""

    target_class = LockStateField
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: Any) -> str | None:
        return "LockState" if self._is_ours() else None

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        # super() would take the fields of target_class. No public name does this.
        schema = auto_schema._map_serializer(self.target, direction, True)
        if type(self.target).__doc__ and not self._is_ours():
            return schema
        return {**schema, "description": STATE}

    def _is_ours(self) -> bool:
        return type(self.target) is LockStateField


class LockableViews(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    """Views with the mixin, and views that may have the permission."""

    target_class = APIView
    match_subclasses = True
    priority = -1  # any other extension for a view comes first

    def view_replacement(self) -> Any:
        if not _may_need_locks(self.target):
            return self.target
        return _described(self.target, self.target.schema.__class__)


class RouteSchema:
    """The schema of the route to a lock, unless the view describes it itself.

    In the order of classes it comes after the schema that ``@extend_schema`` makes for a
    method, and before the schema of the view.
    """

    view: Any
    method: str

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())  # type: ignore[misc]
        if not is_about_lock(self.view):
            return parameters
        return [*ROUTE_HEADERS[self.method], RETRY_AFTER, *parameters]

    def get_description(self) -> str:
        if is_about_lock(self.view):
            return ROUTE[self.method]
        return super().get_description()  # type: ignore[misc,no-any-return]

    def get_request_serializer(self) -> Any:
        if is_about_lock(self.view):
            return LockTimeoutSerializer
        return super().get_request_serializer()  # type: ignore[misc]

    def get_response_serializers(self) -> Any:
        if is_about_lock(self.view):
            return route_answers(self.method)
        return super().get_response_serializers()  # type: ignore[misc]


class WriteSchema:
    """What locks add to a write. In the order of classes it comes first."""

    view: Any
    method: str
    path: str
    path_regex: str

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())  # type: ignore[misc]
        if not self._needs_lock():
            return parameters
        # Of two parameters with one name, the later counts: the view's own.
        required = is_lock_required(self.view) and _has_lock(self.view, (AND,))
        ours = [token_header(required), RETRY_AFTER]
        if not self._gives_lock_up():
            ours.append(EXPIRY)
        return [*ours, *parameters]

    def get_response_serializers(self) -> Any:
        answers = super().get_response_serializers()  # type: ignore[misc]
        if not self._needs_lock():
            return answers
        if not isinstance(answers, dict):
            answers = {204: None} if self.method == "DELETE" else {200: answers}
        # A key is a status, or a tuple of a status and media types.
        known = {str(key[0] if isinstance(key, tuple) else key) for key in answers}
        refusals = write_refusals(is_lock_required(self.view))
        ours = {key: refusals[key] for key in refusals if str(key) not in known}
        return {**answers, **ours}

    def _needs_lock(self) -> bool:
        """Say whether this is a write to an object, as far as its URL tells."""
        view = self.view
        if (
            self.method in SAFE_METHODS
            or is_about_lock(view)
            or not _has_lock(view, (AND, OR))
            or self._creates()
        ):
            return False
        detail = getattr(view, "detail", None)
        if detail is not None:  # from a router
            # An action with its own lock_required is about an object.
            return detail or self._has_key() or "lock_required" in vars(view)
        if isinstance(view, GenericAPIView):
            return (
                self._has_key()
                or not has_standard_get_object(view)
                or has_own_hook(view)
            )
        return self.method != "POST" or "{" in self.path

    def _creates(self) -> bool:
        action = getattr(self.view, "action", None)
        if action is not None:
            return bool(action == "create")
        return self.method == "POST" and isinstance(self.view, CreateModelMixin)

    def _has_key(self) -> bool:
        """Say whether the URL has the key that ``get_object()`` looks for."""
        field = getattr(self.view, "lookup_field", "pk")
        key = getattr(self.view, "lookup_url_kwarg", None) or field
        # In self.path, drf-spectacular renames pk to the name of its field.
        return re.search(rf"[<:]{re.escape(key)}>", self.path_regex) is not None

    def _gives_lock_up(self) -> bool:
        action = getattr(self.view, "action", "destroy")
        return bool(getattr(self.view, "release_on_write", False)) or (
            self.method == "DELETE"
            and action == "destroy"
            and isinstance(self.view, DestroyModelMixin)
        )


def _may_need_locks(view_class: Any) -> bool:
    """Say whether some writes of the view may need locks."""
    if (
        issubclass(view_class, LockableViewSetMixin)
        or view_class.get_permissions is not APIView.get_permissions
        or isinstance(view_class.permission_classes, property)
    ):
        return True
    permissions = [*view_class.permission_classes]
    for options in _options(view_class).values():
        permissions += options.get("permission_classes", ())
    return any(_is_lock(permission(), (AND, OR)) for permission in permissions)


def _has_lock(view: Any, operators: tuple[type, ...]) -> bool:
    """Say whether a view guards its writes, even within these operators."""
    return isinstance(view, LockableViewSetMixin) or any(
        _is_lock(permission, operators) for permission in view.get_permissions()
    )


def _is_lock(permission: Any, operators: tuple[type, ...]) -> bool:
    if isinstance(permission, operators):
        parts = (permission.op1, permission.op2)  # type: ignore[attr-defined]
        return any(_is_lock(part, operators) for part in parts)
    return isinstance(permission, HoldsLock)


@cache
def _described(view_class: Any, schema_class: type) -> Any:
    """Return the view with our parts in its schemas.

    All operations of a view share one class. From the number of classes drf-spectacular
    decides which part of the URLs it leaves out of tags and names of operations.
    """
    schema = copy(view_class.schema)  # it keeps its arguments
    schema.__class__ = _combined(schema_class, schema_class)
    attributes = {
        # Warnings name the place of the view. Python 3.13 and later know its line.
        "__module__": view_class.__module__,
        "__qualname__": view_class.__qualname__,
        **{k: v for k, v in vars(view_class).items() if k == "__firstlineno__"},
        "__doc__": _docstring(view_class),
        "schema": schema,
    }
    view = type(view_class.__name__, (view_class,), attributes)
    for name, options in _options(view_class).items():
        if options.get("schema"):
            # Nobody calls the handlers of this class.
            handler: Any = update_wrapper(lambda: None, getattr(view_class, name))
            own = options["schema"]
            own = own if isinstance(own, type) else type(own)
            handler.kwargs = {**options, "schema": _combined(own, schema_class)}
            setattr(view, name, handler)
    return view


def _combined(own: type, base: type) -> type:
    """Return a method's own schema with our parts in it, based on that of its view.

    A method's schema may not be made from that of its view. Like drf-spectacular, leave
    out then what it inherits from the class in REST framework's setting.
    """
    standard: Any = api_settings.DEFAULT_SCHEMA_CLASS
    below = {*base.__mro__, *standard.__mro__}
    layers = [layer for layer in own.__mro__ if layer not in below]
    return type("LockSchema", (WriteSchema, *layers, RouteSchema, *base.__mro__), {})


def _options(view_class: Any) -> dict[str, dict[str, Any]]:
    """Return the options that ``@action`` and ``@extend_schema`` gave to the methods.

    Both keep them in the methods' ``kwargs``, which has no public name.
    """
    methods = {name: getattr_static(view_class, name, None) for name in dir(view_class)}
    options = {
        name: method.kwargs
        for name, method in methods.items()
        if callable(method) and isinstance(getattr(method, "kwargs", None), dict)
    }
    for name in list(options):
        # The options of an action are also for the other methods of its route. A class
        # that @extend_schema made is not: drf-spectacular itself would fail there.
        shared = dict(options[name])
        if isinstance(shared.get("schema"), type):
            shared["schema"] = view_class.schema
        for other in getattr(methods[name], "mapping", {}).values():
            if other != name:
                options[other] = {**shared, **options.get(other, {})}
    return options


def _docstring(view_class: type) -> str:
    """Return the view's docstring, as if the mixin had none.

    Returns a space when there is none: an empty text would let the search go on.
    """
    not_the_projects = spectacular_settings.GET_LIB_DOC_EXCLUDES()
    parents = takewhile(lambda parent: parent not in not_the_projects, view_class.mro())
    found = [parent.__doc__ for parent in parents if parent is not LockableViewSetMixin]
    return next(filter(None, found), " ")
