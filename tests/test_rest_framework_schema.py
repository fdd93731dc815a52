"""drf-spectacular's schema of views with locks."""

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests import drf_nested, drf_site

LOCK = "/api/articles/{id}/lock/"


@pytest.fixture
def make(monkeypatch):
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.views import APIView

    monkeypatch.setattr(APIView, "schema", AutoSchema())

    def make(site, leave_out=("hand-made",)):
        patterns = [
            pattern
            for pattern in site.urlpatterns
            if not any(name in str(pattern.pattern) for name in leave_out)
        ]
        with GENERATOR_STATS.silence():
            GENERATOR_STATS.reset()
            schema = SchemaGenerator(patterns=patterns).get_schema(public=True)
            found = {**GENERATOR_STATS._warn_cache, **GENERATOR_STATS._error_cache}
        validate_schema(schema)
        return schema, [key for key in found if "versioning" not in key]

    return make


@pytest.mark.parametrize("site", [drf_site, drf_nested])
def test_the_schema_is_made_without_a_warning(make, site):
    schema, warnings = make(site)
    assert schema["paths"]
    assert warnings == []


def test_the_schema_has_the_route_of_the_lock(make):
    paths = make(drf_site)[0]["paths"]
    answers = {
        method: set(operation["responses"]) for method, operation in paths[LOCK].items()
    }
    assert answers == {
        "get": {"200"},
        "post": {"201", "400", "403"},
        "patch": {"200", "400", "403", "404", "412"},
        "delete": {"204", "400", "403", "404"},
    }
    body = paths[LOCK]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["$ref"].endswith("/LockTimeout")


def headers_of(operation):
    return {
        parameter["name"]: parameter.get("required", False)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }


def test_the_schema_has_the_header_and_the_refusals_of_writes(make):
    paths = make(drf_site)[0]["paths"]
    for name, required, releases in (
        ("articles", False, False),
        ("strict", True, False),
        ("releasing", False, True),
        ("permission", False, False),
    ):
        item = paths[f"/api/{name}/{{id}}/"]
        for method in ("put", "patch", "delete"):
            operation = item[method]
            assert headers_of(operation) == {"Lock-Token": required}
            refusals = {"412", "423"} | ({"428"} if required else set())
            assert refusals <= set(operation["responses"])
            assert ("428" in operation["responses"]) == required
        has_expiry = "Lock-Expires-At" in item["patch"]["responses"]["200"].get(
            "headers", {}
        )
        assert has_expiry != releases
        assert not headers_of(item["get"])
        assert not headers_of(paths[f"/api/{name}/"]["post"])
    assert headers_of(paths["/api/articles/{id}/shout/"]["post"])
    assert headers_of(paths["/generic/{id}/"]["patch"])


def test_the_state_is_a_component_of_the_schema(make):
    components = make(drf_site)[0]["components"]["schemas"]
    state = components["LockState"]["properties"]
    assert set(state) == {"locked", "locked_by", "locked_at", "expires_at"}
    assert "LockState" in str(components["Article"]["properties"]["lock"])
    assert components["Article"]["properties"]["lock"]["readOnly"] is True
