"""Change pages of the admin whose lock another tab or person has, and what was typed."""

import pytest

from .editors import (
    BEFORE,
    MINE,
    THEIRS,
    another_tab,
    can_save,
    change,
    check_it_is_never_saved_over,
    check_mine_is_kept,
    edit,
    edit_and_leave,
    editor,
    events,
    freeze,
    go_on,
    go_on_and_save,
    kind,
    said,
    save,
    save_mine,
    submit_past_scripts,
    take_over,
    until_kind,
    until_state,
    wake,
    way_on,
    write,
    written,
)
from .site import GRACE, hide, until

pytestmark = pytest.mark.usefixtures("door")

#: Whether the refused form was sent all the same, or is still the page that was opened.
SENT = pytest.mark.parametrize("sent", [False, True], ids=["open", "sent"])


# The same page twice


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_tabs_either_saves_first_and_the_other_is_refused_and_keeps_its_text(
    site, key, enter, first
):
    tab = edit(enter("alice"), key)
    tabs = [tab, another_tab(tab, key)]
    other = tabs[1 - first]
    tokens = {tab.locator("[name=lock_token]").input_value() for tab in tabs}
    assert tokens == {site.lock(key, "story").token}
    write(other, *MINE)
    write(tabs[first], *THEIRS)
    save(tabs[first])
    assert site.saved(key) == THEIRS
    assert site.lock(key, "story") is None

    until_state(other, "ended")
    check_mine_is_kept(site, other, key, THEIRS)
    check_it_is_never_saved_over(site, other, key, THEIRS)
    go_on_and_save(site, other, key, THEIRS)


@pytest.mark.parametrize("closed", [0, 1])
def test_closing_one_of_two_tabs_keeps_the_lock_of_the_other(site, key, enter, closed):
    tab = edit(enter("alice"), key)
    alone = said(tab)
    tabs = [tab, another_tab(tab, key)]
    for page in tabs:
        until(lambda page=page: "another tab" in said(page), page=page)
        assert can_save(page)
    left = tabs[1 - closed]
    count = len(events(left, "renewed"))
    tabs[closed].close()
    until(lambda: said(left) == alone, page=left)
    until(lambda: len(events(left, "renewed")) > count, page=left)
    until(lambda: site.lock(key, "story").left > GRACE)
    assert site.holder(key) == "alice"
    assert not events(left, "lost")
    write(left, *MINE)
    save_mine(site, left, key)


@pytest.mark.parametrize("scripts", [True, False])
def test_the_stale_first_tab_is_refused(site, key, window, enter, scripts):
    if scripts:
        page = edit(enter("alice", frozen=True), key)
        freeze(page)
    else:
        page = editor(window, site, "alice", java_script_enabled=False)
        page.goto(change(key))
    write(page, *MINE)
    stale = site.lock(key, "story").token
    site.let_expire(key)
    edit_and_leave(enter("bob"), key)
    second = page.context.new_page()
    second.goto(change(key))
    until_kind(second, "held")
    assert written(second) == THEIRS
    fresh = site.lock(key, "story").token
    assert fresh != stale

    if scripts:
        page.clock.run_for(10_000)
        page.locator("[name=_save]").click()
        until_state(page, "tab")
        check_mine_is_kept(site, page, key, THEIRS)
        submit_past_scripts(page)
    else:
        with page.expect_response(lambda r: r.request.method == "POST") as answer:
            page.locator("[name=_save]").click()
        assert answer.value.status == 403
        until_kind(page, "refused")
    assert kind(page) == "refused"
    check_mine_is_kept(site, page, key, THEIRS)
    assert THEIRS[0] in said(page)
    # The second tab is none the worse for it.
    assert site.lock(key, "story").token == fresh
    assert site.holder(key) == "alice"


# Away


def test_six_minutes_in_a_hidden_tab_hold_the_lock(site, begin, enter):
    key, page = begin(frozen=True)
    hide(page, True)
    for _ in range(6):
        # The timers of a hidden tab run once in a minute.
        count = len(events(page, "renewed"))
        site.let_live(key, 300)
        page.clock.fast_forward(60_000)
        until(lambda count=count: len(events(page, "renewed")) > count, page=page)
    assert site.lock(key, "story").left > 290
    reader = enter("bob")
    reader.goto(change(key))
    assert kind(reader) == "locked"
    hide(page, False)
    assert not events(page, "lost")
    save_mine(site, page, key)


def test_after_two_hours_asleep_an_untouched_story_is_held_again_and_saved(site, begin):
    key, page = begin(frozen=True)
    token = site.lock(key, "story").token
    site.let_expire(key)
    assert site.holder(key) is None
    page.clock.fast_forward("02:00:00")
    until(lambda: "revived" in events(page, "renewed"), page=page)
    assert site.lock(key, "story").token == token
    assert site.holder(key) == "alice"
    assert can_save(page)
    save_mine(site, page, key)


