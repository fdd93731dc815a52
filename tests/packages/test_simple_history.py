"""django-simple-history: the page that reverts an object to an earlier version."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    assert_refused,
    form_of,
    holder_of,
    person,
    standing_token,
    state_of,
    take_and_leave,
    text_of,
    url_of,
)

needs("simple_history", "tests.packages")

from simple_history.admin import SimpleHistoryAdmin  # noqa: E402
from simple_history.models import HistoricalRecords  # noqa: E402


class Memo(models.Model):
    title = models.CharField(max_length=50)
    body = models.CharField(max_length=50, default="As it was")
    history = HistoricalRecords()

    class Meta:
        app_label = "packages"


class MemoAdmin(LockableModelAdmin, SimpleHistoryAdmin):
    pass


@pytest.fixture(autouse=True)
def served(serve):
    serve(MemoAdmin, Memo)


@pytest.fixture
def memo(db):
    memo = Memo.objects.create(title="First")
    memo.title = "Second"
    memo.save()
    return memo


def version(memo):
    number = memo.history.last().pk
    return f"/admin/packages/memo/{memo.pk}/history/{number}/"


def title(memo):
    return Memo.objects.get(pk=memo.pk).title


def test_the_page_of_a_version_is_a_page_of_the_lock(alice, memo):
    page = alice.get(version(memo))
    assert state_of(page) == "held"
    assert form_of(page)["title"] == ["First"]
    assert "Press the 'Revert' button below" in text_of(page)
    assert holder_of(memo) == alice.user
    assert alice.send(page).status_code == 302
    assert title(memo) == "First"
    assert standing_token(memo) is None


def test_a_version_is_not_opened_while_another_edits(alice, bob, memo):
    alice.open(memo)
    assert bob.get(version(memo)).url == url_of(memo)
    assert title(memo) == "Second"


def test_a_revert_that_comes_too_late_keeps_the_newer_work_and_the_text(
    alice, bob, memo
):
    page = alice.get(version(memo))
    take_and_leave(memo)
    bob.send(bob.open(memo), title="Third")
    answer = alice.send(page, body="Mine")
    assert_refused(answer, title="First", body="Mine")
    assert title(memo) == "Third"


def test_a_revert_with_errors_keeps_the_lock(alice, memo):
    page = alice.send(alice.get(version(memo)), title="")
    assert state_of(page) == "held"
    assert alice.send(page, title="Again").status_code == 302
    assert title(memo) == "Again"


def test_who_may_only_view_a_version_takes_no_lock(alice, memo):
    viewer = person("vera", "packages.view_memo")
    page = viewer.get(version(memo))
    assert page.status_code == 200
    assert standing_token(memo) is None
    assert state_of(alice.open(memo)) == "held"


def test_a_revert_of_who_is_signed_out_is_given_back(alice, memo):
    page = alice.get(version(memo))
    del alice.cookies["sessionid"]
    answer = alice.send(page, body="Precious")
    assert answer.status_code == 403
    alice.force_login(alice.user)
    assert alice.send(answer).status_code == 302
    assert title(memo) == "First"
    assert type(memo).objects.get().body == "Precious"
