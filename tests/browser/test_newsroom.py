"""The example project in Chromium: what two editors see, and what the database holds."""

import re
import time

import pytest

pytestmark = [pytest.mark.example, pytest.mark.any_database]

pytest.importorskip("rest_framework", reason="the example has an API of it")

SAVED = "The article is saved. Other people can edit it again."
HELD = "Nobody else can change the article while this page is open."
# Longer than a waiting page takes: the grace of who left, and until it asks again.
SOON = 15_000


@pytest.fixture
def sign_in(demo, window):
    """Return a page in which somebody is signed in."""

    def signed_in(username, **options):
        context = window(base_url=demo.url, **options)
        # A renewal that another page or an earlier one came before: it is sent again.
        context.watch.expected.append("status of 412")
        page = context.new_page()
        page.goto("/sign-in/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(username)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Articles").wait_for()
        return page

    return signed_in


@pytest.fixture
def alice(sign_in):
    return sign_in("alice")


@pytest.fixture
def bob(sign_in):
    return sign_in("bob")


def heading(page):
    return page.get_by_role("heading", level=1).inner_text()


def state(page, article):
    """Say what the list of articles says about one of them."""
    page.goto("/")
    return page.locator(f"[data-watch='{article}']").inner_text()


def said(page):
    return page.locator(".messages").inner_text()


def edit(page, article):
    """Open the form of an article, and wait until the page holds the lock."""
    page.goto(f"/articles/{article}/edit/")
    page.get_by_text(HELD).wait_for()


def expect_text(locator, text, timeout=10_000):
    """Wait until what is seen of an element has this text in it."""
    from playwright.sync_api import expect

    expect(locator).to_contain_text(text, use_inner_text=True, timeout=timeout)


def wake(page):
    """Have a page look after its lock now, as when a computer wakes up."""
    page.evaluate("window.dispatchEvent(new Event('online'))")


def until(said, seconds=6):
    """Wait for what the database will say."""
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def save(page, demo, article, text):
    """Press Save, and see that it is saved."""
    page.get_by_role("button", name="Save").click()
    assert said(page) == SAVED
    assert demo.body(article) == text


def write_and_save(page, demo, article, text):
    page.get_by_label("Text").fill(text)
    save(page, demo, article, text)


def cannot_save(page, text):
    """Say whether all that was typed is there, and cannot be saved."""
    assert page.get_by_label("Text").input_value() == text
    return page.get_by_role("button", name="Save").is_disabled()


def test_refused_save_keeps_the_text_to_copy(demo, sign_in):
    # Her browser runs no scripts: nothing tells her page before she saves.
    alice, bob = sign_in("alice", java_script_enabled=False), sign_in("bob")
    alice.goto("/articles/2/edit/")
    assert "Nobody else can change this article until" in alice.inner_text("main")
    assert alice.locator(".hold").inner_text() == ""
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
    save(bob, demo, 2, "His.")
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
    save(tab.value, demo, 2, "His.\nHers: “an hour” of work,\nin two lines.")
    assert demo.holders() == {}


def test_two_clicks_on_save_save_once(demo, alice):
    alice.goto("/articles/1/edit/")
    alice.get_by_label("Text").fill("Two clicks.\n\nTwo paragraphs.\n")
    alice.get_by_role("button", name="Save").dblclick()
    alice.wait_for_url("**/articles/1/")
    assert "The article is saved" in said(alice)
    assert demo.body(1) == "Two clicks.\n\nTwo paragraphs."
    assert demo.holders() == {}


LEAVE = {
    "closed": lambda page: page.close(),
    "elsewhere": lambda page: page.get_by_role("link", name="Tidewater").click(),
    "back": lambda page: page.go_back(),
    "other site": lambda page: page.goto("about:blank"),
}


@pytest.mark.parametrize("path", ["/articles/1/edit/", "/articles/1/delete/"])
@pytest.mark.parametrize("way", LEAVE)
def test_leaving_the_page_frees_the_article(demo, alice, way, path):
    before = demo.body(1)
    alice.goto("/articles/1/")
    alice.goto(path)
    alice.locator("form[data-now=held]").wait_for()
    if "edit" in path:
        alice.get_by_label("Text").fill("Given up.")
    assert demo.live() == {1: "alice"}
    LEAVE[way](alice)
    until(lambda: demo.live() == {})
    assert demo.body(1) == before


