"""A decorated view, and a user who has the object's lock in another session."""

import re

import pytest
from django.test import Client

from lock_tokens.decorators import (
    holds_lock_on_object,
    requires_lock_on_object,
)
from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.models import LockToken
from lock_tokens.refusals import refuse
from tests.models import Article
from tests.support.helpers import expire, of_url
from tests.support.views import browser_of, edit, here, token_in_session, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def first(serve, article, bob):
    """A browser of Bob's that has the lock."""
    serve(edit)
    client = browser_of(bob)
    client.get(url_of(article))
    return client


@pytest.fixture
def second(first, bob):
    return browser_of(bob)


def here_url(answer):
    (url,) = re.findall(
        r'href="([^"]+)"[^>]*>Edit here instead', answer.content.decode()
    )
    return url.replace("&amp;", "&")


def test_it_is_not_said_to_be_somebody_else(second, article):
    answer = second.get(url_of(article))
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "You are already editing this" in text
    assert "Somebody else" not in text
    assert answer.context["is_own"] is True
    assert answer.context["is_locked"] is True


def test_edit_here_instead_takes_the_lock_over(first, second, article):
    answer = second.get(url_of(article) + "?a=b")
    url = here_url(answer)
    assert url.startswith(f"{url_of(article)}?a=b&lock_here=")
    assert second.get(url).status_code == 200
    assert LockToken.objects.get().token_str == token_in_session(second, article)
    # The reload of that address keeps the lock, and the other browser can come back.
    assert second.get(url).status_code == 200
    answer = first.get(url_of(article))
    assert answer.status_code == 403
    assert here_url(answer) != url
    assert first.get(here_url(answer)).status_code == 200


def test_a_view_that_keeps_what_it_held_keeps_nothing_that_it_took_over(
    serve, first, second, article
):
    url = here_url(second.get(url_of(article)))
    serve(holds_lock_on_object(Article, of_url, keep_held=True)(here))
    assert second.get(url).status_code == 200
    assert not LockToken.objects.exists()


def test_the_link_is_good_for_the_lock_that_it_was_about(first, second, article):
    old = here_url(second.get(url_of(article)))
    lock = LockToken.objects.take_over(article, user=LockToken.objects.get().locked_by)
    answer = second.get(old)
    assert answer.status_code == 403
    assert here_url(answer) != old
    assert LockToken.objects.get().token_str == lock.token_str


def test_the_link_does_nothing_for_others(first, second, article, alice):
    url = here_url(second.get(url_of(article)))
    for client in (Client(), browser_of(alice)):
        assert client.get(url).status_code == 403
    assert LockToken.objects.get().token_str == token_in_session(first, article)


@pytest.mark.parametrize("value", ["", "x", "é", "0" * 32])
def test_a_made_up_link_does_nothing(first, second, article, value):
    assert second.get(url_of(article), {"lock_here": value}).status_code == 403
    assert LockToken.objects.get().token_str == token_in_session(first, article)


def test_a_form_links_to_its_page_and_keeps_its_text(serve, first, second, article):
    serve(requires_lock_on_object(Article, of_url)(here))
    referer = f"http://testserver{url_of(article)}"
    headers = {"Referer": referer}
    answer = second.post(url_of(article), {"title": "Mine"}, headers=headers)
    assert answer.status_code == 403
    assert "Mine</textarea>" in answer.content.decode()
    url = here_url(answer)
    assert url.startswith(f"{referer}?lock_here=")
    serve(edit)
    assert second.post(url).status_code == 403
    assert second.get(url).status_code == 200


def test_the_context_of_somebody_else_s_lock(first, article, alice):
    context = browser_of(alice).get(url_of(article)).context
    assert context["is_own"] is False
    assert context["here_url"] == ""


# A script of the page asks for the same lock


API = "/locks/tests/article/{}/"


@pytest.mark.parametrize("is_expired", [False, True])
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k" * 20}])
def test_a_script_gets_the_lock_of_its_session_s_view(
    first, article, settings, is_expired, headers
):
    token = token_in_session(first, article)
    if is_expired:
        expire(article)
    settings.ROOT_URLCONF = "tests.support.api"
    answer = first.post(API.format(article.pk), headers=headers)
    assert answer.status_code == 201
    assert answer.json()["token"] == token


def test_a_script_of_another_session_or_user_does_not(
    first, second, article, settings, alice
):
    settings.ROOT_URLCONF = "tests.support.api"
    for client in (second, Client(), browser_of(alice)):
        assert client.post(API.format(article.pk)).status_code == 403
    session = second.session
    session["lock_tokens_owner"] = 5
    session.save()
    assert second.post(API.format(article.pk)).status_code == 403


@pytest.mark.parametrize("logs_in", [False, True])
def test_a_visitor_s_script_gets_the_lock_of_the_view(
    serve, client, article, settings, bob, alice, logs_in
):
    serve(edit)
    client.get(url_of(article))
    token = token_in_session(client, article)
    if logs_in:  # in another tab
        client.force_login(bob)
    settings.ROOT_URLCONF = "tests.support.api"
    for _ in range(2):
        answer = client.post(API.format(article.pk))
        assert answer.status_code == 201
        assert answer.json()["token"] == token
    LockToken.objects.take_over(article, user=alice)
    assert client.post(API.format(article.pk)).status_code == 403


def test_a_refusal_of_the_project_s_own_may_not_know_since_when(rf, article, bob):
    request = rf.get("/")
    request.user = bob
    answer = refuse(request, AlreadyLockedError("Locked.", article, bob))
    assert "Edit here instead" not in answer.content.decode()
