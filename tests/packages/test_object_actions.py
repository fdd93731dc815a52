"""django-object-actions: buttons that are views, most often by GET."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    assert_refused,
    state_of,
    take_and_leave,
    text_of,
)

needs("django_object_actions", "tests.packages")

from django_object_actions import DjangoObjectActions, action  # noqa: E402


class Poll(models.Model):
    title = models.CharField(max_length=50)
    votes = models.IntegerField(default=7)

    class Meta:
        app_label = "packages"


class PollAdmin(DjangoObjectActions, LockableModelAdmin):
    change_actions = ["reset"]

    @action(label="Reset the votes", methods=("GET", "POST"), button_type="a")
    def reset(self, request, obj):
        obj.votes = 0
        obj.save()


@pytest.fixture(autouse=True)
def served(serve):
    serve(PollAdmin, Poll)


@pytest.fixture
def poll(db):
    return Poll.objects.create(title="Which?")


def reset(poll):
    return f"/admin/packages/poll/{poll.pk}/actions/reset/"


def votes(poll):
    poll.refresh_from_db()
    return poll.votes


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_button_is_refused_while_another_edits(alice, bob, poll, method):
    alice.open(poll)
    assert getattr(bob, method)(reset(poll)).status_code == 302
    assert votes(poll) == 7


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_button_works_on_what_is_free(alice, bob, poll, method):
    assert getattr(alice, method)(reset(poll)).status_code == 302
    assert votes(poll) == 0
    assert state_of(bob.open(poll)) == "held"


def test_buttons_are_offered_only_to_who_edits(alice, bob, poll):
    page = alice.open(poll)
    assert "Reset the votes" in text_of(page)
    locked = bob.open(poll)
    assert state_of(locked) == "locked"
    assert "Reset the votes" not in text_of(locked)
    take_and_leave(poll)
    refused = alice.send(page, title="Mine")
    assert_refused(refused, title="Mine")
    assert "Reset the votes" not in text_of(refused)
