"""Views of REST framework with locks, over HTTP."""

import json
import urllib.error
import urllib.request

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from lock_tokens.models import LockToken
from tests.models import Article

pytestmark = [
    pytest.mark.urls("tests.support.drf_site"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def call(live_server):
    def call(method, path, body=None, **headers):
        request = urllib.request.Request(
            f"{live_server.url}/api/{path}",
            None if body is None else json.dumps(body).encode(),
            {name.replace("_", "-"): value for name, value in headers.items()},
            method=method,
        )
        request.add_header("Content-Type", "application/json")
        try:
            answer = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode()
        return answer.status, answer.headers, json.loads(text) if text else None

    return call


def test_a_client_edits_with_its_token(call, article, alice):
    path = f"articles/{article.pk}/"
    status, _, lock = call("POST", f"{path}lock/", {"timeout": 60})
    assert status == 201
    status, _, body = call("PATCH", path, {"title": "Lost"})
    assert (status, body["error"]) == (423, "locked")
    assert body["expires_at"] == lock["expires_at"]
    status, _, body = call("PATCH", path, {"title": "Lost"}, Lock_Token="0" * 32)
    assert (status, body["error"]) == (412, "wrong_token")
    own = {"Lock_Token": lock["token"]}
    status, headers, _ = call("PATCH", path, {"title": "Second"}, **own)
    assert status == 200
    assert headers["Lock-Expires-At"] > lock["expires_at"]
    status, _, _ = call("PUT", path, {"title": "Third"}, If=f"(<{lock['token']}>)")
    assert (status, Article.objects.get().title) == (200, "Third")
    assert call("PATCH", path, {}, If="nonsense")[0] == 400
    assert call("DELETE", path)[0] == 423
    assert call("DELETE", path, **own)[0] == 204
    assert not LockToken.objects.exists()
