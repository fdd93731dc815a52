"""Schemathesis sends what the API's description allows, and what it does not.

It runs in a process of its own, against the application behind a real server. Whatever
it sends: no answer may be a 5xx, undocumented, or other than its description.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import WSGIRequestHandler, WSGIServer
from django.db import connections
from django.utils.http import http_date

from lock_tokens.api.converters import ObjectKeyConverter
from lock_tokens.models import LockToken
from tests.models import Article, Feature, Label, Page, Plain
from tests.support.helpers import expire, lock_row

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.support.api"),
]

ROOT = Path(__file__).parent.parent.parent
DESCRIPTION = json.loads((ROOT / "docs" / "openapi.json").read_text())
CONFIG = Path(__file__).parent / "schemathesis.toml"
STATES, LOCK, TOKEN = sorted(DESCRIPTION["paths"], key=len)
BASE = "/locks"
HOUR = 3600
#: The life of the locks that Schemathesis acquires: short, for it acquires many.
TIMEOUT = 1
#: Keys that no object has, or could have.
ODD = ("0", "9" * 30, "-1", "1.0", "²", "k" * 300, "a\0b", "..", "%", "")
#: What it must have come upon, to have tried anything.
REACHED = {
    ("get", STATES): {200, 304, 400, 404},
    ("get", LOCK): {200, 304, 404},
    ("head", LOCK): {200, 404},
    ("options", LOCK): {200},
    ("post", LOCK): {201, 400, 403, 404, 415},
    ("put", LOCK): {405},
    ("get", TOKEN): {200, 403, 404},
    ("patch", TOKEN): {200, 400, 403, 404, 412, 415},
    ("delete", TOKEN): {204, 403, 404},
}


@pytest.fixture(autouse=True)
def schemathesis():
    """Skip, on a machine of somebody's own; a CI without it tests nothing."""
    if find_spec("schemathesis") is None:
        reason = "Schemathesis is not installed: pip install schemathesis"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def serve():
    """Serve an application from a thread with database connections of its own."""
    served = []

    def start(application):
        server = WSGIServer(("127.0.0.1", 0), QuietHandler)
        server.set_app(application)

        def run():
            try:
                server.serve_forever(0.05)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        served.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in served:
        server.shutdown()
        thread.join(30)
        server.server_close()


def objects():
    """Make objects with keys of every kind, three of each: free, locked, expired."""
    made = [
        [model.objects.create() for _number in range(3)]
        for model in (Article, Feature, Page, Plain)
    ]
    made.append(
        [Label.objects.create(name=name) for name in ("a b", "../a/~2F%", "\\é\n?#")]
    )
    for _free, locked, expired in made:
        LockToken.objects.acquire(locked, timeout=HOUR)
        LockToken.objects.acquire(expired, timeout=HOUR)
        expire(expired)
    return [obj for three in made for obj in three]


def address(obj):
    """Return the parts of the address of an object's lock, with a token."""
    lock = lock_row(obj).first()
    return {
        "app_label": obj._meta.app_label,
        "model": obj._meta.model_name,
        "object_id": ObjectKeyConverter().to_url(obj.pk),
        "token": lock.token_str if lock else "0" * 32,
    }


def described_with(address, keys):
    """Return the description, with what is real here for its examples."""
    description = json.loads(json.dumps(DESCRIPTION))
    for parameter in description["components"]["parameters"].values():
        if parameter["in"] == "path":
            parameter["example"] = address[parameter["name"]]
        elif parameter["in"] == "query":
            parameter["example"] = keys[:3]
        elif parameter["name"] == "If-None-Match":
            parameter["example"] = "*"
    return description


def putting_back(application, locks):
    """Return the application, with those locks as they were before each request.

    So a release of one of them is not the last that can be tried.
    """

    def call(environ, start_response):
        for lock in locks:
            row = LockToken.objects.filter(
                locked_object_content_type=lock.locked_object_content_type,
                locked_object_id=lock.locked_object_id,
            )
            if not row.update(token_str=lock.token_str, expires_at=lock.expires_at):
                LockToken.objects.bulk_create([lock])
        return application(environ, start_response)

    return call


def run_schemathesis(folder, url, description, real):
    (folder / "openapi.json").write_text(json.dumps(description))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", "openapi.json", "--url", url, "--workers", "1"),
        *("--report", "har", "--report-har-path", "run.har"),
    ]
    environment = {
        **os.environ,
        "LOCK_TOKENS_FUZZ": json.dumps(real),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def answers(folder):
    """Return the statuses that Schemathesis saw, by method and path."""
    found = defaultdict(set)
    har = json.loads((folder / "run.har").read_text())
    for entry in har["log"]["entries"]:
        method = entry["request"]["method"].lower()
        path = urlsplit(entry["request"]["url"]).path
        for template in DESCRIPTION["paths"]:
            if path.count("/") == f"{BASE}{template}".count("/"):
                found[method, template].add(entry["response"]["status"])
    return found


def test_no_request_gets_an_answer_that_is_not_described(
    settings, serve, tmp_path, caplog
):
    caplog.set_level(logging.ERROR, "django.request")  # addresses that are none
    settings.LOCK_TOKENS = {"TIMEOUT": TIMEOUT, "API_CSRF_EXEMPT": True}
    there = objects()
    locks = list(LockToken.objects.all())
    addresses = [address(obj) for obj in there]
    keys = [str(obj.pk) for obj in there]
    tags = [f'"{lock.serialize()["expires_at"]}"' for lock in locks]
    odd = [
        {**of_kind, "object_id": ObjectKeyConverter().to_url(key)}
        for of_kind in addresses[::3]
        for key in ODD
    ]
    real = {
        "addresses": addresses * 3 + odd,
        "keys": [*keys, *ODD],
        "tags": tags,
        # Before all of these locks, after them, and beyond what a time can be.
        "dates": [
            http_date(0),
            http_date(time.time() + 2 * HOUR),
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ],
    }
    url = serve(putting_back(WSGIHandler(), locks)) + BASE

    done = run_schemathesis(tmp_path, url, described_with(addresses[1], keys), real)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    # It has not just been told that there is nothing there.
    seen = answers(tmp_path)
    for operation, statuses in REACHED.items():
        assert statuses <= seen[operation], (operation, seen[operation])
