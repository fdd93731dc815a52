"""The admin of the locks: what it shows, what it keeps to itself, and releasing."""

import re
from datetime import datetime, timezone

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.urls import path

from lock_tokens.admin import LockTokenAdmin
from lock_tokens.exceptions import NoLockWarning, UnlockForbiddenError
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.signals import lock_released
from tests.models import Article, Draft, Label, Page, Plain, Story
from tests.support.admin_site import messages_of
from tests.support.helpers import age, expire, lock_row

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class PageAdmin(ModelAdmin):
    """An admin with a list alone."""

    def get_urls(self):
        return super().get_urls()[:1]


site = admin.AdminSite(name="newsroom")
site.register(LockToken, LockTokenAdmin)
site.register(Story)
site.register(Draft)
site.register(Label)
site.register(Page, PageAdmin)
urlpatterns = [path("admin/", site.urls)]

LIST = "/admin/lock_tokens/locktoken/"


def lock(obj, **options):
    LockableModel.lock(obj, **options)
    return LockToken.objects.get_for_object(obj)


def url(lock, view="change"):
    return f"{LIST}{lock.pk}/{view}/"


def rows(response):
    """Return the locks of a list, in its order."""
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def cells(response, name):
    """Return the cells of a column of a list, as HTML."""
    html = response.text
    return re.findall(rf'<t[dh] class="field-{name}[^"]*">(.*?)</t[dh]>', html)


@pytest.fixture
def story():
    return Story.objects.create(headline="Flood")


@pytest.fixture
def held(story, alice):
    return lock(story, user=alice)


