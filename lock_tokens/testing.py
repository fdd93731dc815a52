"""Help for the tests of a project whose views lock what they edit."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.db import models
from django.test import Client

from .locking.fields import UTCNow
from .models import LockToken
from .refusals import TOKEN_FIELD
from .web.lock_page import ELSEWHERE, LOCKED


def post_form(
    client: Client,
    url: str,
    data: dict[str, Any] | None = None,
    *,
    page: Any = None,
    follow: bool = False,
    **options: Any,
) -> Any:
    """Open a page and send its form, as a browser does. Return the response.

    ``client`` is Django's test client. ``url`` is the address of a page that shows a form
    and saves it: a page of the admin, or one of your own. ``data`` is what a person fills
    in. The form's hidden fields are sent too, and with them the token of the page's lock.
    A name in ``data`` replaces the hidden field of that name.

    ``page`` is the response of an earlier ``client.get(url)``: send this page, and do not
    open another one. ``follow`` is that of ``client.post()``. The requests get the other
    ``options``, such as ``headers``.

    Raises ``AssertionError`` when the page cannot be opened, when it is read-only because
    somebody else has locked the object, and when no form on it is sent to ``url``.
    """
    if page is None:
        page = client.get(url, **options)
    if page.status_code != 200:
        raise AssertionError(
            f"GET {url} answered with status {page.status_code}, so there is no form to"
            " send."
        )
    parser = HiddenFields(url)
    parser.feed(page.content.decode())
    if parser.is_read_only:
        raise AssertionError(f"GET {url} shows that somebody else has the lock.")
    if not parser.forms:
        raise AssertionError(f"No form on the page {url} is sent to that address.")
    with_token = [each for each in parser.forms if TOKEN_FIELD in each]
    fields = (with_token or parser.forms)[0]
    return client.post(url, {**fields, **(data or {})}, follow=follow, **options)


class HiddenFields(HTMLParser):
    """The hidden fields of each form on a page that is sent to its own address."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[dict[str, list[str]]] = []
        self.is_in_form = False
        self.is_read_only = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("data-state") in (LOCKED, ELSEWHERE):
            self.is_read_only = True
        if tag == "form":
            address = urlsplit(urljoin(self.url, given.get("action", "")))
            self.is_in_form = (
                given.get("method", "").lower() == "post"
                and address.path == urlsplit(self.url).path
            )
            if self.is_in_form:
                self.forms.append({})
        elif self.is_in_form and given.get("type", "").lower() == "hidden":
            values = self.forms[-1].setdefault(given.get("name", ""), [])
            values.append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_in_form = False


def lock_as(user: Any, obj: models.Model) -> LockToken:
    """Lock the object for the user, in a session of their own, and return the lock.

    Raises ``AlreadyLockedError`` when the object has a live lock, and ``ValueError`` for
    an unsaved object or user.
    """
    return LockToken.objects.acquire(obj, user=user)


def take_over_as(user: Any, obj: models.Model) -> LockToken:
    """End the object's lock, whoever has it, and return a new one of the user's.

    Raises ``ValueError`` for an unsaved object or user.
    """
    return LockToken.objects.take_over(obj, user=user)


def expire_lock(obj: models.Model) -> None:
    """Let the object's lock have expired a second ago, by the clock of the database.

    Raises ``AssertionError`` when the object has no lock.
    """
    lock_key = LockToken.objects.key_of(obj)
    rows = LockToken.objects.using(lock_key.using).at(lock_key)
    passed = models.Value(timedelta(seconds=1))
    if not rows.update(expires_at=UTCNow() - passed):
        raise AssertionError(f"There is no lock on {lock_key}.")
