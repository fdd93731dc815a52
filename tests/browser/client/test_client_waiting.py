"""The client waits for objects that others have locked."""

import re

import pytest

from ..site import Other, address, hide, until
from .pages import article_of, call


def test_who_waits_is_told_when_it_is_free(site, key, visit):
    _, body = Other(site).ask("POST", address(key))
    site.change_lock(key, "locked_by_id = 2")
    page = visit(site, f"/watch/{key}/", frozen=True)
    first = until(lambda: page.evaluate("states"), page=page)[0][str(key)]
    assert first["locked"] is True
    assert first["locked_by"] == "Bob Lindqvist"
    assert first["locked_at"]
    assert first["expires_at"]
    page.clock.run_for(12_100)
    asked = until(lambda: watching(site, key), page=page)
    page.wait_for_timeout(200)
    assert asked[0].status == 200
    assert len(page.evaluate("states")) == 1  # nothing new
    assert Other(site).ask("DELETE", f"{address(key)}{body['token']}/")[0] == 204
    page.clock.run_for(6100)
    free = until(lambda: page.evaluate("states")[1:], page=page)[0][str(key)]
    assert free == {
        "locked": False,
        "locked_by": None,
        "locked_at": None,
        "expires_at": None,
    }
    statuses = [entry.status for entry in watching(site, key)]
    assert statuses[0] == statuses[-1] == 200
    assert set(statuses[1:-1]) == {304}
    assert all("If-None-Match" in entry.headers for entry in watching(site, key)[1:])
    assert site.lock(key) is None


def watching(site, key):
    path = "/locks/tests/article/?"
    return [
        entry
        for entry in site.requests()
        if entry.path.startswith(path) and re.search(rf"=({key})(&|$)", entry.path)
    ]


def test_nobody_asks_while_the_page_is_hidden_or_when_it_is_over(site, key, visit):
    page = visit(site, f"/watch/{key}/", frozen=True)
    until(lambda: page.evaluate("states.length"), page=page)
    hide(page, True)
    page.clock.run_for(60_000)
    page.wait_for_timeout(300)
    assert len(watching(site, key)) == 1
    hide(page, False)
    until(lambda: len(watching(site, key)) == 2, page=page)
    page.clock.run_for(6100)
    until(lambda: len(watching(site, key)) == 3, page=page)
    page.wait_for_timeout(300)
    page.evaluate("stop()")
    page.clock.run_for(60_000)
    hide(page, True)
    hide(page, False)
    page.wait_for_timeout(300)
    assert len(watching(site, key)) == 3
    assert len(page.evaluate("states")) == 1
    assert site.lock(key) is None


def test_a_hundred_and_twenty_objects_take_a_few_short_requests(site, visit):
    keys = [site.article() for _ in range(119)]
    nobody = 10**9 + keys[0]
    keys.append(nobody)
    page = visit(site, f"/watch/{','.join(map(str, keys))}/", frozen=True)
    (states,) = until(lambda: page.evaluate("states"), page=page)
    assert states.keys() == {str(key) for key in keys}
    assert states.pop(str(nobody)) is None
    assert {state["locked"] for state in states.values()} == {False}
    counts = {
        r.path: r.path.count("object_id=") for k in keys for r in watching(site, k)
    }
    assert sum(counts.values()) == 120
    assert len(counts) < 4
    assert max(counts.values()) <= 100
    assert max(map(len, counts)) < 1200

    Other(site).ask("POST", address(keys[60]))
    page.clock.run_for(6100)
    states = until(lambda: page.evaluate("states")[1:], page=page)[0]
    assert [key for key in keys if (states[str(key)] or {}).get("locked")] == [keys[60]]
    again = {r.path: r.status for key in keys for r in watching(site, key)[1:]}
    assert sorted(again.values()) == [200, *[304] * (len(counts) - 1)]
    assert again[watching(site, keys[60])[0].path] == 200
    assert site.lock(keys[60])


def test_who_waits_through_failures_is_told_in_the_end(site, key, visit):
    expected = ["status of 500", "net::ERR_"]
    page = visit(site, f"/watch/{key}/", frozen=True, expected=expected)
    until(lambda: page.evaluate("states.length"), page=page)
    with site.rule(path="/locks/tests/article/?", answer="500"):
        page.clock.run_for(6100)
        until(lambda: [r for r in watching(site, key) if r.status == 500], page=page)
    page.context.set_offline(True)
    page.clock.run_for(20_000)
    page.context.set_offline(False)
    Other(site).ask("POST", address(key))
    until(lambda: (page.clock.run_for(5000), page.evaluate("states")[1:])[1], page=page)
    assert page.evaluate("states").pop()[str(key)]["locked"] is True
    assert site.lock(key)


def test_unlocking_while_the_client_asks_again_ends_that(site, key, visit):
    page = visit(site, "/client/", expected=["status of 500"])
    with site.rule(key, method="POST", answer="500", times=1):
        assert call(page, "hold_lock", *article_of(key))[0] is None
    assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    page.wait_for_timeout(3000)  # it would have asked after two seconds
    assert site.lock(key) is None


@pytest.mark.parametrize("keys", ["[]", "['\u65e5'.repeat(200)]"])
def test_watching_nothing_and_a_very_long_key_is_answered(site, page, keys):
    page.evaluate(
        f"() => void LockTokens.watch('tests', 'label', {keys}, (s) => states.push(s))"
    )
    until(lambda: page.evaluate("states.length") == 1, page=page)
    asked = [r for r in site.requests() if r.path.startswith("/locks/tests/label/?")]
    assert 400 not in {r.status for r in asked}
