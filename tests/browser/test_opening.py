"""Pages that a browser loads although nobody opens them: nothing is locked."""

import pytest

from .site import Site, until

PREFETCHES = {
    "a link": """(href) => document.head.append(
        Object.assign(document.createElement("link"), { rel: "prefetch", href }))""",
    "rules to prefetch": """(url) => document.head.append(
        Object.assign(document.createElement("script"), {
          type: "speculationrules",
          text: JSON.stringify({ prefetch: [{ urls: [url], eagerness: "immediate" }] }),
        }))""",
    "rules to prerender": """(url) => document.head.append(
        Object.assign(document.createElement("script"), {
          type: "speculationrules",
          text: JSON.stringify({ prerender: [{ urls: [url], eagerness: "immediate" }] }),
        }))""",
}
FOLLOW = "(url) => (location.href = url)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("opening")).launch().wait()
    yield site
    site.stop()
    assert "Traceback" not in site.output()


@pytest.fixture
def key(site):
    return site.article()


@pytest.fixture
def url(key):
    return f"/edit/{key}/"


def status_of_pages(site, url):
    return [entry.status for entry in site.requests() if entry.path == url]


@pytest.mark.parametrize("how", PREFETCHES)
def test_a_page_that_is_loaded_ahead_locks_when_somebody_opens_it(
    site, key, url, window, how
):
    context = window(base_url=site.url, bypass_csp=True)
    context.watch.expected.append("status of 503")
    page = context.new_page()
    page.goto("/elsewhere/")
    page.evaluate(PREFETCHES[how], url)
    until(lambda: status_of_pages(site, url), page=page)
    page.wait_for_timeout(300)
    assert status_of_pages(site, url) == [503]
    assert site.lock(key) is None

    page.evaluate(FOLLOW, url)
    page.wait_for_selector("h1")
    until(lambda: site.lock(key), page=page)
    assert page.locator("body").get_attribute("data-token") == site.lock(key).token
    assert status_of_pages(site, url) == [503, 200]


def test_an_image_of_the_page_locks_nothing(site, key, url, window):
    page = window(base_url=site.url).new_page()
    page.goto("/elsewhere/")
    page.evaluate("(url) => void (new Image().src = url)", url)
    until(lambda: status_of_pages(site, url) == [403], page=page)
    assert site.lock(key) is None


def test_a_frame_of_another_site_locks_when_its_link_is_followed(
    site, key, url, window
):
    page = window(bypass_csp=True).new_page()
    page.goto(site.url.replace("127.0.0.1", "localhost") + "/elsewhere/")
    page.evaluate(
        """(src) => document.body.append(
            Object.assign(document.createElement("iframe"), { src }))""",
        site.url + url,
    )
    link = page.frame_locator("iframe").get_by_role("link")
    link.wait_for()
    assert site.lock(key) is None
    link.click()
    until(lambda: site.lock(key), page=page)
