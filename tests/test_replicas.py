"""A replica that lags: what is read under a lock does not come from there."""

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import admin
from django.core.cache import cache
from django.db import router
from django.http import HttpResponse, HttpResponseRedirect
from django.template import engines
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import path
from django.views.decorators.cache import cache_page

from lock_tokens.admin import LockableModelAdmin, LockTokenAdmin
from lock_tokens.decorators import (
    holds_lock_on_object,
    locks_object,
    requires_lock_on_object,
)
from lock_tokens.holding import (
    afence,
    ahold_lock,
    fence,
    hold_lock,
    reading_from_primary,
)
from lock_tokens.locking.object_keys import find_object, find_objects
from lock_tokens.models import LockToken
from tests.models import Article, Comment, Keyword, Story
from tests.support.admin_site import LIST, act, form_of, new_site, person, urls_of_site
from tests.support.helpers import of_url, urls_of
from tests.support.objects import rename, title_of
from tests.support.replica import LaggingReplica, as_written, catch_up
from tests.support.views import awaited, not_reached, send_token

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"], transaction=True),
    pytest.mark.usefixtures("replica"),
]


@pytest.fixture
def article():
    """An article that the replica has as it was before it was renamed."""
    article = Article.objects.create(title="First")
    catch_up(Article)
    rename(article, "Second")
    assert title_of(article) == "First"
    return article


# Python


def test_get_and_lock_returns_what_is_saved(article):
    for lock in (Article.objects.get_and_lock, Article.get_and_lock):
        found, token_dict = lock(pk=article.pk)
        assert found.title == "Second"
        assert found._state.db == "default"
        found.unlock(token_dict["token"])
    for lookup in ({"title": "First"}, {"pk": article.pk + 1}):
        with pytest.raises(Article.DoesNotExist):
            Article.objects.get_and_lock(**lookup)


def test_get_and_lock_of_a_database_that_is_named(article):
    found, _ = Article.objects.db_manager("other").get_and_lock(pk=article.pk)
    assert found.title == "First"


def test_an_object_that_the_replica_does_not_have_yet_is_found_and_locked():
    new = Article.objects.create()
    assert not Article.objects.exists()
    assert find_object(Article, new.pk) == new
    assert find_objects(Article, [str(new.pk)]) == {str(new.pk): new}
    assert Article.get_and_lock(pk=new.pk)[0] == new


def test_a_block_under_a_lock_reads_what_is_saved(article):
    token = article.lock()["token"]
    stale = Article.objects.get()
    with fence(article, token, release=True):
        assert title_of(article) == "Second"
        stale.refresh_from_db()
        assert stale.title == "Second"
    assert title_of(article) == "First"
    with hold_lock(article) as held:
        assert title_of(article) == "Second"
        with fence(article, held.token):
            assert title_of(article) == "Second"
        assert title_of(article) == "Second"
    assert title_of(article) == "First"
    with pytest.raises(ZeroDivisionError), hold_lock(article):
        raise ZeroDivisionError
    assert title_of(article) == "First"


