"""The JavaScript client in Chromium: what its page is told, and what the database holds."""

import contextlib
import itertools
import re
import time
import uuid

import pytest

from .conftest import ARGUMENTS, CHROMIUM, Watch
from .site import Other, Site, address, most_at_once, poaching, until

GRACE = 5
KEYS = ["a/b ~%2F..é?#", "..", ".hidden", "a\\b", "~2F", "日本 +&=", "x" * 255]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Two sites: locks of an hour, and locks of three seconds."""
    sites = [
        Site(tmp_path_factory.mktemp("site")).launch(),
        Site(tmp_path_factory.mktemp("brief"), LOCK_TOKENS={"TIMEOUT": 3}).launch(),
    ]
    try:
        yield [site.wait() for site in sites]
    finally:
        for site in sites:
            site.stop()
    for site in sites:
        assert "Traceback" not in site.output()


@pytest.fixture
def site(running):
    return running[0]


@pytest.fixture
def brief(running):
    return running[1]


@pytest.fixture
def visit(window):
    """Open a page of a site, in a new window unless one is given."""

    def visited(site, path, context=None, *, frozen=False, wait=True, expected=()):
        if context is None:
            context = window(base_url=site.url)
            if frozen:
                context.clock.install()
        # That a renewal comes upon another page's, and is repeated, is an "error" too.
        context.watch.expected += ["status of 412", *expected]
        page = context.new_page()
        page.goto(path)
        if wait and path.startswith(("/edit/", "/hold/")):
            until_held(page)
        return page

    return visited


@pytest.fixture
def rules():
    """Rules of the site that go when the test ends."""
    with contextlib.ExitStack() as rules:
        yield rules


def until_held(page):
    until(lambda: page.evaluate("window.held?.get_token()"))


def call(page, method, *arguments):
    """Call a method of ``LockTokens``; return what its promise and its callback got."""
    answer = page.evaluate(
        "async ([method, ...given]) => await call(method, ...given)",
        [method, *arguments],
    )
    assert answer["promised"]
    return answer["given"], answer["told"]


def article_of(key):
    return ["tests", "article", key]


def seen(page, name=None, reason=None):
    """Return the client's events in the page, by name and reason."""
    return [
        event
        for event in page.evaluate("seen")
        if name in (None, event["name"])
        and reason in (None, event.get("reason"))
        and event["name"] != "pageshow"
    ]


def until_seen(page, name, reason=None, seconds=15):
    """Wait for an event and return the first of them."""
    return until(lambda: seen(page, name, reason), seconds, page)[0]


def names(page):
    return [(event["name"], event.get("reason")) for event in seen(page)]


# What pages call


def test_lock_gives_its_token_to_the_callback_and_the_promise(site, visit):
    key = site.article()
    page = visit(site, "/client/")
    given, told = call(page, "lock", *article_of(key))
    lock = site.lock(key)
    assert given["token"] == lock.token
    assert given["expires"]
    assert given["seconds"] == pytest.approx(3600, abs=60)
    assert told == [[given]] or told[0][0]["token"] == lock.token
    (event,) = seen(page, "acquired")
    assert (event["reason"], event["token"]) == ("locked", lock.token)
    assert [event[name] for name in ("app_label", "model", "object_id")] == [
        *("tests", "article", str(key))
    ]
    # Not held, so it is not let go either.
    page.goto("/elsewhere/")
    assert site.lock(key).left > 3000
    assert [entry.method for entry in site.requests(key)] == ["POST"]


def test_lock_of_what_another_has_locked_gives_null(site, visit):
    key = site.article()
    status, _ = Other(site).ask("POST", address(key))
    assert status == 201
    site.give_to(key, "bob")
    page = visit(site, "/client/")
    assert call(page, "lock", *article_of(key)) == (None, [[None]])
    event = seen(page, "lost")[0]
    assert event["reason"] == "locked"
    assert event["locked_by"] == "Bob Lindqvist"
    assert event["expires_at"]
    assert event["locked_at"]
    assert call(page, "hold_lock", *article_of(key)) == (None, [[None]])
    assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    assert site.lock(key).token == "0" * 32


def test_a_token_of_the_server_is_taken_on_renewed_and_released(site, visit):
    key = site.article()
    _, body = Other(site).ask("POST", address(key))
    page = visit(site, "/client/")
    register = ["register_existing_lock_token", *article_of(key)]
    given, _ = call(page, *register, body["token"])
    assert given["token"] == body["token"]
    assert names(page)[-1] == ("acquired", "registered")

    # Another page that has left, and one that has renewed: there is no more to do.
    for life, then in ((4, 3600), (9000, 9000)):
        site.let_live(key, life)
        given, told = call(page, "renew_lock", *article_of(key))
        assert told[0][0]["token"] == given["token"] == body["token"]
        assert given["seconds"] == pytest.approx(then, abs=60)
        assert site.lock(key).left == pytest.approx(then, abs=60)
        assert names(page)[-1] == ("renewed", "in_time")

    assert call(page, "unlock", *article_of(key)) == (True, [[True]])
    assert site.lock(key) is None
    assert names(page)[-1] == ("released", "unlocked")
    # Nothing is left in the page either.
    assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    assert call(page, "renew_lock", *article_of(key)) == (None, [[None]])


def test_void_tokens_and_objects_without_a_lock_give_null(site, visit):
    key = site.article()
    page = visit(site, "/client/")
    register = ["register_existing_lock_token", *article_of(key)]
    for token in ("0" * 32, "?#", "é"):
        assert call(page, *register, token) == (None, [[None]])
    assert set(names(page)[1:]) == {("lost", "ended")}
    Other(site).ask("POST", address(key))
    assert call(page, *register, "0" * 32) == (None, [[None]])
    assert names(page)[-1] == ("lost", "taken")
    for method in ("unlock", "renew_lock"):
        nothing = False if method == "unlock" else None
        assert call(page, method, *article_of(key)) == (nothing, [[nothing]])
    gone = ["tests", "article", 10**9]
    assert call(page, "lock", *gone) == (None, [[None]])
    assert names(page)[-1] == ("lost", "deleted")
    assert call(page, "lock", "tests", "nonsense", 1) == (None, [[None]])
    assert site.lock(key).token != "0" * 32