def test_back_to_what_was_left_goes_on_or_says_why_not(demo, alice, bob):
    edit(alice, 1)
    alice.get_by_label("Text").fill("Typed before leaving.")
    alice.get_by_role("link", name="Tidewater").click()
    alice.go_back()
    alice.get_by_text(HELD).wait_for()
    assert demo.live() == {1: "alice"}

    alice.get_by_label("Text").fill("Typed before leaving again.")
    alice.get_by_role("link", name="Tidewater").click()
    until(lambda: demo.live() == {})
    edit(bob, 1)
    write_and_save(bob, demo, 1, "Saved between.")
    # Her form comes back as it was, text and token. It must not go over his.
    alice.go_back()
    alice.get_by_text("You are no longer editing this article.").wait_for()
    assert cannot_save(alice, "Typed before leaving again.")
    assert demo.body(1) == "Saved between."


def test_text_from_before_the_save_does_not_come_back_over_another(demo, alice, bob):
    edit(alice, 1)
    write_and_save(alice, demo, 1, "Saved first.")
    edit(bob, 1)
    write_and_save(bob, demo, 1, "Saved second.")
    # The page is asked for anew, with a lock; then the browser fills in what she typed.
    alice.go_back()
    alice.get_by_text("You are no longer editing this article.").wait_for()
    assert alice.get_by_label("Text").input_value() == "Saved first."
    assert alice.get_by_role("button", name="Save").is_disabled()
    assert demo.holders() == {}
    for _time in range(2):
        alice.reload()
        alice.locator("form[data-now=held], form[data-now=ended]").wait_for()
        text = alice.get_by_label("Text").input_value()
        enabled = alice.get_by_role("button", name="Save").is_enabled()
        assert (text, enabled) in [("Saved first.", False), ("Saved second.", True)]
    assert demo.body(1) == "Saved second."


def lock_key(page, selector):
    return page.locator(selector).bounding_box()


def test_who_waits_is_told_when_the_article_is_free(demo, alice, sign_in):
    reading, refused = sign_in("bob"), sign_in("bob")
    deleting = sign_in("bob", viewport={"width": 390, "height": 844})
    edit(alice, 1)
    reading.goto("/articles/1/")
    assert refused.goto("/articles/1/edit/").status == 403
    assert deleting.goto("/articles/1/delete/").status == 403
    waiting = (reading, refused, deleting)
    for page in waiting:
        page.get_by_text("This page tells you when it is free").wait_for()
    assert reading.get_by_role("link", name="Edit").count() == 0
    retry = refused.get_by_role("link", name="Try again")
    retry.focus()
    buttons = lock_key(refused, ".actions"), lock_key(deleting, ".actions")
    text = lock_key(reading, ".body")
    for page in waiting:
        page.evaluate("window.sameDocument = true")

    alice.get_by_role("link", name="Tidewater").click()
    reading.get_by_text("Free now.").wait_for(timeout=SOON)
    for page in (refused, deleting):
        page.get_by_role("status").get_by_text("free now").wait_for(timeout=SOON)
    assert demo.live() == {}
    for page in waiting:
        assert page.evaluate("window.sameDocument")
        assert "Alice" not in page.inner_text("[data-watch]")
    assert (lock_key(refused, ".actions"), lock_key(deleting, ".actions")) == buttons
    assert lock_key(reading, ".body") == text
    assert refused.evaluate("document.activeElement.innerText") == "Edit"
    assert reading.evaluate("document.activeElement === document.body")
    assert reading.get_by_role("status").get_by_role("link", name="Edit").is_visible()

    refused.keyboard.press("Enter")
    refused.get_by_text(HELD).wait_for()
    assert demo.live() == {1: "bob"}
    # Two of them waited, and one was faster.
    reading.get_by_text("You are editing this article").wait_for(timeout=SOON)
    assert reading.get_by_role("link", name="Go on editing").is_visible()


def test_the_list_is_live(demo, alice, bob):
    asked = []
    bob.on("request", lambda request: asked.append(request.url))
    bob.goto("/")
    (number,) = demo.sql("SELECT count(*) FROM newsroom_article")[0]
    demo.sql(
        "INSERT INTO newsroom_article (headline, body, updated_at, section_id)"
        " SELECT 'Soon deleted', body, updated_at, section_id FROM newsroom_article"
        " WHERE id = 1"
    )
    ((doomed,),) = demo.sql("SELECT max(id) FROM newsroom_article")
    bob.reload()
    states = {
        int(key): bob.locator(f"[data-watch='{key}']")
        for (key,) in demo.sql("SELECT id FROM newsroom_article")
    }
    assert len(states) == number + 1
    box = states[1].bounding_box()
    assert states[1].inner_text() == "Edit"

    edit(alice, 1)
    expect_text(states[1], "Alice Moreau is editing", SOON)
    assert states[1].get_by_role("link").count() == 0
    assert states[1].bounding_box() == box
    assert demo.live() == {1: "alice"}

    bobs = bob.context.new_page()
    edit(bobs, 2)
    demo.sql("DELETE FROM newsroom_article WHERE id = ?", doomed)
    write_and_save(alice, demo, 1, "Saved while somebody watched.")
    bob.bring_to_front()
    expect_text(states[1], re.compile(r"^Edit$"), SOON)
    expect_text(states[2], re.compile(r"^You are editing\s+Go on$"), SOON)
    expect_text(states[doomed], "Deleted", SOON)
    assert demo.live() == {2: "bob"}
    # All rows with one request.
    polls = [url for url in asked if "/locks/" in url]
    assert all(url.count("object_id=") in (number, number + 1) for url in polls)

    states[1].get_by_role("link", name="Edit").click()
    bob.get_by_text(HELD).wait_for()
    assert demo.live() == {1: "bob", 2: "bob"}


