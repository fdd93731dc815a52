"""The client holds a lock: renewals, failures, sleep and loss."""

import itertools

import pytest

from ..site import GRACE, Other, address, hide, most_at_once, poaching, until
from .pages import article_of, call, names, seen, until_seen


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


@pytest.mark.parametrize("ahead", [-7200, -3, 3, 7200])
def test_the_clock_of_the_web_server_may_be_another_than_the_database_s(
    site, brief, visit, ahead
):
    """Locks of three seconds are renewed in time, and not without a pause."""
    key = brief.article()
    with brief.rule(path="/locks/", date=ahead):
        page = visit(brief, f"/edit/{key}/")
        until(lambda: len(seen(page, "renewed", "in_time")) > 3, page=page)
        sent = [entry["at"] for entry in page.evaluate("sent")]
        pauses = [after - before for before, after in itertools.pairwise(sent[2:])]
        assert min(pauses) > 750
        assert not seen(page, "renewed", "revived")

    # A page is left while its renewal is on its way: the date counts.
    key = site.article()
    with site.rule(path="/locks/", date=ahead):
        page = visit(site, f"/edit/{key}/")
    with site.rule(key, method="PATCH", leave=False, late=2, date=ahead):
        count = len(site.renewals(key))
        page.evaluate("void LockTokens.renew_lock(...article)")
        until(lambda: len(site.renewals(key)) > count)
        page.close()
        until(lambda: [leave.status for leave in site.leaves(key)] == [200])
    until(lambda: site.lock(key).left < GRACE)

    # A leave that comes long after another page's renewal shortens nothing.
    key = site.article()
    with site.rule(path="/locks/", date=ahead):
        page = visit(site, f"/edit/{key}/", expected=["status of 500"])
    with site.rule(key, leave=True, postpone=18):
        with site.rule(key, method="PATCH", leave=False, answer="500", times=1):
            page.evaluate("LockTokens.renew_lock(...article)")
        page.reload()
        until(lambda: site.leaves(key))
        until(lambda: site.leaves(key)[0].status, 30)
    assert site.leaves(key)[0].status == 412
    assert site.lock(key).left > 3500


def test_a_clock_that_is_set_while_the_page_is_open_changes_no_renewal(brief, visit):
    key = brief.article()
    page = visit(brief, f"/edit/{key}/")
    for hours in (-5, 3):
        page.evaluate(
            """(hours) => {
            const real = Date.now;
            Date.now = () => real() + hours * 3600000;
        }""",
            hours,
        )
        count = len(seen(page, "renewed"))
        until(lambda count=count: len(seen(page, "renewed")) > count + 3, page=page)
    assert brief.lock(key).left > 0
    renewed = len(brief.renewals(key))
    page.wait_for_timeout(3000)
    assert len(brief.renewals(key)) - renewed <= 4


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


def test_one_renewal_at_a_time(site, begin):
    key, page = begin(site, "edit")
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


def test_unlock_that_fails_can_be_tried_again(brief, begin):
    key, page = begin(brief, "hold", expected=["status of 500", "net::ERR_INTERNET"])
    with brief.rule(key, method="DELETE", answer="500"):
        assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    page.context.set_offline(True)
    assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    page.context.set_offline(False)
    assert brief.lock(key).token
    assert call(page, "unlock", *article_of(key)) == (True, [[True]])
    assert brief.lock(key) is None
    assert [name for name, _ in names(page)].count("released") == 1


def test_an_unlock_that_failed_is_made_good_by_leaving(site, begin):
    key, page = begin(site, "hold", expected=["status of 500"])
    until(lambda: site.lock(key).left > 3000)
    with site.rule(key, method="DELETE", answer="500"):
        assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    assert site.lock(key).left > 3000
    page.close()
    until(lambda: site.lock(key).left < GRACE)


def test_unlock_and_hold_again_without_waiting_holds(site, begin):
    key, page = begin(site, "hold")
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


def test_unlock_while_the_lock_is_being_acquired_leaves_no_lock(site, key, page):
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


@pytest.mark.parametrize(
    ("kind", "reason", "locked_by"),
    [
        ("edit", "taken", "Bob Lindqvist"),
        ("hold", "ended", None),
        ("hold", "deleted", None),
    ],
)
def test_a_lock_that_is_taken_or_gone_is_lost(brief, begin, kind, reason, locked_by):
    key, page = begin(brief, kind)
    if reason == "taken":
        brief.give_to(key, "bob")
    elif reason == "ended":
        brief.delete_lock(key)
    else:
        brief.sql("DELETE FROM tests_article WHERE id = ?", key)
    event = until_seen(page, "lost")
    assert (event["reason"], event["locked_by"]) == (reason, locked_by)
    assert event["object_id"] == str(key)
    if reason == "taken":
        assert event["locked_at"]
        assert event["expires_at"]
    check_it_is_over(brief, page, key)
    if reason == "taken":
        assert brief.lock(key)[::2] == ("0" * 32, "bob")
    if reason == "ended":
        assert brief.lock(key) is None


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
        ("403", "astray"),
        ("405", "astray"),
        ("501", "astray"),
        ("page", "astray"),
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
    expected = ("status of 401", "status of 405", "status of 50", "net::ERR_")
    page = visit(brief, f"/edit/{key}/", expected=expected)
    token = brief.lock(key).token
    with brief.rule(key, answer=answer):
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


