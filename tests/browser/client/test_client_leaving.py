"""The client when its page is reloaded, left and come back to."""

import contextlib
import time

import pytest

from ..site import GRACE, poaching, until
from .pages import (
    article_of,
    call,
    names,
    past_the_beginning,
    seen,
    until_held,
    until_seen,
)


def test_ten_reloads_keep_the_lock_however_late_the_release_comes(site, visit, rules):
    visits = {}
    for kind in ("edit", "hold"):
        for late in (0, 1, 3):
            key = site.article()
            rules.enter_context(site.rule(key, leave=True, postpone=late))
            visits[kind, late] = key, visit(site, f"/{kind}/{key}/")
    keys = [key for key, _ in visits.values()]
    tokens = {key: site.lock(key).token for key in keys}
    with poaching(site, *keys) as poachers:
        for _ in range(10):
            for _, page in visits.values():
                page.reload(wait_until="commit")
            for _, page in visits.values():
                until_held(page)
        until(lambda: all(r.status for key in keys for r in site.leaves(key)))
        last_page = next(iter(visits.values()))[1]
        last_page.wait_for_timeout(1000 * GRACE)
    for ((kind, late), (key, page)), poacher in zip(
        visits.items(), poachers, strict=True
    ):
        where = (kind, late)
        assert poacher.got is None, where
        assert poacher.attempts > 50
        assert len(site.leaves(key)) == 10, where
        assert not seen(page, "lost"), where
        lock = site.lock(key)
        assert lock.left > (3000 if kind == "edit" else GRACE), where
        assert lock.token == tokens[key], where
        if kind == "edit":
            # None of them has shortened it, not even for a moment.
            assert {entry.status for entry in site.leaves(key)} == {412}, where
            assert poacher.shortest > 3000, where


def test_reloads_before_anything_has_settled_keep_the_lock(site, visit, rules):
    visits = []
    for kind in ("edit", "hold"):
        for late in (0, 3):
            key = site.article()
            rules.enter_context(site.rule(key, leave=True, postpone=late))
            visits.append((key, visit(site, f"/{kind}/{key}/")))
    keys = [key for key, _ in visits]
    with poaching(site, *keys) as poachers:
        for number in range(10):
            for _, page in visits:
                page.reload(wait_until="load" if number % 2 else "commit")
        for _, page in visits:
            until_held(page)
        until(lambda: all(r.status for key in keys for r in site.leaves(key)))
        visits[0][1].wait_for_timeout(1000 * GRACE)
    assert [poacher.got for poacher in poachers] == [None] * len(visits)
    for key, page in visits:
        assert not seen(page, "lost")
        assert site.lock(key).left > GRACE


def go(page):
    page.goto("/elsewhere/")


def follow(page):
    page.get_by_role("link", name="Elsewhere").click()
    page.wait_for_url("**/elsewhere/")


def close(page):
    page.close()


def test_closing_or_leaving_a_page_frees_its_object_within_the_grace(
    site, visit, begin, rules
):
    ways = [(kind, way) for kind in ("edit", "hold") for way in (close, go, follow)]
    visits = []
    for kind, way in ways:
        key = site.article()
        visits.append((key, visit(site, f"/{kind}/{key}/"), way))
    # One that has a renewal on its way, which comes later than what is sent on leaving.
    key, page = begin(site, "edit")
    rules.enter_context(site.rule(key, method="PATCH", leave=False, delay=2))
    count = len(site.renewals(key))
    page.evaluate("(key) => void LockTokens.renew_lock('tests', 'article', key)", key)
    until(lambda: len(site.renewals(key)) > count)
    visits.append((key, page, close))
    with poaching(site, *(key for key, *_ in visits)) as poachers:
        left = []
        for _, page, way in visits:
            before = time.time()
            way(page)
            left.append((before, time.time()))
        last = time.time() + GRACE + 1
        until(lambda: all(p.got for p in poachers) or time.time() > last, 30)
    for (key, *_), poacher, (before, after) in zip(visits, poachers, left, strict=True):
        until(lambda key=key: all(entry.done for entry in site.requests(key)))
        log = [(r.at, r.done, r.method, r.body, r.status) for r in site.requests(key)]
        assert poacher.got, log
        assert before + GRACE - 0.1 < poacher.got < after + GRACE + 1, log
        assert [entry.status for entry in site.leaves(key)] == [200]
        assert site.lock(key).token == poacher.token


