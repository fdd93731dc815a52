"""The secret: how it is made, and how its owner is recognised."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, TypeGuard

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

#: The key under which a session has the secret by which its locks are known.
OWNER_KEY = "lock_tokens_owner"
#: The key under which it has the secret from before the last login.
FORMER_OWNER_KEY = "lock_tokens_former_owner"

WELL_FORMED = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_well_formed(token: str | None) -> TypeGuard[str]:
    """Whether this can be a token at all: 32 lower-case hexadecimal digits.

    Raises ``TypeError`` for anything but text and ``None``: what has a token, such as a
    token dict or a lock, is easily given instead of it.
    """
    if token is None:
        return False
    if not isinstance(token, str):
        raise TypeError(f"A token must be a str. {_advice(token)}")
    return WELL_FORMED.fullmatch(token) is not None


def _advice(given: Any) -> str:
    name = type(given).__name__
    if isinstance(given, dict) and "token" in given:
        return 'This is the token dict: give its ["token"].'
    for attribute in ("token", "token_str"):
        if hasattr(given, attribute):
            return f"This is a {name}: give its .{attribute}."
    return f"This is a {name}."


def new_token(owner: str | None = None, about: tuple[str, ...] = ()) -> str:
    """Return a new secret of 32 hexadecimal digits from :mod:`secrets`.

    ``owner`` is a secret string that only one client knows, and ``about`` says what the
    token is for. With an owner, the first half is random, and the second half is a keyed
    digest of the first half, the owner and ``about``. So :func:`is_owned_by` recognises
    the owner's tokens, and the table needs no column for the owner. Guessing such a
    token is not easier: the random half is unknown, and the digest needs ``SECRET_KEY``.
    """
    if owner is None:
        return secrets.token_hex(16)
    nonce = secrets.token_hex(8)
    return nonce + _digest(nonce, owner, about)


def is_owned_by(token: str, owner: str | None, about: tuple[str, ...]) -> bool:
    """Whether :func:`new_token` made the token for this owner and purpose."""
    if owner is None:
        return False
    return any(
        constant_time_compare(token[16:], _digest(token[:16], owner, about, secret))
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


def _digest(
    nonce: str, owner: str, about: tuple[str, ...], secret: str | bytes | None = None
) -> str:
    message = json.dumps([nonce, owner, *about])
    mac = salted_hmac("lock_tokens.owner", message, secret, algorithm="sha256")
    return mac.hexdigest()[:16]