@pytest.fixture
def staff(django_user_model):
    """Make a client of somebody with these permissions on lock tokens or stories."""

    def staff(*codenames):
        user = django_user_model.objects.create(username="staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return staff


@pytest.fixture
def chief(django_user_model):
    client = Client()
    chief = django_user_model.objects.create_superuser("chief")
    client.force_login(chief)
    return client


# What is shown


def test_the_list_says_who_holds_what_since_when_and_until_when(chief, held, settings):
    settings.TIME_ZONE = "UTC"
    LockToken.objects.update(
        locked_at=datetime(2030, 5, 6, 7, 8, tzinfo=timezone.utc),
        expires_at=datetime(2030, 5, 6, 8, 8, tzinfo=timezone.utc),
    )
    response = chief.get(LIST)
    assert cells(response, "locked_at") == ["May 6, 2030, 7:08 a.m."]
    assert cells(response, "expires_at") == ["May 6, 2030, 8:08 a.m."]
    assert cells(response, "locked_object_type") == ["Story"]
    assert cells(response, "holder") == ["Alice Liddell"]
    assert cells(response, "state") == [f'<a href="{url(held)}">Held</a>']
    # Times are shown as the site shows them.
    settings.TIME_ZONE = "Europe/Berlin"
    settings.LANGUAGE_CODE = "de"
    assert cells(chief.get(LIST), "locked_at") == ["6. Mai 2030 09:08"]
    assert "6. Mai 2030 09:08" in chief.get(url(held)).text


def test_the_state_is_told_by_the_database_s_clock(chief, held, monkeypatch):
    monkeypatch.setattr(LockToken, "has_expired", lambda lock: 1 / 0)
    assert "Held" in cells(chief.get(LIST), "state")[0]
    expire(Story.objects.get())
    assert "Expired" in cells(chief.get(LIST), "state")[0]
    assert "Expired" in chief.get(url(held)).text


def test_the_newest_lock_comes_first(chief):
    stories = [Story.objects.create(headline=str(number)) for number in range(3)]
    for seconds, story in zip((20, 30, 10), stories, strict=True):
        lock(story)
        age(story, seconds)
    newest = ["2", "0", "1"]
    assert [row.found.headline for row in rows(chief.get(LIST))] == newest
    for column in ("expires_at", "state"):
        order = LockTokenAdmin.list_display.index(column) + 1
        found = rows(chief.get(LIST, {"o": order}))
        assert [row.found.headline for row in found] == newest[::-1]


def test_the_detail_page_shows_the_same_and_offers_no_field(chief, held):
    page = chief.get(url(held)).text
    for text in ("Flood", "Story", "Alice Liddell", "Held"):
        assert text in page
    form = page[page.index('id="locktoken_form"') :]
    assert not re.search(r'<(input|textarea|select)(?![^>]*"csrf)', form)
    assert "_save" not in form
    assert url(held, "delete") in form


def test_nobody_adds_or_changes_a_lock(chief, held):
    assert chief.get(f"{LIST}add/").status_code == 403
    assert chief.post(f"{LIST}add/", {}).status_code == 403
    assert chief.post(url(held), {"locked_object_id": "9"}).status_code == 403
    assert f"{LIST}add/" not in chief.get(LIST).text
    assert LockToken.objects.get().locked_object_id == held.locked_object_id


@pytest.mark.parametrize(
    ("permission", "status"), [("view_locktoken", 200), ("change_story", 403)]
)
def test_to_see_the_locks_needs_a_permission(staff, held, permission, status):
    client = staff(permission)
    assert client.get(LIST).status_code == status
    assert client.get(url(held)).status_code == status
    client.logout()
    assert client.get(LIST).status_code == 302


def test_a_lock_without_a_user_and_one_whose_user_is_gone(chief, story):
    lock(story)
    assert cells(chief.get(LIST), "holder") == ["unknown"]
    lock_row(story).update(locked_by=999)
    assert cells(chief.get(LIST), "holder") == ["deleted (key 999)"]


# The link


@pytest.mark.parametrize("permission", ["view_story", "change_story", None])
def test_the_object_is_a_link_for_who_may_see_it(staff, held, story, permission):
    client = staff("view_locktoken", permission)
    name = "Flood"
    if permission:
        name = f'<a href="/admin/tests/story/{story.pk}/change/">{name}</a>'
    assert cells(client.get(LIST), "locked_object_link") == [name]
    assert name in client.get(url(held)).text


def test_the_object_is_no_link_where_the_admin_has_no_page_of_it(chief):
    lock(Article.objects.create(pk=1))  # not registered
    lock(Page.objects.create())  # registered without a change page
    shown = cells(chief.get(LIST), "locked_object_link")
    assert sorted(map(str, shown))[0] == "Article object (1)"
    assert not any("<a" in cell for cell in shown)


def test_a_key_with_characters_of_urls_makes_a_working_link(chief):
    label = Label.objects.create(name="a/b_c?")
    lock(label)
    (cell,) = cells(chief.get(LIST), "locked_object_link")
    link = re.search('href="(.*?)"', cell).group(1)
    assert chief.get(link).context["original"] == label


def test_an_object_is_called_by_its_key_when_its_own_name_is_empty(chief):
    story = Story.objects.create(headline="")
    lock(story)
    assert f">{story.pk}</a>" in cells(chief.get(LIST), "locked_object_link")[0]


def test_an_object_that_its_default_manager_hides_is_not_gone(chief):
    draft = Draft.objects.create(draft=False)
    lock(draft)
    assert str(draft) in cells(chief.get(LIST), "locked_object_link")[0]


def test_names_are_escaped(chief, alice):
    alice.first_name = "<i>Alice"
    alice.save()
    held = lock(Story.objects.create(headline="<script>"), user=alice)
    pages = [chief.get(LIST), chief.get(url(held)), chief.get(url(held, "delete"))]
    pages.append(chief.post(LIST, of_action([held])))
    for response in pages:
        page = response.text
        assert "&lt;script&gt;" in page
        assert "&lt;i&gt;Alice" in page
        assert "<script>" not in page
        assert "<i>Alice" not in page


def broken_locks():
    """Make locks whose objects cannot be had; return what the list says of each."""
    story = Story.objects.create(headline="Here")
    lock(story)
    gone = Story.objects.create(headline="Gone")
    lock(gone)
    key = gone.pk
    gone.delete()
    stories = ContentType.objects.get_for_model(Story)
    stale = ContentType.objects.create(app_label="former", model="thing")
    for content_type, text in (
        (stories, "no number"),
        (stories, "1" * 30),
        (stale, "7"),
        (ContentType.objects.get(model="translation"), "1,en"),
    ):
        LockToken.objects.create(
            locked_object_content_type=content_type, locked_object_id=text
        )
    return [
        f"deleted (key {text})" for text in (key, "no number", "1" * 30, "7", "1,en")
    ] + [f'<a href="/admin/tests/story/{story.pk}/change/">Here</a>']


def test_locks_of_what_is_gone_are_shown_with_its_key_and_can_be_released(chief):
    expected = broken_locks()
    response = chief.get(LIST)
    assert sorted(cells(response, "locked_object_link")) == sorted(expected)
    types = set(cells(response, "locked_object_type"))
    assert types == {"Story", "Thing", "Translation"}
    first, *others = rows(response)
    for row in (first, *others):
        for view in ("change", "history", "delete"):
            assert chief.get(url(row, view)).status_code == 200
    assert chief.post(url(first, "delete"), {"post": "yes"}).status_code == 302
    assert chief.post(LIST, of_action(others)).status_code == 200
    assert chief.post(LIST, of_action(others, post="yes")).status_code == 302
    assert not LockToken.objects.exists()


def test_a_lock_without_a_content_type_is_shown_and_released(chief, released):
    with connection.constraint_checks_disabled():
        broken = LockToken(locked_object_content_type_id=9999, locked_object_id="5")
        broken.save_base(force_insert=True)
    response = chief.get(LIST)
    assert cells(response, "locked_object_type") == ["Unknown type (key 9999)"]
    assert cells(response, "locked_object_link") == ["deleted (key 5)"]
    assert chief.get(url(broken)).status_code == 200
    assert chief.get(url(broken, "delete")).status_code == 200
    answer, heard = released(lambda: chief.post(url(broken, "delete"), {"post": "yes"}))
    assert answer.status_code == 302
    assert heard == [(None, "5")]
    assert not LockToken.objects.exists()


# What is found


def test_filters_by_state(chief, held, story):
    expired = lock(Story.objects.create(headline="Fire"))
    expire(expired.locked_object)
    assert rows(chief.get(LIST, {"state": "held"})) == [held]
    assert rows(chief.get(LIST, {"state": "expired"})) == [expired]
    assert rows(chief.get(LIST, {"state": "nonsense"})) == []


def test_filters_by_model(chief, held):
    lock(Label.objects.create(name="a"))
    of_story, of_others = (
        str(ContentType.objects.get_for_model(model).pk) for model in (Story, Plain)
    )
    assert rows(chief.get(LIST, {"model": of_story})) == [held]
    assert rows(chief.get(LIST, {"model": of_others})) == []
    response = chief.get(LIST)
    assert f"?model={of_story}" in response.text
    assert f"?model={of_others}" not in response.text
    assert len(rows(response)) == 2


def test_filters_by_holder(chief, held, alice, django_user_model):
    unknown = lock(Story.objects.create(headline="Fire"))
    gone = Story.objects.create(headline="Storm")
    lost = lock(gone)
    lock_row(gone).update(locked_by=999)
    assert rows(chief.get(LIST, {"holder": alice.pk})) == [held]
    assert rows(chief.get(LIST, {"holder": ""})) == [unknown]
    assert rows(chief.get(LIST, {"holder": 999})) == [lost]
    nobody = django_user_model.objects.create(username="bob")
    assert rows(chief.get(LIST, {"holder": nobody.pk})) == []
    assert rows(chief.get(LIST, {"holder": "nonsense"})) == []
    holders = chief.get(LIST).context["cl"].filter_specs[2].lookup_choices
    assert [name for value, name in holders] == [
        "Alice Liddell",
        "deleted (key 999)",
        "unknown",
    ]


def test_filters_work_together_and_count(chief, held, alice):
    expired = Label.objects.create(name="a")
    lock(expired, user=alice)
    expire(expired)
    response = chief.get(LIST, {"state": "held", "holder": alice.pk, "q": "alice"})
    assert rows(response) == [held]
    page = chief.get(f"{LIST}?_facets=True").text
    assert "Held (1)" in page
    assert "Expired (1)" in page
    assert "Alice Liddell (2)" in page


def test_without_locks_there_is_nothing_to_filter_by(chief, alice):
    names = [spec.title for spec in chief.get(LIST).context["cl"].filter_specs]
    assert names == ["state"]
    assert rows(chief.get(LIST, {"holder": alice.pk})) == []


class UsersElsewhere:
    label = "auth.User"

    def db_for_read(self, model, **hints):
        return "other" if model._meta.label == self.label else None

    db_for_write = db_for_read


class LocksElsewhere(UsersElsewhere):
    label = "lock_tokens.LockToken"


@pytest.mark.django_db(databases=["default", "other"])
def test_the_users_may_be_in_another_database(settings, django_user_model):
    settings.DATABASE_ROUTERS = [UsersElsewhere()]
    bob = django_user_model.objects.create(username="bob", is_staff=True)
    assert bob._state.db == "other"
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("chief"))
    held = lock(Story.objects.create(headline="Flood"), user=bob)
    assert cells(client.get(LIST), "holder") == ["bob"]
    assert rows(client.get(LIST, {"q": "bob", "holder": bob.pk})) == [held]
    assert "bob" in client.get(url(held)).text


