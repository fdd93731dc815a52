"""A ModelAdmin's methods, called by a test or a script with a request of their own."""

import pytest
from django.core.exceptions import PermissionDenied
from django.test import RequestFactory

from lock_tokens.models import LockToken
from tests.models import Story
from tests.support.admin_site import LIST, StoryAdmin, holder_of, new_site, saved


@pytest.fixture
def model_admin():
    return StoryAdmin(Story, new_site())


@pytest.fixture
def request_of_script(alice):
    """A request without a session."""
    request = RequestFactory().get(LIST)
    request.user = alice.user
    return request


def test_a_list_and_what_would_be_deleted_need_no_session(
    bob, model_admin, request_of_script, stories
):
    bob.open(stories[0])
    changes = model_admin.get_changelist_instance(request_of_script)
    locked = [bool(model_admin.lock_state(row)) for row in changes.result_list]
    assert locked == [True, False, False]
    assert model_admin.changelist_view(request_of_script).status_code == 200
    *_, protected = model_admin.get_deleted_objects(stories, request_of_script)
    assert len(protected) == 1
    assert "Bob Writer" in protected[0]


@pytest.mark.parametrize("has_user", [True, False])
def test_a_save_needs_no_session(
    bob, model_admin, request_of_script, stories, has_user
):
    if not has_user:
        del request_of_script.user
    first, second, _third = stories
    bob.open(first)
    first.body = second.body = "Mine"
    with pytest.raises(PermissionDenied):
        model_admin.save_model(request_of_script, first, None, change=True)
    model_admin.save_model(request_of_script, second, None, change=True)
    assert [saved(first).body, saved(second).body] == ["Once", "Mine"]
    assert holder_of(first) == bob.user
    assert LockToken.objects.count() == 1


def test_a_formset_of_a_list_outside_of_our_page_locks_as_it_saves(
    bob, model_admin, request_of_script, stories
):
    bob.open(stories[0])
    formset_class = model_admin.get_changelist_formset(request_of_script)
    data = {"form-TOTAL_FORMS": "3", "form-INITIAL_FORMS": "3"}
    for number, story in enumerate(stories):
        data |= {f"form-{number}-id": story.pk, f"form-{number}-body": "Mine"}
    formset = formset_class(data, queryset=Story.objects.order_by("pk"))
    assert formset.is_valid()
    first, second, _third = formset.save(commit=False)
    with pytest.raises(PermissionDenied):
        model_admin.save_model(request_of_script, first, None, change=True)
    model_admin.save_model(request_of_script, second, None, change=True)
    assert saved(second).body == "Mine"
