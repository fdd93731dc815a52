"""The route ``<object>/lock/`` of a viewset, beside our own JSON API: the same answers."""

import json
import logging
import time
from datetime import datetime

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils.http import http_date
from rest_framework import (
    authentication,
    filters,
    parsers,
    permissions,
    renderers,
    serializers,
    throttling,
)
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ReadOnlyModelViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import LockableViewSetMixin
from tests import api
from tests.api import address
from tests.helpers import expire, lock_row
from tests.models import Article, Desk, Label, Page, Plain, Price

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

VOID = "0" * 32
KEY = "a key of this client alone"
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "multipart/form-data; boundary=x"


# The viewsets


def serializer_of(of_model):
    class Serializer(serializers.ModelSerializer):
        class Meta:
            model = of_model
            fields = "__all__"

    return Serializer


def viewset(of_model=Article, base=ModelViewSet, **attributes):
    attributes.setdefault("queryset", of_model.objects.order_by("pk"))
    attributes.setdefault("serializer_class", serializer_of(of_model))
    return type("ViewSet", (LockableViewSetMixin, base), attributes)


class PlainTextRenderer(renderers.BaseRenderer):
    media_type = "text/plain"
    format = "txt"

    def render(self, data, accepted_media_type=None, renderer_context=None):
        if data is None:
            return b""
        return "".join(f"{name} = {data[name]}\n" for name in sorted(data)).encode()


class OnlyFirst(permissions.BasePermission):
    """Changing, of the objects whose title is First."""

    def has_object_permission(self, request, view, obj):
        return obj.title == "First" and request.method in ("GET", "HEAD", "PATCH")


