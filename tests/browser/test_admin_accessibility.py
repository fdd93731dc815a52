"""What the admin's pages say of locks, for whoever sees little, or has no mouse."""

import pytest

from .conftest import go_without
from .editors import (
    another_tab,
    change,
    edit,
    press_go_on,
    save,
    sign_out,
    state,
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

SIZES = {
    "wide": {"width": 1280, "height": 720},
    "phone": {"width": 390, "height": 800},
}
NETWORK = "net::ERR_"


@pytest.fixture(scope="module")
def site(newsdesks):
    site = newsdesks()
    add_reader(site)
    return site


def add_reader(site):
    """Add somebody who may only look: Django's own page without any buttons."""
    names = [row[1] for row in site.sql("PRAGMA table_info(auth_user)")]
    copied = ", ".join(name for name in names if name not in ("id", "username"))
    site.sql(
        f"INSERT INTO auth_user (username, {copied})"
        f" SELECT 'dave', {copied} FROM auth_user WHERE username = 'bob'"
    )
    site.sql(
        "INSERT INTO auth_user_user_permissions (user_id, permission_id)"
        " SELECT u.id, p.id FROM auth_user AS u, auth_permission AS p"
        " WHERE username = 'dave' AND codename = 'view_story'"
    )


# axe


@pytest.fixture(scope="module")
def axe():
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        go_without("axe is not installed: pip install axe-playwright-python")
    return Axe()


def problems_of(axe, page):
    """Return what axe finds: a rule, where, and whether that is the lock's own."""
    problems = page.context.watch.problems
    before = [*problems]
    answer = axe.run(page, options={"resultTypes": ["violations"]}).response
    page.evaluate("1")
    problems[:] = before  # axe has styles of its own in the page, against its policy
    return [
        (violation["id"], node["html"], is_ours(page, node["target"][0]))
        for violation in answer["violations"]
        for node in violation["nodes"]
    ]


def is_ours(page, target):
    return page.locator(target).evaluate("(e) => Boolean(e.closest('.lock-tokens'))")


@pytest.fixture(scope="module")
def known():
    """The rules that Django's own pages break, by color scheme."""
    return {}


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def check(axe, site, enter, known, scheme):
    """Look whether a page has problems that Django's own page does not have."""

    def of_django():
        if scheme not in known:
            page = enter("alice", color_scheme=scheme)
            page.goto("/admin/tests/story/add/")
            found = problems_of(axe, page)
            page = enter("dave", color_scheme=scheme)
            page.goto(change(site.story()))
            assert page.locator(".lock-tokens").count() == 0
            known[scheme] = {rule for rule, *_ in found + problems_of(axe, page)}
        return known[scheme]

    def checked(page):
        for rule, html, ours in problems_of(axe, page):
            assert not ours, (state(page), rule, html)
            assert rule in of_django(), (state(page), rule, html)

    return checked


def test_axe_finds_nothing_while_held_uncertain_lost_and_to_be_had_again(
    site, key, enter, check, scheme
):
    page = edit(enter("alice", color_scheme=scheme), key)
    page.context.watch.expected.append("status of 500")
    check(page)
    tab = another_tab(page, key)
    until(lambda: "another tab" in page.locator(".lock-note").inner_text(), page=page)
    check(page)
    tab.close()
    troubles = [(address(key, "story"), "unkept"), ("/", "server")]
    for path, name in troubles:
        with site.rule(path=path, answer="500"):
            wake(page)
            until_state(page, name)
            check(page)
        wake(page)
        until_state(page, "held")
    chief = lose(page, key, enter)
    check(page)
    save(chief)
    wake(page)
    until_state(page, "freed")
    check(page)
    assert site.lock(key, "story") is None


def test_axe_finds_nothing_while_locked_and_free_again(site, key, enter, check, scheme):
    holder = edit(enter("alice"), key)
    page = enter("carol", color_scheme=scheme)
    page.goto(change(key))
    until_kind(page, "locked")
    check(page)
    page.locator("summary").click()
    check(page)
    elsewhere = enter("alice", color_scheme=scheme)
    elsewhere.goto(change(key))
    until_kind(elsewhere, "elsewhere")
    check(elsewhere)
    save(holder)
    wake(page)
    until_state(page, "free")
    check(page)
    assert site.lock(key, "story") is None


def test_axe_finds_nothing_in_refused_forms_and_those_to_be_saved_again(
    site, key, enter, check, scheme
):
    page = edit(enter("alice", color_scheme=scheme), key)
    write(page, "By Alice")
    site.let_expire(key)
    other = edit(enter("bob"), key)
    write(other, "By Bob", "A text that is long.\n" * 30)
    submit_past_scripts(page)
    until_kind(page, "refused")
    check(page)
    save(other)
    wake(page)
    until_state(page, "freed")
    check(page)
    press_go_on(page)
    check(page)
    tab = page.context.new_page()
    tab.goto("/admin/")
    sign_out(tab)
    wake(page)
    until_state(page, "out")
    check(page)
    submit_past_scripts(page)
    way_on(page, "Sign in").wait_for()
    check(page)
    assert site.saved(key)[0] == "By Bob"


def lose(page, key, enter):
    """Let a chief take the story over, and the page be told; return the chief's page."""
    chief = enter("carol")
    take_over(chief, key)
    wake(page)
    until_state(page, "taken")
    return chief


# What is read out


def live(page, role):
    """Return what the live regions of this role have to say."""
    return page.evaluate(
        """(role) => [...document.querySelectorAll(`.lock-tokens [role=${role}]`)]
        .filter((region) => region.checkVisibility())
        .map((region) => region.innerText.trim()).filter(Boolean).join("\\n")""",
        role,
    )


def test_what_happens_is_announced(site, key, page, enter):
    page.context.watch.expected.append(NETWORK)
    write(page, "By Alice")
    for role in ("alert", "status"):
        # There before they have anything to say, or nobody might listen to them.
        assert page.locator(f".lock-bar [role={role}]").count() > 0
        assert live(page, role) == ""
    page.context.set_offline(True)
    until_state(page, "offline")
    assert live(page, "status")
    assert live(page, "alert") == ""
    page.context.set_offline(False)
    until_state(page, "held")
    assert live(page, "status") == live(page, "alert") == ""

    chief = lose(page, key, enter)
    assert "Carol Okafor" in live(page, "alert")
    reader = enter("bob")
    reader.goto(change(key))
    assert "Carol Okafor" in reader.locator(".lock-box").inner_text()
    assert live(reader, "status") == ""
    save(chief)
    for waiting, news in ((page, "freed"), (reader, "free")):
        wake(waiting)
        until_state(waiting, news)
        assert live(waiting, "status")
    way_on(page, "Copy my text").click()
    until(lambda: page.locator(".lock-said:visible").inner_text(), page=page)
    assert site.saved(key)[0] == "One"
    assert site.lock(key, "story") is None


# Without a mouse


def check_tab_reaches_every_button(page, start):
    """Go through the page by Tab, and come by all that the lock's own can do."""
    seen = ".lock-tokens :is(a[href], button, summary, textarea, [tabindex='0'])"
    wanted = page.evaluate(
        """(seen) => [...document.querySelectorAll(seen)]
        .filter((element) => element.checkVisibility({ visibilityProperty: true }))
        .map((element, number) => { element.dataset.wanted = number; return number; })
        .map(String)""",
        seen,
    )
    assert wanted
    page.locator(start).focus()
    reached = []
    for _ in range(120):
        page.keyboard.press("Tab")
        number, is_seen = page.evaluate(
            """() => {
            const element = document.activeElement;
            const { top, bottom } = element.getBoundingClientRect();
            return [element.dataset.wanted, bottom > 0 && top < innerHeight];
        }"""
        )
        if number is not None:
            reached.append(number)
            assert is_seen
        if {*wanted} <= {*reached}:
            break
    assert [*dict.fromkeys(reached)] == wanted  # in the order in which they stand


def test_every_button_is_reached_by_the_tab_key_and_works(site, key, page, enter):
    write(page, "By Alice")
    chief = enter("carol")
    chief.goto(change(key))
    chief.locator("summary").press("Enter")
    check_tab_reaches_every_button(chief, "a >> nth=0")
    chief.locator("details[open] [name=_take_over]").press("Enter")
    until_kind(chief, "held")
    wake(page)
    until_state(page, "taken")
    check_tab_reaches_every_button(page, "#id_headline")
    submit_past_scripts(page)
    until_kind(page, "refused")
    check_tab_reaches_every_button(page, "a >> nth=0")
    save(chief)
    wake(page)
    until_state(page, "freed")
    check_tab_reaches_every_button(page, "a >> nth=0")
    way_on(page, "Go on with my text").press("Enter")
    until_kind(page, "again")
    assert written(page)[0] == "By Alice"
    page.locator("[name=_save]").press("Enter")
    page.wait_for_url("**/admin/tests/story/")
    assert site.saved(key)[0] == "By Alice"


def focused(page):
    return page.evaluate("document.activeElement.id")


def test_the_focus_stays_where_somebody_types_when_the_lock_is_lost(
    site, key, page, enter
):
    page.locator("#id_headline").fill("")
    page.keyboard.type("By ")
    lose(page, key, enter)
    assert focused(page) == "id_headline"
    page.keyboard.type("Alice")
    assert written(page)[0] == "By Alice"
    assert site.saved(key)[0] == "One"
    assert site.holder(key) == "carol"


def test_the_focus_of_a_button_that_goes_is_moved_to_what_is_said(
    site, key, page, enter
):
    page.locator("[name=_save]").focus()
    lose(page, key, enter)
    text = page.evaluate("document.activeElement.textContent")
    assert "Carol Okafor" in text
    # From there the next Tab leads to the ways on.
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('.lock-bar'))")
    assert site.saved(key)[0] == "One"


