"""docs/openapi.json, as tests ask it: its paths, operations, answers, and error codes."""

import json
from pathlib import Path

DESCRIPTION = json.loads(
    (Path(__file__).parents[2] / "docs" / "openapi.json").read_text()
)
COMPONENTS = DESCRIPTION["components"]
STATES = "/{app_label}/{model}/"
LOCK = "/{app_label}/{model}/{object_id}/"
TOKEN = "/{app_label}/{model}/{object_id}/{token}/"
METHODS = ("get", "head", "options", "post", "put", "patch", "delete", "trace")


def resolved(node):
    """Return what a node stands for, if it is a reference."""
    while "$ref" in node:
        target = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def operations():
    """Give the path, the method and the description of each operation."""
    for path, item in DESCRIPTION["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def codes_of(schema):
    """Return the error codes that a schema lets through; ``None`` for no error."""
    if "oneOf" in schema and "properties" not in schema:
        return {code for choice in schema["oneOf"] for code in codes_of(choice)}
    if "properties" in schema and "error" in schema["properties"]:
        error = schema["properties"]["error"]
        return set(error["enum"]) if "enum" in error else {error["const"]}
    return codes_of(resolved(schema)) if "$ref" in schema else {None}


def documented():
    """Return the path, method, status and error code of each documented answer."""
    found = set()
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            content = resolved(response).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            found |= {(path, method, int(status), code) for code in codes_of(schema)}
    return found
