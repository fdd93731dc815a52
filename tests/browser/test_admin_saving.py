"""Change pages of the admin that are saved while something is in the way."""

import time

import pytest

from .editors import (
    BEFORE,
    MINE,
    another_tab,
    asked,
    at_work,
    can_save,
    change,
    edit,
    events,
    freeze,
    locks_of,
    said,
    save,
    save_mine,
    state,
    take_over,
    until_state,
    wake,
    way_on,
    write,
    written,
)
from .site import GRACE, until

TROUBLE = ["status of 4", "status of 5", "net::ERR_"]
FOR_NOW = "Nobody else can change it for now."
UNTIL_LEFT = "Nobody else can change it until you save or leave."

ADD_BUTTON = """({ outside, ...attributes }) => {
    const form = document.getElementById("id_headline").form;
    const button = document.createElement("button");
    for (const [name, value] of Object.entries(attributes)) {
        button.setAttribute(name, value);
    }
    button.textContent = attributes.name;
    form.id ||= "the-form";
    if (outside) button.setAttribute("form", form.id);
    (outside ? document.querySelector("#header") : form).append(button);
}"""


@pytest.fixture
def enter(site, window):
    """Let somebody in: a window of their own, in which they are signed in."""

    def entered(username, **options):
        page = at_work(window, site, username, **options)
        page.context.watch.expected += TROUBLE
        return page

    return entered


def add_button(page, name, **attributes):
    """Add a button to the form, or ``outside`` of it, and return it."""
    page.evaluate(ADD_BUTTON, {"name": name, **attributes})
    return page.locator(f"button[name={name}]")


# A server that is away


@pytest.mark.parametrize("answer", ["502", "503", "close"])
def test_a_save_while_the_server_is_restarted_leaves_the_form_there(
    site, key, page, answer
):
    write(page, *MINE)
    with site.rule(path="/", answer=answer):
        page.locator("[name=_save]").click()  # right after a renewal
        until_state(page, "server", "offline")
        assert written(page) == MINE
        assert not can_save(page)
    until_state(page, "held")
    save_mine(site, page, key)


def test_after_an_outage_save_is_back_within_ten_seconds_or_at_once_if_asked(
    site, key, enter
):
    page = edit(enter("alice", frozen=True), key)
    freeze(page)
    write(page, *MINE)
    with site.rule(path="/", answer="502"):
        wake(page)
        until_state(page, "server")
        for _ in range(6):  # a long outage
            count = len(events(page, "uncertain"))
            page.clock.run_for(10_500)
            until(lambda count=count: len(events(page, "uncertain")) > count, page=page)
        way_on(page, "Try now").click()
        page.get_by_text("The server cannot be reached.").first.wait_for()
        assert not can_save(page)
    page.clock.run_for(10_500)
    until_state(page, "held")
    assert can_save(page)

    with site.rule(path="/", answer="502"):
        wake(page)
        until_state(page, "server")
    way_on(page, "Try now").click()  # no timer runs meanwhile
    until_state(page, "held")
    save_mine(site, page, key)


# Answers that are not the API's


@pytest.mark.parametrize("answer", ["403", "405", "501"])
def test_behind_a_firewall_that_passes_get_and_post_the_lock_is_held(
    site, key, enter, answer
):
    with (
        site.rule(path=locks_of(key), method="PATCH", answer=answer),
        site.rule(path=locks_of(key), method="DELETE", answer=answer),
    ):
        page = edit(enter("alice"), key)
        assert state(page) == "held"
        assert UNTIL_LEFT in said(page)
        refused = len(asked(site, key, method="PATCH"))
        wake(page)
        until(lambda: len(asked(site, key, method="POST", status=200)) > 1, page=page)
        assert len(asked(site, key, method="PATCH")) == refused  # it has learned
        page.goto("/elsewhere/")
        until(lambda: site.lock(key, "story").left < GRACE)
        page.goto(change(key))
        until(lambda: events(page, "renewed"), page=page)
        write(page, *MINE)
        save(page)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


@pytest.mark.parametrize("answer", ["404", "page", "502", "not permitted"])
def test_without_the_api_it_can_be_saved_and_says_that_it_cannot_keep_the_lock(
    site, key, enter, answer
):
    with site.rule(path="/locks/", answer=answer):
        page = enter("alice")
        page.goto(change(key))
        until_state(page, "unkept")
        assert can_save(page)
        assert FOR_NOW in said(page)
        assert "You can save, but save soon." in said(page)
        for wrong in ("signed out", "has a problem", UNTIL_LEFT):
            assert wrong not in said(page)
        write(page, *MINE)
        save(page)
    assert site.saved(key) == MINE


def test_without_the_api_a_page_that_does_not_renew_can_be_saved(site, enter):
    # PlainAdmin has lock_renew = False.
    site.sql("INSERT INTO tests_plain (title) VALUES ('x')")
    key = site.newest("plain")
    with site.rule(path="/locks/", answer="404"):
        page = enter("alice")
        page.goto(f"/admin/tests/plain/{key}/change/")
        until_state(page, "unkept")
        page.locator("#id_title").fill("y")
        save(page, "plain")
    assert site.sql("SELECT title FROM tests_plain WHERE id = ?", key) == [("y",)]


def test_a_page_without_the_api_is_told_when_its_save_comes_too_late(site, key, enter):
    with site.rule(path="/locks/", answer="404"):
        page = enter("alice")
        page.goto(change(key))
        until_state(page, "unkept")
        write(page, *MINE)
        site.give_to(key, "bob")
        page.locator("[name=_save]").click()
        page.get_by_text("Your changes were not saved.").first.wait_for()
    assert written(page) == MINE
    assert "Bob Lindqvist" in said(page)
    assert site.saved(key) == BEFORE


