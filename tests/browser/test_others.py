"""What the client relies on in Firefox and WebKit: a page sends a last request."""

import http.server
import json
import queue
import threading

import pytest

from .others import BROWSERS, until
from .site import Site
from .site import until as site_until

SIGN_IN = """<!DOCTYPE html><title>Sign in</title>
<form method="post"><input name="username"><button>Sign in</button></form>"""
# All that the request needs is there beforehand. Firefox aborts the scripts of a page
# whose tab is closed, handlers of pagehide too, where a loop turns or a call returns.
EDIT = """<!DOCTYPE html><title>Edit</title><a href="/elsewhere/">Elsewhere</a>
<script>
  const options = {
    method: "PATCH",
    keepalive: true,
    headers: {"Content-Type": "application/json", "X-CSRFToken": "secret"},
    body: JSON.stringify({timeout: 5}),
  };
  addEventListener("pagehide", () => fetch("/lock/", options));
  window.ready = true;
</script>"""
PAGES = {"/": SIGN_IN, "/edit/": EDIT, "/elsewhere/": "<!DOCTYPE html><title>x</title>"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"])).decode()

    def answer(self, status, text="", **headers):
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        if self.path in PAGES:
            self.answer(200, PAGES[self.path])
        else:
            self.answer(404)

    def do_POST(self):
        self.answer(303, Set_Cookie=self.body(), Location="/edit/")

    def do_PATCH(self):
        sent = {name: self.headers[name] for name in ("Cookie", "X-CSRFToken")}
        self.server.last_requests.put((self.path, json.loads(self.body()), sent))
        self.answer(200)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.last_requests = queue.Queue()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(params=BROWSERS)
def driver(request):
    with BROWSERS[request.param]() as driver:
        yield driver


def follow_a_link(driver):
    driver.find_element("link text", "Elsewhere").click()


def go_elsewhere(driver):
    driver.get(driver.current_url.replace("edit", "elsewhere"))


def reload(driver):
    driver.refresh()


def close(driver):
    driver.close()


@pytest.mark.parametrize(
    ("kind", "leave"),
    [
        ("tab", follow_a_link),
        ("tab", go_elsewhere),
        ("tab", reload),
        ("tab", close),
        ("window", close),
    ],
)
def test_a_page_that_is_left_sends_a_last_request(site, driver, kind, leave):
    # Another stays open: a Firefox that closes its only window sends nothing more.
    driver.switch_to.new_window(kind)
    driver.get(site.url)
    driver.find_element("name", "username").send_keys("alice")
    driver.find_element("tag name", "button").click()
    until(driver, lambda driver: driver.title == "Edit")
    assert [(c["name"], c["value"]) for c in driver.get_cookies()] == [
        ("username", "alice")
    ]
    assert driver.execute_script("return Promise.resolve(window.ready)") is True
    assert site.last_requests.empty()

    leave(driver)

    assert site.last_requests.get(timeout=10) == (
        "/lock/",
        {"timeout": 5},
        {"Cookie": "username=alice", "X-CSRFToken": "secret"},
    )
    assert site.last_requests.empty()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("others")).launch().wait()
    yield site
    site.stop()


@pytest.mark.parametrize("name", BROWSERS)
def test_the_client_acquires_holds_and_lets_go_with_the_tab(name, served):
    with BROWSERS[name]() as driver:
        first = driver.current_window_handle
        for kind in ("edit", "hold"):
            for leave in ("navigate", "close"):
                driver.switch_to.new_window("tab")
                keys = [served.article(), served.article()]
                driver.get(f"{served.url}/{kind}/{keys[0]}/")
                until(driver, has_lock)
                driver.execute_script(
                    "return LockTokens.hold_lock('tests', 'article', arguments[0])"
                    ".then(() => true)",
                    keys[1],
                )
                # Renewed: the first few seconds of a lock that was acquired are over.
                site_until(
                    lambda keys=keys: all(left(served, key) > 60 for key in keys)
                )
                if leave == "navigate":
                    driver.get(f"{served.url}/elsewhere/")
                driver.close()
                driver.switch_to.window(first)
                site_until(lambda keys=keys: all(left(served, key) < 6 for key in keys))


def has_lock(driver):
    return driver.execute_script("return !!(window.held && window.held.get_token())")


def left(site, key):
    lock = site.lock(key)
    return lock.left if lock else 0
