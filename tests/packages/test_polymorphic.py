"""django-polymorphic: the list of a parent shows objects that are edited as children."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models

from lock_tokens.admin import LockableModelAdmin, LockStateFilter
from lock_tokens.models import LockToken
from lock_tokens.querysets import live_lock
from tests.packages import needs
from tests.support.admin_site import (
    act,
    buttons_of,
    form_of,
    holder_of,
    list_of,
    messages_of,
    new_site,
    state_of,
    urls_of_site,
)

needs("polymorphic", "tests.packages")

from polymorphic.admin import (  # noqa: E402
    PolymorphicChildModelAdmin,
    PolymorphicInlineSupportMixin,
    PolymorphicParentModelAdmin,
    StackedPolymorphicInline,
)
from polymorphic.models import PolymorphicModel  # noqa: E402


class Play(models.Model):
    title = models.CharField(max_length=50)


class Piece(PolymorphicModel):
    play = models.ForeignKey(Play, models.CASCADE, null=True, blank=True)
    title = models.CharField(max_length=50)

    def __str__(self):
        return self.title


class Song(Piece):
    tune = models.CharField(max_length=50, default="A tune")


class Speech(Piece):
    words = models.CharField(max_length=50, default="Some words")


class PieceAdmin(LockableModelAdmin, PolymorphicParentModelAdmin):
    base_model = Piece
    child_models = [Song, Speech]
    list_display = ["pk", "title", "lock_state"]
    list_editable = ["title"]
    list_filter = [LockStateFilter]
    ordering = ["pk"]
    actions = ["shout"]

    def shout(self, request, queryset):
        queryset.update(title="LOUD")


class ChildAdmin(LockableModelAdmin, PolymorphicChildModelAdmin):
    base_model = Piece


class SongInline(StackedPolymorphicInline.Child):
    model = Song


class SpeechInline(StackedPolymorphicInline.Child):
    model = Speech


class PieceInline(StackedPolymorphicInline):
    model = Piece
    child_inlines = [SongInline, SpeechInline]


class PlayAdmin(PolymorphicInlineSupportMixin, LockableModelAdmin):
    inlines = [PieceInline]


@pytest.fixture(autouse=True)
def served(settings):
    site = new_site()
    site.register([Song, Speech], ChildAdmin)
    site.register(Piece, PieceAdmin)
    site.register(Play, PlayAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)


@pytest.fixture
def play(db):
    return Play.objects.create(title="The play")


@pytest.fixture
def song(play):
    return Song.objects.create(title="The song", play=play)


@pytest.fixture
def speech(play):
    return Speech.objects.create(title="The speech", play=play)


def as_parent(obj):
    return Piece.objects.non_polymorphic().get(pk=obj.pk)


def title(obj):
    return as_parent(obj).title


def test_an_object_has_one_lock_as_parent_and_as_child(alice, song):
    alice.open(song)
    assert holder_of(as_parent(song)) == alice.user
    lock_key = LockToken.objects.key_of(song)
    assert LockToken.objects.key_of(as_parent(song)) == lock_key
    assert LockToken.objects.key_of_pk(Piece, song.pk) == lock_key
    assert LockToken.objects.key_of_pk(Song, str(song.pk)) == lock_key


def test_the_api_knows_the_lock_of_an_object_by_its_parent_too(alice, bob, song):
    alice.open(song)
    answer = bob.post(f"/locks/packages/piece/{song.pk}/")
    assert answer.status_code == 403
    assert LockToken.objects.count() == 1


def test_the_page_of_the_parent_is_locked_with_that_of_the_child(alice, bob, song):
    alice.open(song)
    assert state_of(bob.open(as_parent(song))) == "locked"
    assert alice.send(alice.open(as_parent(song)), title="Mine").status_code == 302
    assert title(song) == "Mine"


def test_the_parents_list_says_who_edits_and_is_filtered_by_that(
    alice, bob, song, speech
):
    alice.open(song)
    page = bob.get(list_of(Piece)).text
    assert page.count("Alice Writer, since") == 1
    for lock, titles in (("locked", ["The song"]), ("mine", [])):
        changes = bob.get(list_of(Piece), {"lock": lock}).context["cl"]
        assert [row.title for row in changes.result_list] == titles
    assert Song.objects.filter(live_lock(Song)).get() == song
    assert not Speech.objects.filter(live_lock(Speech))


@pytest.mark.parametrize("is_atomic", [False, True])
def test_actions_of_the_parents_list_leave_out_what_another_edits(
    alice, bob, song, speech, monkeypatch, is_atomic
):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", is_atomic)
    alice.open(song)
    page = act(bob, "shout", [song, speech], url=list_of(Piece))
    assert any("“The song” (Alice Writer" in text for text in messages_of(page))
    assert (title(song), title(speech)) == ("The song", "LOUD")


def test_the_parents_list_deletes_nothing_that_another_edits(alice, bob, song, speech):
    alice.open(song)
    act(bob, "delete_selected", [song, speech], url=list_of(Piece), post="yes")
    assert list(Piece.objects.all()) == [song]


def test_the_parents_list_saves_no_row_that_another_edits(alice, bob, song, speech):
    page = bob.get(list_of(Piece))
    alice.open(song)
    sent = form_of(page, form__0__title="Bob's song", form__1__title="Bob's speech")
    answer = bob.post(list_of(Piece), sent, follow=True)
    assert any("You entered" in text for text in messages_of(answer))
    assert (title(song), title(speech)) == ("The song", "Bob's speech")


def test_an_object_is_deleted_from_the_parents_page_unless_another_edits_it(
    alice, bob, song, speech
):
    alice.open(speech)
    page = bob.open(as_parent(speech), "delete")
    bob.post(page.wsgi_request.path, {"post": "yes"})
    page = alice.open(as_parent(song), "delete")
    assert state_of(bob.open(song)) == "locked"
    assert alice.send(page, post="yes").status_code == 302
    assert list(Piece.objects.all()) == [speech]
    assert LockToken.objects.get().locked_object == speech


@pytest.mark.parametrize("model", [None, Play])
def test_a_row_of_no_known_type_has_a_lock_of_the_parent(song, model):
    content_type = model and ContentType.objects.get_for_model(model)
    Piece.objects.non_polymorphic().update(polymorphic_ctype=content_type)
    lock_key = LockToken.objects.key_of(as_parent(song))
    assert lock_key.model is Piece


def test_inlines_of_a_locked_page_have_no_inputs(alice, bob, play, song, speech):
    assert form_of(alice.open(play))["piece_set-0-title"] == ["The song"]
    page = bob.open(play)
    assert state_of(page) == "locked"
    for text in ("The song", "A tune", "The speech", "Some words"):
        assert text in page.text
    fields = [name.rpartition("-")[2] for name in form_of(page)]
    assert not {"title", "tune", "words", "DELETE"} & {*fields}
    assert "__prefix__" not in page.text
    assert "_save" not in buttons_of(page)


def test_inlines_are_saved_by_who_holds_the_lock(alice, play, song, speech):
    page = alice.open(play)
    answer = alice.send(page, piece_set__0__title="Mine", piece_set__0__tune="New")
    assert answer.status_code == 302
    assert (title(song), title(speech)) == ("Mine", "The speech")