@pytest.mark.parametrize("kind", ["edit", "hold"])
def test_closing_a_page_right_after_it_loaded_frees_its_object(site, visit, kind):
    # Closed at once; and while the answer to its first, or its second, request is late.
    lates = [None, {"late": 1, "method": {"edit": "GET", "hold": "POST"}[kind]}]
    if kind == "edit":
        lates.append({"late": 1, "method": "PATCH", "leave": False})
    visits = []
    with contextlib.ExitStack() as rules:
        for late in lates:
            key = site.article()
            if late:
                rules.enter_context(site.rule(key, **late))
            page = visit(site, f"/{kind}/{key}/", wait=False)
            until(lambda key=key: site.lock(key))
            if late:
                method = late["method"]
                until(lambda key=key, method=method: site.requests(key, method=method))
            page.close()
            visits.append((key, time.time()))
        with poaching(site, *(key for key, _ in visits)) as poachers:
            last = time.time() + 1 + GRACE + 1
            until(lambda: all(p.got for p in poachers) or time.time() > last, 30)
    stuck = {
        str(late): (site.lock(key).left, [r.method for r in site.requests(key)])
        for late, (key, closed), poacher in zip(lates, visits, poachers, strict=True)
        if not poacher.got or poacher.got > closed + 1 + GRACE + 1
    }
    assert stuck == {}


def test_a_very_late_leave_without_a_known_expiry_shortens_nothing(site, begin, rules):
    visits = []
    for kind in ("edit", "hold"):
        key, page = begin(site, kind, expected=["status of 500"])
        rules.enter_context(site.rule(key, leave=True, postpone=18))
        with site.rule(key, method="PATCH", leave=False, answer="500", times=1):
            page.evaluate("LockTokens.renew_lock(...article)")
        page.reload()
        until_held(page)
        visits.append((kind, key, page))
    keys = [key for _, key, _ in visits]
    with poaching(site, *keys) as poachers:
        until(lambda: all(site.leaves(key)[0].status for key in keys), 25)
    for (kind, key, page), poacher in zip(visits, poachers, strict=True):
        (leave,) = site.leaves(key)
        assert leave.status == 412
        assert "If-Match" not in leave.headers
        assert "If-Unmodified-Since" in leave.headers
        assert poacher.got is None
        assert kind == "hold" or poacher.shortest > 3000
        assert site.lock(key).left > 3500
        assert not seen(page, "lost")


def test_a_second_tab_revives_the_lock_of_the_first(site, key, visit):
    first = visit(site, f"/hold/{key}/")
    token = site.lock(key).token
    with site.rule(key, method="PATCH", delay=1):
        site.let_expire(key)
        second = visit(site, f"/hold/{key}/", first.context)
    assert second.evaluate("held.get_token()") == token == site.lock(key).token
    count = len(seen(first, "renewed"))
    until(lambda: len(seen(first, "renewed")) > count + 1)
    assert not seen(first, "lost")


def test_closing_one_tab_keeps_the_lock_and_closing_both_frees_it(site, visit, rules):
    visits = []
    for kind in ("edit", "hold"):
        for late in (0, 2):
            key = site.article()
            rules.enter_context(site.rule(key, leave=True, postpone=late))
            first = visit(site, f"/{kind}/{key}/")
            second = visit(site, f"/{kind}/{key}/", first.context)
            tokens = {page.evaluate("held.get_token()") for page in (first, second)}
            assert tokens == {site.lock(key).token}
            visits.append((kind, key, first, second))
    keys = [key for _, key, *_ in visits]
    with poaching(site, *keys) as poachers:
        for number, (_, _, first, second) in enumerate(visits):
            (second if number % 2 else first).close()
        visits[0][3].wait_for_timeout(1000 * (GRACE + 3))
        assert [poacher.got for poacher in poachers] == [None] * len(visits)
        for kind, key, *_ in visits:
            assert len(site.leaves(key)) == 1
            assert site.lock(key).left > (3000 if kind == "edit" else GRACE)
        for number, (_, _, first, second) in enumerate(visits):
            (first if number % 2 else second).close()
        closed = time.time()
        until(lambda: all(poacher.got for poacher in poachers), GRACE + 2 + 5)
    for poacher, late in zip(poachers, (0, 2, 0, 2), strict=True):
        assert poacher.got < closed + late + GRACE + 1


