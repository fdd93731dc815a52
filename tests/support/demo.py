"""The example project, run as a person would run it, with a database of its own."""

import contextlib
import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import lock_tokens

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
SETTINGS = Path(__file__).resolve().parent / "demo_settings"
# Deprecations are errors there too, as in the tests' own process.
STRICT = ["-W", "error::DeprecationWarning", "-W", "error::PendingDeprecationWarning"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Demo:
    """One newsroom: its database file, and its server while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "newsroom.sqlite3"
        self.log = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server: subprocess.Popen[bytes] | None = None

    def _python(self, *arguments: str) -> dict:
        environment = {
            **os.environ,
            "NEWSROOM_DATABASE": str(self.database),
            # The package under test, which may be an installed one.
            "PYTHONPATH": os.pathsep.join(
                [str(Path(lock_tokens.__file__).parents[1]), str(SETTINGS)]
            ),
            "PYTHONIOENCODING": "utf-8",
            "DJANGO_SETTINGS_MODULE": "quick_newsroom",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {
            "args": [sys.executable, *STRICT, *arguments],
            "env": environment,
            "cwd": self.folder,  # any folder will do
        }

    def manage(
        self, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess:
        """Run a command of manage.py to its end."""
        run = subprocess.run(
            **self._python(str(EXAMPLE / "manage.py"), *arguments),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert run.returncode == 0 or not check, run.stdout + run.stderr
        return run

    def script(self, source: str) -> str:
        """Run Python in the newsroom's project and return what it prints."""
        return self.manage("shell", "--no-imports", "-c", source).stdout.strip()

    def start(self) -> None:
        """Serve, as ``manage.py demo`` does, and wait until somebody answers."""
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                **self._python(str(EXAMPLE / "manage.py"), "demo", str(self.port)),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self.server.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError("No server:\n" + self.output())
            time.sleep(0.05)

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            try:
                self.server.wait(10)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
            self.server = None

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Ask the server without any browser; follow nothing."""
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        ) as connection:
            connection.request(method, path, headers=headers or {})
            return connection.getresponse()

    def sql(self, statement: str, *values: object) -> list[tuple]:
        """Ask the database file itself, past all of Django."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=20)) as file:
            with file:
                return file.execute(statement, values).fetchall()

    def body(self, article: int) -> str:
        ((body,),) = self.sql("SELECT body FROM newsroom_article WHERE id = ?", article)
        return body.replace("\r\n", "\n")

    def holders(self, where: str = "") -> dict[int, str]:
        """Say who has which article: of every lock that stands, expired or not."""
        return {
            int(article): name
            for article, name in self.sql(
                "SELECT locked_object_id, username FROM lock_tokens_locktoken"
                f" LEFT JOIN auth_user ON auth_user.id = locked_by_id {where}"
            )
        }

    def live(self) -> dict[int, str]:
        """Say who has which article, by locks that have not expired."""
        return self.holders("WHERE expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')")

    def token(self, article: int) -> str:
        ((token,),) = self.sql(
            "SELECT token_str FROM lock_tokens_locktoken WHERE locked_object_id = ?",
            str(article),
        )
        return token

    def let_expire(self, article: int) -> None:
        """Move the clock of a lock: its time ended long ago."""
        self.sql(
            "UPDATE lock_tokens_locktoken"
            " SET expires_at = '2020-01-01 00:00:00.000000'"
            " WHERE locked_object_id = ?",
            str(article),
        )
