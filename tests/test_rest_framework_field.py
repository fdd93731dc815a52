"""The state of the lock, as a field of a serializer."""

import pytest

pytest.importorskip("rest_framework", reason="Django REST framework is not installed")

from rest_framework import serializers

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import LockStateField
from tests.drf_site import (
    ArticleSerializer,
    CommentSerializer,
    StorySerializer,
    api_client,
)
from tests.models import Article, Comment, Label, Story

pytestmark = [pytest.mark.urls("tests.drf_site"), pytest.mark.django_db]

FREE = {"locked": False, "locked_by": None, "locked_at": None, "expires_at": None}


def test_it_says_who_has_the_lock_and_never_the_token(article, alice):
    token = article.lock(user=alice)
    data = ArticleSerializer(article).data
    assert data["lock"].keys() == FREE.keys()
    assert data["lock"]["locked"] is True
    assert data["lock"]["locked_by"] == "Alice Liddell"
    assert data["lock"]["expires_at"] == token["expires_at"]
    assert token["token"] not in str(data)
    article.unlock(token["token"])
    assert ArticleSerializer(article).data["lock"] == FREE


def test_it_cannot_be_written(article):
    article.lock()
    sent = {"title": "x", "lock": {"locked": False}}
    serializer = ArticleSerializer(article, data=sent)
    serializer.is_valid(raise_exception=True)
    assert set(serializer.validated_data) == {"title"}


@pytest.mark.parametrize("number", [1, 2, 60, 501])
@pytest.mark.parametrize("path", ["articles", "paginated"])
def test_a_list_costs_one_query_more(article, number, path, django_assert_num_queries):
    Article.objects.bulk_create(Article() for _ in range(number - 1))
    article.lock()
    pages = path == "paginated"
    locks = 2 if number > 500 and not pages else 1  # one for each 500
    with django_assert_num_queries(1 + pages + locks):
        found = api_client().get(f"/api/{path}/").json()
    found = found["results"] if pages else found
    assert [row["lock"]["locked"] for row in found[:2]] == [True, False][: len(found)]


@pytest.mark.parametrize("given", [list, lambda found: found, tuple])
def test_a_list_may_be_given_in_any_form(article, given, django_assert_num_queries):
    Article.objects.bulk_create(Article() for _ in range(9))
    with django_assert_num_queries(2):
        found = given(Article.objects.all())
        assert len(ArticleSerializer(found, many=True).data) == 10


def test_a_manager_and_a_generator_have_their_states_too(article):
    article.lock()
    Article.objects.create()
    for found in (Article.objects, (a for a in Article.objects.all())):
        data = ArticleSerializer(found, many=True).data
        assert sorted(row["lock"]["locked"] for row in data) == [False, True]


def test_states_that_are_there_cost_nothing(article, django_assert_num_queries):
    Article.objects.create()
    article.lock()
    with django_assert_num_queries(2):
        found = Article.objects.with_lock_state().order_by("pk")
        data = ArticleSerializer(found, many=True).data
    assert [row["lock"]["locked"] for row in data] == [True, False]


@pytest.fixture
def stories():
    stories = [Story.objects.create(headline=str(number)) for number in range(3)]
    for story in stories:
        for number in range(4):
            comment = Comment.objects.create(story=story, text=str(number))
    LockToken.objects.infos([story, comment])  # warms the cache of content types
    return stories


def test_lists_in_a_list_cost_one_query_more(stories, django_assert_num_queries):
    found = Story.objects.prefetch_related("comment_set")
    with django_assert_num_queries(2 + 2):
        data = StorySerializer(found, many=True).data
    assert [len(row["comments"]) for row in data] == [4, 4, 4]


def test_a_list_in_an_object_costs_one_query_more(stories, django_assert_num_queries):
    story = Story.objects.prefetch_related("comment_set").get(pk=stories[0].pk)
    with django_assert_num_queries(2):
        assert len(StorySerializer(story).data["comments"]) == 4


def test_lists_that_are_not_prefetched_have_their_states_too(stories):
    data = StorySerializer(Story.objects.all(), many=True).data
    assert all(row["lock"] == FREE for story in data for row in story["comments"])


class WithStory(CommentSerializer):
    class Story(serializers.ModelSerializer):
        lock = LockStateField()

        class Meta:
            model = Story
            fields = ["lock"]

    story = Story()

    class Meta:
        model = Comment
        fields = ["text", "story"]


class WithStoryByName(WithStory):
    story = WithStory.Story(source="own.story")

    class Meta:
        model = Comment
        fields = ["text", "story"]


def test_an_object_in_each_of_a_list_costs_one_query_more(
    stories, django_assert_num_queries
):
    with django_assert_num_queries(2):
        found = Comment.objects.select_related("story")
        data = WithStory(found, many=True).data
    assert len(data) == 12


def test_what_cannot_be_foreseen_has_its_state_too(stories, monkeypatch):
    monkeypatch.setattr(Comment, "own", property(lambda self: self), raising=False)
    data = WithStoryByName(Comment.objects.all(), many=True).data
    assert {str(row["story"]["lock"]) for row in data} == {str(FREE)}


def test_what_has_no_lock_is_free():
    class Serializer(serializers.ModelSerializer):
        lock = LockStateField()

        class Meta:
            model = Label
            fields = ["lock"]

    assert Serializer(Label(name="unsaved")).data["lock"] == FREE
    names = ["short", "x" * 256]
    labels = [Label.objects.create(name=name) for name in names]
    assert [row["lock"] for row in Serializer(labels, many=True).data] == [FREE, FREE]


def test_a_relation_that_is_empty_is_passed_over():
    class Child(serializers.Serializer):
        lock = LockStateField()

    class Parent(serializers.Serializer):
        child = Child(allow_null=True)

    class Thing:
        child = None

    assert Parent([Thing(), Thing()], many=True).data == [{"child": None}] * 2
