"""Signals, each sent when the transaction of its event has committed.

Every event sends exactly one of them:

``lock_acquired``
    a free object was locked;
``lock_replaced``
    an object was locked whose lock had expired (the token of that lock is now void);
``lock_taken_over``
    somebody ended another's live lock and locked the object. The receiver also gets
    ``previous``, the ``LockInfo`` of the lock that was ended (``None`` when the object
    was free);
``lock_renewed``
    the lock's expiry moved;
``lock_released``
    the lock was given up, or was deleted with its object.

``sender`` is the concrete model class of the locked object. Receivers get:

``object_id``
    the object's key as text;
``instance``
    the object, or ``None`` when only its key was known;
``locked_by_id``
    key of the holder, ``None`` when unknown (``lock_renewed`` and ``lock_released``
    do not carry it);
``expires_at``
    the expiry, an aware datetime under ``USE_TZ`` (``lock_released`` does not carry it);
``using``
    alias of the database that the lock is in.

No signal carries a token. Django logs an exception of a receiver and does not raise it:
the lock has been committed, and the caller needs its token.
Receivers take ``**kwargs``, so that arguments may be added.
"""

from django.dispatch import Signal

lock_acquired = Signal()
lock_replaced = Signal()
lock_taken_over = Signal()
lock_renewed = Signal()
lock_released = Signal()
