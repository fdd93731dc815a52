"""Every string that a person sees is translated, and the admin's pages are."""

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string
from django.utils import timezone, translation

import lock_tokens
from lock_tokens.admin import LockTokenAdmin
from lock_tokens.models import LockToken
from tests.models import Story
from tests.support.admin_site import (
    form_of,
    list_of,
    new_site,
    person,
    take_and_leave,
    url_of,
    urls_of_site,
)

pytestmark = pytest.mark.any_database

PACKAGE = Path(lock_tokens.__file__).parent
LANGUAGES = ["de", "es", "fr"]
TOOLS = ["xgettext", "msguniq", "msgmerge", "msgattrib"]

KEYWORD = re.compile(r'(msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?) "')
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
TAG = re.compile(r"<[^>]+>")


# The catalogues


def read(path):
    """Return the messages of a .po or .pot file, its header first."""
    found = []
    for block in path.read_text("utf-8").strip().split("\n\n"):
        parts, flags = {}, []
        for line in block.splitlines():
            if line.startswith("#"):
                flags += line[2:].split(", ") if line.startswith("#,") else []
                # Of "#~", what is not used any more, nothing would be left here.
                assert not line.startswith("#~"), f"obsolete: {line}"
                continue
            start = KEYWORD.match(line)
            if start:
                keyword = start[1]
                parts[keyword] = ""
            parts[keyword] += ast.literal_eval(line[line.index('"') :])
        found.append(
            SimpleNamespace(
                context=parts.get("msgctxt"),
                id=parts["msgid"],
                plural=parts.get("msgid_plural"),
                forms=[parts[key] for key in sorted(parts) if "msgstr" in key],
                flags=flags,
            )
        )
    return found


def catalogue(language, suffix):
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"django.{suffix}"


def messages(language):
    header, *found = read(catalogue(language, "po"))
    assert header.id == ""
    return found


def key_of(message):
    return (message.context, message.id, message.plural)


def compiled(message):
    """Return the entries of a .mo file that come of a message."""
    text = f"{message.context}\x04{message.id}" if message.context else message.id
    if message.plural is None:
        return {text: message.forms[0]}
    return {(text, number): form for number, form in enumerate(message.forms)}


@pytest.fixture(autouse=True)
def own_language():
    """A request's language stays in its thread, and this is the other tests' too."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def marked(tmp_path_factory):
    """The messages that are marked in the sources, as ``makemessages`` finds them."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        pytest.skip(f"GNU gettext is not installed: no {', '.join(absent)}")
    copy = tmp_path_factory.mktemp("sources") / "lock_tokens"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.po", "*.mo"))
    command = [sys.executable, "-m", "django", "makemessages", "-l", "de", "--keep-pot"]
    # Of these settings nothing is known in the copy, and nothing is asked.
    env = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    made = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    _header, *found = read(copy / "locale" / "django.pot")
    assert len(found) > 100
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_all_that_is_marked_in_the_sources(language, marked):
    there = {key_of(message) for message in messages(language)}
    wanted = {key_of(message) for message in marked}
    assert wanted - there == set(), "run makemessages, and translate these"
    assert there - wanted == set(), "run makemessages --no-obsolete"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_is_complete(language):
    header, *_messages = read(catalogue(language, "po"))
    count = int(re.search(r"nplurals=(\d)", header.forms[0])[1])
    found = messages(language)
    assert len({key_of(message) for message in found}) == len(found)
    for message in found:
        assert "fuzzy" not in message.flags, message.id
        assert len(message.forms) == (count if message.plural else 1), message.id
        assert all(form.strip() for form in message.forms), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_source(language):
    with catalogue(language, "mo").open("rb") as file:
        loaded = dict(gettext.GNUTranslations(file)._catalog)
    loaded.pop("")
    wanted = {}
    for message in messages(language):
        wanted |= compiled(message)
    assert loaded == wanted, "run compilemessages"


