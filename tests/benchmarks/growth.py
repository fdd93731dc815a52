"""How the cost grows with the table: ``python -m tests.benchmarks.growth``.

A table of a million objects of which 20 and then 100,000 are locked, and 900,000 expired
locks to remove. ``--before`` names a folder with an earlier version of the package to
measure beside this one, for example a Git worktree.
"""

import argparse
import os

from . import tables
from .growth_worker import OBJECTS
from .made import made_with
from .processes import DATABASES, measured

HEADER = ("Operation", "Locks", "Before ms", "Now ms")


def arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--objects", type=int, default=OBJECTS, help="at most 1000000")
    parser.add_argument("--before", metavar="FOLDER", help="to measure it there too")
    parser.add_argument("--rst", metavar="FILE", help="page to put the tables into")
    return parser.parse_args()


def table_of(database, options):
    about, rows = measured("growth_worker", database, str(options.objects))
    before = {}
    if options.before:
        folder = os.path.abspath(options.before)
        _about, old = measured("growth_worker", database, str(options.objects), folder)
        before = {(row["operation"], row["locks"]): row for row in old}
    cells = [
        (
            row["operation"],
            f"{row['locks']:,}",
            rounded(before.get((row["operation"], row["locks"]))),
            rounded(row),
        )
        for row in rows
    ]
    grown = rows[-1]["grown_mb"]
    title = f"{about['database']}: {options.objects:,} objects"
    note = f"While the rows were removed, the process grew by {grown:.1f} MB.\n\n"
    return (
        f"{title}\n{'~' * len(title)}\n\n{tables.csv_table(HEADER, cells)}{note}",
        about["driver"],
    )


def rounded(row):
    if row is None:
        return ""
    return f"{row['ms']:,.0f}" if row["ms"] >= 10 else f"{row['ms']:.1f}"


def main():
    options = arguments()
    texts, drivers = zip(
        *(table_of(database, options) for database in options.database), strict=True
    )
    text = made_with("tests.benchmarks.growth", drivers) + "".join(texts)
    print(text)
    if options.rst:
        tables.write_into(options.rst, text, "growth")


if __name__ == "__main__":
    main()
