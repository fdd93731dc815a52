"""A process that measures how the cost grows, on one database: see ``growth``.

It prints a line of JSON for each thing that it has measured, and drops its database.
"""

import json
import os
import resource
import sys
from datetime import datetime, timedelta, timezone
from time import perf_counter

from .worker import new_database

OBJECTS = 1_000_000
EXPIRED = 900_000
BATCH = 500

#: The numbers from 0 to 999,999, in SQL that all the databases know.
NUMBERS = """
    WITH digit AS ({digits}), number AS (
        SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d AS n
        FROM digit a, digit b, digit c, digit e, digit f, digit g
    )
""".format(digits=" UNION ALL ".join(f"SELECT {d} AS d" for d in range(10)))


def main(objects=OBJECTS, path=""):
    """Measure on so many objects; ``path`` is a folder to import the package from."""
    objects = int(objects)
    if path:
        sys.path.insert(0, path)
        import lock_tokens

        sys.path.remove(path)  # the measured pages and models stay these
        assert lock_tokens.__file__.startswith(path)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.site_settings"
    with new_database() as about:
        say(**about)
        measure(objects)


def say(**values):
    print(json.dumps(values), flush=True)


def measure(objects):
    from django.contrib.auth.models import User
    from django.test import Client

    from lock_tokens.models import LockToken
    from tests.models import Article

    make_articles(objects)
    chief = User.objects.create_superuser("chief")
    client = Client()
    client.force_login(chief)

    def show(url):
        response = client.get(url)
        assert response.status_code == 200, url

    some = list(Article.objects.order_by("pk")[:BATCH])
    in_order = Article.objects.order_by("pk")
    operations = {
        "locked()[:100]": lambda: list(in_order.locked()[:100]),
        "locked().count()": lambda: Article.objects.locked().count(),
        "locked(by=user).count()": lambda: Article.objects.locked(by=chief).count(),
        "unlocked()[:100]": lambda: list(in_order.unlocked()[:100]),
        "unlocked().count()": lambda: Article.objects.unlocked().count(),
        "with_lock_state()[:100]": lambda: list(in_order.with_lock_state()[:100]),
        "infos() of 500": lambda: LockToken.objects.infos(some),
        "list, being edited": lambda: show("/admin/tests/article/?lock=locked"),
        "list, free": lambda: show("/admin/tests/article/?lock=free"),
        "list of the locks": lambda: show("/admin/lock_tokens/locktoken/"),
        "its search": lambda: show("/admin/lock_tokens/locktoken/?q=4242"),
    }
    for number in (20, objects // 10):
        LockToken.objects.all().delete()
        make_locks(number, objects // number, chief)
        for name, operation in operations.items():
            say(operation=name, locks=number, ms=milliseconds(operation))
    # Behind the live locks, which the clean-up has to pass.
    make_locks(EXPIRED * objects // OBJECTS, 1, chief, first=objects, live=False)
    before = memory()
    started = perf_counter()
    removed = LockToken.objects.remove_expired()
    say(
        operation=f"remove_expired() of {removed:,}",
        locks=number,
        ms=(perf_counter() - started) * 1000,
        grown_mb=memory() - before,
    )


def milliseconds(operation):
    """Return the shortest of five times; of what takes longer than a second, the first."""
    times = []
    while len(times) < 5 and (not times or times[0] < 1000):
        before = perf_counter()
        operation()
        times.append((perf_counter() - before) * 1000)
    return min(times)


def memory():
    """Return the largest size that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def text_of(number):
    from django.db import connection

    return f"CAST({number} AS {'char' if connection.vendor == 'mysql' else 'text'})"


def make_articles(number):
    execute(
        f"INSERT INTO tests_article (id, title) {NUMBERS}"
        " SELECT n + 1, %s FROM number WHERE n < %s",
        ["One of many", number],
    )
    analyze("tests_article")


def make_locks(number, step, user, first=0, live=True):
    """Lock as many objects, from the one after ``first`` on, each by ``step``."""
    from django.contrib.contenttypes.models import ContentType

    from lock_tokens.models import LockToken
    from tests.models import Article

    content_type = ContentType.objects.get_for_model(Article)
    now = datetime.now(timezone.utc)
    expiry = now + timedelta(days=1 if live else -1)
    as_stored = LockToken._meta.get_field("expires_at").get_db_prep_value
    from django.db import connection

    now, expiry = (as_stored(value, connection) for value in (now, expiry))
    execute(
        "INSERT INTO lock_tokens_locktoken (created, token_str, locked_at, expires_at,"
        " locked_by_id, locked_object_content_type_id, locked_object_id)"
        f" {NUMBERS} SELECT %s, %s, %s, %s, %s, %s, {text_of('n * %s + %s')}"
        " FROM number WHERE n < %s",
        [now, "0" * 32, now, expiry, user.pk, content_type.pk, step, first + 1, number],
    )
    analyze("lock_tokens_locktoken")


def execute(sql, parameters=()):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def analyze(table):
    """Have the database look at a table that was filled at once, as it does in time.

    SQLite never does by itself.
    """
    from django.db import connection

    if connection.vendor == "postgresql":
        execute(f"VACUUM ANALYZE {table}")
    elif connection.vendor == "mysql":
        execute(f"ANALYZE TABLE {table}")


if __name__ == "__main__":
    main(*sys.argv[1:])
