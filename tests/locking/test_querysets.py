"""Querysets of locked and unlocked objects, and the state of many."""

import pickle

import pytest
from django.db import models
from django.db.models import Value

from lock_tokens.models import LockableModel, LockToken
from lock_tokens.querysets import live_lock
from tests.models import Article, Draft, Label, Page, Plain
from tests.support.helpers import expire
from tests.support.twins import Awaited

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [Article, Page])
def test_locked_and_unlocked_split_the_objects(model):
    free, held, expired = (model.objects.create() for _ in range(3))
    held.lock()
    expired.lock()
    expire(expired)
    assert list(model.objects.locked()) == [held]
    assert set(model.objects.unlocked()) == {free, expired}
    assert model.objects.locked().count() == 1
    assert not model.objects.locked().filter(pk=free.pk).exists()


def test_locked_can_be_written_before_there_is_a_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        queryset = Article.objects.unlocked()
    with django_assert_num_queries(1):
        assert list(queryset) == []


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


@pytest.mark.parametrize("name", ["title", "pk", "lock", "feature", "objects"])
def test_with_lock_state_does_not_overwrite_what_the_model_has(name):
    with pytest.raises(ValueError, match=f"already has a '{name}'"):
        Article.objects.with_lock_state(to_attr=name)


def test_with_lock_state_does_not_overwrite_an_annotation():
    annotated = Article.objects.annotate(lock_state=Value("draft"))
    with pytest.raises(ValueError, match="already has a 'lock_state'"):
        annotated.with_lock_state()


def test_with_lock_state_may_use_another_name(article, alice):
    article.lock(user=alice)
    annotated = Article.objects.annotate(lock_state=Value("draft"))
    found = pickle.loads(
        pickle.dumps(annotated.with_lock_state(to_attr="editing").filter(pk__gt=0))
    )
    assert found.get().lock_state == "draft"
    assert found.get().editing.locked_by == alice
    assert Article.objects.with_lock_state().get().lock_state.locked_by == alice


def test_live_lock_filters_the_querysets_of_any_manager(article):
    free = Article.objects.create()
    article.lock()
    everything = models.QuerySet(Article)
    assert list(everything.filter(live_lock(Article))) == [article]
    assert list(everything.filter(~live_lock(Article))) == [free]


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
    holders = [info.locked_by if info else "free" for info in infos]
    assert holders == ["free", None, "free", alice, "free"]
    assert LockToken.objects.infos([]) == []


def test_infos_of_more_objects_than_a_query_takes(django_assert_num_queries):
    Article.objects.bulk_create([Article() for _ in range(501)])
    articles = list(Article.objects.order_by("pk"))
    articles[-1].lock()
    with django_assert_num_queries(2):
        infos = LockToken.objects.infos(articles)
    assert [bool(info) for info in infos] == [False] * 500 + [True]


# The model's own manager


@pytest.mark.parametrize("drafts", [Draft, Awaited(Draft)])
def test_get_and_lock_takes_any_lookup_and_the_model_s_own_manager(drafts):
    draft = Draft.objects.create(user="alice")
    obj, held = drafts.get_and_lock(user="alice")
    assert obj == draft
    obj.unlock(held["token"])
    Draft.objects.update(draft=False)
    with pytest.raises(Draft.DoesNotExist):
        drafts.get_and_lock(user="alice")
