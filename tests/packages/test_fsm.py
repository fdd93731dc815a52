"""django-fsm-2: buttons in the form that move an object to another state."""

import pytest
from django import forms
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    assert_refused,
    buttons_of,
    saved,
    state_of,
    take_and_leave,
)

needs("django_fsm", "tests.packages")

from django_fsm import FSMField, transition  # noqa: E402
from django_fsm.admin import FSMAdminMixin  # noqa: E402


class WhyForm(forms.Form):
    why = forms.CharField()


class Draft(models.Model):
    title = models.CharField(max_length=50)
    state = FSMField(default="new", protected=True)

    @transition(field=state, source="new", target="published")
    def publish(self):
        pass

    @transition(field=state, source="new", target="spiked", custom={"form": WhyForm})
    def spike(self, why):
        self.title = why


class DraftAdmin(FSMAdminMixin, LockableModelAdmin):
    fsm_fields = ["state"]


@pytest.fixture(autouse=True)
def served(serve):
    serve(DraftAdmin, Draft)


@pytest.fixture
def draft(db):
    return Draft.objects.create(title="The king")


def spike(draft):
    return f"/admin/packages/draft/{draft.pk}/transition/spike/"


PUBLISH = {"title": "The queen", "_fsm_transition_to": "publish"}


def test_a_transition_saves_the_form_of_who_holds_the_lock(alice, draft):
    alice.send(alice.open(draft), "_fsm_transition_to", **PUBLISH)
    assert saved(draft).state == "published"
    assert saved(draft).title == "The queen"


def test_a_transition_with_a_void_token_is_refused(alice, draft):
    page = alice.open(draft)
    take_and_leave(draft)
    answer = alice.send(page, "_fsm_transition_to", **PUBLISH)
    assert_refused(answer, title="The queen")
    assert "_fsm_transition_to" not in buttons_of(answer)
    assert saved(draft).state == "new"


def test_a_transition_with_a_form_is_refused_while_another_edits(alice, bob, draft):
    alice.open(draft)
    assert bob.get(spike(draft)).status_code == 302
    answer = bob.post(spike(draft), {"why": "It is too old."})
    assert answer.status_code == 403
    assert "It is too old." in answer.text
    assert saved(draft).state == "new"


def test_a_transition_with_a_form_works_on_what_is_free(alice, draft):
    assert alice.post(spike(draft), {"why": "Old"}).status_code == 302
    assert saved(draft).state == "spiked"


def test_transitions_are_not_offered_on_a_locked_page(alice, bob, draft):
    assert "_fsm_transition_to" in buttons_of(alice.open(draft))
    page = bob.open(draft)
    assert state_of(page) == "locked"
    assert "_fsm_transition_to" not in buttons_of(page)
