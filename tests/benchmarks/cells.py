"""From rounds to the numbers of a cell of the table."""

from collections import Counter
from dataclasses import dataclass
from statistics import median, quantiles

#: Who takes part. The driver works in this package's process and database.
CONTENDERS = ("lock_tokens", "0.2.5", "driver")
OPERATIONS = ("acquire + release", "renew", "check", "is_locked", "refuse")
#: The one that there are goals for; it is measured for twice the time.
MAIN = OPERATIONS[0]


@dataclass
class Cell:
    """What one contender did in one cell, over all rounds."""

    per_second: float
    p50: float
    p99: float
    errors: dict


@dataclass
class Row:
    """One operation with so many clients, by each contender."""

    operation: str
    clients: int
    shared: bool
    cells: dict

    def times(self, other):
        """How many times the throughput of ``other`` this package has."""
        theirs = self.cells[other].per_second
        return self.cells["lock_tokens"].per_second / theirs if theirs else None


def summed_up(rounds):
    """Return the cell: the median of the throughputs, percentiles of all attempts."""
    latencies = [one for a_round in rounds for one in a_round["latencies"]]
    percentiles = quantiles(latencies, n=100, method="inclusive")
    errors = sum((Counter(a_round["errors"]) for a_round in rounds), Counter())
    return Cell(
        median(a_round["per_second"] for a_round in rounds),
        percentiles[49],
        percentiles[98],
        dict(errors),
    )


def measure_row(workers, operation, clients, shared, seconds, rounds):
    """Let the contenders take turns, another one first in each round."""
    measured = {contender: [] for contender in CONTENDERS}
    for number in range(rounds):
        first = number % len(CONTENDERS)
        for contender in CONTENDERS[first:] + CONTENDERS[:first]:
            order = {
                "do": "round",
                "contender": contender,
                "operation": operation,
                "shared": shared,
                "seconds": seconds / rounds,
            }
            measured[contender].append(workers[contender].ask(**order))
    cells = {contender: summed_up(measured[contender]) for contender in CONTENDERS}
    return Row(operation, clients, shared, cells)


def measure_rows(workers, clients, operations, seconds, rounds, report):
    """Return the rows of one database; ``report`` gets each as it is measured."""
    rows = []
    for number in clients:
        for worker in set(workers.values()):
            worker.ask(do="clients", clients=number)
        for shared in (False, True) if number > 1 else (False,):
            for operation in operations:
                time = seconds * 2 if operation == MAIN else seconds
                row = measure_row(workers, operation, number, shared, time, rounds)
                report(row)
                rows.append(row)
    return rows