def test_after_two_hours_asleep_a_taken_story_is_never_saved_over(site, begin, enter):
    key, page = begin(frozen=True)
    site.let_expire(key)
    other = edit(enter("bob"), key)
    write(other, *THEIRS)
    page.clock.fast_forward("02:00:00")
    until_state(page, "taken")
    assert "Bob Lindqvist" in said(page)
    check_it_is_never_saved_over(site, page, key)
    assert "Bob Lindqvist" in said(page)
    assert site.holder(key) == "bob"
    save(other)
    assert site.saved(key) == THEIRS
    wake(page)
    until_state(page, "freed")
    go_on_and_save(site, page, key, THEIRS)


def test_after_two_hours_asleep_a_story_that_was_edited_is_saved_knowingly(
    site, begin, enter
):
    key, page = begin(frozen=True)
    site.let_expire(key)
    edit_and_leave(enter("bob"), key)
    assert site.lock(key, "story") is None
    page.clock.fast_forward("02:00:00")
    until_state(page, "ended", "freed")
    check_mine_is_kept(site, page, key, THEIRS)
    go_on_and_save(site, page, key, THEIRS)


# Taken over


@SENT
def test_whoever_is_taken_over_is_told_by_whom_and_keeps_the_text(
    site, begin, enter, sent
):
    key, page = begin()
    chief = enter("carol")
    take_over(chief, key)
    assert site.holder(key) == "carol"
    ((who, message),) = site.logged(key)
    assert who == "carol"
    assert "Alice Moreau" in message

    until_state(page, "taken", seconds=5)  # at its next renewal
    assert "Carol Okafor" in said(page)
    assert not way_on(page, "Go on with my text").is_visible()
    assert way_on(page, "Copy my text").is_visible()
    assert not page.locator("[name=_take_over]").first.is_visible()
    if sent:
        check_it_is_never_saved_over(site, page, key)
        assert "Carol Okafor" in said(page)

    write(chief, *THEIRS)
    save(chief)
    wake(page)
    until_state(page, "freed")
    check_mine_is_kept(site, page, key, THEIRS)
    go_on_and_save(site, page, key, THEIRS)


def test_a_chief_takes_a_story_back_with_the_text_that_was_typed(site, begin, enter):
    key, page = begin("carol")
    site.let_expire(key)
    other = edit(enter("bob"), key)
    wake(page)
    until_state(page, "taken")
    assert "Bob Lindqvist" in said(page)
    page.locator("summary:visible").first.click()
    page.locator("[name=_take_over]:visible").first.click()
    until_kind(page, "again")
    assert site.holder(key) == "carol"
    wake(other)
    until_state(other, "taken")
    assert "Carol Okafor" in said(other)
    save_mine(site, page, key)


@SENT
def test_to_edit_here_instead_in_another_browser_tells_the_first(
    site, begin, enter, sent
):
    key, page = begin()
    token = site.lock(key, "story").token
    second = enter("alice")
    second.goto(change(key))
    assert kind(second) == "elsewhere"
    assert not can_save(second)
    assert site.lock(key, "story").token == token
    way_on(second, "Edit here instead").click()
    until_kind(second, "held")
    assert can_save(second)
    assert site.holder(key) == "alice"
    assert site.lock(key, "story").token != token

    until_state(page, "mine", seconds=5)
    assert not way_on(page, "Go on with my text").is_visible()
    if sent:
        check_it_is_never_saved_over(site, page, key)
    go_on(page, "Go on here instead")
    assert site.saved(key) == BEFORE
    wake(second)
    until_state(second, "mine")
    save_mine(site, page, key)


# Taken over while it is being saved


@pytest.mark.parametrize(
    "save_is", [{"delay": 1.5}, {"late": 1.5}], ids=["late", "done"]
)
def test_taken_over_while_a_save_is_on_its_way(site, begin, enter, save_is):
    """A save that comes too late keeps its text; one that is done is shown."""
    is_done = "late" in save_is
    key, page = begin()
    chief = enter("carol")
    chief.goto(change(key))
    chief.locator("summary").click()
    with site.rule(path=change(key), method="POST", times=1, **save_is):
        page.locator("[name=_save]").click(no_wait_after=True)
        until(lambda: change(key) in [r.path for r in site.requests(method="POST")])
        if is_done:
            until(lambda: site.saved(key) == MINE)
            assert site.lock(key, "story") is None
        chief.locator("details[open] [name=_take_over]").click()
        until_kind(chief, "held")
    assert site.holder(key) == "carol"
    if is_done:
        page.wait_for_url("**/admin/tests/story/")
        assert written(chief) == site.saved(key) == MINE
        return
    until_kind(page, "refused")
    assert "Carol Okafor" in said(page)
    check_mine_is_kept(site, page, key)
    write(chief, *THEIRS)
    save(chief)
    assert site.saved(key) == THEIRS