@pytest.mark.parametrize("what", ["lost", "dead"])
def test_a_page_without_its_script_promises_nothing_that_only_the_script_keeps(
    site, key, enter, what
):
    page = enter("alice")
    if what == "lost":
        page.route("**/lock_tokens.js", lambda route: route.abort())
    else:
        page.add_init_script(
            "crypto.getRandomValues = () => { throw new Error('no crypto') }"
        )
    page.goto(change(key))
    page.wait_for_load_state()
    assert FOR_NOW in said(page)
    assert UNTIL_LEFT not in said(page)
    write(page, *MINE)
    save_mine(site, page, key)
    assert {*page.context.watch.problems} <= {"no crypto"}
    page.context.watch.problems.clear()


def test_a_browser_that_refuses_a_channel_holds_all_the_same(site, key, enter):
    page = enter("alice")
    page.add_init_script(
        "window.BroadcastChannel = class { constructor() { throw new DOMException() } }"
    )
    edit(page, key)
    assert UNTIL_LEFT in said(page)
    page.goto("/elsewhere/")
    until(lambda: site.lock(key, "story").left < GRACE)


# Buttons that keep the page, and buttons outside the form


def test_after_a_preview_in_a_new_tab_a_take_over_is_shown_at_once(key, page, enter):
    write(page, *MINE)
    preview = add_button(page, "_preview", formtarget="_blank", formaction="/download/")
    preview.click()
    take_over(enter("carol"), key)
    wake(page)
    until_state(page, "taken", seconds=5)
    assert "Carol Okafor" in said(page)


def test_after_a_preview_in_a_new_tab_it_is_saved_at_once(site, key, page):
    write(page, *MINE)
    preview = add_button(
        page, "_preview", formtarget="_blank", formaction="/elsewhere/"
    )
    with page.expect_popup() as popup:
        preview.click()
    popup.value.close()
    save_mine(site, page, key)


def download(page):
    """Press a button of the form that downloads something."""
    button = page.locator("button[name=_download]")
    if not button.count():
        add_button(page, "_download", formaction="/download/")
    with page.expect_download():
        button.click()


def test_after_a_download_it_can_be_saved_at_once(site, key, page):
    write(page, *MINE)
    for _ in range(2):
        download(page)
        page.wait_for_timeout(1200)  # nobody is so fast
    save_mine(site, page, key)


def test_after_a_download_a_save_of_what_was_taken_says_so(site, key, page):
    write(page, *MINE)
    download(page)
    site.give_to(key, "bob")
    page.wait_for_timeout(1200)
    page.locator("[name=_save]").click()
    until_state(page, "taken", seconds=5)
    assert "Bob Lindqvist" in said(page)
    assert written(page) == MINE
    assert site.saved(key) == BEFORE


def test_leaving_after_a_download_frees_the_object(site, key, page):
    download(page)
    until(lambda: site.lock(key, "story").left > 3000, 20)  # the page has stayed
    page.goto("/elsewhere/")
    until(lambda: site.lock(key, "story").left < GRACE)


def test_a_button_outside_the_form_is_disabled_with_the_others(site, key, page):
    button = add_button(page, "_continue_here", outside=True)
    assert button.is_enabled()
    write(page, *MINE)
    site.give_to(key, "bob")
    wake(page)
    until_state(page, "taken")
    assert button.is_disabled()
    site.delete_lock(key)


def test_a_button_outside_the_form_saves(site, key, page):
    write(page, *MINE)
    add_button(page, "_from_outside", outside=True).click()
    page.wait_for_url("**/admin/tests/story/")
    assert site.saved(key) == MINE


def test_a_field_outside_the_form_counts_as_a_change(page):
    page.evaluate(
        """() => {
        const field = document.getElementById("id_headline");
        field.form.id ||= "the-form";
        field.setAttribute("form", field.form.id);
        document.querySelector("#header").append(field);
    }"""
    )
    page.locator("#id_headline").fill("Typed outside")
    asked_to_stay = []
    page.on("dialog", lambda dialog: (asked_to_stay.append(1), dialog.accept()))
    page.goto("/elsewhere/")
    assert asked_to_stay == [1]


# What a page that is saved says when it goes


def test_a_page_that_is_saved_says_no_farewell(site, key, page):
    write(page, *MINE)
    save(page)
    page.wait_for_timeout(500)
    assert site.lock(key, "story") is None
    assert asked(site, key, leave=True) == []
    assert [r.status for r in asked(site, key) if r.status in (403, 404)] == []


def test_a_page_whose_save_fails_leaves_no_lock_for_an_hour(site, key, page):
    write(page, *MINE)
    with site.rule(path=change(key), method="POST", answer="500"):
        page.locator("[name=_save]").click()
        page.locator("#lock-tokens").wait_for(state="detached")
    assert site.saved(key) == BEFORE
    assert site.lock(key, "story").left < 61


def test_a_tab_stays_locked_while_another_saves_with_errors(site, key, page):
    other = another_tab(page, key)
    page.locator("#id_headline").evaluate("(field) => (field.required = false)")
    write(page, "", "Without a headline.")
    page.locator("[name=_save]").click()
    page.locator(".errornote").wait_for()
    until(lambda: site.lock(key, "story").left > 3000, page=page)
    assert state(other) == "held"
    write(page, *MINE)
    time.sleep(0.1)
    save_mine(site, page, key)
