"""A model whose fields have the names that the package uses too."""

import pytest
from django.core.checks import WARNING

from lock_tokens.admin import LockableModelAdmin
from lock_tokens.models import LockToken
from tests.models import Badge
from tests.support.admin_site import form_of, list_of, new_site


@pytest.fixture
def badge(serve):
    serve(
        LockableModelAdmin,
        Badge,
        list_display=["holder", "lock_state", "lock_column"],
        list_editable=["lock_state"],
    )
    return Badge.objects.create(holder="Dana", lock_token="A17", lock_state="worn")


def current(badge):
    return Badge.objects.values_list("holder", "lock_token", "lock_state").get()


def test_a_column_named_lock_token_is_shown_and_saved(alice, badge):
    page = alice.open(badge)
    fields = form_of(page)
    assert fields["lock_token-field"] == ["A17"]
    assert fields["lock_token"] == [LockToken.objects.get().token_str]
    answer = alice.send(page, **{"lock_token-field": "B18", "holder": "Eli"})
    assert answer.status_code == 302
    assert current(badge) == ("Eli", "B18", "worn")


def test_a_refused_page_keeps_what_was_typed_into_that_column(alice, badge):
    alice.send_late(alice.open(badge), **{"lock_token-field": "B18"})
    assert current(badge) == ("Dana", "A17", "worn")


def test_a_new_object_is_added_with_that_column(alice, badge):
    page = alice.get("/admin/tests/badge/add/")
    alice.send(page, **{"lock_token-field": "C19", "holder": "Fay"})
    assert Badge.objects.get(holder="Fay").lock_token == "C19"


def test_the_column_of_the_list_has_a_second_name(
    alice, badge, django_assert_num_queries
):
    alice.open(badge)
    for number in range(9):
        Badge.objects.create(holder=str(number))
    page = alice.get(list_of(Badge))
    assert "Alice Writer, since" in page.text.split("field-lock_column")[-1]
    with django_assert_num_queries(6):
        alice.get(list_of(Badge))


def test_w013_a_column_that_is_the_model_s_own_field():
    def check(column):
        columns = {"list_display": [column]}
        model_admin = type("Admin", (LockableModelAdmin,), columns)
        messages = model_admin(Badge, new_site()).check()
        return [each for each in messages if each.id == "lock_tokens.W013"]

    (message,) = check("lock_state")
    assert message.level == WARNING
    assert "lock_column" in message.hint
    assert check("lock_column") == []
