"""The change pages of the admin in Chromium: opened, waited for, left and saved.

Each by people with a window of their own, and by what the database holds of it.
"""

import time

import pytest

from .editors import (
    asked,
    can_save,
    change,
    edit,
    events,
    locks_of,
    press_go_on,
    rival,
    said,
    save,
    sign_out,
    state,
    until_state,
    wake,
    way_on,
)
from .site import GRACE, until

LIST = "/admin/tests/story/"
# Whether the browser has taken the page from its back/forward cache.
PERSISTED = """
window.addEventListener("pageshow", ({ persisted }) => (window.persisted = persisted));
"""


@pytest.fixture
def alice(page):
    """The page of Alice, beside those of others."""
    return page


@pytest.fixture
def bob(enter):
    return enter("bob")


@pytest.fixture(params=["loaded anew", "from the cache"])
def returning(request, enter):
    """The page of Alice, whose browser comes back to pages in this way.

    Chromium keeps no page in its cache whose answer says ``no-store``, as Django's admin
    does, once that page has asked for more of the kind. Other browsers do, and pages
    that a project serves without the header.
    """
    from_cache = request.param == "from the cache"
    name = "caching_browser" if from_cache else "browser"
    page = enter("alice", by=request.getfixturevalue(name))
    page.context.add_init_script(PERSISTED)
    if from_cache:
        page.context.route("**/change/", serve_to_keep)
        page.context.watch.expected.append("unload is not allowed")
    page.from_cache = from_cache
    return page


def serve_to_keep(route):
    response = route.fetch(max_redirects=0)
    headers = dict(response.headers)
    headers.pop("cache-control", None)
    # Pages of Django 5.2 have a handler for unload, which Chrome is about to ignore.
    headers["permissions-policy"] = "unload=()"
    route.fulfill(response=response, headers=headers)


# What people do


def until_held(page):
    """Wait until the page has renewed its lock."""
    until(lambda: events(page, "renewed"), page=page)
    assert is_held(page)


def is_held(page):
    return can_save(page) and not page.locator(".lock-news:visible").count()


def type_in(page, field, text):
    """Type into a field, instead of what is there."""
    page.locator(f"#id_{field}").click()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def read(page, field):
    return page.locator(f"#id_{field}").input_value()


def read_token(page):
    return page.locator("[name=lock_token]").get_attribute("value")


def save_and_wait_for(page, status):
    """Press Save, where it is this page that answers."""
    with page.expect_response(lambda r: r.request.method == "POST") as answer:
        page.locator("[name=_save]").click()
    assert answer.value.status == status
    page.wait_for_load_state()


def keep_dialogs(page, accept):
    """Answer whatever the page asks before it is left; return what it has asked."""
    dialogs = []

    def answer(dialog):
        dialogs.append(dialog.type)
        (dialog.accept if accept else dialog.dismiss)()

    page.on("dialog", answer)
    return dialogs


def leave(page):
    """Follow the link to the list."""
    page.locator(f".breadcrumbs a[href='{LIST}']").click()


def token(site, key):
    lock = site.lock(key, "story")
    return lock and lock.token


def left(site, key):
    lock = site.lock(key, "story")
    return lock.left if lock else 0


def is_only_to_read(page):
    """Say whether nothing of the story can be filled in, saved or deleted."""
    fields = "[id^=id_]:is(input, textarea, select):not([type=hidden])"
    buttons = "[name=_save], [name=_continue], [name=_addanother], .deletelink"
    return page.locator(f"{fields}, {buttons}").count() == 0


# 1. The second user


