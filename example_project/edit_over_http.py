#!/usr/bin/env python3
"""Edit an article of the newsroom over HTTP, as two programs would, and lose nothing.

The newsroom is served by ``manage.py demo``; this needs nothing but Python::

    python3 example_project/edit_over_http.py

It says what it does. In the end the article has three paragraphs more, and no lock.
"""

import argparse
import base64
import http.client
import json
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress

# The newsroom is near. No proxy is asked for it.
web = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """The story ends early. The message says why."""


class Editor:
    """A program that edits one article, signed in to an account."""

    def __init__(self, account, newsroom, number):
        self.name, _, password = account.partition(":")
        self.newsroom = newsroom.rstrip("/")
        self.article = f"/api/articles/{number}/"
        credentials = f"{self.name}:{password or self.name}".encode()
        self.headers = {
            "Accept": "application/json",
            "Authorization": "Basic " + base64.b64encode(credentials).decode(),
            "Content-Type": "application/json",
        }
        self.token = None

    def __str__(self):
        return self.name

    def ask(self, method, path="", fields=None, token=None, expected=200):
        """Send a request about the article; return what the answer's JSON says."""
        path = self.article + path
        # The token that proves the lock. Other programs send it as "If: (<token>)".
        proof = {"Lock-Token": token} if token else {}
        body = json.dumps(fields).encode() if fields else None
        try:
            request = urllib.request.Request(
                self.newsroom + path, body, self.headers | proof, method=method
            )
            try:
                answer = web.open(request, timeout=30)
            except urllib.error.HTTPError as error:
                answer = error  # an answer too
            with answer:
                content = answer.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Failed(
                f"There is no newsroom at {self.newsroom} ({reason}).\nStart it with"
                " “manage.py demo”, and give its address with --address."
            ) from error
        try:
            said = json.loads(content) if content else {}
        except ValueError as error:
            raise Failed(
                f"The server at {self.newsroom} does not have the newsroom's API."
            ) from error
        print(
            f"     {self}: {method} {path}{' with a token' if proof else ''}"
            f" -> {answer.status} {said.get('error', '')}".rstrip()
        )
        if answer.status != expected:
            raise Failed(self.explain(answer.status, said))
        if "Lock-Expires-At" in answer.headers:
            print(f"     Lock-Expires-At: {answer.headers['Lock-Expires-At']}")
        return said

    def explain(self, status, said):
        if status == 401:
            return f"The newsroom does not know {self} with this password."
        if status == 404 and "error" not in said:
            return f"There is no article at {self.newsroom}{self.article}."
        if said.get("error") == "locked":
            holder = said["locked_by"] or "Somebody"
            return f"{holder} has the lock until {said['expires_at']}. Try again later."
        return f"The newsroom sent an unexpected answer: {said}"

    def read(self):
        return self.ask("GET")

    def lock(self):
        self.token = self.ask("POST", "lock/", expected=201)["token"]

    def hold_for(self, seconds):
        """Renew the lock, for a time of one's own choice."""
        self.ask("PATCH", "lock/", {"timeout": seconds}, self.token)

    def write(self, body, token=None, expected=200):
        return self.ask("PATCH", "", {"body": body}, token, expected)

    def unlock(self):
        token, self.token = self.token, None
        self.ask("DELETE", "lock/", token=token, expected=204)


def tell(alice, bob):
    """Let two editors work on the same article. ``Failed`` when it does not go so."""
    steps = iter(range(1, 100))

    def say(text):
        print(f"{next(steps):2}.  {text}")

    def paragraph(editor, text):
        return f"\n\n{text} ({editor}, {time.strftime('%H:%M:%S')})"

    say(f"{alice} reads the article.")
    before = alice.read()
    print(f"     It is “{before['headline']}”.")

    first = paragraph(alice, "The first paragraph over HTTP.")
    say(
        f"{alice} writes to it without a lock. The newsroom refuses because a lock is"
        " required."
    )
    alice.write(before["body"] + first, expected=428)

    say(f"{alice} locks it, and gets a token.")
    alice.lock()

    say(f"Nobody else can change it from now on. {alice} reads it again and writes.")
    hers = alice.read()["body"] + first
    alice.write(hers, alice.token)

    second = paragraph(bob, "A paragraph in between.")
    say(
        f"{bob} writes without a token. The newsroom refuses because {alice} has the"
        " lock."
    )
    bob.write(before["body"] + second, expected=423)

    say(f"{alice} renews the lock for only one second and then sends nothing more.")
    alice.hold_for(1)

    say(f"{bob} waits until the lock has expired.")
    while bob.ask("GET", "lock/")["locked"]:
        time.sleep(0.5)

    say(f"{bob} locks the article, writes, and releases the lock.")
    bob.lock()
    bob.write(bob.read()["body"] + second, bob.token)
    bob.unlock()

    third = paragraph(alice, "The last paragraph over HTTP.")
    say(
        f"{alice} is back and writes with the old token. It is void, so the newsroom"
        f" refuses.\n     Otherwise the paragraph of {bob} would be lost, because"
        f" {alice} never saw it."
    )
    alice.write(hers + third, alice.token, expected=412)

    say(f"{alice} recovers, locks the article again, and reads the current text.")
    alice.lock()
    now = alice.read()["body"]

    say(f"{alice} adds the paragraph to that text, writes, and releases the lock.")
    after = alice.write(now + third, alice.token)["body"]
    alice.unlock()

    for text in (before["body"], first, second, third):
        if text.strip() not in after:
            raise Failed(f"This was lost: {text.strip()}")
    say("All three paragraphs are saved. No lock remains.")


def main():
    parser = argparse.ArgumentParser(
        description="Edit an article of the newsroom over HTTP, with a lock."
    )
    parser.add_argument(
        "article",
        nargs="?",
        type=int,
        default=1,
        help="The number of the article. Default: 1.",
    )
    parser.add_argument(
        "--address",
        default="http://127.0.0.1:8000",
        help="The address of the newsroom. Default: http://127.0.0.1:8000.",
    )
    parser.add_argument(
        "--account",
        default="alice",
        help="The account that edits it, as NAME:PASSWORD. NAME is enough if the"
        " password is the same, as in the sample accounts. Default: alice.",
    )
    parser.add_argument(
        "--colleague",
        default="bob",
        help="The second account that edits it. Default: bob.",
    )
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")  # for screens that have no such letter

    editors = [
        Editor(account, options.address, options.article)
        for account in (options.account, options.colleague)
    ]
    try:
        tell(*editors)
    except Failed as error:
        sys.exit(f"\n{error}")
    finally:
        # However it ends, no lock is left behind.
        for editor in editors:
            if editor.token:
                with suppress(Failed):
                    editor.unlock()


if __name__ == "__main__":
    main()
