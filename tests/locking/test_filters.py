"""Filters by locks go from the locks to the objects, whatever the locks' texts are."""

import uuid

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Case, Q, Value, When

from lock_tokens.locking.sql.keys import KeyOfText
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.querysets import live_lock
from tests.models import Article, ArticleProxy, Feature, Label, OldPage, Page, Plain

pytestmark = pytest.mark.django_db

STRANGE = ["", "-", "--5", "5-3", "5\n", " 5", "05x", "1.0", "abc", "९", "1e3"]
TOO_LARGE = ["9223372036854775808", "99999999999999999999", "-9223372036854775809"]
INTEGERS = ["0", "7", "-7", "123456789012345678", str(2**63 - 1), str(-(2**63))]
UUID = "0d3b0f4c-2a4b-4c8e-9f1a-5f6f7a8b9c0d"


def lock_texts(model, texts):
    """Make locks of a model with these texts, live ones."""
    content_type = ContentType.objects.get_for_model(model)
    for text in texts:
        LockToken.objects.create(
            locked_object_content_type=content_type, locked_object_id=text
        )


def keys_of(texts, field):
    """Return the keys that the database makes of the texts."""
    lock_texts(Article, texts)
    found = LockToken.objects.annotate(key=KeyOfText("locked_object_id", field=field))
    return dict(found.values_list("locked_object_id", "key"))


@pytest.mark.parametrize(
    "field", [models.BigAutoField(primary_key=True), models.IntegerField()]
)
def test_a_text_is_an_integer_or_nothing(field):
    keys = keys_of([*INTEGERS, *STRANGE, *TOO_LARGE], field)
    assert keys == {text: int(text) for text in INTEGERS} | dict.fromkeys(
        [*STRANGE, *TOO_LARGE]
    )


def test_keys_may_be_as_large_as_the_column():
    largest = 2**64 - 1 if connection.vendor == "mysql" else 2**63 - 1
    keys = keys_of(
        ["7", str(largest), str(largest + 1)], models.PositiveBigIntegerField()
    )
    assert keys == {"7": 7, str(largest): largest, str(largest + 1): None}


@pytest.mark.parametrize("is_native", [True, False])
def test_a_text_is_a_uuid_or_finds_nothing(monkeypatch, is_native):
    features = connection.features
    if is_native or connection.vendor == "mysql":
        monkeypatch.setattr(
            features,
            "has_native_uuid_field",
            features.has_native_uuid_field and is_native,
        )
    found = keys_of([UUID, UUID.upper() + "0", "abc", f"{UUID}\n"], models.TextField())
    assert len(found) == 4
    own = KeyOfText("locked_object_id", field=models.UUIDField())
    keys = LockToken.objects.annotate(key=own).filter(key=uuid.UUID(UUID))
    assert [lock.locked_object_id for lock in keys] == [UUID]


@pytest.mark.parametrize("model", [Article, Page, OldPage, Label])
def test_locks_of_another_kind_of_key_are_passed_over(model):
    for name in ("one", "two"):
        model.objects.create(**({"name": name} if model is Label else {}))
    rows = model.objects.all()
    held, free = rows
    LockableModel.lock(held)
    lock_texts(model, [*STRANGE, *TOO_LARGE, UUID, "555"])
    assert [*rows.locked()] == [held]
    assert [*rows.unlocked()] == [free]
    assert [*rows.filter(live_lock(model))] == [held]
    assert [*rows.filter(~live_lock(model))] == [free]
    assert [*rows.exclude(live_lock(model))] == [free]
    assert [*rows.filter(~Q(live_lock(model)))] == [free]
    assert rows.filter(live_lock(model) | Q(pk=free.pk)).count() == 2
    assert rows.locked().delete()[0] == 1
    assert [*rows.all()] == [free]


def test_the_condition_can_be_an_annotation(article):
    article.lock()
    Article.objects.create()
    found = Article.objects.annotate(
        is_held=live_lock(Article),
        word=Case(When(live_lock(Article), then=Value("held")), default=Value("free")),
    ).order_by("pk")
    assert [*found.values_list("is_held", "word")] == [(True, "held"), (False, "free")]
    assert Article.objects.locked().update(title="New") == 1


@pytest.mark.parametrize("model", [Article, ArticleProxy, Feature])
def test_proxies_and_children_are_found(model):
    held, free = model.objects.create(), model.objects.create()
    LockableModel.lock(held)
    assert [*model.objects.locked()] == [held]
    assert [*model.objects.unlocked()] == [free]
    # The child has a lock of its own, and is a row of its parent.
    assert Article.objects.locked().count() == (0 if model is Feature else 1)


def test_a_model_with_the_same_keys_has_its_own_locks():
    article = Article.objects.create()
    Plain.objects.create(pk=article.pk)
    article.lock()
    assert not Plain.objects.filter(live_lock(Plain)).exists()
    assert Article.objects.locked().filter(pk=article.pk).exists()


def test_large_and_negative_keys_are_found():
    Plain.objects.create()
    keys = [-(2**63), -5, 10**18, 2**62]
    for key in keys:
        Plain.objects.create(pk=key)  # on MySQL, Django gives this a wrong negative key
        LockableModel.lock(Plain.objects.get(pk=key))
    found = Plain.objects.filter(live_lock(Plain)).order_by("pk")
    assert [obj.pk for obj in found] == keys


@pytest.mark.django_db(transaction=True)  # MySQL's ANALYZE commits
@pytest.mark.parametrize("model", [Article, Page])
def test_no_filter_reads_all_objects(model):
    """The plan of a filter that finds few goes by the primary key."""
    model.objects.bulk_create([model() for _ in range(20_000)], batch_size=5000)
    for obj in model.objects.all()[:3]:
        obj.lock()
    table = model._meta.db_table
    with connection.cursor() as cursor:
        for each in (table, "lock_tokens_locktoken"):
            verb = "ANALYZE TABLE" if connection.vendor == "mysql" else "ANALYZE"
            cursor.execute(f"{verb} {each}")
    for found in (model.objects.locked(), model.objects.order_by("pk").locked()[:100]):
        plan = found.explain()
        assert len(found) == 3
        for reading in (f"SCAN {table}", f"Seq Scan on {table}", f"{table} ALL"):
            assert reading not in plan
        assert f"{table} index" not in plan  # MariaDB: the whole index
