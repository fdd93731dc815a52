"""The page that gives a form back, in a browser: one press saves it."""

import pytest

from .editors import MINE, change, editor, picture, sign_in, submit_past_scripts, write
from .site import until


def sign_in_in_a_new_tab(page):
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in (new tab)").click()
    opened.value.wait_for_load_state()
    sign_in(opened.value, "alice")
    opened.value.wait_for_url("**/admin/")


def save_now(site, page, key):
    page.get_by_role("button", name="Save now").first.click()
    page.wait_for_url("**/admin/tests/story/")
    until(lambda: site.saved(key) == MINE, page=page)
    assert site.lock(key, "story") is None


@pytest.fixture
def typed(site, window, key):
    """Return a page into which Alice has typed."""

    def typed(**options):
        page = editor(window, site, "alice", **options)
        page.goto(change(key))
        write(page, *MINE)
        page.locator("#id_comment_set-0-text").fill("A remark")
        return page

    return typed


@pytest.fixture
def sent_while_signed_out(site, typed):
    def sent(**options):
        page = typed(**options)
        site.end_session(page)
        if options.get("java_script_enabled", True):
            submit_past_scripts(page)
        else:
            page.locator("[name=_save]").click()
        page.get_by_text("You were signed out before you saved").wait_for()
        assert page.get_by_label("Headline").input_value() == MINE[0]
        assert page.get_by_label("Comment #1: Text").input_value() == "A remark"
        return page

    return sent


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_one_press_saves_after_signing_in_in_another_tab(
    site, key, sent_while_signed_out, scheme, width
):
    viewport = {"width": width, "height": 800}
    page = sent_while_signed_out(viewport=viewport, color_scheme=scheme)
    picture(page, f"signed_out_{scheme}_{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sign_in_in_a_new_tab(page)
    save_now(site, page, key)


def test_without_a_script_two_presses_save(site, key, sent_while_signed_out):
    page = sent_while_signed_out(java_script_enabled=False)
    sign_in_in_a_new_tab(page)
    page.get_by_role("button", name="Save now").first.click()
    page.get_by_text("You have signed in or out").wait_for()
    picture(page, "outdated")
    save_now(site, page, key)


def test_without_a_script_an_old_csrf_token_does_not_lose_the_text(site, key, typed):
    page = typed(java_script_enabled=False)
    page.context.new_page().goto("/sign-in/alice/")
    page.locator("[name=_save]").click()
    page.get_by_text("You have signed in or out").wait_for()
    save_now(site, page, key)


def test_a_lost_permission(site, key, typed):
    page = typed()
    table = "auth_user_user_permissions"
    permissions = site.sql(f"SELECT user_id, permission_id FROM {table}")
    site.sql(f"DELETE FROM {table}")
    submit_past_scripts(page)
    page.get_by_text("You are no longer allowed to change this.").wait_for()
    picture(page, "forbidden")
    for row in permissions:
        site.sql(f"INSERT INTO {table} (user_id, permission_id) VALUES (?, ?)", *row)
    save_now(site, page, key)
