"""The program: measure on each database, print, and write into the docs if asked."""

import argparse
import tempfile
from typing import NamedTuple

from . import tables
from .cells import MAIN, OPERATIONS, measure_rows
from .made import made_with
from .processes import install_published, worker

READING = {"check", "is_locked"}


class Choice(NamedTuple):
    """A choice of --database."""

    environment: dict
    remark: str = ""
    #: What is not measured on it.
    skipped: set = set()
    #: How many times 0.2.5's throughput is wanted.
    goal: int = 5


DATABASES = {
    "sqlite": Choice({"DATABASE": "sqlite"}, "as the docs recommend", goal=2),
    # The settings are about writing.
    "sqlite-defaults": Choice(
        {"DATABASE": "sqlite", "SQLITE_DEFAULTS": "1"},
        "with Django's default settings",
        READING,
        goal=2,
    ),
    "postgresql": Choice({"DATABASE": "postgresql"}),
    "mariadb": Choice({"DATABASE": "mariadb"}),
}
THOROUGH = {"clients": [1, 8, 32], "seconds": 0.6, "rounds": 4}
QUICK = {"clients": [1, 8], "seconds": 0.05, "rounds": 1}


def arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument(
        "--operation", nargs="+", choices=OPERATIONS, default=OPERATIONS
    )
    parser.add_argument("--clients", nargs="+", type=int)
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"a contender's time for a row, in all its rounds; double for {MAIN}",
    )
    parser.add_argument("--rounds", type=int, help="how often they take turns")
    parser.add_argument(
        "--quick", action="store_true", help="only to see that everything works"
    )
    parser.add_argument("--rst", metavar="FILE", help="page to put the tables into")
    options = parser.parse_args()
    defaults = QUICK if options.quick else THOROUGH
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def measure(name, options, published):
    """Measure on one database and print; return its result and its driver."""
    choice = DATABASES[name]
    setup = choice.environment
    with worker(setup) as this, worker(setup, published) as old:
        title = f"{this.about['database']} {choice.remark}".strip()
        driver = this.about["driver"]
        print(f"\n{title} ({driver})\n{tables.line(tables.HEADER)}")
        rows = measure_rows(
            {"lock_tokens": this, "driver": this, "0.2.5": old},
            options.clients,
            [one for one in options.operation if one not in choice.skipped],
            options.seconds,
            options.rounds,
            report=lambda row: print(tables.line(tables.values(row)), flush=True),
        )
    print(*tables.errors(rows), sep="\n")
    return tables.Result(title, choice.goal, rows), driver


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as published:
        install_published(published)
        results, drivers = zip(
            *(measure(name, options, published) for name in options.database),
            strict=True,
        )
    made = made_with("tests.benchmarks", drivers)
    goals = tables.goals(results)
    print(f"\n{goals}\n{made}")
    if options.rst:
        sections = "".join(map(tables.section, results))
        tables.write_into(options.rst, made + goals + sections)


if __name__ == "__main__":
    main()
