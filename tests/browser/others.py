"""Debian's Firefox and WebKitGTK without a screen, both by way of Selenium.

Each is a new browser, with cookies of its own, and ends with the block::

    with webkit() as driver:
        driver.get(url)

Scripts see what the page has put on ``window``, but no ``const`` of the page in Firefox.
"""

import contextlib
import itertools
import json
import os
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

from .conftest import go_without

# Where Debian has them, and the environment's variable for elsewhere.
PROGRAMS = {
    "FIREFOX": "/usr/bin/firefox-esr",
    "WEBKIT_DRIVER": "/usr/bin/WebKitWebDriver",
    "XVFB": "/usr/bin/Xvfb",
}
PATIENCE = 60  # seconds, for a start and for an answer

# What Selenium calls a command, and what Firefox does.
COMMANDS = {
    "newSession": "WebDriver:NewSession",
    "quit": "WebDriver:DeleteSession",
    "setTimeouts": "WebDriver:SetTimeouts",
    "get": "WebDriver:Navigate",
    "refresh": "WebDriver:Refresh",
    "goBack": "WebDriver:Back",
    "goForward": "WebDriver:Forward",
    "getCurrentUrl": "WebDriver:GetCurrentURL",
    "getTitle": "WebDriver:GetTitle",
    "w3cExecuteScript": "WebDriver:ExecuteScript",
    "w3cExecuteScriptAsync": "WebDriver:ExecuteAsyncScript",
    "findElement": "WebDriver:FindElement",
    "findElements": "WebDriver:FindElements",
    "clickElement": "WebDriver:ElementClick",
    "clearElement": "WebDriver:ElementClear",
    "sendKeysToElement": "WebDriver:ElementSendKeys",
    "getElementText": "WebDriver:GetElementText",
    "newWindow": "WebDriver:NewWindow",
    "close": "WebDriver:CloseWindow",
    "switchToWindow": "WebDriver:SwitchToWindow",
    "w3cGetCurrentWindowHandle": "WebDriver:GetWindowHandle",
    "w3cGetWindowHandles": "WebDriver:GetWindowHandles",
    "addCookie": "WebDriver:AddCookie",
    "getCookies": "WebDriver:GetCookies",
    "deleteAllCookies": "WebDriver:DeleteAllCookies",
}
FOR_GECKODRIVER = {"capabilities", "sessionId"}


class Marionette:
    """Bring Selenium's commands to a Firefox: Debian has no geckodriver for it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.answers = self.socket.makefile("rb")
        self.numbers = itertools.count()
        self.receive()  # its greeting

    def receive(self):
        length = b""
        while not length.endswith(b":"):
            byte = self.answers.read(1)
            if not byte:
                raise ConnectionError("Firefox has ended")
            length += byte
        return json.loads(self.answers.read(int(length[:-1])))

    def execute(self, command, parameters):
        given = {n: parameters[n] for n in parameters.keys() - FOR_GECKODRIVER}
        message = [0, next(self.numbers), COMMANDS[command], given]
        text = json.dumps(message).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, value = self.receive()
        if error:
            return {"status": error["error"], "value": error}
        if isinstance(value, dict) and value.keys() == {"value"}:
            value = value["value"]
        return {"value": value}

    def close(self):
        self.answers.close()
        self.socket.close()


def selenium():
    try:
        from selenium import webdriver
    except ImportError:
        go_without("Selenium is not installed: pip install selenium")
    return webdriver


def program(variable):
    path = os.environ.get(variable, PROGRAMS[variable])
    if not Path(path).exists():
        go_without(f"There is no {path} (set {variable})")
    return path


@contextlib.contextmanager
def running(command, **options):
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def home():
    """Give a browser a folder for all that it keeps."""
    # Some process of its may write there to the last.
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


@contextlib.contextmanager
def firefox():
    webdriver = selenium()
    command = [program("FIREFOX"), "--headless", "--marionette", "--profile"]
    with home() as folder:
        profile = Path(folder)
        (profile / "user.js").write_text('user_pref("marionette.port", 0);\n')
        log, port = profile / "firefox.log", profile / "MarionetteActivePort"
        with (
            log.open("wb") as output,
            running(
                [*command, folder],
                env={**os.environ, "HOME": folder, "MOZ_CRASHREPORTER_DISABLE": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            deadline = time.monotonic() + PATIENCE
            while not (port.exists() and port.read_text()):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(
                        "No Firefox:\n" + log.read_text(errors="replace")
                    )
                time.sleep(0.05)
            with contextlib.closing(Marionette(int(port.read_text()))) as connection:
                yield webdriver.Remote(connection, options=webdriver.FirefoxOptions())


@contextlib.contextmanager
def webkit():
    webdriver = selenium()
    path = program("WEBKIT_DRIVER")
    screen = [program("XVFB"), "-displayfd", "1", "-nolisten", "tcp"]
    silent = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with home() as folder, running(screen, **silent) as server:
        display = server.stdout.readline().decode().strip()
        assert display, "No Xvfb"
        environment = {**os.environ, "HOME": folder, "DISPLAY": f":{display}"}
        service = webdriver.WebKitGTKService(path, env=environment)
        with warnings.catch_warnings():
            # Selenium itself calls what it has deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            driver = webdriver.WebKitGTK(service=service)
        try:
            yield driver
        finally:
            driver.quit()


BROWSERS = {"firefox": firefox, "webkit": webkit}


def until(driver, check, seconds=15):
    """Wait for something to be true, and return it: ``check`` gets the driver.

    WebKit's click returns before the next page is there.
    """
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.wait import WebDriverWait

    # A page that is about to go may answer with any of these.
    wait = WebDriverWait(driver, seconds, 0.05, ignored_exceptions=[WebDriverException])
    return wait.until(check)
