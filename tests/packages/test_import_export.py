"""django-import-export: a file is imported over rows, and rows are exported."""

import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.integrations.import_export import LockableResourceMixin
from lock_tokens.models import LockToken
from tests.packages import needs
from tests.support.admin_site import (
    act,
    assert_refused,
    buttons_of,
    form_of,
    list_of,
    state_of,
    take_and_leave,
)

needs("import_export", "tests.packages")

from import_export.admin import ImportExportActionModelAdmin  # noqa: E402
from import_export.fields import Field  # noqa: E402
from import_export.resources import ModelResource  # noqa: E402
from import_export.widgets import BooleanWidget  # noqa: E402
from tablib import Dataset  # noqa: E402


class Author(models.Model):
    name = models.CharField(max_length=50)
    about = models.CharField(max_length=50, default="A poet")
    born = models.IntegerField(null=True, blank=True)

    def __str__(self):
        return self.name


class Poem(models.Model):
    author = models.ForeignKey(Author, models.CASCADE)
    title = models.CharField(max_length=50)

    def __str__(self):
        return self.title


class AuthorResource(LockableResourceMixin, ModelResource):
    gone = Field(column_name="gone", widget=BooleanWidget())

    class Meta:
        model = Author
        fields = ["id", "name", "born", "gone"]

    def for_delete(self, row, instance):
        return row.get("gone") == "1"


def resource(**options):
    """Return a resource that has these options, and no more fields than a name."""
    meta = type("Meta", (), {"model": Author, "fields": ["id", "name"], **options})
    return type("Resource", (AuthorResource,), {"Meta": meta})


ByName = resource(import_id_fields=["name"])
InBulk = resource(use_bulk=True)
Adding = resource(force_init_instance=True)


class AuthorAdmin(LockableModelAdmin, ImportExportActionModelAdmin):
    resource_classes = [AuthorResource]
    lock_exempt_actions = ["export_admin_action"]


@pytest.fixture(autouse=True)
def served(serve):
    serve(AuthorAdmin, Author)


@pytest.fixture
def authors(db):
    return [Author.objects.create(name=name) for name in ("Anna", "Berta", "Carla")]


def names():
    return [author.name for author in Author.objects.order_by("pk")]


def csv_of(*rows, headers="id,name"):
    return "\n".join([headers, *rows])


def dataset(*rows, headers=("id", "name")):
    return Dataset(*rows, headers=headers)


def renamed(authors):
    return [(author.pk, f"New {author.name}") for author in authors]


def upload(somebody, text):
    """Return the page that previews the file."""
    url = list_of(Author) + "import/"
    file = SimpleUploadedFile("authors.csv", text.encode(), "text/csv")
    return somebody.post(url, {"import_file": file, "format": "0", "resource": ""})


def confirm(somebody, preview):
    url = list_of(Author) + "process_import/"
    return somebody.post(url, form_of(preview, "confirm"), follow=True)


def hold(obj, user=None):
    LockToken.objects.acquire(obj, user=user)


def test_an_import_leaves_out_what_another_edits_and_says_so(alice, bob, authors):
    alice.open(authors[1])
    text = csv_of(*(f"{pk},{name}" for pk, name in renamed(authors)))
    left_out = "line 2, “Berta” (Alice Writer)"
    preview = upload(bob, text)
    assert left_out in preview.text
    assert names() == ["Anna", "Berta", "Carla"]
    answer = confirm(bob, preview)
    assert left_out in answer.text
    assert names() == ["New Anna", "Berta", "New Carla"]
    assert re.search("2 updated.* 1 skipped", answer.text)


def test_a_row_that_is_locked_between_preview_and_import_is_left_out(
    alice, bob, authors
):
    preview = upload(bob, csv_of(f"{authors[0].pk},New Anna"))
    assert "leaves out" not in preview.text
    page = alice.open(authors[0])
    assert "“Anna” (Alice Writer)" in confirm(bob, preview).text
    assert names()[0] == "Anna"
    assert alice.send(page, name="Anne").status_code == 302
    assert names()[0] == "Anne"


def test_a_page_that_expired_before_the_import_cannot_be_saved(alice, bob, authors):
    page = alice.open(authors[0])
    LockToken.objects.update(expires_at="2020-01-01T00:00Z")
    confirm(bob, upload(bob, csv_of(f"{authors[0].pk},New Anna")))
    assert alice.send(page, name="Anne").status_code == 403
    assert names()[0] == "New Anna"


def test_a_file_names_ten_of_the_rows_that_are_left_out(bob, db):
    authors = [Author.objects.create(name=f"Author {n}") for n in range(1, 13)]
    for author in authors:
        hold(author)
    text = csv_of(*(f"{author.pk},New" for author in authors))
    shown = upload(bob, text).text
    assert "line 10, “Author 10” and 2 more." in shown