# Where things stand


@pytest.fixture(params=SIZES)
def size(request):
    return SIZES[request.param]


def lock_keys(page, *selectors):
    """Return where these are seen, and how far the page is scrolled."""
    return [
        page.evaluate("[scrollX, scrollY]"),
        *(page.locator(selector).bounding_box() for selector in selectors),
    ]


def check_it_is_not_covered(page, selector):
    """Somebody types there: it must not be behind what has come up."""
    is_on_top = page.locator(selector).evaluate(
        """(field) => {
        const { left, top, right, bottom } = field.getBoundingClientRect();
        const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        return found === field;
    }"""
    )
    assert is_on_top


@pytest.mark.parametrize("field", ["#id_headline", "#id_comment_set-0-text"])
def test_nothing_moves_when_the_bar_appears(site, key, enter, size, field):
    page = edit(enter("alice", viewport=size), key)
    page.context.watch.expected.append(NETWORK)
    page.locator(field).scroll_into_view_if_needed()
    page.locator(field).focus()
    page.keyboard.press("End")
    page.keyboard.type(" typed ")
    seen = (field, "#id_headline", "[name=_save]", "h1 >> nth=0")
    before = lock_keys(page, *seen)

    tab = another_tab(page, key)
    until(lambda: "another tab" in page.locator(".lock-note").inner_text(), page=page)
    assert lock_keys(page, *seen) == before
    tab.close()
    page.context.set_offline(True)
    until_state(page, "offline")
    assert page.locator(".lock-bar").is_visible()
    assert lock_keys(page, *seen) == before
    page.context.set_offline(False)
    until_state(page, "held")
    assert lock_keys(page, *seen) == before
    lose(page, key, enter)
    assert lock_keys(page, *seen) == before
    page.keyboard.type("on")
    assert page.locator(field).input_value().endswith("typed on")
    check_it_is_not_covered(page, field)
    in_view = page.locator(".lock-bar").bounding_box()
    assert in_view["x"] >= 0
    assert in_view["x"] + in_view["width"] <= size["width"]
    assert site.holder(key) == "carol"


def test_a_field_that_the_bar_covers_is_seen_at_the_next_key(site, key, enter, size):
    page = edit(enter("alice", viewport=size), key)
    field = page.locator("#id_comment_set-0-text")
    field.focus()
    # To the lower edge of the window.
    field.evaluate("(e) => scrollBy(0, e.getBoundingClientRect().bottom - innerHeight)")
    page.keyboard.type("By ")
    lose(page, key, enter)
    page.keyboard.type("Alice")
    check_it_is_not_covered(page, "#id_comment_set-0-text")
    assert field.input_value() == "By Alice"
    assert site.holder(key) == "carol"


def test_nothing_moves_when_what_is_read_becomes_free(site, key, enter, size):
    holder = edit(enter("alice"), key)
    page = enter("bob", viewport=size)
    page.goto(change(key))
    until_kind(page, "locked")
    seen = (".field-headline", ".field-body", "h1 >> nth=0")
    before = lock_keys(page, *seen)
    save(holder)
    wake(page)
    until_state(page, "free")
    assert lock_keys(page, *seen) == before
    assert way_on(page, "Edit now").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert site.lock(key, "story") is None
