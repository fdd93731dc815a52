"""The state of the lock, as a field of a serializer: its answers, and their queries."""

import pytest
from django.db.models import F
from django.urls import include, path
from rest_framework import serializers
from rest_framework.pagination import (
    CursorPagination,
    LimitOffsetPagination,
    PageNumberPagination,
)
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.test import APIClient
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin, LockStateField
from tests.models import (
    Article,
    ArticleProxy,
    Comment,
    Desk,
    Feature,
    Keyword,
    Label,
    Moment,
    Page,
    Plain,
    Price,
    Shift,
    Story,
)
from tests.support import drf_site
from tests.support.helpers import expire

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

FREE = {"locked": False, "locked_by": None, "locked_at": None, "expires_at": None}


def serializer_of(model, *names, **members):
    """Return a serializer of these fields, and the lock's state."""
    members.setdefault("lock", LockStateField())
    return drf_site.serializer_of(model, "pk", *names, **members)


ArticleSerializer = serializer_of(Article, "title")


class OfArticles:
    queryset = Article.objects.order_by("pk")
    serializer_class = ArticleSerializer


class Keeping(LockableViewSetMixin, OfArticles, ModelViewSet):
    pass


class Alone(OfArticles, ModelViewSet):
    permission_classes = [HoldsLock]


class WithStates(Keeping):
    def get_queryset(self):
        return Article.objects.with_lock_state().order_by("pk")


class AtObject(Keeping):
    def get_object(self):
        return super().get_object()


class Answering(Keeping):
    """Answers with more than the object that it wrote to."""

    release_on_write = True

    def partial_update(self, request, *args, **kwargs):
        super().partial_update(request, *args, **kwargs)
        return Response(self.get_serializer(self.get_queryset(), many=True).data)


def releasing(view):
    return type("Releasing", (view,), {"release_on_write": True})


def paged(paginator, **attributes):
    paginator = type("Paginator", (paginator,), attributes)
    return type("Paged", (Keeping,), {"pagination_class": paginator})


router = DefaultRouter()
for name, each in {
    "keeping": Keeping,
    "releasing": releasing(Keeping),
    "alone": Alone,
    "alone-releasing": releasing(Alone),
    "with-states": WithStates,
    "with-states-releasing": releasing(WithStates),
    "at-object": AtObject,
    "answering": Answering,
    "numbered": paged(PageNumberPagination, page_size=5),
    "limited": paged(LimitOffsetPagination, default_limit=5),
    "by-cursor": paged(CursorPagination, page_size=5, ordering="pk"),
}.items():
    router.register(name, each, name)
urlpatterns = [path("", include(router.urls))]

KEEPING = ["keeping", "alone", "with-states", "at-object"]
RELEASING = ["releasing", "alone-releasing", "with-states-releasing"]


def patch(name, article, token=None):
    headers = {} if token is None else {"Lock-Token": token}
    url = f"/{name}/{article.pk}/"
    return APIClient().patch(url, {"title": "Second"}, format="json", headers=headers)


def assert_free(answer, name, article):
    """Check that the answer says free, and a request after it says so too."""
    assert (answer.status_code, answer.json()["lock"]) == (200, FREE)
    assert APIClient().get(f"/{name}/{article.pk}/").json()["lock"] == FREE


# Of one object


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


def test_what_has_no_lock_is_free():
    serializer = serializer_of(Label)
    assert serializer(Label(name="unsaved")).data["lock"] == FREE
    too_long = Label.objects.create(name="x" * 256)
    assert serializer(too_long).data["lock"] == FREE


# After a write


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("has_expired", [False, True])
def test_after_a_write_that_keeps_the_lock_it_says_locked(
    article, alice, name, has_expired
):
    token = article.lock(user=alice, timeout=60)["token"]
    if has_expired:
        expire(article)
    answer = patch(name, article, token)
    assert answer.status_code == 200
    state = answer.json()["lock"]
    assert (state["locked"], state["locked_by"]) == (True, "Alice Liddell")
    assert state["expires_at"] == answer["Lock-Expires-At"]
    assert state == APIClient().get(f"/{name}/{article.pk}/").json()["lock"]
    assert token not in answer.content.decode()


@pytest.mark.parametrize("name", RELEASING)
def test_after_a_write_that_releases_it_says_free(article, name):
    assert_free(patch(name, article, article.lock()["token"]), name, article)


@pytest.mark.parametrize("name", KEEPING + RELEASING)
@pytest.mark.parametrize("had_expired", [False, True])
def test_after_a_write_without_a_token_it_says_free(article, name, had_expired):
    if had_expired:
        article.lock()
        expire(article)
    assert_free(patch(name, article), name, article)


def test_what_a_write_only_reads_keeps_its_state(article):
    other = Article.objects.create()
    other.lock()
    free = Article.objects.create()
    answer = patch("answering", article, article.lock()["token"])
    states = [each["lock"]["locked"] for each in answer.json()]
    assert states == [False, True, False]
    assert LockToken.objects.is_locked(other)
    assert not LockToken.objects.is_locked(free)