def test_a_lock_whose_first_renewal_fails_is_held_all_the_same(site, key, visit):
    with site.rule(key, method="PATCH", answer="500", times=1):
        page = visit(site, f"/edit/{key}/", wait=False, expected=["status of 500"])
        assert until_seen(page, "uncertain")["reason"] == "server"
    assert until_seen(page, "renewed")["reason"] == "recovered"
    assert site.lock(key).left > 3500
    page.close()
    until(lambda: site.lock(key).left < GRACE)


def test_a_lock_that_could_not_be_asked_for_is_asked_for_again(site, key, visit):
    with site.rule(key, method="POST", answer="500", times=1):
        page = visit(site, f"/hold/{key}/", wait=False, expected=["status of 500"])
        assert until_seen(page, "uncertain")["reason"] == "server"
    # As documented: "the client goes on asking".
    until(lambda: seen(page, "acquired") or seen(page, "renewed"), page=page)
    assert site.lock(key).token


def test_failures_are_repeated_with_growing_pauses_until_one_is_good(site, begin):
    key, page = begin(site, "edit", frozen=True, expected=["status of 500"])
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
    # While somebody looks at the page, Save is not to come back long after the server.
    for pause, most in zip(pauses, [2, 4, 8, 10, 10, 10, 10], strict=True):
        assert 0.8 * most - 0.1 <= pause <= most + 0.6, pauses
    until(lambda: (page.clock.run_for(1000), seen(page, "renewed", "recovered"))[1])
    assert names(page)[-1] == ("renewed", "recovered")
    assert site.lock(key).left > 3000


def test_offline_is_uncertain_and_online_renews_at_once(site, begin):
    key, page = begin(site, "edit", frozen=True, expected=["net::ERR_INTERNET"])
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
@pytest.mark.parametrize("is_taken", [False, True])
def test_after_a_sleep_of_two_hours_a_lock_is_revived_unless_it_was_taken(
    site, begin, kind, is_taken
):
    key, page = begin(site, kind, frozen=True)
    token = site.lock(key).token
    site.give_to(key, "bob") if is_taken else site.let_expire(key)
    count = len(seen(page, "renewed"))
    page.clock.fast_forward("02:00:00")
    if is_taken:
        event = until_seen(page, "lost")
        assert (event["reason"], event["locked_by"]) == ("taken", "Bob Lindqvist")
        assert site.lock(key).token == "0" * 32
        return
    event = until(lambda: seen(page, "renewed")[count:], page=page)[0]
    assert event["reason"] == "revived"
    assert event["token"] == token == site.lock(key).token
    assert site.lock(key).left > 3500
    assert not seen(page, "lost")


def test_pages_that_wake_up_renew_at_once(site, begin):
    key, page = begin(site, "edit", frozen=True)

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


def test_at_least_every_45_seconds_also_when_the_lock_lives_long(site, begin):
    key, page = begin(site, "edit", frozen=True)
    count = len(seen(page, "renewed"))
    for more in (1, 2, 3):
        page.clock.run_for(35_900)
        assert len(seen(page, "renewed")) < count + more
        page.clock.run_for(9200)
        until(lambda more=more: len(seen(page, "renewed")) >= count + more, page=page)
    assert site.lock(key).left > 3500


def test_to_lock_what_the_page_holds_renews_it_also_when_it_has_expired(brief, begin):
    key, page = begin(brief, "hold")
    token = brief.lock(key).token
    brief.let_expire(key)
    given, _ = call(page, "lock", *article_of(key))
    assert given["token"] == brief.lock(key).token == token
    count = len(seen(page, "renewed"))
    with poaching(brief, key) as (poacher,):
        until(lambda: len(seen(page, "renewed")) > count + 3)
    assert poacher.got is None
    assert len(brief.requests(key, method="POST")) == 1


def test_holding_a_void_token_acquires_nothing(site, key, page):
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


def test_a_lock_that_is_acquired_again_after_a_failed_unlock_stays(site, begin):
    key, page = begin(site, "hold", expected=["status of 500"])
    with site.rule(key, method="DELETE", answer="500"):
        assert call(page, "unlock", *article_of(key)) == (False, [[False]])
    call(page, "lock", *article_of(key))
    page.goto("/elsewhere/")
    page.wait_for_timeout(1000)
    assert site.leaves(key) == []
    assert site.lock(key).left > 3000


def test_a_registration_that_failed_is_recovered_from(site, key, visit):
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