def test_clear_all_locks_releases_every_lock_of_the_page(site, visit):
    keys = [site.article() for _ in range(3)]
    page = visit(site, "/client/")
    for key in keys[:2]:
        call(page, "lock", *article_of(key))
    call(page, "hold_lock", *article_of(keys[2]))
    assert all(site.lock(key) for key in keys)
    assert call(page, "clear_all_locks") == (None, [[]])
    assert [site.lock(key) for key in keys] == [None] * 3
    assert call(page, "clear_all_locks") == (None, [[]])
    assert len(seen(page, "released")) == 3


def test_keys_that_need_quoting_lock_the_object_that_they_name(site, visit):
    for key in KEYS:
        site.sql("INSERT INTO tests_label (name) VALUES (?)", key)
    identity = uuid.uuid4()
    site.sql("INSERT INTO tests_page (id, title) VALUES (?, '')", identity.hex)
    page = visit(site, "/client/")
    objects = [("label", key) for key in KEYS] + [("page", str(identity))]
    for model, key in objects:
        given, _ = call(page, "hold_lock", "tests", model, key)
        assert given, key
        assert site.lock(key, model).token == given["token"]
        assert seen(page)[-1]["object_id"] == key
        assert call(page, "renew_lock", "tests", model, key)[0]["token"]
    for model, key in objects:
        assert call(page, "unlock", "tests", model, key)[0] is True
        assert site.lock(key, model) is None
    # The model in any case.
    given, _ = call(page, "lock", "tests", "Label", KEYS[0])
    assert call(page, "unlock", "tests", "LABEL", KEYS[0])[0] is True
    assert site.lock(KEYS[0], "label") is None


@pytest.mark.parametrize("order", ["early", "late"])
def test_scripts_may_run_before_and_after_the_client(site, visit, order):
    key = site.article()
    page = visit(site, f"/hold/{key}/?{order}")
    assert page.evaluate("order") == order
    assert names(page) == [("clientready", None), ("acquired", "locked")]
    assert site.lock(key)


def test_the_tag_twice_is_one_client(site, visit):
    key = site.article()
    page = visit(site, f"/edit/{key}/?twice")
    assert page.locator("script[data-lock-tokens-url]").count() == 2
    assert [name for name, _ in names(page)] == ["clientready", "acquired", "renewed"]
    page.close()
    until(lambda: site.lock(key).left < GRACE)
    assert len(site.leaves(key)) == 1


def test_the_format_of_dates_does_not_matter(site, visit, tmp_path):
    strange = {"TIMEOUT": 6, "DATEFORMAT": "nonsense %j of %y, Invalid Date"}
    other = Site(tmp_path, LOCK_TOKENS=strange).launch().wait()
    try:
        key = other.article()
        page = visit(other, f"/edit/{key}/")
        given, _ = call(page, "renew_lock", *article_of(key))
        assert given["expires"]
        assert 3 < given["seconds"] < 9
        until(lambda: len(other.renewals(key)) > 3)
        assert other.lock(key).left > 0
        assert set(names(page)[2:]) == {("renewed", "in_time")}
        page.close()  # it would go on asking
    finally:
        other.stop()


# Holding


def test_holding_renews_before_the_lock_expires(brief, visit):
    keys = [brief.article(), brief.article()]
    pages = [visit(brief, f"/edit/{keys[0]}/"), visit(brief, f"/hold/{keys[1]}/")]
    with poaching(brief, *keys) as poachers:
        for page in pages:
            until(lambda page=page: len(seen(page, "renewed", "in_time")) > 4)
    assert [poacher.got for poacher in poachers] == [None, None]
    assert min(poacher.shortest for poacher in poachers) > 0
    for page, key in zip(pages, keys, strict=True):
        assert not seen(page, "renewed", "revived")
        assert brief.lock(key).token == seen(page, "acquired")[0]["token"]


@pytest.mark.parametrize("year", [2001, 2040])
def test_the_clock_of_the_machine_may_be_wrong(brief, visit, window, year):
    key = brief.article()
    context = window(base_url=brief.url)
    context.clock.install(time=f"{year}-01-01T00:00:00Z")
    page = visit(brief, f"/edit/{key}/", context)
    until(lambda: len(seen(page, "renewed", "in_time")) > 3, page=page)
    sent = [entry["at"] for entry in page.evaluate("sent")]
    assert min(after - before for before, after in itertools.pairwise(sent[2:])) > 750
    assert not seen(page, "renewed", "revived")
    assert brief.lock(key).left > 0


def test_however_often_it_is_called_one_timer_renews(brief, visit):
    key = brief.article()
    page = visit(brief, "/client/")
    several = """async (key) => {
        const hold = () => LockTokens.hold_lock("tests", "article", key);
        const tokens = await Promise.all([hold(), hold(), hold()]);
        tokens.push(await hold());
        tokens.push(...await Promise.all([hold(), hold()]));
        return tokens.map((token) => token.get_token());
    }"""
    assert page.evaluate(several, key) == [brief.lock(key).token] * 6
    start, count = page.evaluate("[Date.now(), seen.length]")
    until(lambda: len(page.evaluate("seen")) > count + 3, page=page)
    sent = [entry["at"] for entry in page.evaluate("sent") if entry["at"] > start]
    # A timer is never set to less than 0.8 s. Two of them would come in between.
    pauses = [after - before for before, after in itertools.pairwise(sent)]
    assert len(pauses) > 2
    assert min(pauses) > 750
    assert most_at_once(brief.renewals(key)) == 1
    assert brief.lock(key)


