"""``manage.py remove_expired_locks``."""

import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lock_tokens.exceptions import InvalidToken
from lock_tokens.holding import fence
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import (
    InThread,
    age,
    expire,
    race,
    wait_until_blocked_or_done,
)
from tests.support.objects import rename, title_of

HOUR = 3600


def remove(*arguments, **options):
    """Call the command as a shell would; return what it says."""
    said = StringIO()
    call_command("remove_expired_locks", *arguments, stdout=said, **options)
    return said.getvalue().strip()


def locked_articles(count, seconds_ago=None):
    """Return locked articles; their locks expired ``seconds_ago``, or are live."""
    articles = [Article.objects.create() for _ in range(count)]
    for article in articles:
        article.lock()
        if seconds_ago is not None:
            age(article, HOUR + seconds_ago)
    return articles


def still_there(articles):
    return [
        LockToken.objects.current_token(article) is not None for article in articles
    ]


def statements(context, *verbs):
    return [q["sql"] for q in context if q["sql"].startswith(verbs)]


@pytest.mark.django_db
def test_expired_locks_go_and_live_ones_stay():
    expired = locked_articles(2, seconds_ago=1)
    live = locked_articles(1)
    assert remove() == "Removed 2 expired locks."
    assert still_there(expired) == [False, False]
    assert still_there(live) == [True]
    assert live[0].is_locked()


@pytest.mark.django_db
def test_it_says_how_many():
    locked_articles(1)
    assert remove() == "Removed 0 expired locks."
    assert LockToken.objects.count() == 1
    locked_articles(1, seconds_ago=1)
    assert remove("--dry-run") == "1 expired lock would be removed."
    assert remove("--time-limit", "600") == "Removed 1 expired lock."


@pytest.mark.django_db
def test_older_than_leaves_time_to_come_back_and_save():
    recent = locked_articles(1, seconds_ago=30)
    old = locked_articles(1, seconds_ago=90)
    assert remove("--older-than", "60") == "Removed 1 expired lock."
    assert still_there(recent + old) == [True, False]
    assert remove("--older-than=29.5") == "Removed 1 expired lock."
    assert still_there(recent) == [False]


@pytest.mark.django_db
def test_older_than_a_century_finds_none():
    locked_articles(1, seconds_ago=1)
    assert remove(older_than=100 * 365 * 86400) == "Removed 0 expired locks."


@pytest.mark.django_db
def test_dry_run_counts_and_removes_none():
    expired = locked_articles(3, seconds_ago=30)
    assert remove("--dry-run") == "3 expired locks would be removed."
    assert remove("--dry-run", "--older-than", "60") == (
        "0 expired locks would be removed."
    )
    assert still_there(expired) == [True, True, True]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("batch_size", "selects", "deletes"),
    [(1, 6, 5), (2, 3, 3), (4, 2, 2), (5, 2, 1), (6, 1, 1), (1000, 1, 1)],
)
def test_each_batch_is_a_transaction_of_two_statements_or_one_statement(
    batch_size, selects, deletes
):
    expired = locked_articles(5, seconds_ago=1)
    with CaptureQueriesContext(connection) as queries:
        assert remove("--batch-size", str(batch_size)) == "Removed 5 expired locks."
    assert still_there(expired) == [False] * 5
    if connection.vendor == "sqlite":
        # It writes first: a transaction that reads first may never get to write. After
        # each full batch it looks for the next row.
        verbs = [sql.split()[0] for sql in statements(queries, "DELETE", "SELECT")]
        assert verbs[0] == "DELETE"
        assert verbs.count("DELETE") == deletes
        assert verbs.count("SELECT") == 5 // batch_size
    else:
        assert len(statements(queries, "SELECT")) == selects
        assert len(statements(queries, "DELETE")) == deletes


@pytest.mark.django_db
def test_a_dry_run_is_one_select(django_assert_num_queries):
    locked_articles(5, seconds_ago=1)
    with django_assert_num_queries(1):
        remove("--dry-run", "--batch-size", "2")


