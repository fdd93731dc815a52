"""The locks of many objects that one request takes: in one order, so nobody deadlocks."""

import pytest
from django.db import transaction

from lock_tokens.admin.lockable.request_locks import request_locks
from lock_tokens.models import LockToken
from lock_tokens.sessions import lock_for_session, release_session_locks
from tests.models import Article
from tests.support.helpers import expire, new_session, race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def articles():
    return [Article.objects.create() for _ in range(12)]  # "10" sorts before "9"


def test_two_who_lock_the_same_rows_in_their_transactions(rf, alice, articles):
    def act(objects):
        for _ in range(5):
            request = rf.get("/")
            request.session, request.user = new_session(), alice.user
            with transaction.atomic(), request_locks(request) as locks:
                locks.acquire(objects, None)
                Article.objects.filter(pk__in=[each.pk for each in objects]).update(
                    title="Acted on"
                )

    orders = articles, articles[::-1]
    race(*[lambda order=order: act(order) for order in orders * 2])
    assert not LockToken.objects.exists()


def test_those_who_act_while_a_holder_signs_out_and_others_delete(rf, alice, articles):
    for _ in range(5):
        session = new_session()
        for each in articles[::-1]:
            lock_for_session(each, session)
            expire(each)

        def sign_out(session=session):
            with transaction.atomic():
                release_session_locks(session)

        def act():
            request = rf.get("/")
            request.session, request.user = new_session(), alice.user
            with transaction.atomic(), request_locks(request) as locks:
                locks.acquire(articles[::-1], None)

        def delete():
            with transaction.atomic():
                Article.objects.all().delete()
                transaction.set_rollback(True)

        race(sign_out, act, delete)
        assert Article.objects.count() == len(articles)
