"""django-hijack: a superuser who works as another user for a while."""

import pytest
from django.db import models
from django.urls import include, path

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import (
    holder_of,
    new_site,
    state_of,
    token_of,
    urls_of_site,
)

needs("hijack", "tests.packages")


pytestmark = pytest.mark.django_db(databases=["default", "other"])


class Letter(models.Model):
    title = models.CharField(max_length=50)

    class Meta:
        app_label = "packages"


@pytest.fixture
def letters(settings, db):
    site = new_site()
    site.register(Letter, LockableModelAdmin)
    settings.ROOT_URLCONF = (
        *urls_of_site(site),
        path("hijack/", include("hijack.urls")),
    )
    return [Letter.objects.create(title=name) for name in ("first", "second")]


def be(superuser, other):
    answer = superuser.post("/hijack/acquire/", {"user_pk": other.user.pk})
    assert answer.status_code == 302


def be_oneself(superuser):
    assert superuser.post("/hijack/release/").status_code == 302


def test_a_lock_ends_with_the_impersonation(alice, bob, letters):
    letter, _ = letters
    be(alice, bob)
    assert state_of(alice.open(letter)) == "held"
    assert holder_of(letter) == bob.user
    be_oneself(alice)
    assert holder_of(letter) is None
    assert state_of(bob.open(letter)) == "held"


def test_the_real_users_own_lock_stays(alice, bob, letters):
    first, second = letters
    page = bob.open(first)
    be(alice, bob)
    alice.open(second)
    be_oneself(alice)
    assert holder_of(first) == bob.user
    assert holder_of(second) is None
    assert token_of(bob.open(first)) == token_of(page)