def test_one_renewal_at_a_time(site, visit):
    key = site.article()
    page = visit(site, f"/edit/{key}/")
    before = len(site.renewals(key))
    with site.rule(key, method="PATCH", leave=False, delay=1.5):
        tokens = page.evaluate(
            """async (key) => {
            const renew = () => LockTokens.renew_lock("tests", "article", key);
            const all = [renew(), renew(), LockTokens.hold_lock("tests", "article", key)];
            for (const name of ["focus", "online"]) window.dispatchEvent(new Event(name));
            for (const name of ["visibilitychange", "resume"])
              document.dispatchEvent(new Event(name));
            await new Promise((after) => setTimeout(after, 500));
            window.dispatchEvent(new Event("online"));
            return (await Promise.all(all)).map((token) => token.get_token());
        }""",
            key,
        )
        assert tokens == [site.lock(key).token] * 3
        assert len(site.renewals(key)) == before + 1
    assert most_at_once(site.renewals(key)) == 1


def test_unlock_ends_the_renewals(brief, visit):
    keys = [brief.article(), brief.article()]
    page = visit(brief, f"/hold/{keys[0]}/")
    call(page, "hold_lock", *article_of(keys[1]))
    assert call(page, "unlock", *article_of(keys[0]))[0] is True
    # The one while its renewal is under way.
    with brief.rule(keys[1], method="PATCH", delay=0.5):
        count = len(brief.renewals(keys[1]))
        until(lambda: len(brief.renewals(keys[1])) > count)
        assert call(page, "unlock", *article_of(keys[1]))[0] is True
        renewal, release = brief.requests(keys[1])[-2:]
        assert (renewal.method, renewal.status) == ("PATCH", 200)
        assert (release.method, release.status) == ("DELETE", 204)
        assert renewal.done < release.at
    counts = [len(brief.requests(key)) for key in keys]
    page.wait_for_timeout(3000)
    page.goto("/elsewhere/")
    assert [len(brief.requests(key)) for key in keys] == counts
    assert [brief.lock(key) for key in keys] == [None, None]
    assert not seen_before(page)


def seen_before(page):
    return page.evaluate("window.seen?.filter(({ name }) => name === 'lost')")


def test_unlock_that_fails_can_be_tried_again(brief, visit):
    key = brief.article()
    page = visit(
        brief, f"/hold/{key}/", expected=["status of 500", "net::ERR_INTERNET"]
    )
    with brief.rule(key, method="DELETE", answer="500"):
        assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    page.context.set_offline(True)
    assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    page.context.set_offline(False)
    assert brief.lock(key).token
    assert call(page, "unlock", *article_of(key)) == (True, [[True]])
    assert brief.lock(key) is None
    assert [name for name, _ in names(page)].count("released") == 1


def test_an_unlock_that_failed_is_made_good_by_leaving(site, visit):
    key = site.article()
    page = visit(site, f"/hold/{key}/", expected=["status of 500"])
    until(lambda: site.lock(key).left > 3000)
    with site.rule(key, method="DELETE", answer="500"):
        assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    assert site.lock(key).left > 3000
    page.close()
    until(lambda: site.lock(key).left < GRACE)


def test_unlock_and_hold_again_without_waiting_holds(site, visit):
    key = site.article()
    page = visit(site, f"/hold/{key}/")
    before = site.lock(key).token
    again = """async (key) => {
        void LockTokens.unlock("tests", "article", key);
        return (await LockTokens.hold_lock("tests", "article", key)).get_token();
    }"""
    token = page.evaluate(again, key)
    assert token == site.lock(key).token != before
    until(lambda: site.lock(key).left > 3000)
    assert [name for name, reason in names(page)][-3:] == [
        *("released", "acquired", "renewed")
    ]


def test_unlock_while_the_lock_is_being_acquired_leaves_no_lock(site, visit):
    key = site.article()
    page = visit(site, "/client/")
    with site.rule(key, method="POST", delay=1):
        page.evaluate(
            """async (key) => {
            const held = LockTokens.hold_lock("tests", "article", key);
            await LockTokens.unlock("tests", "article", key);
            await held;
        }""",
            key,
        )
    until(lambda: site.lock(key) is None, 3)
    assert site.renewals(key) == []


def test_a_lock_that_is_taken_is_lost_to_whoever_took_it(brief, visit):
    key = brief.article()
    page = visit(brief, f"/edit/{key}/")
    brief.give_to(key, "bob")
    event = until_seen(page, "lost")
    assert (event["reason"], event["locked_by"]) == ("taken", "Bob Lindqvist")
    assert event["object_id"] == str(key)
    assert event["locked_at"]
    assert event["expires_at"]
    check_it_is_over(brief, page, key)
    assert brief.lock(key).token == "0" * 32
    assert brief.lock(key).locked_by == "bob"


def test_a_lock_that_is_gone_has_ended(brief, visit):
    key = brief.article()
    page = visit(brief, f"/hold/{key}/")
    brief.delete_lock(key)
    event = until_seen(page, "lost")
    assert (event["reason"], event["locked_by"]) == ("ended", None)
    check_it_is_over(brief, page, key)
    assert brief.lock(key) is None


def test_a_lock_of_a_deleted_object_is_lost(brief, visit):
    key = brief.article()
    page = visit(brief, f"/hold/{key}/")
    brief.sql("DELETE FROM tests_article WHERE id = ?", key)
    assert until_seen(page, "lost")["reason"] == "deleted"
    check_it_is_over(brief, page, key)


