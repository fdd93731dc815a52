"""The admin's change pages under each of Django's CSRF set-ups, and under policies."""

import django
import pytest

from .editors import (
    BEFORE,
    MINE,
    another_tab,
    change,
    check_mine_is_kept,
    edit,
    events,
    go_on,
    kind,
    save,
    save_mine,
    submit_past_scripts,
    until_kind,
    until_state,
    wake,
    way_on,
    write,
    written,
)
from .site import CSRF_SETUPS, until

#: The settings of sites, beside Django's defaults.
SETUPS = {**CSRF_SETUPS}
if django.VERSION >= (6, 1):  # before it the admin's own scripts have no nonce
    SETUPS["nonce"] = {"NONCE": True}
PERMISSION = {
    "LOCK_TOKENS": {"API_PERMISSION": "lock_tokens.permissions.is_authenticated"}
}


@pytest.fixture(params=SETUPS)
def setup(request):
    return request.param


@pytest.fixture
def site(newsdesks, setup):
    return newsdesks(**SETUPS.get(setup, PERMISSION))


def setups(*names):
    """Ask under these alone."""
    return pytest.mark.parametrize(
        "setup",
        [name for name in names if name in {*SETUPS, "permission"}],
        indirect=True,
    )


def sign_in_again(page):
    """Sign in in another tab: from then on the CSRF token of the page is an old one."""
    tab = page.context.new_page()
    tab.goto("/sign-in/alice/")
    tab.close()


def test_to_open_edit_and_save_works(site, begin, setup):
    key, page = begin()
    assert site.holder(key) == "alice"
    with page.expect_navigation():
        page.locator("[name=_continue]").click()
    until(lambda: events(page, "renewed"), page=page)
    assert kind(page) == "held"
    assert site.saved(key) == MINE
    assert site.holder(key) == "alice"
    write(page, "Again", MINE[1])
    save(page)
    assert site.saved(key) == ("Again", MINE[1])
    assert site.lock(key, "story") is None
    if setup == "renamed":
        assert "csrftoken" not in {cookie["name"] for cookie in page.context.cookies()}


@pytest.mark.parametrize("when", ["at once", "after a while"])
def test_a_login_in_another_tab_does_not_keep_the_page_from_saving(
    site, key, enter, when
):
    page = edit(enter("alice", frozen=when == "after a while"), key)
    write(page, *MINE)
    if when == "after a while":
        page.clock.fast_forward(20_000)
    sign_in_again(page)
    save_mine(site, page, key)


@pytest.mark.parametrize(
    ("setup", "sent"),
    [*((each, False) for each in SETUPS), ("default", True), ("sessions", True)],
    indirect=["setup"],
)
def test_what_is_void_is_gone_on_with_after_a_login_in_another_tab(site, begin, sent):
    key, page = begin()
    site.delete_lock(key)
    site.sql("UPDATE tests_story SET headline = 'By Bob' WHERE id = ?", key)
    if sent:
        submit_past_scripts(page)
        assert kind(page) == "refused"
        assert written(page) == MINE
    else:
        wake(page)
        until_state(page, "ended")
    sign_in_again(page)
    go_on(page)
    assert site.saved(key) == ("By Bob", BEFORE[1])
    assert "By Bob" in page.locator(".lock-tokens").first.inner_text()
    sign_in_again(page)
    save_mine(site, page, key)


@setups("permission")
def test_signed_out_and_in_again_where_the_api_wants_a_user(site, begin):
    key, page = begin()
    site.end_session(page)
    wake(page)
    until_state(page, "signed_out", "out")
    assert not page.locator("[name=_save]").is_enabled()
    assert way_on(page, "Sign in").is_visible()
    assert site.saved(key) == BEFORE
    sign_in_again(page)
    wake(page)
    until_state(page, "held", "back")
    if way_on(page, "Go on with my text").is_visible():
        go_on(page)
    save_mine(site, page, key)


@setups("permission")
def test_taken_while_signed_out_is_never_saved_over(site, begin, enter):
    key, page = begin()
    page.context.clear_cookies(name="sessionid")
    wake(page)
    until_state(page, "signed_out", "out")
    site.let_expire(key)
    other = edit(enter("bob"), key)
    sign_in_again(page)
    wake(page)
    until_state(page, "taken")
    assert "Bob Lindqvist" in page.locator("#lock-tokens-bar").inner_text()
    check_mine_is_kept(site, page, key)
    page.locator("#id_headline").press("Enter")
    page.wait_for_timeout(200)
    check_mine_is_kept(site, page, key)
    assert site.holder(key) == "bob"
    save(other)


@setups("default", "nonce")
def test_the_policy_is_in_force_on_the_change_page(site, enter, setup):
    policy = (
        enter("alice").goto(change(site.story())).headers["content-security-policy"]
    )
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["style-src"] == "'self'"
    if setup == "nonce":
        assert parts["script-src"].startswith("'nonce-")
        assert "self" not in parts["script-src"]
    else:
        assert parts["script-src"] == "'self'"
    assert "unsafe" not in policy


@setups("nonce")
def test_under_a_policy_of_nonces_every_state_works(site, key, page, enter):
    reader = enter("bob")
    reader.goto(change(key))
    assert kind(reader) == "locked"
    tab = another_tab(page, key)
    until(lambda: "another tab" in page.locator(".lock-note").inner_text(), page=page)
    tab.close()
    save(page)
    wake(reader)
    until_state(reader, "free")
    way_on(reader, "Edit now").click()
    until_kind(reader, "held")
    assert site.holder(key) == "bob"
