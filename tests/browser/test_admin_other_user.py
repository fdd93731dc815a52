"""Another user in a second tab, the times of a lock, and a script that saves."""

import re
from pathlib import Path

import pytest

from .editors import (
    BEFORE,
    MINE,
    at_work,
    change,
    edit,
    editor,
    picture,
    save,
    save_mine,
    until_kind,
    write,
    written,
)
from .site import until


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_a_page_of_alice_is_not_saved_as_bob(site, key, window, scheme, width):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = edit(at_work(window, site, "alice", **options), key)
    write(page, *MINE)
    tab = page.context.new_page()
    tab.goto("/sign-in/bob/")
    page.locator("[name=_save]").click()
    until_kind(page, "refused")
    note = page.locator(".lock-box").inner_text()
    assert "as Alice Moreau, and Bob Lindqvist is signed in now" in note
    assert written(page) == MINE
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture(page, f"other_user_{scheme}_{width}")
    assert site.saved(key) == BEFORE
    tab.goto("/admin/")
    tab.locator("#logout-form button").click()
    tab.goto("/sign-in/alice/")
    page.locator(".lock-box [name=_lock_again]:visible").first.click()
    until_kind(page, "again")
    assert written(page) == MINE
    save_mine(site, page, key)


def test_edit_here_instead_on_the_page_of_a_decorator(site, window):
    key = site.article()
    editor(window, site, "alice").goto(f"/edit/{key}/")
    page = editor(window, site, "alice", viewport={"width": 390, "height": 600})
    page.goto(f"/edit/{key}/")
    assert "You are already editing this" in page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "own_elsewhere")
    before = site.lock(key).token
    page.get_by_role("link", name="Edit here instead").click()
    until(lambda: site.lock(key).token != before, page=page)
    assert page.locator("h1", has_text="You are already editing this").count() == 0


def test_all_times_of_a_lock_are_those_of_the_server(site, key, window):
    edit(at_work(window, site, "alice"), key)
    page = editor(window, site, "bob", timezone_id="Asia/Tokyo", locale="ja")
    page.goto("/admin/tests/story/")
    listed = page.locator(".lock-state").last.inner_text()
    (time,) = re.findall(r"since (.+)", listed)
    page.goto(change(key))
    since = page.locator("time[data-lock-text=locked_at]").first
    assert since.inner_text() == time
    # The script writes it the same way when it hears of the lock again.
    since.evaluate("element => (element.textContent = '')")
    until(lambda: since.inner_text() == time, page=page)


def test_the_autosave_of_the_docs(site, key, window):
    page = edit(at_work(window, site, "alice"), key)
    docs = Path(__file__).parents[2] / "docs" / "admin.rst"
    (script,) = re.findall(
        r"    async function autosave.*?\n    }\n", docs.read_text(), re.DOTALL
    )
    for text in ("first", "second", "third"):
        write(page, "By Alice", text)
        assert page.evaluate(
            f"{{{script}\nautosave(document.getElementById('story_form'))}}"
        )
        assert site.saved(key) == ("By Alice", text)
    until(lambda: page.evaluate("lockEvents.length") > 3, page=page)
    assert page.locator("[name=_save]").is_enabled()
    write(page, "By Alice", "last")
    save(page)
    assert site.saved(key) == ("By Alice", "last")