def test_what_is_sent_for_it_is_passed_over(article):
    body = {"title": "x", "lock": {"locked": True, "locked_by": "me"}}
    for name in ("keeping", "alone"):
        answer = APIClient().put(f"/{name}/{article.pk}/", body, format="json")
        assert_free(answer, name, article)
    answer = APIClient().post("/keeping/", body, format="json")
    assert (answer.status_code, answer.json()["lock"]) == (201, FREE)


def test_without_an_object_there_is_no_state():
    assert ArticleSerializer().data == {"title": ""}
    serializer = ArticleSerializer(data={"title": "New", "lock": {"locked": False}})
    assert serializer.is_valid()
    assert set(serializer.validated_data) == {"title"}
    assert serializer.data["title"] == "New"


# Lists


def locked_of(data):
    return [row["lock"]["locked"] for row in data]


@pytest.mark.parametrize(("number", "queries"), [(1, 1), (2, 1), (500, 1), (501, 2)])
@pytest.mark.parametrize("given", [None, list, tuple])
def test_a_list_costs_one_query_more_for_each_500(
    django_assert_num_queries, number, queries, given
):
    Article.objects.bulk_create([Article() for _ in range(number)])
    Article.objects.order_by("pk").first().lock()
    found = Article.objects.order_by("pk")
    if given is None:
        queries += 1  # the list itself
    else:
        found = given(found)
    with django_assert_num_queries(queries):
        data = ArticleSerializer(found, many=True).data
    assert locked_of(data) == [True] + [False] * (number - 1)


def test_a_list_that_is_read_once_has_states_too(article, django_assert_num_queries):
    """The framework reads it for itself, and the field does not read it again."""
    article.lock()
    Article.objects.create()
    for found in (Article.objects, (each for each in Article.objects.all())):
        read = 1 if found is Article.objects else 0
        with django_assert_num_queries(read + 2):  # one for each: give a queryset
            data = ArticleSerializer(found, many=True).data
        assert sorted(locked_of(data)) == [False, True]


@pytest.mark.parametrize(
    ("name", "queries"),
    [("keeping", 1 + 1), ("numbered", 2 + 1), ("limited", 2 + 1), ("by-cursor", 1 + 1)],
)
def test_an_answer_costs_one_query_more(django_assert_num_queries, name, queries):
    Article.objects.bulk_create([Article() for _ in range(7)])
    last = Article.objects.order_by("pk")[4]
    last.lock()
    with django_assert_num_queries(queries):
        found = APIClient().get(f"/{name}/").json()
    rows = found if name == "keeping" else found["results"]
    assert [row["lock"]["locked"] for row in rows[:5]] == [False] * 4 + [True]
    assert len(rows) == (7 if name == "keeping" else 5)


def test_many_locked_at_once_cost_one_query_and_their_holders(
    django_assert_num_queries, alice
):
    with django_assert_num_queries(1):  # an empty list costs nothing
        assert APIClient().get("/keeping/").json() == []
    for _ in range(5):
        Article.objects.create().lock(user=alice)
    with django_assert_num_queries(2):
        data = ArticleSerializer(list(Article.objects.all()), many=True).data
    assert {row["lock"]["locked_by"] for row in data} == {"Alice Liddell"}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Page, [{}, {}]),
        (Label, [{"name": "a"}, {"name": "x" * 256}, {"name": "é/ü"}]),
        (Price, [{"amount": "1.50"}, {"amount": "2"}]),
        (Moment, [{"at": "2024-01-01T00:00Z"}, {"at": "2024-01-02T00:00Z"}]),
        (Feature, [{}, {}]),
        (ArticleProxy, [{}, {}]),
        (Plain, [{}, {}]),
    ],
)
def test_any_key(django_assert_num_queries, model, fields):
    for each in fields:
        model.objects.create(**each)
    objects = list(model.objects.order_by("pk"))
    LockToken.objects.is_locked(objects[0])
    LockToken.objects.acquire(objects[0])
    with django_assert_num_queries(1):
        data = serializer_of(model)(objects, many=True).data
    assert locked_of(data) == [True] + [False] * (len(objects) - 1)


def test_unsaved_objects_and_the_same_one_twice_in_a_list(
    article, django_assert_num_queries
):
    article.lock()
    again, other = Article.objects.get(), Article.objects.create()
    found = [Article(), article, other, again, article]
    with django_assert_num_queries(1):
        data = ArticleSerializer(found, many=True).data
    assert locked_of(data) == [False, True, False, True, True]


# Lists in lists, and objects in objects


@pytest.fixture
def stories():
    stories = [Story.objects.create(headline=str(number)) for number in range(4)]
    words = [Keyword.objects.create(name=str(number)) for number in range(3)]
    for story in stories:
        Comment.objects.create(story=story, text="1")
        Comment.objects.create(story=story, text="2")
        story.keywords.set(words)
    LockToken.objects.acquire(words[1])
    LockToken.objects.acquire(Comment.objects.order_by("pk")[3])
    LockToken.objects.acquire(stories[2])
    return stories


def story_serializer():
    return serializer_of(
        Story,
        comments=serializer_of(Comment)(source="comment_set", many=True),
        keywords=serializer_of(Keyword)(many=True),
    )