def essence(text):
    """Return what a translation has to keep: placeholders, markup, blanks at the ends."""
    parts = PLACEHOLDER.findall(TAG.sub("", text)) + TAG.findall(text)
    blanks = re.fullmatch(r"(\s*).*?(\s*)", text, re.DOTALL).groups()
    return sorted(parts), blanks


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_placeholders_and_markup(language):
    for message in messages(language):
        originals = [message.id, message.plural or message.id]
        for number, form in enumerate(message.forms):
            assert essence(form) == essence(originals[min(number, 1)]), message.id
            # A percent sign of no placeholder would break the ones there are.
            assert "%" not in PLACEHOLDER.sub("", form), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_but_a_name_or_a_term_is_left_in_english(language):
    for message in messages(language):
        if is_sentence(message):
            assert message.id not in message.forms


# The pages


def is_sentence(message):
    """Say whether a message can be told from names of classes and fields in a page."""
    words = PLACEHOLDER.sub("", message.id)
    return " " in words.strip() and any(map(str.isalpha, words))


def pattern(text):
    """Return a pattern that finds a message in a page, whatever is filled in.

    Names of fields and models begin with a capital letter in some places.
    """
    first, rest = re.fullmatch(r"(\w?)(.*)", text, re.DOTALL).groups()
    parts = [re.escape(part) for part in PLACEHOLDER.split(rest)]
    return re.compile(f"(?i:{first})" + "[^<>]*?".join(parts))


def said(response):
    return response.content.decode()


class OurTexts(HTMLParser):
    """The sentences that stand in elements of ours in a page, and in attributes."""

    ATTRIBUTES = ("aria-label", "title", "data-somebody", "data-free-title")
    VOID = ("input", "br", "link", "meta", "img", "hr")

    def __init__(self, text):
        super().__init__()
        self.texts = set()
        self.inside = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        is_ours = "lock-" in (given.get("class") or "")
        if tag not in self.VOID:
            self.inside.append(is_ours or (bool(self.inside) and self.inside[-1]))
        if is_ours or (self.inside and self.inside[-1]):
            self.texts |= {given.get(name) or "" for name in self.ATTRIBUTES}

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            self.inside.pop()

    def handle_data(self, data):
        if self.inside and self.inside[-1]:
            self.texts |= set(re.split(r"(?<=[.:?!]) ", " ".join(data.split())))


@pytest.fixture
def by_browser(settings):
    """Have each page in the language that the browser asks for."""
    locale = "django.middleware.locale.LocaleMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, locale]


@pytest.fixture
def story():
    return Story.objects.create(headline="As it was", body="Once")


@pytest.fixture
def alice():
    return person("alice")


@pytest.fixture
def bob():
    return person("bob")


def held(alice, bob, story, **language):
    return alice.get(url_of(story), **language)


def locked(alice, bob, story, **language):
    bob.get(url_of(story))
    return alice.get(url_of(story), **language)


def elsewhere(alice, bob, story, **language):
    alice.elsewhere().get(url_of(story))
    return alice.get(url_of(story), **language)


def refused(alice, bob, story, **language):
    form = form_of(alice.get(url_of(story)), headline="What Alice typed")
    take_and_leave(story)
    bob.get(url_of(story))
    return alice.post(url_of(story), form, **language)


def free_again(alice, bob, story, **language):
    form = form_of(alice.get(url_of(story)), headline="What Alice typed")
    take_and_leave(story)
    return alice.post(url_of(story), form, **language)


def again(alice, bob, story, **language):
    page = alice.get(url_of(story))
    form = form_of(page, "_lock_again", headline="What Alice typed")
    take_and_leave(story)
    return alice.post(url_of(story), form, **language)


def deleting(alice, bob, story, **language):
    return alice.get(url_of(story, "delete"), **language)


def signed_out(alice, bob, story, **language):
    form = form_of(alice.get(url_of(story)), headline="What Alice typed")
    alice.logout()
    return alice.post(url_of(story), form, **language)


def listed(alice, bob, story, **language):
    bob.get(url_of(story))
    return alice.get(list_of(Story), **language)


