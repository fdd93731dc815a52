"""Clients: threads with a connection of their own that work at the same time."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from time import perf_counter

from django.db import connection, connections


class Clients:
    """Some threads that keep their connections from one round to the next."""

    def __init__(self, number):
        self.number = number
        self.barrier = Barrier(number, timeout=60)
        self.pool = ThreadPoolExecutor(number)
        self.in_each(lambda client: connection.ensure_connection())

    def in_each(self, work):
        """Call ``work(client)`` in every client's thread; return what each returns."""

        def together(client):
            try:
                # No thread goes on, and takes a second client, until all have one.
                self.barrier.wait()
                return work(client)
            except BaseException:
                self.barrier.abort()
                raise

        return list(self.pool.map(together, range(self.number)))

    def measure(self, operation_of, seconds):
        """Let every client repeat its operation for ``seconds``; return the sum of it.

        ``operation_of(client, count)`` gives the operation; ``count`` takes the errors
        that it has got over.
        """

        def work(client):
            errors = Counter()
            count = partial(count_error, errors)
            operation = operation_of(client, count)
            self.barrier.wait()
            return *repeat(operation, count, seconds), errors

        per_second, latencies, errors = zip(*self.in_each(work), strict=True)
        return {
            "per_second": sum(per_second),
            "latencies": [one for of_client in latencies for one in of_client],
            "errors": dict(sum(errors, Counter())),
        }

    def close(self):
        try:
            self.in_each(lambda client: connections.close_all())
        finally:
            self.pool.shutdown()


def count_error(errors, error):
    errors[type(error).__name__] += 1


def repeat(operation, count, seconds):
    """Return how often a second it did its work, and how long each attempt took (ms).

    Every attempt counts in the latencies, also one that was refused or failed. The last
    one is let to its end, and its time counts.
    """
    done = 0
    latencies = []
    started = before = perf_counter()
    while before < started + seconds:
        try:
            done += operation()
        except Exception as error:
            count(error)
        after = perf_counter()
        latencies.append(round((after - before) * 1000, 4))
        before = after
    return done / (before - started), latencies