def test_many_tabs_of_one_object_do_not_confuse_each_other(site, key, visit):
    pages = [visit(site, f"/edit/{key}/")]
    for _ in range(7):
        pages.append(visit(site, f"/edit/{key}/", pages[0].context))
    counts = [len(seen(page, "renewed")) for page in pages]
    # It tells the others, which then renew at the same moment.
    pages.pop().close()
    for page, count in zip(pages, counts, strict=False):
        until(lambda page=page, count=count: len(seen(page, "renewed")) > count)
        assert not seen(page, "uncertain")
        assert not seen(page, "lost")
    assert site.lock(key).left > 3500


def test_unlock_in_one_tab_tells_the_other(site, key, visit):
    first = visit(site, f"/edit/{key}/", frozen=True)
    second = visit(site, f"/edit/{key}/", first.context)
    past_the_beginning(second)
    assert call(first, "unlock", *article_of(key))[0] is True
    assert until_seen(second, "lost")["reason"] == "ended"
    assert names(first)[-1] == ("released", "unlocked")
    assert not seen(first, "lost")
    assert site.lock(key) is None


@pytest.fixture
def cached(window, caching_browser, site):
    return window(by=caching_browser, base_url=site.url)


def test_coming_back_from_the_cache_holds_the_lock_again(site, visit, cached):
    keys = [site.article(), site.article()]
    pages = [
        leave_and_come_back(site, visit, cached, kind, key, site.let_expire)
        for kind, key in zip(("edit", "hold"), keys, strict=True)
    ]
    for page, key in zip(pages, keys, strict=True):
        until(lambda page=page: names(page)[-1][0] == "renewed", page=page)
        until(lambda key=key: site.lock(key).left > GRACE)
    with poaching(site, *keys) as poachers:
        pages[0].wait_for_timeout(1000 * (GRACE + 1))
    assert [poacher.got for poacher in poachers] == [None, None]
    for page, key in zip(pages, keys, strict=True):
        assert not seen(page, "lost")
        # It lets go again.
        count = len(site.leaves(key))
        page.close()
        until(lambda key=key, count=count: len(site.leaves(key)) == count + 1)
        until(lambda key=key: site.lock(key).left < GRACE)


@pytest.mark.parametrize("kind", ["edit", "hold"])
def test_coming_back_from_the_cache_to_a_taken_lock_loses_it(
    site, key, visit, cached, kind
):

    def take(key):
        site.give_to(key, "bob")

    page = leave_and_come_back(site, visit, cached, kind, key, take)
    event = until_seen(page, "lost")
    assert (event["reason"], event["locked_by"]) == ("taken", "Bob Lindqvist")
    assert site.lock(key).token == "0" * 32


def leave_and_come_back(site, visit, cached, kind, key, meanwhile):
    page = visit(site, f"/{kind}/{key}/", cached)
    page.evaluate("window.here = true")
    page.goto("/elsewhere/")
    until(lambda: [entry.status for entry in site.leaves(key)] == [200])
    assert site.lock(key).left < GRACE
    meanwhile(key)
    page.evaluate("history.back()")
    until(lambda: page.url.endswith(f"/{kind}/{key}/"), page=page)
    assert page.evaluate("here")
    shows = "seen.filter((event) => event.name === 'pageshow')"
    until(lambda: [show["persisted"] for show in page.evaluate(shows)] == [False, True])
    return page


def test_back_with_a_renewal_still_on_its_way_keeps_the_lock(site, begin, cached):
    key, page = begin(site, "edit", cached)
    until_held(page)
    with site.rule(key, method="PATCH", leave=False, late=2.0, times=1):
        page.evaluate(
            "(key) => void LockTokens.renew_lock('tests', 'article', key)", key
        )
        page.wait_for_timeout(300)
        page.goto("/elsewhere/")
        until(lambda: [leave.status for leave in site.leaves(key)] == [200])
        with poaching(site, key) as (poacher,):
            page.wait_for_timeout(3000)
            page.evaluate("history.back()")
            until(lambda: page.url.endswith(f"/edit/{key}/"), page=page)
            page.wait_for_timeout(5000)
    assert poacher.got is None
    assert site.lock(key).left > 3000
