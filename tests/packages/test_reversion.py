"""django-reversion: the page that reverts an object to an earlier version."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    assert_refused,
    form_of,
    holder_of,
    standing_token,
    state_of,
    take_and_leave,
    text_of,
    url_of,
)

needs("reversion", "tests.packages")

import reversion  # noqa: E402
from reversion.admin import VersionAdmin  # noqa: E402
from reversion.models import Version  # noqa: E402


class Essay(models.Model):
    title = models.CharField(max_length=50)
    body = models.CharField(max_length=50, default="As it was")

    class Meta:
        app_label = "packages"


class EssayAdmin(LockableModelAdmin, VersionAdmin):
    pass


class OtherWayRound(VersionAdmin, LockableModelAdmin):
    pass


@pytest.fixture(autouse=True, params=[EssayAdmin, OtherWayRound])
def served(request, serve):
    serve(request.param, Essay)


@pytest.fixture
def essay(db):
    with reversion.create_revision():
        essay = Essay.objects.create(title="First")
    essay.title = "Second"
    essay.save()
    return essay


def version(essay):
    number = Version.objects.get_for_object(essay).last().pk
    return f"/admin/packages/essay/{essay.pk}/history/{number}/"


def title(essay):
    return Essay.objects.get(pk=essay.pk).title


def test_the_page_of_a_version_is_a_page_of_the_lock(alice, essay):
    page = alice.get(version(essay))
    assert state_of(page) == "held"
    assert form_of(page)["title"] == ["First"]
    assert "Press the save button below to revert" in text_of(page)
    assert holder_of(essay) == alice.user
    assert alice.send(page).status_code == 302
    assert title(essay) == "First"
    assert standing_token(essay) is None


def test_a_version_is_not_opened_while_another_edits(alice, bob, essay):
    alice.open(essay)
    assert bob.get(version(essay)).url == url_of(essay)
    assert title(essay) == "Second"


def test_a_revert_that_comes_too_late_keeps_the_newer_work_and_the_text(
    alice, bob, essay
):
    page = alice.get(version(essay))
    take_and_leave(essay)
    bob.send(bob.open(essay), title="Third")
    answer = alice.send(page, body="Mine")
    assert_refused(answer, title="First", body="Mine")
    assert title(essay) == "Third"


def test_a_revert_with_errors_keeps_the_lock(alice, essay):
    page = alice.send(alice.get(version(essay)), title="")
    assert state_of(page) == "held"
    assert alice.send(page, title="Again").status_code == 302
    assert title(essay) == "Again"


def test_an_object_that_was_deleted_is_recovered(alice, essay):
    number = Version.objects.get_for_object(essay).last().pk
    Essay.objects.all().delete()
    page = alice.get(f"/admin/packages/essay/recover/{number}/")
    assert alice.send(page).status_code == 302
    assert Essay.objects.get().title == "First"


def test_a_revert_of_who_is_signed_out_is_given_back(alice, essay):
    page = alice.get(version(essay))
    del alice.cookies["sessionid"]
    answer = alice.send(page, body="Precious")
    assert answer.status_code == 403
    alice.force_login(alice.user)
    assert alice.send(answer).status_code == 302
    assert title(essay) == "First"
    assert type(essay).objects.get().body == "Precious"
