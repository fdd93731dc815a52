"""Keys of every kind in addresses, there and back."""

import uuid
from urllib.parse import unquote, urlsplit

import pytest
from django.urls import resolve, reverse

from lock_tokens.api.converters import ObjectKeyConverter
from tests.models import Article, Label, Page
from tests.support.api import address, send, states_of

pytestmark = pytest.mark.urls("tests.support.api")

NASTY = [
    *("/", "a/b", "//", "/a/", "\\", "a\\b", "../../etc/passwd", "..\\..", "/../"),
    *(".", "..", "...", ".a", "a.", "a..b", "a.b", "./", "..;", "~.", "%2E%2E"),
    *("~", "~~", "~2F", "~7E", "~2f", "~GG", "~2", "a~", "~/", "~7E2F", "~FF"),
    *("%", "%%", "%2F", "%252F", "%00", "%7E2F", "100%", "%E4", "%c3%a9"),
    *("\n", "a\nb", "\na", "a\n", "\r\n", "\t", "\x01", "\x1f", "\x7f", "\x85"),
    *("é", "e\u0301", "日本", "😀", "\u200b", "ﬁ", "ß", "\uffff", "\ufeff", "\u2028"),
    *('"', "'", "`", "<script>", "&amp;", "a&b", "a=b", "a;b", "a,b", "a+b", "a b"),
    *(" ", " a", "a ", "?", "a?b", "#", "a#b", "@", "a:b", "http://a/", "//a", "[a]"),
    *("{a}", "$1", "\\1", "^", "|", "*", "!", "(a)", "-", "--", "None", "0"),
    *("x" * 255, "é" * 255),
]


@pytest.mark.matrix
@pytest.mark.parametrize("key", NASTY)
def test_an_address_is_one_plain_segment_that_resolves_to_the_key(key):
    converter = ObjectKeyConverter()
    assert converter.to_python(converter.to_url(key)) == key
    url = reverse("lock_tokens:list-view", args=["tests", "label", key])
    assert url.isascii()
    assert url.isprintable()
    assert urlsplit(url).path == url
    decoded = unquote(url)  # as a server does, before it splits
    assert decoded.count("/") == 5
    assert not {".", ".."} & set(decoded.split("/"))
    assert not {chr(number) for number in (*range(32), 127)} & set(decoded)
    assert "%25" not in url
    assert resolve(decoded).kwargs["object_id"] == key
    of_token = reverse("lock_tokens:detail-view", args=["tests", "label", key, "t"])
    assert of_token == f"{url}t/"
    assert resolve(unquote(of_token)).kwargs["object_id"] == key


def test_keys_that_differ_have_addresses_that_differ():
    assert len({ObjectKeyConverter().to_url(key) for key in NASTY}) == len(set(NASTY))


@pytest.mark.parametrize("key", [0, 7, -1, uuid.UUID(int=7), "plain-key_1", "a.b@c~"])
def test_plain_keys_stay_readable(key):
    url = reverse("lock_tokens:list-view", args=["tests", "label", key])
    assert url == f"/locks/tests/label/{key}/".replace("~", "~7E")


def test_a_key_that_was_only_percent_encoded_arrives_too():
    assert resolve("/locks/tests/label/a b%/").kwargs["object_id"] == "a b%"
    assert resolve("/locks/tests/label/é/").kwargs["object_id"] == "é"


def test_an_empty_key_is_a_lone_tilde():
    url = reverse("lock_tokens:list-view", args=["tests", "label", ""])
    assert url == "/locks/tests/label/~/"
    assert resolve(url).kwargs["object_id"] == ""


@pytest.mark.matrix
@pytest.mark.django_db
@pytest.mark.parametrize("key", NASTY)
def test_an_object_with_such_a_key_lives_through_a_lock(client, key):
    label = Label.objects.create(name=key)
    neighbour = Label.objects.create(name="neighbour")
    answer = client.post(address(label))
    assert answer.status_code == 201
    assert label.is_locked()
    assert not neighbour.is_locked()
    assert client.get(address(label)).json()["locked"] is True
    states = client.get(states_of(Label, key)).json()["states"]
    assert states == {key: client.get(address(label)).json()}
    url = address(label, answer.json()["token"])
    assert send(client, "PATCH", url, {"timeout": 5}).status_code == 200
    assert client.delete(url).status_code == 204
    assert not label.is_locked()


@pytest.mark.django_db
def test_numbers_and_uuids_live_through_a_lock_in_any_spelling(client):
    article = Article.objects.create()
    page = Page.objects.create()
    for obj, key in (
        (article, str(article.pk)),
        (page, page.pk),
        (page, page.pk.hex),
        (page, str(page.pk).upper()),
        (page, f"{{{page.pk}}}"),
    ):
        model = obj._meta.model_name
        url = reverse("lock_tokens:list-view", args=["tests", model, key])
        token = client.post(url).json()["token"]
        assert obj.check_lock(token)
        url = reverse("lock_tokens:detail-view", args=["tests", model, key, token])
        assert client.delete(url).status_code == 204