COMMENTS = Comment.objects.order_by("pk")
OF_A_STORY = [*[False] * 4, *[True] * 2, *[False] * 2]


@pytest.mark.parametrize(
    ("found", "queries"),
    [
        (COMMENTS.select_related("story"), 1 + 2),
        (COMMENTS.prefetch_related("story"), 2 + 2),
    ],
    ids=["join", "prefetch"],
)
def test_the_parents_of_a_list_cost_one_query_more(
    stories, django_assert_num_queries, found, queries
):
    serializer = serializer_of(Comment, story=serializer_of(Story)())
    with django_assert_num_queries(queries):
        data = serializer(found.all(), many=True).data
    assert locked_of(row["story"] for row in data) == OF_A_STORY


def test_lists_of_the_parents_cost_one_query_more(stories, django_assert_num_queries):
    story = serializer_of(Story, keywords=serializer_of(Keyword)(many=True))()
    found = COMMENTS.prefetch_related("story__keywords")
    with django_assert_num_queries(3 + 3):
        data = serializer_of(Comment, story=story)(found, many=True).data
    keywords = [locked_of(row["story"]["keywords"]) for row in data]
    assert keywords == [[False, True, False]] * 8


def test_the_lock_of_the_parent_costs_one_query(stories, django_assert_num_queries):
    """With a source, it is a field about another object than the serializer's."""
    serializer = serializer_of(Comment, lock=LockStateField(source="story"))
    with django_assert_num_queries(1 + 1):
        data = serializer(COMMENTS.select_related("story"), many=True).data
    assert locked_of(data) == OF_A_STORY


def test_each_list_in_a_list_costs_one_query_more(stories, django_assert_num_queries):
    found = Story.objects.order_by("pk").prefetch_related("comment_set", "keywords")
    with django_assert_num_queries(3 + 3):
        data = story_serializer()(found, many=True).data
    comments = [locked_of(row["comments"]) for row in data]
    assert comments == [[False] * 2, [False, True], [False] * 2, [False] * 2]
    keywords = [locked_of(row["keywords"]) for row in data]
    assert keywords == [[False, True, False]] * 4
    assert locked_of(data) == [False, False, True, False]
    with django_assert_num_queries(3 + 3):
        assert story_serializer()(found.get(pk=stories[1].pk)).data == data[1]


def test_lists_that_are_not_prefetched_have_their_states(stories):
    data = story_serializer()(Story.objects.order_by("pk"), many=True).data
    assert locked_of(data) == [False, False, True, False]
    locked = [each["lock"]["locked"] for row in data for each in row["comments"]]
    assert locked.count(True) == 1
    assert all(row["keywords"][1]["lock"]["locked"] for row in data)


def test_what_cannot_be_foreseen_has_its_state(stories, monkeypatch):
    monkeypatch.setattr(Comment, "own", property(lambda self: self), raising=False)
    story = serializer_of(Story)(source="own.story")
    data = serializer_of(Comment, story=story)(COMMENTS.all(), many=True).data
    assert locked_of(row["story"] for row in data) == OF_A_STORY


def test_a_relation_that_is_empty_is_passed_over():
    class Child(serializers.Serializer):
        lock = LockStateField()

    class Parent(serializers.Serializer):
        child = Child(allow_null=True)

    class Thing:
        child = None

    assert Parent([Thing(), Thing()], many=True).data == [{"child": None}] * 2


def test_the_lock_of_a_related_object_by_another_key_than_the_primary():
    desk = Desk.objects.create(name="news")
    Shift.objects.create(desk=desk)
    LockToken.objects.acquire(desk)
    serializer = serializer_of(Shift, lock=LockStateField(source="desk"))
    assert serializer(Shift.objects.get()).data["lock"]["locked"] is True


def test_under_another_name(article):
    article.lock()
    serializer = serializer_of(Article, lock=LockStateField(), state=LockStateField())
    data = serializer(article).data
    assert data["lock"] == data["state"] != FREE


def test_a_serializer_of_a_method_has_states(stories, django_assert_num_queries):
    def get_comments(self, story):
        comments = serializer_of(Comment)(story.comment_set.all(), many=True)
        return comments.data

    serializer = serializer_of(Story, comments=serializers.SerializerMethodField())
    serializer.get_comments = get_comments
    found = Story.objects.order_by("pk").prefetch_related("comment_set")
    with django_assert_num_queries(2 + 1 + len(stories)):
        data = serializer(found, many=True).data
    assert data[1]["comments"][1]["lock"]["locked"] is True


@pytest.mark.parametrize("given", [list, lambda found: found], ids=["list", "queryset"])
def test_states_that_come_with_a_list_cost_nothing(django_assert_num_queries, given):
    Article.objects.create(title="1").lock()
    Article.objects.create(title="2")
    with django_assert_num_queries(2):
        rows = Article.objects.annotate(lock_state=F("title")).order_by("pk")
        found = given(rows.with_lock_state("editing"))
        data = ArticleSerializer(found, many=True).data
    assert locked_of(data) == [True, False]
