"""A process that does the work, told by lines of JSON: one package, one database.

It makes a database of its own, answers each line on its standard input by a line on its
standard output, and drops the database at the end of the input.
"""

import argparse
import json
import os
import sys
from contextlib import contextmanager
from importlib import metadata


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("version", help="of lock_tokens that must be found")
    parser.add_argument("--path", help="a folder to import from before all others")
    options = parser.parse_args()
    if options.path:
        sys.path.insert(0, options.path)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"

    import lock_tokens

    if options.version != lock_tokens.__version__:
        sys.exit(f"Found lock_tokens {lock_tokens.__version__} instead.")
    with new_database() as about:
        answer(about)
        serve()


@contextmanager
def new_database():
    """Set Django up with an empty database for the block, and say what it is."""
    import django

    django.setup()

    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield about_database(connection)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def answer(value):
    print(json.dumps(value), flush=True)


def about_database(connection):
    """Return what stands above the table."""
    version = ".".join(map(str, connection.get_database_version()))
    name = connection.display_name
    if connection.vendor == "mysql" and connection.mysql_is_mariadb:
        name = "MariaDB"
    driver = {"postgresql": "psycopg", "mysql": "mysqlclient"}.get(connection.vendor)
    return {
        "database": f"{name} {version}",
        "driver": f"{driver} {metadata.version(driver)}" if driver else "sqlite3",
    }


def serve():
    from .clients import Clients
    from .rounds import make_objects, run_round

    objects = clients = None
    try:
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "round":
                answer(run_round(clients, objects, order))
                continue
            # Other clients, after the connections of the former ones are closed.
            if clients:
                clients.close()
            objects = make_objects(order["clients"])
            clients = Clients(order["clients"])
            answer("ready")
    finally:
        if clients:
            clients.close()


if __name__ == "__main__":
    main()
