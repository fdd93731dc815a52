"""Change pages of the admin without a connection, without a server, and signed out."""

import pytest

from .editors import (
    BEFORE,
    MINE,
    can_save,
    check_mine_is_kept,
    edit,
    events,
    go_on,
    go_on_and_save,
    said,
    save_mine,
    sign_in,
    sign_out,
    submit_past_scripts,
    take_over,
    until_state,
    wake,
    way_on,
    write,
    written,
)
from .site import until

NETWORK = ["net::ERR_"]
TROUBLE = ["status of 500", "status of 502", "status of 503", *NETWORK]


# Without a connection


def test_offline_it_says_so_and_can_be_saved_when_online_again(site, begin):
    key, page = begin()
    page.context.watch.expected += NETWORK
    write(page, "By", MINE[1])
    page.context.set_offline(True)
    until_state(page, "offline")
    assert not can_save(page)
    page.locator("#id_headline").press("End")
    page.keyboard.type(" Alice")
    check_mine_is_kept(site, page, key)
    page.locator("#id_headline").press("Enter")
    assert written(page) == MINE
    page.context.set_offline(False)
    until_state(page, "held")
    assert can_save(page)
    save_mine(site, page, key)


@pytest.mark.parametrize("answer", ["500", "502", "503", "close"])
def test_while_the_server_has_a_problem_it_says_so_and_then_it_can_be_saved(
    site, begin, answer
):
    key, page = begin()
    page.context.watch.expected += TROUBLE
    with site.rule(path="/", answer=answer):
        wake(page)
        until_state(page, "offline", "server")
        check_mine_is_kept(site, page, key)
    wake(page)
    until_state(page, "held")
    assert site.holder(key) == "alice"
    save_mine(site, page, key)


def test_a_save_right_after_the_connection_went_asks_first_and_loses_nothing(
    site, begin
):
    key, page = begin()
    page.context.watch.expected += NETWORK
    page.evaluate(
        """window.addEventListener("offline", () =>
        document.querySelector("[name=_save]").click())"""
    )
    page.context.set_offline(True)
    page.wait_for_timeout(500)
    until_state(page, "offline")
    check_mine_is_kept(site, page, key)
    page.context.set_offline(False)
    until_state(page, "held")
    save_mine(site, page, key)


@pytest.mark.parametrize("answer", ["500", "close"])
@pytest.mark.parametrize("way", ["at once", "after a while"])
def test_a_save_that_fails_on_its_way_is_there_to_be_sent_again(
    site, enter, begin, answer, way
):
    if way == "after a while":
        key, page = begin(frozen=True)
        page.clock.run_for(20_000)
    else:
        key = site.story()
        page = edit(enter("alice", frozen=True), key)
        write(page, *MINE)
    page.context.watch.expected += TROUBLE
    with site.rule(path="/", answer=answer):
        # Nothing has told the page yet.
        page.locator("[name=_save]").click(no_wait_after=True)
        until_state(page, "offline", "server")
        check_mine_is_kept(site, page, key)
    wake(page)
    until(lambda: can_save(page), page=page)
    save_mine(site, page, key)


# Signed out


def test_whoever_signs_out_in_another_tab_is_told_so_and_goes_on_after_signing_in(
    site, begin, enter
):
    key, page = begin()
    other_tab = page.context.new_page()
    other_tab.goto("/admin/")
    sign_out(other_tab)
    assert site.lock(key, "story") is None
    wake(page)
    until_state(page, "out")
    check_mine_is_kept(site, page, key)
    assert way_on(page, "Sign in").is_visible()
    assert not way_on(page, "Go on with my text").is_visible()
    out = said(page)

    with page.context.expect_page() as opened:
        way_on(page, "Sign in").click()
    sign_in(opened.value, "alice")
    opened.value.wait_for_url("**/admin/**/change/")
    opened.value.close()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    until_state(page, "back")
    check_mine_is_kept(site, page, key)
    go_on_and_save(site, page, key, BEFORE)

    # Another message than of a lock that was taken over.
    edit(page, key)
    take_over(enter("carol"), key)
    wake(page)
    until_state(page, "taken")
    assert not {*said(page).splitlines()} & {
        line for line in out.splitlines() if "signed" in line.lower()
    }


def test_a_save_after_the_session_ended_shows_all_that_was_typed(site, begin):
    key, page = begin()
    site.end_session(page)  # as from another browser: nobody tells this one
    submit_past_scripts(page)
    way_on(page, "Sign in").wait_for()
    typed = [area.input_value() for area in page.locator("textarea").all()]
    assert {*MINE} <= {*typed}
    assert site.saved(key) == BEFORE

    # As the page says: sign in in a new tab, go back, save again.
    site.let_expire(key)
    page.context.new_page().goto("/sign-in/alice/")
    page.go_back()
    until(lambda: events(page, "renewed") or events(page, "lost"), page=page)
    until(lambda: can_save(page) or way_on(page, "Go on").is_visible(), page=page)
    assert written(page) == MINE
    if not can_save(page):
        go_on(page)
    save_mine(site, page, key)
