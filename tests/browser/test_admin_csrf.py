"""The admin's change pages under each of Django's CSRF set-ups, and under policies."""

import django
import pytest

from .editors import (
    Newsdesk,
    another_tab,
    at_work,
    change,
    edit,
    events,
    kind,
    save,
    submit_past_scripts,
    until_kind,
    until_state,
    wake,
    way_on,
    write,
    written,
)
from .site import until

MINE = ("By Alice", "Mine,\nall of it.")
BEFORE = ("One", "As it was.")
SETUPS = {
    "default": {},
    "sessions": {"CSRF_USE_SESSIONS": True},
    "httponly": {"CSRF_COOKIE_HTTPONLY": True},
    "renamed": {
        "CSRF_COOKIE_NAME": "not.forged",
        "CSRF_HEADER_NAME": "HTTP_X_NOT_FORGED",
    },
}
if django.VERSION >= (6, 1):  # before it the admin's own scripts have no nonce
    SETUPS["nonce"] = {"NONCE": True}
PERMISSION = {"API_PERMISSION": "lock_tokens.permissions.is_authenticated"}


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """One site for each set-up, begun when a test wants it."""
    sites = {}

    def begun(setup, **more):
        if setup not in sites:
            settings = {**SETUPS.get(setup, {}), **more}
            sites[setup] = Newsdesk(tmp_path_factory.mktemp("site"), **settings)
            sites[setup].launch().wait()
        return sites[setup]

    yield begun
    for site in sites.values():
        site.stop()
    for site in sites.values():
        assert "Traceback" not in site.output()


def sign_in_again(page):
    """Sign in in another tab: from then on the CSRF token of the page is an old one."""
    tab = page.context.new_page()
    tab.goto("/sign-in/alice/")
    tab.close()


@pytest.mark.parametrize("setup", SETUPS)
def test_to_open_edit_and_save_works(sites, window, setup):
    site = sites(setup)
    key = site.story()
    page = edit(at_work(window, site, "alice"), key)
    assert site.holder(key) == "alice"
    write(page, *MINE)
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


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("when", ["at once", "after a while"])
def test_a_login_in_another_tab_does_not_keep_the_page_from_saving(
    sites, window, setup, when
):
    site = sites(setup)
    key = site.story()
    page = at_work(window, site, "alice", frozen=when == "after a while")
    edit(page, key)
    write(page, *MINE)
    if when == "after a while":
        page.clock.fast_forward(20_000)
    sign_in_again(page)
    save(page)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


@pytest.mark.parametrize("setup", SETUPS)
def test_what_is_void_is_gone_on_with_after_a_login_in_another_tab(
    sites, window, setup
):
    site = sites(setup)
    key = site.story()
    page = edit(at_work(window, site, "alice"), key)
    write(page, *MINE)
    site.delete_lock(key)
    site.sql("UPDATE tests_story SET headline = 'By Bob' WHERE id = ?", key)
    wake(page)
    until_state(page, "ended")
    sign_in_again(page)
    way_on(page, "Go on with my text").click()
    until_kind(page, "again")
    assert written(page) == MINE
    assert site.saved(key) == ("By Bob", BEFORE[1])
    assert "By Bob" in page.locator(".lock-tokens").first.inner_text()
    sign_in_again(page)
    save(page)
    assert site.saved(key) == MINE


@pytest.mark.parametrize("setup", ["default", "sessions"])
def test_a_form_that_was_refused_is_gone_on_with_after_a_login_in_another_tab(
    sites, window, setup
):
    site = sites(setup)
    key = site.story()
    page = edit(at_work(window, site, "alice"), key)
    write(page, *MINE)
    site.delete_lock(key)
    site.sql("UPDATE tests_story SET headline = 'By Bob' WHERE id = ?", key)
    submit_past_scripts(page)
    assert kind(page) == "refused"
    assert written(page) == MINE
    sign_in_again(page)
    way_on(page, "Go on with my text").click()
    until_kind(page, "again")
    assert written(page) == MINE
    save(page)
    assert site.saved(key) == MINE


def test_signed_out_and_in_again_where_the_api_wants_a_user(sites, window):
    site = sites("permission", LOCK_TOKENS=PERMISSION)
    key = site.story()
    page = edit(at_work(window, site, "alice"), key)
    write(page, *MINE)
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "sessionid"]
    site.sql("DELETE FROM django_session WHERE session_key = ?", cookie["value"])
    wake(page)
    until_state(page, "signed_out", "out")
    assert not page.locator("[name=_save]").is_enabled()
    assert way_on(page, "Sign in").is_visible()
    assert site.saved(key) == BEFORE
    sign_in_again(page)
    wake(page)
    until_state(page, "held", "back")
    assert written(page) == MINE
    if way_on(page, "Go on with my text").is_visible():
        way_on(page, "Go on with my text").click()
        until_kind(page, "again")
    save(page)
    assert site.saved(key) == MINE


def test_taken_while_signed_out_is_never_saved_over(sites, window):
    site = sites("permission", LOCK_TOKENS=PERMISSION)
    key = site.story()
    page = edit(at_work(window, site, "alice"), key)
    write(page, *MINE)
    page.context.clear_cookies(name="sessionid")
    wake(page)
    until_state(page, "signed_out", "out")
    site.let_expire(key)
    other = edit(at_work(window, site, "bob"), key)
    sign_in_again(page)
    wake(page)
    until_state(page, "taken")
    assert "Bob Lindqvist" in page.locator("#lock-tokens-bar").inner_text()
    assert written(page) == MINE
    assert not page.locator("[name=_save]").is_enabled()
    page.locator("#id_headline").press("Enter")
    page.wait_for_timeout(200)
    assert written(page) == MINE
    assert site.saved(key) == BEFORE
    assert site.holder(key) == "bob"
    save(other)


@pytest.mark.parametrize("setup", ["default", *({"nonce"} & {*SETUPS})])
def test_the_policy_is_in_force_on_the_change_page(sites, window, setup):
    site = sites(setup)
    key = site.story()
    context = window(base_url=site.url)
    page = context.new_page()
    page.goto("/sign-in/alice/")
    policy = page.goto(change(key)).headers["content-security-policy"]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["style-src"] == "'self'"
    if setup == "nonce":
        assert parts["script-src"].startswith("'nonce-")
        assert "self" not in parts["script-src"]
    else:
        assert parts["script-src"] == "'self'"
    assert "unsafe" not in policy


@pytest.mark.skipif("nonce" not in SETUPS, reason="The admin has nonces from 6.1 on.")
def test_under_a_policy_of_nonces_every_state_works(sites, window):
    site = sites("nonce")
    key = site.story()
    page = edit(at_work(window, site, "alice"), key)
    reader = at_work(window, site, "bob")
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