def skipped(alice, bob, story, **language):
    bob.get(url_of(story))
    chosen = {"action": "shout", "_selected_action": [story.pk]}
    return alice.post(list_of(Story), chosen, follow=True, **language)


#: What is in the pages and of no language.
DATA = {"Bob Writer", "Alice Writer", "As it was", "What Alice typed"}

PAGES = {
    held: (200, ["until you save or leave", "The note at the bottom of the window"]),
    locked: (
        200,
        ["is editing this.", "They have been editing it since", "Take over from"],
    ),
    elsewhere: (200, ["in another browser", "Edit here instead"]),
    refused: (
        403,
        ["Your changes were not saved. What you typed is below.", "is editing this."],
    ),
    free_again: (403, ["so you can continue", "Go on with my text"]),
    again: (200, ["You can save again", "These fields differ"]),
    deleting: (200, ["while you decide", "You cannot delete this now"]),
    signed_out: (403, ["Everything you typed is below", "You were signed out"]),
    listed: (200, [", since ", "Being edited by me"]),
    skipped: (200, ["This was skipped because somebody else is editing it"]),
}


def assert_in(language, translated, english):
    """Fail unless all that we say in English is in the other page, translated.

    Returns what we say.
    """
    known = []
    # The longest first: one may be the beginning of another.
    pairs = [
        pair
        for message in messages(language)
        if is_sentence(message)
        for pair in {
            (message.id, message.forms[0]),
            (message.plural, message.forms[-1]),
        }
        if pair[0]
    ]
    for original, form in sorted(pairs, reverse=True, key=lambda pair: len(pair[0])):
        english, count = pattern(original).subn("", english)
        if count:
            known.append(original)
            assert pattern(form).search(translated), f"no translation of: {original}"
            assert not pattern(original).search(translated), f"in English: {original}"
    return known


@pytest.mark.matrix
@pytest.mark.django_db
@pytest.mark.urls("tests.support.admin_site")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_a_page_of_the_admin_is_in_the_language(
    page, language, alice, bob, story, by_browser
):
    status, samples = PAGES[page]
    english = page(alice, bob, story, headers={"Accept-Language": "en"})
    assert english.status_code == status
    # The same again, from the start.
    take_and_leave(story)
    alice, bob = alice.elsewhere(), bob.elsewhere()
    translated = page(alice, bob, story, headers={"Accept-Language": language})
    assert translated.status_code == status
    assert translated.headers["Content-Language"] == language
    known = assert_in(language, said(translated), said(english))
    # What nobody has marked for translation is the same in both.
    same = OurTexts(said(english)).texts & OurTexts(said(translated)).texts
    assert {text for text in same if " " in text} <= DATA
    for sample in samples:
        assert any(sample in original for original in known), sample


@pytest.mark.django_db
@pytest.mark.urls("tests.support.admin_site")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_admin_of_the_locks_is_in_the_language(
    language, alice, story, by_browser, settings
):
    alice.get(url_of(story))
    site = new_site()
    site.register(LockToken, LockTokenAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)
    lock = LockToken.objects.get()
    known = []
    for url in [list_of(LockToken), url_of(lock), url_of(lock, "delete")]:
        english, translated = (
            alice.get(url, headers={"Accept-Language": accepted})
            for accepted in ["en", language]
        )
        assert english.status_code == translated.status_code == 200
        known += assert_in(language, said(translated), said(english))
    assert {
        "Search by the key of the object, or by the name or email address of the"
        " holder.",
        "Release the lock?",
        "key of the object",
    } <= set(known)


REFUSALS = [
    {"is_locked": True, "locked_by": "Bob", "locked_at": timezone.now()},
    {"is_locked": True},
    {"is_gone": True},
    {"locked_by": "Bob", "submitted": [("headline", "What Alice typed")]},
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("context", REFUSALS)
def test_the_page_of_the_decorators_is_in_the_language(language, context):
    pages = []
    for active in ["en", language]:
        with translation.override(active):
            pages.append(render_to_string("lock_tokens/locked.html", context))
    english, translated = pages
    assert f'lang="{language}"' in translated
    assert len(assert_in(language, translated, english)) >= 2
