"""drf-spectacular's schema of sites with locks."""

import re

import jsonschema
import pytest
from drf_spectacular.settings import spectacular_settings
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import CharField
from rest_framework.viewsets import ModelViewSet

from lock_tokens.rest_framework import LockableViewSetMixin, LockStateField
from tests.models import Article
from tests.support import drf_nested
from tests.support.doors import HOLDER
from tests.support.drf_schema import (
    LOCK,
    REFUSALS,
    Articles,
    Locked,
    answer_headers_of,
    body_of,
    headers_of,
    is_described,
    site,
)
from tests.support.drf_site import ArticleSerializer, api_client

pytestmark = pytest.mark.any_database


MADE = []


@pytest.fixture
def schema(make):
    """The schema of the site. It is made once."""
    if not MADE:
        MADE.append(make(site()))
    return MADE[0]


def test_the_schema_of_nested_views_is_made_without_a_warning(make):
    assert make(drf_nested.urlpatterns)["paths"]


def test_the_schema_has_the_header_and_the_refusals_of_writes(schema):
    paths = schema["paths"]
    for name, required, releases in (
        ("articles", False, False),
        ("strict", True, False),
        ("releasing", False, True),
        ("permission", False, False),
    ):
        item = paths[f"/api/{name}/{{id}}/"]
        for method in ("put", "patch", "delete"):
            assert is_described(item[method], required)
        assert ("Lock-Expires-At" in answer_headers_of(item["patch"], "200")) != (
            releases
        )
        assert answer_headers_of(item["patch"], "503") == {"Retry-After"}
        # The lock ends with its object.
        assert answer_headers_of(item["delete"], "204") == set()
        assert not is_described(item["get"])
        assert not is_described(paths[f"/api/{name}/"]["post"])
    assert is_described(paths["/api/articles/{id}/shout/"]["post"])
    assert not is_described(paths["/api/articles/clear/"]["post"])
    assert is_described(paths["/generic/{id}/"]["patch"])
    assert is_described(paths["/mixed/{id}/"]["delete"])
    assert is_described(paths["/api/desks/{desk}/"]["put"])


def test_what_writes_answer_else_stays(schema):
    item = schema["paths"]["/api/articles/{id}/"]
    assert set(item["put"]["responses"]) == {"200"} | REFUSALS
    assert set(item["delete"]["responses"]) == {"204"} | REFUSALS
    assert body_of(item["put"], "200") == "Article"
    assert "content" not in item["delete"]["responses"]["204"]
    assert body_of(item["put"], "423") == "LockedError"


def test_a_site_of_one_viewset_has_the_names_that_it_has_without_locks(make):
    def names(viewset):
        router = SimpleRouter()
        router.register("api/v1/articles", viewset, "article")
        return {
            (method, address): (operation["operationId"], operation["tags"])
            for address, item in make(router.urls)["paths"].items()
            for method, operation in item.items()
            if "lock" not in address
        }

    assert names(Locked) == names(type("V", (Articles, ModelViewSet), {}))


# The route


def test_the_schema_has_the_route_of_the_lock(schema):
    item = schema["paths"][LOCK]
    answers = {method: set(item[method]["responses"]) for method in item}
    assert answers == {
        "get": {"200", "304", "400", "403", "404", "503"},
        "post": {"200", "201", "204", "400", "403", "404", "412", "503"},
        "patch": {"200", "400", "403", "404", "412", "503"},
        "delete": {"204", "400", "403", "404", "503"},
    }
    body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["$ref"].endswith("/LockTimeout")
    assert body_of(item["post"], "201") == body_of(item["patch"], "200") == "LockToken"
    assert body_of(item["patch"], "412") == "LockRenewedError"


def test_the_status_of_a_locked_object_is_that_of_the_setting(make, settings):
    settings.LOCK_TOKENS = {"API_LOCKED_STATUS": 409}
    answers = make(site())["paths"][LOCK]["post"]["responses"]
    others = {"200", "204", "400", "403", "404", "412", "503"}  # with a token too
    assert set(answers) == {"201", "409"} | others


def test_a_lock_is_asked_for_with_its_token_or_without(schema):
    answer = body_of(schema["paths"][LOCK]["get"], "200")
    components = schema["components"]["schemas"]
    names = [part["$ref"].rpartition("/")[2] for part in components[answer]["oneOf"]]
    assert names == ["LockState", "LockToken"]
    for name in names:  # no body is both
        assert set(components[name]["required"]) == set(components[name]["properties"])


def test_the_route_has_the_headers_that_it_heeds_and_sends(schema):
    item = schema["paths"][LOCK]
    assert {method: headers_of(item[method]) for method in item} == {
        "get": {"Lock-Token": False, "If-None-Match": False},
        "post": {"Idempotency-Key": False, "Lock-Token": False},
        "patch": {"Lock-Token": True, "If-Match": False, "If-Unmodified-Since": False},
        "delete": {"Lock-Token": True},
    }
    assert answer_headers_of(item["get"], "200") == {"ETag"}
    assert answer_headers_of(item["get"], "304") == {"ETag"}
    assert answer_headers_of(item["post"], "201") == {"ETag", "Idempotent-Replayed"}
    assert answer_headers_of(item["patch"], "200") == {"ETag"}
    assert answer_headers_of(item["delete"], "204") == set()
    assert answer_headers_of(item["delete"], "503") == {"Retry-After"}