def test_the_second_user_reads_until_it_is_free_and_then_edits(site, key, alice, bob):
    assert bob.goto(change(key)).status == 200
    until_state(bob, "taken")
    assert is_only_to_read(bob)
    assert "Alice Moreau" in said(bob)
    assert bob.locator("[name=_take_over]:visible, details:visible").count() == 0
    assert site.holder(key) == "alice"
    bob.evaluate("window.here = true")

    type_in(alice, "headline", "Two")
    save(alice)
    assert site.lock(key, "story") is None
    # It asks by itself.
    until_state(bob, "free")
    assert bob.evaluate("here")
    assert is_only_to_read(bob)
    assert bob.locator(".field-headline .readonly").inner_text() == "One"
    assert "Alice Moreau" not in said(bob)
    assert site.lock(key, "story") is None

    way_on(bob, "Edit now").click()
    until_held(bob)
    assert read(bob, "headline") == "Two"
    assert site.holder(key) == "bob"
    type_in(bob, "headline", "Three")
    save(bob)
    assert site.saved(key) == ("Three", "As it was.")
    assert site.holder(key) is None


# 2. and 3. Reloads


@pytest.mark.parametrize("late", [0, 1, 3])
def test_ten_reloads_keep_the_lock_however_late_the_release_comes(
    site, key, alice, late
):
    before = token(site, key)
    with site.rule(path=locks_of(key), leave=True, postpone=late):
        with rival(site, "bob", key, "api") as bob:
            for number in range(10):
                # Every other time before the page has settled.
                settled = number % 2
                alice.reload(wait_until="load" if settled else "domcontentloaded")
                if settled:
                    until_held(alice)
            leaves = until(lambda: all_done(asked(site, key, leave=True)))
    assert bob.got is None
    assert bob.attempts > 10
    assert len(leaves) >= 5
    assert is_held(alice)
    assert not events(alice, "lost")
    assert token(site, key) == before
    until(lambda: left(site, key) > 3000)
    type_in(alice, "headline", "After ten reloads")
    keep_dialogs(alice, accept=False)
    save(alice)
    assert site.saved(key)[0] == "After ten reloads"


def all_done(requests):
    return all(entry.done for entry in requests) and requests


@pytest.mark.parametrize("by", ["page", "api"])
def test_who_polls_during_a_reload_gets_nothing(site, key, alice, by):
    slow = [{"delay": 0.5}, {"late": 0.5}, {}]
    with rival(site, "bob", key, by) as bob:
        for how in slow:
            with site.rule(path=change(key), method="GET", **how):
                alice.reload()
            until_held(alice)
        until(lambda: bob.attempts > 20)
    assert bob.got is None
    assert bob.shortest > GRACE
    assert all_done(asked(site, key, leave=True))
    assert site.holder(key) == "alice"


# 4. Leaving


@pytest.mark.parametrize("how", ["closing the tab", "going elsewhere"])
def test_leaving_frees_the_object(site, key, alice, how):
    with rival(site, "bob", key, "api") as bob:
        before = time.time()
        alice.close() if how == "closing the tab" else leave(alice)
        after = time.time()
        until(lambda: bob.got, GRACE + 3)
    assert before + GRACE - 0.1 < bob.got < after + GRACE + 1
    assert site.holder(key) == "bob"
    assert how == "closing the tab" or alice.url.endswith(LIST)


def test_logging_out_frees_the_object(site, key, alice, bob):
    sign_out(alice)
    assert site.lock(key, "story") is None
    edit(bob, key)
    assert site.holder(key) == "bob"
    until(lambda: all_done(asked(site, key, leave=True)))
    # What Alice's page sent on leaving came too late to end anything of Bob's.
    assert site.holder(key) == "bob"
    assert left(site, key) > 3000


# 5. Unsaved changes


def test_staying_when_asked_keeps_the_lock_and_a_working_page(site, key, alice):
    before = token(site, key)
    dialogs = keep_dialogs(alice, accept=False)
    type_in(alice, "body", "Not to be lost.")
    leave(alice)
    until(lambda: dialogs == ["beforeunload"], page=alice)
    alice.close(run_before_unload=True)
    until(lambda: len(dialogs) == 2, page=alice)

    assert alice.url.endswith(change(key))
    assert is_held(alice)
    assert read(alice, "body") == "Not to be lost."
    assert asked(site, key, leave=True) == []
    assert token(site, key) == before
    # It goes on to renew, and can be saved.
    site.let_live(key, 8)
    wake(alice)
    until(lambda: left(site, key) > 3000)
    save(alice)
    assert len(dialogs) == 2
    assert site.saved(key) == ("One", "Not to be lost.")
    assert site.holder(key) is None


