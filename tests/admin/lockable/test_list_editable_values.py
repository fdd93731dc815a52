"""Editing in the change list: values and fields of all kinds."""

import json
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath

import pytest
from django import forms
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile

from lock_tokens.admin import LockableModelAdmin
from tests.models import Document, Keyword, Sample, Story
from tests.support.admin_site import (
    LIST,
    StoryAdmin,
    bodies,
    form_of,
    list_of,
    messages_of,
)


def as_browsers_send(data):
    """Return a form's fields with the line ends that browsers give to all of them."""

    def ends(value):
        if isinstance(value, list):
            return [ends(each) for each in value]
        return value.replace("\r\n", "\n").replace("\n", "\r\n")

    return {name: ends(value) for name, value in data.items()}


@pytest.mark.parametrize(
    "body", ["one\ntwo", "one\r\ntwo", "one\rtwo", "one ", " one", "\none", "one\n"]
)
def test_line_ends_and_blanks_are_no_change(bob, stories, body):
    Story.objects.update(body=body)
    data = as_browsers_send(form_of(bob.get(LIST)))
    assert messages_of(bob.post(LIST, data, follow=True)) == []
    assert bodies() == [body] * 3
    page = bob.get(LIST)
    answer = bob.post(
        LIST, as_browsers_send(form_of(page, form__0__is_urgent="on")), follow=True
    )
    (success,) = messages_of(answer)
    assert success.startswith("1 story")
    assert Story.objects.get(is_urgent=True) == stories[0]
    assert bodies()[1:] == [body] * 2


UTC = timezone.utc
KINDS = {
    "text": ("one\ntwo ", "other"),
    "day": (date(2024, 1, 2), date(2025, 12, 31)),
    "moment": (
        datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2024, 7, 2, 3, 4, tzinfo=UTC),
    ),
    "time": (time(3, 4, 5, 99), time(12)),
    "duration": (timedelta(days=1, seconds=3, microseconds=5), timedelta(hours=1)),
    "price": (Decimal("1234.50"), Decimal("1000000")),
    "weight": (1234.5, 0.1),
    "number": (1234567, -1),
    "choice": (1000, 2000),
    "flag": (True, False),
    "maybe": (False, True),
    "data": ({"b": [1, None, "ü"], "a": 1.5}, ["x"]),
    "uid": (uuid.UUID(int=5), uuid.UUID(int=6)),
    "address": ("::ffff:10.0.0.1", "10.0.0.2"),
    "keyword": ("news", "sports"),
}
GERMAN = {"LANGUAGE_CODE": "de", "USE_THOUSAND_SEPARATOR": True}
NEPALI = {"LANGUAGE_CODE": "en-gb", "TIME_ZONE": "Asia/Kathmandu"}
TIMES = ["day", "moment", "time"]
NUMBERS = ["price", "weight", "number", "choice"]
# Where settings decide how a value is written, with these too.
PLACES = [
    ({}, [*KINDS]),
    (GERMAN, [*TIMES, *NUMBERS, "duration", "data"]),
    (NEPALI, TIMES),
    ({"USE_TZ": False}, TIMES),
]


def as_a_form_has_it(value):
    """Return what Django saves of a value in a row that is saved."""
    if isinstance(value, datetime | time):
        return value.replace(microsecond=0)
    return "one\r\ntwo" if value == "one\ntwo " else value


def values_of(kind):
    one, two = KINDS[kind]
    if kind == "keyword":
        return [Keyword.objects.get_or_create(name=name)[0] for name in (one, two)]
    if kind == "moment" and not settings.USE_TZ:
        return one.replace(tzinfo=None), two.replace(tzinfo=None)
    return one, two


@pytest.mark.matrix
@pytest.mark.parametrize("change", ["one to two", "two to one", "fill", "empty"])
@pytest.mark.parametrize(("place", "kinds"), PLACES, ids=str)
def test_fields_of_all_kinds_are_changed_refused_or_left_alone(
    bob, settings, serve, place, kinds, change
):
    """Each row of the list has a value in the field of one kind."""
    for name, value in place.items():
        setattr(settings, name, value)
    if change in ("fill", "empty"):
        kinds = [kind for kind in kinds if Sample._meta.get_field(kind).null]

    class Admin(LockableModelAdmin):
        list_display = ["pk", "name", *kinds]
        list_editable = ["name", *kinds]
        ordering = ["pk"]

        def get_changelist_form(self, request, **kwargs):
            # Numbers and dates are typed as the language has them.
            kwargs["localized_fields"] = "__all__"
            return super().get_changelist_form(request, **kwargs)

    serve(Admin, Sample)
    before, after = {}, {}
    for kind in kinds:
        one, two = values_of(kind)
        before[kind], after[kind] = {
            "one to two": (one, two),
            "two to one": (two, one),
            "fill": (None, one),
            "empty": (one, None),
        }[change]
    cells = tuple(f"form-{row}-{kind}" for row, kind in enumerate(kinds))

    def save(page, **more):
        data = as_browsers_send({**page, **more})
        return messages_of(bob.post(url, data, follow=True))

    def named(name):
        return {f"form-{row}-name": name for row in range(len(kinds))}

    def now():
        samples = Sample.objects.order_by("pk")
        return {
            kind: (sample.name, getattr(sample, kind))
            for kind, sample in zip(kinds, samples, strict=True)
        }

    def expected(name, values):
        return {kind: (name, values[kind]) for kind in kinds}

    url = list_of(Sample)
    for kind in kinds:
        Sample.objects.create(name="first", **{kind: after[kind]})
    page = form_of(bob.get(url))
    entered = {name: page[name] for name in page if name.startswith(cells)}
    for kind, sample in zip(kinds, Sample.objects.order_by("pk"), strict=True):
        Sample.objects.filter(pk=sample.pk).update(**{kind: before[kind]})
    page = form_of(bob.get(url))
    # Nothing was touched.
    assert save(page) == []
    assert now() == expected("first", before)
    # The cells beside them were changed.
    (message,) = save(page, **named("second"))
    assert f"{len(kinds)} samples" in message
    before = {kind: as_a_form_has_it(before[kind]) for kind in kinds}
    assert now() == expected("second", before)
    # The cells themselves were.
    page = form_of(bob.get(url))
    without = {name: page[name] for name in page if not name.startswith(cells)}
    (message,) = save(without, **entered)
    assert f"{len(kinds)} samples" in message
    after = {kind: as_a_form_has_it(after[kind]) for kind in kinds}
    assert now() == expected("second", after)
    # The list that was sent shows what is not there any more.
    messages = save(page, **named("third"))
    assert [("third" in message) for message in messages] == [True] * len(kinds)
    assert now() == expected("second", after)


