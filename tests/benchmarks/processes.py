"""The workers, from the outside."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import lock_tokens

PUBLISHED = "0.2.5"
ROOT = Path(__file__).parent.parent.parent
#: What the programs that measure pages and growth can measure on.
DATABASES = ("postgresql", "mariadb", "sqlite")


def install_published(folder):
    """Install the published package into ``folder``, beside everything else."""
    package = f"django-lock-tokens=={PUBLISHED}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), package], check=True)


class Worker:
    """A worker process; ``about`` is what it says of its database."""

    def __init__(self, process):
        self.process = process
        self.about = self.hear()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("A worker has ended; what it said is above.")
        return json.loads(line)

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.hear()


@contextmanager
def worker(setup, published=None):
    """A worker on a database of its own; ``published`` is the folder with 0.2.5."""
    command = [sys.executable, "-m", "tests.benchmarks.worker"]
    if published:
        command += [PUBLISHED, "--path", str(published)]
    else:
        command += [lock_tokens.__version__]
    suffix = f"{os.getpid()}_{'published' if published else 'this'}"
    environment = {**os.environ, **setup, "TEST_DATABASE_SUFFIX": suffix}
    # Python's development mode is for tests: it makes every allocation slower.
    environment.pop("PYTHONDEVMODE", None)
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.stdin.close()
            process.wait()


def measured(module, database, *arguments):
    """Run a worker that measures by itself; return what it says, line by line."""
    environment = {
        **os.environ,
        "DATABASE": database,
        "TEST_DATABASE_SUFFIX": str(os.getpid()),
    }
    environment.pop("PYTHONDEVMODE", None)
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    about, *rows = map(json.loads, done.stdout.splitlines())
    return about, rows
