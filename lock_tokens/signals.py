"""Signals, each sent after the transaction that did it has committed.

Every event sends exactly one of them:

``lock_acquired``
    a free object was locked;
``lock_replaced``
    an object was locked whose former lock had expired (that lock's token is void now);
``lock_taken_over``
    somebody permitted to ended another's live lock and locked the object; the receiver
    also gets ``previous``, the ``LockInfo`` of the lock that was ended (``None`` when the
    object was free);
``lock_renewed``
    the lock's expiry moved;
``lock_released``
    the lock was given up, or went with its object.

``sender`` is the concrete model class of the locked object. Receivers get:

``object_id``
    the object's key as text;
``instance``
    the object, or ``None`` where only its key was at hand;
``locked_by_id``
    key of the holder, ``None`` when unknown (``lock_renewed`` and ``lock_released``
    do not carry it);
``expires_at``
    the expiry, an aware datetime under ``USE_TZ`` (``lock_released`` does not carry it);
``using``
    alias of the database that the lock is in.

No signal carries a token. An exception in a receiver is logged by Django and goes no
further: the lock has been committed, and its caller must get to know its token.
Receivers take ``**kwargs``, so that arguments may be added.
"""

from django.dispatch import Signal

lock_acquired = Signal()
lock_replaced = Signal()
lock_taken_over = Signal()
lock_renewed = Signal()
lock_released = Signal()
