"""Rows of locks, their holders, and what deletes them."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, models

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.locking.sql import for_database
from lock_tokens.locking.sql.rows import new_lock
from lock_tokens.models import LockToken
from tests.models import Article, ArticleProxy, Feature, Label, Page, Plain, Translation
from tests.support.helpers import expire

pytestmark = pytest.mark.django_db


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


def test_deletion_works_for_what_cannot_be_locked(article):
    token = article.lock()["token"]
    Translation.objects.create(article=article, language="fr")
    Label.objects.create(name="x" * 256).delete()
    Translation.objects.all().delete()
    Translation.objects.create(article=article, language="de")
    Article(pk=article.pk).delete()
    assert not Article.objects.exists()
    assert not LockToken.objects.filter(token_str=token).exists()


# A row


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


def test_a_row_can_be_saved_while_it_exists(article):
    row = LockToken.objects.acquire(article)
    row.expires_at += timedelta(days=1)
    row.save(update_fields=["expires_at"])
    assert LockToken.objects.get().expires_at == row.expires_at


def test_a_row_made_by_hand_is_a_lock(article, alice):
    row = LockToken.objects.create(locked_object=article, locked_by=alice)
    assert article.is_locked()
    assert article.check_lock(row.token_str)
    with pytest.raises(AlreadyLockedError) as caught:
        LockToken.objects.create(locked_object=article)
    assert caught.value.locked_by == alice
    assert caught.value.expires_at == LockToken.objects.get().expires_at


def test_a_row_made_by_hand_takes_the_place_of_an_expired_one(article):
    old = LockToken.objects.acquire(article)
    expire(article)
    new = LockToken.objects.create(locked_object=article)
    assert LockToken.objects.get() == new
    assert new.pk != old.pk


def test_a_database_error_in_save_is_not_taken_for_a_lost_lock(article, monkeypatch):
    row = LockToken.objects.acquire(article)

    def failing(self, *args, **kwargs):
        raise DatabaseError("disk full")

    monkeypatch.setattr(models.Model, "save", failing)
    with pytest.raises(DatabaseError, match="disk full"):
        row.save()


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


def test_no_token_is_in_the_name_of_a_row_nor_in_what_the_statements_pass_around(
    article,
):
    locks = LockToken.objects
    new = new_lock(locks.key_of(article), None, None, None)
    assert new.token not in repr(new)
    assert str(new.content_type_id) in repr(new)
    acquired = for_database(LockToken, "default").acquire(new)
    token = acquired.token_str
    assert token not in repr(acquired)
    current_token = locks.current_token(article)
    assert token not in repr(current_token)
    assert "live" in repr(current_token)
    expire(article)
    assert "expired" in repr(locks.current_token(article))
    row = LockToken.objects.get()
    assert token not in str(row)
    assert str(article.pk) in str(row)


# The holder


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
