"""django-hijack: the locks that somebody acquires as another user end with that.

The locks name the other user as their holder, because that is who the session is.
Django empties the session when the user changes. So the locks are found by their owner's
secret, which can be computed again.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, connections, router, transaction
from django.utils.crypto import salted_hmac

from ..exceptions import UnlockForbiddenError
from ..locking.lock_token import LockToken
from ..locking.tokens import OWNER_KEY

logger = logging.getLogger("lock_tokens")


def begin(request: Any, hijacker: Any, hijacked: Any, **kwargs: Any) -> None:
    """Receiver of ``hijack_started``: the session acquires as both users."""
    request.session[OWNER_KEY] = owner_of(hijacker, hijacked)


def end(hijacker: Any, hijacked: Any, **kwargs: Any) -> None:
    """Receiver of ``hijack_ended``: release what was acquired in between."""
    owner = owner_of(hijacker, hijacked)
    for using in connections:
        if not router.allow_migrate_model(using, LockToken):
            continue
        try:
            with transaction.atomic(using=using):
                release_owned(using, owner, hijacked)
        except (DatabaseError, LookupError):  # they will expire
            logger.warning(
                "Could not release the locks of %s.", hijacked, exc_info=True
            )


def release_owned(using: str, owner: str, user: Any) -> None:
    """Release the locks of the user that were acquired with the owner's secret."""
    locks = LockToken.objects.db_manager(using)
    for lock_key, token in locks.owned_by(user, owner):
        with suppress(UnlockForbiddenError):
            locks.release(lock_key, token)


def owner_of(hijacker: Any, hijacked: Any) -> str:
    """Return the owner's secret of a session in which one user is the other."""
    users = f"{hijacker.pk} {hijacked.pk}"
    return salted_hmac("lock_tokens.hijack", users, algorithm="sha256").hexdigest()
