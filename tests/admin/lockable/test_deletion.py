"""Deleting in the admin: not what somebody else is editing."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from lock_tokens.exceptions import InvalidToken
from lock_tokens.models import LockToken
from lock_tokens.sessions import get_session_token
from tests.models import (
    Article,
    ArticleProxy,
    Comment,
    Desk,
    Feature,
    Keyword,
    Label,
    Page,
    Plain,
    Shift,
    Story,
)
from tests.support.admin_site import (
    StoryAdmin,
    TextAdmin,
    holder_of,
    messages_of,
    person,
    standing_token,
    state_of,
    take_and_leave,
    token_of,
    url_of,
)
from tests.support.helpers import expire, race

YES = {"post": "yes"}


def question_of(somebody, obj):
    page = somebody.open(obj, "delete")
    assert page.status_code == 200
    assert "Are you sure" in page.text
    return page


def answer_to(somebody, obj, **more):
    return somebody.post(url_of(obj, "delete"), {**YES, **more}, follow=True)


def delete(somebody, obj):
    """Open the question, and answer yes."""
    question_of(somebody, obj)
    return answer_to(somebody, obj)


def is_there(obj):
    return type(obj).objects.filter(pk=obj.pk).exists()


def test_the_question_locks_the_object(alice, bob, story):
    page = question_of(alice, story)
    assert state_of(page) == "held"
    assert holder_of(story) == alice.user
    assert state_of(bob.open(story)) == "locked"


def test_yes_deletes_the_object_and_its_lock_and_forgets_the_token(alice, story):
    question_of(alice, story)
    lock_key = LockToken.objects.key_of(story)
    assert get_session_token(lock_key, alice.session)
    answer = answer_to(alice, story)
    assert answer.redirect_chain[0][0] == "/admin/tests/story/"
    assert not is_there(story)
    assert not LockToken.objects.exists()
    assert get_session_token(lock_key, alice.session) is None
    assert LogEntry.objects.get().is_deletion()


def test_what_another_edits_is_neither_asked_about_nor_deleted(alice, bob, story):
    token = token_of(alice.open(story))
    asked = bob.get(url_of(story, "delete"), follow=True)
    answered = answer_to(bob, story)
    for page, what in ((asked, "Alice Writer"), (answered, "This was not deleted")):
        assert page.redirect_chain == [(url_of(story), 302)]
        assert what in messages_of(page)[0]
        assert state_of(page) == "locked"
        assert "Alice Writer" in page.text
    assert is_there(story)
    assert standing_token(story) == token
    assert not LogEntry.objects.exists()


def test_whom_nobody_knows_keeps_it_too(bob, story):
    LockToken.objects.acquire(story)
    page = answer_to(bob, story)
    assert "This was not deleted" in messages_of(page)[0]
    assert state_of(page) == "locked"
    assert is_there(story)


def test_one_s_own_lock_in_another_browser_keeps_it(alice, story):
    alice.open(story)
    page = answer_to(alice.elsewhere(), story)
    assert "This was not deleted" in messages_of(page)[0]
    assert is_there(story)


def test_from_one_s_own_change_page_it_can_be_deleted_also_with_an_expired_lock(
    alice, story
):
    token = token_of(alice.open(story))
    question_of(alice, story)
    assert standing_token(story) == token
    expire(story)
    answer_to(alice, story)
    assert not is_there(story)
    assert not LockToken.objects.exists()


def test_without_a_question_nothing_is_deleted(alice, story):
    """Nobody knows which version was meant."""
    page = answer_to(alice, story)
    assert "This was not deleted" in messages_of(page)[0]
    assert is_there(story)


def test_a_stale_question_deletes_nothing(alice, bob, story):
    question_of(alice, story)
    expire(story)
    assert bob.send(bob.open(story), headline="Better").status_code == 302
    page = answer_to(alice, story)
    assert page.redirect_chain == [(url_of(story), 302)]
    assert "This was not deleted" in messages_of(page)[0]
    assert Story.objects.get().headline == "Better"
    # After another look it can be.
    delete(alice, story)
    assert not is_there(story)


def test_a_stale_question_deletes_nothing_also_after_a_look_in_another_tab(
    alice, story
):
    """The page's own token decides, where a script has put it into the form."""
    page = question_of(alice, story)
    void = page.context["lock_page"].token
    take_and_leave(story)
    other_tab = alice.open(story)
    answer = answer_to(alice, story, lock_token=void)
    assert "This was not deleted" in messages_of(answer)[0]
    assert is_there(story)
    # The other tab can still be saved.
    assert alice.send(other_tab, headline="New").status_code == 302


@pytest.mark.parametrize("token", ["", "0" * 32, "nonsense"])
def test_a_void_token_in_the_form_deletes_nothing_and_the_question_s_own_does(
    alice, story, token
):
    page = question_of(alice, story)
    answer_to(alice, story, lock_token=token)
    assert is_there(story)
    answer_to(alice, story, lock_token=page.context["lock_page"].token)
    assert not is_there(story)