class PathField(forms.CharField):
    """Of a project's own: its values are none that JSON has."""

    def prepare_value(self, value):
        return PurePosixPath(value) if isinstance(value, str) else value


def test_values_of_a_project_s_own_are_changed_refused_or_left_alone(
    bob, serve, stories
):
    class PathForm(forms.ModelForm):
        body = PathField()

    serve(
        StoryAdmin,
        list_editable=["body"],
        get_changelist_form=lambda *args, **kwargs: PathForm,
    )
    Story.objects.update(body="a/b")
    page = bob.get(LIST)
    assert messages_of(bob.send(page, follow=True)) == []
    (success,) = messages_of(bob.send(page, form__0__body="c", follow=True))
    assert success.startswith("1 story")
    assert bodies() == ["c", "a/b", "a/b"]
    (warning,) = messages_of(bob.send(page, form__0__body="d", follow=True))
    assert "“first”" in warning
    assert bodies() == ["c", "a/b", "a/b"]


IMPOSSIBLE = json.dumps({"name": "first", "day": "nonsense"})


@pytest.mark.parametrize("shown", [IMPOSSIBLE, "", "nonsense", "[]", "null", "{}"])
def test_a_list_that_claims_to_have_shown_what_cannot_be_is_refused(bob, serve, shown):
    """One that says nothing of what it showed works as in Django."""
    columns = ["name", "day"]
    serve(
        LockableModelAdmin, Sample, list_display=["pk", *columns], list_editable=columns
    )
    Sample.objects.create(name="first", day=date(2024, 1, 2))
    data = form_of(bob.get(list_of(Sample)), form__0__day="2025-01-01")
    data["initial-form-0-id"] = shown
    (message,) = messages_of(bob.post(list_of(Sample), data, follow=True))
    if shown == IMPOSSIBLE:
        assert "“first”" in message
        assert "2025-01-01" in message
        assert Sample.objects.get().day == date(2024, 1, 2)
    else:
        assert message.startswith("1 sample")
        assert Sample.objects.get().day == date(2025, 1, 1)


@pytest.fixture
def documents(settings, serve, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    serve(
        LockableModelAdmin,
        Document,
        list_display=["pk", "title", "file"],
        list_editable=["title", "file"],
        ordering=["pk"],
    )
    with_file, without = [Document.objects.create(title=title) for title in "ab"]
    with_file.file.save("old.txt", ContentFile(b"old"))
    return with_file, without


def files():
    paths = [document.file and document.file.path for document in ordered()]
    return [Path(path).read_bytes() if path else None for path in paths]


def ordered():
    return Document.objects.order_by("pk")


def test_rows_with_files_are_saved_and_left_alone(bob, documents):
    url = list_of(Document)
    assert messages_of(bob.send(bob.get(url), follow=True)) == []
    page = bob.get(url)
    answer = bob.send(page, form__0__title="A", form__1__title="B", follow=True)
    (success,) = messages_of(answer)
    assert success.startswith("2 documents")
    assert [document.title for document in ordered()] == ["A", "B"]
    assert files() == [b"old", None]


def test_a_file_is_put_into_a_row_of_the_list(bob, documents):
    new = {
        "form-0-file": SimpleUploadedFile("new.txt", b"new"),
        "form-1-file": SimpleUploadedFile("first.txt", b"first"),
    }
    (success,) = messages_of(bob.send(bob.get(list_of(Document)), **new, follow=True))
    assert success.startswith("2 documents")
    assert files() == [b"new", b"first"]


def test_a_list_with_an_older_file_does_not_bring_that_back(alice, bob, documents):
    page = bob.get(list_of(Document))
    new = SimpleUploadedFile("new.txt", b"new")
    assert alice.send(alice.open(documents[0]), file=new).status_code == 302
    bob.send(page, form__0__title="A")
    assert files() == [b"new", None]
