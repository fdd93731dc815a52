"""Objects of every model, with keys of every kind and spelling."""

import uuid
import warnings
from datetime import datetime, timedelta
from datetime import timezone as datetime_timezone
from decimal import Decimal
from enum import Enum

import pytest
from django.db import connection, router

from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.locking.fields import UTCNow
from lock_tokens.locking.lock_key import key_of_row
from lock_tokens.models import LockableModel, LockToken
from tests.models import (
    Article,
    ArticleProxy,
    Day,
    Feature,
    Label,
    Moment,
    OldPage,
    Page,
    Plain,
    Price,
    Translation,
)

pytestmark = pytest.mark.django_db


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


# Texts, UUIDs and integers


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


def test_a_uuid_or_integer_in_any_spelling_finds_its_lock(article):
    page = Page.objects.create()
    held = page.lock()
    for spelling in (page.pk, str(page.pk), page.pk.hex, str(page.pk).upper()):
        page.pk = spelling
        assert page.is_locked()
        assert page.check_lock(held["token"])
    assert LockToken.objects.get().locked_object_id == str(uuid.UUID(page.pk))
    assert list(Page.objects.locked()) == [Page.objects.get()]
    token = article.lock()["token"]
    article.pk = f"{article.pk}"
    assert article.check_lock(token)


def test_a_uuid_in_a_text_column_is_found_by_the_queryset():
    free, held = OldPage.objects.create(), OldPage.objects.create()
    held.lock()
    assert [*OldPage.objects.locked()] == [OldPage.objects.get(pk=held.pk)]
    assert [*OldPage.objects.unlocked()] == [OldPage.objects.get(pk=free.pk)]


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


def test_a_member_of_an_enumeration_is_its_value():
    class Color(str, Enum):
        RED = "red"

    label = Label.objects.create(name="red")
    label.name = Color.RED
    token = label.lock()["token"]
    assert Label.objects.get(name="red").check_lock(token)
    assert LockToken.objects.get().locked_object_id == "red"


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


def test_a_moment_without_time_zones_is_a_key_too(settings):
    settings.USE_TZ = False
    at = datetime(2026, 3, 1, 12)
    lock_key = LockToken.objects.key_of_pk(Moment, at)
    assert lock_key.object_key == "2026-03-01T12:00:00"
    assert LockToken.objects.key_of_pk(Moment, "2026-03-01 12:00") == lock_key


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


# What cannot be locked


def test_a_bad_key_is_a_clear_error(article):
    with pytest.raises(ValueError, match="256 characters"):
        Label.objects.create(name="x" * 256).lock()
    article.pk = "five"
    with pytest.raises(ValueError, match=r"not a valid key of tests.Article"):
        article.is_locked()


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


def test_lock_key_of_a_primary_key_and_of_a_row(article):
    lock_key = LockToken.objects.key_of(article)
    assert LockToken.objects.key_of_pk(Article, str(article.pk)) == lock_key
    row = LockToken.objects.acquire(lock_key)
    assert key_of_row(LockToken.objects, row) == lock_key
    assert LockToken.objects.key_of(lock_key) is lock_key
    assert lock_key.model is Article
    assert lock_key.using == router.db_for_write(LockToken)
    with pytest.raises(ValueError, match="not a valid key"):
        LockToken.objects.key_of_pk(Article, "x")
    assert LockToken.objects.filter(expires_at__gt=UTCNow()).count() == 1
