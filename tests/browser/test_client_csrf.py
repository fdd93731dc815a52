"""The JavaScript client in Chromium, under each of Django's CSRF set-ups and policies."""

import django
import pytest

from .site import CSRF_SETUPS, Other, Site, address, until

SETUPS = {**CSRF_SETUPS, "exempt": {"LOCK_TOKENS": {"API_CSRF_EXEMPT": True}}}
if django.VERSION >= (6, 0):
    SETUPS["nonce"] = {"NONCE": True}


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """One site for each set-up."""
    sites = {
        name: Site(tmp_path_factory.mktemp(name), **settings).launch()
        for name, settings in SETUPS.items()
    }
    try:
        for site in sites.values():
            site.wait()
        yield sites
    finally:
        for site in sites.values():
            site.stop()
    for site in sites.values():
        assert "Traceback" not in site.output()


def open_page(context, path):
    page = context.new_page()
    page.goto(path)
    until(lambda: page.evaluate("window.held?.get_token()"))
    return page


def call(page, method, key):
    return page.evaluate(
        "async ([method, key]) => (await call(method, 'tests', 'article', key)).given",
        [method, key],
    )


def csrf_header(site):
    name = site.otherwise.get("CSRF_HEADER_NAME", "HTTP_X_CSRFTOKEN")
    return name.removeprefix("HTTP_").replace("_", "-").title()


@pytest.mark.parametrize("setup", CSRF_SETUPS)
def test_the_check_is_made_and_the_client_passes_it(sites, window, setup):
    check_a_life(sites[setup], window)
    site, key = sites[setup], sites[setup].article()
    for headers in ({}, {csrf_header(site): "a" * 32}):
        status, body = Other(site, headers).ask("POST", address(key))
        assert (status, body["error"]) == (403, "csrf_failed")
    assert site.lock(key) is None


def test_an_exempt_api_gets_no_token(sites, window):
    site = sites["exempt"]
    cookies = check_a_life(site, window)
    assert "csrftoken" not in cookies
    key = site.article()
    assert Other(site, {}).ask("POST", address(key))[0] == 201
    assert site.lock(key)


def check_a_life(site, window):
    """Acquire, renew, leave and unlock; return the names of the cookies."""
    context = window(base_url=site.url)
    context.watch.expected.append("status of 412")
    left, unlocked = site.article(), site.article()
    for key, kind in ((left, "edit"), (unlocked, "hold")):
        page = open_page(context, f"/{kind}/{key}/")
        site.let_live(key, 4)
        assert call(page, "renew_lock", key)["token"] == site.lock(key).token
        assert 3500 < site.lock(key).left < 3601
        if key == unlocked:
            assert call(page, "unlock", key) is True
            assert site.lock(key) is None
        page.close()
    until(lambda: site.lock(left).left < 5)
    until(lambda: [entry.status for entry in site.leaves(left)] == [200])
    for entry in site.requests(left) + site.requests(unlocked):
        has_it = csrf_header(site) in entry.headers
        is_exempt = "LOCK_TOKENS" in site.otherwise
        assert has_it == (entry.method != "GET" and not is_exempt), entry
        assert entry.status in (200, 201, 204, 412)
    return {cookie["name"] for cookie in context.cookies()}


@pytest.mark.parametrize("setup", ["default", "httponly", "sessions"])
@pytest.mark.parametrize("kind", ["edit", "hold"])
def test_signing_in_elsewhere_heals_itself(sites, window, setup, kind):
    site = sites[setup]
    key = site.article()
    context = window(base_url=site.url)
    context.watch.expected.append("status of 412")
    page = open_page(context, f"/{kind}/{key}/")
    count = len(site.renewals(key))
    token = site.lock(key).token

    def statuses():
        # Without the question whether another page has renewed.
        found = [entry.status for entry in site.renewals(key)[count:]]
        return [status for status in found if status != 412]

    context.new_page().goto("/sign-in/alice/")
    site.let_expire(key)

    assert call(page, "renew_lock", key)["token"] == token == site.lock(key).token
    assert site.lock(key).left > 3500
    retried = [403, 200] if setup != "default" else [200]
    assert statuses() == retried
    # It knows the new one now, and needs it to leave.
    assert call(page, "renew_lock", key)
    assert statuses() == [*retried, 200]
    assert not page.evaluate("seen.filter(({ name }) => name === 'uncertain').length")
    page.close()
    until(lambda: [entry.status for entry in site.leaves(key)] == [200])
    assert site.lock(key).left < 5


@pytest.mark.parametrize("setup", ["default", "httponly", "sessions"])
def test_acquiring_and_unlocking_heal_too(sites, window, setup):
    site = sites[setup]
    key = site.article()
    context = window(base_url=site.url)
    page = context.new_page()
    page.goto("/client/")
    other = context.new_page()
    other.goto("/sign-in/alice/")
    assert call(page, "hold_lock", key)["token"] == site.lock(key).token
    assert site.lock(key).locked_by == "alice"
    other.goto("/sign-in/alice/")
    other.context.clear_cookies(name="csrftoken")
    other.goto("/sign-in/alice/")
    assert call(page, "unlock", key) is True
    assert site.lock(key) is None


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has no policies before 6.0")
def test_under_a_policy_of_nonces_the_client_works(sites, window):
    site = sites["nonce"]
    key = site.article()
    context = window(base_url=site.url)
    page = context.new_page()
    policy = page.goto(f"/edit/{key}/?twice").headers["content-security-policy"]
    (scripts,) = [part for part in policy.split("; ") if part.startswith("script-src")]
    assert scripts.startswith("script-src 'nonce-")
    assert "self" not in scripts
    until(lambda: page.evaluate("window.held?.get_token()"))
    assert call(page, "unlock", key) is True
    assert site.lock(key) is None


@pytest.mark.parametrize(
    "setup", ["default", *(["nonce"] if "nonce" in SETUPS else [])]
)
def test_the_policy_is_in_force_and_the_watch_sees_it(sites, window, setup):
    context = window(base_url=sites[setup].url)
    page = context.new_page()
    page.goto("/client/")
    page.evaluate(
        """
        const element = document.createElement("script");
        element.textContent = "document.title = 'ran'";
        document.body.append(element);
        """
    )
    problems = context.watch.problems
    until(lambda: any("script-src-elem inline" in p for p in problems), page=page)
    assert page.title() == "client"
    problems.clear()