def check_it_is_over(site, page, key):
    """After it is lost nothing is sent for a lock, and leaving leaves it alone."""
    count = len(site.requests(key))
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_timeout(2000)
    assert len(seen(page, "lost")) == 1
    page.goto("/elsewhere/")
    assert len(site.requests(key)) == count


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("redirect", "signed_out"),
        ("401", "signed_out"),
        ("403", "signed_out"),
        ("page", "signed_out"),
        ("not authenticated", "signed_out"),
        ("not permitted", "forbidden"),
        ("500", "server"),
        ("503", "server"),
        ("close", "offline"),
    ],
)
def test_an_answer_that_says_nothing_of_the_lock_leaves_it_uncertain(
    brief, visit, answer, reason
):
    key = brief.article()
    expected = ("status of 401", "status of 50", "net::ERR_EMPTY_RESPONSE", "net::ERR_")
    page = visit(brief, f"/edit/{key}/", expected=expected)
    token = brief.lock(key).token
    with brief.rule(key, method="PATCH", answer=answer):
        event = until_seen(page, "uncertain")
        assert event["reason"] == reason
        assert event["object_id"] == str(key)
        assert len(seen(page, "lost")) == 0
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    renewed = until(
        lambda: [e for e in seen(page, "renewed") if e["at"] >= event["at"]], page=page
    )
    assert renewed[0]["reason"] in ("recovered", "revived")
    assert renewed[0]["token"] == token
    until(lambda: brief.lock(key).left > 0)
    assert brief.lock(key).token == token
    assert page.url.endswith(f"/edit/{key}/")


def test_a_lock_whose_first_renewal_fails_is_held_all_the_same(site, visit):
    key = site.article()
    with site.rule(key, method="PATCH", answer="500", times=1):
        page = visit(site, f"/edit/{key}/", wait=False, expected=["status of 500"])
        assert until_seen(page, "uncertain")["reason"] == "server"
    assert until_seen(page, "renewed")["reason"] == "recovered"
    assert site.lock(key).left > 3500
    page.close()
    until(lambda: site.lock(key).left < GRACE)


def test_a_lock_that_could_not_be_asked_for_is_asked_for_again(site, visit):
    key = site.article()
    with site.rule(key, method="POST", answer="500", times=1):
        page = visit(site, f"/hold/{key}/", wait=False, expected=["status of 500"])
        assert until_seen(page, "uncertain")["reason"] == "server"
    # As documented: "the client goes on asking".
    until(lambda: seen(page, "acquired") or seen(page, "renewed"), page=page)
    assert site.lock(key).token


def test_failures_are_repeated_with_growing_pauses_until_one_is_good(site, visit):
    key = site.article()
    page = visit(site, f"/edit/{key}/", frozen=True, expected=["status of 500"])
    past_the_beginning(page)
    with site.rule(key, method="PATCH", answer="500"):
        page.evaluate("window.dispatchEvent(new Event('online'))")
        failures = until(lambda: seen(page, "uncertain"), page=page)
        while len(failures) < 8:
            page.clock.run_for(400)
            failures = seen(page, "uncertain", "server")
    sent = [entry["at"] for entry in page.evaluate("sent")]
    pauses = [
        (next(at for at in sent if at > failure["at"]) - failure["at"]) / 1000
        for failure in failures[:-1]
    ]
    for pause, most in zip(pauses, [2, 4, 8, 16, 32, 45, 45], strict=True):
        assert 0.8 * most - 0.1 <= pause <= most + 0.6, pauses
    until(lambda: (page.clock.run_for(1000), seen(page, "renewed", "recovered"))[1])
    assert names(page)[-1] == ("renewed", "recovered")
    assert site.lock(key).left > 3000


def past_the_beginning(page):
    """Get a page with a frozen clock past its early renewals, and stop the clock."""
    count = len(seen(page, "renewed"))
    page.clock.fast_forward(20_000)
    until(lambda: len(seen(page, "renewed")) > count, page=page)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)


def test_offline_is_uncertain_and_online_renews_at_once(site, visit):
    key = site.article()
    page = visit(site, f"/edit/{key}/", frozen=True, expected=["net::ERR_INTERNET"])
    past_the_beginning(page)
    page.context.set_offline(True)
    count = len(site.renewals(key))
    page.clock.run_for(46_000)
    assert until_seen(page, "uncertain")["reason"] == "offline"
    page.clock.run_for(10_000)
    assert len(site.renewals(key)) == count
    page.context.set_offline(False)
    # The clock of the page stands still, so no timer did this.
    assert until_seen(page, "renewed", "recovered")
    assert len(site.renewals(key)) == count + 1
    assert site.lock(key).left > 3500


def test_a_lost_answer_to_the_acquiring_request_gives_the_same_token(site, visit):
    keys = [site.article(), site.article()]
    page = visit(site, "/client/", expected=["net::ERR_FAILED"])
    answers = []

    def lose(route):
        if route.request.method == "POST" and len(answers) < 1:
            answers.append(route.fetch().json())
            route.abort()
        else:
            route.continue_()

    page.route(f"**{address(keys[0])}", lose)
    given, _ = call(page, "hold_lock", *article_of(keys[0]))
    assert given["token"] == answers[0]["token"] == site.lock(keys[0]).token
    assert len(site.requests(keys[0], method="POST")) == 2
    assert names(page)[1:] == [("acquired", "locked")]

    # Lost twice: the page is told, and another try gets that same token.
    page.route(f"**{address(keys[1])}", lambda route: (route.fetch(), route.abort()))
    assert call(page, "hold_lock", *article_of(keys[1]))[0] is None
    assert names(page)[-1] == ("uncertain", "offline")
    page.unroute(f"**{address(keys[1])}")
    token = site.lock(keys[1]).token
    assert call(page, "hold_lock", *article_of(keys[1]))[0]["token"] == token
    rows = "SELECT COUNT(*) FROM lock_tokens_locktoken WHERE locked_object_id IN (?, ?)"
    assert site.sql(rows, *map(str, keys)) == [(2,)]


