"""The example project in Chromium: what two editors see, and what the database holds."""

import re

import pytest

from .demo import Demo

SAVED = "Saved. Others can edit the article again."


@pytest.fixture(scope="module")
def running(browser, tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("newsroom"))
    demo.start()
    yield demo
    demo.stop()


@pytest.fixture
def demo(running):
    running.sql("DELETE FROM lock_tokens_locktoken")
    return running


@pytest.fixture
def sign_in(demo, window):
    """Return a page in which somebody is signed in."""

    def signed_in(username, **options):
        page = window(base_url=demo.url, **options).new_page()
        page.goto("/sign-in/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(username)
        page.get_by_role("button", name="Sign in").click()
        assert heading(page) == "Articles"
        return page

    return signed_in


def heading(page):
    return page.get_by_role("heading", level=1).inner_text()


def state(page, headline):
    """Say what the list of articles says about one of them."""
    page.goto("/")
    entry = page.get_by_role("listitem").filter(has_text=headline)
    return entry.locator(".state").inner_text()


def said(page):
    return page.get_by_role("status").inner_text()


def test_one_edits_the_other_waits_and_then_edits(demo, sign_in):
    alice, bob = sign_in("alice"), sign_in("bob")

    alice.goto("/")
    alice.get_by_role("link", name="Edit Old ferry terminal").click()
    assert heading(alice) == "Editing"
    assert demo.holders() == {1: "alice"}
    assert state(bob, "Old ferry terminal") == "Alice Moreau is editing"

    refused = bob.goto("/articles/1/edit/")
    assert refused.status == 403
    assert heading(bob) == "Alice Moreau is editing this article"
    facts = bob.get_by_role("definition")
    assert re.match(r"\d\d:\d\d \(", facts.nth(0).inner_text())
    assert re.match(r"\d\d:\d\d \([45].minutes from now\)", facts.nth(1).inner_text())
    bob.get_by_role("link", name="Read the article").click()
    assert "Alice Moreau is editing this article" in bob.inner_text(".notice")
    assert bob.get_by_role("link", name="Edit").count() == 0
    assert bob.goto("/articles/1/edit/").status == 403

    alice.get_by_label("Text").fill("Written by Alice.")
    alice.get_by_role("button", name="Save").click()
    assert said(alice) == SAVED
    assert demo.body(1) == "Written by Alice."
    assert demo.holders() == {}

    bob.get_by_role("link", name="Try again").click()
    assert bob.get_by_label("Text").input_value() == "Written by Alice."
    assert demo.holders() == {1: "bob"}
    bob.get_by_label("Text").fill("Written by Bob.")
    bob.get_by_role("button", name="Save").click()
    assert said(bob) == SAVED
    assert demo.body(1) == "Written by Bob."
    assert demo.holders() == {}


def test_refused_save_keeps_the_text_to_copy(demo, sign_in):
    alice, bob = sign_in("alice"), sign_in("bob")
    alice.goto("/articles/2/edit/")
    alice.get_by_label("Text").fill("Hers: “an hour” of work,\nin two lines.")
    demo.let_expire(2)
    bob.goto("/articles/2/edit/")
    bob.get_by_label("Text").fill("His.")

    with alice.expect_navigation() as refused:
        alice.get_by_role("button", name="Save").click()
    assert refused.value.status == 403
    assert heading(alice) == "Not saved. Your text is safe on this page"
    assert "Bob Lindqvist is editing it now" in alice.inner_text("main")
    assert demo.holders() == {2: "bob"}
    assert demo.body(2) != "His."

    with alice.expect_popup() as tab:
        alice.get_by_role("link", name="Try to edit it").click()
    assert heading(tab.value) == "Bob Lindqvist is editing this article"
    bob.get_by_role("button", name="Save").click()
    assert said(bob) == SAVED
    assert demo.body(2) == "His."
    tab.value.get_by_role("link", name="Try again").click()
    assert tab.value.get_by_label("Text").input_value() == "His."

    # As a person copies: in the one tab, and into the other.
    alice.get_by_label("Text").focus()
    alice.keyboard.press("ControlOrMeta+a")
    alice.keyboard.press("ControlOrMeta+c")
    tab.value.get_by_label("Text").focus()
    tab.value.keyboard.press("ControlOrMeta+End")
    tab.value.keyboard.press("Enter")
    tab.value.keyboard.press("ControlOrMeta+v")
    tab.value.get_by_role("button", name="Save").click()
    assert said(tab.value) == SAVED
    assert demo.body(2) == "His.\nHers: “an hour” of work,\nin two lines."
    assert demo.holders() == {}


def test_errors_keep_the_lock_and_the_text(demo, sign_in):
    alice = sign_in("alice")
    alice.goto("/articles/1/edit/")
    alice.get_by_label("Headline").fill("   ")
    alice.get_by_label("Text").fill("Not lost.")
    alice.get_by_role("button", name="Save").click()
    assert "The article is still yours" in alice.get_by_role("alert").inner_text()
    assert demo.holders() == {1: "alice"}
    alice.get_by_label("Headline").fill("A headline")
    alice.get_by_role("button", name="Save").click()
    assert said(alice) == SAVED
    assert demo.body(1) == "Not lost."


def test_two_clicks_on_save_save_once(demo, sign_in):
    alice = sign_in("alice")
    alice.goto("/articles/1/edit/")
    alice.get_by_label("Text").fill("Two clicks.\n\nTwo paragraphs.\n")
    alice.get_by_role("button", name="Save").dblclick()
    alice.wait_for_url("**/articles/1/")
    assert "Saved." in said(alice)
    assert demo.body(1) == "Two clicks.\n\nTwo paragraphs."
    assert demo.holders() == {}


def test_second_tab_of_one_person_is_refused_after_the_first_saved(demo, sign_in):
    first = sign_in("alice")
    first.goto("/articles/1/edit/")
    second = first.context.new_page()
    assert second.goto("/articles/1/edit/").status == 200
    first.get_by_label("Text").fill("From the first tab.")
    first.get_by_role("button", name="Save").click()
    assert said(first) == SAVED
    second.get_by_label("Text").fill("From the second tab.")
    second.get_by_role("button", name="Save").click()
    assert heading(second) == "Not saved. Your text is safe on this page"
    assert "Nobody is editing it now." in second.inner_text("main")
    assert second.get_by_label("Text").input_value() == "From the second tab."
    assert "From the first tab." in second.inner_text(".compare")
    assert demo.body(1) == "From the first tab."


def test_leaving_frees_and_so_does_signing_out(demo, sign_in):
    alice, bob = sign_in("alice"), sign_in("bob")
    before = demo.body(1)
    alice.goto("/articles/1/edit/")
    alice.get_by_label("Text").fill("Given up.")
    alice.get_by_role("button", name="Leave without saving").click()
    assert said(alice) == "You left the article. Nothing was changed."
    assert demo.holders() == {}
    assert demo.body(1) == before

    alice.goto("/articles/1/edit/")
    alice.get_by_label("Text").fill("Typed before signing out.")
    assert state(bob, "headline") == "Alice Moreau is editing"
    other_tab = alice.context.new_page()
    assert state(other_tab, "headline").startswith("You are editing")
    other_tab.get_by_role("button", name="Sign out").click()
    assert heading(other_tab) == "Sign in"
    assert demo.holders() == {}
    assert state(bob, "headline") == "Edit"

    alice.get_by_role("button", name="Save").click()
    assert heading(alice) == "You are signed out, so nothing was saved"
    assert alice.get_by_label("Text").input_value() == "Typed before signing out."
    assert demo.body(1) == before


def test_publishing_and_deleting_wait_for_who_edits(demo, sign_in):
    alice, bob = sign_in("alice"), sign_in("bob")
    bob.goto("/articles/4/")
    alice.goto("/articles/4/edit/")
    bob.get_by_role("button", name="Publish").click()
    assert heading(bob) == "Alice Moreau is editing this article"
    bob.goto("/articles/4/delete/")
    assert heading(bob) == "Alice Moreau is editing this article"
    alice.get_by_role("button", name="Leave without saving").click()
    alice.get_by_role("button", name="Publish").click()
    assert said(alice) == "Published."
    assert demo.holders() == {}

    bob.get_by_role("link", name="Try again").click()
    assert heading(bob) == "Delete this article?"
    assert demo.holders() == {4: "bob"}
    bob.get_by_role("button", name="Keep it").click()
    assert demo.holders() == {}
    bob.goto("/articles/4/delete/")
    bob.get_by_role("button", name="Delete").click()
    assert "is deleted" in said(bob)
    assert demo.sql("SELECT 1 FROM newsroom_article WHERE id = 4") == []
    assert demo.holders() == {}


def test_pages_fit_a_phone_and_name_their_fields(demo, sign_in):
    alice = sign_in("alice", viewport={"width": 320, "height": 640})
    bob = sign_in("bob")
    bob.goto("/articles/3/edit/")

    def check():
        width = alice.evaluate("document.documentElement.scrollWidth")
        assert width == 320, heading(alice)
        unnamed = "[...document.querySelectorAll('input:not([type=hidden]), textarea,"
        unnamed += " select')].filter((field) => !field.labels.length).length"
        assert alice.evaluate(unnamed) == 0, heading(alice)

    for path in (
        *("/", "/articles/1/", "/articles/3/", "/articles/1/edit/"),
        *("/articles/3/edit/", "/articles/2/delete/", "/articles/77/"),
    ):
        alice.goto(path)
        check()
    alice.goto("/articles/1/edit/")
    alice.get_by_label("Text").fill("W" * 400)
    demo.let_expire(1)
    bob.goto("/articles/1/edit/")
    alice.get_by_role("button", name="Save").click()
    assert heading(alice) == "Not saved. Your text is safe on this page"
    check()


def test_dark_pages_are_dark(sign_in):
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"
    assert int(sign_in("alice", color_scheme="dark").evaluate(shade)) < 60
    assert int(sign_in("alice", color_scheme="light").evaluate(shade)) > 200


def test_the_policy_is_in_force_and_the_watch_sees_it(sign_in):
    page = sign_in("alice")
    page.evaluate(
        """
        for (const [name, text] of [["script", "document.title = 'ran'"],
                                    ["style", "body { display: none }"]]) {
            const element = document.createElement(name);
            element.textContent = text;
            document.body.append(element);
        }
        """
    )
    page.wait_for_timeout(100)
    assert page.title() != "ran"
    assert page.get_by_role("heading", level=1).is_visible()
    problems = page.context.watch.problems
    assert any(problem.startswith("script-src-elem inline") for problem in problems)
    assert any(problem.startswith("style-src-elem inline") for problem in problems)
    problems.clear()