def test_an_async_block_under_a_lock_too(article):
    async def titles():
        async with ahold_lock(article) as held:
            yield (await Article.objects.aget()).title
            async with afence(article, held.token):
                yield (await Article.objects.aget()).title
        yield (await Article.objects.aget()).title

    async def listed():
        return [title async for title in titles()]

    assert async_to_sync(listed)() == ["Second", "Second", "First"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_that_finds_its_object_itself(is_async):
    new = Article.objects.create(title="Not copied yet")
    found = []

    def job(pk):
        found.append(Article.objects.get(pk=pk).title)

    if is_async:

        async def find(pk):
            return await Article.objects.aget(pk=pk)

        @ahold_lock(find)
        async def ajob(pk):
            await sync_to_async(job)(pk)

        async_to_sync(ajob)(pk=new.pk)
    else:
        hold_lock(lambda pk: Article.objects.get(pk=pk))(job)(pk=new.pk)
    assert found == ["Not copied yet"]


def test_a_function_of_the_project_s_own(article):
    @reading_from_primary()
    def read():
        with reading_from_primary():
            assert title_of(article) == "Second"
        assert Article.objects.using("other").get().title == "First"
        return title_of(article)

    for _ in range(2):
        assert read() == "Second"
        assert title_of(article) == "First"


async def coroutine():
    """Decorated, this would run after the block."""


async def async_generator():
    yield


def generator():
    yield


@pytest.mark.parametrize("function", [coroutine, async_generator, generator])
def test_what_would_run_after_the_block_cannot_be_decorated(function):
    with pytest.raises(TypeError, match="write a with block"):
        reading_from_primary()(function)


def test_without_routers_nothing_changes(settings):
    settings.DATABASE_ROUTERS = []
    with reading_from_primary():
        assert router.routers == []
        assert Article.objects.db == "default"


# Decorated views


def reads(request, key):
    return HttpResponse(Article.objects.get(pk=key).title)


def renders(request, *args, **kwargs):
    """Read when the template is rendered, which is after the view."""
    template = engines["django"].from_string("{{ articles.get.title }}")
    return TemplateResponse(request, template, {"articles": Article.objects.all()})


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("decorator", [locks_object, holds_lock_on_object])
@pytest.mark.parametrize("edit", [reads, renders])
def test_a_decorated_view_reads_what_is_saved(
    settings, article, edit, decorator, is_async
):
    view = decorator(Article, of_url)(awaited(edit) if is_async else edit)
    settings.ROOT_URLCONF = urls_of(view)
    assert Client().get(f"/{article.pk}/").content == b"Second"
    assert title_of(article) == "First"


def test_a_template_can_be_cached(settings, article):
    shown = []

    def show(request, key):
        shown.append(key)
        return renders(request)

    decorated = locks_object(Article, of_url)
    client = Client()
    for view in (decorated(show), decorated(decorated(show))):
        cache.clear()
        settings.ROOT_URLCONF = urls_of(cache_page(60)(view))
        for _ in range(2):
            assert client.get(f"/{article.pk}/").content == b"Second"
    assert len(shown) == 2


def test_a_view_that_saves_reads_what_is_saved(settings, article):
    settings.ROOT_URLCONF = urls_of(requires_lock_on_object(Article, of_url)(reads))
    token = LockToken.objects.acquire(as_written(article)).token_str
    answer = send_token(Client(), "field", f"/{article.pk}/", token)
    assert answer.content == b"Second"


@pytest.mark.parametrize(
    "response", [renders, lambda request, error: HttpResponse(error.obj.title)]
)
def test_a_refusal_shows_what_is_saved(settings, article, response):
    article.lock()
    view = locks_object(Article, of_url, response=response)(not_reached)
    settings.ROOT_URLCONF = urls_of(view)
    assert Client().get(f"/{article.pk}/").content == b"Second"


# The JSON API


@pytest.mark.urls("tests.support.api")
def test_the_api_locks_what_the_replica_does_not_have_yet():
    article = Article.objects.create()
    url = f"/locks/tests/article/{article.pk}/"
    token = Client().post(url).json()["token"]
    assert Client().patch(f"{url}{token}/").status_code == 200


# The admin


class CommentInline(admin.TabularInline):
    model = Comment
    extra = 0


class StoryAdmin(LockableModelAdmin):
    inlines = [CommentInline]
    list_display = ["headline", "is_urgent", "body"]
    list_editable = ["is_urgent"]
    actions = ["shout"]

    def shout(self, request, queryset):
        for story in queryset:
            story.headline = story.headline.upper()
            story.save()


@pytest.fixture
def site(settings):
    site = new_site()
    site.register(Story, StoryAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)


@pytest.fixture
def story():
    """A story that Alice has changed since the replica has caught up."""
    old, new = Keyword.objects.create(name="old"), Keyword.objects.create(name="new")
    story = Story.objects.create(headline="Price 10", body="Once")
    story.keywords.set([old])
    comment = Comment.objects.create(story=story, text="Remark 10")
    catch_up(Keyword, Story, Comment, Story.keywords.through)
    Story.objects.filter(pk=story.pk).update(headline="Price 20")
    Comment.objects.filter(pk=comment.pk).update(text="Remark 20")
    Comment.objects.create(story=story, text="Another")
    as_written(story).keywords.set([new])
    return story


def rows_of(story):
    return [
        list(Comment.objects.using("default").values_list("text", flat=True)),
        [each.name for each in as_written(story).keywords.using("default")],
    ]


@pytest.mark.usefixtures("site")
def test_a_page_and_its_inlines_show_what_is_saved_and_lose_nothing(story):
    bob = person("bob")
    page = bob.open(story)
    shown = form_of(page)
    assert shown["headline"] == ["Price 20"]
    assert shown["comment_set-0-text"] == ["Remark 20"]
    assert shown["comment_set-1-text"] == ["Another"]
    assert bob.send(page, body="Bob's").status_code == 302
    saved = as_written(story)
    assert (saved.headline, saved.body) == ("Price 20", "Bob's")
    assert rows_of(story) == [["Remark 20", "Another"], ["new"]]


@pytest.mark.usefixtures("site")
def test_an_action_and_a_list_that_is_edited_write_over_nothing(story):
    bob = person("bob")
    answer = act(bob, "shout", [story])
    assert as_written(story).headline == "PRICE 20"
    catch_up(Story)
    Story.objects.filter(pk=story.pk).update(body="Alice's")
    page = bob.get(LIST)
    data = form_of(page, form__0__is_urgent="on")
    answer = bob.post(LIST, data, follow=True)
    assert as_written(story).body == "Alice's"
    assert answer.status_code == 200


@pytest.mark.usefixtures("site")
def test_a_deletion_asks_about_what_is_there(story):
    bob = person("bob")
    page = bob.open(story, "delete")
    assert "Another" in page.content.decode()
    assert bob.send(page).status_code == 302
    assert not Story.objects.using("default").exists()


def test_a_page_of_the_project_s_own_writes_over_nothing(settings, story):
    class Admin(LockableModelAdmin):
        def get_urls(self):
            return [path("<path:object_id>/shout/", self.shout), *super().get_urls()]

        def shout(self, request, object_id):
            story = Story.objects.get(pk=object_id)
            story.headline = story.headline.upper()
            story.save()
            return HttpResponseRedirect("..")

    site = new_site()
    site.register(Story, Admin)
    settings.ROOT_URLCONF = urls_of_site(site)
    assert person("bob").post(f"{LIST}{story.pk}/shout/").status_code == 302
    assert as_written(story).headline == "PRICE 20"


def test_the_list_of_locks_shows_those_that_are_there(settings):
    class LagsInAll(LaggingReplica):
        def db_for_read(self, model, **hints):
            return "other" if model is LockToken else "default"

    settings.DATABASE_ROUTERS = [LagsInAll()]
    site = new_site()
    site.register(LockToken, LockTokenAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)
    article = Article.objects.create(title="Locked")
    article.lock()
    assert not LockToken.objects.exists()
    chief = person("chief")
    page = chief.get("/admin/lock_tokens/locktoken/")
    assert [lock.locked_object_id for lock in page.context["cl"].result_list] == [
        str(article.pk)
    ]
    (lock,) = LockToken.objects.using("default")
    answer = act(
        chief, "delete_selected", [lock], page.request["PATH_INFO"], post="yes"
    )
    assert answer.status_code == 200
    assert not article.is_locked()
