"""The two doors to a lock: the JSON API, and the route ``lock/`` of a viewset.

Both answer the same. A test asks a door, and the door checks what is true of every answer.
"""

import json

from tests.support.api import address, error_of
from tests.support.helpers import lock_row

HOLDER = {"locked_by", "locked_at", "expires_at"}
#: What a refusal tells beside its code and its sentence.
TOLD = {
    "locked": HOLDER,
    "wrong_token": HOLDER,
    "renewed_since": {"expires_at", "expires_in"},
}


class ApiDoor:
    """The JSON API: the token is in the address."""

    urls = "tests.support.api"
    is_api = True

    def __init__(self, client, obj):
        self.client = client
        self.obj = obj

    def by(self, client):
        """Return the same door, for another client."""
        return type(self)(client, self.obj)

    def of(self, obj):
        """Return the same door, to another object's lock."""
        return type(self)(self.client, obj)

    def address(self, token):
        return address(self.obj, token)

    def headers(self, token):
        return {}

    def send(self, method, token=None, body=b"", content_type=None, do=None, **headers):
        """Send bytes, or anything else as JSON; ``If_Match`` is ``If-Match``.

        ``do`` is what a POST with a token is to do.
        """
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.generic(
            method,
            self.address(token) + (f"?do={do}" if do else ""),
            body if isinstance(body, bytes) else json.dumps(body),
            content_type="application/json",
            headers={**headers, **self.headers(token)},
            # An empty body does not get the argument.
            **({} if content_type is None else {"CONTENT_TYPE": content_type}),
        )
        self.check(answer, tells=bool(token) or method == "POST")
        return answer

    def check(self, answer, *, tells):
        """Check what is true of every answer; only one that ``tells`` has a token."""
        assert answer["Cache-Control"] == "no-store"
        assert "Lock-Expires-At" not in answer
        lock = lock_row(self.obj).first()
        if answer.status_code >= 400 or not tells:
            assert lock is None or lock.token_str not in (
                f"{answer.content.decode()} {answer.headers}"
            )
        if answer.status_code >= 400 or not answer.content:
            return
        assert answer["Content-Type"] == "application/json"
        body = answer.json()
        if not tells:
            assert body.keys() == {"locked", *HOLDER}
        else:
            assert body.keys() == {"token", "expires", "expires_at", "expires_in"}
            assert token_dict(body) == lock.serialize()
            assert answer["ETag"] == f'"{body["expires_at"]}"'

    def state(self, **headers):
        return self.send("GET", **headers)

    def acquire(self, body=b"", **headers):
        return self.send("POST", None, body, **headers)

    def read(self, token, **headers):
        return self.send("GET", token, **headers)

    def renew(self, token, body=b"", **headers):
        return self.send("PATCH", token, body, **headers)

    def release(self, token, **headers):
        return self.send("DELETE", token, **headers)


class RouteDoor(ApiDoor):
    """A viewset's route: the token is in the header ``Lock-Token``."""

    urls = "tests.support.drf_site"
    is_api = False

    def address(self, token):
        return f"/api/articles/{self.obj.pk}/lock/"

    def headers(self, token):
        return {} if token is None else {"Lock-Token": token}


def token_dict(body):
    """Return an answer's body without the seconds, which each answer has anew."""
    return {name: body[name] for name in ("token", "expires", "expires_at")}


def assert_refused(answer, status, error):
    """Check that the answer is this refusal, with all that such a refusal tells."""
    assert (answer.status_code, error_of(answer)) == (status, error)
    assert answer.json().keys() == {"error", "detail", *TOLD.get(error, ())}
    assert ("Retry-After" in answer) == (status == 503)