def test_whoever_may_not_delete_locks_nothing(story):
    carol = person("carol", "tests.change_story", "tests.view_story")
    assert carol.open(story, "delete").status_code == 403
    assert carol.post(url_of(story, "delete"), YES).status_code == 403
    assert is_there(story)
    assert not LockToken.objects.exists()


def test_whoever_may_delete_but_not_change_can(story):
    carol = person(
        "carol", "tests.delete_story", "tests.delete_comment", "tests.view_story"
    )
    question_of(carol, story)
    assert holder_of(story) == carol.user
    answer_to(carol, story)
    assert not is_there(story)
    assert not LockToken.objects.exists()


def test_an_object_that_is_missing_is_redirected_as_django_does(alice, story):
    url = url_of(story, "delete")
    story.delete()
    for answer in (alice.get(url), alice.post(url, YES)):
        assert answer.status_code == 302
        assert answer.url == "/admin/"


def test_whoever_is_signed_out_deletes_nothing(story):
    assert Client().post(url_of(story, "delete"), YES).status_code == 302
    assert is_there(story)


def test_a_popup_deletes_and_closes(alice, story):
    url = url_of(story, "delete", _popup=1)
    assert state_of(alice.get(url)) == "held"
    answer = alice.post(url, {**YES, "_popup": "1"})
    assert "popup_response" in answer.text
    assert not is_there(story)
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("hook", ["delete_model", "response_delete"])
def test_an_error_undoes_the_deletion_and_the_lock_still_stands(
    alice, serve, story, hook
):
    class Admin(StoryAdmin):
        pass

    def fail(self, *args, **kwargs):
        getattr(StoryAdmin, hook)(self, *args, **kwargs)
        raise RuntimeError("the disk is full")

    setattr(Admin, hook, fail)
    serve(Admin)
    page = question_of(alice, story)
    with pytest.raises(RuntimeError):
        alice.post(url_of(story, "delete"), YES)
    assert is_there(story)
    assert not LogEntry.objects.exists()
    assert standing_token(story) == page.context["lock_page"].token
    assert get_session_token(story, alice.session) == standing_token(story)


def test_a_void_token_in_the_project_s_own_code_is_not_hidden(alice, serve, story):
    other = Story.objects.create(headline="Another")

    @serve
    class Admin(StoryAdmin):
        def delete_model(self, request, obj):
            LockToken.objects.renew(other, "0" * 32)

    question_of(alice, story)
    with pytest.raises(InvalidToken):
        alice.post(url_of(story, "delete"), YES)
    assert is_there(story)


def test_whoever_may_only_delete_goes_to_the_index_and_is_told_who_edits(alice, story):
    carol = person("carol", "tests.delete_story", "tests.delete_comment")
    page = question_of(carol, story)
    assert page.context["lock_page"].list_url == "/admin/"
    take_and_leave(story)
    alice.open(story)
    asked = carol.get(url_of(story, "delete"), follow=True)
    answered = answer_to(carol, story)
    for page, what in ((asked, "Alice Writer"), (answered, "This was not deleted")):
        assert page.redirect_chain == [("/admin/", 302)]
        assert page.status_code == 200
        assert what in messages_of(page)[0]
    assert is_there(story)
    assert holder_of(story) == alice.user


# What goes along


def test_what_another_edits_is_not_deleted_along(alice, bob, story):
    comment = story.comment_set.create(text="Being edited")
    story.comment_set.create(text="Free")
    question_of(bob, story)
    token = token_of(alice.open(comment))
    for page in (answer_to(bob, story), bob.open(story, "delete")):
        assert page.status_code == 200
        text = page.text
        assert "Cannot delete" in text
        assert "Being edited" in text
        assert "Alice Writer" in text
        assert not page.context["perms_lacking"]
        assert len(page.context["protected"]) == 1
    assert is_there(story)
    assert Comment.objects.count() == 2
    assert standing_token(comment) == token
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("is_expired", [False, True])
def test_what_one_edits_oneself_or_nobody_any_more_is_deleted_along(
    alice, bob, story, is_expired
):
    comment = story.comment_set.create(text="Edited by Alice")
    alice.open(comment)
    if is_expired:
        expire(comment)
    delete(bob if is_expired else alice, story)
    assert not is_there(story)
    assert not is_there(comment)


def test_another_s_many_to_many_partner_is_no_obstacle(alice, bob, story):
    keyword = Keyword.objects.create(name="news")
    story.keywords.add(keyword)
    LockToken.objects.acquire(keyword, user=alice.user)
    delete(bob, story)
    assert not is_there(story)
    assert is_there(keyword)


