"""What the pages of the client do and have seen."""

from ..site import until

KEYS = ["a/b ~%2F..é?#", "..", ".hidden", "a\\b", "~2F", "日本 +&=", "x" * 255]


def until_held(page):
    until(lambda: page.evaluate("window.held?.get_token()"))


def call(page, method, *arguments):
    """Call a method of ``LockTokens``; return what its promise and its callback got."""
    answer = page.evaluate(
        "async ([method, ...given]) => await call(method, ...given)",
        [method, *arguments],
    )
    assert answer["promised"]
    return answer["given"], answer["told"]


def article_of(key):
    return ["tests", "article", key]


def seen(page, name=None, reason=None):
    """Return the client's events in the page, by name and reason."""
    return [
        event
        for event in page.evaluate("seen")
        if name in (None, event["name"])
        and reason in (None, event.get("reason"))
        and event["name"] != "pageshow"
    ]


def until_seen(page, name, reason=None, seconds=15):
    """Wait for an event and return the first of them."""
    return until(lambda: seen(page, name, reason), seconds, page)[0]


def names(page):
    return [(event["name"], event.get("reason")) for event in seen(page)]


def past_the_beginning(page):
    """Get a page with a frozen clock past its early renewals, and stop the clock."""
    count = len(seen(page, "renewed"))
    page.clock.fast_forward(20_000)
    until(lambda: len(seen(page, "renewed")) > count, page=page)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
