"""What pages call of the JavaScript client, in Chromium."""

import uuid

import pytest

from ..site import GRACE, Other, Site, address, until
from .pages import KEYS, article_of, call, names, seen


def test_lock_gives_its_token_to_the_callback_and_the_promise(site, key, page):
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


def test_lock_of_what_another_has_locked_gives_null(site, key, visit):
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


def test_a_token_of_the_server_is_taken_on_renewed_and_released(site, key, visit):
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


def test_void_tokens_and_objects_without_a_lock_give_null(site, key, page):
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


def test_what_does_not_exist_is_named_in_the_console(site, key, page):
    warnings = []
    page.on("console", lambda m: m.type == "warning" and warnings.append(m.text))
    assert call(page, "lock", "tests", "artikel", key)[0] is None
    assert call(page, "hold_lock", *article_of(10**9))[0] is None
    until(lambda: len(warnings) == 2, page=page)
    assert "There is no such model." in warnings[0]
    assert "artikel" in warnings[0]
    assert "There is no such object." in warnings[1]
    assert str(10**9) in warnings[1]
    _, body = Other(site).ask("POST", address(key))
    assert call(page, "lock", *article_of(key))[0] is None  # that is no mistake
    page.wait_for_timeout(200)
    assert len(warnings) == 2
    assert body["token"] not in "".join(warnings)


@pytest.mark.parametrize("answer", ["403", "405", "501", "page"])
def test_behind_a_firewall_it_renews_and_releases_by_post(site, key, visit, answer):
    page = visit(site, "/client/", expected=["status of 405", "status of 501"])
    with (
        site.rule(key, method="PATCH", answer=answer),
        site.rule(key, method="DELETE", answer=answer),
    ):
        assert call(page, "hold_lock", *article_of(key))[0]["token"]
        until(lambda: site.lock(key).left > 3000)
        assert not seen(page, "uncertain")
        assert call(page, "unlock", *article_of(key)) == (True, [[True]])
        assert site.lock(key) is None
        assert len(site.requests(key, method="PATCH")) == 1
        assert site.requests(key, method="DELETE") == []  # it has learned

        assert call(page, "lock", *article_of(key))[0]["token"]
        call(page, "hold_lock", *article_of(key))
        page.close()
        until(lambda: site.lock(key).left < GRACE)


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
        assert seen(page, "acquired")[-1]["object_id"] == key
        assert call(page, "renew_lock", "tests", model, key)[0]["token"]
    for model, key in objects:
        assert call(page, "unlock", "tests", model, key)[0] is True
        assert site.lock(key, model) is None
    # The model in any case.
    given, _ = call(page, "lock", "tests", "Label", KEYS[0])
    assert call(page, "unlock", "tests", "LABEL", KEYS[0])[0] is True
    assert site.lock(KEYS[0], "label") is None


@pytest.mark.parametrize("order", ["early", "late"])
def test_scripts_may_run_before_and_after_the_client(site, key, visit, order):
    page = visit(site, f"/hold/{key}/?{order}")
    assert page.evaluate("order") == order
    assert names(page) == [("clientready", None), ("acquired", "locked")]
    assert site.lock(key)


def test_the_tag_twice_is_one_client(site, key, visit):
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
