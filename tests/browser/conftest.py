"""A real Chromium, and people with a window of their own in it."""

import os

import pytest

from . import editors
from .editors import DOORS, MINE, Newsdesk, at_work, edit, freeze, write

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What Chromium's console says of pages that are refusals, as they should be.
EXPECTED = ("status of 403", "status of 404")

WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`));
"""


def go_without(reason):
    """Skip, on a machine of somebody's own; a CI without a browser tests nothing."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


# For a module, not for the session: while Playwright runs, an event loop runs in this
# thread, and Django refuses to query the database of the other tests.
@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        go_without("Playwright is not installed: pip install playwright")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, headless=True, args=ARGUMENTS
            )
        except Error as error:
            go_without(f"No Chromium at {CHROMIUM} (set CHROMIUM): {error.message}")
        yield browser
        browser.close()


class Watch:
    """What went wrong in a browser window, in pages opened later too."""

    def __init__(self, context):
        self.problems = []
        self.expected = [*EXPECTED]
        context.expose_binding(
            "reportViolation", lambda source, what: self.problems.append(what)
        )
        context.add_init_script(WATCH)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))
        context.on("console", self._read)

    def _read(self, message):
        if message.type == "error" and not any(
            e in message.text for e in self.expected
        ):
            self.problems.append(message.text)


@pytest.fixture(scope="module")
def caching_browser(browser):
    """A Chromium that has its back/forward cache, which Playwright's lacks."""
    chromium = browser.browser_type.launch(
        executable_path=CHROMIUM,
        headless=True,
        args=ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield chromium
    chromium.close()


@pytest.fixture
def window(browser):
    """Open a window with cookies of its own. No page in it may go wrong."""
    opened = []

    def open_window(by=browser, **options):
        context = by.new_context(**options)
        context.set_default_timeout(10_000)
        context.watch = Watch(context)
        opened.append(context)
        return context

    yield open_window
    for context in opened:
        for page in context.pages:
            page.evaluate("1")  # what was reported before this has arrived
        context.close()
    assert [problem for context in opened for problem in context.watch.problems] == []


# The admin's pages


@pytest.fixture(scope="module")
def newsdesks(tmp_path_factory):
    """Sites with stories: one for each set of settings, begun when a test wants it."""
    sites = {}

    def newsdesk(**settings):
        name = repr(settings)
        if name not in sites:
            sites[name] = Newsdesk(tmp_path_factory.mktemp("newsdesk"), **settings)
            sites[name].launch().wait()
        return sites[name]

    yield newsdesk
    for site in sites.values():
        site.stop()
    for site in sites.values():
        assert "Traceback" not in site.output()


@pytest.fixture
def site(newsdesks):
    return newsdesks()


@pytest.fixture(params=DOORS)
def door(request, monkeypatch):
    """Edit stories in the admin, and on an ordinary page."""
    monkeypatch.setattr(editors, "door", request.param)
    return request.param


@pytest.fixture
def enter(site, window):
    """Let somebody in: a window of their own, in which they are signed in."""

    def entered(username, **options):
        return at_work(window, site, username, **options)

    return entered


@pytest.fixture
def key(site):
    """A story, by its key."""
    return site.story()


@pytest.fixture
def page(enter, key):
    """The page in which Alice edits the story."""
    return edit(enter("alice"), key)


@pytest.fixture
def begin(site, enter):
    """Let somebody begin to write; return the story's key and the page."""

    def begun(username="alice", **options):
        key = site.story()
        page = edit(enter(username, **options), key)
        if options.get("frozen"):
            freeze(page)
        write(page, *MINE)
        return key, page

    return begun
