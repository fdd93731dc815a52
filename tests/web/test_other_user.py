"""A decorated view's page that one user has opened and another one sends."""

import pytest
from asgiref.sync import async_to_sync

from lock_tokens.decorators import holds_lock_on_object, requires_lock_on_object
from lock_tokens.exceptions import AlreadyLockedError, WrongUserError
from lock_tokens.holding import afence, fence
from lock_tokens.models import LockToken
from lock_tokens.sessions import lock_for_session
from tests.models import Article
from tests.support.helpers import expire, of_url
from tests.support.views import edit, here, not_reached, url_of, use_template

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(serve, client, article, alice, bob):
    """The token of the page that Alice has opened before Bob signed in."""
    serve(edit)
    client.force_login(alice)
    token = client.get(url_of(article)).json()["token"]
    client.force_login(bob)
    return token


@pytest.mark.parametrize("decorator", [requires_lock_on_object, holds_lock_on_object])
@pytest.mark.parametrize("is_expired", [False, True])
def test_it_is_refused_with_the_text_kept(
    serve, client, article, alice, token, decorator, is_expired
):
    serve(decorator(Article, of_url)(not_reached))
    if is_expired:
        expire(article)
    sent = {"lock_token": token, "title": "Mine"}
    answer = client.post(url_of(article), sent)
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "as <strong>alice</strong>. To save it, sign in as alice again." in text
    assert "Mine</textarea>" in text
    assert answer.context["opened_by"] == alice
    assert LockToken.objects.get().token_str == token


@pytest.mark.parametrize("signs_in_again", [True, False])
def test_it_is_saved_when_alice_signs_in_again_or_nobody_does(
    serve, client, article, alice, token, signs_in_again
):
    serve(requires_lock_on_object(Article, of_url, release=True)(here))
    client.force_login(alice) if signs_in_again else client.logout()
    answer = client.post(url_of(article), {"lock_token": token})
    assert answer.content == b"here"


def test_a_project_s_template_can_say_it(serve, client, article, token, settings):
    use_template(settings, "{{ opened_by }} {{ is_locked }}")
    view = requires_lock_on_object(Article, of_url, template="ours.html")(not_reached)
    serve(view)
    answer = client.post(url_of(article), {"lock_token": token})
    assert answer.content == b"alice False"


def test_the_lock_of_a_visitor_is_theirs_after_signing_in(
    serve, client, article, alice
):
    serve(edit)
    token = client.get(url_of(article)).json()["token"]
    serve(requires_lock_on_object(Article, of_url)(here))
    client.force_login(alice)
    assert client.post(url_of(article), {"lock_token": token}).content == b"here"


def test_fence_refuses_the_lock_of_another_user(dialect, article, alice, bob):
    token = LockToken.objects.acquire(article, user=alice).token_str
    with pytest.raises(WrongUserError) as caught, fence(article, token, user=bob):
        raise AssertionError("not reached")
    assert caught.value.locked_by == alice
    assert token not in str(caught.value)
    for user in (alice, None):
        with fence(article, token, user=user):
            pass


@pytest.mark.django_db(transaction=True)
def test_afence_refuses_the_lock_of_another_user(article, alice, bob):
    async def save(token):
        async with afence(article, token, user=bob):
            raise AssertionError("not reached")

    with pytest.raises(WrongUserError):
        async_to_sync(save)(LockToken.objects.acquire(article, user=alice).token_str)


@pytest.mark.parametrize("extend", [False, True])
def test_renew_refuses_the_lock_of_another_user(dialect, article, alice, bob, extend):
    locks = LockToken.objects
    token = locks.acquire(article, user=alice).token_str
    with pytest.raises(WrongUserError):
        locks.renew(article, token, user=bob, extend=extend)
    locks.renew(article, token, user=alice, extend=extend)


def test_one_session_does_not_give_the_lock_of_one_user_to_another(
    article, session, alice, bob
):
    lock_for_session(article, session, user=alice)
    with pytest.raises(AlreadyLockedError):
        lock_for_session(article, session, user=bob, force_new=True)
    assert LockToken.objects.get().locked_by == alice
