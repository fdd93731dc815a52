"""The quickstart, run literally: its commands, its files, and what its two people see."""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import lock_tokens

pytestmark = [pytest.mark.any_database, pytest.mark.example]

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.rst"
BLOCK = re.compile(
    r"(?:\.\. code-block:: \S+\n    :caption: (?P<file>.+)\n|^.*::\n)\n"
    r"(?P<text>(?:    .*\n|\n)+)",
    re.MULTILINE,
)
# What makes a Python of one's own: the tests have one.
OWN_PYTHON = ("python -m venv", "source ", "pip install")

# The steps of the section "Try it".
TRY_IT = """
from django.test import Client
from lock_tokens.testing import expire_lock, post_form

def sign_in(name):
    client = Client(headers={"host": "127.0.0.1:8000"})
    page = post_form(
        client, "/admin/login/", {"username": name, "password": "secret"}, follow=True
    )
    assert page.status_code == 200, page
    return client

alice, bob = sign_in("alice"), sign_in("bob")
article = Article.objects.get()
url = f"/articles/{article.pk}/"

def said(page, *texts):
    for text in texts:
        assert text in page.content.decode(), (text, page.content.decode())
    return page

page = said(alice.get(url), "Storm")
said(bob.get("/articles/"), "Storm", "alice is editing")
said(bob.get(url), "alice", "is editing this", "disabled")
saved = post_form(alice, url, {"title": "Storm warning"}, page=page)
assert saved.url == "/articles/", saved
said(bob.get(url), "Storm warning", 'data-state="held"')
assert post_form(bob, url, {"title": "Storm warning"}).status_code == 302

page = alice.get(url)
expire_lock(article)
assert post_form(alice, url, {"title": "Late"}, page=page).status_code == 302
page = alice.get(url)
expire_lock(article)
assert bob.get(url).status_code == 200
lost = said(post_form(alice, url, {"title": "Lost"}, page=page), "Lost", "bob")
assert lost.status_code == 403
assert Article.objects.get().title == "Late"
bob.logout()
assert bob.get(url).url.startswith("/admin/login/")
"""


class Project:
    """The folder in which somebody follows the page."""

    def __init__(self, folder):
        self.folder = folder
        self.files = []
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(Path(lock_tokens.__file__).parents[1]),
            "DJANGO_SUPERUSER_PASSWORD": "secret",
        }
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)

    def run(self, command, *more):
        words = shlex.split(command)
        words[:1] = [sys.executable, *(["-m", "django"] if "admin" in words[0] else [])]
        done = subprocess.run(
            [*words, *more],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def write(self, caption, text):
        name, _, how = caption.partition(" (")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if how else ""
        path.write_text(before + text)
        self.files.append(name)


def test_the_quickstart_works_from_an_empty_folder(tmp_path):
    project = Project(tmp_path)
    commands = []
    for block in BLOCK.finditer(PAGE.read_text()):
        text = textwrap.dedent(block["text"])
        if block["file"]:
            project.write(block["file"], text)
            continue
        for command in text.strip().splitlines():
            commands.append(command)
            if command.startswith(OWN_PYTHON) or command.endswith(" runserver"):
                continue
            # It asks for the address and the password.
            asks = "createsuperuser" in command
            project.run(command, *(["--noinput", "--email", ""] if asks else []))
    assert commands[-1] == "python manage.py runserver"
    assert len(commands) == 11
    assert len(set(project.files)) == 7
    project.run("python manage.py check --fail-level WARNING")
    project.run("python manage.py shell -c", "from articles.models import *" + TRY_IT)
