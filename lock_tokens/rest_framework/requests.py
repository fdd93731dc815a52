"""What a request to a view of REST framework sends: the token of a lock, and fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

from ..api.errors import (
    bad_request,
    invalid_json,
    unreadable,
    unsupported_media_type,
)
from ..refusals import TOKEN_HEADER

# RFC 4918, section 10.5: a token in angle brackets.
CODED_URL = re.compile(r"<([^<>]*)>")
# RFC 4918, section 10.4.2: one list without a tag, of one state token.
NO_TAG_LIST = re.compile(r"\(\s*<([^<>]*)>\s*\)")


#: The actions of the mixin's route. They are about the lock itself and need none.
LOCK_ACTIONS = ("lock", "acquire_lock", "renew_lock", "release_lock")


def is_about_lock(view: Any) -> bool:
    """Say whether the request is for the mixin's route to the lock."""
    return getattr(view, "action", None) in getattr(view, "lock_actions", ())


def request_token(request: Request) -> str | None:
    """Return the token in the headers; ``None`` without one.

    It is in ``Lock-Token``, as it is or in angle brackets, or in ``If``. An empty token
    is not ``None``: it is a void token.

    Raises an ``ApiError`` with a 400 for an ``If`` of any other form, and for two tokens
    that differ.
    """
    token = request.headers.get(TOKEN_HEADER)
    if token is not None and (coded := CODED_URL.fullmatch(token.strip())):
        token = coded[1]
    condition = request.headers.get("If")
    if condition is None:
        return token
    simple = NO_TAG_LIST.fullmatch(condition.strip())
    if simple is None:
        raise bad_request("invalid_if", "An If header must have the form (<token>).")
    if token is not None and token != simple[1]:
        raise bad_request("invalid_if", "Lock-Token and If contain different tokens.")
    return simple[1]


def required_token(request: Request) -> str:
    """Return the token in the headers; raise an ``ApiError`` with a 400 without one."""
    token = request_token(request)
    if token is None:  # RFC 4918, section 9.11.1, asks for a 400
        raise bad_request("token_required", "Send the token in the Lock-Token header.")
    return token


def body_fields(request: Request) -> Mapping[str, Any]:
    """Return the fields of the body, whatever its format.

    The values of a form are text. The form of the browsable API also has empty fields and
    fields of others.

    Raises an ``ApiError`` as the JSON API does: a 400 for a body that cannot be read or is
    not an object, and a 415 for a format that the view does not read.
    """
    try:
        body = request.data
    except (ParseError, RecursionError) as error:
        is_json = "json" in str(request.content_type)
        raise (invalid_json() if is_json else unreadable()) from error
    except UnsupportedMediaType as error:
        raise unsupported_media_type() from error
    if isinstance(body, QueryDict):
        fields: dict[str, Any] = {
            name: value
            for name, value in body.items()
            if value and name != "csrfmiddlewaretoken"
        }
        with suppress(KeyError, ValueError):  # any other text is refused later
            fields["timeout"] = float(fields["timeout"])
        return fields
    if not isinstance(body, Mapping):
        raise bad_request("invalid_body", "The body must be a JSON object.")
    return body
