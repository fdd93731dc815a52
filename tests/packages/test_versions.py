"""django-reversion and django-simple-history: the page that reverts to an old version."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    assert_refused,
    form_of,
    holder_of,
    person,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    url_of,
)

needs("reversion", "simple_history", "tests.packages")

import reversion  # noqa: E402
from reversion.admin import VersionAdmin  # noqa: E402
from reversion.models import Version  # noqa: E402
from simple_history.admin import SimpleHistoryAdmin  # noqa: E402
from simple_history.models import HistoricalRecords  # noqa: E402


class Text(models.Model):
    title = models.CharField(max_length=50)
    body = models.CharField(max_length=50, default="As it was")

    class Meta:
        abstract = True


class Essay(Text):
    pass


class Memo(Text):
    history = HistoricalRecords()


class EssayAdmin(LockableModelAdmin, VersionAdmin):
    pass


class OtherWayRound(VersionAdmin, LockableModelAdmin):
    pass


class MemoAdmin(LockableModelAdmin, SimpleHistoryAdmin):
    pass


@pytest.fixture
def memo(db, serve):
    serve(MemoAdmin, Memo)
    return write(Memo)


@pytest.fixture(params=[EssayAdmin, OtherWayRound])
def essay(request, db, serve):
    serve(request.param, Essay)
    return write(Essay)


@pytest.fixture(params=[(Essay, EssayAdmin), (Essay, OtherWayRound), (Memo, MemoAdmin)])
def text(request, db, serve):
    model, model_admin = request.param
    serve(model_admin, model)
    return write(model)


def write(model):
    """Return an object that was called "First", and is called "Second" now."""
    with reversion.create_revision():
        text = model.objects.create(title="First")
    text.title = "Second"
    text.save()
    return text


def version(text):
    """Return the address of the first version."""
    if isinstance(text, Essay):
        number = Version.objects.get_for_object(text).last().pk
    else:
        number = text.history.last().pk
    return url_of(text, "history") + f"{number}/"


def test_the_page_of_a_version_is_a_page_of_the_lock(alice, text):
    page = alice.get(version(text))
    assert state_of(page) == "held"
    assert form_of(page)["title"] == ["First"]
    button = "save" if isinstance(text, Essay) else "'Revert'"
    assert f"Press the {button} button below" in page.text
    assert holder_of(text) == alice.user
    assert alice.send(page).status_code == 302
    assert saved(text).title == "First"
    assert standing_token(text) is None


def test_a_version_is_not_opened_while_another_edits(alice, bob, text):
    alice.open(text)
    assert bob.get(version(text)).url == url_of(text)
    assert saved(text).title == "Second"


def test_a_revert_that_comes_too_late_keeps_the_newer_work_and_the_text(
    alice, bob, text
):
    page = alice.get(version(text))
    take_and_leave(text)
    bob.send(bob.open(text), title="Third")
    answer = alice.send(page, body="Mine")
    assert_refused(answer, title="First", body="Mine")
    assert saved(text).title == "Third"


def test_a_revert_with_errors_keeps_the_lock(alice, text):
    page = alice.send(alice.get(version(text)), title="")
    assert state_of(page) == "held"
    assert alice.send(page, title="Again").status_code == 302
    assert saved(text).title == "Again"


def test_a_revert_of_who_is_signed_out_is_given_back(alice, text):
    page = alice.get(version(text))
    del alice.cookies["sessionid"]
    answer = alice.send(page, body="Precious")
    assert answer.status_code == 403
    alice.force_login(alice.user)
    assert alice.send(answer).status_code == 302
    assert (saved(text).title, saved(text).body) == ("First", "Precious")


def test_an_object_that_was_deleted_is_recovered(alice, essay):
    number = Version.objects.get_for_object(essay).last().pk
    Essay.objects.all().delete()
    page = alice.get(f"/admin/packages/essay/recover/{number}/")
    assert alice.send(page).status_code == 302
    assert Essay.objects.get().title == "First"


def test_who_may_only_view_a_version_takes_no_lock(alice, memo):
    viewer = person("vera", "packages.view_memo")
    assert viewer.get(version(memo)).status_code == 200
    assert standing_token(memo) is None
    assert state_of(alice.open(memo)) == "held"
