"""One signal an event, once it is committed, and never a token in it."""

import logging
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction

from lock_tokens import signals
from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    UnlockForbiddenError,
)
from lock_tokens.holding import fence, hold_lock
from lock_tokens.locking.info import LockInfo
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.sessions import (
    forget,
    lock_for_session,
    release_session_locks,
    unlock_for_session,
)
from tests.models import Article, ArticleProxy, Label, Plain
from tests.support.helpers import expire, new_session

pytestmark = pytest.mark.django_db(transaction=True)

SIGNALS = {
    "acquired": signals.lock_acquired,
    "replaced": signals.lock_replaced,
    "taken_over": signals.lock_taken_over,
    "renewed": signals.lock_renewed,
    "released": signals.lock_released,
}


class Sent(list):
    """What was sent: pairs of a signal's name and what its receiver got."""

    @property
    def names(self):
        return [name for name, _ in self]

    @property
    def only(self):
        ((_, received),) = self
        return received


@pytest.fixture
def sent():
    """Record every signal of this package."""
    sent = Sent()

    def recorder(name):
        return lambda **received: sent.append((name, received))

    receivers = {name: recorder(name) for name in SIGNALS}
    for name, signal in SIGNALS.items():
        signal.connect(receivers[name])
    yield sent
    for name, signal in SIGNALS.items():
        assert signal.disconnect(receivers[name])


def assert_told(sent, name, obj, **more):
    """One signal of this name came, with this and no more."""
    assert sent.names == [name]
    if name != "released":
        more["expires_at"] = LockToken.objects.get_for_object(obj).expires_at
    assert sent.only == {
        "signal": SIGNALS[name],
        "sender": Article,
        "object_id": str(obj.pk),
        "instance": obj,
        "using": "default",
        **more,
    }
    assert sent.only["instance"] is obj


def test_acquiring_a_free_object_sends_lock_acquired(article, alice, sent, dialect):
    article.lock(user=alice)
    assert_told(sent, "acquired", article, locked_by_id=alice.pk)


def test_replacing_an_expired_lock_sends_lock_replaced(article, alice, sent, dialect):
    article.lock()
    assert_told(sent, "acquired", article, locked_by_id=None)
    expire(article)
    sent.clear()
    article.lock(user=alice)
    assert_told(sent, "replaced", article, locked_by_id=alice.pk)


def test_taking_over_sends_lock_taken_over_with_the_lock_that_it_ended(
    article, alice, sent
):
    bob = User.objects.create(username="bob")
    article.lock(user=bob)
    ended = article.lock_info()
    sent.clear()
    LockToken.objects.take_over(article, user=alice)
    previous = LockInfo(bob, ended.locked_at, ended.expires_at)
    assert_told(sent, "taken_over", article, locked_by_id=alice.pk, previous=previous)


@pytest.mark.parametrize("expired", [False, True])
def test_taking_over_a_free_object_or_an_expired_lock_ended_nobody_s(
    article, sent, expired
):
    if expired:
        article.lock()
        expire(article)
        sent.clear()
    LockToken.objects.take_over(article)
    assert_told(sent, "taken_over", article, locked_by_id=None, previous=None)


@pytest.mark.parametrize("expired", [False, True])
def test_renewing_sends_lock_renewed(article, token, sent, expired):
    if expired:
        expire(article)
    sent.clear()
    article.lock(token, timeout=60)
    assert_told(sent, "renewed", article)


def test_a_row_s_own_renewal_has_no_instance(article, sent):
    lock = LockToken.objects.acquire(article)
    sent.clear()
    lock.renew()
    assert sent.names == ["renewed"]
    assert sent.only["instance"] is None
    assert sent.only["sender"] is Article
    assert sent.only["object_id"] == str(article.pk)


def test_releasing_sends_lock_released(article, token, sent):
    sent.clear()
    article.unlock(token)
    assert_told(sent, "released", article)


def test_a_lock_that_goes_with_its_object_is_released(article, sent):
    article.lock()
    key = str(article.pk)
    sent.clear()
    article.delete()
    assert sent.names == ["released"]
    assert sent.only["object_id"] == key
    assert sent.only["sender"] is Article
    sent.clear()
    Article.objects.create().delete()  # without a lock
    assert sent == []


def test_a_queryset_s_delete_sends_one_for_each_lock(sent):
    for _ in range(3):
        Article.objects.create().lock()
    Article.objects.create()
    sent.clear()
    Article.objects.all().delete()
    assert sent.names == ["released"] * 3


def test_the_sender_of_a_proxy_is_the_concrete_model(article, sent):
    ArticleProxy.objects.get(pk=article.pk).lock()
    assert sent.only["sender"] is Article


def test_a_receiver_can_ask_for_one_model_alone(article):
    received = []

    def receiver(sender, **kwargs):
        received.append(sender)

    signals.lock_acquired.connect(receiver, sender=Plain)
    try:
        article.lock()
        LockableModel.lock(Plain.objects.create())
    finally:
        signals.lock_acquired.disconnect(receiver, sender=Plain)
    assert received == [Plain]


def test_the_key_is_text(sent):
    label = Label.objects.create(name="a:b/ä")
    label.lock()
    assert sent.only["object_id"] == "a:b/ä"


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_using_is_the_lock_s_database(sent):
    Article.objects.using("other").create().lock()
    assert sent.only["using"] == "other"


def test_times_are_naive_without_use_tz(article, sent, settings):
    settings.USE_TZ = False
    article.lock()
    assert sent.only["expires_at"].tzinfo is None
    sent.clear()
    lock = LockToken.objects.get_for_object(article)
    LockToken.objects.take_over(article)
    assert sent.only["expires_at"] - lock.expires_at < timedelta(minutes=1)


