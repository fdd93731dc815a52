"""Our templates ask for no variable that is not there. Django logs those on DEBUG."""

import copy
import logging
import re
from pathlib import Path

import pytest

import lock_tokens
from tests.support.admin_site import LIST

WORDS = {
    word
    for path in (Path(lock_tokens.__file__).parent / "templates").rglob("*.html")
    for word in re.findall(r"\w+", path.read_text())
}


def held(alice, bob, story):
    return alice.open(story)


def locked(alice, bob, story):
    bob.open(story)
    return alice.open(story)


def elsewhere(alice, bob, story):
    alice.elsewhere().open(story)
    return alice.open(story)


def refused(alice, bob, story):
    return alice.send_late(alice.open(story), headline="Mine")


def again(alice, bob, story):
    return alice.send(alice.open(story), "_lock_again", headline="Mine")


def deleting(alice, bob, story):
    return alice.open(story, "delete")


def signed_out(alice, bob, story):
    page = alice.open(story)
    alice.logout()
    return alice.send(page, headline="Mine")


def listed(alice, bob, story):
    bob.open(story)
    return alice.get(LIST)


@pytest.mark.parametrize(
    "visit", [held, locked, elsewhere, refused, again, deleting, signed_out, listed]
)
def test_our_templates_know_all_their_variables(alice, bob, story, visit, caplog):
    caplog.set_level(logging.DEBUG, "django.template")
    visit(alice, bob, story)
    unknown = {
        record.args[0] for record in caplog.records if record.name == "django.template"
    }
    assert not unknown & WORDS  # the others are those of Django's own templates


@pytest.mark.parametrize("visit", [held, locked, refused, deleting])
def test_string_if_invalid_is_nowhere_on_our_pages(alice, bob, story, visit, settings):
    settings.TEMPLATES = copy.deepcopy(settings.TEMPLATES)
    settings.TEMPLATES[0]["OPTIONS"]["string_if_invalid"] = "INVALID"
    for line in visit(alice, bob, story).text.splitlines():
        assert "lock" not in line or "INVALID" not in line
