"""Where and with what a table was made."""

import os
import platform
import shlex
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from statistics import median
from time import perf_counter


def made_with(module, drivers):
    """Return the paragraph that stands above the tables."""
    command = shlex.join(["python", "-m", module, *sys.argv[1:]])
    return (
        f"Made with ``{command}``\non {date.today():%-d %B %Y}, on a machine with"
        f" {os.cpu_count()} processor cores, the database servers on\nthe same machine:"
        f" Python {platform.python_version()}, Django {version('Django')},"
        f" {', '.join(dict.fromkeys(drivers))}.\n"
        f"One ``fsync`` of the disk took {fsync_time():.2f} ms.\n\n"
    )


def fsync_time():
    """Return the median time in ms of making one written block durable."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(100):
            file.write(bytes(4096))
            file.flush()
            before = perf_counter()
            os.fsync(file.fileno())
            times.append((perf_counter() - before) * 1000)
    return median(times)
