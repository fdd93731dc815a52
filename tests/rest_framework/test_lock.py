"""The route ``<object>/lock/`` of a viewset, under the viewset's own rules."""

from base64 import b64encode

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.shortcuts import get_object_or_404
from django.test import Client
from django.urls import include, path, reverse
from rest_framework import (
    authentication,
    filters,
    parsers,
    permissions,
    renderers,
    throttling,
    viewsets,
)
from rest_framework.routers import DefaultRouter

from lock_tokens.rest_framework import LockableViewSetMixin
from tests.models import Article, Desk, Label, Page, Plain, Price
from tests.support import api
from tests.support.api import address
from tests.support.drf_site import serializer_of
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


# The viewsets


class Bare(viewsets.ViewSet):
    """No generic viewset: it finds its object by itself."""

    def get_object(self):
        article = get_object_or_404(Article, pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, article)
        return article


def viewset(model=Article, base=viewsets.ModelViewSet, **attributes):
    attributes.setdefault("queryset", model.objects.order_by("pk"))
    attributes.setdefault("serializer_class", serializer_of(model))
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
    "bare": viewset(base=Bare),
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
    "read-only": viewset(base=viewsets.ReadOnlyModelViewSet),
    "smallest": viewset(base=viewsets.GenericViewSet),
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

BY_HAND = {
    "get": "lock",
    "post": "acquire_lock",
    "patch": "renew_lock",
    "delete": "release_lock",
}

urlpatterns = [
    *api.urlpatterns,
    path("api/", include(router.urls)),
    path("api/by-hand/<int:pk>/lock/", viewset().as_view(BY_HAND)),
]


def route(obj, name="article", key=None):
    """Return the address of the object's lock in a viewset."""
    return f"/api/{name}/{obj.pk if key is None else key}/lock/"


def call(client, method, url, token=None, **headers):
    """Send a request without a body; with a token, if any, in its header.

    The answer must not be stored, whatever it is.
    """
    if token is not None:
        headers["Lock-Token"] = token
    answer = api.send(client, method, url, **headers)
    assert answer["Cache-Control"] == "no-store"
    return answer


def assert_refused(answer, status, error):
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def basic(user, password="secret"):
    """Return a client that sends this as the user's password with each request."""
    user.set_password("secret")
    user.save()
    sent = b64encode(f"{user}:{password}".encode()).decode()
    return Client(headers={"Authorization": f"Basic {sent}"})


@pytest.fixture(autouse=True)
def nothing_is_throttled_yet():
    cache.clear()


# A lock, and its token in a header


def live_through_a_lock(client, url):
    """Call all that there is, and be refused by all that can."""
    assert call(client, "GET", url).json()["locked"] is False
    answer = call(client, "POST", url)
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert call(client, "POST", url).status_code == 403
    assert_refused(call(client, "POST", url, token), 403, "locked")
    assert call(client, "GET", url, VOID).status_code == 403
    assert call(client, "GET", url, token).status_code == 200
    assert call(client, "PATCH", url, token, If_Match='"x"').status_code == 412
    assert call(client, "PATCH", url, token).status_code == 200
    assert call(client, "DELETE", url, VOID).status_code == 403
    assert call(client, "DELETE", url, token).status_code == 204
    assert call(client, "DELETE", url, token).status_code == 404


@pytest.mark.parametrize("standing", ["free", "live", "expired"])
def test_renewing_and_releasing_need_a_token(client, article, standing):
    if standing != "free":
        article.lock()
    if standing == "expired":
        expire(article)
    before = lock_row(article).values().first()
    for method in ("PATCH", "DELETE"):
        assert_refused(call(client, method, route(article)), 400, "token_required")
    assert lock_row(article).values().first() == before


@pytest.mark.parametrize("method", ["PUT", "TRACE", "FOO"])
def test_other_methods_are_a_405_of_the_viewset(client, article, method):
    answer = call(client, method, route(article))
    assert answer.status_code == 405
    allowed = set(answer["Allow"].split(", "))
    assert allowed == {"GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"}


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


