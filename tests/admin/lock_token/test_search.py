"""The search of the list of locks: what it finds, and what a long one costs."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.test import RequestFactory

from lock_tokens.admin import LockTokenAdmin
from lock_tokens.admin.lock_token.lock_details import is_called
from lock_tokens.models import LockToken
from tests.models import Label, Story

pytestmark = pytest.mark.django_db


def search(term, model_admin=LockTokenAdmin):
    """Return the queryset of what the search finds."""
    lock_admin = model_admin(LockToken, admin.AdminSite())
    request = RequestFactory().get("/", {"q": term})
    locks, has_duplicates = lock_admin.get_search_results(
        request, LockToken.objects.order_by("pk"), term
    )
    assert not has_duplicates
    return locks


@pytest.fixture
def bob(django_user_model):
    return django_user_model.objects.create(username="bob", first_name="Bob")


@pytest.fixture
def locks(alice, bob):
    alice.email = "a@wonderland.example"
    alice.save()
    LockToken.objects.acquire(Story.objects.create(headline="alice bob"))
    names = [("red fox", alice), ("red dog", bob), ("grey dog", None)]
    return [
        LockToken.objects.acquire(Label.objects.create(name=name), user=user)
        for name, user in names
    ]


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("dog", [1, 2]),
        ("red dog", [1]),
        ("dog red dog", [1]),
        ("ALICE", [0]),
        ("BOB dog", [1]),
        ("alice dog", []),
        ("lidd", [0]),
        ("wonder", [0]),
        ("alice fox liddell", [0]),
        ("100% _ ' \" \\", []),
    ],
)
def test_each_word_is_in_the_key_or_in_the_holder_s_name(locks, term, found):
    assert [*search(term)] == [locks[number] for number in found]


def test_without_a_word_all_are_found(locks):
    assert [*search("")][1:] == locks


def test_users_who_are_gone_are_passed_over(locks, bob):
    LockToken.objects.filter(locked_by=bob.pk).update(locked_by=999)
    assert [*search("bob")] == []
    assert [*search("red dog")] == [locks[1]]


@pytest.mark.parametrize(
    "user",
    [
        SimpleNamespace(USERNAME_FIELD="badge", badge=17),
        SimpleNamespace(USERNAME_FIELD="mail", mail="17@example.com", email=None),
        SimpleNamespace(
            USERNAME_FIELD="nick", nick="", EMAIL_FIELD="mail", mail="b17@example.com"
        ),
        SimpleNamespace(USERNAME_FIELD="nick", nick="x", email="b17@example.com"),
    ],
)
def test_users_of_any_model_are_known(user):
    assert is_called(user, "17")
    assert not is_called(user, "18")


def test_a_search_field_of_the_project_s_own_is_searched(locks):
    class Admin(LockTokenAdmin):
        search_fields = ("locked_object_id", "locked_object_content_type__model")

    assert [*search("label grey", Admin)] == locks[2:]
    assert [*search("story grey", Admin)] == []


def test_the_cost_of_a_search_grows_with_its_words_and_not_faster(locks):
    words = [f"word{number}" for number in range(9)]
    sizes = [len(str(search(" ".join(words[:n])).query)) for n in range(1, 10)]
    steps = [after - before for before, after in pairwise(sizes)]
    assert max(steps) - min(steps) < 5  # of the aliases


def test_a_pasted_text_hangs_nobody(locks, django_assert_num_queries):
    text = " ".join(f"{word}{number}" for number in range(400) for word in "abcd")
    with django_assert_num_queries(3):  # the holders' keys, their users; the locks
        assert [*search(text)] == []
    assert len(str(search(text).query)) < 10 * len(str(search("abcd").query))


def test_words_after_the_tenth_are_passed_over(locks):
    ten = "r e d f o x re ed ox fox"
    assert [*search(f"{ten} nothing of this is there")] == locks[:1]
