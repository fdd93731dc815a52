"""The JSON API in a URLconf, and how tests call it."""

import json
import time
from datetime import datetime, timezone

from django.urls import include, path, reverse
from django.utils.http import http_date

from tests.support.helpers import lock_row

urlpatterns = [path("locks/", include("lock_tokens.urls"))]


def address(obj, token=None):
    """Return the address of the object's lock, or of one token of it."""
    name = "list-view" if token is None else "detail-view"
    args = [obj._meta.app_label, obj._meta.model_name, obj.pk]
    return reverse(
        f"lock_tokens:{name}", args=args if token is None else [*args, token]
    )


def states_of(model, *keys):
    """Return the address of the state of several objects of a model."""
    args = [model._meta.app_label, model._meta.model_name]
    return reverse(
        "lock_tokens:states-view",
        args=args,
        query=[("object_id", str(key)) for key in keys],
    )


def send(client, method, url, body=None, **headers):
    """Send a request with a JSON body, or without any; ``If_Match`` is ``If-Match``."""
    return client.generic(
        method,
        url,
        b"" if body is None else json.dumps(body),
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def error_of(answer):
    """Return the code of a refusal, once it is what every refusal is."""
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["detail"]
    assert "token" not in body
    return body["error"]


def row_of(obj):
    return lock_row(obj).get()


def seconds_left(answer):
    """Return how long the lock in the answer lives, by this host's clock."""
    expires_at = datetime.fromisoformat(answer.json()["expires_at"])
    return (expires_at - datetime.now(timezone.utc)).total_seconds()


def since(seconds):
    """Return the date that long from now, as HTTP writes it."""
    return http_date(time.time() + seconds)