@pytest.mark.django_db(databases=["default", "other"])
def test_the_locks_may_be_in_another_database(settings, chief, alice):
    settings.DATABASE_ROUTERS = [LocksElsewhere()]
    held = lock(Story.objects.create(headline="Flood"), user=alice)
    assert held._state.db == "other"
    response = chief.get(LIST, {"q": "alice", "state": "held"})
    assert rows(response) == [held]
    assert "Flood" in cells(response, "locked_object_link")[0]
    chief.post(url(held, "delete"), {"post": "yes"})
    assert not LockToken.objects.exists()
    assert len(log()) == 2


# Tokens


def test_no_page_shows_a_token(chief, held):
    token = held.token_str
    pages = [
        chief.get(LIST),
        chief.get(LIST, {"q": token[:8]}),
        chief.get(url(held)),
        chief.get(url(held, "history")),
        chief.get(url(held, "delete")),
        chief.post(LIST, of_action([held])),
        chief.post(LIST, of_action([held], post="yes"), follow=True),
    ]
    for response in pages:
        assert response.status_code == 200
        assert token not in response.text
    for entry in LogEntry.objects.all():
        assert token not in f"{entry.object_repr} {entry.change_message}"


def test_search_finds_no_token(chief, held):
    assert rows(chief.get(LIST, {"q": held.token_str})) == []
    assert rows(chief.get(LIST, {"q": held.token_str[:8]})) == []