# One an event, whichever way


@pytest.mark.parametrize("deletes", [False, True])
def test_a_fenced_save_that_releases_renews_and_releases(article, sent, deletes):
    token = article.lock()["token"]
    sent.clear()
    with fence(article, token, release=True):
        assert sent == []
        if deletes:
            article.delete()
    assert sent.names == ["renewed", "released"]


def test_holding_a_lock_acquires_and_releases(article, sent):
    with hold_lock(article):
        assert sent.names == ["acquired"]
    assert sent.names == ["acquired", "released"]


def test_a_session_sends_the_same(article, sent):
    session = new_session()
    lock_for_session(article, session)
    lock_for_session(article, session)
    unlock_for_session(article, session)
    lock_for_session(article, session)
    release_session_locks(session)
    assert sent.names == ["acquired", "renewed", "released", "acquired", "released"]
    assert sent[-1][1]["instance"] is None


def test_a_session_that_asks_again_without_its_token_gets_no_new_lock(article, sent):
    session = new_session()
    lock_for_session(article, session)
    forget(article, session)
    sent.clear()
    lock_for_session(article, session)
    assert "acquired" not in sent.names
    assert "replaced" not in sent.names


def test_what_is_refused_sends_nothing(article, sent):
    void = article.lock()["token"]
    article.unlock(void)
    article.lock()
    sent.clear()
    with pytest.raises(AlreadyLockedError):
        article.lock()
    with pytest.raises(InvalidToken):
        article.lock(void)
    with pytest.raises(UnlockForbiddenError):
        article.unlock(void)
    with pytest.raises(InvalidToken), fence(article, void):
        pass
    assert sent == []


def test_asking_sends_nothing(article, sent):
    token = article.lock()["token"]
    sent.clear()
    article.is_locked()
    article.check_lock(token)
    article.lock_info()
    list(Article.objects.with_lock_state())
    assert sent == []


def test_removing_expired_locks_is_no_event(article, sent):
    article.lock()
    expire(article)
    sent.clear()
    call_command("remove_expired_locks", verbosity=0)
    assert LockToken.objects.count() == 0
    assert sent == []


# After commit


def test_nothing_is_sent_before_the_transaction_commits(article, sent):
    with transaction.atomic():
        token = article.lock()["token"]
        with transaction.atomic():
            article.lock(token)
        article.unlock(token)
        LockToken.objects.take_over(article)
        assert sent == []
    assert sent.names == ["acquired", "renewed", "released", "taken_over"]


def test_nothing_is_sent_of_what_is_rolled_back(article, sent):
    token = article.lock()["token"]
    sent.clear()

    @transaction.atomic
    def work():
        article.lock(token)
        article.unlock(token)
        article.lock()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert sent == []
    assert article.check_lock(token)


def test_nothing_is_sent_of_a_savepoint_that_is_rolled_back(article, sent):
    another = Article.objects.create()

    @transaction.atomic
    def work():
        another.lock()
        raise ZeroDivisionError

    with transaction.atomic():
        article.lock()
        with pytest.raises(ZeroDivisionError):
            work()
    assert sent.names == ["acquired"]
    assert sent.only["instance"] is article


def test_a_receiver_sees_what_was_committed(article):
    seen = []

    def receiver(instance, **kwargs):
        seen.append(instance.is_locked())

    signals.lock_acquired.connect(receiver)
    signals.lock_released.connect(receiver)
    try:
        with transaction.atomic():
            token = article.lock()["token"]
        article.unlock(token)
    finally:
        signals.lock_acquired.disconnect(receiver)
        signals.lock_released.disconnect(receiver)
    assert seen == [True, False]


# Receivers


def all_events(article):
    """Let each of the five events happen, and return what the caller was given."""
    first = article.lock()
    expire(article)
    second = article.lock()
    renewed = article.lock(second["token"])
    taken = LockToken.objects.take_over(article)
    article.unlock(taken.token_str)
    return [first["token"], second["token"], renewed["token"], taken.token_str]


def test_each_event_sends_its_own_signal(article, sent):
    all_events(article)
    assert sent.names == ["acquired", "replaced", "renewed", "taken_over", "released"]


def test_no_signal_carries_a_token(article, alice, sent):
    tokens = all_events(article)
    article.lock(user=alice)
    tokens.append(LockToken.objects.get().token_str)
    tokens.append(LockToken.objects.take_over(article, owner="secret").token_str)
    assert len(sent) == 7
    for _, received in sent:
        for value in received.values():
            told = f"{value!r} {value} {getattr(value, '__dict__', '')}"
            assert not any(token in told for token in tokens)


@pytest.mark.parametrize("inside_a_transaction", [False, True])
def test_an_exception_in_a_receiver_is_logged_and_does_not_reach_the_caller(
    article, sent, caplog, inside_a_transaction
):
    def broken(**kwargs):
        raise ZeroDivisionError("the receiver's")

    for signal in SIGNALS.values():
        signal.connect(broken)
    try:
        with caplog.at_level(logging.ERROR, logger="django.dispatch"):
            if inside_a_transaction:
                with transaction.atomic():
                    tokens = all_events(article)
            else:
                tokens = all_events(article)
    finally:
        for signal in SIGNALS.values():
            signal.disconnect(broken)
    assert len(tokens) == 4
    assert len(caplog.records) == 5
    assert all("ZeroDivisionError" in record.exc_text for record in caplog.records)
    # The other receivers got theirs.
    assert sent.names == ["acquired", "replaced", "renewed", "taken_over", "released"]
    assert not article.is_locked()
