"""The lock's operations beside 0.2.5 and the bare driver: ``python -m tests.benchmarks``.

No test: nothing here has a name that pytest collects, and no number fails anything.

``__main__`` starts two workers for each database, one with this package and one with
0.2.5, and lets them take turns; a worker (``worker``, with ``clients`` and
``operations``) does the work and the timing; ``cells`` sums the rounds up, ``tables``
prints them.

Two other programs use the same tables: ``pages`` measures what the admin's pages cost, and
``growth`` how filters and the clean-up grow with the table. Each has a worker.
"""
