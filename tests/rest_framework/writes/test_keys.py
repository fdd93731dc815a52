"""Writes under the lock, whatever the key of the object and its database."""

from datetime import date, datetime, timezone
from decimal import Decimal
from urllib.parse import quote

import pytest
from django.db import connection
from django.urls import path
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin, LockStateField
from tests.models import (
    Article,
    ArticleProxy,
    Comment,
    Day,
    Desk,
    Feature,
    Label,
    Moment,
    OldPage,
    Page,
    Plain,
    Price,
    Story,
    Translation,
    Weight,
)
from tests.support.drf_site import serializer_of, with_token
from tests.support.drf_writes import (
    VOID,
    assert_refused,
    assert_refuses,
    locked,
    needs_the_lock,
    request,
)
from tests.support.helpers import LocksElsewhere, is_spelling_of, lock_row
from tests.support.objects import title_of

pytestmark = [
    pytest.mark.urls("tests.support.drf_site"),
    pytest.mark.django_db(databases=["default", "other"]),
]
#: For tests with views of their own.
here = pytest.mark.urls(__name__)

# Characters that mean something in an address, in SQL or to a pattern.
ODD = [
    *("two words", "c++", "100%", "50%25", "it's", 'a "quotation"', "a;b,c&d=e?f#g"),
    *("back\\slash", "ünï", "日本語", "\N{PILE OF POO}", "a_b", "-", "a" * 255),
    *("a/b", "a/lock/b", "a//b", "../a", "/"),
]
#: A text whose other spellings some databases take for the same.
SPELLINGS = ["News", "news", "NEWS", "News ", "Néws"]


class KeyViewSet(LockableViewSetMixin, ModelViewSet):
    """Writes what has no fields to write to, and counts how often it did."""

    written: list[object] = []

    @action(detail=True, methods=["post"])
    def touch(self, request, **kwargs):
        obj = self.get_object()
        self.written.append(obj.pk)
        return Response({"key": str(obj.pk)})


@pytest.fixture
def written():
    KeyViewSet.written.clear()
    return KeyViewSet.written


def viewset_of(model, *bases, **attributes):
    """Return a viewset of the model, found by its key unless said otherwise."""
    attributes.setdefault("queryset", model._default_manager.all())
    attributes["serializer_class"] = serializer_of(model, lock=LockStateField())
    return type(f"{model.__name__}Keys", bases or (KeyViewSet,), attributes)


def routes(prefix, viewset, key="<path:pk>"):
    """Return the addresses that a router makes, for keys with slashes too."""
    detail = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
    made = [path(f"{prefix}/{key}/", viewset.as_view(detail, detail=True))]
    if issubclass(viewset, KeyViewSet):
        lock = viewset.lock
        touch = viewset.as_view({"post": "touch"}, detail=True)
        locking = viewset.as_view(dict(lock.mapping), detail=True, **lock.kwargs)
        made = [
            path(f"{prefix}/{key}/touch/", touch),
            path(f"{prefix}/{key}/lock/", locking),
            *made,
        ]
    return made


BY_KEY = {
    model._meta.model_name: viewset_of(model)
    for model in (
        *(ArticleProxy, Day, Feature, Label, Moment, OldPage, Page, Plain, Price),
        Weight,
    )
}
OWN_NAMES = {
    "id": viewset_of(Article, lookup_field="id"),
    "number": viewset_of(Article, lookup_url_kwarg="number"),
    "article_ptr": viewset_of(Feature, lookup_field="article_ptr"),
    "title": viewset_of(Article, lookup_field="title"),
    "article_ptr__title": viewset_of(
        Feature, lookup_field="article_ptr__title", lookup_url_kwarg="title"
    ),
}
urlpatterns = [
    *(url for name, view in BY_KEY.items() for url in routes(name, view)),
    *routes("other", viewset_of(Article, queryset=Article.objects.using("other"))),
    *routes("articles", viewset_of(Article)),
    *routes("strict", viewset_of(Label, lock_required=True)),
    *routes("releasing", viewset_of(Label, release_on_write=True)),
    *routes(
        "translations", viewset_of(Translation, lookup_field="language"), "<language>"
    ),
    *routes(
        "permitted-translations",
        viewset_of(
            Translation,
            ModelViewSet,
            lookup_field="language",
            permission_classes=[HoldsLock],
        ),
        "<language>",
    ),
    *(
        url
        for name, view in OWN_NAMES.items()
        for url in routes(
            f"by-{name}", view, f"<path:{view.lookup_url_kwarg or view.lookup_field}>"
        )
    ),
]


