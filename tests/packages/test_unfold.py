"""django-unfold: a theme with buttons that are views, and others in the form."""

import pytest
from django.contrib.admin.sites import all_sites
from django.db import models
from django.shortcuts import redirect

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    buttons_of,
    saved,
    state_of,
    take_and_leave,
    urls_of_site,
)

needs("unfold", "tests.packages")

from unfold.admin import ModelAdmin  # noqa: E402
from unfold.decorators import action  # noqa: E402
from unfold.sites import UnfoldAdminSite  # noqa: E402


class Ticket(models.Model):
    title = models.CharField(max_length=50)
    votes = models.IntegerField(default=7)


class TicketAdmin(LockableModelAdmin, ModelAdmin):
    actions_detail = ["reset"]
    actions_submit_line = ["double"]

    @action(description="Reset the votes", url_path="reset")
    def reset(self, request, object_id):
        Ticket.objects.filter(pk=object_id).update(votes=0)
        return redirect("../change/")

    @action(description="Save and double the votes")
    def double(self, request, obj):
        obj.votes *= 2
        obj.save()


@pytest.fixture(autouse=True)
def served(settings):
    site = UnfoldAdminSite("admin")
    all_sites.discard(site)
    site.register(Ticket, TicketAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)


@pytest.fixture
def ticket(db):
    return Ticket.objects.create(title="Broken")


def reset(ticket):
    return f"/admin/packages/ticket/{ticket.pk}/reset/"


def test_a_button_works_on_what_is_free_and_not_on_what_another_edits(
    alice, bob, ticket
):
    alice.open(ticket)
    assert bob.get(reset(ticket)).status_code == 302
    assert saved(ticket).votes == 7
    take_and_leave(ticket)
    assert bob.get(reset(ticket)).status_code == 302
    assert saved(ticket).votes == 0


def test_a_button_in_the_form_saves_under_the_lock(alice, ticket):
    page = alice.open(ticket)
    (name,) = [name for name in buttons_of(page) if name and "double" in name]
    alice.send(page, name)
    assert saved(ticket).votes == 14
    take_and_leave(ticket)
    alice.send_late(alice.open(ticket), name)
    assert saved(ticket).votes == 14


def test_buttons_are_offered_only_to_who_edits(alice, bob, ticket):
    page = alice.open(ticket)
    assert "Reset the votes" in page.text
    assert "double the votes" in page.text
    locked = bob.open(ticket)
    assert state_of(locked) == "locked"
    assert "the votes" not in locked.text
    refused = alice.send_late(page, title="Mine")
    assert "the votes" not in refused.text
