"""People at the change pages of the site's admin, and what the database holds of it."""

import contextlib
import os
from pathlib import Path

from .site import Other, Poacher, Site, address, trying, until

MINE = ("By Alice", "Mine,\nall of it.")
THEIRS = ("By Bob", "Theirs.")
BEFORE = ("One", "As it was.")
# What Chromium's console says of refusals and of renewals that come upon another page's.
EXPECTED = ("status of 403", "status of 404", "status of 412")


#: A folder for pictures of pages, for whoever wants to look at them.
PICTURES = os.environ.get("PICTURES")


class Newsdesk(Site):
    """The site, with stories."""

    def story(self, headline="One", body="As it was."):
        """Add a story and return its key."""
        self.sql(
            "INSERT INTO tests_story (headline, body, is_urgent) VALUES (?, ?, 0)",
            headline,
            body,
        )
        return self.newest("story")

    def newest(self, model):
        ((key,),) = self.sql(f"SELECT max(id) FROM tests_{model}")
        return key

    def saved(self, key):
        """Return headline and body as the database has them."""
        ((headline, body),) = self.sql(
            "SELECT headline, body FROM tests_story WHERE id = ?", key
        )
        return headline, body.replace("\r\n", "\n")

    def logged(self, key):
        """Return who did what to the story, as the admin's log has it."""
        return self.sql(
            "SELECT username, change_message FROM django_admin_log"
            " JOIN auth_user ON auth_user.id = user_id WHERE object_id = ?",
            str(key),
        )

    def end_session(self, page):
        (cookie,) = [c for c in page.context.cookies() if c["name"] == "sessionid"]
        statement = "DELETE FROM django_session WHERE session_key = ?"
        self.sql(statement, cookie["value"])

    def holder(self, key):
        """Return who has a live lock of the story; ``None`` if nobody has."""
        lock = self.lock(key, "story")
        return lock.locked_by if lock and lock.left > 0 else None


#: Where a story is edited: in the admin, or on an ordinary page with ``LockedUpdateView``.
DOORS = {"admin": "/admin/tests/story/{}/change/", "page": "/stories/{}/"}
door = "admin"


def change(key):
    """Return the path of the page on which a story is edited."""
    return DOORS[door].format(key)


def editor(window, site, username, **options):
    """Open a window in which somebody is signed in, and return its first page."""
    context = window(base_url=site.url, **options)
    context.watch.expected += EXPECTED
    page = context.new_page()
    page.goto(f"/sign-in/{username}/")
    return page


def state(page):
    """Return what the page says of itself: held, taken, ended, offline and so on."""
    return page.evaluate("document.getElementById('lock-tokens')?.dataset.now")


def until_state(page, *states, seconds=15):
    """Wait until the page is in one of these states, and return it."""
    return until(lambda: state(page) in states and state(page), seconds, page)


LISTEN = """
window.lockEvents = [];
for (const name of ["acquired", "renewed", "uncertain", "lost"])
  document.addEventListener(`lock_tokens.${name}`, (event) =>
    lockEvents.push({ name, reason: event.detail.reason }));
"""


def at_work(window, site, username, frozen=False, **options):
    """Do as :func:`editor`, and listen to what the client says in every page."""
    page = editor(window, site, username, **options)
    page.context.add_init_script(LISTEN)
    if frozen:
        page.context.clock.install()
    return page


def events(page, name):
    """Return why the client of the page said so, each time that it did."""
    seen = page.evaluate("window.lockEvents ?? []")
    return [event["reason"] for event in seen if event["name"] == name]


def edit(page, path):
    """Open a change page, its path or a story's key, and wait until it is held."""
    page.goto(path if isinstance(path, str) else change(path))
    until(lambda: events(page, "renewed"), page=page)
    return page


def another_tab(page, path):
    """Open it in one more tab of the same window."""
    return edit(page.context.new_page(), path)


def freeze(page):
    """Get a page with a clock of its own past its early renewals, and stop the clock."""
    count = len(events(page, "renewed"))
    page.clock.fast_forward(20_000)
    until(lambda: len(events(page, "renewed")) > count, page=page)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)


def wake(page):
    """Let the page look after its lock, or after another's, at once."""
    page.evaluate(
        """window.dispatchEvent(new Event("online"));
        document.dispatchEvent(new Event("visibilitychange"));"""
    )


def write(page, headline, body="Mine,\nall of it."):
    """Type into the form of a story."""
    page.locator("#id_headline").fill(headline)
    page.locator("#id_body").fill(body)


def written(page):
    """Return headline and body as the form has them."""
    fields = ("#id_headline", "#id_body")
    return tuple(page.locator(field).input_value() for field in fields)


def save(page, model="story"):
    """Press Save, and wait until the story is saved."""
    page.locator("[name=_save]").click()
    page.wait_for_url(f"**/admin/tests/{model}/")


def sign_in(page, username):
    """Fill in the form of the admin's sign-in page, and send it."""
    page.locator("#id_username").fill(username)
    page.locator("#id_password").fill(username)
    page.locator("[type=submit]").click()


