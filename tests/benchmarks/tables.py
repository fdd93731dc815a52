"""The numbers as text for the terminal and as tables for the docs."""

# ruff: noqa: RUF001 (the multiplication sign)

import csv
import io
from collections import Counter
from pathlib import Path

from .cells import CONTENDERS, OPERATIONS

BEGIN = ".. begin of what the command wrote\n"
END = ".. end of what the command wrote\n"
HEADER = (
    "Operation",
    "Clients",
    "Objects",
    "Ops/s",
    "× 0.2.5",
    "× driver",
    "p50 ms",
    "p99 ms",
    "Errors",
)
WIDTHS = (18, 9, 9, 9, 9, 10, 28, 30, 18)


def values(row):
    """Return the row's cells as text, in the order of ``HEADER``."""
    cells = [row.cells[contender] for contender in CONTENDERS]
    errors = [sum(cell.errors.values()) for cell in cells]
    return (
        row.operation,
        str(row.clients),
        "one" if row.shared else "own",
        f"{cells[0].per_second:,.0f}",
        ratio(row.times("0.2.5")),
        ratio(row.times("driver")),
        " / ".join(f"{cell.p50:.2f}" for cell in cells),
        " / ".join(f"{cell.p99:.2f}" for cell in cells),
        " / ".join(map(str, errors)) if any(errors) else "",
    )


def ratio(number):
    return "∞" if number is None else f"{number:.2f}"


def line(cells):
    """Return one line for the terminal, columns right-aligned but the first."""
    first, *others = cells
    padded = (text.rjust(width) for text, width in zip(others, WIDTHS[1:], strict=True))
    return first.ljust(WIDTHS[0]) + "".join(padded)


def errors(rows):
    """Return what went wrong for whom, one line each."""
    kinds = Counter()
    for row in rows:
        for contender, cell in row.cells.items():
            for error, times in cell.errors.items():
                kinds[contender, error] += times
    return [
        f"Errors of {contender}: {times} × {error}"
        for (contender, error), times in sorted(kinds.items())
    ]


def rst_table(title, rows):
    """Return a database's section of the docs."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    ordered = sorted(
        rows, key=lambda row: (OPERATIONS.index(row.operation), row.shared)
    )
    writer.writerows(values(row) for row in ordered)
    body = "".join(f"   {text}\n" for text in table.getvalue().splitlines())
    return (
        f"{title}\n{'~' * len(title)}\n\n"
        ".. csv-table::\n"
        f"   :header: {', '.join(HEADER)}\n\n"
        f"{body}\n" + "".join(f"{text}.\n\n" for text in errors(rows))
    )


def write_into(path, text):
    """Put the text between the two marks of a page of the docs."""
    page = Path(path)
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{path} does not have the marks {BEGIN!r} and {END!r}.")
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
