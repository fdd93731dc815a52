"""How an operation on a lock ends: the error of a refusal, the signal of a success."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import models
from django.dispatch import Signal

from ..exceptions import AlreadyLockedError
from .lock_key import LockKey, instance_of
from .transactions import after_commit


def refusal(
    lock_key: LockKey, obj: models.Model | LockKey, held: Any
) -> AlreadyLockedError:
    """Return the error that says who locks the object, to be raised.

    ``held`` is the row of the live lock. It is ``None`` when nobody knows the row: it
    changes hands all the time, or another transaction keeps it.
    """
    if held is None:
        message = f"Somebody else has just locked {lock_key}."
        return AlreadyLockedError(message, instance_of(obj))
    info = held.info()
    return AlreadyLockedError(
        f"{lock_key} is locked by {info.locked_by or 'somebody else'}"
        f" until {info.expires_at}.",
        instance_of(obj),
        info.locked_by,
        info.locked_at,
        info.expires_at,
    )


def send(
    signal: Signal, lock_key: LockKey, obj: models.Model | LockKey, **values: Any
) -> None:
    """Send a signal of the lock when the transaction has committed.

    ``values`` are the arguments that this signal has of its own.
    """
    if signal.receivers:
        send_now = partial(
            signal.send_robust,
            sender=lock_key.model,
            object_id=lock_key.object_key,
            instance=instance_of(obj),
            using=lock_key.using,
            **values,
        )
        after_commit(lock_key.using, send_now)
