"""The newsroom's pages, and a person who walks through them without a browser."""

import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from http.cookiejar import CookieJar

# Elements without an end tag.
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """An answer: its status, its address, and what somebody without scripts has of it:

    the text that is not hidden, and the fields of its forms.
    """

    def __init__(self, answer):
        super().__init__()
        self.status = answer.status
        self.path = urllib.parse.urlsplit(answer.url).path
        self.headers = answer.headers
        self.html = answer.read().decode()
        self.fields = {}
        self.words = []
        self.unsafe = []
        self.textarea = self.select = None
        self.hidden = []  # the hidden element that this is in, and those inside it
        self.feed(self.html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.unsafe += [name for name in found if name[:2] == "on" or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.unsafe.append(tag)
        if tag not in VOID and (self.hidden or "hidden" in found):
            self.hidden.append(tag)
        if tag == "input":
            # As a browser sends them: no button that is not pressed, no empty box.
            kind = found.get("type")
            if kind != "submit" and (kind != "checkbox" or "checked" in found):
                self.fields[found.get("name", "")] = found.get("value") or ""
        elif tag == "textarea":
            self.textarea = found.get("name") or found.get("id", "copy")
            self.fields[self.textarea] = ""
        elif tag == "select":
            self.select = found.get("name", "")
        elif tag == "option" and "selected" in found:
            self.fields[self.select] = found["value"]

    def handle_endtag(self, tag):
        if self.hidden:
            assert self.hidden.pop() == tag, f"</{tag}> ends another element"
        if tag == "textarea":
            # HTML drops one line break after the opening tag.
            text = self.fields[self.textarea]
            self.fields[self.textarea] = text.removeprefix("\n")
            self.textarea = None

    def handle_data(self, data):
        if self.textarea:
            self.fields[self.textarea] += data
        elif not self.hidden:
            self.words.append(data)


class Editor:
    """A person with a browser of their own."""

    SIGN_IN = "/sign-in/"
    HOME = "/"

    def __init__(self, demo, username=None):
        self.demo = demo
        self.jar = CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.jar),
        )
        if username:
            sent = {"username": username, "password": username}
            page = self.post(self.SIGN_IN, self.get(self.SIGN_IN), **sent)
            assert page.path == self.HOME, page.text

    def _ask(self, path, data=None):
        try:
            answer = self.opener.open(self.demo.url + path, data, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            assert answer.status < 500, self.demo.output()
            page = Page(answer)
        assert page.unsafe == []
        assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
        return page

    def cookies(self):
        """Return the header that brings this person's cookies."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.jar)

    def get(self, path):
        return self._ask(path)

    def post(self, path, page, **changes):
        """Send the form of a page, with what the person changed in it."""
        return self._ask(
            path, urllib.parse.urlencode(page.fields | changes, True).encode()
        )