@pytest.mark.parametrize(
    ("name", "model", "fields", "lookup"),
    [
        ("article", Article, {}, "pk"),
        ("page", Page, {}, "pk"),
        ("label", Label, {"name": "a label, é"}, "pk"),
        ("price", Price, {"amount": "1.50"}, "pk"),
        ("desk", Desk, {"name": "news"}, "name"),
        ("plain", Plain, {}, "pk"),
        ("bare", Article, {}, "pk"),
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


def test_the_route_may_be_put_by_hand(client, article):
    live_through_a_lock(client, route(article, "by-hand"))


def test_what_cannot_be_locked_is_a_404(client):
    label = Label.objects.create(name="x" * 256)
    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
        answer = call(client, method, route(label, "label"), VOID)
        assert answer.status_code == 404
        assert method == "HEAD" or answer.json()["error"] == "not_found"


@pytest.mark.parametrize(
    ("name", "key"),
    [*(("article", key) for key in ("0", "x", "9" * 30, "-1")), ("bare", "0")],
)
def test_an_object_that_is_not_there_is_a_404_of_the_viewset(client, name, key):
    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
        answer = call(client, method, f"/api/{name}/{key}/lock/", VOID)
        assert answer.status_code == 404
        assert method == "HEAD" or "detail" in answer.json()


def test_an_object_that_a_filter_hides_is_a_404(client, article):
    token = article.lock()["token"]
    before = lock_row(article).values().get()
    Article.objects.update(title="Hidden")
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = call(client, method, route(article, "hiding"), token)
        assert answer.status_code == 404
    assert lock_row(article).values().get() == before


# Who may


def test_basic_authentication_is_asked_for(article, alice):
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = call(Client(), method, route(article, "basic"), VOID)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Basic realm="api"'
    assert not lock_row(article).exists()
    wrong, right = basic(alice, "wrong"), basic(alice)
    assert call(wrong, "POST", route(article, "basic")).status_code == 401
    live_through_a_lock(right, route(article, "basic"))
    call(right, "POST", route(article, "basic"))
    assert lock_row(article).get().locked_by == alice


def test_idempotency_keys_are_bound_to_the_viewset_s_own_user(article, alice, bob):
    url = route(article, "basic")
    of_alice, of_bob = basic(alice), basic(bob)
    first = call(of_alice, "POST", url, Idempotency_Key="1")
    again = call(of_alice, "POST", url, Idempotency_Key="1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json()["token"] == first.json()["token"]
    assert call(of_bob, "POST", url, Idempotency_Key="1").status_code == 403
    # Anonymous to our own API, whatever the header says that it does not know.
    ours = api.send(of_alice, "POST", address(article), Idempotency_Key=KEY)
    assert ours.status_code == 403


def test_session_authentication_checks_for_forgery(article, alice, settings):
    settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": True}  # of our own API alone
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
    url = route(article, name)
    # Django's own backend gives no permission for one object.
    allowed = may == "change" and name == "model-permissions"
    if allowed:
        live_through_a_lock(client, url)
        return
    assert call(client, "POST", url).status_code == 403
    token = article.lock()["token"]
    before = lock_row(article).values().get()
    assert call(client, "GET", url, token).status_code == 200
    for method in ("PATCH", "DELETE"):
        assert call(client, method, url, token).status_code == 403
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
    assert client.get(f"/api/throttled/{article.pk}/").status_code == 200
    answer = call(client, "POST", url)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
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
    assert fields.pop("expires_in") == "3600.0"
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


@pytest.mark.parametrize(
    ("method", "kind", "timeout", "status"),
    [
        *(("POST", FORM, value, 201) for value in ("60", " 60 ", "2.5", "", "99999")),
        *(("POST", FORM, value, 201) for value in ("1e300", "inf")),
        *(("POST", FORM, value, 400) for value in ("0", "-1", "soon", "nan", "-inf")),
        ("POST", FORM, "1,5", 400),
        *(("PATCH", FORM, *each) for each in (("60", 200), ("", 200), ("soon", 400))),
        *(("POST", BOUNDARY, *of) for of in (("60", 201), ("", 201), ("soon", 400))),
        *(("PATCH", BOUNDARY, *of) for of in (("60", 200), ("", 200), ("soon", 400))),
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
    assert answer.status_code == status, answer.content
    if status == 400:
        assert_refused(answer, 400, "invalid_timeout")
        return
    lock = lock_row(article).get()
    seconds = (lock.expires_at - lock.locked_at).total_seconds()
    wanted = {"60": 60, " 60 ": 60, "2.5": 2.5}.get(timeout, 3600)
    assert seconds == pytest.approx(wanted, abs=2)


def test_a_form_with_another_field_is_a_400(client, article):
    answer = client.post(route(article), {"timeout": "5", "user": "1"})
    assert_refused(answer, 400, "invalid_body")
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
