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
    assert (status, body["error"], body["expires_at"]) == (
        423,
        "locked",
        lock["expires_at"],
    )
    status, _, body = call("PATCH", path, {"title": "Lost"}, Lock_Token="0" * 32)
    assert (status, body["error"]) == (412, "wrong_token")
    status, headers, _ = call(
        "PATCH", path, {"title": "Second"}, Lock_Token=lock["token"]
    )
    assert status == 200
    assert headers["Lock-Expires-At"] > lock["expires_at"]
    status, headers, _ = call(
        "PUT", path, {"title": "Third"}, If=f"(<{lock['token']}>)"
    )
    assert (status, Article.objects.get().title) == (200, "Third")
    assert call("PATCH", path, {}, If="nonsense")[0] == 400
    assert call("DELETE", path)[0] == 423
    assert call("DELETE", path, Lock_Token=lock["token"])[0] == 204
    assert not LockToken.objects.exists()


def test_a_write_that_needs_a_lock_and_one_that_gives_it_up(call, article):
    status, _, body = call("PATCH", f"strict/{article.pk}/", {"title": "Lost"})
    assert (status, body["error"]) == (428, "lock_required")
    _, _, lock = call("POST", f"releasing/{article.pk}/lock/")
    status, headers, _ = call(
        "PATCH",
        f"releasing/{article.pk}/",
        {"title": "Second"},
        Lock_Token=lock["token"],
    )
    assert status == 200
    assert "Lock-Expires-At" not in headers
    status, _, body = call(
        "DELETE", f"articles/{article.pk}/lock/", Lock_Token="0" * 32
    )
    assert (status, body["error"]) == (404, "not_locked")
    assert Article.objects.get().title == "Second"
