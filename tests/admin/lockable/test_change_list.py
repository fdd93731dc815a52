"""The change list: who edits what, and the filter by that."""

from datetime import datetime, timezone

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from lock_tokens.models import LockToken
from lock_tokens.querysets import live_lock
from tests.models import (
    Article,
    ArticleProxy,
    Keyword,
    Label,
    Page,
    Plain,
    Price,
    Story,
    Translation,
)
from tests.support.admin_site import LIST, StoryAdmin, list_of, person
from tests.support.helpers import expire, lock_row


def column_of(page):
    """Return what the list's column says, row by row."""
    return [
        strip_tags(cell).strip()
        for cell in page.text.split("field-lock_state")[1:]
        for cell in [cell.partition(">")[2].partition("</td>")[0]]
    ]


def found(page):
    return [*page.context["cl"].result_list]


def test_the_column_says_who_edits_and_since_when(alice, bob, stories, edited):
    first, second, third = column_of(alice.get(LIST))
    assert first.startswith("Alice Writer, since ")
    assert second == ""
    assert third.startswith("Bob Writer, since ")


def test_the_column_knows_the_unknown_the_expired_and_the_escaped(bob, stories):
    LockToken.objects.acquire(stories[0])
    LockToken.objects.acquire(stories[1])
    expire(stories[1])
    bob.user.first_name, bob.user.last_name = "<b>", ""
    bob.user.save()
    LockToken.objects.acquire(stories[2], user=bob.user)
    page = bob.get(LIST)
    first, second, third = column_of(page)
    assert first.startswith("somebody, since ")
    assert second == ""
    assert "&lt;b&gt;, since" in page.text
    assert third


def test_the_column_says_the_day_of_an_older_lock(bob, stories):
    LockToken.objects.acquire(stories[0], user=bob.user)
    long_ago = datetime(2020, 5, 17, tzinfo=timezone.utc)
    lock_row(stories[0]).update(locked_at=long_ago)
    assert "2020" in column_of(bob.get(LIST))[0]


def test_the_column_works_without_time_zones(alice, bob, settings, stories, edited):
    settings.USE_TZ = False
    assert column_of(alice.get(LIST))[0].startswith("Alice Writer, since ")


def test_the_column_is_empty_where_no_lock_can_be(bob):
    Label.objects.create(name="x" * 256)
    label = Label.objects.create(name="a short one")
    LockToken.objects.acquire(label, user=bob.user)
    texts = sorted(column_of(bob.get(list_of(Label))))
    assert texts[0] == ""
    assert texts[1].startswith("Bob Writer, since ")


def test_the_column_can_be_asked_for_one_object(bob, stories, rf):
    model_admin = StoryAdmin(Story, admin.site)
    assert model_admin.lock_state(stories[0]) is None
    LockToken.objects.acquire(stories[0], user=bob.user)
    assert "Bob Writer" in model_admin.lock_state(stories[0])
    assert model_admin.lock_state(Label.objects.create(name="x" * 256)) is None


@pytest.mark.parametrize("query", ["", "?lock=locked", "?lock=mine"])
def test_thirty_rows_need_as_many_queries_as_three(alice, query, django_user_model):
    def count():
        alice.get(LIST + query)
        with CaptureQueriesContext(connection) as queries:
            page = alice.get(LIST + query)
        return len(queries), len([text for text in column_of(page) if text])

    def add(number, user):
        for n in range(number):
            story = Story.objects.create(headline=f"story {n}")
            LockToken.objects.acquire(story, user=user)

    add(3, alice.user)
    few, shown = count()
    assert shown == 3
    add(27, alice.user)
    assert count() == (few, 30)


def test_a_list_without_the_column_asks_for_no_locks(bob, serve, stories, edited):
    serve(StoryAdmin, list_display=["headline"], list_editable=[], list_filter=[])
    with CaptureQueriesContext(connection) as queries:
        bob.get(LIST)
    assert not [query for query in queries if "locktoken" in query["sql"]]


