"""Locks in several databases, and the table in each."""

import pytest
from django.db import connection, transaction

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.models import LockToken
from tests.models import Article
from tests.support.helpers import expire


@pytest.mark.django_db(databases=["default", "other"])
def test_a_lock_is_kept_beside_its_object():
    article = Article.objects.using("other").create()
    held = article.lock()
    assert LockToken.objects.using("other").get().token_str == held["token"]
    assert not LockToken.objects.using("default").exists()
    assert article.check_lock(held["token"])
    assert LockToken.objects.infos([article])[0] is not None
    assert list(Article.objects.using("other").locked()) == [article]
    assert Article.objects.using("other").with_lock_state().get().lock_state
    article.lock(held["token"])
    article.unlock(held["token"])
    obj, held = Article.objects.db_manager("other").get_and_lock(pk=article.pk)
    assert obj._state.db == "other"
    obj.delete()
    assert not LockToken.objects.using("other").exists()


@pytest.mark.django_db(databases=["default", "other"])
def test_a_router_may_keep_the_locks_elsewhere(article, alice, locks_elsewhere):
    other = Article.objects.using("default").create()
    held = article.lock(user=alice)
    assert LockToken.objects.using("other").count() == 1
    assert not LockToken.objects.using("default").exists()
    with pytest.raises(AlreadyLockedError) as caught:
        article.lock()
    assert caught.value.locked_by == alice
    assert article.lock_info().locked_by == alice
    infos = LockToken.objects.infos([article, other])
    assert [bool(info) for info in infos] == [True, False]
    listed = Article.objects.order_by("pk").with_lock_state()
    assert [bool(each.lock_state) for each in listed] == [True, False]
    lock_key = LockToken.objects.key_of_pk(Article, article.pk)
    assert lock_key.using == "other"
    expire(article)
    assert LockToken.objects.remove_expired() == 1
    with pytest.raises(InvalidToken):
        article.lock(held["token"])


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_a_lock_elsewhere_goes_when_the_deletion_has_committed(
    article, locks_elsewhere
):
    token = article.lock()["token"]
    with transaction.atomic():
        Article.objects.get().delete()
        transaction.set_rollback(True)
    assert article.check_lock(token)
    with transaction.atomic():
        Article.objects.get().delete()
        assert article.check_lock(token)
    assert not LockToken.objects.exists()


@pytest.mark.django_db(databases=["default", "other"])
def test_a_database_can_be_chosen(article):
    locks = LockToken.objects.db_manager("other")
    lock = locks.acquire(article)
    assert not article.is_locked()
    assert locks.is_locked(article)
    assert locks.info(article) is not None
    locks.renew(article, lock.token_str)
    locks.release(article, lock.token_str)


# The table


@pytest.mark.django_db
def test_the_expiry_and_the_holder_carry_no_index():
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(
            cursor, LockToken._meta.db_table
        )
    indexed = {
        tuple(c["columns"])
        for c in constraints.values()
        if (c["index"] or c["unique"]) and not c["foreign_key"]
    }
    assert indexed == {
        ("id",),
        ("locked_object_content_type_id", "locked_object_id"),
    } or indexed == {("locked_object_content_type_id", "locked_object_id")}


@pytest.mark.only_on("postgresql", reason="PostgreSQL's statistics tell")
@pytest.mark.django_db
def test_renewals_are_heap_only_updates_on_postgresql():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a"
            " ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
            " WHERE i.indrelid = 'lock_tokens_locktoken'::regclass"
        )
        assert "expires_at" not in {name for (name,) in cursor.fetchall()}
