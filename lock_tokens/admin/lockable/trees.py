"""Trees of objects: what is done to a node is done to all below it.

The packages for trees know what is below a node without a foreign key, so Django's own
cascades do not find it. Their nodes have ``get_descendants()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponseForbidden
from django.http.response import HttpResponseBase

from lock_tokens.sessions import infos_of_others

from .request_locks import RequestLocks, request_locks, skipped_message

#: The fields with the key of the node that is dragged: django-treebeard's, django-mptt's.
MOVED = ("node", "node_id", "cut_item")


def with_descendants(objects: Iterable[models.Model]) -> list[models.Model]:
    """Return the objects, and all that is below them in a tree."""
    found = dict.fromkeys(objects)
    for obj in [*found]:
        get_descendants = getattr(obj, "get_descendants", None)
        if callable(get_descendants):
            found |= dict.fromkeys(get_descendants())
    return [*found]


def skip_edited_below(nodes: list[Any], locks: RequestLocks) -> None:
    """Skip each node that has something below it that somebody else is editing."""
    for node in nodes:
        below = [obj for obj in with_descendants([node]) if obj != node]
        holders = [info for info in infos_of_others(below, locks.session) if info]
        if holders:
            locks.skipped.setdefault(node, holders[0])


def respecting_moves(
    view: Callable[..., HttpResponseBase], model_admin: Any
) -> Callable[..., HttpResponseBase]:
    """Return a view of a list of nodes, which moves none that somebody else is editing."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        node = moved_node(request, model_admin)
        if node is None:
            return view(request, *args, **kwargs)
        with request_locks(request) as locks:
            locks.acquire(with_descendants([node]), model_admin.lock_timeout)
            if locks.skipped:
                message = skipped_message(locks.skipped)
                model_admin.message_user(request, message, messages.WARNING)
                return HttpResponseForbidden(message, content_type="text/plain")
            response = view(request, *args, **kwargs)
            locks.written = response.status_code < 400
        return response

    return wrapper


def moved_node(request: HttpRequest, model_admin: Any) -> models.Model | None:
    """Return the node that a request moves, of a user who may change it."""
    sent = request.POST
    keys = [sent[name] for name in MOVED if name in sent]
    # A list that is saved may have a field of this name. django-mptt asks for "cmd" first.
    is_save = ("_save" in sent or "_continue" in sent) and "cmd" not in sent
    if not keys or is_save or not model_admin.admin_site.has_permission(request):
        return None
    node: models.Model | None = model_admin.get_object(request, keys[0])
    if node is None or not model_admin.has_change_permission(request, node):
        return None
    return node
