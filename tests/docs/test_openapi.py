"""docs/openapi.json says what the views do, and the views do what it says."""

import ast
import inspect
import json
import re
import time
from collections import defaultdict
from datetime import datetime

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, ProgrammingError
from django.test import Client
from django.utils.http import http_date
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from lock_tokens import urls
from lock_tokens.api import errors, requests, views
from lock_tokens.api.converters import ObjectKeyConverter
from lock_tokens.api.errors import ApiError
from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.models import LockToken
from lock_tokens.settings import DEFAULTS
from tests.models import Article
from tests.support.api import address, send, states_of
from tests.support.helpers import expire
from tests.support.openapi import (
    COMPONENTS,
    DESCRIPTION,
    LOCK,
    METHODS,
    STATES,
    TOKEN,
    codes_of,
    documented,
    operations,
    resolved,
)

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.any_database]

#: What an answer may have more than its body; nothing of it goes without saying.
HEADERS = ("Allow", "Cache-Control", "ETag", "Idempotent-Replayed", "Retry-After")

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_date_time(value):
    return not isinstance(value, str) or bool(datetime.fromisoformat(value).tzinfo)


def validator(schema):
    """Return a validator of a schema that stands anywhere in the description."""
    return Draft202012Validator(
        {**schema, "components": COMPONENTS}, format_checker=formats
    )


