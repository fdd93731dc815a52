"""What pages of the admin keep of a form: rows, popups, deletions, other templates."""

import re
from pathlib import Path

import pytest

from .editors import (
    BEFORE,
    MINE,
    THEIRS,
    can_save,
    change,
    edit,
    edit_and_leave,
    events,
    freeze,
    go_on,
    kind,
    press_go_on,
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
from .site import GRACE, address, hide, until

# All that was typed


@pytest.fixture
def keywords(site):
    """Two keywords, by their keys."""
    site.sql("INSERT INTO tests_keyword (name) VALUES ('Harbour'), ('Weather')")
    return [key for (key,) in site.sql("SELECT id FROM tests_keyword LIMIT 2")]


def fill_in_everything(page):
    write(page, *MINE)
    page.locator("#id_is_urgent").check()
    page.locator("#id_keywords_from option").first.wait_for(state="attached")
    page.locator("#id_keywords_from").select_option(label="Weather")
    page.locator(".selector-chooser .selector-add").click()
    page.locator("#id_comment_set-0-text").fill("A first remark")
    page.get_by_role("link", name="Add another Comment").or_(
        page.get_by_role("button", name="Add another Comment")
    ).first.click()
    page.locator("#id_comment_set-1-text").fill("And a second")


def check_everything_is_shown(page):
    assert written(page) == MINE
    assert page.locator("#id_is_urgent").is_checked()
    for number, text in enumerate(["A first remark", "And a second"]):
        field = page.locator(f"#id_comment_set-{number}-text")
        assert field.input_value() == text
        assert field.is_editable()
    page.locator("#id_keywords_to option").first.wait_for(state="attached")
    chosen = page.locator("#id_keywords_to option").all_inner_texts()
    assert [text.strip() for text in chosen] == ["Weather"]


def check_nothing_of_it_is_saved(site, key):
    assert site.saved(key) == BEFORE
    for table in ("tests_comment", "tests_story_keywords"):
        assert site.sql(f"SELECT * FROM {table} WHERE story_id = ?", key) == []
    ((is_urgent,),) = site.sql("SELECT is_urgent FROM tests_story WHERE id = ?", key)
    assert not is_urgent


@pytest.mark.parametrize("clipboard", [True, False])
def test_a_refused_page_shows_inlines_and_many_to_many_and_copies_them(
    site, key, enter, keywords, clipboard
):
    page = enter("alice", frozen=True)
    if clipboard:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:
        # As without HTTPS.
        page.context.add_init_script(
            "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
        )
    edit(page, key)
    freeze(page)
    fill_in_everything(page)
    # It is taken between the page's question and its save.
    with site.rule(path=change(key), method="POST", delay=3, times=1):
        page.locator("[name=_save]").click(no_wait_after=True)
        until(lambda: change(key) in [r.path for r in site.requests(method="POST")])
        site.give_to(key, "bob")
    until_kind(page, "refused")
    check_everything_is_shown(page)
    check_nothing_of_it_is_saved(site, key)

    way_on(page, "Copy my text").click()
    if clipboard:
        until(lambda: page.evaluate("navigator.clipboard.readText()"), page=page)
        copied = page.evaluate("navigator.clipboard.readText()")
    else:
        lock_key = page.locator("[data-lock-copy]:visible").first
        lock_key.wait_for()
        copied = lock_key.input_value()
        assert lock_key.evaluate(
            "(e) => e === document.activeElement && e.selectionEnd"
        )
    for text in (*MINE, "Weather", "A first remark", "And a second"):
        assert text in copied
    assert "Harbour" not in copied


# Before deferred scripts run
OUTSIDE = """
document.addEventListener("readystatechange", () => {
  if (document.readyState !== "interactive") return;
  const parts = document.querySelectorAll(".lock-end, #lock-tokens-bar");
  document.querySelector("#content")?.append(...parts);
});
"""


@pytest.mark.parametrize("sent", [False, True], ids=["open", "sent"])
def test_the_lower_buttons_work_in_a_theme_that_has_them_outside_the_form(
    site, key, enter, sent
):
    page = enter("alice", frozen=True)
    page.context.add_init_script(OUTSIDE)
    edit(page, key)
    freeze(page)
    write(page, *MINE)
    site.let_expire(key)
    edit_and_leave(enter("bob"), key)
    wake(page)
    until_state(page, "ended", "freed")
    if sent:
        submit_past_scripts(page)
        until_kind(page, "refused")
    part = page.locator(".lock-end" if sent else "#lock-tokens-bar")
    part.get_by_role("button", name="Go on with my text").click()
    until_kind(page, "again")
    assert written(page) == MINE


# Without the admin's stylesheets, whose variables themes do not have
COLOURS = """(dark) => {
  for (const link of document.querySelectorAll("link[href*='/admin/css/']")) link.remove();
  document.documentElement.removeAttribute("data-theme");
  document.documentElement.classList.toggle("dark", dark);
  const bar = document.getElementById("lock-tokens-bar");
  return [bar, bar.querySelector(".lock-button:not([hidden])")].map((element) => {
    const { backgroundColor, color, borderTopStyle } = getComputedStyle(element);
    return [backgroundColor, color, borderTopStyle];
  });
}"""


def test_a_theme_without_the_admins_colours_has_opaque_notes_and_buttons_with_a_box(
    begin, enter
):
    key, page = begin()
    take_over(enter("carol"), key)
    until_state(page, "taken")
    red, white = "rgb(255, 239, 239)", "rgb(255, 255, 255)"
    text = "rgb(51, 51, 51)"
    assert page.evaluate(COLOURS, False) == [
        [red, text, "solid"],
        [white, text, "solid"],
    ]
    red, black = "rgb(87, 8, 8)", "rgb(18, 18, 18)"
    text = "rgb(238, 238, 238)"
    assert page.evaluate(COLOURS, True) == [
        [red, text, "solid"],
        [black, text, "solid"],
    ]


# As django-grappelli does with buttons
SQUEEZE = """() => {
  const theme = new CSSStyleSheet();
  theme.replaceSync("form button, form a { width: 26px; height: 26px; padding: 0; }");
  document.adoptedStyleSheets = [theme];
}"""


def test_a_theme_that_squeezes_buttons_leaves_those_of_the_lock_legible(begin, enter):
    key, page = begin()
    take_over(enter("carol"), key)
    until_state(page, "taken")
    page.evaluate(SQUEEZE)
    button = way_on(page, "Copy my text")
    assert button.evaluate("(e) => [e.scrollWidth, e.scrollHeight]") == button.evaluate(
        "(e) => [e.clientWidth, e.clientHeight]"
    )
    assert button.bounding_box()["width"] > 60


# An editor in a frame in place of the field. It writes into the field when it is asked.
RICH_TEXT = """
addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("id_body");
  if (!field) return;
  const frame = document.createElement("iframe");
  field.after(frame);
  field.hidden = true;
  const { body } = frame.contentDocument;
  body.contentEditable = true;
  body.innerText = field.value;
  field.form.addEventListener("lock_tokens.sync", () => (field.value = body.innerText));
});
"""


@pytest.fixture
def rich_text(enter):
    """Let somebody in who has the editor on every page."""

    def entered(username, **options):
        page = enter(username, **options)
        page.context.add_init_script(RICH_TEXT)
        return page

    return entered


def type_rich_text(page, text):
    page.frame_locator("iframe").locator("body").click()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def test_copy_my_text_has_what_was_just_typed_in_a_rich_text_editor(
    key, rich_text, enter
):
    page = rich_text("alice", permissions=["clipboard-read", "clipboard-write"])
    edit(page, key)
    take_over(enter("carol"), key)
    until_state(page, "taken")
    type_rich_text(page, "Typed just now.")
    assert page.locator("#id_body").input_value() == BEFORE[1]
    way_on(page, "Copy my text").click()
    until(lambda: page.evaluate("navigator.clipboard.readText()"), page=page)
    assert "Typed just now." in page.evaluate("navigator.clipboard.readText()")


def test_a_save_has_what_was_just_typed_in_a_rich_text_editor(site, key, rich_text):
    page = edit(rich_text("alice"), key)
    type_rich_text(page, "Typed just now.")
    save(page)
    assert site.saved(key) == (BEFORE[0], "Typed just now.")


def test_the_line_of_the_docs_for_tinymce(site, enter):
    docs = Path(__file__).parents[2] / "docs" / "admin.rst"
    (line,) = re.findall(
        r"    (.*window\.tinymce\?\.triggerSave\(\)\);)", docs.read_text()
    )
    key = site.story()
    page = edit(enter("alice"), key)
    page.evaluate(
        """() => {
        const field = document.getElementById("id_body");
        window.tinymce = { triggerSave: () => (field.value = "Typed just now.") };
    }"""
    )
    page.evaluate(line)
    save(page)
    assert site.saved(key) == (BEFORE[0], "Typed just now.")


@pytest.mark.parametrize("typed", [True, False])
def test_leaving_asks_about_what_was_typed_in_a_rich_text_editor(key, rich_text, typed):
    page = edit(rich_text("alice"), key)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    if typed:
        type_rich_text(page, "Typed just now.")
    else:
        page.frame_locator("iframe").locator("body").click()
    page.goto("/admin/")
    assert asked == (["beforeunload"] if typed else [])


def test_all_of_it_is_still_there_to_go_on_with_and_is_saved(
    site, key, enter, keywords
):
    page = edit(enter("alice", frozen=True), key)
    freeze(page)  # or it might renew before Bob comes
    fill_in_everything(page)
    site.let_expire(key)
    edit_and_leave(enter("bob"), key)
    wake(page)
    until_state(page, "ended", "freed")
    go_on(page)
    check_everything_is_shown(page)
    assert site.saved(key) == THEIRS
    save_mine(site, page, key)
    comments = site.sql("SELECT text FROM tests_comment WHERE story_id = ?", key)
    assert sorted(comments) == [("A first remark",), ("And a second",)]
    assert site.sql(
        "SELECT name FROM tests_story_keywords"
        " JOIN tests_keyword ON tests_keyword.id = keyword_id WHERE story_id = ?",
        key,
    ) == [("Weather",)]


# Deleting

SURE = "#content form [type=submit]:not(.lock-tokens *)"


def test_the_question_whether_to_delete_holds_the_story_and_tells_when_it_is_taken(
    site, key, enter
):
    page = edit(enter("alice"), f"/admin/tests/story/{key}/delete/")
    assert site.holder(key) == "alice"
    reader = enter("bob")
    reader.goto(change(key))
    assert kind(reader) == "locked"
    sure = page.locator(SURE)
    assert sure.is_enabled()
    take_over(enter("carol"), key)
    wake(page)
    until_state(page, "taken")
    assert "Carol Okafor" in said(page)
    assert not sure.is_enabled()
    submit_past_scripts(page)
    assert page.locator(".messagelist").is_visible()
    assert kind(page) == "locked"
    assert "Carol Okafor" in said(page)
    assert site.saved(key) == BEFORE
    assert site.holder(key) == "carol"


def test_the_question_whether_to_delete_is_answered(site, key, enter):
    page = edit(enter("alice"), f"/admin/tests/story/{key}/delete/")
    page.locator(SURE).click()
    page.wait_for_url("**/admin/tests/story/")
    assert site.sql("SELECT * FROM tests_story WHERE id = ?", key) == []
    assert site.lock(key, "story") is None


# Pages of other kinds


@pytest.fixture
def desk(site):
    """A desk to which a shift points by its name; the desk's key."""
    site.sql("INSERT INTO tests_desk (name, telephone) VALUES ('night', '1')")
    site.sql("INSERT INTO tests_shift (desk_id) VALUES ('night')")
    yield site.newest("desk")
    site.sql("DELETE FROM tests_shift")
    site.sql("DELETE FROM tests_desk")


@pytest.fixture
def popup(site, enter, desk):
    """The desk in a popup, which the form of its shift has opened."""
    page = enter("alice")
    page.goto(f"/admin/tests/shift/{site.newest('shift')}/change/")
    with page.expect_popup() as opened:
        page.locator("#change_id_desk").click()

    def renewed():  # `events` are of the page that is there before a popup's first
        requests = site.requests(method="PATCH", status=200)
        return any(each.path.startswith(address(desk, "desk")) for each in requests)

    until(renewed, page=opened.value)
    assert site.lock(desk, "desk").locked_by == "alice"
    return opened.value


def telephone(site):
    return site.sql("SELECT telephone FROM tests_desk")


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_popup_saves_and_closes_and_one_that_is_refused_keeps_its_text(
    site, desk, popup, is_refused
):
    assert "_popup=1" in popup.url
    popup.locator("#id_telephone").fill("2")
    if is_refused:
        site.delete_lock(desk)
        site.sql("UPDATE tests_desk SET telephone = '3'")
        submit_past_scripts(popup)
        assert kind(popup) == "refused"
        assert popup.locator("#id_telephone").input_value() == "2"
        assert telephone(site) == [("3",)]
        press_go_on(popup)
    with popup.expect_event("close"):
        popup.locator("[name=_save]").click()
    assert telephone(site) == [("2",)]
    assert site.lock(desk, "desk") is None


def test_a_page_that_is_not_to_release_on_leaving_keeps_its_lock(site, enter):
    # PageAdmin has lock_release_on_leave = False.
    locked = "12345678-1234-5678-1234-567812345678"
    key = locked.replace("-", "")
    path = f"/admin/tests/page/{locked}/change/"
    site.sql("INSERT INTO tests_page (id, title) VALUES (?, 'x')", key)
    page = edit(enter("alice"), path)
    token = site.lock(locked, "page").token
    page.goto("/elsewhere/")
    page.wait_for_timeout(500)
    assert [
        entry.body
        for entry in site.requests(method="PATCH")
        if entry.path.startswith(address(locked, "page"))
        and (entry.body or {}).get("timeout") == GRACE
    ] == []
    assert site.lock(locked, "page").left > 3500
    reader = enter("bob")
    reader.goto(path)
    assert kind(reader) == "locked"
    edit(page, path)
    assert site.lock(locked, "page").token == token
    page.locator("#id_title").fill("y")
    save(page, "page")
    assert site.sql("SELECT title FROM tests_page WHERE id = ?", key) == [("y",)]
    assert site.lock(locked, "page") is None


def test_a_page_that_is_not_to_renew_does_not_and_is_told_at_its_save(site, enter):
    # PlainAdmin has lock_renew = False.
    site.sql("INSERT INTO tests_plain (title) VALUES ('x')")
    key = site.newest("plain")
    path = f"/admin/tests/plain/{key}/change/"
    page = edit(enter("alice", frozen=True), path)
    page.locator("#id_title").fill("y")
    page.clock.run_for(120_000)
    hide(page, True)
    hide(page, False)
    page.wait_for_timeout(300)
    assert len(events(page, "renewed")) == 1

    # Expired, it is the page's until somebody else comes.
    site.let_expire(key)
    with page.expect_navigation(url=f"**{path}"):
        page.locator("[name=_continue]").click()
    assert site.sql("SELECT title FROM tests_plain") == [("y",)]
    until(lambda: events(page, "renewed"), page=page)
    assert kind(page) == "held"
    page.locator("#id_title").fill("z")
    page.clock.run_for(120_000)
    site.delete_lock(key)
    page.locator("[name=_save]").click()
    until_state(page, "ended")
    assert page.locator("#id_title").input_value() == "z"
    assert not can_save(page)
    assert site.sql("SELECT title FROM tests_plain") == [("y",)]
    press_go_on(page)
    save(page, "plain")
    assert site.sql("SELECT title FROM tests_plain") == [("z",)]


def test_a_bare_template_holds_is_told_of_the_loss_and_saves(site, enter):
    site.sql("INSERT INTO tests_label (name) VALUES ('bare')")
    path = "/admin/tests/label/bare/change/"
    page = edit(enter("alice"), path)
    assert site.lock("bare", "label").locked_by == "alice"
    reader = enter("bob")
    reader.goto(path)
    assert "Alice Moreau" in said(reader)
    page.locator("#id_name").fill("typed")
    take_over(enter("carol"), path)
    wake(page)
    until_state(page, "taken")
    assert "Carol Okafor" in said(page)
    assert page.locator("#id_name").input_value() == "typed"
    assert not page.locator("[name=_save]").is_enabled()
    submit_past_scripts(page)
    assert kind(page) == "refused"
    assert page.locator("#id_name").input_value() == "typed"
    site.delete_lock("bare")
    wake(page)
    until_state(page, "freed")
    press_go_on(page)
    assert site.lock("bare", "label").locked_by == "alice"
    assert site.sql("SELECT name FROM tests_label") == [("bare",)]
    save(page, "label")
    assert ("typed",) in site.sql("SELECT name FROM tests_label")
    assert site.lock("bare", "label") is None
