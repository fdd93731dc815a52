"""The token that comes with a request, and what is told about its lock."""

from __future__ import annotations

import re

from rest_framework.request import Request

from ..api.errors import bad_request
from ..refusals import TOKEN_HEADER

#: Until when the lock of a write runs, as ``expires_at`` is written elsewhere.
EXPIRY_HEADER = "Lock-Expires-At"

CODED_URL = re.compile(r"<([^<>]*)>")
# RFC 4918, section 10.4.2: one list without a tag, of one state token.
NO_TAG_LIST = re.compile(r"\(\s*<([^<>]*)>\s*\)")


def sent_token(request: Request) -> str | None:
    """Return the token that came with the request; ``None`` without one.

    In the header ``Lock-Token``, as it is or in angle brackets (RFC 4918, section 10.5),
    or in ``If``. An empty one is void, not none.

    Raises an ``ApiError``, a 400, for an ``If`` of any other form, and for two tokens
    that are not the same.
    """
    token = request.headers.get(TOKEN_HEADER)
    if token is not None and (coded := CODED_URL.fullmatch(token.strip())):
        token = coded[1]
    condition = request.headers.get("If")
    if condition is None:
        return token
    simple = NO_TAG_LIST.fullmatch(condition.strip())
    if simple is None:
        raise bad_request("invalid_if", "An If header has the form (<token>).")
    if token is not None and token != simple[1]:
        raise bad_request("invalid_if", "Lock-Token and If have different tokens.")
    return simple[1]
