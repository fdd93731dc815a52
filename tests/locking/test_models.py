"""The contract of the models: LockToken and LockableModel."""

import math
import re
import uuid
import warnings
from datetime import datetime, timedelta
from datetime import timezone as datetime_timezone
from decimal import Decimal
from enum import Enum

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import DatabaseError, IntegrityError, connection, models, router
from django.utils import timezone

from lock_tokens.exceptions import (
    AlreadyLockedError,
    InvalidToken,
    LockExpiredWarning,
    NoLockWarning,
    UnlockForbiddenError,
)
from lock_tokens.locking.fields import UTCNow
from lock_tokens.locking.info import LockInfo
from lock_tokens.locking.lock_key import key_of_row
from lock_tokens.locking.sql import for_database
from lock_tokens.locking.sql.rows import new_lock
from lock_tokens.models import LockableModel, LockToken
from tests.models import (
    Article,
    ArticleProxy,
    Day,
    Draft,
    Feature,
    Label,
    Moment,
    OldPage,
    Page,
    Plain,
    Price,
    Translation,
)
from tests.support.helpers import age, expire, lock_row

pytestmark = pytest.mark.django_db

VOID = "0" * 32


@pytest.fixture
def article():
    return Article.objects.create(title="A title")


@pytest.fixture
def alice():
    return User.objects.create(username="alice")


# lock()


def test_lock_returns_the_token_and_its_expiry(article):
    before = timezone.now()
    held = article.lock()
    row = LockToken.objects.get()
    assert set(held) == {"token", "expires", "expires_at"}
    assert re.fullmatch("[0-9a-f]{32}", held["token"])
    assert held["token"] == row.token_str
    assert held["expires_at"] == row.expires_at.isoformat()
    assert held["expires"] == row.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    life = row.expires_at - before
    assert timedelta(seconds=3590) < life < timedelta(seconds=3610)


def test_expires_is_in_the_format_of_the_settings(article, settings):
    settings.LOCK_TOKENS = {"DATEFORMAT": "%d/%m/%y"}
    row_date = LockToken.objects.acquire(article).expires_at.strftime("%d/%m/%y")
    assert LockToken.objects.get().serialize()["expires"] == row_date


def test_each_lock_has_another_token(article):
    tokens = set()
    for _ in range(3):
        held = article.lock()
        tokens.add(held["token"])
        article.unlock(held["token"])
    assert len(tokens) == 3