class Hiding(filters.BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.exclude(title="Hidden")


class TwiceADay(throttling.SimpleRateThrottle):
    rate = "2/day"

    def get_cache_key(self, request, view):
        return f"lock-route-{request.META['REMOTE_ADDR']}"


class OfRobots(authentication.BaseAuthentication):
    """Its users are no rows of this project's."""

    class Robot:
        is_authenticated = True
        pk = 12

    def authenticate(self, request):
        return self.Robot(), None


router = DefaultRouter()
for name, each in {
    "article": viewset(),
    "page": viewset(Page),
    "label": viewset(Label, lookup_value_regex="[^/]+"),
    "price": viewset(Price, lookup_value_regex="[^/]+"),
    "desk": viewset(Desk, lookup_field="name", lookup_url_kwarg="desk"),
    "plain": viewset(Plain),
    "basic": viewset(
        authentication_classes=[authentication.BasicAuthentication],
        permission_classes=[permissions.IsAuthenticated],
    ),
    "session": viewset(
        authentication_classes=[authentication.SessionAuthentication],
        permission_classes=[permissions.IsAuthenticated],
    ),
    "robot": viewset(authentication_classes=[OfRobots]),
    "model-permissions": viewset(
        permission_classes=[permissions.DjangoModelPermissions]
    ),
    "object-permissions": viewset(permission_classes=[OnlyFirst]),
    "django-object-permissions": viewset(
        permission_classes=[permissions.DjangoObjectPermissions]
    ),
    "read-only": viewset(base=ReadOnlyModelViewSet),
    "smallest": viewset(base=GenericViewSet),
    "hiding": viewset(filter_backends=[Hiding]),
    "throttled": viewset(throttle_classes=[TwiceADay]),
    "text": viewset(renderer_classes=[PlainTextRenderer]),
    "json-only": viewset(
        parser_classes=[parsers.JSONParser], renderer_classes=[renderers.JSONRenderer]
    ),
    "browsable": viewset(
        renderer_classes=[renderers.BrowsableAPIRenderer, renderers.JSONRenderer]
    ),
}.items():
    router.register(name, each, name)

urlpatterns = [*api.urlpatterns, path("api/", include(router.urls))]


def route(obj, name="article", key=None):
    """Return the address of the object's lock in a viewset."""
    return f"/api/{name}/{obj.pk if key is None else key}/lock/"


@pytest.fixture
def alice(django_user_model):
    return django_user_model.objects.create_user(
        "alice", password="secret", first_name="Alice", last_name="Liddell"
    )


@pytest.fixture(autouse=True)
def nothing_is_throttled_yet():
    cache.clear()


def call(client, method, url, token=None, body=None, **headers):
    """Send a request with a token in its header, and a JSON body if any."""
    if token is not None:
        headers["Lock-Token"] = token
    return api.send(client, method, url, body, **headers)


# The same as our own API: one request to both, and nothing is told apart


class Case:
    """A request, and what stands before it comes."""

    def __init__(self, name, method, shown=None, standing="live", body=b"", **more):
        self.name = name
        self.method = method
        self.shown = shown
        self.standing = standing
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.content_type = more.pop("content_type", "application/json")
        self.statuses = more.pop("statuses", None)
        self.settings = more.pop("settings", {})
        self.headers = more


def since(seconds):
    return http_date(time.time() + seconds)


def cases():
    standings = ("free", "live", "expired", "released", "taken", "taken and left")
    for standing in standings:
        for method in ("GET", "HEAD", "POST"):
            yield Case(f"{method} when {standing}", method, standing=standing)
        for shown in ("own", "another", "in upper case", "short", "no token", "~"):
            for method in ("GET", "HEAD", "PATCH", "DELETE"):
                name = f"{method} with {shown} when {standing}"
                yield Case(name, method, shown, standing)
    for status in (403, 409, 423):
        settings = {"API_LOCKED_STATUS": status}
        yield Case(f"POST under {status}", "POST", settings=settings)
        yield Case(f"PATCH under {status}", "PATCH", "another", settings=settings)
    for dateformat in ("%H Uhr", "</script>\"'", "é \N{SNOWMAN}", "until"):
        settings = {"DATEFORMAT": dateformat}
        yield Case(f"POST {dateformat}", "POST", standing="free", settings=settings)
        yield Case(f"GET {dateformat}", "GET", "own", settings=settings)
    for life in (60, 2.5, 3600, 10**9, 1e300, 1e-6):
        for longest in (3600, 60):
            settings = {"TIMEOUT": longest}
            name = f"for {life} of {longest} seconds"
            body = {"timeout": life}
            yield Case(
                f"POST {name}", "POST", None, "free", body=body, settings=settings
            )
            yield Case(f"PATCH {name}", "PATCH", "own", body=body, settings=settings)
    bad = (
        *(0, -0.0, -1, -1e300, True, False, None, "60", "", "x", [60], {}),
        *(int("-1" + "0" * 400),),
    )
    for timeout in bad:
        name = f"a timeout of {json.dumps(timeout)[:20]}"
        body = {"timeout": timeout}
        yield Case(f"POST {name}", "POST", None, "free", body=body)
        yield Case(f"PATCH {name}", "PATCH", "own", body=body)
    for body in (
        *({"timeuot": 5}, {"timeout": 5, "token": "x"}, {"csrfmiddlewaretoken": "x"}),
        *({}, [], [5], 5, 0, "timeout", "", None, True, False),
        *(b'{"timeout": 1e400}', b'{"timeout": 1' + b"0" * 400 + b"}"),
    ):
        name = f"the body {str(body)[:20]}"
        yield Case(f"POST {name}", "POST", None, "free", body=body)
        yield Case(f"PATCH {name}", "PATCH", "own", body=body)
    for charset in ("Application/JSON; charset=utf-8", "application/json"):
        for body in (b"", b'{"timeout": 5}'):
            name = f"{body} as {charset}"
            yield Case(f"PATCH {name}", "PATCH", "own", body=body, content_type=charset)
    for content_type in (FORM, BOUNDARY):
        name = f"an empty {content_type}"
        yield Case(name, "POST", None, "free", content_type=content_type)
    for tag in (
        *("{}", "W/{}", '"other", {}', "*", " * ", "", "garbage", '"other"'),
        *('"2024-01-01"', '"0001-01-01T00:00:00+23:59"', '"0001-01-01T00:00:00"'),
        *(", ".join(['"2024-01-01"'] * count) for count in (2, 10, 11)),
    ):
        for shown in ("own", "another"):
            for standing in ("live", "expired", "released"):
                name = f"PATCH with {shown} when {standing} if it matches {tag[:30]}"
                yield Case(name, "PATCH", shown, standing, If_Match=tag)
        yield Case(f"GET unless it is {tag[:30]}", "GET", If_None_Match=tag)
        yield Case(
            f"GET unless it is {tag[:30]} with it", "GET", "own", If_None_Match=tag
        )
    for date in (-9999, -10, 3, 9999, "junk", "Fri, 31 Dec 9999 23:59:59 GMT"):
        for shown in ("own", "another"):
            for standing in ("live", "expired", "released"):
                value = since(date) if isinstance(date, int) else date
                name = f"PATCH with {shown} when {standing} since {date}"
                yield Case(
                    name,
                    "PATCH",
                    shown,
                    standing,
                    body={"timeout": 5},
                    If_Unmodified_Since=value,
                )
        yield Case(
            f"PATCH since {date} beside a tag",
            "PATCH",
            "own",
            If_Match="{}",
            If_Unmodified_Since=value,
        )
    for key in (
        *(KEY, f'"{KEY}"', "another key of somebody's", "x", "1", "", '""', '"'),
        *("x" * 15, "x" * 255, "x" * 256, "a\tb" * 10),
    ):
        for standing in (
            "free",
            "live",
            "keyed",
            "keyed and expired",
            "keyed and taken",
        ):
            name = f"POST with the key {key[:20]} when {standing}"
            yield Case(name, "POST", standing=standing, Idempotency_Key=key)


CASES = {each.name: each for each in cases()}


def set_up(case, article, user):
    """Let it stand as the case says; return the token that was this client's."""
    if case.standing == "free":
        return VOID
    if case.standing.startswith("keyed"):
        owner = json.dumps(["api", None if user is None else str(user.pk), KEY])
        token = LockToken.objects.acquire(article, user=user, owner=owner).token_str
    else:
        token = LockToken.objects.acquire(article, user=user).token_str
    if "expired" in case.standing:
        expire(article)
    if case.standing == "released":
        article.unlock(token)
    if "taken" in case.standing:
        other = LockToken.objects.take_over(article).token_str
        if "left" in case.standing:
            article.unlock(other)
    return token


def near(one, other):
    """Say whether two moments in a body are as good as one."""
    if one is None or other is None:
        return one is other
    between = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    return abs(between.total_seconds()) < 3


class Outcome:
    """What a request has come to, in the answer and in the row."""

    def __init__(self, answer, article, known):
        self.status = answer.status_code
        self.content = answer.content
        self.body = json.loads(answer.content) if answer.content else None
        names = (
            *("Content-Type", "Cache-Control", "Retry-After", "Idempotent-Replayed"),
            *("Lock-Expires-At", "ETag"),
        )
        self.headers = {name: answer.get(name) for name in names}
        if answer.status_code in (204, 304):
            del self.headers["Content-Type"]  # of nothing
        self.row = lock_row(article).values().first()
        self.token = self.row and self.row["token_str"]
        self.is_new = self.token is not None and self.token not in known
        self.expires_at = self.row and self.row["expires_at"].isoformat()

    def is_like(self, other):
        assert self.status == other.status, (self.body, other.body)
        assert self.is_new == other.is_new
        assert self.is_new or self.token == other.token
        assert near(self.expires_at, other.expires_at)
        assert (self.body is None) == (other.body is None)
        for name in self.body or ():
            assert name in other.body
            mine, theirs = self.body[name], other.body[name]
            if name.endswith("_at"):
                assert near(mine, theirs)
            elif name == "token":
                assert (mine, theirs) == (self.token, other.token)
            elif name != "expires" and self.body.get("error") != "invalid_body":
                assert mine == theirs  # "a JSON object" is not all that a view takes
        assert (self.body or {}).keys() == (other.body or {}).keys()
        mine, theirs = dict(self.headers), dict(other.headers)
        tags = mine.pop("ETag"), theirs.pop("ETag")
        assert mine == theirs
        if tags[0] is None or "T" not in tags[0]:  # none, or a state's
            assert tags[0] == tags[1]
        else:
            assert near(tags[0].strip('"'), tags[1].strip('"'))
        return True


def of_both(client, case, article, user, theirs=route):
    """Send the case's request to both APIs, each as if there had been no other."""
    own = set_up(case, article, user)
    standing = lock_row(article).first()
    tag = "" if standing is None else f'"{standing.serialize()["expires_at"]}"'
    headers = {
        name.replace("_", "-"): value.replace("{}", tag)
        for name, value in case.headers.items()
    }
    if case.method == "GET" and case.shown is None and "If-None-Match" in headers:
        state = client.get(address(article))["ETag"]
        headers["If-None-Match"] = headers["If-None-Match"].replace(tag or "{}", state)
    shown = {
        None: None,
        "own": own,
        "another": "1" * 32,
        "in upper case": own.upper(),
        "short": own[:-1],
        "no token": "no token",
        "~": "~",
    }[case.shown]
    outcomes = []
    for url, token in ((address(article, shown), None), (theirs(article), shown)):
        with transaction.atomic():
            answer = client.generic(
                case.method,
                url,
                case.body,
                content_type=case.content_type,
                headers=headers if token is None else {**headers, "Lock-Token": token},
            )
            known = [own, *([standing.token_str] if standing else [])]
            outcomes.append(Outcome(answer, article, known))
            transaction.set_rollback(True)
    return outcomes


@pytest.mark.parametrize(
    ("who", "name"),
    [
        *(("nobody", name) for name in CASES),
        *(("alice", name) for name in CASES if "key" in name or "when" in name),
    ],
)
def test_it_answers_as_our_own_api_does(client, settings, article, alice, who, name):
    case = CASES[name]
    settings.LOCK_TOKENS = case.settings
    if who == "alice":
        client.force_login(alice)
    ours, theirs = of_both(client, case, article, alice if who == "alice" else None)
    assert theirs.is_like(ours)


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
        Case("", "POST", None, "free", body, content_type=content_type),
        Case("", "PATCH", "own", "live", body, content_type=content_type),
    ):
        ours, theirs = of_both(client, case, article, None)
        assert (theirs.status, theirs.token) == (ours.status, ours.token)
        assert theirs.status in (400, 415)
        assert theirs.headers["Cache-Control"] == "no-store"
        lock_row(article).delete()