def test_taken_while_typing_loses_nothing_but_the_lock(demo, sign_in):
    alice = sign_in("alice", permissions=["clipboard-read", "clipboard-write"])
    alice.context.watch.expected.append("ERR_INTERNET_DISCONNECTED")
    bob = sign_in("bob")
    edit(alice, 1)
    text = alice.get_by_label("Text")
    text.fill("Hers: “an hour” of work,\nin two lines.")
    alice.get_by_label("Headline").fill("Her headline")
    alice.context.set_offline(True)  # as a computer that sleeps
    demo.let_expire(1)
    edit(bob, 1)
    box = text.bounding_box()
    alice.context.set_offline(False)

    told = alice.get_by_role("alert")
    expect_text(told, "Bob Lindqvist is editing this article now.")
    expect_text(told, "Your text is still on this page")
    assert told.is_visible()
    assert alice.get_by_role("button", name="Save").is_disabled()
    assert demo.live() == {1: "bob"}
    # Typing goes on where it was.
    assert text.bounding_box() == box
    alice.get_by_label("Headline").press("Enter")
    text.press("ControlOrMeta+End")
    alice.keyboard.type(" And more.")
    typed = "Hers: “an hour” of work,\nin two lines. And more."
    assert text.input_value() == typed

    # From the text, the next key leads to the copy, not out of the page.
    alice.keyboard.press("Tab")
    alice.keyboard.press("Enter")
    alice.get_by_text("The headline and the text are copied.").wait_for()
    copied = alice.evaluate("navigator.clipboard.readText()")
    assert copied == f"Her headline\n\n{typed}"
    with alice.expect_popup() as tab:
        alice.get_by_role("link", name="Read the current version").click()
    assert "Bob Lindqvist is editing" in tab.value.inner_text(".notice")

    write_and_save(bob, demo, 1, "His.")
    alice.wait_for_timeout(1_000)
    assert text.input_value() == typed
    assert demo.body(1) == "His."
    assert demo.holders() == {}


def test_copying_without_the_permission_selects_the_text(demo, alice):
    alice.add_init_script("Object.defineProperty(navigator, 'clipboard', {})")
    edit(alice, 1)
    demo.sql("DELETE FROM lock_tokens_locktoken")
    wake(alice)
    alice.get_by_role("button", name="Copy my text").click()
    alice.get_by_text("Your text is selected. Copy it with Ctrl+C.").wait_for()
    assert alice.evaluate("getSelection().toString()") == demo.body(1)


def test_offline_while_typing_and_back(demo, alice):
    alice.context.watch.expected.append("ERR_INTERNET_DISCONNECTED")
    edit(alice, 1)
    save = alice.get_by_role("button", name="Save")
    alice.context.set_offline(True)
    status = alice.locator(".hold")
    expect_text(status, "The connection is lost. You can go on typing.")
    assert status.get_attribute("role") == "status"
    assert save.is_disabled()
    alice.get_by_label("Text").fill("Typed without a connection.")
    demo.let_expire(1)
    alice.context.set_offline(False)
    alice.get_by_text(HELD).wait_for()
    assert save.is_enabled()
    assert demo.live() == {1: "alice"}
    save.click()
    assert said(alice) == SAVED
    assert demo.body(1) == "Typed without a connection."


def test_server_that_fails_and_comes_back(demo, alice):
    alice.context.watch.expected.append("status of 500")
    edit(alice, 1)
    alice.route("**/locks/**", lambda route: route.fulfill(status=500, body="Oops"))
    wake(alice)
    expect_text(alice.locator(".hold"), "The server is not answering.")
    assert alice.get_by_role("button", name="Save").is_disabled()
    alice.unroute("**/locks/**")
    alice.get_by_text(HELD).wait_for()
    assert alice.get_by_role("button", name="Save").is_enabled()
    assert demo.live() == {1: "alice"}