def test_a_held_object_is_refused_with_holder_and_expiry(article, alice):
    held = article.lock(user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    error = caught.value
    row = LockToken.objects.get()
    assert error.obj == article
    assert error.locked_by == alice
    assert error.locked_at == row.locked_at
    assert error.expires_at == row.expires_at
    assert "alice" in str(error)
    assert held["token"] not in str(error)
    assert held["token"] not in repr(vars(error))


def test_a_refusal_without_a_known_holder_names_nobody(article):
    article.lock()
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by is None
    assert "somebody else" in str(caught.value)


def test_lock_with_its_token_renews(article):
    held = article.lock()
    age(article, 600)
    again = article.lock(held["token"])
    assert again["token"] == held["token"]
    assert again["expires_at"] >= held["expires_at"]
    assert LockToken.objects.get().expires_at.isoformat() == again["expires_at"]


def test_renewing_keeps_the_row_and_since_when(article):
    held = article.lock()
    row = LockToken.objects.get()
    article.lock(held["token"])
    again = LockToken.objects.get()
    assert (again.pk, again.locked_at, again.created) == (
        row.pk,
        row.locked_at,
        row.created,
    )


def test_an_expired_lock_that_nobody_took_renews(article):
    held = article.lock()
    expire(article)
    article.lock(held["token"])
    assert article.is_locked()


@pytest.mark.parametrize(
    "token", [VOID, "", "x" * 32, "A" * 32, "0" * 31, "0" * 33, 5, b"0" * 32, "\0" * 32]
)
def test_a_void_token_renews_nothing(article, token):
    held = article.lock()
    before = LockToken.objects.get().expires_at
    with pytest.raises(InvalidToken) as caught:
        article.lock(token)
    assert caught.value.obj == article
    assert LockToken.objects.get().expires_at == before
    assert article.check_lock(held["token"])


def test_renewing_without_a_lock_is_refused_and_makes_none(article):
    held = article.lock()
    article.unlock(held["token"])
    with pytest.raises(InvalidToken):
        article.lock(held["token"])
    assert not LockToken.objects.exists()


def test_taking_an_expired_lock_makes_a_new_row(article, alice):
    old = LockToken.objects.acquire(article)
    expire(article)
    held = article.lock(user=alice)
    row = LockToken.objects.get()
    assert row.pk != old.pk
    assert row.token_str == held["token"] != old.token_str
    assert row.locked_by == alice
    assert row.locked_at > old.locked_at or row.locked_at == row.created
    with pytest.raises(InvalidToken):
        article.lock(old.token_str)
    with pytest.raises(UnlockForbiddenError):
        article.unlock(old.token_str)
    assert not article.check_lock(old.token_str)


def test_the_holder_may_be_nobody_in_particular(article):
    article.lock(user=AnonymousUser())
    assert LockToken.objects.get().locked_by is None


def test_an_unsaved_user_cannot_hold_a_lock(article):
    with pytest.raises(ValueError, match="unsaved user"):
        article.lock(user=User(username="nobody"))
    assert not article.is_locked()


@pytest.mark.parametrize("timeout", [0.5, 1, 90.25, 10**8])
def test_timeout_of_one_lock(article, timeout):
    held = LockToken.objects.acquire(article, timeout=timeout)
    life = (held.expires_at - held.locked_at).total_seconds()
    assert life == pytest.approx(timeout, abs=0.002)


def test_a_renewal_may_shorten(article):
    held = article.lock()
    article.lock(held["token"], timeout=5)
    row = LockToken.objects.get()
    assert (row.expires_at - row.locked_at).total_seconds() < 60


@pytest.mark.parametrize(
    "timeout", [0, -1, float("nan"), float("inf"), True, "60", 10**10, [], Decimal(5)]
)
def test_a_bad_timeout_is_a_clear_error(article, timeout):
    with pytest.raises(ValueError, match="number of seconds"):
        article.lock(timeout=timeout)
    assert not article.is_locked()
    held = article.lock()
    with pytest.raises(ValueError, match="number of seconds"):
        article.lock(held["token"], timeout=timeout)


# unlock(), is_locked(), check_lock(), lock_info()


def test_unlock_frees_the_object(article):
    held = article.lock()
    article.unlock(held["token"])
    assert not article.is_locked()
    assert not LockToken.objects.exists()
    article.lock()


@pytest.mark.parametrize("token", [VOID, None, "", 7])
def test_only_the_token_unlocks(article, token):
    article.lock()
    with pytest.raises(UnlockForbiddenError) as caught:
        article.unlock(token)
    assert caught.value.obj == article
    assert article.is_locked()


def test_unlocking_twice_is_refused(article):
    held = article.lock()
    article.unlock(held["token"])
    with pytest.raises(UnlockForbiddenError):
        article.unlock(held["token"])


def test_an_expired_lock_can_be_released(article):
    held = article.lock()
    expire(article)
    article.unlock(held["token"])
    assert not LockToken.objects.exists()


def test_an_object_is_locked_only_while_the_lock_lives(article):
    assert not article.is_locked()
    article.lock()
    assert article.is_locked()
    expire(article)
    assert not article.is_locked()


def test_check_lock_is_true_for_the_row_s_token(article):
    held = article.lock()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert article.check_lock(held["token"]) is True
        assert article.check_lock(VOID) is False
        assert article.check_lock(None) is False


def test_check_lock_warns_of_an_expired_lock(article):
    held = article.lock()
    expire(article)
    with pytest.warns(LockExpiredWarning) as caught:
        assert article.check_lock(held["token"]) is True
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert article.check_lock(VOID) is False


def test_check_lock_is_false_and_warns_without_a_lock(article):
    held = article.lock()
    article.unlock(held["token"])
    with pytest.warns(NoLockWarning) as caught:
        assert article.check_lock(held["token"]) is False
    assert caught[0].filename == __file__


def test_check_lock_token_is_the_published_name(article):
    held = article.lock()
    assert article.check_lock_token(held["token"]) is True
    assert LockableModel.check_lock_token(article, VOID) is False


def test_lock_info_tells_who_since_when_and_until_when(article, alice):
    assert article.lock_info() is None
    held = article.lock(user=alice)
    row = LockToken.objects.get()
    info = article.lock_info()
    assert info == LockInfo(alice, row.locked_at, row.expires_at)
    assert held["token"] not in repr(info)
    expire(article)
    assert article.lock_info() is None


# Proxies, third parties, keys


def test_any_model_can_be_locked_through_lockable_model():
    plain = Plain.objects.create()
    held = LockableModel.lock(plain)
    assert LockableModel.is_locked(plain)
    assert LockableModel.check_lock(plain, held["token"])
    assert LockableModel.lock_info(plain) is not None
    assert LockableModel.lock(plain, held["token"])["token"] == held["token"]
    LockableModel.unlock(plain, held["token"])
    assert not LockableModel.is_locked(plain)


def test_a_proxy_shares_the_lock_of_its_concrete_model(article):
    held = article.lock()
    proxy = ArticleProxy.objects.get(pk=article.pk)
    with pytest.raises(AlreadyLockedError):
        proxy.lock()
    assert proxy.check_lock(held["token"])
    assert list(ArticleProxy.objects.locked()) == [proxy]
    proxy.unlock(held["token"])
    assert not article.is_locked()


def test_objects_of_two_models_with_one_key_have_two_locks(article):
    plain = Plain.objects.create(pk=article.pk)
    article.lock()
    LockableModel.lock(plain)
    assert LockToken.objects.count() == 2


def test_a_child_with_a_parent_key_has_a_lock_of_its_own():
    feature = Feature.objects.create()
    held = feature.lock()
    assert list(Feature.objects.locked()) == [feature]
    assert not feature.article_ptr.is_locked()
    assert LockToken.objects.get().locked_object == feature
    feature.unlock(held["token"])


KEYS = [
    "a",
    "A",
    "a ",
    " a",
    "á",
    "a%s",
    "b'\"`;--",
    "雪",
    "🔒",
    "a:b/c?d#e",
    "\t",
    "x" * 255,
]


@pytest.mark.parametrize("key", KEYS)
def test_text_keys_of_any_character(key):
    label = Label.objects.create(name=key)
    held = label.lock()
    assert LockToken.objects.get().locked_object_id == key
    assert LockToken.objects.get().locked_object == label
    assert list(Label.objects.locked()) == [label]
    assert LockToken.objects.infos([label])[0] == label.lock_info() is not None
    label.lock(held["token"])
    label.unlock(held["token"])


def test_keys_that_a_case_insensitive_collation_takes_for_one_have_two_locks():
    # Plain instances: where the locked table itself takes them for one, it cannot
    # hold them both.
    locks = LockToken.objects
    tokens = {
        key: locks.acquire(locks.key_of_pk(Label, key)).token_str
        for key in ("a", "A", "a ", "á", "b")
    }
    assert locks.count() == 5
    for key, token in tokens.items():
        locks.release(locks.key_of_pk(Label, key), token)
    assert not locks.exists()


def test_a_uuid_in_any_spelling_finds_its_lock():
    page = Page.objects.create()
    held = page.lock()
    for spelling in (page.pk, str(page.pk), page.pk.hex, str(page.pk).upper()):
        page.pk = spelling
        assert page.is_locked()
        assert page.check_lock(held["token"])
    assert LockToken.objects.get().locked_object_id == str(uuid.UUID(page.pk))
    assert list(Page.objects.locked()) == [Page.objects.get()]


def test_an_integer_key_as_text_finds_its_lock(article):
    held = article.lock()
    article.pk = f"{article.pk}"
    assert article.check_lock(held["token"])


def test_a_key_that_is_none_of_the_model_is_a_clear_error(article):
    article.pk = "five"
    with pytest.raises(ValueError, match=r"not a key of tests.Article"):
        article.is_locked()


def test_a_key_that_is_too_long_is_a_clear_error():
    label = Label.objects.create(name="x" * 256)
    with pytest.raises(ValueError, match="256 characters"):
        label.lock()


@pytest.mark.parametrize("unsaved", [Article(), Article(pk=1), Page(), Plain(pk=1)])
def test_unsaved_objects_cannot_be_locked(unsaved):
    for operation in (
        LockableModel.lock,
        LockableModel.is_locked,
        LockableModel.lock_info,
    ):
        with pytest.raises(ValueError, match="unsaved"):
            operation(unsaved)


def test_deleted_objects_cannot_be_locked(article):
    article.delete()
    with pytest.raises(ValueError, match="unsaved"):
        article.lock()


def test_composite_keys_are_refused(article):
    translation = Translation.objects.create(article=article, language="fr")
    with pytest.raises(ValueError, match="composite primary key"):
        translation.lock()
    with pytest.raises(ValueError, match="composite primary key"):
        Translation.objects.locked()


def test_other_key_types_lock_but_are_no_condition():
    day = Day.objects.create(date="2026-01-02")
    day = Day.objects.get()
    held = day.lock()
    assert Day.objects.with_lock_state().get().lock_state is not None
    with pytest.raises(TypeError, match="DateField"):
        Day.objects.locked()
    with pytest.raises(TypeError, match="DateField"):
        Day.objects.unlocked()
    day.unlock(held["token"])


# Querysets and get_and_lock


def test_locked_and_unlocked_split_the_objects():
    free, held, expired = (Article.objects.create() for _ in range(3))
    held.lock()
    expired.lock()
    expire(expired)
    assert list(Article.objects.locked()) == [held]
    assert set(Article.objects.unlocked()) == {free, expired}
    assert Article.objects.locked().count() == 1
    assert not Article.objects.locked().filter(pk=free.pk).exists()


def test_locked_can_be_written_before_there_is_a_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        queryset = Article.objects.unlocked()
    with django_assert_num_queries(1):
        assert list(queryset) == []


def test_uuid_keys_split_too():
    free, held = Page.objects.create(), Page.objects.create()
    held.lock()
    assert list(Page.objects.locked()) == [held]
    assert list(Page.objects.unlocked()) == [free]


def test_with_lock_state_costs_one_query(django_assert_num_queries, alice):
    articles = [Article.objects.create() for _ in range(100)]
    for article in articles[::2]:
        article.lock(user=alice)
    LockToken.objects.infos(articles[:1])
    with django_assert_num_queries(2):
        states = [
            a.lock_state for a in Article.objects.order_by("pk").with_lock_state()
        ]
        assert [state.locked_by if state else None for state in states] == [
            alice,
            None,
        ] * 50


def test_with_lock_state_works_with_get_iterator_only_and_values(article):
    article.lock()
    assert Article.objects.with_lock_state().get().lock_state is not None
    assert Article.objects.with_lock_state().filter(pk=article.pk)[0].lock_state
    for obj in Article.objects.only("pk").with_lock_state().iterator(chunk_size=1):
        assert obj.lock_state is not None
    assert list(Article.objects.with_lock_state().values_list("pk")) == [(article.pk,)]
    assert not Article.objects.none().with_lock_state()


def test_get_and_lock(article):
    obj, held = Article.objects.get_and_lock(title="A title", lock_timeout=5)
    assert obj == article
    assert article.check_lock(held["token"])
    row = LockToken.objects.get()
    assert (row.expires_at - row.locked_at).total_seconds() == pytest.approx(
        5, abs=0.01
    )
    with pytest.raises(AlreadyLockedError):
        Article.get_and_lock(pk=article.pk)
    article.unlock(held["token"])
    obj, held = Article.get_and_lock(pk=article.pk)
    assert obj == article
    assert obj.check_lock(held["token"])


def test_get_and_lock_names_the_holder(article, alice):
    Article.objects.get_and_lock(pk=article.pk, lock_user=alice)
    assert article.lock_info().locked_by == alice


def test_get_and_lock_takes_any_lookup_and_the_model_s_own_manager():
    draft = Draft.objects.create(user="alice")
    obj, held = Draft.get_and_lock(user="alice")
    assert obj == draft
    obj.unlock(held["token"])
    Draft.objects.update(draft=False)
    with pytest.raises(Draft.DoesNotExist):
        Draft.get_and_lock(user="alice")


def test_get_and_lock_without_an_object(article):
    with pytest.raises(Article.DoesNotExist):
        Article.objects.get_and_lock(pk=article.pk + 1)
    Article.objects.create(title="A title")
    with pytest.raises(Article.MultipleObjectsReturned):
        Article.get_and_lock(title="A title")
    assert not LockToken.objects.exists()


def test_get_and_lock_reads_the_object_after_locking_it(article, monkeypatch):
    """Else it could be older than the lock, and its save would undo another's."""
    acquire = type(LockToken.objects).acquire

    def edited_meanwhile(*args, **kwargs):
        Article.objects.update(title="Edited meanwhile")
        return acquire(*args, **kwargs)

    monkeypatch.setattr(type(LockToken.objects), "acquire", edited_meanwhile)
    obj, _held = Article.objects.get_and_lock(pk=article.pk)
    assert obj.title == "Edited meanwhile"


def test_get_and_lock_of_an_object_that_goes_meanwhile(article, monkeypatch):
    acquire = type(LockToken.objects).acquire

    def deleted_meanwhile(*args, **kwargs):
        held = acquire(*args, **kwargs)
        Article.objects.filter(pk=article.pk)._raw_delete("default")
        return held

    monkeypatch.setattr(type(LockToken.objects), "acquire", deleted_meanwhile)
    with pytest.raises(Article.DoesNotExist):
        Article.objects.get_and_lock(pk=article.pk)
    assert not LockToken.objects.exists()


# Deletion


def test_deleting_an_object_removes_its_lock(article):
    other = Article.objects.create()
    article.lock()
    other.lock()
    article.delete()
    assert LockToken.objects.get().locked_object == other


def test_deleting_a_queryset_and_a_proxy_removes_the_locks(article):
    Page.objects.create().lock()
    Page.objects.all().delete()
    article.lock()
    ArticleProxy.objects.all().delete()
    assert not LockToken.objects.exists()


def test_deleting_a_child_removes_its_lock_and_its_parent_s():
    feature = Feature.objects.create()
    feature.lock()
    feature.article_ptr.lock()
    feature.delete()
    assert not LockToken.objects.exists()


def test_other_models_keep_django_s_fast_deletion(django_assert_num_queries):
    Plain.objects.create()
    with django_assert_num_queries(1):
        Plain.objects.all().delete()


# LockToken's own methods


def test_has_expired_and_expiration(article):
    row = LockToken.objects.acquire(article)
    assert not row.has_expired()
    assert row.get_expiration_datetime() == row.expires_at
    expire(article)
    row.refresh_from_db()
    assert row.has_expired()
    assert row.get_expiration_datetime() == row.expires_at


def test_a_row_renews_itself(article):
    row = LockToken.objects.acquire(article, timeout=5)
    row.renew()
    stored = LockToken.objects.get()
    assert row.expires_at == stored.expires_at
    assert (stored.expires_at - stored.locked_at).total_seconds() > 3000
    row.renew(timeout=7)
    assert LockToken.objects.get().serialize() == row.serialize()


def test_a_row_that_is_gone_renews_nothing(article):
    row = LockToken.objects.acquire(article)
    article.unlock(row.token_str)
    with pytest.raises(InvalidToken):
        row.renew()
    with pytest.raises(InvalidToken):
        row.save()
    assert not LockToken.objects.exists()


def test_a_row_can_be_saved_while_it_stands(article):
    row = LockToken.objects.acquire(article)
    row.expires_at += timedelta(days=1)
    row.save(update_fields=["expires_at"])
    assert LockToken.objects.get().expires_at == row.expires_at


def test_a_row_made_by_hand_is_a_lock(article):
    row = LockToken.objects.create(locked_object=article)
    assert article.is_locked()
    assert article.check_lock(row.token_str)
    with pytest.raises(AlreadyLockedError):
        LockToken.objects.create(locked_object=article)
    assert LockToken.objects.count() == 1


def test_a_database_error_in_save_is_not_taken_for_a_lost_lock(article, monkeypatch):
    row = LockToken.objects.acquire(article)

    def failing(self, *args, **kwargs):
        raise DatabaseError("disk full")

    monkeypatch.setattr(models.Model, "save", failing)
    with pytest.raises(DatabaseError, match="disk full"):
        row.save()


def test_the_token_is_not_in_the_row_s_name(article):
    row = LockToken.objects.acquire(article)
    assert row.token_str not in str(row)
    assert str(article.pk) in str(row)


def test_get_for_object(article):
    with pytest.raises(LockToken.DoesNotExist):
        LockToken.objects.get_for_object(article)
    row = LockToken.objects.acquire(article)
    assert LockToken.objects.get_for_object(article) == row
    assert LockToken.objects.get_for_object(article, allow_expired=False) == row
    expire(article)
    assert LockToken.objects.get_for_object(article) == row
    with pytest.raises(LockToken.DoesNotExist):
        LockToken.objects.get_for_object(article, allow_expired=False)


def test_one_row_an_object(article):
    row = LockToken.objects.acquire(article)
    fields = {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields}
    del fields["id"]
    with pytest.raises(IntegrityError):
        LockToken.objects.bulk_create([LockToken(**fields)])


def test_deleting_the_holder_keeps_the_lock(article, alice):
    held = article.lock(user=alice)
    alice.delete()
    assert article.check_lock(held["token"])
    assert article.lock_info().locked_by is None


def test_a_holder_whose_row_vanished_is_nobody(article, alice):
    article.lock(user=alice)
    User.objects.filter(pk=alice.pk)._raw_delete("default")
    assert article.lock_info().locked_by is None
    assert LockToken.objects.get().holder() is None
    with pytest.raises(AlreadyLockedError):
        article.lock()


def test_holder_of_a_loaded_row(article, alice, django_assert_num_queries):
    article.lock(user=alice)
    row = LockToken.objects.get()
    with django_assert_num_queries(1):
        assert row.holder() == alice
    row = LockToken.objects.select_related("locked_by").get()
    with django_assert_num_queries(0):
        assert row.info().locked_by == alice


# Taking over


def test_take_over_ends_another_s_lock(article, alice):
    bob = User.objects.create(username="bob")
    held = article.lock(user=alice)
    taken = LockToken.objects.take_over(article, user=bob, timeout=60)
    assert LockToken.objects.get() == taken
    assert article.lock_info().locked_by == bob
    assert article.check_lock(taken.token_str)
    assert not article.check_lock(held["token"])
    with pytest.raises(InvalidToken):
        article.lock(held["token"])


def test_take_over_of_a_free_object_acquires(article):
    taken = LockToken.objects.take_over(article)
    assert article.check_lock(taken.token_str)
    with pytest.raises(ValueError, match="number of seconds"):
        LockToken.objects.take_over(article, timeout=0)


def test_take_over_has_its_permission():
    assert ("take_over_locktoken", "Can take over another's lock") in (
        LockToken._meta.permissions
    )


# The owner of a lock


def test_the_same_owner_gets_the_same_lock_again(article):
    first = LockToken.objects.acquire(article, owner="one client")
    again = LockToken.objects.acquire(article, owner="one client")
    assert (again.pk, again.token_str) == (first.pk, first.token_str)
    for other in ("another client", None, ""):
        with pytest.raises(AlreadyLockedError):
            LockToken.objects.acquire(article, owner=other)


def test_an_owner_s_token_is_new_each_time_and_good_for_one_object(article):
    locks = LockToken.objects
    first = locks.acquire(article, owner="one client")
    article.unlock(first.token_str)
    second = locks.acquire(article, owner="one client")
    assert second.token_str != first.token_str
    with pytest.raises(InvalidToken):
        article.lock(first.token_str)
    other = Article.objects.create()
    lock_row(article).update(locked_object_id=str(other.pk))
    with pytest.raises(AlreadyLockedError):
        locks.acquire(other, owner="one client")


def test_an_owner_s_token_depends_on_the_secret_key(article, settings):
    LockToken.objects.acquire(article, owner="one client")
    settings.SECRET_KEY = "another"
    with pytest.raises(AlreadyLockedError):
        LockToken.objects.acquire(article, owner="one client")


def test_an_owner_replaces_an_expired_lock_too(article):
    LockToken.objects.acquire(article)
    expire(article)
    lock = LockToken.objects.acquire(article, owner="one client")
    assert LockToken.objects.acquire(article, owner="one client") == lock


# State of many


def test_infos_keep_the_order_and_take_any_models(
    article, alice, django_assert_num_queries
):
    page, label, plain = (
        Page.objects.create(),
        Label.objects.create(name="n"),
        Plain.objects.create(),
    )
    page.lock(user=alice)
    LockableModel.lock(plain)
    objects = [label, plain, article, page, label]
    LockToken.objects.infos(objects)
    with django_assert_num_queries(1):
        infos = LockToken.objects.infos(objects)
    assert [info.locked_by if info else info for info in infos] == [
        None,
        None,
        None,
        alice,
        None,
    ]
    assert [info is not None for info in infos] == [False, True, False, True, False]
    assert LockToken.objects.infos([]) == []


def test_infos_of_more_objects_than_a_query_takes(django_assert_num_queries):
    Article.objects.bulk_create([Article() for _ in range(501)])
    articles = list(Article.objects.order_by("pk"))
    articles[-1].lock()
    with django_assert_num_queries(2):
        infos = LockToken.objects.infos(articles)
    assert [bool(info) for info in infos] == [False] * 500 + [True]


def test_lock_key_of_a_primary_key_and_of_a_row(article):
    lock_key = LockToken.objects.key_of(article)
    assert LockToken.objects.key_of_pk(Article, str(article.pk)) == lock_key
    row = LockToken.objects.acquire(lock_key)
    assert key_of_row(LockToken.objects, row) == lock_key
    assert LockToken.objects.key_of(lock_key) is lock_key
    assert lock_key.model is Article
    assert lock_key.using == router.db_for_write(LockToken)
    with pytest.raises(ValueError, match="not a key"):
        LockToken.objects.key_of_pk(Article, "x")
    assert LockToken.objects.filter(expires_at__gt=UTCNow()).count() == 1


def test_a_row_made_by_hand_takes_the_place_of_an_expired_one(article):
    old = LockToken.objects.acquire(article)
    expire(article)
    new = LockToken.objects.create(locked_object=article)
    assert LockToken.objects.get() == new
    assert new.pk != old.pk


def test_a_row_made_by_hand_is_refused_with_the_holder(article, alice):
    article.lock(user=alice)
    with pytest.raises(AlreadyLockedError) as caught:
        LockToken.objects.create(locked_object=article)
    assert caught.value.locked_by == alice
    assert caught.value.expires_at == LockToken.objects.get().expires_at


def test_an_owner_s_token_outlives_a_rotation_of_the_secret_key(article, settings):
    first = LockToken.objects.acquire(article, owner="one client")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    again = LockToken.objects.acquire(article, owner="one client")
    assert again.token_str == first.token_str


def test_an_owner_who_asks_again_has_the_lock_extended(article):
    first = LockToken.objects.acquire(article, owner="one client", timeout=5)
    again = LockToken.objects.acquire(article, owner="one client", timeout=500)
    assert again.expires_at > first.expires_at
    assert LockToken.objects.get().expires_at == again.expires_at
    kept = LockToken.objects.acquire(article, owner="one client", timeout=5)
    assert kept.expires_at == again.expires_at


def test_an_owner_whose_lock_goes_while_asking_acquires_anew(article, monkeypatch):
    first = LockToken.objects.acquire(article, owner="one client")
    manager = type(LockToken.objects)
    renew = manager.renew

    def released_just_now(self, obj, token, **options):
        monkeypatch.setattr(manager, "renew", renew)
        article.unlock(first.token_str)
        return renew(self, obj, token, **options)

    monkeypatch.setattr(manager, "renew", released_just_now)
    again = LockToken.objects.acquire(article, owner="one client")
    assert again.token_str != first.token_str
    assert LockToken.objects.get() == again


@pytest.mark.parametrize("expired", [True, False])
def test_an_owner_can_renew_also_an_expired_lock(article, alice, dialect, expired):
    locks = LockToken.objects
    first = locks.acquire(article, owner="one client", user=alice, timeout=5)
    if expired:
        expire(article)
    again = locks.renew_owned(article, "one client", timeout=500)
    assert (again.pk, again.token_str) == (first.pk, first.token_str)
    assert (again.locked_at, again.locked_by) == (first.locked_at, alice)
    assert again.expires_at > first.expires_at
    assert lock_row(article).get().expires_at == again.expires_at
    assert article.check_lock(first.token_str)
    kept = locks.renew_owned(locks.key_of(article), "one client", timeout=5)
    assert kept.expires_at == again.expires_at


def test_without_a_lock_an_owner_renews_none(article):
    assert LockToken.objects.renew_owned(article, "one client") is None
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("expired", [True, False])
@pytest.mark.parametrize("owner", ["another client", "one client", None])
def test_nobody_renews_a_lock_of_another_owner(article, owner, expired):
    LockToken.objects.acquire(article, owner=owner)
    if expired:
        expire(article)
    before = lock_row(article).get().serialize()
    for asking in {"one client", "third client", ""} - {owner}:
        assert LockToken.objects.renew_owned(article, asking) is None
    assert lock_row(article).get().serialize() == before


@pytest.mark.parametrize("method", ["renew", "get_by_token"])
@pytest.mark.parametrize("taken", [True, False])
def test_an_owner_whose_lock_goes_while_renewing_has_none(
    article, monkeypatch, method, taken
):
    LockToken.objects.acquire(article, owner="one client")
    manager = type(LockToken.objects)
    original = getattr(manager, method)

    def gone_just_now(self, obj, token, **options):
        monkeypatch.undo()
        self.release(obj, token)
        if taken:
            self.acquire(obj)
        return original(self, obj, token, **options)

    monkeypatch.setattr(manager, method, gone_just_now)
    assert LockToken.objects.renew_owned(article, "one client") is None
    assert LockToken.objects.exists() == taken


@pytest.mark.parametrize("timeout", [0, -1, math.inf, "60"])
def test_an_owner_renews_for_no_bad_timeout(article, timeout):
    LockToken.objects.acquire(article, owner="one client")
    with pytest.raises(ValueError, match="timeout"):
        LockToken.objects.renew_owned(article, "one client", timeout=timeout)


def test_a_refusal_can_be_had_without_asking_for_the_lock(article, alice):
    article.lock(user=alice)
    assert LockToken.objects.refusal(article).locked_by == alice


# Keys that have several spellings


def test_a_decimal_key_is_one_however_many_zeros_it_is_given():
    Price.objects.create(amount="1.50")
    held = Price(amount=Decimal("1.5"))
    held._state.adding = False
    token = held.lock()["token"]
    loaded = Price.objects.get()
    assert loaded.check_lock(token)
    assert LockToken.objects.key_of_pk(Price, "1.5") == LockToken.objects.key_of(loaded)
    assert LockToken.objects.get().locked_object == loaded


def test_a_moment_is_one_key_in_every_time_zone(settings):
    at = datetime(2026, 3, 1, 12, tzinfo=datetime_timezone.utc)
    moment = Moment.objects.create(at=at)
    token = moment.lock()["token"]
    moment.at = at.astimezone(datetime_timezone(timedelta(hours=5)))
    assert moment.check_lock(token)
    assert Moment.objects.get().check_lock(token)
    settings.TIME_ZONE = "UTC"
    lock_key = LockToken.objects.key_of(moment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django warns of it, and so it should
        naive = LockToken.objects.key_of_pk(Moment, datetime(2026, 3, 1, 12))
    assert naive == lock_key


def test_a_member_of_an_enumeration_is_its_value():
    class Color(str, Enum):
        RED = "red"

    label = Label.objects.create(name="red")
    label.name = Color.RED
    token = label.lock()["token"]
    assert Label.objects.get(name="red").check_lock(token)
    assert LockToken.objects.get().locked_object_id == "red"


def test_a_uuid_in_a_text_column_is_found_by_the_queryset():
    free, held = OldPage.objects.create(), OldPage.objects.create()
    held.lock()
    assert [page.pk for page in OldPage.objects.locked()] == [uuid_of(held.pk)]
    assert [page.pk for page in OldPage.objects.unlocked()] == [uuid_of(free.pk)]


def uuid_of(value):
    found = OldPage.objects.get(pk=value)
    return found.pk


def test_a_neighbour_with_a_longer_key_is_not_taken_for_locked():
    Label.objects.create(name="x" * 256)
    Label.objects.create(name="x" * 255).lock()
    assert [len(label.name) for label in Label.objects.locked()] == [255]


def test_a_nul_character_is_a_clear_error_where_the_database_takes_none():
    if connection.vendor != "postgresql":
        lock_key = LockToken.objects.key_of_pk(Label, "a\0b")
        assert LockToken.objects.acquire(lock_key).locked_object_id == "a\0b"
        return
    with pytest.raises(ValueError, match="NUL"):
        LockToken.objects.key_of_pk(Label, "a\0b")


@pytest.mark.parametrize("user", [5, "alice", Article(pk=1)])
def test_only_a_user_can_be_the_holder(article, user):
    with pytest.raises(ValueError, match="not a user"):
        article.lock(user=user)
    assert not article.is_locked()


def test_deletion_works_for_what_cannot_be_locked(article):
    token = article.lock()["token"]
    Translation.objects.create(article=article, language="fr")
    Label.objects.create(name="x" * 256).delete()
    Translation.objects.all().delete()
    Translation.objects.create(article=article, language="de")
    Article(pk=article.pk).delete()
    assert not Article.objects.exists()
    assert not LockToken.objects.filter(token_str=token).exists()


def test_no_token_is_in_the_repr_of_what_the_statements_pass_around(article):
    locks = LockToken.objects
    new = new_lock(locks.key_of(article), None, None, None)
    assert new.token not in repr(new)
    assert str(new.content_type_id) in repr(new)
    acquired = for_database(LockToken, "default").acquire(new)
    assert acquired.token not in repr(acquired)
    assert str(acquired.id) in repr(acquired)
    token = acquired.token
    current_token = locks.current_token(article)
    assert token not in repr(current_token)
    assert "live" in repr(current_token)
    expire(article)
    assert "expired" in repr(locks.current_token(article))


def test_a_moment_without_time_zones_is_a_key_too(settings):
    settings.USE_TZ = False
    at = datetime(2026, 3, 1, 12)
    lock_key = LockToken.objects.key_of_pk(Moment, at)
    assert lock_key.object_key == "2026-03-01T12:00:00"
    assert LockToken.objects.key_of_pk(Moment, "2026-03-01 12:00") == lock_key
