"""What a project's own tests use: pages that are opened before they are sent."""

import pytest
from django.http import HttpResponse, HttpResponseRedirect
from django.test import Client

from lock_tokens.decorators import edits_object
from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.models import LockToken
from lock_tokens.testing import expire_lock, lock_as, post_form, take_over_as
from tests.models import Article, Comment, Keyword, Story
from tests.support.admin_site import person, url_of
from tests.support.helpers import urls_of

pytestmark = pytest.mark.django_db

PAGE = """
<form method="post" action="/logout/"><input type="hidden" name="other" value="1"></form>
<form method="post"><input type="hidden" name="action" value="delete"></form>
<form action="/{key}/"><input type="hidden" name="search" value="1"></form>
<form METHOD="POST" action="?from=form">
    <input type="hidden" name="lock_token" value="{token}">
    <input type="hidden" name="part" value="1"><input type="hidden" name="part" value="2">
    <input type="HIDDEN" name="version" value="old"><input type="hidden">
    <input name="title" value="First"><input type="checkbox" name="box" checked>
</form>
<input type="hidden" name="outside" value="1">
"""


@pytest.fixture
def alice(settings):
    settings.ROOT_URLCONF = "tests.support.admin_site"
    return person("alice")


@pytest.fixture
def bob(django_user_model):
    return django_user_model.objects.create(username="bob")


@pytest.fixture
def sent(settings):
    """Serve a page with several forms. Return what its view was sent."""
    sent = {}

    @edits_object(Article, "key")
    def view(request, key):
        if request.method == "POST":
            sent.update(request.POST.lists(), agent=request.headers.get("User-Agent"))
            return HttpResponseRedirect("/done/")
        return HttpResponse(PAGE.format(key=key, token=request.lock_token["token"]))

    settings.ROOT_URLCONF = urls_of(view)
    return sent


def test_a_test_of_the_admin_that_posts_all_fields(alice):
    story = Story.objects.create(headline="First")
    comment = Comment.objects.create(story=story, text="one")
    data = {
        "headline": "Second",
        "body": "Text",
        "keywords": [Keyword.objects.create(name="news").pk],
        "comment_set-0-text": "two",
    }
    assert post_form(alice, url_of(story), data).status_code == 302
    story.refresh_from_db()
    comment.refresh_from_db()
    assert (story.headline, story.body, comment.text) == ("Second", "Text", "two")
    assert LockToken.objects.info(story) is None
    assert post_form(alice, url_of(story, "delete")).status_code == 302
    assert not Story.objects.exists()


def test_it_sends_the_hidden_fields_of_the_page_s_own_form(sent, article, client):
    headers = {"User-Agent": "test"}
    data = {"title": "Second", "version": "mine"}
    answer = post_form(client, f"/{article.pk}/?tab=2", data, headers=headers)
    assert answer.status_code == 302
    assert len(sent.pop("lock_token")[0]) == 32
    assert sent == {
        "title": ["Second"],
        "part": ["1", "2"],
        "version": ["mine"],
        "": [""],
        "agent": "test",
    }


def test_it_works_without_data_and_follows(sent, article, client):
    answer = post_form(client, f"/{article.pk}/", follow=True)
    assert answer.redirect_chain == [("/done/", 302)]
    assert sent["version"] == ["old"]


@pytest.mark.usefixtures("sent")
def test_a_page_that_cannot_be_opened_has_no_form(article, bob):
    lock_as(bob, article)
    with pytest.raises(AssertionError, match=r"GET /\d+/ answered with status 403"):
        post_form(Client(), f"/{article.pk}/", {"title": "Second"})


def test_a_page_to_read_has_no_form_to_send(alice, bob):
    story = Story.objects.create(headline="First")
    lock_as(bob, story)
    with pytest.raises(AssertionError, match="somebody else has the lock"):
        post_form(alice, url_of(story), {"headline": "Second"})


def test_a_page_without_a_form_of_its_own_has_none_to_send(alice):
    with pytest.raises(AssertionError, match="No form on the page /admin/ is sent"):
        post_form(alice, "/admin/")


def test_a_page_that_was_opened_before_is_sent_with_its_own_token(
    sent, article, client, bob
):
    url = f"/{article.pk}/"
    page = client.get(url)
    take_over_as(bob, article)
    answer = post_form(client, url, {"title": "Second"}, page=page)
    assert answer.status_code == 403
    assert "Second" in answer.content.decode()
    assert not sent


def test_locking_as_somebody_and_taking_over(article, alice, bob):
    lock = lock_as(bob, article)
    assert LockToken.objects.info(article).locked_by == bob
    with pytest.raises(AlreadyLockedError):
        lock_as(alice.user, article)
    assert take_over_as(alice.user, article).token_str != lock.token_str
    assert LockToken.objects.info(article).locked_by == alice.user


def test_an_expired_lock_can_be_had_by_others(article, alice, bob):
    lock_as(bob, article)
    expire_lock(article)
    assert not article.is_locked()
    lock_as(alice.user, article)
    LockToken.objects.remove(article)
    with pytest.raises(AssertionError, match="There is no lock on"):
        expire_lock(article)