def test_nobody_is_asked_where_nothing_was_changed(site, key, alice):
    dialogs = keep_dialogs(alice, accept=False)
    alice.locator("#id_headline").click()
    alice.keyboard.press("End")
    alice.keyboard.press("Tab")
    alice.reload()
    until_held(alice)
    alice.locator("#id_headline").click()
    leave(alice)
    alice.wait_for_url(f"**{LIST}")
    assert dialogs == []
    assert until(lambda: left(site, key) <= GRACE)


# 6. A validation error


def test_a_form_with_errors_keeps_text_and_lock_until_it_is_saved(
    site, key, alice, bob
):
    before = token(site, key)
    dialogs = keep_dialogs(alice, accept=True)
    type_in(alice, "body", "Written by Alice.")
    type_in(alice, "headline", " ")
    save_and_wait_for(alice, 200)
    until_held(alice)
    assert alice.locator(".field-headline .errorlist").count() == 1
    assert read(alice, "body") == "Written by Alice."
    assert site.saved(key) == ("One", "As it was.")
    assert token(site, key) == before
    assert asked(site, key, leave=True) == []  # the next page has the lock
    until(lambda: left(site, key) > 3000)
    bob.goto(change(key))
    until_state(bob, "taken")

    type_in(alice, "headline", "Two")
    save(alice)
    assert site.saved(key) == ("Two", "Written by Alice.")
    assert site.lock(key, "story") is None
    assert dialogs == []


def test_leaving_a_form_with_errors_asks_first(site, key, alice):
    type_in(alice, "headline", " ")
    save_and_wait_for(alice, 200)
    until_held(alice)
    dialogs = keep_dialogs(alice, accept=False)
    alice.locator("#id_body").click()  # a browser asks for nobody who did nothing
    leave(alice)
    until(lambda: dialogs == ["beforeunload"], page=alice)
    assert alice.url.endswith(change(key))
    assert site.holder(key) == "alice"
    assert left(site, key) > GRACE


# 7. Saving


def fill_in_more(site, page):
    """Add a row and a keyword."""
    site.sql("INSERT INTO tests_keyword (name) VALUES ('harbour')")
    keyword = site.newest("keyword")
    page.reload()
    until_held(page)
    page.locator("#id_keywords_from").select_option(str(keyword))
    page.locator("#id_keywords_add").click()
    page.locator("#id_comment_set-0-text").fill("A row")
    return keyword


def rows(site, key):
    keywords = "SELECT keyword_id FROM tests_story_keywords WHERE story_id = ?"
    comments = "SELECT text FROM tests_comment WHERE story_id = ? ORDER BY id"
    return [
        [value for (value,) in site.sql(query, key)] for query in (keywords, comments)
    ]


def test_saving_writes_rows_and_keywords_and_to_continue_keeps_the_lock(
    site, key, alice, bob
):
    dialogs = keep_dialogs(alice, accept=True)
    keyword = fill_in_more(site, alice)
    before, leaves = [token(site, key)], asked(site, key, leave=True)
    with rival(site, "bob", key, "api") as other:
        for number in (1, 2):
            type_in(alice, "headline", f"Part {number}")
            alice.locator("[name=_continue]").click()
            alice.locator(f".messagelist .success:has-text('Part {number}')").wait_for()
            until_held(alice)
            assert alice.url.endswith(change(key))
            assert site.saved(key)[0] == f"Part {number}"
            assert rows(site, key) == [[keyword], ["A row"]]
            # Another tab with the text from before cannot be saved any more.
            assert read_token(alice) == token(site, key)
            assert token(site, key) not in before
            before.append(token(site, key))
        # The next page has the lock.
        assert asked(site, key, leave=True) == leaves
        until(lambda: other.attempts > 10)
    assert other.got is None
    assert left(site, key) > 3000
    bob.goto(change(key))
    assert until_state(bob, "taken")
    alice.locator("#id_comment_set-1-text").fill("Another row")
    save(alice)
    assert rows(site, key) == [[keyword], ["A row", "Another row"]]
    assert site.lock(key, "story") is None
    assert dialogs == []


