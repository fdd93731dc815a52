"""The numbers as text for the terminal and as tables for the docs."""

# ruff: noqa: RUF001 (the multiplication sign)

import csv
import io
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from .cells import CONTENDERS, MAIN, OPERATIONS, Row

BEGIN = ".. begin of what the command wrote{}\n"
END = ".. end of what the command wrote{}\n"
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


class Result(NamedTuple):
    """What was measured on one database; ``goal`` is the wanted multiple of 0.2.5."""

    title: str
    goal: int
    rows: list[Row]


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


def goals(results):
    """Return a table of what became of the goals, as it goes into the docs."""
    lines = []
    for result in results:
        for row in sorted(result.rows, key=lambda row: row.shared):
            ours, published = (row.cells[name] for name in ("lock_tokens", "0.2.5"))
            clients = f"{row.clients} client{'s' if row.clients > 1 else ''}"
            if row.operation != MAIN:
                continue
            if row.shared:
                lines.append(
                    goal(
                        (result.title, f"{clients}, one object: p99"),
                        f"below {published.p99:.2f} ms",
                        f"{ours.p99:.2f} ms",
                        ours.p99 < published.p99,
                    )
                )
                continue
            for other, wanted in (("0.2.5", result.goal), ("driver", 0.5)):
                times = row.times(other)
                lines.append(
                    goal(
                        (result.title, f"{clients}: times {other}"),
                        f"{wanted}",
                        ratio(times),
                        times is None or times >= wanted,
                    )
                )
    return csv_table(("Database", MAIN, "Goal", "Measured", ""), lines) if lines else ""


def goal(what, wanted, measured, met):
    return (*what, wanted, measured, "met" if met else "missed")


def section(result):
    """Return a database's section of the docs."""
    rows = sorted(
        result.rows, key=lambda row: (OPERATIONS.index(row.operation), row.shared)
    )
    title = f"{result.title}\n{'~' * len(result.title)}\n\n"
    remarks = "".join(f"{text}.\n\n" for text in errors(rows))
    return title + csv_table(HEADER, map(values, rows)) + remarks


def csv_table(header, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    body = "".join(f"   {line}\n" for line in text.getvalue().splitlines())
    names = ", ".join(f'"{name}"' for name in header)
    return f".. csv-table::\n   :header: {names}\n\n{body}\n"


def write_into(path, text, of=""):
    """Put the text between the two marks of a page of the docs; ``of`` is in them."""
    begin, end = (mark.format(of and f": {of}") for mark in (BEGIN, END))
    page = Path(path)
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{path} does not have the marks {begin!r} and {end!r}.")
    page.write_text(f"{before}{begin}\n{text}{end}{after}")