def nodes(node=DESCRIPTION):
    """Give every object in the description."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from nodes(item)


def check(answer, response):
    """Hold an answer against its description."""
    response = resolved(response)
    documented = {
        name: resolved(header) for name, header in response["headers"].items()
    }
    assert {name for name in HEADERS if name in answer} <= set(documented)
    for name, header in documented.items():
        assert name in answer or not header["required"]
        if name in answer:
            validator(header["schema"]).validate(answer[name])
    if "content" in response:
        [(media_type, content)] = response["content"].items()
        assert answer["Content-Type"] == media_type
        validator(content["schema"]).validate(answer.json())
    else:
        assert answer.content == b""


# The document


def test_each_schema_is_one():
    schemas = [node["schema"] for node in nodes() if "schema" in node]
    assert schemas
    for schema in (*schemas, *COMPONENTS["schemas"].values()):
        Draft202012Validator.check_schema(schema)


def test_each_reference_leads_somewhere_and_each_component_is_used():
    used = {node["$ref"] for node in nodes() if isinstance(node.get("$ref"), str)}
    for reference in used:
        assert resolved({"$ref": reference})
    there = {
        f"#/components/{kind}/{name}"
        for kind, components in COMPONENTS.items()
        for name in components
        if kind != "securitySchemes"
    }
    assert there - used == set()


def test_examples_are_examples():
    for schema in (node for node in nodes() if isinstance(node.get("examples"), list)):
        for example in schema["examples"]:
            validator(schema).validate(example)
    for node in (node for node in nodes() if "example" in node):
        validator(node["schema"]).validate(node["example"])


def test_operations_have_names_of_their_own_and_links_lead_to_them():
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    links = [link for node in nodes() for link in node.get("links", {}).values()]
    assert links
    assert {link["operationId"] for link in links} <= set(names)


# The document and the source


def routes():
    """Return the views by their paths, as OpenAPI writes paths."""
    return {
        "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern)): pattern
        for pattern in urls.urlpatterns
    }


def test_every_path_is_described_and_no_other():
    assert set(DESCRIPTION["paths"]) == set(routes())
    assert {pattern.name for pattern in routes().values()} == {
        "states-view",
        "list-view",
        "detail-view",
    }


@pytest.mark.parametrize("path", [STATES, LOCK, TOKEN])
def test_every_method_is_described_and_no_other(path):
    view = routes()[path].callback.view_class
    methods = {name for name in view.http_method_names if hasattr(view, name)}
    assert {method for where, method, _ in operations() if where == path} == {
        *methods,
        "head",  # Django answers it with get
    }


@pytest.mark.parametrize("path", [STATES, LOCK, TOKEN])
def test_every_part_of_a_path_is_described(path):
    parameters = map(resolved, DESCRIPTION["paths"][path]["parameters"])
    described = [parameter["name"] for parameter in parameters]
    assert described == re.findall(r"{(\w+)}", path)


def test_every_header_that_is_read_is_described_and_no_other():
    read = re.findall(
        r"headers\.get\(\s*\"([\w-]+)\"",
        inspect.getsource(views) + inspect.getsource(requests),
    )
    described = {
        parameter["name"]
        for parameter in COMPONENTS["parameters"].values()
        if parameter["in"] == "header"
    }
    assert described == {*read, "X-CSRFToken"}


def statuses_in_the_source():
    """Return the statuses of each error code that the source has."""
    found = defaultdict(set)
    for module in (errors, requests, views):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            name = isinstance(node, ast.Call) and getattr(node.func, "id", None)
            if name == "ApiError":
                status, code = node.args[:2]
            elif name == "bad_request":
                status, code = ast.Constant(400), node.args[0]
            else:
                continue
            if isinstance(code, ast.Constant):
                named = isinstance(status, ast.Attribute)
                found[code.value].add(DEFAULTS[status.attr] if named else status.value)
    return found


def test_every_error_of_the_source_is_described_and_no_other():
    described = defaultdict(set)
    for _, _, status, code in documented():
        if code is not None:
            described[code].add(status)
    for item in DESCRIPTION["paths"].values():
        refusal = resolved(item["x-other-methods"])
        for code in codes_of(refusal["content"]["application/json"]["schema"]):
            described[code].add(405)
    assert described == statuses_in_the_source()


@pytest.mark.parametrize(
    "key",
    ["5", "a b", "a/b", "..", "a.b", ".", "~2F", "100%", "a\\b\n\x7f", "é", "?#", ""],
)
def test_the_key_in_an_address_is_written_as_described(key):
    schema = COMPONENTS["parameters"]["ObjectId"]["schema"]
    converter = ObjectKeyConverter()
    written = converter.to_url(key)
    validator(schema).validate(written)
    assert converter.to_python(written) == key


@pytest.mark.parametrize(
    "key",
    [
        "k" * 15,
        "k" * 16,
        "k" * 255,
        "k" * 256,
        '"' + "k" * 15 + '"',
        '"' + "k" * 16 + '"',
        '"' + "k" * 255 + '"',
        '"' + "k" * 256 + '"',
        "k" * 8 + " " + "k" * 8,
        "é" * 16,
        "k" * 16 + "\t",
        "",
    ],
)
def test_a_client_s_key_is_good_when_it_is_described_so(rf, key):
    schema = COMPONENTS["parameters"]["IdempotencyKey"]["schema"]
    request = rf.post("/", headers={"Idempotency-Key": key})
    try:
        good = bool(requests.get_owner(request, None))
    except ApiError:
        good = False
    assert validator(schema).is_valid(key) == good


# The document and real answers


class Api:
    """A client, an article to lock, and a site's settings."""

    def __init__(self, settings, monkeypatch):
        self.settings = settings
        self.monkeypatch = monkeypatch
        self.client = Client()
        self.method = "get"
        self.article = Article.objects.create()
        self.nobody = Article(pk=0)
        self.key = {"Idempotency-Key": "5b1f3a0e-8c59-4f0e-9d6c-2f7a4f0b3c11"}

    def user(self, **fields):
        return get_user_model().objects.create_user("alice", **fields)

    def sign_in(self):
        self.client.force_login(self.user())

    def permit(self, permission):
        self.settings.LOCK_TOKENS = {"API_PERMISSION": permission}

    def lock(self, **options):
        return LockToken.objects.acquire(self.article, **options).token_str

    def send(self, url, body=None, **headers):
        return send(self.client, self.method.upper(), url, body, **headers)

    def send_raw(self, url, body, content_type):
        return self.client.generic(
            self.method.upper(), url, body, content_type=content_type
        )

    def at_lock(self, obj=None, **options):
        return self.send(address(obj or self.article), **options)

    def at_token(self, token="0" * 32, obj=None, do="renew", **options):
        url = address(obj or self.article, token) + self.query_of(TOKEN, do)
        return self.send(url, **options)

    def query_of(self, path, do="renew"):
        return f"?do={do}" if (path, self.method) == (TOKEN, "post") else ""

    def at_states(self, *keys, **options):
        return self.send(states_of(Article, *keys), **options)

    def anywhere(self, path):
        """Send a request that would be good, but for what the site says."""
        if path == STATES:
            return self.at_states(self.article.pk)
        if path == LOCK:
            return self.at_lock()
        return self.at_token(self.lock())


#: (path, method, status, code) and a function that brings such an answer about.
CASES = []


def case(path, methods, status, code=None):
    """Add a function to the cases, for each of the methods."""

    def add(function):
        for method in methods.split():
            CASES.append((path, method, status, code, function))
            if method == "get":
                CASES.append((path, "head", status, None, function))
        return function

    return add


WITH_TOKEN = "get patch delete post"


def unmigrated(request, model, obj):
    raise ProgrammingError("The table does not exist.")


def failing(request, model, obj):
    raise OperationalError("The database went away.")


