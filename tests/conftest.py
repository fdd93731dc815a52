import gc
from contextvars import copy_context
from functools import wraps

import pytest
from django.db import connection, connections

from lock_tokens.locking.sql.portable import PortableStatements
from tests.models import Article
from tests.settings import DATABASE
from tests.support.demo import Demo
from tests.support.helpers import use_statements
from tests.support.replica import LaggingReplica


def pytest_collection_modifyitems(config, items):
    """Leave out what this database cannot show."""
    names = {DATABASE, connection.vendor}
    out = {
        item
        for item in items
        if any(names.isdisjoint(mark.args) for mark in item.iter_markers("only_on"))
    }
    gc.freeze()  # what is there now stays: no collection needs to look at it
    if out:
        config.hook.pytest_deselected(items=[*out])
        items[:] = [item for item in items if item not in out]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Give each test a context of its own.

    Django leaves a variable there for each URLconf that it resolves, and asgiref copies
    all of them at every step into async code and back: after some thousand tests, that
    would take most of the time.
    """
    test = pyfuncitem.obj

    @wraps(test)
    def in_context(*args, **kwargs):
        return copy_context().run(test, *args, **kwargs)

    pyfuncitem.obj = in_context


@pytest.fixture(scope="session", autouse=True)
def quickly_emptied_tables():
    """Empty PostgreSQL's tables after a test by DELETE.

    A TRUNCATE of all of them, as Django's, takes a tenth of a second.
    """

    def sql_flush(self, style, tables, **options):
        return [f"DELETE FROM {self.quote_name(table)}" for table in tables]

    with pytest.MonkeyPatch.context() as patch:
        for each in connections.all():
            if each.vendor == "postgresql":
                patch.setattr(type(each.ops), "sql_flush", sql_flush)
        yield


@pytest.fixture(params=["own", "portable"])
def dialect(request, monkeypatch):
    """Let a test run on the database's own statements, and on those of the ORM's way."""
    if request.param == "portable":
        use_statements(monkeypatch, PortableStatements)
    return request.param


LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


@pytest.fixture(params=LEVELS[-1:] if DATABASE == "sqlite" else LEVELS)
def level(request):
    """Each isolation level; SQLite has one, which is serializable."""
    return request.param


@pytest.fixture
def article():
    article = Article.objects.create(title="First")
    article.is_locked()  # warms the cache of content types
    return article


@pytest.fixture
def replica(settings):
    """Read the tests' models from a replica. It has what ``catch_up()`` copies."""
    settings.DATABASE_ROUTERS = [LaggingReplica()]


@pytest.fixture
def alice(django_user_model):
    return django_user_model.objects.create(
        username="alice", first_name="Alice", last_name="Liddell"
    )


@pytest.fixture
def bob(django_user_model):
    return django_user_model.objects.create(username="bob")


@pytest.fixture
def held(article, alice):
    """The token dict of a lock that Alice has."""
    return article.lock(user=alice)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("newsroom"))
    demo.start()
    yield demo
    demo.stop()


@pytest.fixture
def demo(running):
    """The newsroom, with nothing locked."""
    running.sql("DELETE FROM lock_tokens_locktoken")
    before = len(running.output())
    yield running
    assert "Traceback" not in running.output()[before:]