def shown(client, url, obj, written):
    """Show that the lock that is taken at the address is the one that writes need."""
    answer = client.post(f"{url}lock/")
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert LockToken.objects.get_by_token(obj, token)
    touch = f"{url}touch/"
    refusal = client.post(touch)
    assert (refusal.status_code, refusal.json()["error"]) == (423, "locked")
    assert refusal.json()["locked_by"] == "Alice Liddell"
    assert client.post(touch, **with_token(VOID)).status_code == 412
    assert client.delete(url).status_code == 423
    assert written == []
    answer = client.post(touch, **with_token(token))
    assert answer.status_code == 200
    assert written == [obj.pk]
    lock = LockToken.objects.get_by_token(obj, token)
    assert answer["Lock-Expires-At"] == lock.serialize()["expires_at"]
    assert client.delete(url, **with_token(token)).status_code == 204
    assert not type(obj)._base_manager.filter(pk=obj.pk).exists()
    assert not LockToken.objects.exists()


# By the primary key


@here
@pytest.mark.parametrize(
    ("make", "spelling"),
    [
        (lambda: Plain.objects.create(), "{}"),
        (lambda: Feature.objects.create(), "{}"),
        (lambda: Page.objects.create(), "{}"),
        (lambda: OldPage.objects.create(), "{}"),
        (lambda: Price.objects.create(amount=Decimal("1.50")), "1.5"),
        (lambda: Price.objects.create(amount=Decimal("1.50")), "1.500"),
        (lambda: Day.objects.create(date=date(2026, 2, 3)), "2026-02-03"),
        (lambda: Day.objects.create(date=date(2026, 2, 3)), "2026-2-3"),
        (lambda: Weight.objects.create(kilos=1e16), "1e16"),
        (
            lambda: Moment.objects.create(
                at=datetime(2026, 2, 3, 12, tzinfo=timezone.utc)
            ),
            "2026-02-03T13:00:00+01:00",
        ),
        *((lambda name=name: Label.objects.create(name=name), name) for name in ODD),
    ],
)
def test_any_key_is_locked(client, written, make, spelling):
    obj = make()
    obj = type(obj)._base_manager.get(pk=obj.pk)  # as the database has it
    url = f"/{obj._meta.model_name}/{quote(spelling.format(obj.pk), safe='')}/"
    shown(client, url, obj, written)


@pytest.mark.parametrize(
    ("model", "address", "spelling"),
    [
        *((Article, "articles", each) for each in ("{}", "0{}", "%20{}", "{}%0A")),
        *((Article, "articles", each) for each in ("%2B{}", "digits of Arabic")),
        *(
            (Page, "pages", each)
            for each in ("{}", "{.hex}", "urn:uuid:{}", "%7B{}%7D")
        ),
        (Page, "pages", "upper case"),
    ],
)
def test_a_key_in_any_spelling_is_the_same_object(client, model, address, spelling):
    obj = model.objects.create(title="First")
    digits = {ord("0") + each: chr(0x660 + each) for each in range(10)}
    key = {
        "digits of Arabic": quote(str(obj.pk).translate(digits)),
        "upper case": str(obj.pk).upper(),
    }.get(spelling, spelling.format(obj.pk))
    send = request(client, "patch", f"/api/{address}/{key}/")
    needs_the_lock(send, obj)
    obj.refresh_from_db()
    assert obj.title == "Second"