for path, methods in ((STATES, "get"), (LOCK, "get post"), (TOKEN, WITH_TOKEN)):

    @case(path, methods, 403, "not_authenticated")
    def nobody_is_signed_in(api, path=path):
        api.permit("lock_tokens.permissions.is_authenticated")
        return api.anywhere(path)

    @case(path, methods, 403, "permission_denied")
    def not_for_everybody(api, path=path):
        api.sign_in()
        api.permit("lock_tokens.permissions.is_staff")
        return api.anywhere(path)

    @case(path, methods, 404, "not_found")
    def skipped(api, path=path):
        api.settings.LOCK_TOKENS = {"API_MODELS": ["tests.Page"]}
        return api.anywhere(path)

    @case(path, methods, 500, "server_error")
    def nobody_has_migrated(api, path=path):
        api.permit(unmigrated)
        return api.anywhere(path)

    @case(path, methods, 503, "unavailable")
    def database_fails(api, path=path):
        api.permit(failing)
        return api.anywhere(path)

    @case(path, "options", 200)
    def methods_that_there_are(api, path=path):
        return api.anywhere(path)


for path, methods in ((LOCK, "post"), (TOKEN, "patch delete post")):

    @case(path, methods, 403, "csrf_failed")
    def forged(api, path=path):
        api.client = Client(enforce_csrf_checks=True)
        return api.anywhere(path)

    @case(path, methods, 403, "csrf_failed")
    def outdated(api, path=path):
        api.client = Client(enforce_csrf_checks=True)
        api.client.cookies["csrftoken"] = "a" * 32
        answer = api.anywhere(path)
        assert len(answer.json()["csrf_token"]) == 64
        return answer


#: Bodies that are refused.
BAD_BODIES = [
    (400, "invalid_json", ['{"timeout": ']),
    (400, "invalid_body", ["[5]"]),
    (400, "invalid_body", ['{"timeout": 5, "user": 1}']),
    (400, "invalid_timeout", ['{"timeout": 0}']),
    (415, "unsupported_media_type", ["timeout=5", "application/x-www-form-urlencoded"]),
    (415, "unsupported_media_type", ['{"timeout": 5}', "text/plain"]),
]


def send_body(api, path, body, content_type="application/json"):
    url = address(api.article, api.lock() if path == TOKEN else None)
    url += api.query_of(path)
    return api.send_raw(url, body, content_type)


for path, methods in ((LOCK, "post"), (TOKEN, "patch post")):
    for status, code, sent in BAD_BODIES:

        @case(path, methods, status, code)
        def bad_body(api, path=path, sent=sent):
            return send_body(api, path, *sent)

    @case(path, methods, 400, "bad_request")
    def too_large(api, path=path):
        api.settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        return send_body(api, path, json.dumps({"timeout": 1234567}))


@case(STATES, "get", 200)
def states(api):
    api.lock(user=api.user())
    other = Article.objects.create()
    return api.at_states(api.article.pk, other.pk, "0", "nonsense", "a\0")


@case(STATES, "get", 304)
def known_states(api):
    api.lock()
    known = api.client.get(states_of(Article, api.article.pk))["ETag"]
    return api.at_states(api.article.pk, If_None_Match=known)


@case(STATES, "get", 400, "bad_request")
def more_than_django_reads(api):
    api.settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    return api.at_states(1, 2)


@case(LOCK, "get", 200)
def free_again(api):
    api.lock()
    expire(api.article)
    return api.at_lock()


@case(LOCK, "get", 200)
def is_locked(api):
    api.lock()
    return api.at_lock()


@case(LOCK, "get", 200)
def locked_by_somebody(api):
    api.lock(user=api.user(first_name="Alice", last_name="Moreau"))
    return api.at_lock()


@case(LOCK, "post", 201)
def acquire_again(api):
    token = api.at_lock(**api.key).json()["token"]
    answer = api.at_lock(**api.key)
    assert answer["Idempotent-Replayed"] == "true"
    assert answer.json()["token"] == token
    return answer


@case(LOCK, "post", 403, "locked")
def locked(api):
    api.lock(user=api.user())
    return api.at_lock()


@case(LOCK, "post", 403, "locked")
def locked_by_who_knows(api):
    def refuse(*args, **options):
        raise AlreadyLockedError("Somebody else is locking it.")

    api.monkeypatch.setattr(LockToken.objects, "get_or_acquire", refuse)
    return api.at_lock()


@case(TOKEN, "get patch post", 200)
def expired(api):
    token = api.lock()
    expire(api.article)
    return api.at_token(token)


@case(TOKEN, WITH_TOKEN, 403, "wrong_token")
def wrong(api):
    api.lock(user=api.user())
    return api.at_token()


