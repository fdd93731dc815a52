"""The site in ``served/``, running, and others who want what its visitors have locked."""

import contextlib
import http.client
import itertools
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import lock_tokens
from tests.support.demo import STRICT, Demo

Row = namedtuple("Row", "token left locked_by")
#: Django's ways to keep and to send its secret, as a site's settings.
CSRF_SETUPS = {
    "default": {},
    "sessions": {"CSRF_USE_SESSIONS": True},
    "httponly": {"CSRF_COOKIE_HTTPONLY": True},
    "renamed": {
        "CSRF_COOKIE_NAME": "not.forged",
        "CSRF_HEADER_NAME": "HTTP_X_NOT_FORGED",
    },
}
GRACE = 5  # seconds that a lock lives on when its page is left
ROOT = Path(__file__).absolute().parents[2]


def until(check, seconds=15, page=None):
    """Wait for something to be true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds} s: {found!r}")
        if page is None:
            time.sleep(0.05)
        else:
            page.wait_for_timeout(50)  # lets its routes go on


def hide(page, hidden):
    """Let the page think that it became hidden, or visible."""
    page.evaluate(
        """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""",
        hidden,
    )


class Site(Demo):
    """One server, with a database file of its own. ``otherwise``: its settings."""

    def __init__(self, folder, **otherwise):
        super().__init__(folder)
        self.database = folder / "site.sqlite3"
        self.otherwise = otherwise
        self.rules = []

    def launch(self):
        """Begin to serve; :meth:`wait` waits for it."""
        environment = {
            **os.environ,
            "SERVED_DATABASE": str(self.database),
            "SERVED_SETTINGS": json.dumps(self.otherwise),
            # The package under test, which may be an installed one.
            "PYTHONPATH": str(Path(lock_tokens.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        module = ["-m", "tests.browser.served", str(self.port)]
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, *STRICT, *module],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def wait(self):
        def answers():
            assert self.server.poll() is None, "No server:\n" + self.output()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True

        try:
            until(answers, 60)
        except AssertionError:
            self.stop()
            raise
        return self

    # Objects and their locks, in the database file

    def article(self):
        """Add an article and return its key."""
        with contextlib.closing(self.connect()) as file, file:
            added = file.execute("INSERT INTO tests_article (title) VALUES ('x')")
            return added.lastrowid

    def connect(self):
        return sqlite3.connect(self.database, timeout=20)

    def lock(self, key, model="article"):
        """Return the lock of an object, with how many seconds it has left."""
        rows = self.sql(
            "SELECT token_str, (julianday(expires_at) - julianday('now')) * 86400,"
            " username FROM lock_tokens_locktoken"
            " LEFT JOIN auth_user ON auth_user.id = locked_by_id"
            " JOIN django_content_type AS t ON t.id = locked_object_content_type_id"
            " WHERE app_label = 'tests' AND model = ? AND locked_object_id = ?",
            *(model, str(key)),
        )
        assert len(rows) < 2
        return Row(*rows[0]) if rows else None

    def change_lock(self, key, assignment, *values):
        self.sql(
            f"UPDATE lock_tokens_locktoken SET {assignment} WHERE locked_object_id = ?",
            *(*values, str(key)),
        )

    def let_expire(self, key):
        self.change_lock(key, "expires_at = '2020-01-01 00:00:00.000000'")

    def let_live(self, key, seconds):
        self.change_lock(
            key,
            "expires_at = strftime('%Y-%m-%d %H:%M:%f000', 'now', ?)",
            f"{seconds} seconds",
        )

    def give_to(self, key, username):
        """Let somebody else have the lock, for an hour."""
        self.change_lock(
            key,
            "token_str = ?, expires_at = strftime('%Y-%m-%d %H:%M:%f000', 'now',"
            " '+1 hour'), locked_by_id = (SELECT id FROM auth_user WHERE username = ?)",
            *("0" * 32, username),
        )

    def delete_lock(self, key):
        statement = "DELETE FROM lock_tokens_locktoken WHERE locked_object_id = ?"
        self.sql(statement, str(key))

    # What the server does, and did

    def _control(self, *arguments):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(*arguments)
            return json.load(connection.getresponse())

    @contextlib.contextmanager
    def rule(self, key=None, **rule):
        """Do otherwise with requests about an article, or a ``path``.

        How is said in ``served/switches.py``.
        """
        rule.setdefault("path", address(key))
        self.rules.append(rule)
        self._push()
        try:
            yield
        finally:
            self.rules.remove(rule)
            self._push()

    def _push(self):
        self._control("POST", "/switches/", json.dumps(self.rules))

    def requests(self, key=None, **wanted):
        """Return the requests about an article, or all, in the order of their coming."""
        path = "/" if key is None else address(key)
        return [
            SimpleNamespace(**entry)
            for entry in self._control("GET", "/switches/")["log"]
            if entry["path"].startswith(path)
            and all(entry[name] == value for name, value in wanted.items())
        ]

    def leaves(self, key):
        return self.requests(key, leave=True)

    def renewals(self, key):
        return self.requests(key, method="PATCH", leave=False)


def address(key, model="article"):
    return f"/locks/tests/{model}/{quote(str(key))}/"


class Other:
    """Somebody else, at the API."""

    SECRET = "abcdefghijklmnopqrstuvwxyz012345"
    HEADERS = {"Cookie": f"csrftoken={SECRET}", "X-CSRFToken": SECRET}

    def __init__(self, site, headers=HEADERS):
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        self.headers = {**headers, "Unlogged": "1"}

    def ask(self, method, path):
        response, body = self.answer(method, path)
        return response.status, json.loads(body) if body else None

    def answer(self, method, path):
        """Return the response and what it says."""
        self.connection.request(method, path, headers=self.headers)
        response = self.connection.getresponse()
        return response, response.read().decode()


class Poacher(threading.Thread):
    """Tries for an article's lock every 50 ms, until it has it or is told to stop.

    ``got``: when it had it; ``shortest``: the least seconds that the lock had left.
    """

    model = "article"

    def __init__(self, site, key):
        super().__init__(daemon=True)
        self.site, self.key = site, key
        self.attempts = 0
        self.got = self.token = self.error = None
        self.shortest = float("inf")
        self.over = threading.Event()
        self.other = Other(site)

    def run(self):
        try:
            with contextlib.closing(self.other.connection):
                self.begin()
                while not self.over.wait(0.05):
                    won = self.has_got_it()
                    self.attempts += 1
                    if won:
                        self.got = time.time()
                        return
                    if self.attempts % 4 == 0:
                        lock = self.site.lock(self.key, self.model)
                        self.shortest = min(self.shortest, lock.left if lock else 0)
        except BaseException as error:
            self.error = error

    def begin(self):
        """Do what is to be done once, before the attempts."""

    def has_got_it(self):
        """Try once."""
        status, body = self.other.ask("POST", address(self.key, self.model))
        if status == 201:
            self.token = body["token"]
            return True
        assert (status, body["error"]) == (403, "locked"), body
        return False


@contextlib.contextmanager
def trying(*poachers):
    """Let them try meanwhile."""
    for poacher in poachers:
        poacher.start()
    try:
        yield poachers
    finally:
        for poacher in poachers:
            poacher.over.set()
        for poacher in poachers:
            poacher.join(30)
    for poacher in poachers:
        if poacher.error:
            raise poacher.error


def poaching(site, *keys):
    """Let others try for these articles' locks meanwhile."""
    return trying(*[Poacher(site, key) for key in keys])


def most_at_once(requests):
    """Return how many requests were under way at the same time, at most."""
    ends = [(entry.at, 1) for entry in requests]
    ends += [(entry.done or time.time(), -1) for entry in requests]
    return max(itertools.accumulate(step for _, step in sorted(ends)))