@pytest.mark.parametrize("edited", ["parent", "child"])
def test_a_parent_or_child_row_that_another_edits_is_not_deleted_along(
    alice, bob, edited
):
    child = Feature.objects.create(title="As it was")
    parent = child.article_ptr
    theirs, ours = (parent, child) if edited == "parent" else (child, parent)
    bob.open(ours, "delete")
    alice.open(theirs)
    assert "Alice Writer" in answer_to(bob, ours).text
    assert is_there(child)
    assert is_there(parent)


def test_what_may_not_be_deleted_along_is_protected_as_in_django(story):
    story.comment_set.create(text="Not yours")
    carol = person("carol", "tests.delete_story", "tests.view_story")
    page = carol.open(story, "delete")
    assert page.context["perms_lacking"] == {"comment"}
    assert "lock_page" not in page.context
    carol.post(url_of(story, "delete"), YES)
    assert is_there(story)
    assert Comment.objects.exists()
    # There was nothing to answer.
    assert not LockToken.objects.exists()


def test_what_may_no_longer_be_deleted_along_is_protected_as_in_django(story):
    carol = person("carol", "tests.delete_story", "tests.view_story")
    question_of(carol, story)
    story.comment_set.create(text="Not yours")
    assert carol.post(url_of(story, "delete"), YES).status_code == 403
    assert is_there(story)
    # The page that says so is still open.
    assert holder_of(story) == carol.user


def test_what_another_edits_along_makes_a_question_that_locks_nothing(
    alice, bob, story
):
    comment = story.comment_set.create(text="Being edited")
    alice.open(comment)
    page = bob.open(story, "delete")
    assert "Cannot delete" in page.text
    assert holder_of(story) is None
    # A page of his own that has the lock keeps it.
    token = token_of(bob.open(story))
    assert "Cannot delete" in bob.open(story, "delete").text
    assert standing_token(story) == token


# The models


@pytest.mark.parametrize(
    "model", [Article, ArticleProxy, Page, Plain, Feature, Label, Desk]
)
def test_models_of_all_kinds(alice, bob, model):
    field = "name" if model in (Label, Desk) else "title"
    obj = model.objects.create(**{field: "a_b" if model is Desk else "a/b_c"})
    question_of(alice, obj)
    assert holder_of(obj) == alice.user
    assert "This was not deleted" in messages_of(answer_to(bob, obj))[0]
    assert is_there(obj)
    answer_to(alice, obj)
    assert not is_there(obj)
    assert not LockToken.objects.exists()


def test_a_key_that_no_lock_can_have_is_deleted_as_in_django_with_a_warning(alice):
    label = Label.objects.create(name="x" * 256)
    page = alice.open(label, "delete")
    assert any("cannot be locked" in message for message in messages_of(page))
    assert alice.post(url_of(label, "delete"), YES).status_code == 302
    assert not is_there(label)
    assert not LockToken.objects.exists()


def test_an_object_that_is_asked_for_by_another_field(alice, bob):
    desk = Desk.objects.create(name="sports")
    Shift.objects.create(desk=desk)
    url = "/admin/tests/desk/sports/delete/?_to_field=name"
    alice.open(desk)
    bob.post(url, YES)
    assert is_there(desk)
    assert alice.post(url, YES).status_code == 302
    assert not Desk.objects.exists()
    assert not Shift.objects.exists()
    assert not LockToken.objects.exists()


@pytest.mark.django_db(databases=["default", "other"])
def test_an_object_of_another_database(alice, bob, serve):
    class Admin(TextAdmin):
        def get_queryset(self, request):
            return super().get_queryset(request).using("other")

        def delete_model(self, request, obj):
            obj.delete(using="other")

    serve(Admin, Plain)
    plain = Plain.objects.using("other").create(title="As it was")
    assert alice.open(plain, "delete").status_code == 200
    assert LockToken.objects.using("other").get().locked_by_id == alice.user.pk
    bob.post(url_of(plain, "delete"), YES)
    assert Plain.objects.using("other").exists()
    alice.post(url_of(plain, "delete"), YES)
    assert not Plain.objects.using("other").exists()
    assert not LockToken.objects.using("other").exists()


# Races


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_an_edit_and_a_deletion_never_both_win(alice, bob):
    for _ in range(5):
        story = Story.objects.create(headline="As it was")
        question_of(bob, story)
        expire(story)
        page, _answer = race(
            lambda story=story: alice.open(story),
            lambda story=story: bob.post(url_of(story, "delete"), YES),
        )
        if page.status_code == 200 and state_of(page) == "held":
            assert is_there(story)
            assert holder_of(story) == alice.user
        LockToken.objects.all().delete()


@pytest.mark.race
@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_nobody_gets_the_object_while_it_is_being_deleted(alice, bob, serve, story):
    seen = []

    @serve
    class Admin(StoryAdmin):
        def delete_model(self, request, obj):
            seen.extend(race(lambda: state_of(bob.open(story))))
            super().delete_model(request, obj)

    question_of(alice, story)
    answer_to(alice, story)
    assert seen == ["locked"]
    assert not is_there(story)
    assert not LockToken.objects.exists()
