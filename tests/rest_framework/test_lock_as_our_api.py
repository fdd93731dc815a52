"""The route ``<object>/lock/`` of a viewset, beside our own JSON API: the same answers.

One request to both, and nothing is told apart.
"""

import json
import time
from dataclasses import dataclass, field
from datetime import datetime

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.http import http_date

from lock_tokens.models import LockToken
from tests.support import api, drf_site
from tests.support.api import address
from tests.support.helpers import expire, lock_row

pytestmark = [
    pytest.mark.urls(__name__),
    pytest.mark.django_db,
    pytest.mark.any_database,
]

VOID = "0" * 32
KEY = "a key of this client alone"
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "multipart/form-data; boundary=x"

urlpatterns = [*api.urlpatterns, *drf_site.urlpatterns]


def route(obj):
    """Return the address of the object's lock in a viewset."""
    return f"/api/articles/{obj.pk}/lock/"


@dataclass
class Case:
    """A request, and what stands before it comes."""

    method: str
    shown: str | None = None  # whose token
    current_token: str = "live"
    body: object = b""
    by: str | None = None  # who sends it
    content_type: str | None = None  # JSON, where there is a body
    settings: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)

    @property
    def content(self):
        is_raw = isinstance(self.body, bytes)
        return self.body if is_raw else json.dumps(self.body).encode()

    def __str__(self):
        more = {"by": self.by, **self.settings, **self.headers}
        if self.content or self.content_type:
            more[self.content_type or "JSON"] = self.content[:30]
        told = [f"{name} {value}" for name, value in more.items() if value is not None]
        return f"{self.method} {self.shown} when {self.current_token} {' '.join(told)}"


def cases():
    yield from cases_of_standing()
    yield from cases_of_settings()
    yield from cases_of_bodies()
    yield from cases_of_conditions()
    yield from cases_of_keys()


def cases_of_standing():
    for current_token in (
        "free",
        "live",
        "expired",
        "released",
        "taken",
        "taken and left",
    ):
        for by in (None, "alice"):
            for method in ("GET", "HEAD", "POST"):
                yield Case(method, None, current_token, by=by)
            for method in ("GET", "HEAD", "PATCH", "DELETE"):
                yield Case(method, "another", current_token, by=by)
        for method in ("GET", "HEAD", "PATCH", "DELETE"):
            yield Case(method, "own", current_token)
    for shown in ("in upper case", "short", "no token", "~"):
        for method in ("GET", "HEAD", "PATCH", "DELETE"):
            yield Case(method, shown)


def cases_of_settings():
    for status in (409, 423):
        yield Case("POST", settings={"API_LOCKED_STATUS": status})
    yield Case("PATCH", "another", settings={"API_LOCKED_STATUS": 423})
    for dateformat in ("%H Uhr </script>\"'", "é \N{SNOWMAN}"):
        yield Case("POST", None, "free", settings={"DATEFORMAT": dateformat})
        yield Case("GET", "own", settings={"DATEFORMAT": dateformat})


def cases_of_bodies():
    for method, shown, current_token in (
        ("POST", None, "free"),
        ("PATCH", "own", "live"),
    ):
        for life in (60, 2.5, 1e-6, 10**9, 1e300):
            yield Case(method, shown, current_token, {"timeout": life})
        settings = {"TIMEOUT": 60}
        yield Case(method, shown, current_token, {"timeout": 3600}, settings=settings)
    for bad in (0, -0.0, -1e300, True, None, "60", "", [60], {}, -(10**400)):
        yield Case("POST", None, "free", {"timeout": bad})
    for body in (
        *({"timeuot": 5}, {"timeout": 5, "token": "x"}, {"csrfmiddlewaretoken": "x"}),
        *({}, [], [5], 5, 0, "timeout", "", None, True, False),
        *(b'{"timeout": 1e400}', b'{"timeout": 1' + b"0" * 400 + b"}"),
    ):
        yield Case("POST", None, "free", body)
    for body in ({"timeout": 0}, {"timeout": "60"}, {"timeuot": 5}, [], None):
        yield Case("PATCH", "own", "live", body)
    # Which of two refusals it is.
    for current_token in ("live", "expired"):
        yield Case("POST", None, current_token, {"timeout": 0})
    for shown, current_token in (("another", "live"), ("own", "released")):
        yield Case("PATCH", shown, current_token, {"timeout": 0})
    json_in_full = "Application/JSON; charset=utf-8"
    for body in (b"", b'{"timeout": 5}'):
        yield Case("PATCH", "own", "live", body, content_type=json_in_full)
    for form in (FORM, BOUNDARY):
        yield Case("POST", None, "free", content_type=form)


