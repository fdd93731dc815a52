"""django-nested-admin: rows within rows."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    buttons_of,
    form_of,
    state_of,
    take_and_leave,
)

needs("nested_admin", "tests.packages")

from nested_admin.nested import (  # noqa: E402
    NestedModelAdmin,
    NestedStackedInline,
    NestedTabularInline,
)


class Book(models.Model):
    title = models.CharField(max_length=50)


class Chapter(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    title = models.CharField(max_length=50)


class Section(models.Model):
    chapter = models.ForeignKey(Chapter, models.CASCADE)
    title = models.CharField(max_length=50)


class SectionInline(NestedTabularInline):
    model = Section


class ChapterInline(NestedStackedInline):
    model = Chapter
    inlines = [SectionInline]
    extra = 1


class BookAdmin(LockableModelAdmin, NestedModelAdmin):
    inlines = [ChapterInline]


@pytest.fixture(autouse=True)
def served(serve):
    serve(BookAdmin, Book)


@pytest.fixture
def book(db):
    book = Book.objects.create(title="Alice in Wonderland")
    chapter = Chapter.objects.create(book=book, title="Down the Rabbit-Hole")
    Section.objects.create(chapter=chapter, title="The bank")
    return book


ROW = "chapter_set-0-section_set-0-title"


def test_who_holds_the_lock_saves_a_row_within_a_row(alice, book):
    answer = alice.send(alice.open(book), **{ROW: "The river bank"})
    assert answer.status_code == 302
    assert Section.objects.get().title == "The river bank"


def test_a_locked_page_has_no_fields_at_any_depth(alice, bob, book):
    alice.open(book)
    page = bob.open(book)
    assert state_of(page) == "locked"
    assert b"The bank" in page.content
    assert not [name for name in form_of(page) if name.endswith("-title")]
    assert "_save" not in buttons_of(page)
    assert not [name for name in form_of(page) if name.endswith("-DELETE")]


def test_a_refused_page_keeps_the_text_of_a_row_within_a_row(alice, book):
    alice.send_late(alice.open(book), **{ROW: "The river bank"})
    assert Section.objects.get().title == "The bank"


def test_a_refused_page_keeps_the_text_of_a_row_that_is_gone(alice, book):
    page = alice.open(book)
    take_and_leave(book)
    Section.objects.all().delete()
    answer = alice.send(page, **{ROW: "The river bank"})
    assert answer.status_code == 403
    assert form_of(answer)[ROW] == ["The river bank"]
    assert alice.send(alice.send(answer, "_lock_again")).status_code == 302
    assert Section.objects.get().title == "The river bank"