def test_the_filter_offers_locked_mine_and_free_and_finds_them(bob, stories, edited):
    first, second, third = stories
    text = bob.get(LIST).text
    for value, expected in [
        ("locked", [first, third]),
        ("mine", [third]),
        ("free", [second]),
    ]:
        assert f"?lock={value}" in text
        assert found(bob.get(LIST, {"lock": value})) == expected
    assert found(bob.get(LIST, {"lock": "nonsense"})) == stories
    # An expired lock is free.
    expire(first)
    assert found(bob.get(LIST, {"lock": "free"})) == [first, second]


@pytest.mark.parametrize("model", [Article, ArticleProxy, Page, Label, Plain])
def test_column_and_filter_know_keys_of_all_kinds(alice, bob, model):
    field = "name" if model is Label else "title"
    mine, theirs, free = [
        model.objects.create(**{field: text}) for text in ("a/b_c", "d", "e")
    ]
    LockToken.objects.acquire(mine, user=alice.user)
    LockToken.objects.acquire(theirs, user=bob.user)
    for value, expected in [
        ("mine", {mine}),
        ("locked", {mine, theirs}),
        ("free", {free}),
    ]:
        assert {*found(alice.get(list_of(model), {"lock": value}))} == expected
    column = column_of(alice.get(list_of(model)))
    assert len([text for text in column if text]) == 2


def test_a_filtered_list_reads_related_rows_at_once_as_before(bob, serve):
    @serve
    class Admin(StoryAdmin):
        list_display = ["headline", "names"]
        list_editable = []

        def names(self, obj):
            return ", ".join(keyword.name for keyword in obj.keywords.all())

        def get_queryset(self, request):
            return super().get_queryset(request).prefetch_related("keywords")

    keyword = Keyword.objects.create(name="news")

    def count(query):
        with CaptureQueriesContext(connection) as queries:
            assert "news" in bob.get(LIST + query).text
        return len(queries)

    def add(number):
        for _ in range(number):
            Story.objects.create(headline="story").keywords.add(keyword)

    add(2)
    count("?lock=free")
    few = count("?lock=free")
    add(5)
    assert count("?lock=free") == few


def test_the_condition_is_for_any_queryset_of_the_model(alice, bob):
    mine, theirs, skipped, free = [
        Plain.objects.create(title=title) for title in "abcd"
    ]
    for plain in (mine, skipped):
        LockToken.objects.acquire(plain, user=alice.user)
    LockToken.objects.acquire(theirs, user=bob.user)
    plains = Plain.objects.exclude(title="c").order_by("-title")
    assert [*plains.filter(live_lock(Plain))] == [theirs, mine]
    assert [*plains.filter(live_lock(Plain, by=alice.user))] == [mine]
    assert [*plains.filter(~live_lock(Plain))] == [free]


@pytest.mark.django_db(databases=["default", "other"])
def test_the_condition_stays_in_the_queryset_s_database():
    plain = Plain.objects.using("other").create(title="a")
    LockToken.objects.acquire(plain)
    same_key = Plain.objects.create(pk=plain.pk)
    assert [*Plain.objects.using("other").filter(live_lock(Plain))] == [plain]
    assert [*Plain.objects.filter(~live_lock(Plain))] == [same_key]


def test_locked_by_finds_one_user_s_locks(alice, bob):
    mine, theirs, nobody_s, expired, free = [
        Article.objects.create(title=title) for title in "abcde"
    ]
    mine.lock(user=alice.user)
    theirs.lock(user=bob.user)
    nobody_s.lock()
    expired.lock(user=alice.user)
    expire(expired)
    assert [*Article.objects.locked(by=alice.user)] == [mine]
    assert [*Article.objects.locked(by=bob.user)] == [theirs]
    assert {*Article.objects.locked()} == {mine, theirs, nobody_s}
    assert {*Article.objects.unlocked()} == {expired, free}
    assert not Article.objects.locked(by=person("carol").user).exists()


@pytest.mark.parametrize("by", [None, "bob"])
def test_the_condition_says_which_models_it_is_not_for(bob, by):
    with pytest.raises(TypeError):
        live_lock(Price, by=bob.user if by else None)
    with pytest.raises(ValueError):
        live_lock(Translation, by=bob.user if by else None)