@pytest.mark.django_db
def test_no_batch_begins_after_the_time_limit(monkeypatch):
    expired = locked_articles(5, seconds_ago=1)
    assert remove("--time-limit", "0") == "Removed 0 expired locks."
    assert still_there(expired) == [True] * 5
    # The clock strikes one second more each time somebody looks at it.
    clock = iter(range(100))
    monkeypatch.setattr("lock_tokens.locking.querysets.monotonic", lambda: next(clock))
    assert remove("--time-limit", "2.5", "--batch-size", "2") == (
        "Removed 4 expired locks."
    )
    assert sum(still_there(expired)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments",
    [
        ["--older-than", "-1"],
        ["--older-than", "soon"],
        ["--older-than", "nan"],
        ["--older-than", "inf"],
        ["--older-than", "1e11"],
        ["--batch-size", "0"],
        ["--batch-size", "-5"],
        ["--batch-size", "1.5"],
        ["--time-limit", "-1"],
        ["--time-limit", "nan"],
        ["--database", "nowhere"],
        ["everything"],
    ],
    ids=" ".join,
)
def test_bad_arguments_are_a_command_error_and_remove_nothing(arguments):
    expired = locked_articles(1, seconds_ago=1)
    with pytest.raises(CommandError):
        remove(*arguments)
    assert still_there(expired) == [True]


@pytest.mark.django_db(databases=["default", "other"])
def test_database_says_where():
    here = Article.objects.create()
    there = Article.objects.using("other").create()
    for article in (here, there):
        article.lock()
        expire(article)
    assert remove("--database", "other") == "Removed 1 expired lock."
    assert still_there([here, there]) == [True, False]
    assert remove("--database", "default") == "Removed 1 expired lock."
    assert still_there([here]) == [False]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "bad", [{"older_than": -1}, {"batch_size": 0}, {"time_limit": -0.5}]
)
def test_the_manager_s_method_refuses_the_same(bad):
    article = locked_articles(1, seconds_ago=1)
    with pytest.raises(ValueError, match=r"not negative|at least 1"):
        LockToken.objects.remove_expired(**bad)
    assert still_there(article) == [True]


@pytest.mark.django_db
def test_the_manager_s_method_returns_how_many():
    locked_articles(3, seconds_ago=100)
    assert LockToken.objects.remove_expired(older_than=50, dry_run=True) == 3
    assert (
        LockToken.objects.remove_expired(older_than=50, batch_size=2, time_limit=60)
        == 3
    )
    assert LockToken.objects.count() == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_just_being_saved_under_is_left_alone():
    article, other = locked_articles(2, seconds_ago=1)
    token = LockToken.objects.get_for_object(article).token_str
    with fence(article, token):
        # SQLite lets nobody else write meanwhile; the others skip the row.
        removing = InThread(remove)
        wait_until_blocked_or_done(removing)
        assert removing.is_running() is (connection.vendor == "sqlite")
        rename(article)
    assert removing() == "Removed 1 expired lock."
    assert still_there([article, other]) == [True, False]
    assert article.check_lock(token)
    assert title_of(article) == "Second"


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_it_never_removes_a_lock_that_somebody_has_just_renewed_or_acquired():
    article = Article.objects.create()
    done = threading.Event()

    def edit():
        removed = 0
        try:
            token = article.lock()["token"]
            for _ in range(60):
                expire(article) if LockToken.objects.current_token(article) else None
                try:
                    article.lock(token)
                except InvalidToken:
                    removed += 1
                    token = article.lock()["token"]
                assert article.is_locked()
                assert article.check_lock(token)
        finally:
            done.set()
        return removed

    def clean():
        removed = 0
        while not done.is_set():
            removed += LockToken.objects.remove_expired(batch_size=1)
        return removed

    seen, removed = race(edit, clean)
    assert seen == removed
