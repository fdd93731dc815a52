"""What a lock adds to the queries of Django's own pages."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lock_tokens.admin import LockableModelAdmin
from tests.models import Comment, Story
from tests.support.admin_site import LIST, CommentInline

# Outside of a transaction the statements are those of a site in service. BEGIN and COMMIT
# are two of them.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def count_more(serve):
    """Say how many more queries a visit makes to the lock-aware admin.

    The visit gets what ``get_ready()`` returns, whose queries do not count.
    """

    def count(visit, get_ready, base, options):
        serve(type("Admin", (base,), {"inlines": [CommentInline], **options}))
        visit(get_ready())  # content types are read once in a process
        ready = get_ready()
        with CaptureQueriesContext(connection) as queries:
            visit(ready)
        return len(queries)

    def count_more(visit, get_ready=lambda: None, **options):
        plain = count(visit, get_ready, admin.ModelAdmin, {})
        return count(visit, get_ready, LockableModelAdmin, options) - plain

    return count_more


def new_story(headline="As it was"):
    story = Story.objects.create(headline=headline)
    Comment.objects.bulk_create(Comment(story=story, text=text) for text in "abc")
    return story


def test_opening_a_page(count_more, alice):
    """One query acquires, one reads what was locked; three save the session.

    SQLite may look whether the object is free, before an acquire waits for a writer.
    """
    most = 6 if connection.vendor == "sqlite" else 5
    assert count_more(alice.open, new_story) <= most


def test_opening_a_page_that_is_open(count_more, alice):
    """One query renews, and one reads."""
    story = new_story()
    assert count_more(alice.open, lambda: story) == 2


def test_saving_with_three_rows(count_more, alice):
    """One query reads, one verifies, one releases; three save the session."""

    def save(page):
        assert alice.send(page, headline="New").status_code == 302

    assert count_more(save, lambda: alice.open(new_story())) == 6


def test_saving_three_rows_that_were_changed(count_more, alice):
    """One query looks who edits them, one reads them; each is locked and released."""
    texts = {f"comment_set__{number}__text": "New" for number in range(3)}

    def save(page):
        assert alice.send(page, headline="New", **texts).status_code == 302

    # On MySQL and MariaDB an acquire in a transaction looks first.
    each = 3 if connection.vendor == "mysql" else 2
    more = count_more(save, lambda: alice.open(new_story()))
    assert more == 6 + 2 + 3 * each


def test_a_list_of_a_hundred_rows(count_more, alice):
    """One query reads all locks."""
    Story.objects.bulk_create(Story(headline="One of many") for _ in range(100))
    columns = ["headline", "lock_state"]
    assert count_more(lambda _: alice.get(LIST), list_display=columns) == 1
