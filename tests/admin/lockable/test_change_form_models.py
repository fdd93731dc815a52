"""Change pages of models and keys of all kinds."""

import uuid

import pytest
from django import forms

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.models import LockToken
from tests.models import Article, ArticleProxy, Desk, Feature, Label, Page, Plain, Shift
from tests.support.admin_site import (
    assert_refused,
    form_of,
    holder_of,
    messages_of,
    standing_token,
    state_of,
    token_of,
    url_of,
)
from tests.support.helpers import expire


def opens_saves_and_refuses(alice, bob, obj, field, **query):
    """Go through the life of a page, whatever the object's model."""
    url = url_of(obj, **query)
    page = alice.get(url)
    assert state_of(page) == "held"
    assert holder_of(obj) == alice.user
    assert state_of(bob.get(url)) == "locked"
    assert alice.send(page, "_continue", **{field: "Kept"}).status_code == 302
    assert getattr(type(obj).objects.get(pk=obj.pk), field) == "Kept"
    assert holder_of(obj) == alice.user
    expire(obj)
    assert state_of(bob.get(url)) == "held"
    refused = alice.send(page, **{field: "Stale"})
    assert refused.status_code == 403
    assert form_of(refused)[field] == ["Stale"]
    assert getattr(type(obj).objects.get(pk=obj.pk), field) == "Kept"
    assert bob.send(bob.get(url), **{field: "Theirs"}).status_code == 302
    assert getattr(type(obj).objects.get(pk=obj.pk), field) == "Theirs"
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("model", [Article, ArticleProxy, Page, Plain, Feature])
def test_models_of_all_kinds(alice, bob, model):
    obj = model.objects.create(title="As it was")
    opens_saves_and_refuses(alice, bob, obj, "title")


# An AUTO_INCREMENT column has no negative keys.
@pytest.mark.parametrize(
    "key", [pytest.param(-1, marks=pytest.mark.only_on("sqlite", "postgresql")), 2**62]
)
def test_integer_keys_at_the_edges(alice, bob, key):
    opens_saves_and_refuses(alice, bob, Plain.objects.create(pk=key), "title")


class NoteForm(forms.ModelForm):
    note = forms.CharField(required=False)


class NamedAdmin(LockableModelAdmin):
    """The key of a label can be read, and a note is what is edited."""

    form = NoteForm
    readonly_fields = ["name"]


@pytest.mark.parametrize(
    "name", ["a/b", "a_b", "_2F", "a b&c=d?e#f", 'quo"te', "ünïcödé", "<b>", "a:b;c"]
)
def test_text_keys_that_the_address_has_to_quote(alice, bob, serve, name):
    serve(NamedAdmin, Label)
    label = Label.objects.create(name=name)
    page = alice.open(label)
    assert state_of(page) == "held"
    assert holder_of(label) == alice.user
    assert state_of(bob.open(label)) == "locked"
    refused = bob.post(url_of(label), {"_save": "1"})
    assert refused.status_code in (302, 403)
    assert standing_token(label) == token_of(page)
    assert alice.send(page).status_code == 302
    assert not LockToken.objects.exists()


def test_a_uuid_has_one_lock_however_it_is_spelled(alice, bob):
    key = uuid.uuid4()
    page = Page.objects.create(pk=key, title="As it was")
    assert state_of(alice.get(f"/admin/tests/page/{key}/change/")) == "held"
    assert state_of(bob.get(f"/admin/tests/page/{key.hex.upper()}/change/")) == "locked"
    assert LockToken.objects.count() == 1
    assert holder_of(page) == alice.user


def test_a_key_that_no_lock_can_have_is_edited_as_in_django_with_a_warning(alice):
    label = Label.objects.create(name="x" * 256)
    page = alice.open(label)
    assert page.status_code == 200
    assert "lock_page" not in page.context
    assert any("cannot be locked" in message for message in messages_of(page))
    assert alice.send(page).status_code == 302
    assert not LockToken.objects.exists()


def test_an_object_that_is_asked_for_by_another_field(alice, bob):
    desk = Desk.objects.create(name="sports", telephone="1")
    Shift.objects.create(desk=desk)
    url = "/admin/tests/desk/sports/change/?_to_field=name"
    page = alice.get(url)
    assert state_of(page) == "held"
    assert holder_of(desk) == alice.user
    assert state_of(bob.get(url)) == "locked"
    assert state_of(bob.open(desk)) == "locked"
    expire(desk)
    bob.get(url)
    refused = alice.send(page, telephone="2")
    assert_refused(refused, telephone="2")
    expire(desk)
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    assert alice.send(again).status_code == 302
    assert Desk.objects.get().telephone == "2"
    assert not LockToken.objects.exists()


def test_a_field_that_may_not_be_asked_for_locks_nothing(alice, story):
    url = url_of(story, _to_field="body")
    assert alice.get(url).status_code == 400
    assert not LockToken.objects.exists()


def test_save_as_new_gives_up_what_was_asked_for_by_another_field(alice, serve):
    serve(LockableModelAdmin, Desk, Shift, save_as=True)
    Desk.objects.create(name="sports")
    page = alice.get("/admin/tests/desk/sports/change/?_to_field=name")
    assert alice.send(page, "_saveasnew", name="culture").status_code == 302
    assert Desk.objects.count() == 2
    assert not LockToken.objects.exists()


class OtherDatabaseAdmin(LockableModelAdmin):
    """As Django's documentation has it for several databases."""

    def save_model(self, request, obj, form, change):
        obj.save(using="other")

    def get_queryset(self, request):
        return super().get_queryset(request).using("other")


@pytest.mark.django_db(databases=["default", "other"])
def test_an_object_of_another_database(alice, bob, serve):
    serve(OtherDatabaseAdmin, Plain)
    plain = Plain.objects.using("other").create(title="As it was")
    same_key = Plain.objects.create(pk=plain.pk, title="Default")
    page = alice.open(plain)
    assert state_of(page) == "held"
    assert "As it was" in page.text
    # The API would find the one that has the same key in its own database.
    assert not page.context["lock_page"].has_client
    assert "lock_tokens/page.js" not in page.text
    assert LockToken.objects.using("other").get().locked_by_id == alice.user.pk
    assert state_of(bob.open(plain)) == "locked"
    assert alice.send(page, title="New").status_code == 302
    assert Plain.objects.using("other").get().title == "New"
    assert not LockToken.objects.using("other").exists()
    refused = alice.send(page, title="Stale")
    assert_refused(refused, title="Stale")
    assert Plain.objects.using("other").get().title == "New"
    same_key.refresh_from_db()
    assert same_key.title == "Default"
