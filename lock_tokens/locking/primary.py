"""Under a lock, what is read comes from the database that it is written to.

A replica may lag behind. Whoever saves what a lagging replica showed undoes the work of
others, even with a valid lock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import wraps
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.db import models, router

F = TypeVar("F", bound=Callable[..., Any])

_is_reading = ContextVar("lock_tokens_reading_from_primary", default=False)


class PrimaryRouter:
    """A router that gives reads the database of the writes, within the block below."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return router.db_for_write(model, **hints) if _is_reading.get() else None


class reading_from_primary(AbstractContextManager[None]):
    """Read from the database that your routers give for writing, and from no replica.

    It concerns all queries in the block that do not name a database themselves, also
    those of forms and related objects. It is a decorator too. Without routers it does
    nothing.

    Raises ``TypeError`` when it decorates a coroutine function or a generator function,
    because that runs only after the call. Write the block inside of it.
    """

    def __enter__(self) -> None:
        # A project need not name our router in its settings, and tests may replace the
        # list.
        routers = router.routers
        if routers and not isinstance(routers[0], PrimaryRouter):
            router.routers = [PrimaryRouter(), *routers]
        self._before = _is_reading.get()
        _is_reading.set(True)

    def __exit__(self, *error: object) -> None:
        _is_reading.set(self._before)

    def __call__(self, function: F) -> F:
        runs_later = iscoroutinefunction, isgeneratorfunction, isasyncgenfunction
        if any(is_such(function) for is_such in runs_later):
            raise TypeError(
                "reading_from_primary() decorates functions. In a coroutine or a"
                " generator, write a with block."
            )

        @wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            with reading_from_primary():
                return function(*args, **kwargs)

        return inner  # type: ignore[return-value]


def rendered_from_primary(answer: Any) -> Any:
    """Return the answer. If Django renders it later, its template reads as the view."""
    if not getattr(answer, "is_rendered", True):

        def render() -> Any:
            del answer.render  # while it renders, a cache may store the answer
            with reading_from_primary():
                return answer.render()

        answer.render = render
    return answer