@pytest.mark.parametrize(
    "lookup",
    [
        "token_str",
        "token_str__exact",
        "token_str__startswith",
        "token_str__regex",
        "token_str__in",
        "locked_object_content_type__locktoken__token_str__startswith",
        "locked_by__password__startswith",
    ],
)
def test_no_url_asks_for_a_token(chief, held, lookup):
    assert chief.get(LIST, {lookup: held.token_str}).status_code == 400


def test_no_token_is_a_key(chief, held):
    by_token = f"{LIST}{held.token_str}"
    for page in (LIST, f"{by_token}/change/", f"{by_token}/delete/"):
        assert chief.get(page, {"_to_field": "token_str"}).status_code == 400


def test_no_column_sorts_by_token(chief, held):
    """Else a lock of one's own, whose token one knows, would find another's."""
    orders = [f"{sign}{column}" for sign in ("", "-") for column in range(12)]
    for order in orders:
        response = chief.get(LIST, {"o": order})
        assert "token_str" not in str(response.context["cl"].queryset.query.order_by)


def test_a_url_may_ask_for_what_is_shown(chief, held):
    found = chief.get(LIST, {"locked_object_id": held.locked_object_id})
    assert rows(found) == [held]


# Releasing


def of_action(locks, **more):
    """Return what the list posts, and with ``post`` the page that asks first."""
    chosen = {"action": "delete_selected", "_selected_action": [o.pk for o in locks]}
    return {**chosen, **more} if more else {**chosen, "index": 0}


@pytest.fixture
def released(django_capture_on_commit_callbacks):
    """Return what ``lock_released`` tells while a function runs."""

    def released(function):
        heard = []

        def hear(**kwargs):
            heard.append((kwargs["sender"], kwargs["object_id"]))

        lock_released.connect(hear)
        with django_capture_on_commit_callbacks(execute=True):
            response = function()
        lock_released.disconnect(hear)
        return response, heard

    return released


def log():
    return [
        (entry.content_type.model, entry.object_id, entry.action_flag)
        for entry in LogEntry.objects.order_by("pk")
    ]


def test_the_detail_page_releases_after_asking(chief, held, story, released):
    page = chief.get(url(held, "delete")).text
    assert "Release the lock?" in page
    assert "Only the lock is released. The object itself does not change." in page
    assert "The lock of Alice Liddell on story “Flood”" in page
    assert LockableModel.is_locked(story)
    response, heard = released(
        lambda: chief.post(url(held, "delete"), {"post": "yes"}, follow=True)
    )
    assert response.redirect_chain == [(LIST, 302)]
    assert messages_of(response) == [f"The lock on “{held}” was released."]
    with pytest.warns(NoLockWarning):
        assert not LockableModel.check_lock(story, held.token_str)
    assert heard == [(Story, str(story.pk))]
    assert log() == [
        ("locktoken", str(held.pk), DELETION),
        ("story", str(story.pk), CHANGE),
    ]
    history = chief.get(f"/admin/tests/story/{story.pk}/history/").text
    assert "Released the lock of Alice Liddell." in history
    assert "chief" in history


