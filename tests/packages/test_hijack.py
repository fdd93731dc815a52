"""django-hijack: a superuser who works as another user for a while."""

import pytest
from django.db import DatabaseError, models
from django.urls import include, path

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.integrations import hijack
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


class OnlyInDefault:
    def allow_migrate(self, db, app_label, **hints):
        return db == "default"


def test_databases_without_our_table_are_not_asked(alice, bob, letters, settings):
    be(alice, bob)
    alice.open(letters[0])
    settings.DATABASE_ROUTERS = [OnlyInDefault()]
    be_oneself(alice)
    assert holder_of(letters[0]) is None


def test_a_failing_database_does_not_stop_the_end_of_it(
    alice, bob, letters, monkeypatch, caplog
):
    def fail(*args):
        raise DatabaseError("the database is away")

    be(alice, bob)
    alice.open(letters[0])
    monkeypatch.setattr(hijack, "release_owned", fail)
    be_oneself(alice)
    assert holder_of(letters[0]) == bob.user  # it will expire
    assert "Could not release the locks" in caplog.text
