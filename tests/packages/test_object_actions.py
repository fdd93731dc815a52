"""django-object-actions: buttons that are views, most often by GET."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import saved, state_of

needs("django_object_actions", "tests.packages")

from django_object_actions import DjangoObjectActions, action  # noqa: E402


class Poll(models.Model):
    title = models.CharField(max_length=50)
    votes = models.IntegerField(default=7)


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


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_button_works_on_what_is_free_and_not_on_what_another_edits(
    alice, bob, poll, method
):
    assert getattr(alice, method)(reset(poll)).status_code == 302
    assert saved(poll).votes == 0
    Poll.objects.update(votes=7)
    assert state_of(bob.open(poll)) == "held"
    assert getattr(alice, method)(reset(poll)).status_code == 302
    assert saved(poll).votes == 7


def test_buttons_are_offered_only_to_who_edits(alice, bob, poll):
    page = alice.open(poll)
    assert "Reset the votes" in page.text
    locked = bob.open(poll)
    assert state_of(locked) == "locked"
    assert "Reset the votes" not in locked.text
    refused = alice.send_late(page, title="Mine")
    assert "Reset the votes" not in refused.text