# 8. and 9. Back and forward


def go_elsewhere(site, page, key):
    """Leave for another page of the site, whatever the browser asks."""
    page.once("dialog", lambda dialog: dialog.accept())
    page.evaluate("window.here = true")
    page.goto("/elsewhere/")
    until(lambda: all_done(asked(site, key, leave=True)))
    assert left(site, key) <= GRACE


def come_back(page, key, by="back"):
    page.evaluate(f"history.{by}()")
    until(lambda: page.url.endswith(change(key)), page=page)
    until(lambda: page.evaluate("window.persisted") is page.from_cache, page=page)
    assert bool(page.evaluate("window.here")) is page.from_cache


def save_by(page, key, headline="Written by Bob"):
    """Let somebody edit the story from beginning to end."""
    edit(page, key)
    type_in(page, "headline", headline)
    save(page)


def test_back_to_what_is_free_holds_it_again(site, key, returning):
    alice = edit(returning, key)
    before = token(site, key)
    type_in(alice, "headline", "Begun")
    go_elsewhere(site, alice, key)
    site.let_expire(key)
    come_back(alice, key)
    until(lambda: site.holder(key) == "alice")
    until_held(alice)
    assert token(site, key) == before
    until(lambda: left(site, key) > 3000)
    assert read(alice, "headline") == "Begun"
    type_in(alice, "headline", "Begun and ended")
    save(alice)
    assert site.saved(key)[0] == "Begun and ended"
    assert site.lock(key, "story") is None


def test_forward_to_it_holds_it_again(site, key, returning):
    alice = returning
    alice.goto("/elsewhere/")
    edit(alice, key)
    alice.evaluate("window.here = true")
    alice.evaluate("history.back()")
    until(lambda: alice.url.endswith("/elsewhere/"), page=alice)
    until(lambda: all_done(asked(site, key, leave=True)))
    come_back(alice, key, "forward")
    until(lambda: left(site, key) > 3000)
    until_held(alice)
    type_in(alice, "headline", "Two")
    save(alice)
    assert site.saved(key)[0] == "Two"


def test_back_to_what_another_has_taken_says_so(site, key, returning, enter):
    alice, bob = edit(returning, key), enter("bob")
    type_in(alice, "headline", "Begun by Alice")
    go_elsewhere(site, alice, key)
    site.let_expire(key)
    edit(bob, key)
    come_back(alice, key)
    until_state(alice, "taken")
    assert site.holder(key) == "bob"
    assert alice.get_by_text("Bob Lindqvist").locator("visible=true").count()
    if alice.from_cache:
        assert not can_save(alice)
        assert read(alice, "headline") == "Begun by Alice"
        # By the keyboard neither.
        alice.locator("#id_headline").press("Enter")
        assert state(alice) == "taken"
    else:
        assert is_only_to_read(alice)
    type_in(bob, "headline", "Written by Bob")
    save(bob)
    assert site.saved(key)[0] == "Written by Bob"


def test_back_to_what_another_has_changed_saves_nothing_over_it(
    site, key, returning, enter
):
    alice, bob = edit(returning, key), enter("bob")
    type_in(alice, "headline", "Begun by Alice")
    go_elsewhere(site, alice, key)
    site.let_expire(key)
    save_by(bob, key)
    come_back(alice, key)
    # The browser has filled in again what was typed over the text from before Bob's.
    until_state(alice, "ended", "freed")
    assert not can_save(alice)
    assert read(alice, "headline") == "Begun by Alice"
    assert site.saved(key)[0] == "Written by Bob"
    assert site.holder(key) is None

    press_go_on(alice)
    until_held(alice)
    assert read(alice, "headline") == "Begun by Alice"
    assert "Written by Bob" in said(alice)
    assert site.saved(key)[0] == "Written by Bob"
    assert site.holder(key) == "alice"
    save(alice)
    assert site.saved(key)[0] == "Begun by Alice"


