"""Sites with pages that use the client."""

import contextlib

import pytest

from ..site import Site
from .pages import past_the_beginning, until_held


@pytest.fixture(scope="package")
def running(tmp_path_factory):
    """Two sites: locks of an hour, and locks of three seconds."""
    sites = [
        Site(tmp_path_factory.mktemp("site")).launch(),
        Site(tmp_path_factory.mktemp("brief"), LOCK_TOKENS={"TIMEOUT": 3}).launch(),
    ]
    try:
        yield [site.wait() for site in sites]
    finally:
        for site in sites:
            site.stop()
    for site in sites:
        assert "Traceback" not in site.output()


@pytest.fixture
def site(running):
    return running[0]


@pytest.fixture
def brief(running):
    return running[1]


@pytest.fixture
def visit(window):
    """Open a page of a site, in a new window unless one is given."""

    def visited(site, path, context=None, *, frozen=False, wait=True, expected=()):
        if context is None:
            context = window(base_url=site.url)
            if frozen:
                context.clock.install()
        # That a renewal comes upon another page's, and is repeated, is an "error" too.
        context.watch.expected += ["status of 412", *expected]
        page = context.new_page()
        page.goto(path)
        if wait and path.startswith(("/edit/", "/hold/")):
            until_held(page)
        return page

    return visited


@pytest.fixture
def key(site):
    """An article, by its key."""
    return site.article()


@pytest.fixture
def page(site, visit):
    """A page that has the client, and holds nothing."""
    return visit(site, "/client/")


@pytest.fixture
def begin(visit):
    """Let a page hold a new article; return its key and the page.

    A page with a frozen clock is past its early renewals.
    """

    def begun(site, kind, context=None, **options):
        key = site.article()
        page = visit(site, f"/{kind}/{key}/", context, **options)
        if options.get("frozen"):
            past_the_beginning(page)
        return key, page

    return begun


@pytest.fixture
def rules():
    """Rules of the site that go when the test ends."""
    with contextlib.ExitStack() as rules:
        yield rules