@case(TOKEN, WITH_TOKEN, 403, "wrong_token")
def wrong_and_the_other_has_expired(api):
    api.lock()
    expire(api.article)
    return api.at_token("nonsense")


@case(TOKEN, "patch post", 200)
def cut_short(api):
    token = api.lock()
    tag = api.client.get(address(api.article, token))["ETag"]
    return api.at_token(token, body={"timeout": 10}, If_Match=tag)


@case(TOKEN, "patch post", 412, "renewed_since")
def renewed_since(api):
    token = api.lock()
    tag = api.client.get(address(api.article, token))["ETag"]
    LockToken.objects.renew(api.article, token, timeout=7)
    return api.at_token(token, body={"timeout": 10}, If_Match=tag)


@case(TOKEN, "patch post", 200)
def cut_short_by_a_date(api):
    latest = http_date(time.time() + 3)
    return api.at_token(api.lock(), body={"timeout": 10}, If_Unmodified_Since=latest)


@case(TOKEN, "patch post", 412, "renewed_since")
def renewed_since_a_date(api):
    long_ago = http_date(0)
    return api.at_token(api.lock(), body={"timeout": 10}, If_Unmodified_Since=long_ago)


# Those that one call brings about.
case(STATES, "get", 400, "invalid_object_id")(lambda api: api.at_states())
case(STATES, "get", 400, "invalid_object_id")(
    lambda api: api.at_states(*range(views.MAX_STATES + 1))
)
case(LOCK, "get", 200)(lambda api: api.at_lock())
case(LOCK, "get", 304)(
    lambda api: api.at_lock(If_None_Match=api.client.get(address(api.article))["ETag"])
)
case(LOCK, "get post", 404, "not_found")(lambda api: api.at_lock(api.nobody))
case(LOCK, "post", 201)(lambda api: api.at_lock())
case(LOCK, "post", 201)(lambda api: api.at_lock(body={"timeout": 0.5}, **api.key))
case(LOCK, "post", 201)(
    lambda api: api.client.post(address(api.article), {"csrfmiddlewaretoken": "x"})
)
case(LOCK, "post", 400, "invalid_idempotency_key")(
    lambda api: api.at_lock(Idempotency_Key="5")
)
case(TOKEN, "get patch post", 200)(lambda api: api.at_token(api.lock()))
case(TOKEN, WITH_TOKEN, 404, "not_locked")(lambda api: api.at_token())
case(TOKEN, WITH_TOKEN, 404, "not_found")(lambda api: api.at_token(obj=api.nobody))
case(TOKEN, "delete post", 204)(lambda api: api.at_token(api.lock(), do="release"))
case(TOKEN, "post", 400, "invalid_do")(
    lambda api: api.at_token(api.lock(), do="DELETE")
)


@pytest.fixture
def api(db, settings, monkeypatch):
    return Api(settings, monkeypatch)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("path", "method", "status", "code", "function"),
    [
        pytest.param(*found, id="-".join(map(str, [*found[1:4], number])))
        for number, found in enumerate(CASES)
    ],
)
def test_an_answer_is_as_described(api, path, method, status, code, function):
    api.method = method
    answer = function(api)
    assert answer.request["REQUEST_METHOD"] == method.upper()
    assert answer.status_code == status
    if code:
        assert answer.json()["error"] == code
    check(answer, DESCRIPTION["paths"][path][method]["responses"][str(status)])


def test_every_answer_that_is_described_can_be_had():
    assert documented() == {tuple(found[:4]) for found in CASES}


@pytest.mark.parametrize("path", [STATES, LOCK, TOKEN])
def test_other_methods_are_refused_as_described(api, path):
    item = DESCRIPTION["paths"][path]
    others = {*METHODS, "propfind"} - set(item)
    assert others
    for method in others:
        api.method = method
        LockToken.objects.all().delete()
        answer = api.anywhere(path)
        assert answer.status_code == 405
        check(answer, item["x-other-methods"])
        allowed = {name.lower() for name in answer["Allow"].split(", ")}
        assert allowed == set(item) & set(METHODS)


def test_an_answer_that_is_not_as_described_is_found_out(api):
    described = DESCRIPTION["paths"][LOCK]["get"]["responses"]["200"]
    answer = api.at_lock()
    check(answer, described)
    for wrong in (
        {**answer.json(), "token": "0" * 32},
        {**answer.json(), "locked": True},
        {**answer.json(), "expires_at": "2026-11-21T07:20:45.472000+00:00"},
    ):
        answer.json = lambda wrong=wrong: wrong
        with pytest.raises(ValidationError):
            check(answer, described)