def test_back_without_a_text_of_ones_own_shows_what_another_has_saved(
    site, key, returning, enter
):
    alice, bob = edit(returning, key), enter("bob")
    go_elsewhere(site, alice, key)
    site.let_expire(key)
    save_by(bob, key)
    come_back(alice, key)
    if alice.from_cache:
        # As it was: what is there to read is old.
        until_state(alice, "ended", "freed")
        assert not can_save(alice)
        assert site.holder(key) is None
    else:
        until_held(alice)
        assert read(alice, "headline") == "Written by Bob"
        type_in(alice, "body", "And by Alice.")
        save(alice)
        assert site.saved(key) == ("Written by Bob", "And by Alice.")
    assert site.saved(key)[0] == "Written by Bob"


# Without JavaScript


@pytest.fixture
def enter_plain(enter):
    """Open a window in which somebody is signed in, and no script runs."""
    return lambda username: enter(username, java_script_enabled=False)


def test_without_scripts_one_edits_and_the_other_reads(site, key, enter_plain):
    alice, bob = enter_plain("alice"), enter_plain("bob")
    alice.goto(change(key))
    assert site.holder(key) == "alice"
    bob.goto(change(key))
    assert is_only_to_read(bob)
    assert "Alice Moreau" in said(bob)
    assert bob.locator("details, [name=_take_over]:visible").count() == 0
    bob.locator("#lock-tokens a:visible").click()
    assert is_only_to_read(bob)
    alice.locator("#id_body").fill("Written by Alice.")
    save(alice)
    assert site.saved(key) == ("One", "Written by Alice.")
    assert site.lock(key, "story") is None
    bob.locator("#lock-tokens a:visible").click()
    assert read(bob, "body") == "Written by Alice."
    assert site.holder(key) == "bob"


def test_without_scripts_a_refused_form_gives_the_text_back(site, key, enter_plain):
    alice, bob = enter_plain("alice"), enter_plain("bob")
    alice.goto(change(key))
    alice.locator("#id_headline").fill("Alice's")
    alice.locator("#id_comment_set-0-text").fill("A row of Alice's")
    site.let_expire(key)
    bob.goto(change(key))
    bob.locator("#id_headline").fill("Bob's")
    save(bob)
    save_and_wait_for(alice, 403)
    assert alice.locator("[name=_save]").count() == 0
    assert read(alice, "headline") == "Alice's"
    assert read(alice, "comment_set-0-text") == "A row of Alice's"
    assert "Bob's" in said(alice)
    assert site.saved(key)[0] == "Bob's"
    assert rows(site, key) == [[], []]
    assert site.lock(key, "story") is None

    press_go_on(alice)
    assert read(alice, "headline") == "Alice's"
    assert site.saved(key)[0] == "Bob's"
    assert site.holder(key) == "alice"
    save(alice)
    assert site.saved(key)[0] == "Alice's"
    assert rows(site, key) == [[], ["A row of Alice's"]]
    assert site.lock(key, "story") is None


def test_without_scripts_a_chief_takes_over(site, key, enter_plain):
    alice, carol = enter_plain("alice"), enter_plain("carol")
    alice.goto(change(key))
    alice.locator("#id_headline").fill("Alice's")
    carol.goto(change(key))
    assert is_only_to_read(carol)
    take = carol.locator("details [name=_take_over]")
    assert not take.is_visible()  # it asks first
    carol.locator("details summary").click()
    assert "Alice Moreau" in take.inner_text()
    take.click()
    carol.locator("[name=_save]").wait_for()
    assert site.holder(key) == "carol"
    ((username, message),) = site.logged(key)
    assert username == "carol"
    assert "Alice Moreau" in message

    save_and_wait_for(alice, 403)
    assert "Carol Okafor" in said(alice)
    assert read(alice, "headline") == "Alice's"
    assert alice.locator("details, [name=_take_over]:visible").count() == 0
    assert site.saved(key)[0] == "One"
    carol.locator("#id_headline").fill("Carol's")
    save(carol)
    assert site.saved(key)[0] == "Carol's"