def cases_of_conditions():
    """``{}`` is the tag that stands, of the lock or of the state; a number, so many
    seconds from now."""
    for tag in ("{}", "*", '"other"'):
        for shown in ("own", "another"):
            for current_token in ("live", "expired", "released"):
                sent = {"If-Match": tag}
                yield Case("PATCH", shown, current_token, {"timeout": 5}, headers=sent)
    for tag in (
        *("W/{}", '"other", {}', " * ", "", "garbage", '"2024-01-01"'),
        *('"0001-01-01T00:00:00+23:59"', '"0001-01-01T00:00:00"'),
        *(", ".join(['"2024-01-01"'] * count) for count in (2, 10, 11)),
    ):
        yield Case("PATCH", "own", "live", {"timeout": 5}, headers={"If-Match": tag})
    for tag in ("{}", "W/{}", '"other", {}', "*", "", "garbage", '"other"'):
        yield Case("GET", headers={"If-None-Match": tag})
    for tag in ("{}", "*"):
        yield Case("GET", "own", headers={"If-None-Match": tag})
    for seconds in (-9999, 9999):
        for shown in ("own", "another"):
            for current_token in ("live", "expired", "released"):
                sent = {"If-Unmodified-Since": seconds}
                yield Case("PATCH", shown, current_token, {"timeout": 5}, headers=sent)
        yield Case("PATCH", "own", headers={"If-Match": "{}", **sent})
    for date in (3, "junk", "Fri, 31 Dec 9999 23:59:59 GMT"):
        sent = {"If-Unmodified-Since": date}
        yield Case("PATCH", "own", "live", {"timeout": 5}, headers=sent)


def cases_of_keys():
    keyed = ("keyed", "keyed and expired", "keyed and taken")
    for by in (None, "alice"):
        yield Case("POST", None, "keyed", by=by)
        for current_token in ("free", "live", *keyed):
            yield Case("POST", None, current_token, by=by, headers=key(KEY))
        for current_token in keyed:
            another = key("another key of somebody's")
            yield Case("POST", None, current_token, by=by, headers=another)
        for value in (
            *(f'"{KEY}"', "x", "1", "", '""', '"'),
            *("x" * 15, "x" * 255, "x" * 256, "a\tb" * 10),
        ):
            yield Case("POST", None, "free", by=by, headers=key(value))
        for current_token in ("live", "keyed"):
            yield Case("POST", None, current_token, by=by, headers=key(""))
        yield Case("POST", None, "keyed", by=by, headers=key(f'"{KEY}"'))


def key(value):
    return {"Idempotency-Key": value}


def set_up(current_token, article, client, user=None):
    """Let it stand as the case says; return the token that was this client's."""
    if current_token == "free":
        return VOID
    if current_token.startswith("keyed"):
        answer = api.send(client, "POST", address(article), Idempotency_Key=KEY)
        token = answer.json()["token"]
    else:
        token = LockToken.objects.acquire(article, user=user).token_str
    if "expired" in current_token:
        expire(article)
    if current_token == "released":
        article.unlock(token)
    if "taken" in current_token:
        other = LockToken.objects.take_over(article).token_str
        if "left" in current_token:
            article.unlock(other)
    return token


def near(one, other):
    """Say whether two moments are as good as one."""
    if one is None or other is None:
        return one is other
    between = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    return abs(between.total_seconds()) < 3


