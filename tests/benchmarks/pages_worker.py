"""A process that measures pages on one database: see ``pages``.

Django's ModelAdmin and LockableModelAdmin take turns, with the same models and rows. The
process prints a line of JSON for each page, and drops its database.
"""

import os
import sys
from statistics import median
from time import perf_counter

from .growth_worker import say
from .worker import new_database

ROWS = 3
STORIES = 100


def main(rounds):
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.site_settings"
    with new_database() as about:
        say(**about)
        measure(int(rounds))


def measure(rounds):
    from django.contrib.auth.models import User
    from django.test import Client

    from tests.models import Comment, Story

    stories = Story.objects.bulk_create(
        Story(headline=f"Story {number}", body="Once. " * 100)
        for number in range(STORIES)
    )
    story = stories[0]
    for number in range(ROWS):
        Comment.objects.create(story=story, text=f"Comment {number}")
    chief = User.objects.create_superuser("chief")
    visits = {
        "change form": lambda visitor: visitor.open_again(),
        "change form, first opened": lambda visitor: visitor.open_first(),
        "save": lambda visitor: visitor.save(),
        "save, all rows changed": lambda visitor: visitor.save(rows=ROWS),
        "list of 100 rows": lambda visitor: visitor.list(),
    }
    visitors = []
    for site in ("plain", "admin"):
        client = Client()
        client.force_login(chief)
        visitors.append(Visitor(client, site, story))
    for name, visit in visits.items():
        times = [[], []]
        for number in range(rounds + 1):
            for visitor, own in zip(visitors, times, strict=True):
                seconds = visit(visitor)
                if number:  # the first is to warm up
                    own.append(seconds * 1000)
        queries = [visitor.count(visit) for visitor in visitors]
        say(page=name, queries=queries, ms=[median(own) for own in times])


class Visitor:
    """Somebody who uses one of the two admin sites."""

    def __init__(self, client, site, story):
        self.client = client
        self.base = f"/{site}/tests/story/"
        self.page = f"{self.base}{story.pk}/change/"
        self.counting = False
        self.queries = 0

    def count(self, visit):
        """Return the number of queries of a visit."""
        self.counting = True
        try:
            visit(self)
        finally:
            self.counting = False
        return self.queries

    def timed(self, request, status=200):
        """Return the seconds that a request takes."""
        from contextlib import nullcontext

        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        watching = CaptureQueriesContext(connection) if self.counting else nullcontext()
        with watching:
            started = perf_counter()
            response = request()
            seconds = perf_counter() - started
        assert response.status_code == status, response
        if self.counting:
            self.queries = len(watching)
        return seconds

    def open_again(self):
        self.client.get(self.page)
        return self.timed(lambda: self.client.get(self.page))

    def open_first(self):
        self.save()  # which ends the lock of the page before
        return self.timed(lambda: self.client.get(self.page))

    def save(self, rows=0):
        from tests.support.admin_site import form_of

        text = str(perf_counter())
        changed = {f"comment_set__{number}__text": text for number in range(rows)}
        form = form_of(self.client.get(self.page), headline=text, **changed)
        return self.timed(lambda: self.client.post(self.page, form), status=302)

    def list(self):
        return self.timed(lambda: self.client.get(self.base))


if __name__ == "__main__":
    main(*sys.argv[1:])
