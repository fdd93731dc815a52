"""Every string that a person sees has a translation in each catalogue."""

import re
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation import gettext

import lock_tokens

LOCALE = Path(lock_tokens.__file__).parent / "locale"
LANGUAGES = ["de", "es", "fr"]


def messages(language):
    """Return the pairs of a catalogue, its header left out."""
    text = (LOCALE / language / "LC_MESSAGES" / "django.po").read_text("utf-8")
    text = re.sub(r'"\n"', "", text)
    pairs = re.findall(r'^msgid "(.*)"\nmsgstr "(.*)"$', text, re.MULTILINE)
    return {
        key.replace('\\"', '"'): value.replace('\\"', '"')
        for key, value in pairs
        if key
    }


def strings_of_the_template():
    template = LOCALE.parent / "templates" / "lock_tokens" / "locked.html"
    text = template.read_text("utf-8")
    yield from re.findall(r'{% translate "(.*?)" %}', text)
    for block in re.findall(
        r"{% blocktranslate.*?%}(.*?){% endblocktranslate %}", text
    ):
        yield re.sub(r"{{ (\w+) }}", r"%(\1)s", block)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_refusal_page_is_translated(language):
    catalogue = messages(language)
    wanted = set(strings_of_the_template())
    assert len(wanted) >= 10
    assert wanted <= set(catalogue)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_source(language):
    with translation.override(language):
        for key, value in messages(language).items():
            assert value
            assert gettext(key) == value


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_their_placeholders(language):
    for key, value in messages(language).items():
        assert sorted(re.findall(r"%\(\w+\)s", key)) == sorted(
            re.findall(r"%\(\w+\)s", value)
        )