class Outcome:
    """What a request has come to, in the answer and in the row."""

    def __init__(self, answer, article, known):
        self.status = answer.status_code
        self.body = json.loads(answer.content) if answer.content else None
        names = (
            *("Content-Type", "Cache-Control", "Retry-After", "Idempotent-Replayed"),
            *("Lock-Expires-At", "ETag"),
        )
        self.headers = {name: answer.get(name) for name in names}
        if answer.status_code in (204, 304):
            del self.headers["Content-Type"]  # of nothing
        lock = lock_row(article).first()
        self.token = lock and lock.token_str
        self.is_new = self.token is not None and self.token not in known
        self.expires_at = lock and lock.expires_at.isoformat()

    def assert_like(self, other):
        assert self.status == other.status, (self.body, other.body)
        assert self.is_new == other.is_new
        assert self.is_new or self.token == other.token
        assert near(self.expires_at, other.expires_at)
        assert (self.body is None) == (other.body is None)
        assert (self.body or {}).keys() == (other.body or {}).keys()
        for name in self.body or ():
            mine, theirs = self.body[name], other.body[name]
            if name.endswith("_at"):
                assert near(mine, theirs)
            elif name == "token":
                assert (mine, theirs) == (self.token, other.token)
            elif name != "expires":
                assert mine == theirs
        mine, theirs = dict(self.headers), dict(other.headers)
        tags = mine.pop("ETag"), theirs.pop("ETag")
        assert mine == theirs
        if tags[0] is None or "T" not in tags[0]:  # none, or a state's
            assert tags[0] == tags[1]
        else:
            assert near(tags[0].strip('"'), tags[1].strip('"'))


def of_both(client, case, article, user=None):
    """Send the case's request to both APIs, each as if there had been no other."""
    own = set_up(case.current_token, article, client, user)
    shown = {
        "own": own,
        "another": "1" * 32,
        "in upper case": own.upper(),
        "short": own[:-1],
    }.get(case.shown, case.shown)
    headers = dict(case.headers)
    for name, value in headers.items():
        if isinstance(value, int):
            headers[name] = http_date(time.time() + value)
        elif "{}" in value:
            tag = client.get(address(article, case.shown and own)).get("ETag", "")
            headers[name] = value.replace("{}", tag)
    known = [own, *lock_row(article).values_list("token_str", flat=True)]
    outcomes = []
    for url, token in ((address(article, shown), None), (route(article), shown)):
        with transaction.atomic():
            answer = client.generic(
                case.method,
                url,
                case.content,
                content_type="application/json",
                headers=headers if token is None else {**headers, "Lock-Token": token},
                # Not its argument, which an empty body goes without.
                **({"CONTENT_TYPE": case.content_type} if case.content_type else {}),
            )
            outcomes.append(Outcome(answer, article, known))
            transaction.set_rollback(True)
    return outcomes


@pytest.mark.matrix
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_it_answers_as_our_own_api_does(client, settings, article, alice, case):
    settings.LOCK_TOKENS = case.settings
    if case.by:
        client.force_login(alice)
    ours, theirs = of_both(client, case, article, alice if case.by else None)
    theirs.assert_like(ours)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        *((body, "application/json") for body in (b"{", b"\xff", b"x=5", b"{}\0")),
        *((b'{"timeout": ' + n + b"}", "application/json") for n in (b"NaN", b"0x1")),
        (b'{"timeout": Infinity}', "application/json"),
        (b'{"timeout": 1' + b"0" * 5000 + b"}", "application/json"),
        *((b'{"timeout": 5}', kind) for kind in ("text/plain", "junk", "text/json")),
    ],
)
def test_what_cannot_be_read_has_the_same_status(client, article, body, content_type):
    """The body is the framework's: it has read this, or has not."""
    for case in (
        Case("POST", None, "free", body, content_type=content_type),
        Case("PATCH", "own", "live", body, content_type=content_type),
    ):
        ours, theirs = of_both(client, case, article)
        assert (theirs.status, theirs.token) == (ours.status, ours.token)
        assert theirs.status in (400, 415)
        assert theirs.headers["Cache-Control"] == "no-store"
        lock_row(article).delete()


def test_queries_of_each_call_are_those_of_our_own_api(client, article):
    for current_token, method, shown, status in (
        ("free", "GET", None, 200),
        ("free", "POST", None, 201),
        ("live", "POST", None, 403),
        ("live", "GET", "own", 200),
        ("live", "PATCH", "own", 200),
        ("live", "PATCH", "another", 403),
        ("live", "DELETE", "own", 204),
    ):
        counts = []
        for is_ours in (True, False):
            lock_row(article).delete()
            own = set_up(current_token, article, client)
            token = own if shown == "own" else shown and "1" * 32
            url = address(article, token) if is_ours else route(article)
            headers = {} if is_ours or not token else {"Lock-Token": token}
            with CaptureQueriesContext(connection) as queries:
                answer = api.send(client, method, url, **headers)
            assert answer.status_code == status
            counts.append(len(queries))
        assert counts[0] == counts[1]