@pytest.mark.parametrize("kind", ["edit", "hold"])
def test_after_a_sleep_of_two_hours_an_untaken_lock_is_revived(site, visit, kind):
    key = site.article()
    page = visit(site, f"/{kind}/{key}/", frozen=True)
    past_the_beginning(page)
    token = site.lock(key).token
    site.let_expire(key)
    count = len(seen(page, "renewed"))
    page.clock.fast_forward("02:00:00")
    event = until(lambda: seen(page, "renewed")[count:], page=page)[0]
    assert event["reason"] == "revived"
    assert event["token"] == token == site.lock(key).token
    assert site.lock(key).left > 3500
    assert not seen(page, "lost")


@pytest.mark.parametrize("kind", ["edit", "hold"])
def test_after_a_sleep_of_two_hours_a_taken_lock_is_lost(site, visit, kind):
    key = site.article()
    page = visit(site, f"/{kind}/{key}/", frozen=True)
    past_the_beginning(page)
    site.give_to(key, "bob")
    page.clock.fast_forward("02:00:00")
    event = until_seen(page, "lost")
    assert (event["reason"], event["locked_by"]) == ("taken", "Bob Lindqvist")
    assert site.lock(key).token == "0" * 32


def test_pages_that_wake_up_renew_at_once(site, visit):
    key = site.article()
    page = visit(site, f"/edit/{key}/", frozen=True)
    past_the_beginning(page)

    def sent():
        return [entry for entry in page.evaluate("sent") if entry["method"] == "PATCH"]

    wakes = [
        "document.dispatchEvent(new Event('visibilitychange'))",
        "window.dispatchEvent(new Event('focus'))",
        "document.dispatchEvent(new Event('resume'))",
        "window.dispatchEvent(new Event('online'))",
    ]
    for wake in wakes:
        count = len(sent())
        page.clock.run_for(10_000)
        assert len(sent()) == count
        page.evaluate(wake)
        until(lambda: len(seen(page, "renewed")) == len(sent()) == count + 1, page=page)  # noqa: B023
    # Just renewed: the focus that comes with becoming visible asks for no more.
    page.evaluate("; ".join(wakes[:3]))
    hide(page, True)
    page.clock.run_for(10_000)
    page.evaluate("; ".join(wakes[:3]))
    assert len(sent()) == count + 1
    hide(page, False)
    until(lambda: len(seen(page, "renewed")) == count + 2, page=page)
    assert len(site.renewals(key)) == count + 2
    assert site.lock(key).left > 3500


def hide(page, hidden):
    """Let the page think that it became hidden, or visible."""
    page.evaluate(
        """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""",
        hidden,
    )


def test_at_least_every_45_seconds_also_when_the_lock_lives_long(site, visit):
    key = site.article()
    page = visit(site, f"/edit/{key}/", frozen=True)
    past_the_beginning(page)
    count = len(seen(page, "renewed"))
    for more in (1, 2, 3):
        page.clock.run_for(35_900)
        assert len(seen(page, "renewed")) < count + more
        page.clock.run_for(9200)
        until(lambda more=more: len(seen(page, "renewed")) >= count + more, page=page)
    assert site.lock(key).left > 3500


def test_to_lock_what_the_page_holds_renews_it_also_when_it_has_expired(brief, visit):
    key = brief.article()
    page = visit(brief, f"/hold/{key}/")
    token = brief.lock(key).token
    brief.let_expire(key)
    given, _ = call(page, "lock", *article_of(key))
    assert given["token"] == brief.lock(key).token == token
    count = len(seen(page, "renewed"))
    with poaching(brief, key) as (poacher,):
        until(lambda: len(seen(page, "renewed")) > count + 3)
    assert poacher.got is None
    assert len(brief.requests(key, method="POST")) == 1


# Reloading and leaving


def test_ten_reloads_keep_the_lock_however_late_the_release_comes(site, visit, rules):
    visits = {}
    for kind in ("edit", "hold"):
        for late in (0, 1, 3):
            key = site.article()
            rules.enter_context(site.rule(key, leave=True, postpone=late))
            visits[kind, late] = key, visit(site, f"/{kind}/{key}/")
    keys = [key for key, _ in visits.values()]
    tokens = {key: site.lock(key).token for key in keys}
    with poaching(site, *keys) as poachers:
        for _ in range(10):
            for _, page in visits.values():
                page.reload(wait_until="commit")
            for _, page in visits.values():
                until_held(page)
        until(lambda: all(r.status for key in keys for r in site.leaves(key)))
        last_page = next(iter(visits.values()))[1]
        last_page.wait_for_timeout(1000 * GRACE)
    for ((kind, late), (key, page)), poacher in zip(
        visits.items(), poachers, strict=True
    ):
        where = (kind, late)
        assert poacher.got is None, where
        assert poacher.attempts > 50
        assert len(site.leaves(key)) == 10, where
        assert not seen(page, "lost"), where
        lock = site.lock(key)
        assert lock.left > (3000 if kind == "edit" else GRACE), where
        assert lock.token == tokens[key], where
        if kind == "edit":
            # None of them has shortened it, not even for a moment.
            assert {entry.status for entry in site.leaves(key)} == {412}, where
            assert poacher.shortest > 3000, where


def test_reloads_before_anything_has_settled_keep_the_lock(site, visit, rules):
    visits = []
    for kind in ("edit", "hold"):
        for late in (0, 3):
            key = site.article()
            rules.enter_context(site.rule(key, leave=True, postpone=late))
            visits.append((key, visit(site, f"/{kind}/{key}/")))
    keys = [key for key, _ in visits]
    with poaching(site, *keys) as poachers:
        for number in range(10):
            for _, page in visits:
                page.reload(wait_until="load" if number % 2 else "commit")
        for _, page in visits:
            until_held(page)
        until(lambda: all(r.status for key in keys for r in site.leaves(key)))
        visits[0][1].wait_for_timeout(1000 * GRACE)
    assert [poacher.got for poacher in poachers] == [None] * len(visits)
    for key, page in visits:
        assert not seen(page, "lost")
        assert site.lock(key).left > GRACE


