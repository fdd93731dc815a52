"""People at the change pages of the site's admin, and what the database holds of it."""

from .site import Site, until

# What Chromium's console says of refusals and of renewals that come upon another page's.
EXPECTED = ("status of 403", "status of 404", "status of 412")


class Newsdesk(Site):
    """The site, with stories."""

    def story(self, headline="One", body="As it was."):
        """Add a story and return its key."""
        self.sql(
            "INSERT INTO tests_story (headline, body, is_urgent) VALUES (?, ?, 0)",
            headline,
            body,
        )
        ((key,),) = self.sql("SELECT max(id) FROM tests_story")
        return key

    def saved(self, key):
        """Return headline and body as the database has them."""
        ((headline, body),) = self.sql(
            "SELECT headline, body FROM tests_story WHERE id = ?", key
        )
        return headline, body.replace("\r\n", "\n")

    def holder(self, key):
        """Return who has a live lock of the story; ``None`` if nobody has."""
        lock = self.lock(key, "story")
        return lock.locked_by if lock and lock.left > 0 else None


def change(key):
    """Return the path of a story's change page."""
    return f"/admin/tests/story/{key}/change/"


def editor(window, site, username, **options):
    """Open a window in which somebody is signed in, and return its first page."""
    context = window(base_url=site.url, **options)
    context.watch.expected += EXPECTED
    page = context.new_page()
    page.goto(f"/sign-in/{username}/")
    return page


def state(page):
    """Return what the page says of itself: held, taken, ended, offline and so on."""
    return page.evaluate("document.getElementById('lock-tokens')?.dataset.now")


def until_state(page, *states, seconds=15):
    """Wait until the page is in one of these states, and return it."""
    return until(lambda: state(page) in states and state(page), seconds, page)
