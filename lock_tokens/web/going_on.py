"""The way back to a text that was refused: lock the object again, or take it over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models, transaction
from django.http import HttpRequest

from ..exceptions import AlreadyLockedError, InvalidToken, WrongUserError
from ..locking.info import LockInfo
from ..locking.lock_token import LockToken
from ..refusals import TOKEN_FIELD, is_of
from ..sessions import lock_for_session, remember, take_over_for_session
from .lock_page import is_same_lock

# The names of the buttons.
LOCK_AGAIN = "_lock_again"
TAKE_OVER = "_take_over"


def goes_on(request: HttpRequest) -> bool:
    """Say whether the user wants to go on with a page that was not saved."""
    return bool({LOCK_AGAIN, TAKE_OVER} & {*request.POST})


def lock_again(
    request: HttpRequest,
    obj: models.Model,
    user: Any,
    timeout: float | None,
    may_take_over: Callable[[], bool],
    note: Callable[[LockInfo], None] | None = None,
) -> str:
    """Lock the object for the page that was sent, and return the token.

    If the user has agreed to end a lock, that lock is ended, and no other: their own in
    another session, or anybody's if they may take over. ``note`` is called with the
    holder whose lock was taken over, in the same transaction.

    Raises ``AlreadyLockedError`` when somebody else has locked the object. Its cause is
    the ``WrongUserError`` of a page that another user has opened, if so.
    """
    token: str = request.POST.get(TOKEN_FIELD, "")
    options: Any = {"timeout": timeout, "user": user}
    wrong_user = None
    try:
        LockToken.objects.renew(obj, token, **options)
    except WrongUserError as error:
        wrong_user = error
    except InvalidToken:
        pass
    else:  # it is not void after all
        remember(obj, request.session, token)
        return token
    holder = LockToken.objects.info(obj)
    if holder is not None and is_same_lock(request.POST.get(TAKE_OVER, ""), holder):
        is_own = is_of(holder, user)
        if is_own or may_take_over():
            with transaction.atomic(using=LockToken.objects.key_of(obj).using):
                taken = take_over_for_session(
                    obj, request.session, locked_at=holder.locked_at, **options
                )
                if note is not None and not is_own:
                    note(holder)
            return taken["token"]
    try:
        return lock_for_session(obj, request.session, True, **options)["token"]
    except AlreadyLockedError as error:
        raise error from wrong_user