def go(page):
    page.goto("/elsewhere/")


def follow(page):
    page.get_by_role("link", name="Elsewhere").click()
    page.wait_for_url("**/elsewhere/")


def close(page):
    page.close()


def test_closing_or_leaving_a_page_frees_its_object_within_the_grace(
    site, visit, rules
):
    ways = [(kind, way) for kind in ("edit", "hold") for way in (close, go, follow)]
    visits = []
    for kind, way in ways:
        key = site.article()
        visits.append((key, visit(site, f"/{kind}/{key}/"), way))
    # One that has a renewal on its way, which comes later than what is sent on leaving.
    key = site.article()
    page = visit(site, f"/edit/{key}/")
    rules.enter_context(site.rule(key, method="PATCH", leave=False, delay=2))
    count = len(site.renewals(key))
    page.evaluate("(key) => void LockTokens.renew_lock('tests', 'article', key)", key)
    until(lambda: len(site.renewals(key)) > count)
    visits.append((key, page, close))
    with poaching(site, *(key for key, *_ in visits)) as poachers:
        left = []
        for _, page, way in visits:
            before = time.time()
            way(page)
            left.append((before, time.time()))
        last = time.time() + GRACE + 1
        until(lambda: all(p.got for p in poachers) or time.time() > last, 30)
    for (key, *_), poacher, (before, after) in zip(visits, poachers, left, strict=True):
        until(lambda key=key: all(entry.done for entry in site.requests(key)))
        log = [(r.at, r.done, r.method, r.body, r.status) for r in site.requests(key)]
        assert poacher.got, log
        assert before + GRACE - 0.1 < poacher.got < after + GRACE + 1, log
        assert [entry.status for entry in site.leaves(key)] == [200]
        assert site.lock(key).token == poacher.token


@pytest.mark.parametrize("kind", ["edit", "hold"])
def test_closing_a_page_right_after_it_loaded_frees_its_object(site, visit, kind):
    # Closed at once; and while the answer to its first, or its second, request is late.
    lates = [None, {"late": 1, "method": {"edit": "GET", "hold": "POST"}[kind]}]
    if kind == "edit":
        lates.append({"late": 1, "method": "PATCH", "leave": False})
    visits = []
    with contextlib.ExitStack() as rules:
        for late in lates:
            key = site.article()
            if late:
                rules.enter_context(site.rule(key, **late))
            page = visit(site, f"/{kind}/{key}/", wait=False)
            until(lambda key=key: site.lock(key))
            if late:
                method = late["method"]
                until(lambda key=key, method=method: site.requests(key, method=method))
            page.close()
            visits.append((key, time.time()))
        with poaching(site, *(key for key, _ in visits)) as poachers:
            last = time.time() + 1 + GRACE + 1
            until(lambda: all(p.got for p in poachers) or time.time() > last, 30)
    stuck = {
        str(late): (site.lock(key).left, [r.method for r in site.requests(key)])
        for late, (key, closed), poacher in zip(lates, visits, poachers, strict=True)
        if not poacher.got or poacher.got > closed + 1 + GRACE + 1
    }
    assert stuck == {}


def test_a_very_late_leave_without_a_known_expiry_shortens_nothing(site, visit, rules):
    visits = []
    for kind in ("edit", "hold"):
        key = site.article()
        page = visit(site, f"/{kind}/{key}/", expected=["status of 500"])
        rules.enter_context(site.rule(key, leave=True, postpone=18))
        with site.rule(key, method="PATCH", leave=False, answer="500", times=1):
            page.evaluate("LockTokens.renew_lock(...article)")
        page.reload()
        until_held(page)
        visits.append((kind, key, page))
    keys = [key for _, key, _ in visits]
    with poaching(site, *keys) as poachers:
        until(lambda: all(site.leaves(key)[0].status for key in keys), 25)
    for (kind, key, page), poacher in zip(visits, poachers, strict=True):
        (leave,) = site.leaves(key)
        assert leave.status == 412
        assert "If-Match" not in leave.headers
        assert "If-Unmodified-Since" in leave.headers
        assert poacher.got is None
        assert kind == "hold" or poacher.shortest > 3000
        assert site.lock(key).left > 3500
        assert not seen(page, "lost")


def test_a_second_tab_revives_the_lock_of_the_first(site, visit):
    key = site.article()
    first = visit(site, f"/hold/{key}/")
    token = site.lock(key).token
    with site.rule(key, method="PATCH", delay=1):
        site.let_expire(key)
        second = visit(site, f"/hold/{key}/", first.context)
    assert second.evaluate("held.get_token()") == token == site.lock(key).token
    count = len(seen(first, "renewed"))
    until(lambda: len(seen(first, "renewed")) > count + 1)
    assert not seen(first, "lost")


def test_closing_one_tab_keeps_the_lock_and_closing_both_frees_it(site, visit, rules):
    visits = []
    for kind in ("edit", "hold"):
        for late in (0, 2):
            key = site.article()
            rules.enter_context(site.rule(key, leave=True, postpone=late))
            first = visit(site, f"/{kind}/{key}/")
            second = visit(site, f"/{kind}/{key}/", first.context)
            tokens = {page.evaluate("held.get_token()") for page in (first, second)}
            assert tokens == {site.lock(key).token}
            visits.append((kind, key, first, second))
    keys = [key for _, key, *_ in visits]
    with poaching(site, *keys) as poachers:
        for number, (_, _, first, second) in enumerate(visits):
            (second if number % 2 else first).close()
        visits[0][3].wait_for_timeout(1000 * (GRACE + 3))
        assert [poacher.got for poacher in poachers] == [None] * len(visits)
        for kind, key, *_ in visits:
            assert len(site.leaves(key)) == 1
            assert site.lock(key).left > (3000 if kind == "edit" else GRACE)
        for number, (_, _, first, second) in enumerate(visits):
            (first if number % 2 else second).close()
        closed = time.time()
        until(lambda: all(poacher.got for poacher in poachers), GRACE + 2 + 5)
    for poacher, late in zip(poachers, (0, 2, 0, 2), strict=True):
        assert poacher.got < closed + late + GRACE + 1


