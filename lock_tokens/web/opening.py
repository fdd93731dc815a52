"""The rule for all pages that lock what they show: who does not edit takes no lock."""

from __future__ import annotations

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from ..exceptions import AlreadyLockedError
from ..locking.info import token_dict
from ..locking.lock_token import LockToken
from ..sessions import infos_of_others

TEMPLATE = "lock_tokens/not_opened.html"

# Where browsers and scripts say that they load a page before anybody opens it.
PURPOSE_HEADERS = ("Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")

# The values of Sec-Fetch-Dest for a page in a tab or a frame, and for fetch().
PAGE_DESTINATIONS = ("document", "iframe", "frame", "object", "embed", "empty")


def answer_without_lock(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a GET by which nobody opens a page to edit it.

    ``None`` means that somebody may edit the page, and that it may lock its object.

    A page that is loaded ahead of time gets a 503. The browser drops that answer, and
    asks again when somebody opens the page. Any other request that does not edit gets a
    403 with a link to the page.
    """
    if request.method != "GET":
        return None
    if is_prefetch(request):
        answer = HttpResponse(
            "This page is not loaded before somebody opens it.\n",
            status=503,
            content_type="text/plain",
        )
        # Django would log an error, and mail it to the ADMINS.
        answer._has_been_logged = True  # type: ignore[attr-defined]
    elif not is_opened(request):
        url = request.get_full_path()
        answer = render(request, TEMPLATE, {"url": url}, status=403)
    else:
        return None
    answer["Cache-Control"] = "no-store"
    return answer


def is_prefetch(request: HttpRequest) -> bool:
    """Say whether the page is loaded before anybody opens it."""
    purposes = [request.headers.get(name, "") for name in PURPOSE_HEADERS]
    return any("prefetch" in each.lower() or each == "preview" for each in purposes)


def is_opened(request: HttpRequest) -> bool:
    """Say whether the browser opens a page in a tab or frame, or a script asks for it.

    Another site can only send the user to the page. It can neither show the page in a
    frame nor load it by a script. A client that does not send these headers is believed.
    """
    destination = request.headers.get("Sec-Fetch-Dest", "document")
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return destination == "document"
    return destination in PAGE_DESTINATIONS


def look_without_lock(request: HttpRequest, obj: models.Model) -> dict[str, str]:
    """Return a token dict without a token, for a request that only looks at the page.

    Raises ``AlreadyLockedError`` when somebody else has locked the object, because then
    an editor would be refused too.
    """
    (info,) = infos_of_others([obj], request.session)
    if info is not None:
        raise AlreadyLockedError(
            f"{LockToken.objects.key_of(obj)} is locked until {info.expires_at}.",
            obj,
            info.locked_by,
            info.locked_at,
            info.expires_at,
        )
    return token_dict("", timezone.now())