def test_the_list_releases_after_asking(chief, held, story, released):
    assert "Release selected locks" in chief.get(LIST).text
    assert "Delete selected" not in chief.get(LIST).text
    also = lock(Label.objects.create(name="a"))
    page = chief.post(LIST, of_action([held, also])).text
    assert "Release the selected locks?" in page
    assert "Only the lock is released. The object itself does not change." in page
    assert "The lock of Alice Liddell on story “Flood”" in page
    assert "The lock of somebody on label “Label object (a)”" in page
    assert LockToken.objects.count() == 2
    response, heard = released(
        lambda: chief.post(LIST, of_action([held, also], post="yes"), follow=True)
    )
    assert messages_of(response) == ["2 locks were released."]
    assert not LockToken.objects.exists()
    assert sorted(heard, key=str) == [(Label, "a"), (Story, str(story.pk))]
    assert sorted(log()) == sorted(
        [
            ("label", "a", CHANGE),
            ("locktoken", str(held.pk), DELETION),
            ("locktoken", str(also.pk), DELETION),
            ("story", str(story.pk), CHANGE),
        ]
    )
    entry = LogEntry.objects.get(content_type__model="label")
    assert entry.change_message == "Released the lock of somebody."


def test_the_list_asks_about_a_lock_whose_object_and_user_are_gone(chief, story):
    key = story.pk
    orphan = lock(story)
    lock_row(story).update(locked_by=999)
    story.delete()
    page = chief.post(LIST, of_action([orphan])).text
    assert f"The lock of somebody on story “{key}”" in page


def test_to_release_needs_a_permission(staff, held):
    client = staff("view_locktoken", "change_locktoken", "change_story")
    assert url(held, "delete") not in client.get(url(held)).text
    assert "delete_selected" not in client.get(LIST).text
    assert client.get(url(held, "delete")).status_code == 403
    assert client.post(url(held, "delete"), {"post": "yes"}).status_code == 403
    client.post(LIST, of_action([held], post="yes"))
    assert LockToken.objects.get() == held
    assert log() == []
    permission = Permission.objects.get(codename="delete_locktoken")
    User.objects.get(username="staff").user_permissions.add(permission)
    client.post(url(held, "delete"), {"post": "yes"})
    assert not LockToken.objects.exists()


def test_a_lock_that_ended_before_the_click_is_not_found(chief, held, story, alice):
    successor = LockToken.objects.take_over(story, user=alice)
    assert successor.pk != held.pk
    for view in ("change", "delete", "history"):
        response = chief.get(url(held, view), follow=True)
        assert response.redirect_chain == [(LIST, 302)]
        (text,) = messages_of(response)
        assert text.startswith("This lock no longer exists")
    chief.post(url(held, "delete"), {"post": "yes"})
    assert LockToken.objects.get() == successor


@pytest.fixture
def taken_meanwhile(held, alice, monkeypatch):
    """Let the lock be taken over after the request has read it."""
    is_permitted = LockTokenAdmin.has_delete_permission

    def ask_and_take_over(self, request, obj=None):
        if obj and obj.pk == held.pk:
            assert "post" in request.POST
            LockToken.objects.take_over(held.locked_object, user=alice)
        return is_permitted(self, request, obj)

    monkeypatch.setattr(LockTokenAdmin, "has_delete_permission", ask_and_take_over)