@here
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_text_is_the_same_object_where_the_database_says_so(
    client, written, spelling
):
    token = Label.objects.create(name="News").lock()["token"]
    found = Label.objects.filter(pk=spelling).exists()
    assert found is is_spelling_of("News", spelling)
    url = f"/label/{quote(spelling)}/touch/"
    for headers, status in (
        ({}, 423),
        (with_token(VOID), 412),
        (with_token(token), 200),
    ):
        answer = client.post(url, **headers)
        assert answer.status_code == (status if found else 404)
    assert written == (["News"] if found else [])


@pytest.mark.only_on("sqlite", "postgresql", reason="MariaDB takes the two for one key")
@here
def test_texts_that_differ_in_case_have_locks_of_their_own(client, written):
    Label.objects.create(name="News").lock()
    Label.objects.create(name="news")
    assert client.post("/label/News/touch/").status_code == 423
    assert client.post("/label/news/touch/").status_code == 200
    assert written == ["news"]


@here
@pytest.mark.parametrize(
    "url",
    [
        *("/articles/nonsense/", "/articles/0/", "/articles/-1/", "/articles/1.5/"),
        f"/articles/{10**40}/",
        f"/articles/{'9' * 300}/",
        f"/articles/{'9' * 5000}/",
        *("/page/nonsense/", "/label/nonsense/", f"/label/{'x' * 300}/"),
        *("/price/nonsense/", "/day/2026-02-30/", "/weight/nonsense/"),
        "/moment/nonsense/",
    ],
)
def test_a_key_of_no_object_is_not_found(client, article, url):
    article.lock()
    for headers in ({}, with_token(VOID), {"headers": {"If": f"(<{VOID}>)"}}):
        for method, route in (("patch", ""), ("delete", ""), ("post", "touch/")):
            send = request(client, method, url + route)
            assert set(assert_refuses(send, 404, **headers).json()) == {"detail"}


@here
def test_a_key_of_more_than_255_characters_cannot_be_locked(client, written):
    too_long = "x" * 256
    Label.objects.create(name=too_long)
    url = f"/label/{too_long}/"
    assert client.post(f"{url}lock/").status_code == 404
    answer = client.post(f"{url}touch/", **with_token(VOID))
    assert_refused(answer, 412, "not_locked")
    assert written == []
    answer = client.post(f"{url}touch/")
    assert answer.status_code == 200
    assert "Lock-Expires-At" not in answer
    assert written == [too_long]
    assert client.get(url).json()["lock"]["locked"] is False
    assert_refused(client.post(f"/strict/{too_long}/touch/"), 428, "lock_required")


@here
@pytest.mark.parametrize("prefix", ["label", "releasing"])
@pytest.mark.parametrize("with_a_lock", [False, True])
def test_a_write_that_changes_the_key_leaves_no_lock_at_the_new_one(
    client, prefix, with_a_lock
):
    old = Label.objects.create(name="Old")
    headers = with_token(old.lock()["token"]) if with_a_lock else {}
    answer = client.patch(f"/{prefix}/Old/", {"name": "New"}, **headers)
    assert answer.status_code == 200
    assert answer.json()["lock"]["locked"] is False
    stays = with_a_lock and prefix == "label"
    assert lock_row(old).exists() is stays
    assert not lock_row(Label.objects.get(name="New")).exists()


# By other names and fields


