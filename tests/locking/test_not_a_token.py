"""Something else is given where a token belongs: the mistake is named."""

import re

import pytest
from django.db import transaction

from lock_tokens.holding import fence, hold_lock
from lock_tokens.models import LockToken
from tests.models import Article

pytestmark = pytest.mark.django_db


def renew_in_transaction(obj, token):
    with transaction.atomic():
        LockToken.objects.fence(obj, token)


def save_in_fence(obj, token):
    with fence(obj, token):
        obj.save()


CALLS = {
    "lock": Article.lock,
    "unlock": Article.unlock,
    "check_lock": Article.check_lock,
    "check_lock_token": Article.check_lock_token,
    "renew": LockToken.objects.renew,
    "manager's fence": renew_in_transaction,
    "release": LockToken.objects.release,
    "get_by_token": LockToken.objects.get_by_token,
    "fence": save_in_fence,
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@calls
def test_a_token_dict_is_refused_with_the_key_to_use(article, call):
    held = article.lock()
    with pytest.raises(TypeError, match=re.escape('give its ["token"]')) as caught:
        call(article, held)
    assert held["token"] not in str(caught.value)
    assert article.is_locked()


@calls
def test_a_held_lock_is_refused_with_the_attribute_to_use(article, call):
    with (
        hold_lock(article) as held,
        pytest.raises(TypeError, match=r"a HeldLock: give its \.token\."),
    ):
        call(article, held)


@calls
def test_the_row_is_refused_with_the_attribute_to_use(article, call):
    lock = LockToken.objects.acquire(article)
    with pytest.raises(TypeError, match=r"a LockToken: give its \.token_str\."):
        call(article, lock)


@calls
@pytest.mark.parametrize("token", [7, b"0" * 32, {}, ["0" * 32]])
def test_whatever_is_no_text_is_refused(article, call, token):
    article.lock()
    with pytest.raises(TypeError, match=f"This is a {type(token).__name__}"):
        call(article, token)


def test_check_lock_refuses_it_even_when_there_is_no_lock(article):
    with pytest.raises(TypeError, match="This is a dict"):
        article.check_lock({})