def test_a_lock_that_was_taken_meanwhile_stays(chief, held, taken_meanwhile):
    response = chief.post(url(held, "delete"), {"post": "yes"}, follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert messages_of(response)[0].startswith("This lock no longer exists")
    assert LockToken.objects.count() == 1
    assert log() == []


def test_the_action_leaves_locks_alone_that_were_taken_meanwhile(
    chief, held, taken_meanwhile
):
    free = lock(Story.objects.create(headline="Fire"))
    chosen = of_action([held, free], post="yes")
    gone = lock(Story.objects.create(headline="Storm"))
    chosen["_selected_action"].append(gone.pk)
    gone.delete()
    response = chief.post(LIST, chosen, follow=True)
    done, left = messages_of(response)
    assert done == "1 lock was released."
    assert left.startswith(
        "2 selected locks were not released because they had already ended or changed."
    )
    successor = LockToken.objects.get()
    assert successor.locked_object == held.locked_object
    assert successor.token_str != held.token_str
    assert log() == [
        ("story", free.locked_object_id, CHANGE),
        ("locktoken", str(free.pk), DELETION),
    ]


def test_a_lock_that_left_the_filtered_list_is_not_released(chief, held, story):
    """Who releases what has expired does not mean what was revived meanwhile."""
    expire(story)
    page = f"{LIST}?state=expired"
    assert "Flood" in chief.post(page, of_action([held])).text
    held.renew()
    response = chief.post(page, of_action([held], post="yes"), follow=True)
    (text,) = messages_of(response)
    assert text.startswith(
        "1 selected lock was not released because it had already ended or changed."
    )
    assert LockableModel.is_locked(story)


class OwnLocksAdmin(LockTokenAdmin):
    """Lets everybody release what is theirs."""

    def has_delete_permission(self, request, obj=None):
        return obj is None or obj.locked_by == request.user


@pytest.fixture
def post(chief, rf):
    """Return what the chief posts, for a model admin's methods."""

    def post(data=None):
        request = rf.post("/", data)
        request.user = User.objects.get(username="chief")
        return request

    return post


def test_a_project_may_permit_by_lock(held, post):
    locks = OwnLocksAdmin(LockToken, site)
    request = post(of_action([held], post="yes"))
    queryset = locks.get_queryset(request)
    with pytest.raises(PermissionDenied):
        locks.delete_selected(request, queryset)
    assert LockToken.objects.get() == held
    response = locks.delete_selected(post(of_action([held])), queryset)
    assert response.context_data["perms_lacking"] == {"lock token"}
    assert response.context_data["title"] == "You cannot release these locks"


def test_other_actions_release_through_the_manager(held, story, post, released):
    locks = LockTokenAdmin(LockToken, site)
    queryset = locks.get_queryset(post())
    ended = lock(Story.objects.create(headline="Storm"))
    assert len(queryset) == 2  # reads them
    ended.delete()
    _, heard = released(lambda: locks.delete_queryset(post(), queryset))
    assert heard == [(Story, str(story.pk))]
    assert not LockToken.objects.exists()


def test_a_row_from_elsewhere_is_released_as_well(held, story, post):
    locks = LockTokenAdmin(LockToken, site)
    locks.delete_model(post(), LockToken.objects.get())
    assert log() == [("story", str(story.pk), CHANGE)]
    with pytest.raises(UnlockForbiddenError):
        locks.delete_model(post(), held)


# Queries


KINDS = [(Story, "headline"), (Label, "name"), (Article, "title")]


@pytest.fixture(params=[3, 100])
def count(request):
    """Lock so many objects of three models by as many users."""
    for number in range(request.param):
        user = User.objects.create(username=f"user{number}")
        model, field = KINDS[number % 3]
        lock(model.objects.create(**{field: str(number)}), user=user)
    ContentType.objects.clear_cache()
    return request.param


def test_the_list_makes_as_many_queries_for_any_number_of_rows(
    chief, count, django_assert_num_queries
):
    # Session and user; models and holders (2) to filter by; how many are found, and
    # how many there are; locks, holders and models; objects of three models.
    with django_assert_num_queries(13):
        response = chief.get(LIST)
    assert len(rows(response)) == count
    with django_assert_num_queries(15):  # and whom to search among (2)
        response = chief.get(LIST, {"q": "user"})
    assert len(rows(response)) == count


def test_a_reader_s_list_too(staff, count, django_assert_num_queries):
    client = staff("view_locktoken", "view_story")
    with django_assert_num_queries(15):  # and permissions: the user's, the groups'
        response = client.get(LIST)
    assert len(rows(response)) == count


def test_to_ask_about_many_takes_as_many_queries_as_about_few(
    chief, count, django_assert_num_queries
):
    chosen = of_action(LockToken.objects.all())
    # As the list; then the filters' once more, and the chosen with their details.
    with django_assert_num_queries(22):
        response = chief.post(LIST, chosen)
    assert response.text.count("The lock of user") == count


def test_the_detail_page_makes_few_queries(chief, held, django_assert_num_queries):
    chief.get(url(held))  # warms Django's cache of content types
    # Session and user; lock, holder, model, object.
    with django_assert_num_queries(6):
        assert chief.get(url(held)).status_code == 200
    with django_assert_num_queries(6):
        assert chief.get(url(held, "delete")).status_code == 200


def test_the_checks_of_the_admin_pass():
    assert LockTokenAdmin(LockToken, site).check() == []