@here
@pytest.mark.parametrize("name", OWN_NAMES)
def test_the_address_may_name_the_key_as_it_likes(client, written, name):
    obj = OWN_NAMES[name].queryset.model.objects.create(title="First")
    key = "First" if name.endswith("title") else obj.pk
    shown(client, f"/by-{name}/{key}/", obj, written)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_slug_in_an_address_that_names_it_apart(client, method):
    desk = Desk.objects.create(name="news", telephone="1")
    url = "/api/desks/news/"
    # A write may change the slug, too.
    send = request(client, method, url, {"name": "sport", "telephone": "2"})
    headers = with_token(client.post(f"{url}lock/").json()["token"])
    assert_refuses(send, 423)
    assert_refuses(send, 412, **with_token(VOID))
    answer = send(**headers)
    assert answer.status_code == (204 if method == "delete" else 200)
    assert lock_row(desk).exists() is (method != "delete")
    if method != "delete":
        assert client.patch("/api/desks/sport/", {"name": "x"}).status_code == 423


def test_a_slug_in_another_case_is_the_same_object_where_the_database_says_so(client):
    headers = locked(Desk.objects.create(name="news"))
    found = connection.vendor == "mysql"
    send = request(client, "patch", "/api/desks/NEWS/", {"telephone": "2"})
    assert send().status_code == (423 if found else 404)
    assert send(**headers).status_code == (200 if found else 404)


def test_a_slug_that_went_to_another_object_meanwhile_is_that_ones(client, monkeypatch):
    """The object is looked up before the lock is had, and again after."""
    first = Desk.objects.create(name="news")
    headers = locked(first)
    fence = LockToken.objects.fence

    def swap(*args, **options):
        expires_at = fence(*args, **options)
        Desk.objects.filter(pk=first.pk).update(name="old")
        Desk.objects.create(name="news", telephone="as it was")
        return expires_at

    monkeypatch.setattr(LockToken.objects, "fence", swap)
    answer = client.patch("/api/desks/news/", {"telephone": "mine"}, **headers)
    assert_refused(answer, 412, "not_locked")
    assert not Desk.objects.filter(telephone="mine").exists()


# Keys that no lock can have


@here
def test_a_composite_key_is_a_mistake_of_the_projects(client, article):
    Translation.objects.create(article=article, language="en")
    for prefix in ("translations", "permitted-translations"):
        for headers in ({}, with_token(VOID)):
            with pytest.raises(ValueError, match="composite"):
                client.delete(f"/{prefix}/en/", **headers)
    assert Translation.objects.exists()
    assert_refused(client.post("/translations/en/lock/"), 404, "not_found")


# Under other objects, by drf-nested-routers


@pytest.fixture
def nested(settings):
    pytest.importorskip(
        "rest_framework_nested", reason="drf-nested-routers is not installed"
    )
    settings.ROOT_URLCONF = "tests.support.drf_nested"


@pytest.fixture
def story():
    # Before it another, so that the story's key is not that of its comment.
    Story.objects.create(headline="Without comments")
    return Story.objects.create(headline="Storm")


@pytest.fixture
def comment(story):
    return story.comment_set.create(text="First")


@pytest.mark.usefixtures("nested")
def test_a_nested_object_has_its_own_lock(client, story, comment):
    url = f"/stories/{story.pk}/comments/{comment.pk}/"
    needs_the_lock(request(client, "patch", url, {"text": "Second"}), comment)
    headers = with_token(client.post(f"{url}lock/").json()["token"])
    assert client.get(f"{url}lock/").json()["locked"] is True
    assert not LockToken.objects.is_locked(story)
    assert client.delete(url).status_code == 423
    assert Comment.objects.get().text == "Second"
    assert client.delete(url, **headers).status_code == 204
    assert not LockToken.objects.exists()


@pytest.mark.usefixtures("nested")
def test_the_lock_of_what_it_is_under_does_not_matter(client, story, comment):
    locked(story)
    url = f"/stories/{story.pk}/"
    answer = client.patch(f"{url}comments/{comment.pk}/", {"text": "Second"})
    assert answer.status_code == 200
    assert client.patch(url, {"headline": "x"}).status_code == 423


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize("state", ["free", "locked"])
def test_under_another_object_it_is_not_found(client, story, comment, state):
    other = Story.objects.exclude(pk=story.pk).get()
    headers = [{}, with_token(VOID)]
    if state == "locked":
        headers.append(locked(comment))
    url = f"/stories/{other.pk}/comments/{comment.pk}/"
    for method in ("patch", "delete"):
        for sent in headers:
            answer = assert_refuses(request(client, method, url), 404, **sent)
            assert set(answer.json()) == {"detail"}