def test_an_import_by_a_script_has_the_rows_that_were_left_out(alice, authors):
    hold(authors[2], alice.user)
    result = AuthorResource().import_data(dataset(*renamed(authors)))
    (row,) = result.locked_rows
    assert (row.number, row.name) == (3, "Carla")
    assert isinstance(row.error, AlreadyLockedError)
    assert row.error.locked_by == alice.user
    assert result.rows[2].is_skip()
    assert result.rows[2].object_repr == "Carla"
    assert names() == ["New Anna", "New Berta", "Carla"]


def test_the_locks_of_an_import_end_with_it(authors):
    assert not AuthorResource().import_data(dataset(*renamed(authors))).locked_rows
    assert not LockToken.objects.exists()


def test_what_the_file_does_not_have_stays_as_it_is_now(authors):
    class Slow(resource()):
        def get_instance(self, instance_loader, row):
            instance = super().get_instance(instance_loader, row)
            Author.objects.update(about="A painter")
            return instance

    Slow().import_data(dataset((authors[0].pk, "New Anna")))
    anna = Author.objects.get(pk=authors[0].pk)
    assert (anna.name, anna.about) == ("New Anna", "A painter")


def test_an_import_deletes_nothing_that_another_edits(authors):
    poem = Poem.objects.create(author=authors[1], title="Spring")
    hold(poem)
    hold(authors[2])
    rows = [(author.pk, author.name, "1") for author in authors]
    result = AuthorResource().import_data(
        dataset(*rows, headers=("id", "name", "gone"))
    )
    assert [row.name for row in result.locked_rows] == ["Berta", "Carla"]
    assert result.locked_rows[0].error.obj == poem
    assert names() == ["Berta", "Carla"]
    assert LockToken.objects.count() == 2


def test_a_key_in_the_file_does_not_write_over_what_another_edits(authors):
    hold(authors[1])
    result = ByName().import_data(dataset((authors[1].pk, "Anna")))
    assert [row.number for row in result.locked_rows] == [1]
    assert names() == ["Anna", "Berta", "Carla"]


def test_a_new_row_with_the_key_of_what_another_edits_is_left_out(authors):
    hold(authors[1])
    rows = [(authors[1].pk, "Dora"), ("", "Emma")]
    result = Adding().import_data(dataset(*rows))
    assert [row.number for row in result.locked_rows] == [1]
    assert names() == ["Anna", "Berta", "Carla", "Emma"]


def test_an_import_in_bulk_leaves_out_what_another_edits(authors):
    hold(authors[0])
    result = InBulk().import_data(dataset(*renamed(authors)), use_transactions=True)
    assert [row.name for row in result.locked_rows] == ["Anna"]
    assert names() == ["Anna", "New Berta", "New Carla"]


def test_an_import_in_bulk_needs_a_transaction(authors):
    with pytest.raises(ImproperlyConfigured, match="use_transactions"):
        InBulk().import_data(dataset(*renamed(authors)), use_transactions=False)
    assert names() == ["Anna", "Berta", "Carla"]


def test_a_row_that_fails_is_undone_and_its_lock_too(authors):
    class Failing(resource()):
        def after_save_instance(self, instance, row, **kwargs):
            if instance.name == "New Anna":
                raise RuntimeError("no")

    rows = dataset(*renamed(authors))
    result = Failing().import_data(rows, use_transactions=False)
    assert [number for number, _ in result.row_errors()] == [1]
    assert not result.locked_rows
    assert names() == ["Anna", "New Berta", "New Carla"]
    assert not LockToken.objects.exists()


def test_a_new_row_that_fails_is_an_error_as_ever(authors):
    class Failing(resource()):
        def before_import_row(self, row, **kwargs):
            raise RuntimeError("no")

    result = Failing().import_data(dataset(("", "Dora")))
    assert result.has_errors()


def test_what_another_edits_is_exported(alice, bob, authors):
    alice.open(authors[1])
    page = act(bob, "export_admin_action", authors, url=list_of(Author))
    assert "skipped" not in page.text
    data = form_of(page, "submit", format="0")
    file = bob.post(page.context["export_url"], data)
    assert [name in file.text for name in ("Anna", "Berta", "Carla")] == [True] * 3


def test_the_export_of_an_object_is_offered_only_to_who_edits(alice, bob, authors):
    page = alice.open(authors[0])
    assert "_export-item" in buttons_of(page)
    locked = bob.open(authors[0])
    assert state_of(locked) == "locked"
    assert "_export-item" not in buttons_of(locked)
    take_and_leave(authors[0])
    refused = alice.send(page, name="Mine")
    assert_refused(refused, name="Mine")
    assert "_export-item" not in buttons_of(refused)