def sign_out(page):
    """Sign out by the button of an admin's page."""
    page.locator("#logout-form button").click()
    page.wait_for_url("**/admin/logout/")


def submit_past_scripts(page):
    """Send the form as a browser without scripts would."""
    with page.expect_navigation():
        page.evaluate(
            """() => {
            const form = document.querySelector("#content form[method=post]")
              ?? document.querySelector("form[method=post]");
            HTMLFormElement.prototype.submit.call(form);
        }"""
        )


def can_save(page):
    """Say whether the page has a button to save that can be pressed."""
    buttons = page.locator("[name=_save], [name=_continue], [name=_addanother]")
    return any(button.is_enabled() for button in buttons.all())


def kind(page):
    """Return as what the server sent the page: held, locked, refused, again and so on."""
    return page.evaluate("document.getElementById('lock-tokens')?.dataset.state")


def until_kind(page, *kinds):
    """Wait for a page of this kind, over a navigation if it comes with one."""
    page.locator(", ".join(f"#lock-tokens[data-state={k}]" for k in kinds)).wait_for(
        state="attached"
    )


def way_on(page, name):
    """Return the first button or link of the lock's own with this name that is seen."""
    ours = page.locator(".lock-tokens")
    named = ours.get_by_role("button", name=name).or_(
        ours.get_by_role("link", name=name)
    )
    return named.first


def said(page):
    """Return what the page says of the lock, as far as it is seen."""
    return "\n".join(page.locator(".lock-tokens").all_inner_texts())


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def take_over(page, path):
    """Take a story over from whoever is editing it."""
    page.goto(path if isinstance(path, str) else change(path))
    until_kind(page, "locked")
    page.locator("summary").click()
    page.locator("details[open] [name=_take_over]").click()
    until_kind(page, "held")


def locks_of(key):
    """Return the path of a story's locks in the API, for the rules of the site."""
    return address(key, "story")


def asked(site, key, **wanted):
    """Return the requests about a story's locks, in the order of their coming."""
    return [
        entry
        for entry in site.requests(**wanted)
        if entry.path.startswith(locks_of(key))
    ]


def edit_and_leave(page, key):
    """Let somebody edit the story from beginning to end."""
    edit(page, key)
    write(page, *THEIRS)
    save(page)


def check_mine_is_kept(site, page, key, saved=BEFORE):
    """All that was typed is in the page, it cannot be saved, and nothing was."""
    assert written(page) == MINE
    assert page.locator("#id_headline").is_editable()
    assert not can_save(page)
    assert site.saved(key) == saved


def check_it_is_never_saved_over(site, page, key, saved=BEFORE):
    """Not by the keyboard, not by a script, and not past all scripts."""
    page.locator("#id_headline").press("Enter")
    page.evaluate("document.getElementById('id_headline').form.requestSubmit()")
    page.wait_for_timeout(300)
    check_mine_is_kept(site, page, key, saved)
    submit_past_scripts(page)
    assert kind(page) == "refused"
    check_mine_is_kept(site, page, key, saved)


def save_mine(site, page, key):
    """Save what was typed, and see it saved and the lock given up."""
    assert written(page) == MINE
    save(page)
    assert site.saved(key) == MINE
    assert site.lock(key, "story") is None


def press_go_on(page, by="Go on with my text"):
    """Go on with what was typed, in a form that is held again."""
    way_on(page, by).click()
    until_kind(page, "again")


def go_on(page, by="Go on with my text"):
    """Do as :func:`press_go_on`, and see that all of it is there."""
    press_go_on(page, by)
    assert written(page) == MINE


def go_on_and_save(site, page, key, saved):
    """Go on with what was typed, look at the differences, and save."""
    go_on(page)
    assert site.holder(key) == "alice"
    assert site.saved(key) == saved
    assert saved[0] in said(page)
    assert MINE[0] not in said(page)
    save_mine(site, page, key)


class Rival(Poacher):
    """Somebody who wants a story: opens its change page, or asks the API, by turns.

    ``by`` tells which way, where it is only one.
    """

    model = "story"

    def __init__(self, site, username, key, by=None):
        super().__init__(site, key)
        self.username = username
        self.ways = [by] if by else ["page", "api"]

    def begin(self):
        response, _ = self.other.answer("GET", f"/sign-in/{self.username}/")
        cookies = response.headers.get_all("Set-Cookie")
        (session,) = [c for c in cookies if c.startswith("sessionid=")]
        cookie = f"{Other.HEADERS['Cookie']}; {session.partition(';')[0]}"
        self.other.headers["Cookie"] = cookie

    def has_got_it(self):
        if self.ways[self.attempts % len(self.ways)] == "api":
            return super().has_got_it()
        response, text = self.other.answer("GET", change(self.key))
        assert response.status == 200, response.status
        return 'name="lock_token"' in text


@contextlib.contextmanager
def rival(site, username, key, by=None):
    """Let a :class:`Rival` try meanwhile."""
    with trying(Rival(site, username, key, by)) as (other,):
        yield other