# What is not as in our own API: the token in a header


@pytest.mark.parametrize("standing", ["free", "live", "expired"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_renewing_and_releasing_need_a_token(client, article, method, standing):
    set_up(Case("", method, standing=standing), article, None)
    before = lock_row(article).values().first()
    answer = call(client, method, route(article))
    assert answer.status_code == 400
    assert answer.json()["error"] == "token_required"
    assert answer["Cache-Control"] == "no-store"
    assert lock_row(article).values().first() == before


def test_asking_for_a_lock_is_refused_also_with_its_token(client, article):
    token = call(client, "POST", route(article)).json()["token"]
    answer = call(client, "POST", route(article), token)
    assert (answer.status_code, answer.json()["error"]) == (403, "locked")


@pytest.mark.parametrize("value", ["{}", "<{}>", " <{}> "])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE"])
def test_the_token_may_be_in_brackets(client, article, method, value):
    token = article.lock()["token"]
    answer = call(client, method, route(article), value.format(token))
    assert answer.status_code == (204 if method == "DELETE" else 200)


@pytest.mark.parametrize("value", ["(<{}>)", "( <{}> )", " (<{}>) "])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE"])
def test_the_token_may_be_in_if(client, article, method, value):
    token = article.lock()["token"]
    answer = call(client, method, route(article), If=value.format(token))
    assert answer.status_code == (204 if method == "DELETE" else 200)
    token = article.lock()["token"] if method == "DELETE" else token
    other = call(client, method, route(article), VOID, If=value.format(token))
    assert other.status_code == 400
    void = call(client, method, route(article), If=value.format(VOID))
    assert void.status_code == 403


@pytest.mark.parametrize("value", ["<{}>", "{}", "({})", "(Not <{}>)", "</a> (<{}>)"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_another_if_is_a_400(client, article, method, value):
    token = article.lock()["token"]
    answer = call(client, method, route(article), If=value.format(token))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_if")
    assert article.check_lock(token)


@pytest.mark.parametrize("method", ["PUT", "TRACE", "FOO"])
def test_other_methods_are_a_405_of_the_viewset(client, article, method):
    answer = call(client, method, route(article))
    assert answer.status_code == 405
    allowed = set(answer["Allow"].split(", "))
    assert allowed == {"GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"}
    assert answer["Cache-Control"] == "no-store"


def test_options_describe_it(client, article):
    answer = call(client, "OPTIONS", route(article))
    assert answer.status_code == 200
    assert "POST" in answer["Allow"]
    assert not lock_row(article).exists()


def test_the_settings_of_our_own_api_s_doors_do_not_apply(client, settings, article):
    settings.LOCK_TOKENS = {
        "API_PERMISSION": "lock_tokens.permissions.is_authenticated",
        "API_MODELS": ["tests.Page"],
    }
    assert client.get(address(article)).status_code == 404
    answer = call(client, "POST", route(article))
    assert answer.status_code == 201
    token = answer.json()["token"]
    for method, status in (("GET", 200), ("PATCH", 200), ("DELETE", 204)):
        assert call(client, method, route(article), token).status_code == status


# Whose keys, and which viewsets


def live_through_a_lock(client, url):
    """Call all that there is, and be refused by all that can."""
    assert call(client, "GET", url).json()["locked"] is False
    answer = call(client, "POST", url)
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert call(client, "POST", url).status_code == 403
    assert call(client, "GET", url, VOID).status_code == 403
    assert call(client, "GET", url, token).status_code == 200
    assert call(client, "PATCH", url, token, If_Match='"x"').status_code == 412
    assert call(client, "PATCH", url, token).status_code == 200
    assert call(client, "DELETE", url, VOID).status_code == 403
    assert call(client, "DELETE", url, token).status_code == 204
    assert call(client, "DELETE", url, token).status_code == 404


@pytest.mark.parametrize(
    ("name", "model", "fields", "lookup"),
    [
        ("article", Article, {}, "pk"),
        ("page", Page, {}, "pk"),
        ("label", Label, {"name": "a label, é"}, "pk"),
        ("price", Price, {"amount": "1.50"}, "pk"),
        ("desk", Desk, {"name": "news"}, "name"),
        ("plain", Plain, {}, "pk"),
        ("read-only", Article, {}, "pk"),
        ("smallest", Article, {}, "pk"),
    ],
)
def test_any_key_and_any_viewset_live_through_a_lock(
    client, name, model, fields, lookup
):
    obj = model.objects.create(**fields)
    obj.refresh_from_db()
    url = route(obj, name, getattr(obj, lookup))
    live_through_a_lock(client, url)
    kwarg = "desk" if name == "desk" else "pk"
    by_name = reverse(f"{name}-lock", kwargs={kwarg: getattr(obj, lookup)})
    assert call(client, "GET", by_name).status_code == 200
    with_suffix = f"{by_name[:-1]}.json"
    for method in ("GET", "POST"):
        assert call(client, method, with_suffix).status_code in (200, 201)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
def test_what_cannot_be_locked_is_a_404(client, method):
    label = Label.objects.create(name="x" * 256)
    answer = call(client, method, route(label, "label"), VOID)
    assert answer.status_code == 404
    if method != "HEAD":
        assert answer.json()["error"] == "not_found"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("key", ["0", "x", "9" * 30, "-1"])
def test_an_object_that_is_not_there_is_a_404_of_the_viewset(client, method, key):
    answer = call(client, method, f"/api/article/{key}/lock/", VOID)
    assert answer.status_code == 404
    assert method == "HEAD" or "detail" in answer.json()
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_an_object_that_a_filter_hides_is_a_404(client, article, method):
    token = article.lock()["token"]
    before = lock_row(article).values().get()
    Article.objects.update(title="Hidden")
    answer = call(client, method, route(article, "hiding"), token)
    assert answer.status_code == 404
    assert lock_row(article).values().get() == before


# Who may


def test_basic_authentication_is_asked_for(article, alice):
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = call(Client(), method, route(article, "basic"), VOID)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Basic realm="api"'
        assert answer["Cache-Control"] == "no-store"
    wrong = Client(headers={"Authorization": "Basic YWxpY2U6d3Jvbmc="})
    assert call(wrong, "POST", route(article, "basic")).status_code == 401
    right = Client(headers={"Authorization": "Basic YWxpY2U6c2VjcmV0"})
    live_through_a_lock(right, route(article, "basic"))
    call(right, "POST", route(article, "basic"))
    assert lock_row(article).get().locked_by == alice


def test_idempotency_keys_are_bound_to_the_viewset_s_own_user(
    article, alice, django_user_model
):
    django_user_model.objects.create_user("bob", password="secret")
    url = route(article, "basic")
    of_alice = Client(headers={"Authorization": "Basic YWxpY2U6c2VjcmV0"})
    of_bob = Client(headers={"Authorization": "Basic Ym9iOnNlY3JldA=="})
    first = call(of_alice, "POST", url, Idempotency_Key="1")
    again = call(of_alice, "POST", url, Idempotency_Key="1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json()["token"] == first.json()["token"]
    assert call(of_bob, "POST", url, Idempotency_Key="1").status_code == 403
    # Anonymous to our own API, whatever the header says that it does not know.
    ours = api.send(of_alice, "POST", address(article), Idempotency_Key=KEY)
    assert ours.status_code == 403


def test_session_authentication_checks_for_forgery(article, alice):
    client = Client(enforce_csrf_checks=True)
    url = route(article, "session")
    assert call(client, "POST", url).status_code == 403
    client.force_login(alice)
    token = article.lock()["token"]
    for method in ("POST", "PATCH", "DELETE"):
        answer = call(client, method, url, token)
        assert answer.status_code == 403
        assert "CSRF" in answer.json()["detail"]
    assert call(client, "GET", url, token).status_code == 200
    assert article.check_lock(token)
    client.cookies["csrftoken"] = "a" * 32
    answer = call(client, "PATCH", url, token, X_CSRFToken="a" * 32)
    assert answer.status_code == 200


def test_a_user_that_is_no_row_holds_as_nobody(client, article):
    live_through_a_lock(client, route(article, "robot"))
    answer = call(client, "POST", route(article, "robot"), Idempotency_Key="short")
    assert answer.status_code == 400  # nobody is known to be signed in
    answer = call(client, "POST", route(article, "robot"), Idempotency_Key=KEY)
    assert answer.status_code == 201
    assert lock_row(article).get().locked_by is None


@pytest.mark.parametrize("may", ["add", "change", "delete", "view", None])
@pytest.mark.parametrize("name", ["model-permissions", "django-object-permissions"])
def test_whoever_may_change_may_lock(client, article, alice, may, name):
    if may:
        alice.user_permissions.add(Permission.objects.get(codename=f"{may}_article"))
    client.force_login(alice)
    token = LockToken.objects.acquire(article).token_str
    before = lock_row(article).values().get()
    url = route(article, name)
    if name == "django-object-permissions":
        # Django's own backend gives no permission for one object.
        statuses = {"GET": 200, "PATCH": 403, "DELETE": 403, "POST": 403}
    elif may == "change":
        statuses = {"GET": 200, "POST": 403, "PATCH": 200, "DELETE": 204}
    else:
        statuses = {"GET": 200, "POST": 403, "PATCH": 403, "DELETE": 403}
    for method, status in statuses.items():
        answer = call(client, method, url, token)
        assert answer.status_code == status, method
    if may == "change" and name == "model-permissions":
        assert call(client, "POST", url).status_code == 201
    else:
        assert lock_row(article).values().get() == before


@pytest.mark.parametrize("title", ["First", "Second"])
def test_permissions_for_an_object_are_asked_for_that_of_a_patch(
    client, article, title
):
    Article.objects.update(title=title)
    url = route(article, "object-permissions")
    if title == "First":
        live_through_a_lock(client, url)
        return
    token = article.lock()["token"]
    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
        answer = call(client, method, url, token)
        assert answer.status_code == 403
        assert method == "HEAD" or "locked_by" not in answer.json()
    assert article.check_lock(token)


def test_it_is_throttled_as_the_viewset_is(client, article):
    url = route(article, "throttled")
    assert call(client, "GET", url).status_code == 200
    assert call(client, "GET", f"/api/throttled/{article.pk}/").status_code == 200
    answer = call(client, "POST", url)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert answer["Cache-Control"] == "no-store"
    assert not lock_row(article).exists()


# Formats


def test_another_renderer_has_the_same_fields(client, article):
    url = route(article, "text")
    answer = call(client, "POST", url)
    assert answer.status_code == 201
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    fields = dict(
        line.split(" = ") for line in answer.content.decode().strip().split("\n")
    )
    assert fields == lock_row(article).get().serialize()
    refusal = call(client, "POST", url)
    assert refusal.status_code == 403
    assert "error = locked\n" in refusal.content.decode()
    assert "locked_by = None\n" in refusal.content.decode()
    state = call(client, "GET", url)
    assert "locked = True\n" in state.content.decode()
    known = call(client, "GET", url, If_None_Match=state["ETag"])
    assert (known.status_code, known.content) == (304, b"")
    answer = call(client, "DELETE", url, fields["token"])
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_format_that_the_viewset_has_not_is_a_406(client, article):
    answer = call(client, "POST", route(article, "text"), Accept="application/json")
    assert answer.status_code == 406
    assert not lock_row(article).exists()


@pytest.mark.parametrize("kind", [FORM, BOUNDARY])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("timeout", "status"),
    [
        *(("60", 200), (" 60 ", 200), ("2.5", 200), ("", 200), ("99999", 200)),
        *(("1e300", 200), ("inf", 200), ("0", 400), ("-1", 400), ("soon", 400)),
        *(("nan", 400), ("-inf", 400), ("1,5", 400)),
    ],
)
def test_a_form_may_have_the_timeout(client, article, kind, method, timeout, status):
    body = f"timeout={timeout}&csrfmiddlewaretoken=x"
    if kind == BOUNDARY:
        body = (
            f'--x\r\nContent-Disposition: form-data; name="timeout"\r\n\r\n{timeout}'
            '\r\n--x\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"'
            "\r\n\r\nx\r\n--x--\r\n"
        )
    headers = {}
    if method == "PATCH":
        headers["Lock-Token"] = article.lock()["token"]
    answer = client.generic(
        method, route(article), body, content_type=kind, headers=headers
    )
    if method == "POST" and status == 200:
        status = 201
    assert answer.status_code == status, answer.content
    if status == 400:
        assert answer.json()["error"] == "invalid_timeout"
        return
    lock = lock_row(article).get()
    seconds = (lock.expires_at - lock.locked_at).total_seconds()
    wanted = {"60": 60, " 60 ": 60, "2.5": 2.5}.get(timeout, 3600)
    assert seconds == pytest.approx(wanted, abs=2)


def test_a_form_with_another_field_is_a_400(client, article):
    answer = client.post(route(article), {"timeout": "5", "user": "1"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_body")
    assert not lock_row(article).exists()


def test_a_viewset_that_parses_json_alone_takes_no_form(client, article):
    answer = client.post(route(article, "json-only"), {"timeout": "5"})
    assert answer.status_code == 415
    live_through_a_lock(client, route(article, "json-only"))


def test_the_browsable_api_shows_the_lock_and_a_form(client, article, alice):
    client.force_login(alice)
    url = route(article, "browsable")
    html = {"Accept": "text/html"}
    page = call(client, "GET", url, **html)
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    text = page.content.decode()
    assert "&quot;locked&quot;: false" in text
    assert 'name="timeout"' in text
    answer = client.post(url, {"timeout": ""}, headers=html)
    assert answer.status_code == 201
    token = lock_row(article).get().token_str
    assert token in answer.content.decode()
    state = call(client, "GET", url, **html).content.decode()
    assert token not in state
    refusal = client.post(url, {"timeout": ""}, headers=html)
    assert refusal.status_code == 403
    assert token not in refusal.content.decode()
    assert "Alice Liddell" in refusal.content.decode()
    assert call(client, "GET", url, token, **html).status_code == 200
    answer = call(client, "DELETE", url, token, **html)
    assert answer.status_code == 200  # of the page that says 204
    assert not lock_row(article).exists()


# A database that fails


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_a_lock_that_the_database_fails_is_a_503(client, article, caplog, method):
    held = article.lock()

    def fail(execute, sql, params, many, context):
        if "lock_tokens_locktoken" in sql:
            raise OperationalError("the database has gone away")
        return execute(sql, params, many, context)

    token = None if method == "POST" else held["token"]
    with (
        connection.execute_wrapper(fail),
        caplog.at_level(logging.ERROR, "lock_tokens"),
    ):
        answer = call(client, method, route(article), token)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer["Retry-After"] == "2"
    assert answer["Cache-Control"] == "no-store"
    assert "gone away" not in answer.content.decode()
    (record,) = [each for each in caplog.records if each.name == "lock_tokens"]
    assert record.exc_info[0] is OperationalError
    assert held["token"] not in caplog.text
    assert lock_row(article).get().serialize() == held


def test_queries_of_each_call_are_those_of_our_own_api(client, article):
    def queries_of(method, url, status, token=None):
        with CaptureQueriesContext(connection) as queries:
            assert call(client, method, url, token).status_code == status
        return len(queries)

    for standing, method, shown, status in (
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
            own = set_up(Case("", method, shown, standing), article, None)
            token = own if shown == "own" else shown and "1" * 32
            url = address(article, token) if is_ours else route(article)
            counts.append(queries_of(method, url, status, None if is_ours else token))
        assert counts[0] == counts[1]
