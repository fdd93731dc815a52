"""Connections as projects have them: pooled, without autocommit, in other time zones."""

import contextlib
import os
import shutil
import socket
import subprocess
from datetime import datetime, timezone
from importlib.util import find_spec

import pytest
from django.db import connection, connections, transaction

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import fence
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import (
    InThread,
    expire,
    race,
    wait_until,
    wait_until_blocked_or_done,
)
from tests.support.objects import title_of

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql = pytest.mark.only_on("postgresql", reason="PostgreSQL's pools")
on_mysql = pytest.mark.only_on("mysql", reason="a command of MariaDB and MySQL")
on_sqlite = pytest.mark.only_on("sqlite", reason="other databases have no such mode")

SET_UPS = {
    "pool": {"OPTIONS": {"pool": {"max_size": 8}, "server_side_binding": True}},
    "pgbouncer": {},
    "no_autocommit": {"AUTOCOMMIT": False},
    "deferred": {"OPTIONS": {"timeout": 20, "transaction_mode": "DEFERRED"}},
    # The zone that a session has before Django says anything is that of the server.
    "zone_of_postgresql": {"OPTIONS": {"options": "-c timezone=America/New_York"}},
    "zone_of_mysql": {"OPTIONS": {"init_command": "SET time_zone = '-05:00'"}},
}


def go_without(name):
    """Skip, on a machine of somebody's own; a CI without it tests nothing."""
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


@pytest.fixture(
    params=[
        pytest.param("pool", marks=on_postgresql),
        pytest.param("pgbouncer", marks=on_postgresql),
        "no_autocommit",
        pytest.param("deferred", marks=on_sqlite),
        pytest.param("zone_of_postgresql", marks=on_postgresql),
        pytest.param("zone_of_mysql", marks=on_mysql),
    ]
)
def set_up(request, monkeypatch, settings):
    """Let the connections of all threads have other settings."""
    name, database = request.param, connections.settings["default"]
    changes = SET_UPS[name]
    if name == "pool" and find_spec("psycopg_pool") is None:
        go_without("psycopg-pool")
    if name == "pgbouncer":
        host, port = request.getfixturevalue("pgbouncer")
        changes = {"HOST": host, "PORT": port}
    if name.startswith("zone_of"):
        settings.USE_TZ = False
        settings.TIME_ZONE = "Europe/Berlin"
    for key, value in changes.items():
        monkeypatch.setitem(database, key, value)
    own = connections["default"]
    new = connections["default"] = connections.create_connection("default")
    yield name
    if not connection.get_autocommit():
        connection.rollback()
    new.close()
    if name == "pool":
        new.close_pool()
    connections["default"] = own


@pytest.fixture(scope="module")
def pgbouncer(tmp_path_factory):
    """The address of a pooler that gives a client another session for each transaction."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        go_without("pgbouncer")
    database = connections.settings["default"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    server = {
        "host": database["HOST"],
        "port": database["PORT"] or 5432,
        "user": database["USER"],
        "password": database["PASSWORD"],
    }
    pooler = {
        "listen_addr": address[0],
        "listen_port": address[1],
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": 3,  # fewer than clients
    }
    config = tmp_path_factory.mktemp("pgbouncer") / "pgbouncer.ini"
    config.write_text(
        "\n".join(
            [
                "[databases]",
                "* = " + " ".join(f"{key}={value}" for key, value in server.items()),
                "[pgbouncer]",
                *(f"{key} = {value}" for key, value in pooler.items()),
            ]
        )
    )
    command = [program, "-q", config]
    if os.geteuid() == 0:  # not its way
        command[1:1] = ["-u", "nobody"]
    process = subprocess.Popen(command)

    def answers():
        assert process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection(address):
            return True

    try:
        wait_until(answers)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def commit():
    if not connection.get_autocommit():
        connection.commit()


@pytest.fixture
def article(set_up):
    article = Article.objects.create(title="First")
    commit()
    return article


def acquire(article):
    """Acquire on the connection of this thread; return the token, or None."""
    try:
        return article.lock()["token"]
    except AlreadyLockedError:
        return None
    finally:
        commit()


@pytest.mark.race
def test_one_of_many_gets_the_lock(article):
    for _ in range(5):
        (token,) = filter(None, race(*[lambda: acquire(article)] * 4))
        assert acquire(article) is None
        article.unlock(token)
        commit()


def test_life_of_a_lock(article):
    locks = LockToken.objects
    lock = locks.acquire(article, timeout=600)
    assert locks.get().expires_at == lock.expires_at
    expiry = datetime.fromisoformat(locks.get().serialize()["expires_at"])
    left = (expiry - datetime.now(timezone.utc)).total_seconds()
    assert left == pytest.approx(600, abs=60)
    assert article.is_locked()
    renewed = locks.renew(article, lock.token_str, timeout=900)
    assert locks.get().expires_at == renewed > lock.expires_at
    commit()
    assert InThread(lambda: acquire(article))() is None
    expire(article)
    assert not article.is_locked()
    commit()
    assert InThread(lambda: acquire(article))() is not None
    with pytest.raises(InvalidToken):
        locks.renew(article, lock.token_str)


def test_a_refusal_leaves_the_transaction_usable(article):
    InThread(lambda: acquire(article))()
    with transaction.atomic():
        with pytest.raises(AlreadyLockedError):
            article.lock()
        Article.objects.update(title="Second")
    commit()
    assert InThread(lambda: title_of(article))() == "Second"


@pytest.mark.race
def test_who_takes_over_waits_for_a_fence_and_the_old_token_saves_nothing(article):
    def take_over():
        token = LockToken.objects.take_over(article).token_str
        commit()
        return token

    def save(token, title):
        with fence(article, token):
            Article.objects.update(title=title)
        commit()

    token = acquire(article)
    with fence(article, token):
        Article.objects.update(title="Second")
        taking = InThread(take_over)
        wait_until_blocked_or_done(taking)
        assert taking.is_running()
    commit()
    new = taking()
    with pytest.raises(InvalidToken):
        save(token, "Stale")
    assert title_of(article) == "Second"
    save(new, "Third")
    assert InThread(lambda: title_of(article))() == "Third"