# Models that inherit, and of third parties


@here
@pytest.mark.parametrize("prefix", ["feature", "by-article_ptr"])
def test_a_model_that_inherits_over_its_own_table(client, prefix):
    feature = Feature.objects.create(title="First", lead="First")
    send = request(
        client, "patch", f"/{prefix}/{feature.pk}/", {"title": "x", "lead": "y"}
    )
    needs_the_lock(send, feature)
    feature.refresh_from_db()
    assert (feature.title, feature.lead) == ("x", "y")


@here
def test_a_proxy_has_the_lock_of_its_model(client, article):
    needs_the_lock(request(client, "patch", f"/articleproxy/{article.pk}/"), article)
    assert title_of(article) == "Second"


@here
@pytest.mark.parametrize("sent", ["nothing", "token", "void"])
def test_a_model_that_knows_nothing_of_locks_leaves_none_behind(client, sent):
    obj = Plain.objects.create(title="First")
    headers = {} if sent == "nothing" else locked(obj)
    if sent == "void":
        headers = with_token(VOID)
    answer = client.delete(f"/plain/{obj.pk}/", **headers)
    assert answer.status_code == (412 if sent == "void" else 204)
    assert Plain.objects.exists() is (sent == "void")
    assert LockToken.objects.exists() is (sent == "void")


# Other databases


@here
def test_an_object_of_another_database_has_its_lock_there(client):
    article = Article.objects.using("other").create(title="First")
    # Its namesake is another object.
    twin = Article.objects.create(pk=article.pk, title="Twin")
    twin.lock()
    url = f"/other/{article.pk}/"
    send = request(client, "patch", url)
    assert send().status_code == 200
    token = client.post(f"{url}lock/").json()["token"]
    assert LockToken.objects.using("other").get().token_str == token
    assert send().status_code == 423
    assert send(**with_token(VOID)).status_code == 412
    assert client.patch(url, {"title": "x"}, **with_token(token)).status_code == 200
    assert Article.objects.using("other").get().title == "x"
    assert client.delete(url, **with_token(token)).status_code == 204
    assert not Article.objects.using("other").exists()
    assert not LockToken.objects.using("other").exists()
    assert lock_row(twin).exists()


class ReadsElsewhere:
    """A router that reads articles from a copy."""

    def db_for_read(self, model, **hints):
        return "other" if model is Article else None

    def db_for_write(self, model, **hints):
        return "default" if model in (Article, LockToken) else None


def test_what_is_read_from_a_copy_is_locked_where_it_is_written(
    client, article, settings
):
    Article.objects.using("other").create(pk=article.pk, title="First")
    settings.DATABASE_ROUTERS = [ReadsElsewhere()]
    needs_the_lock(request(client, "patch", f"/api/articles/{article.pk}/"), article)
    assert Article.objects.using("default").get().title == "Second"
    assert not LockToken.objects.using("other").exists()


def test_locks_may_be_kept_in_another_database(client, article, settings):
    settings.DATABASE_ROUTERS = [LocksElsewhere()]
    url = f"/api/articles/{article.pk}/"
    headers = with_token(client.post(f"{url}lock/").json()["token"])
    assert not LockToken.objects.using("default").exists()
    assert client.patch(url, {"title": "Lost"}).status_code == 423
    assert client.patch(url, {"title": "Second"}, **headers).status_code == 200
    assert client.patch(url, {"title": "x" * 500}, **headers).status_code == 400
    assert client.delete(url, **headers).status_code == 204
    assert not LockToken.objects.using("other").exists()