@pytest.mark.parametrize(
    ("version", "least"),
    [
        ("3.0.3", {"minimum": 0, "exclusiveMinimum": True}),
        ("3.1.0", {"exclusiveMinimum": 0}),
    ],
)
def test_the_timeout_is_above_0(make, monkeypatch, version, least):
    monkeypatch.setattr(spectacular_settings, "OAS_VERSION", version)
    body = make(site())["components"]["schemas"]["LockTimeout"]
    timeout = body["properties"]["timeout"]
    assert timeout.pop("description")
    assert timeout == {"type": "number", "format": "double", **least}


def test_the_state_is_a_component_of_the_schema(schema):
    components = schema["components"]["schemas"]
    state = components["LockState"]
    assert set(state["properties"]) == {"locked", *HOLDER}
    lock = components["Article"]["properties"]["lock"]
    assert "LockState" in str(lock)
    assert lock["readOnly"] is True
    assert "\n" not in state["description"]
    assert "``" not in state["description"]


def test_a_state_of_the_sites_own_is_another_component(of_viewset):
    class Plain(LockStateField):
        pass

    class Told(LockStateField):
        """Who is writing."""

        since = CharField(source="locked_at")

    class WithBoth(ArticleSerializer):
        plain = Plain()
        told = Told()

        class Meta(ArticleSerializer.Meta):
            fields = ["lock", "plain", "told"]

    class V(Locked):
        serializer_class = WithBoth

    components = of_viewset(V)["components"]["schemas"]
    state = components["LockState"]
    assert components["Plain"] == state
    assert components["Told"]["description"] == "Who is writing."
    assert set(components["Told"]["properties"]) == {*state["properties"], "since"}


@pytest.mark.django_db
@pytest.mark.urls("tests.support.drf_site")
def test_the_views_answer_as_the_schema_says(make, monkeypatch):
    monkeypatch.setattr(spectacular_settings, "OAS_VERSION", "3.1.0")
    schema = make(site())
    client = api_client()
    seen = set()

    def call(method, address, data=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = getattr(client, method)(address, data, headers=headers)
        operation = schema["paths"][re.sub(r"\d+", "{id}", address)][method]
        told = operation["responses"][str(answer.status_code)]
        if answer.content:
            body = told["content"]["application/json"]["schema"]
            jsonschema.validate(
                answer.json(), {**body, "components": schema["components"]}
            )
        else:
            assert "content" not in told
        names = {"ETag", "Idempotent-Replayed", "Lock-Expires-At", "Retry-After"}
        assert names & set(answer.headers) <= set(told.get("headers", ()))
        seen.add((method, "lock" in address, answer.status_code))
        return answer

    article = f"/api/strict/{Article.objects.create(title='one').pk}/"
    lock = f"{article}lock/"
    etag = call("get", lock).headers["ETag"]
    call("get", lock, If_None_Match=etag)
    call("get", lock, If="nonsense")
    call("get", lock, Lock_Token="void")
    call("delete", lock)
    call("delete", lock, Lock_Token="void")
    call("patch", article, {"title": "two"})
    call("patch", article, {"title": "two"}, Lock_Token="void")
    call("post", lock, {"timeout": 0})
    key = {"Idempotency_Key": "5b1f3a0e-8c59-4f0e-9d6c-2f7a4f0b3c11"}
    token = call("post", lock, {"timeout": 60}, **key).json()["token"]
    call("post", lock, **key)
    call("post", lock)
    call("get", lock)
    call("get", lock, Lock_Token=token)
    call("get", lock, Lock_Token="void")
    call("patch", lock, Lock_Token=token)
    call("patch", lock, Lock_Token=token, If_Match='"nonsense"')
    for do in ("renew", "release"):  # as patch and delete
        answer = client.post(f"{lock}?do={do}", headers={"Lock-Token": "void"})
        assert answer.status_code == 403
    seen |= {("post", True, status) for status in (200, 204, 412)}
    call("patch", lock, Lock_Token="void")
    call("patch", lock)
    call("delete", lock, Lock_Token="void")
    call("patch", article, {"title": "two"})
    call("patch", article, {"title": "two"}, Lock_Token="void")
    call("patch", article, {"title": "two"}, If="nonsense")
    call("patch", article, {"title": ""}, Lock_Token=token)
    call("patch", article, {"title": "two"}, Lock_Token=token)
    call("delete", lock, Lock_Token=token)
    for method in ("get", "post", "patch", "delete"):
        call(method, "/api/strict/0/lock/", Lock_Token=token)
    told = {
        (method, is_lock, int(status))
        for address, is_lock in (("", False), ("lock/", True))
        for method, operation in schema["paths"][
            f"/api/strict/{{id}}/{address}"
        ].items()
        for status in operation["responses"]
        if (is_lock or method == "patch") and status != "503"
    }
    assert told <= seen


# Descriptions


def test_a_viewset_without_a_docstring_has_no_descriptions(of_viewset):
    paths = of_viewset(Locked)["paths"]
    for address in ("/articles/", "/articles/{id}/"):
        for operation in paths[address].values():
            assert "description" not in operation
    for operation in paths["/articles/{id}/lock/"].values():
        assert operation["description"].endswith(".")
        assert "\n" not in operation["description"]


@pytest.mark.parametrize("before", [True, False])
def test_the_docstrings_of_the_sites_classes_count(of_viewset, before):
    class Base(Articles, ModelViewSet):
        """For all of the company."""

    class V(LockableViewSetMixin, Base):
        pass

    class W(V):
        """For articles."""

    view, expected = (W, "For articles.") if before else (V, "For all of the company.")
    item = of_viewset(view)["paths"]["/articles/{id}/"]
    assert {operation["description"] for operation in item.values()} == {expected}
