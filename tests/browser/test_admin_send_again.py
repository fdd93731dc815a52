"""The page that gives a form back, in a browser: one press saves it."""

import os
from pathlib import Path

import pytest

from .editors import Newsdesk, change, editor, submit_past_scripts, write
from .site import until

MINE = ("By Alice", "Mine,\nall of it.")
PICTURES = os.environ.get("PICTURES")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Newsdesk(tmp_path_factory.mktemp("site"))
    site.launch().wait()
    yield site
    site.stop()
    assert "Traceback" not in site.output()


def lose_session(site, page):
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "sessionid"]
    site.sql("DELETE FROM django_session WHERE session_key = ?", cookie["value"])


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def sign_in_in_a_new_tab(page):
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in (new tab)").click()
    opened.value.wait_for_load_state()
    opened.value.locator("#id_username").fill("alice")
    opened.value.locator("#id_password").fill("alice")
    opened.value.locator("[type=submit]").click()
    opened.value.wait_for_url("**/admin/")


def typed(site, window, **options):
    key = site.story()
    page = editor(window, site, "alice", **options)
    page.goto(change(key))
    write(page, *MINE)
    page.locator("#id_comment_set-0-text").fill("A remark")
    return key, page


def sent_while_signed_out(site, window, **options):
    key, page = typed(site, window, **options)
    lose_session(site, page)
    if options.get("java_script_enabled", True):
        submit_past_scripts(page)
    else:
        page.locator("[name=_save]").click()
    page.get_by_text("You were signed out before you saved").wait_for()
    assert page.get_by_label("Headline").input_value() == MINE[0]
    assert page.get_by_label("Comment #1: Text").input_value() == "A remark"
    return key, page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_one_press_saves_after_signing_in_in_another_tab(site, window, scheme, width):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    key, page = sent_while_signed_out(site, window, **options)
    picture(page, f"signed_out_{scheme}_{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sign_in_in_a_new_tab(page)
    page.get_by_role("button", name="Save now").first.click()
    page.wait_for_url("**/admin/tests/story/")
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


def test_without_a_script_two_presses_save(site, window):
    key, page = sent_while_signed_out(site, window, java_script_enabled=False)
    sign_in_in_a_new_tab(page)
    page.get_by_role("button", name="Save now").first.click()
    page.get_by_text("You have signed in or out").wait_for()
    picture(page, "outdated")
    page.get_by_role("button", name="Save now").first.click()
    page.wait_for_url("**/admin/tests/story/")
    assert site.saved(key) == MINE


def test_without_a_script_an_old_csrf_token_does_not_lose_the_text(site, window):
    key, page = typed(site, window, java_script_enabled=False)
    page.context.new_page().goto("/sign-in/alice/")
    page.locator("[name=_save]").click()
    page.get_by_text("You have signed in or out").wait_for()
    page.get_by_role("button", name="Save now").first.click()
    page.wait_for_url("**/admin/tests/story/")
    assert site.saved(key) == MINE


def test_a_lost_permission(site, window):
    key, page = typed(site, window)
    permissions = site.sql(
        "SELECT user_id, permission_id FROM auth_user_user_permissions"
    )
    site.sql("DELETE FROM auth_user_user_permissions")
    submit_past_scripts(page)
    page.get_by_text("You are no longer allowed to change this.").wait_for()
    picture(page, "forbidden")
    for row in permissions:
        site.sql(
            "INSERT INTO auth_user_user_permissions (user_id, permission_id)"
            " VALUES (?, ?)",
            *row,
        )
    page.get_by_role("button", name="Save now").first.click()
    page.wait_for_url("**/admin/tests/story/")
    until(lambda: site.saved(key) == MINE, page=page)