def test_save_that_would_not_arrive_stays_on_the_page(demo, alice):
    alice.context.watch.expected.append("ERR_CONNECTION_REFUSED")
    edit(alice, 1)
    alice.get_by_label("Text").fill("Typed while the server went away.")
    demo.stop()
    try:
        alice.get_by_role("button", name="Save").click()
        expect_text(alice.locator(".hold"), "You can go on typing.")
        assert heading(alice) == "Editing"
        assert alice.get_by_role("button", name="Save").is_disabled()
    finally:
        demo.start()
    alice.get_by_text(HELD).wait_for(timeout=SOON)
    save(alice, demo, 1, "Typed while the server went away.")


def test_save_whose_answer_is_slow_does_not_alarm(demo, alice):
    edit(alice, 1)
    alice.evaluate(
        """
        sessionStorage.states = "";
        const form = document.querySelector("form[data-hold]");
        new MutationObserver(() => sessionStorage.states += ` ${form.dataset.now}`)
            .observe(form, {attributeFilter: ["data-now"]});
        """
    )

    def slow(route):
        answer = route.fetch(max_redirects=0)
        time.sleep(4)  # longer than until the next renewal
        route.fulfill(response=answer)

    alice.route("**/articles/1/edit/", slow)
    alice.get_by_label("Text").fill("Saved, but slowly.")
    alice.get_by_role("button", name="Save").click()
    alice.wait_for_url("**/articles/1/")
    assert said(alice) == SAVED
    states = alice.evaluate("sessionStorage.states").split()
    assert set(states) == {"sending", "held"}
    assert states[-1] == "sending"
    assert demo.body(1) == "Saved, but slowly."


def sign_in_again(page):
    """By the link that the page offers, in another tab."""
    with page.expect_popup() as popup:
        page.get_by_role("link", name="sign in").click()
    tab = popup.value
    tab.get_by_label("Username").fill("alice")
    tab.get_by_label("Password").fill("alice")
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_role("heading", name="Articles").wait_for()
    tab.close()
    page.bring_to_front()
    wake(page)


def test_session_that_ran_out_while_typing(demo, alice):
    edit(alice, 1)
    alice.get_by_label("Text").fill("Typed across two sessions.")
    demo.sql("DELETE FROM django_session")
    wake(alice)
    expect_text(alice.locator(".hold"), "You are signed out.")
    assert alice.get_by_role("button", name="Save").is_disabled()
    sign_in_again(alice)
    alice.get_by_text(HELD).wait_for()
    assert demo.live() == {1: "alice"}
    save(alice, demo, 1, "Typed across two sessions.")


def test_leaving_frees_and_so_does_signing_out(demo, alice, bob):
    before = demo.body(1)
    edit(alice, 1)
    alice.get_by_label("Text").fill("Given up.")
    alice.get_by_role("button", name="Leave without saving").click()
    assert said(alice) == "You left the article without changing it."
    assert demo.holders() == {}
    assert demo.body(1) == before

    edit(alice, 1)
    alice.get_by_label("Text").fill("Typed before signing out.")
    assert state(bob, 1) == "Alice Moreau is editing"
    other_tab = alice.context.new_page()
    assert state(other_tab, 1).startswith("You are editing")
    other_tab.get_by_role("button", name="Sign out").click()
    other_tab.get_by_role("heading", name="Sign in").wait_for()
    assert demo.holders() == {}
    assert state(bob, 1) == "Edit"

    wake(alice)
    expect_text(alice.locator(".hold"), "You are signed out.")
    assert cannot_save(alice, "Typed before signing out.")
    sign_in_again(alice)
    expect_text(alice.get_by_role("alert"), "signed out")
    assert cannot_save(alice, "Typed before signing out.")
    assert demo.body(1) == before
    assert demo.holders() == {}


def test_deleted_while_typing(demo, alice, bob):
    alice.context.watch.expected.append("ERR_INTERNET_DISCONNECTED")
    edit(alice, 5)
    alice.get_by_label("Text").fill("For nobody.")
    alice.context.set_offline(True)
    demo.let_expire(5)
    bob.goto("/articles/5/delete/")
    bob.get_by_text("Nobody else can change it while you decide.").wait_for()
    bob.get_by_role("button", name="Delete").click()
    assert "is deleted" in said(bob)
    assert demo.sql("SELECT 1 FROM newsroom_article WHERE id = 5") == []
    alice.context.set_offline(False)
    expect_text(alice.get_by_role("alert"), "This article was deleted.")
    assert cannot_save(alice, "For nobody.")
    assert alice.get_by_role("button", name="Copy my text").is_visible()
    assert alice.get_by_role("link", name="Read the current version").count() == 0
    assert alice.get_by_role("link", name="All articles").is_visible()
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
    edit(alice, 1)
    demo.sql("DELETE FROM lock_tokens_locktoken")
    wake(alice)
    alice.get_by_role("button", name="Copy my text").wait_for()
    check()

    alice = sign_in("alice", viewport=alice.viewport_size, java_script_enabled=False)
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
