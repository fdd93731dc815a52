"""What a page costs under a lock: ``python -m tests.benchmarks.pages``.

A change form, a save and a list, of Django's ModelAdmin and of LockableModelAdmin.
"""

# ruff: noqa: RUF001 (the multiplication sign)

import argparse

from . import tables
from .made import made_with
from .processes import DATABASES, measured

HEADER = ("Page", "Queries", "With locks", "ms", "With locks", "× the time")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pages")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--rounds", type=int, default=100, help="how often each page")
    parser.add_argument("--rst", metavar="FILE", help="page to put the tables into")
    options = parser.parse_args()
    drivers, text = [], ""
    for database in options.database:
        about, rows = measured("pages_worker", database, str(options.rounds))
        drivers.append(about["driver"])
        title = about["database"]
        cells = [
            (
                row["page"],
                *row["queries"],
                *(f"{ms:.1f}" for ms in row["ms"]),
                times(row),
            )
            for row in rows
        ]
        text += f"{title}\n{'~' * len(title)}\n\n{tables.csv_table(HEADER, cells)}"
    text = made_with("tests.benchmarks.pages", drivers) + text
    print(text)
    if options.rst:
        tables.write_into(options.rst, text, "pages")


def times(row):
    plain, with_locks = row["ms"]
    return f"{with_locks / plain:.2f}"


if __name__ == "__main__":
    main()