def test_many_tabs_of_one_object_do_not_confuse_each_other(site, visit):
    key = site.article()
    pages = [visit(site, f"/edit/{key}/")]
    for _ in range(7):
        pages.append(visit(site, f"/edit/{key}/", pages[0].context))
    counts = [len(seen(page, "renewed")) for page in pages]
    # It tells the others, which then renew at the same moment.
    pages.pop().close()
    for page, count in zip(pages, counts, strict=False):
        until(lambda page=page, count=count: len(seen(page, "renewed")) > count)
        assert not seen(page, "uncertain")
        assert not seen(page, "lost")
    assert site.lock(key).left > 3500


def test_unlock_in_one_tab_tells_the_other(site, visit):
    key = site.article()
    first = visit(site, f"/edit/{key}/", frozen=True)
    second = visit(site, f"/edit/{key}/", first.context)
    past_the_beginning(second)
    assert call(first, "unlock", *article_of(key))[0] is True
    assert until_seen(second, "lost")["reason"] == "ended"
    assert names(first)[-1] == ("released", "unlocked")
    assert not seen(first, "lost")
    assert site.lock(key) is None


# Back and forward


@pytest.fixture
def cached(browser, site):
    """A window of a Chromium that has its back/forward cache, which Playwright's lacks."""
    chromium = browser.browser_type.launch(
        executable_path=CHROMIUM,
        headless=True,
        args=ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    context = chromium.new_context(base_url=site.url)
    context.set_default_timeout(10_000)
    context.watch = Watch(context)
    yield context
    for page in context.pages:
        page.evaluate("1")
    chromium.close()
    assert context.watch.problems == []


def test_coming_back_from_the_cache_holds_the_lock_again(site, visit, cached):
    keys = [site.article(), site.article()]
    pages = [
        leave_and_come_back(site, visit, cached, kind, key, site.let_expire)
        for kind, key in zip(("edit", "hold"), keys, strict=True)
    ]
    for page, key in zip(pages, keys, strict=True):
        until(lambda page=page: names(page)[-1][0] == "renewed", page=page)
        until(lambda key=key: site.lock(key).left > GRACE)
    with poaching(site, *keys) as poachers:
        pages[0].wait_for_timeout(1000 * (GRACE + 1))
    assert [poacher.got for poacher in poachers] == [None, None]
    for page, key in zip(pages, keys, strict=True):
        assert not seen(page, "lost")
        # It lets go again.
        count = len(site.leaves(key))
        page.close()
        until(lambda key=key, count=count: len(site.leaves(key)) == count + 1)
        until(lambda key=key: site.lock(key).left < GRACE)


@pytest.mark.parametrize("kind", ["edit", "hold"])
def test_coming_back_from_the_cache_to_a_taken_lock_loses_it(site, visit, cached, kind):
    key = site.article()

    def take(key):
        site.give_to(key, "bob")

    page = leave_and_come_back(site, visit, cached, kind, key, take)
    event = until_seen(page, "lost")
    assert (event["reason"], event["locked_by"]) == ("taken", "Bob Lindqvist")
    assert site.lock(key).token == "0" * 32


def leave_and_come_back(site, visit, cached, kind, key, meanwhile):
    page = visit(site, f"/{kind}/{key}/", cached)
    page.evaluate("window.here = true")
    page.goto("/elsewhere/")
    until(lambda: [entry.status for entry in site.leaves(key)] == [200])
    assert site.lock(key).left < GRACE
    meanwhile(key)
    page.evaluate("history.back()")
    until(lambda: page.url.endswith(f"/{kind}/{key}/"), page=page)
    assert page.evaluate("here")
    shows = "seen.filter((event) => event.name === 'pageshow')"
    until(lambda: [show["persisted"] for show in page.evaluate(shows)] == [False, True])
    return page


# Waiting


def test_who_waits_is_told_when_it_is_free(site, visit):
    key = site.article()
    _, body = Other(site).ask("POST", address(key))
    site.change_lock(key, "locked_by_id = 2")
    page = visit(site, f"/watch/{key}/", frozen=True)
    first = until(lambda: page.evaluate("states"), page=page)[0][str(key)]
    assert first["locked"] is True
    assert first["locked_by"] == "Bob Lindqvist"
    assert first["locked_at"]
    assert first["expires_at"]
    page.clock.run_for(12_100)
    asked = until(lambda: watching(site, key), page=page)
    page.wait_for_timeout(200)
    assert asked[0].status == 200
    assert len(page.evaluate("states")) == 1  # nothing new
    assert Other(site).ask("DELETE", f"{address(key)}{body['token']}/")[0] == 204
    page.clock.run_for(6100)
    free = until(lambda: page.evaluate("states")[1:], page=page)[0][str(key)]
    assert free == {
        "locked": False,
        "locked_by": None,
        "locked_at": None,
        "expires_at": None,
    }
    statuses = [entry.status for entry in watching(site, key)]
    assert statuses[0] == statuses[-1] == 200
    assert set(statuses[1:-1]) == {304}
    assert all("If-None-Match" in entry.headers for entry in watching(site, key)[1:])
    assert site.lock(key) is None


def watching(site, key):
    path = "/locks/tests/article/?"
    return [
        entry
        for entry in site.requests()
        if entry.path.startswith(path) and re.search(rf"=({key})(&|$)", entry.path)
    ]


def test_nobody_asks_while_the_page_is_hidden_or_when_it_is_over(site, visit):
    key = site.article()
    page = visit(site, f"/watch/{key}/", frozen=True)
    until(lambda: page.evaluate("states.length"), page=page)
    hide(page, True)
    page.clock.run_for(60_000)
    page.wait_for_timeout(300)
    assert len(watching(site, key)) == 1
    hide(page, False)
    until(lambda: len(watching(site, key)) == 2, page=page)
    page.clock.run_for(6100)
    until(lambda: len(watching(site, key)) == 3, page=page)
    page.wait_for_timeout(300)
    page.evaluate("stop()")
    page.clock.run_for(60_000)
    hide(page, True)
    hide(page, False)
    page.wait_for_timeout(300)
    assert len(watching(site, key)) == 3
    assert len(page.evaluate("states")) == 1
    assert site.lock(key) is None


def test_a_hundred_and_twenty_objects_take_a_few_short_requests(site, visit):
    keys = [site.article() for _ in range(119)] + [10**9]
    page = visit(site, f"/watch/{','.join(map(str, keys))}/", frozen=True)
    (states,) = until(lambda: page.evaluate("states"), page=page)
    assert states.keys() == {str(key) for key in keys}
    assert states.pop(str(10**9)) is None
    assert {state["locked"] for state in states.values()} == {False}
    counts = {
        r.path: r.path.count("object_id=") for k in keys for r in watching(site, k)
    }
    assert sum(counts.values()) == 120
    assert len(counts) < 4
    assert max(counts.values()) <= 100
    assert max(map(len, counts)) < 1200

    Other(site).ask("POST", address(keys[60]))
    page.clock.run_for(6100)
    states = until(lambda: page.evaluate("states")[1:], page=page)[0]
    assert [key for key in keys if (states[str(key)] or {}).get("locked")] == [keys[60]]
    again = {r.path: r.status for key in keys for r in watching(site, key)[1:]}
    assert sorted(again.values()) == [200, *[304] * (len(counts) - 1)]
    assert again[watching(site, keys[60])[0].path] == 200
    assert site.lock(keys[60])


def test_who_waits_through_failures_is_told_in_the_end(site, visit):
    key = site.article()
    expected = ["status of 500", "net::ERR_"]
    page = visit(site, f"/watch/{key}/", frozen=True, expected=expected)
    until(lambda: page.evaluate("states.length"), page=page)
    with site.rule(path="/locks/tests/article/?", answer="500"):
        page.clock.run_for(6100)
        until(lambda: [r for r in watching(site, key) if r.status == 500], page=page)
    page.context.set_offline(True)
    page.clock.run_for(20_000)
    page.context.set_offline(False)
    Other(site).ask("POST", address(key))
    until(lambda: (page.clock.run_for(5000), page.evaluate("states")[1:])[1], page=page)
    assert page.evaluate("states").pop()[str(key)]["locked"] is True
    assert site.lock(key)


def test_unlocking_while_the_client_asks_again_ends_that(site, visit):
    key = site.article()
    page = visit(site, "/client/", expected=["status of 500"])
    with site.rule(key, method="POST", answer="500", times=1):
        assert call(page, "hold_lock", *article_of(key))[0] is None
    assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    page.wait_for_timeout(3000)  # it would have asked after two seconds
    assert site.lock(key) is None


@pytest.mark.parametrize("keys", ["[]", "['\u65e5'.repeat(200)]"])
def test_watching_nothing_and_a_very_long_key_is_answered(site, visit, keys):
    page = visit(site, "/client/")
    page.evaluate(
        f"() => void LockTokens.watch('tests', 'label', {keys}, (s) => states.push(s))"
    )
    until(lambda: page.evaluate("states.length") == 1, page=page)
    asked = [r for r in site.requests() if r.path.startswith("/locks/tests/label/?")]
    assert 400 not in {r.status for r in asked}


def test_holding_a_void_token_acquires_nothing(site, visit):
    key = site.article()
    page = visit(site, "/client/")
    held = page.evaluate(
        """(key) => {
          const article = ["tests", "article", key];
          LockTokens.register_existing_lock_token(...article, "0".repeat(32));
          return LockTokens.hold_lock(...article);
        }""",
        key,
    )
    assert held is None
    assert names(page)[1:] == [("lost", "ended")]
    assert site.lock(key) is None


def test_a_lock_that_is_acquired_again_after_a_failed_unlock_stays(site, visit):
    key = site.article()
    page = visit(site, f"/hold/{key}/", expected=["status of 500"])
    with site.rule(key, method="DELETE", answer="500"):
        assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    call(page, "lock", *article_of(key))
    page.goto("/elsewhere/")
    page.wait_for_timeout(1000)
    assert site.leaves(key) == []
    assert site.lock(key).left > 3000


def test_a_registration_that_failed_is_recovered_from(site, visit):
    key = site.article()
    page = visit(site, "/client/", expected=["status of 500"])
    _, body = Other(site).ask("POST", address(key))
    with site.rule(key, method="GET", answer="500", times=1):
        held = page.evaluate(
            """async ([key, token]) => {
              const article = ["tests", "article", key];
              LockTokens.register_existing_lock_token(...article, token);
              await LockTokens.hold_lock(...article);
            }""",
            [key, body["token"]],
        )
    assert held is None
    until(lambda: ("renewed", "recovered") in names(page), page=page)


def test_back_with_a_renewal_still_on_its_way_keeps_the_lock(site, visit, cached):
    key = site.article()
    page = visit(site, f"/edit/{key}/", cached)
    until_held(page)
    with site.rule(key, method="PATCH", leave=False, late=2.0, times=1):
        page.evaluate(
            "(key) => void LockTokens.renew_lock('tests', 'article', key)", key
        )
        page.wait_for_timeout(300)
        page.goto("/elsewhere/")
        until(lambda: [leave.status for leave in site.leaves(key)] == [200])
        with poaching(site, key) as (poacher,):
            page.wait_for_timeout(3000)
            page.evaluate("history.back()")
            until(lambda: page.url.endswith(f"/edit/{key}/"), page=page)
            page.wait_for_timeout(5000)
    assert poacher.got is None
    assert site.lock(key).left > 3000
