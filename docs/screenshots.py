"""Takes the pictures of the walkthrough: ``python docs/screenshots.py``.

It runs the example with a database of its own, walks through it in Chromium as three
people, and writes ``docs/images/*.png``. It needs Playwright and a Chromium: the one at
``/usr/bin/chromium``, or wherever the environment variable CHROMIUM says.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.demo import Demo  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDTH, HEIGHT = 1000, 720

FERRY = "/admin/newsroom/article/1/change/"
STORM = "/admin/newsroom/article/3/change/"
SEAL = "/admin/newsroom/article/4/change/"
ARTICLES = "/admin/newsroom/article/"
LOCKS = "/admin/lock_tokens/locktoken/"

HERS = """\
The town council voted on Tuesday, by nine to two, to turn the empty ferry terminal into \
a library. Work is to begin in spring."""
CHIEFS = """\
The town council voted on Tuesday to turn the empty ferry terminal into a library. Work \
is to begin in May and to take fourteen months."""
# The admin's own list of models takes a quarter of the window.
SETTINGS = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, browser: Browser, url: str, name: str, **options: Any):
        context = browser.new_context(
            base_url=url,
            viewport={"width": WIDTH, "height": HEIGHT},
            device_scale_factor=1,
            color_scheme="light",
            reduced_motion="reduce",
            locale="en",
            **options,
        )
        # Longer than a page takes to find out that an article is free.
        context.set_default_timeout(20_000)
        context.add_init_script(SETTINGS)
        self.page = context.new_page()
        self.goes_to("/admin/login/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(name)
        self.page.get_by_role("button", name="Log in").click()
        self.sees("Welcome")

    def goes_to(self, path: str) -> None:
        self.page.goto(path)

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).filter(visible=True).first.wait_for()

    def types(self, text: str) -> None:
        self.page.get_by_label("Text:").fill(text)

    def presses(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def looks_after_the_lock(self) -> None:
        """Have the page ask now, as it does by itself within a minute."""
        self.page.evaluate("window.dispatchEvent(new Event('online'))")

    def takes_picture(self, name: str, down_to: str | None = None) -> None:
        """Take a picture of the window, or of the page down to the end of an element."""
        picture = IMAGES / f"{name}.png"
        if down_to is None:
            self.page.screenshot(path=picture)
            return
        box = self.page.locator(down_to).last.bounding_box()
        height = round(box["y"] + box["height"]) + 16
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}
        self.page.screenshot(path=picture, full_page=True, clip=clip)


def take_pictures(browser: Browser, demo: Demo) -> None:
    alice, bob, carol = (
        Person(browser, demo.url, name) for name in ("alice", "bob", "carol")
    )

    alice.goes_to(FERRY)
    alice.sees("You are editing this")
    alice.takes_picture("held", down_to="#id_body")

    bob.goes_to(FERRY)
    bob.sees("It will tell you when you can edit")
    bob.takes_picture("locked", down_to=".field-headline")

    carol.goes_to(STORM)
    bob.goes_to(ARTICLES)
    bob.page.get_by_label("Select all").check()
    bob.page.locator("select[name=action]").select_option("publish")
    bob.page.get_by_role("button", name=re.compile("^(Go|Run)")).click()
    bob.sees("3 articles were published")
    bob.takes_picture("list", down_to="#changelist")

    bob.goes_to(FERRY)
    bob.sees("It will tell you when you can edit")
    alice.goes_to(ARTICLES)
    bob.sees("It is free now")
    bob.takes_picture("free", down_to=".field-headline")

    alice.goes_to(FERRY)
    alice.types(HERS)
    carol.goes_to(FERRY)
    carol.page.get_by_text("Take over …").click()
    carol.takes_picture("take_over", down_to="#lock-tokens")
    carol.presses("Take over from Alice Moreau")
    carol.sees("You are editing this")
    alice.looks_after_the_lock()
    alice.sees("Carol Adeyemi is editing this now")
    alice.takes_picture("taken_over")

    carol.types(CHIEFS)
    carol.presses("Save")
    carol.sees("was changed successfully")
    alice.looks_after_the_lock()
    alice.sees("It is free now")
    alice.presses("Go on with my text")
    alice.sees("You can save again")
    alice.takes_picture("again", down_to="#id_body")
    alice.presses("Save")
    alice.sees("was changed successfully")

    bob.goes_to(FERRY)
    alice.goes_to(SEAL)
    while 3 in demo.live():  # the grace after Carol left it
        time.sleep(0.2)
    carol.goes_to(LOCKS)
    carol.takes_picture("locks", down_to="#changelist")

    # Without JavaScript nobody tells her while she types.
    old = Person(browser, demo.url, "alice", java_script_enabled=False)
    bob.goes_to(ARTICLES)
    demo.let_expire(1)
    old.goes_to(FERRY)
    demo.let_expire(1)
    carol.goes_to(FERRY)
    carol.types(CHIEFS)
    carol.presses("Save")
    old.types(HERS)
    old.presses("Save")
    old.sees("Not saved")
    old.takes_picture("refused", down_to="#id_body")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        demo = Demo(Path(folder))
        demo.start()
        try:
            take_pictures(browser, demo)
        finally:
            demo.stop()
            browser.close()


if __name__ == "__main__":
    main()
