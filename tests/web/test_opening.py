"""Who does not edit takes no lock: requests by which nobody opens a page."""

import pytest
from django.http import HttpResponse
from django.test import Client

from lock_tokens.decorators import holds_lock_on_object, locks_object
from lock_tokens.models import LockToken
from tests.support.views import (
    LOCKING,
    edit,
    editing,
    here,
    not_reached,
    save,
    take_and_leave,
    token_in_session,
    token_of_row,
    url_of,
)

pytestmark = pytest.mark.django_db

# Ahead of time: as browsers, their older versions, and scripts that prefetch say it.
AHEAD = {
    "a prefetch": {"Sec-Purpose": "prefetch"},
    "a prerender": {"Sec-Purpose": "prefetch;prerender"},
    "a prefetch through a proxy": {"Sec-Purpose": "prefetch;anonymous-client-ip"},
    "a prefetch of Turbo": {"X-Sec-Purpose": "prefetch", "Sec-Fetch-Dest": "empty"},
    "a prefetch of an older browser": {"Purpose": "prefetch"},
    "a prefetch of an older Firefox": {"X-Moz": "prefetch"},
    "a preview": {"X-Purpose": "preview"},
}


def fetched(dest, site):
    """Return what a browser says of how a page is asked for."""
    return {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": site}


# A page that is loaded by another page, and not for a person to edit.
EMBEDDED = {
    "an image": fetched("image", "same-origin"),
    "an image of another site": fetched("image", "cross-site"),
    "a script": fetched("script", "same-site"),
    "a style of another site": fetched("style", "cross-site"),
    "a frame of another site": fetched("iframe", "cross-site"),
    "a fetch of another site": fetched("empty", "cross-site"),
}
OPENED = {
    "an older browser": {},
    "an address that was typed": fetched("document", "none"),
    "a link in a mail": fetched("document", "cross-site"),
    "a link in the site": fetched("document", "same-origin"),
    "a frame of the site": fetched("iframe", "same-site"),
    "a script of the site": fetched("empty", "same-origin"),
    "another purpose": {"Sec-Purpose": "none"},
}


def each(requests):
    return pytest.mark.parametrize("headers", requests.values(), ids=requests.keys())


@pytest.mark.parametrize("decorator", LOCKING)
@each(AHEAD)
def test_a_page_that_is_loaded_ahead_of_time_locks_nothing(
    caplog, decorate, article, decorator, new_client, headers
):
    decorate(decorator, not_reached, new_client)
    answer = new_client().get(url_of(article), headers=headers)
    # The browser drops an error and asks again. Turbo does so only if it is no HTML.
    assert answer.status_code == 503
    assert answer["Content-Type"] == "text/plain"
    assert answer["Cache-Control"] == "no-store"
    # A page that was not loaded is no error.
    assert "django.request" not in {record.name for record in caplog.records}
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("decorator", LOCKING)
@each(EMBEDDED)
def test_a_page_that_another_page_loads_locks_nothing(
    decorate, article, decorator, new_client, headers
):
    decorate(decorator, not_reached, new_client)
    answer = new_client().get(f"{url_of(article)}?a=<b>&c=d", headers=headers)
    assert answer.status_code == 403
    assert answer["Cache-Control"] == "no-store"
    assert not LockToken.objects.exists()
    # In a frame it shows a link to itself, which the frame's own site then asks for.
    assert f'href="{url_of(article)}?a=%3Cb%3E&amp;c=d"' in answer.content.decode()


@each(OPENED)
def test_a_page_that_somebody_opens_locks(decorate, article, new_client, headers):
    decorate(locks_object, here, new_client)
    assert new_client().get(url_of(article), headers=headers).status_code == 200
    assert article.is_locked()


@each({**AHEAD, **EMBEDDED})
def test_what_is_sent_is_not_turned_away(serve, article, headers):
    """A form that is sent is no page that is opened, and its text must not be lost."""
    client, token = editing(article)
    for view in (edit, save):
        serve(view)
        form = {"lock_token": token, "title": "Second"}
        assert client.post(url_of(article), form, headers=headers).status_code == 200


def test_a_head_request_answers_as_get_does_and_locks_nothing(
    decorate, article, new_client
):
    def page(request, key):
        return HttpResponse(headers={"Token": request.lock_token["token"] or "none"})

    decorate(locks_object, page, new_client)
    client = new_client()
    answer = client.head(url_of(article))
    assert (answer.status_code, answer["Token"]) == (200, "none")
    assert not LockToken.objects.exists()
    assert client.head("/five/").status_code == 404
    article.lock()
    assert client.head(url_of(article)).status_code == 403


def test_the_token_dict_of_a_head_request_has_all_its_keys(decorate, client, article):
    given = {}

    def page(request, key):
        given.update(request.lock_token)
        return HttpResponse()

    decorate(locks_object, page)
    client.head(url_of(article))
    client.get(url_of(article))
    client.head(url_of(article))
    assert given.keys() == article.lock(token_in_session(client, article)).keys()
    assert given["token"] == ""
    assert not article.check_lock(given["token"])


def test_a_head_request_leaves_the_session_s_token_alone(serve, article):
    client, void = editing(article)
    serve(edit)
    assert client.head(url_of(article)).status_code == 200
    take_and_leave(article)
    assert client.head(url_of(article)).status_code == 200
    assert token_in_session(client, article) == void
    assert not LockToken.objects.exists()


def test_a_head_request_with_the_page_s_own_token_is_its_holder_s(serve, article):
    token = article.lock()["token"]
    serve(edit)
    for sent, status in ((token, 200), ("0" * 32, 403)):
        answer = Client().head(url_of(article), headers={"Lock-Token": sent})
        assert answer.status_code == status


@pytest.mark.parametrize("decorator", LOCKING)
def test_to_ask_what_a_view_can_do_locks_nothing_and_ends_no_lock(
    decorate, article, decorator
):
    def view(request, key):
        return HttpResponse(headers={"Allow": "GET"})

    decorate(decorator, view)
    assert Client().options(url_of(article)).status_code == 200
    assert not article.is_locked()
    client, token = editing(article)
    for somebody in (client, Client()):
        assert somebody.options(url_of(article)).status_code == 200
    assert token_of_row(article) == token


def test_a_head_request_ends_no_lock_that_the_session_had(decorate, article):
    client, token = editing(article)

    def view(request, key):
        assert article.is_locked()
        return HttpResponse()

    decorate(holds_lock_on_object, view)
    assert client.head(url_of(article)).status_code == 200
    assert token_of_row(article) == token == token_in_session(client, article)
    assert client.get(url_of(article)).status_code == 200
    assert token_of_row(article) is None
    assert client.head(url_of(article)).status_code == 200
    assert token_of_row(article) is None
