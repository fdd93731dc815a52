"""Change pages of the admin whose lock has ended, and what becomes of what was typed."""

import pytest

from .editors import (
    Newsdesk,
    another_tab,
    at_work,
    can_save,
    change,
    edit,
    editor,
    events,
    freeze,
    hide,
    kind,
    said,
    save,
    submit_past_scripts,
    take_over,
    until_kind,
    until_state,
    wake,
    way_on,
    write,
    written,
)
from .site import address, until

MINE = ("By Alice", "Mine,\nall of it.")
THEIRS = ("By Bob", "Theirs.")
GRACE = 5
NETWORK = ["net::ERR_"]
TROUBLE = ["status of 500", "status of 502", "status of 503", "net::ERR_"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Newsdesk(tmp_path_factory.mktemp("site")).launch()
    try:
        yield site.wait()
    finally:
        site.stop()
    assert "Traceback" not in site.output()


@pytest.fixture
def enter(site, window):
    """Let somebody in: a window of their own, in which they are signed in."""

    def entered(username, **options):
        return at_work(window, site, username, **options)

    return entered


def edit_and_leave(page, key):
    """Let somebody edit the story from beginning to end."""
    edit(page, key)
    write(page, *THEIRS)
    save(page)


def check_mine_is_kept(site, page, key, saved):
    """All that was typed is in the page, it cannot be saved, and nothing was."""
    assert written(page) == MINE
    assert page.locator("#id_headline").is_editable()
    assert not can_save(page)
    assert site.saved(key) == saved


def check_it_is_never_saved_over(site, page, key, saved):
    """Not by the keyboard, not by a script, and not past all scripts."""
    page.locator("#id_headline").press("Enter")
    page.evaluate("document.getElementById('id_headline').form.requestSubmit()")
    page.wait_for_timeout(300)
    check_mine_is_kept(site, page, key, saved)
    submit_past_scripts(page)
    assert kind(page) == "refused"
    check_mine_is_kept(site, page, key, saved)


def go_on_and_save(site, page, key, saved):
    """Go on with what was typed, look at the differences, and save."""
    way_on(page, "Go on with my text").click()
    until_kind(page, "again")
    assert site.holder(key) == "alice"
    assert site.saved(key) == saved
    assert written(page) == MINE
    assert saved[0] in said(page)
    assert MINE[0] not in said(page)
    save(page)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


# The same page twice


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_tabs_either_saves_first_and_the_other_is_refused_and_keeps_its_text(
    site, enter, first
):
    key = site.story()
    tab = edit(enter("alice"), key)
    tabs = [tab, another_tab(tab, key)]
    other = tabs[1 - first]
    assert len({tab.locator("[name=lock_token]").input_value() for tab in tabs}) == 1
    write(other, *MINE)
    write(tabs[first], *THEIRS)
    save(tabs[first])
    assert site.saved(key) == THEIRS
    assert site.lock(key, "story") is None

    until_state(other, "ended")
    check_mine_is_kept(site, other, key, THEIRS)
    check_it_is_never_saved_over(site, other, key, THEIRS)
    go_on_and_save(site, other, key, THEIRS)


@pytest.mark.parametrize("closed", [0, 1])
def test_closing_one_of_two_tabs_keeps_the_lock_of_the_other(site, enter, closed):
    key = site.story()
    tab = edit(enter("alice"), key)
    alone = said(tab)
    other = another_tab(tab, key)
    tabs = [tab, other]
    for page in tabs:
        until(lambda page=page: "another tab" in said(page), page=page)
        assert can_save(page)
    left = tabs[1 - closed]
    count = len(events(left, "renewed"))
    tabs[closed].close()
    until(lambda: said(left) == alone, page=left)
    until(lambda: len(events(left, "renewed")) > count, page=left)
    until(lambda: site.lock(key, "story").left > GRACE)
    assert site.holder(key) == "alice"
    assert not events(left, "lost")
    write(left, *MINE)
    save(left)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


# Away


def test_six_minutes_in_a_hidden_tab_hold_the_lock(site, enter):
    key = site.story()
    page = edit(enter("alice", frozen=True), key)
    freeze(page)
    write(page, *MINE)
    hide(page, True)
    for _ in range(6):
        # The timers of a hidden tab run once in a minute.
        count = len(events(page, "renewed"))
        site.let_live(key, 300)
        page.clock.fast_forward(60_000)
        until(lambda count=count: len(events(page, "renewed")) > count, page=page)
    assert site.lock(key, "story").left > 290
    reader = enter("bob")
    reader.goto(change(key))
    assert kind(reader) == "locked"
    hide(page, False)
    assert not events(page, "lost")
    assert written(page) == MINE
    save(page)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


def test_after_two_hours_asleep_an_untouched_story_is_held_again_and_saved(site, enter):
    key = site.story()
    page = edit(enter("alice", frozen=True), key)
    freeze(page)
    write(page, *MINE)
    token = site.lock(key, "story").token
    site.let_expire(key)
    assert site.holder(key) is None
    page.clock.fast_forward("02:00:00")
    until(lambda: "revived" in events(page, "renewed"), page=page)
    assert site.lock(key, "story").token == token
    assert site.holder(key) == "alice"
    assert can_save(page)
    save(page)
    assert site.saved(key) == MINE


def test_after_two_hours_asleep_a_taken_story_is_never_saved_over(site, enter):
    key = site.story()
    page = edit(enter("alice", frozen=True), key)
    freeze(page)
    write(page, *MINE)
    site.let_expire(key)
    other = edit(enter("bob"), key)
    write(other, *THEIRS)
    page.clock.fast_forward("02:00:00")
    until_state(page, "taken")
    assert "Bob Lindqvist" in said(page)
    check_it_is_never_saved_over(site, page, key, ("One", "As it was."))
    assert "Bob Lindqvist" in said(page)
    assert site.holder(key) == "bob"
    save(other)
    assert site.saved(key) == THEIRS
    wake(page)
    until_state(page, "freed")
    go_on_and_save(site, page, key, THEIRS)


def test_after_two_hours_asleep_a_story_that_was_edited_is_saved_knowingly(site, enter):
    key = site.story()
    page = edit(enter("alice", frozen=True), key)
    freeze(page)
    write(page, *MINE)
    site.let_expire(key)
    edit_and_leave(enter("bob"), key)
    assert site.lock(key, "story") is None
    page.clock.fast_forward("02:00:00")
    until_state(page, "ended", "freed")
    check_mine_is_kept(site, page, key, THEIRS)
    go_on_and_save(site, page, key, THEIRS)


# Without a connection


def test_offline_it_says_so_and_can_be_saved_when_online_again(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    page.context.watch.expected += NETWORK
    write(page, "By", MINE[1])
    page.context.set_offline(True)
    until_state(page, "offline")
    assert not can_save(page)
    page.locator("#id_headline").press("End")
    page.keyboard.type(" Alice")
    check_mine_is_kept(site, page, key, ("One", "As it was."))
    page.locator("#id_headline").press("Enter")
    assert written(page) == MINE
    page.context.set_offline(False)
    until_state(page, "held")
    assert can_save(page)
    assert written(page) == MINE
    save(page)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


@pytest.mark.parametrize("answer", ["500", "502", "503", "close"])
def test_while_the_server_has_a_problem_it_says_so_and_then_it_can_be_saved(
    site, enter, answer
):
    key = site.story()
    page = edit(enter("alice"), key)
    page.context.watch.expected += TROUBLE
    write(page, *MINE)
    with site.rule(path="/", answer=answer):
        wake(page)
        until_state(page, "offline", "server")
        check_mine_is_kept(site, page, key, ("One", "As it was."))
    wake(page)
    until_state(page, "held")
    assert site.holder(key) == "alice"
    assert written(page) == MINE
    save(page)
    assert site.saved(key) == MINE


def test_a_save_right_after_the_connection_went_asks_first_and_loses_nothing(
    site, enter
):
    key = site.story()
    page = edit(enter("alice"), key)
    page.context.watch.expected += NETWORK
    write(page, *MINE)
    page.evaluate(
        """window.addEventListener("offline", () =>
        document.querySelector("[name=_save]").click())"""
    )
    page.context.set_offline(True)
    page.wait_for_timeout(500)
    until_state(page, "offline")
    check_mine_is_kept(site, page, key, ("One", "As it was."))
    page.context.set_offline(False)
    until_state(page, "held")
    save(page)
    assert site.saved(key) == MINE


@pytest.mark.parametrize("answer", ["500", "close"])
@pytest.mark.parametrize("way", ["at once", "after a while"])
def test_a_save_that_fails_on_its_way_is_there_to_be_sent_again(
    site, enter, answer, way
):
    key = site.story()
    page = edit(enter("alice", frozen=True), key)
    page.context.watch.expected += TROUBLE
    write(page, *MINE)
    if way == "after a while":
        freeze(page)
        page.clock.run_for(20_000)
    with site.rule(path="/", answer=answer):
        # Nothing has told the page yet.
        page.locator("[name=_save]").click(no_wait_after=True)
        until_state(page, "offline", "server")
        check_mine_is_kept(site, page, key, ("One", "As it was."))
    wake(page)
    until(lambda: can_save(page), page=page)
    assert written(page) == MINE
    save(page)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


# Taken over, and signed out


def test_whoever_is_taken_over_is_told_by_whom_and_keeps_the_text(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    chief = enter("carol")
    take_over(chief, key)
    assert site.holder(key) == "carol"
    noted = site.sql(
        "SELECT username, change_message FROM django_admin_log"
        " JOIN auth_user ON auth_user.id = user_id WHERE object_id = ?",
        str(key),
    )
    assert [who for who, _ in noted] == ["carol"]
    assert "Alice Moreau" in noted[0][1]

    until_state(page, "taken", seconds=5)  # at its next renewal
    assert "Carol Okafor" in said(page)
    assert not way_on(page, "Go on with my text").is_visible()
    assert way_on(page, "Copy my text").is_visible()
    assert not page.locator("[name=_take_over]").first.is_visible()
    check_it_is_never_saved_over(site, page, key, ("One", "As it was."))
    assert "Carol Okafor" in said(page)

    write(chief, *THEIRS)
    save(chief)
    wake(page)
    until_state(page, "freed")
    go_on_and_save(site, page, key, THEIRS)


def test_an_open_page_that_was_taken_over_from_says_when_it_is_free(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    chief = enter("carol")
    take_over(chief, key)
    wake(page)
    until_state(page, "taken")
    write(chief, *THEIRS)
    save(chief)
    wake(page)
    until_state(page, "freed")
    assert "Carol Okafor" in said(page)
    check_mine_is_kept(site, page, key, THEIRS)
    go_on_and_save(site, page, key, THEIRS)


def test_a_chief_takes_a_story_back_with_the_text_that_was_typed(site, enter):
    key = site.story()
    page = edit(enter("carol"), key)
    write(page, *MINE)
    site.let_expire(key)
    other = edit(enter("bob"), key)
    wake(page)
    until_state(page, "taken")
    assert "Bob Lindqvist" in said(page)
    page.locator("summary:visible").first.click()
    page.locator("[name=_take_over]:visible").first.click()
    until_kind(page, "again")
    assert written(page) == MINE
    assert site.holder(key) == "carol"
    wake(other)
    until_state(other, "taken")
    assert "Carol Okafor" in said(other)
    save(page)
    assert site.saved(key) == MINE


def sign_out(page):
    page.goto("/admin/")
    page.locator("#logout-form button").click()
    page.wait_for_url("**/admin/logout/")


def test_whoever_signs_out_in_another_tab_is_told_so_and_goes_on_after_signing_in(
    site, enter
):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    tab = page.context.new_page()
    sign_out(tab)
    assert site.lock(key, "story") is None
    wake(page)
    until_state(page, "out")
    check_mine_is_kept(site, page, key, ("One", "As it was."))
    assert way_on(page, "Sign in").is_visible()
    assert not way_on(page, "Go on with my text").is_visible()
    out = said(page)

    with page.context.expect_page() as opened:
        way_on(page, "Sign in").click()
    opened.value.locator("#id_username").fill("alice")
    opened.value.locator("#id_password").fill("alice")
    opened.value.locator("[type=submit]").click()
    opened.value.wait_for_url("**/admin/**/change/")
    opened.value.close()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    until_state(page, "back")
    check_mine_is_kept(site, page, key, ("One", "As it was."))
    go_on_and_save(site, page, key, ("One", "As it was."))

    # Another message than of a lock that was taken over.
    edit(page, key)
    take_over(enter("carol"), key)
    wake(page)
    until_state(page, "taken")
    assert not {*said(page).splitlines()} & {
        line for line in out.splitlines() if "signed" in line.lower()
    }


def end_session(site, page):
    """End the session as from another browser: nobody tells this one."""
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "sessionid"]
    site.sql("DELETE FROM django_session WHERE session_key = ?", cookie["value"])


def test_a_save_after_the_session_ended_shows_all_that_was_typed(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    end_session(site, page)
    submit_past_scripts(page)
    way_on(page, "Sign in").wait_for()
    typed = [area.input_value() for area in page.locator("textarea").all()]
    assert {*MINE} <= {*typed}
    assert site.saved(key) == ("One", "As it was.")

    # As the page says: sign in in a new tab, go back, save again.
    site.let_expire(key)
    page.context.new_page().goto("/sign-in/alice/")
    page.go_back()
    until(lambda: events(page, "renewed") or events(page, "lost"), page=page)
    until(lambda: can_save(page) or way_on(page, "Go on").is_visible(), page=page)
    assert written(page) == MINE
    if not can_save(page):
        way_on(page, "Go on with my text").click()
        until_kind(page, "again")
    save(page)
    assert site.saved(key) == MINE


def test_to_edit_here_instead_in_another_browser_tells_the_first(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    token = site.lock(key, "story").token
    second = enter("alice")
    second.goto(change(key))
    assert kind(second) == "elsewhere"
    assert not can_save(second)
    assert site.lock(key, "story").token == token
    way_on(second, "Edit here instead").click()
    until_kind(second, "held")
    assert site.holder(key) == "alice"
    assert site.lock(key, "story").token != token

    until_state(page, "mine", seconds=5)
    assert not way_on(page, "Go on with my text").is_visible()
    check_it_is_never_saved_over(site, page, key, ("One", "As it was."))
    way_on(page, "Go on here instead").click()
    until_kind(page, "again")
    assert written(page) == MINE
    wake(second)
    until_state(second, "mine")
    save(page)
    assert site.saved(key) == MINE


def test_to_go_on_here_instead_also_works_before_the_form_was_sent(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    second = enter("alice")
    second.goto(change(key))
    way_on(second, "Edit here instead").click()
    until_kind(second, "held")
    wake(page)
    until_state(page, "mine")
    way_on(page, "Go on here instead").click()
    until_kind(page, "again")
    assert written(page) == MINE
    assert site.saved(key) == ("One", "As it was.")
    save(page)
    assert site.saved(key) == MINE


# The stale first tab


@pytest.mark.parametrize("scripts", [True, False])
def test_the_stale_first_tab_is_refused(site, window, enter, scripts):
    key = site.story()
    if scripts:
        page = edit(enter("alice", frozen=True), key)
        freeze(page)
    else:
        page = editor(window, site, "alice", java_script_enabled=False)
        page.goto(change(key))
    write(page, *MINE)
    stale = site.lock(key, "story").token
    site.let_expire(key)
    edit_and_leave(enter("bob"), key)
    second = page.context.new_page()
    second.goto(change(key))
    until_kind(second, "held")
    assert written(second) == THEIRS
    fresh = site.lock(key, "story").token
    assert fresh != stale

    if scripts:
        page.clock.run_for(10_000)
        page.locator("[name=_save]").click()
        until_state(page, "tab")
        check_mine_is_kept(site, page, key, THEIRS)
        submit_past_scripts(page)
    else:
        with page.expect_response(lambda r: r.request.method == "POST") as answer:
            page.locator("[name=_save]").click()
        assert answer.value.status == 403
        until_kind(page, "refused")
    assert kind(page) == "refused"
    check_mine_is_kept(site, page, key, THEIRS)
    assert THEIRS[0] in said(page)
    # The second tab is none the worse for it.
    assert site.lock(key, "story").token == fresh
    assert site.holder(key) == "alice"


# Taken over while it is being saved


def test_taken_over_while_a_save_is_on_its_way_keeps_what_was_to_be_saved(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    chief = enter("carol")
    chief.goto(change(key))
    chief.locator("summary").click()
    with site.rule(path=change(key), method="POST", delay=1.5, times=1):
        page.locator("[name=_save]").click(no_wait_after=True)
        until(lambda: site.requests(method="POST")[-1].path == change(key))
        chief.locator("details[open] [name=_take_over]").click()
        until_kind(chief, "held")
    until_kind(page, "refused")
    assert "Carol Okafor" in said(page)
    check_mine_is_kept(site, page, key, ("One", "As it was."))
    assert site.holder(key) == "carol"
    write(chief, *THEIRS)
    save(chief)
    assert site.saved(key) == THEIRS


def test_taken_over_after_a_save_was_done_shows_what_was_saved(site, enter):
    key = site.story()
    page = edit(enter("alice"), key)
    write(page, *MINE)
    chief = enter("carol")
    chief.goto(change(key))
    chief.locator("summary").click()
    with site.rule(path=change(key), method="POST", late=1.5, times=1):
        page.locator("[name=_save]").click(no_wait_after=True)
        until(lambda: site.saved(key) == MINE)
        assert site.lock(key, "story") is None
        chief.locator("details[open] [name=_take_over]").click()
        until_kind(chief, "held")
    page.wait_for_url("**/admin/tests/story/")
    assert written(chief) == MINE
    assert site.saved(key) == MINE
    assert site.holder(key) == "carol"


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
    assert site.saved(key) == ("One", "As it was.")
    for table in ("tests_comment", "tests_story_keywords"):
        assert site.sql(f"SELECT * FROM {table} WHERE story_id = ?", key) == []
    ((is_urgent,),) = site.sql("SELECT is_urgent FROM tests_story WHERE id = ?", key)
    assert not is_urgent


@pytest.mark.parametrize("clipboard", [True, False])
def test_a_refused_page_shows_inlines_and_many_to_many_and_copies_them(
    site, enter, keywords, clipboard
):
    key = site.story()
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
    site.let_expire(key)
    edit(enter("bob"), key)
    # As when it was taken between the page's question and its save.
    with page.expect_response(lambda r: r.request.method == "POST") as answer:
        submit_past_scripts(page)
    assert answer.value.status == 403
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


def test_all_of_it_is_still_there_to_go_on_with_and_is_saved(site, enter, keywords):
    key = site.story()
    page = edit(enter("alice"), key)
    fill_in_everything(page)
    site.let_expire(key)
    edit_and_leave(enter("bob"), key)
    wake(page)
    until_state(page, "ended", "freed")
    way_on(page, "Go on with my text").click()
    until_kind(page, "again")
    check_everything_is_shown(page)
    assert site.saved(key) == THEIRS
    save(page)
    assert site.saved(key) == MINE
    comments = site.sql("SELECT text FROM tests_comment WHERE story_id = ?", key)
    assert sorted(comments) == [("A first remark",), ("And a second",)]
    assert site.sql(
        "SELECT name FROM tests_story_keywords"
        " JOIN tests_keyword ON tests_keyword.id = keyword_id WHERE story_id = ?",
        key,
    ) == [("Weather",)]


# Deleting


def test_the_question_whether_to_delete_holds_the_story_and_tells_when_it_is_taken(
    site, enter
):
    key = site.story()
    page = edit(enter("alice"), f"/admin/tests/story/{key}/delete/")
    assert site.holder(key) == "alice"
    reader = enter("bob")
    reader.goto(change(key))
    assert kind(reader) == "locked"
    sure = page.locator("#content form [type=submit]:not(.lock-tokens *)")
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
    assert site.saved(key) == ("One", "As it was.")
    assert site.holder(key) == "carol"


def test_the_question_whether_to_delete_is_answered(site, enter):
    key = site.story()
    page = edit(enter("alice"), f"/admin/tests/story/{key}/delete/")
    page.locator("#content form [type=submit]:not(.lock-tokens *)").click()
    page.wait_for_url("**/admin/tests/story/")
    assert site.sql("SELECT * FROM tests_story WHERE id = ?", key) == []
    assert site.lock(key, "story") is None


# Pages of other kinds


@pytest.fixture
def shift(site):
    """A shift, which points to a desk by its name; the keys of both."""
    site.sql("INSERT INTO tests_desk (name, telephone) VALUES ('night', '1')")
    site.sql("INSERT INTO tests_shift (desk_id) VALUES ('night')")
    yield tuple(site.sql("SELECT max(id) FROM tests_shift")[0]), desk_key(site)
    site.sql("DELETE FROM tests_shift")
    site.sql("DELETE FROM tests_desk")


def desk_key(site):
    return site.sql("SELECT max(id) FROM tests_desk")[0][0]


def open_popup(site, page, shift, desk):
    page.goto(f"/admin/tests/shift/{shift}/change/")
    with page.expect_popup() as opened:
        page.locator("#change_id_desk").click()
    popup = opened.value

    def renewed():  # `events` are of the page that is there before a popup's first
        path = address(desk, "desk")
        requests = site.requests(method="PATCH", status=200)
        return any(request.path.startswith(path) for request in requests)

    until(renewed, page=popup)
    return popup


def test_a_popup_saves_and_closes(site, enter, shift):
    (number,), desk = shift
    page = enter("alice")
    popup = open_popup(site, page, number, desk)
    assert "_popup=1" in popup.url
    lock = site.lock(desk, "desk")
    assert lock.locked_by == "alice"
    popup.locator("#id_telephone").fill("2")
    with popup.expect_event("close"):
        popup.locator("[name=_save]").click()
    assert site.sql("SELECT telephone FROM tests_desk") == [("2",)]
    assert site.lock(desk, "desk") is None


def test_a_popup_that_is_refused_stays_one_and_keeps_its_text(site, enter, shift):
    (number,), desk = shift
    popup = open_popup(site, enter("alice"), number, desk)
    popup.locator("#id_telephone").fill("2")
    site.sql("DELETE FROM lock_tokens_locktoken WHERE locked_object_id = ?", str(desk))
    site.sql("UPDATE tests_desk SET telephone = '3'")
    submit_past_scripts(popup)
    assert kind(popup) == "refused"
    assert popup.locator("#id_telephone").input_value() == "2"
    assert site.sql("SELECT telephone FROM tests_desk") == [("3",)]
    way_on(popup, "Go on with my text").click()
    until_kind(popup, "again")
    with popup.expect_event("close"):
        popup.locator("[name=_save]").click()
    assert site.sql("SELECT telephone FROM tests_desk") == [("2",)]


def test_a_page_that_is_not_to_release_on_leaving_keeps_its_lock(site, enter):
    # PageAdmin has lock_release_on_leave = False.
    key = "12345678123456781234567812345678"
    path = "/admin/tests/page/12345678-1234-5678-1234-567812345678/change/"
    site.sql("INSERT INTO tests_page (id, title) VALUES (?, 'x')", key)
    page = edit(enter("alice"), path)
    locked = "12345678-1234-5678-1234-567812345678"
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
    page.locator("[name=_save]").click()
    page.wait_for_url("**/admin/tests/page/")
    assert site.sql("SELECT title FROM tests_page WHERE id = ?", key) == [("y",)]
    assert site.lock(locked, "page") is None


def test_a_page_that_is_not_to_renew_does_not_and_is_told_at_its_save(site, enter):
    # PlainAdmin has lock_renew = False.
    site.sql("INSERT INTO tests_plain (title) VALUES ('x')")
    ((key,),) = site.sql("SELECT max(id) FROM tests_plain")
    path = f"/admin/tests/plain/{key}/change/"
    page = edit(enter("alice", frozen=True), path)
    page.locator("#id_title").fill("y")
    page.clock.run_for(120_000)
    hide(page, True)
    hide(page, False)
    page.wait_for_timeout(300)
    assert len(events(page, "renewed")) == 1

    # Expired, it is the page's until somebody else comes.
    site.change_lock(key, "expires_at = '2020-01-01 00:00:00.000000'")
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
    way_on(page, "Go on with my text").click()
    until_kind(page, "again")
    page.locator("[name=_save]").click()
    page.wait_for_url("**/admin/tests/plain/")
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
    way_on(page, "Go on with my text").click()
    until_kind(page, "again")
    assert site.lock("bare", "label").locked_by == "alice"
    assert site.sql("SELECT name FROM tests_label") == [("bare",)]
    page.locator("[name=_save]").click()
    page.wait_for_url("**/admin/tests/label/")
    assert ("typed",) in site.sql("SELECT name FROM tests_label")
    assert site.lock("bare", "label") is None
