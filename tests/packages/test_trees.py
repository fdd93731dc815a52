"""django-treebeard and django-mptt: nodes below a node, without a foreign key or with."""

import pytest
from django.db import models

from lock_tokens.admin import LockableModelAdmin
from tests.packages import needs
from tests.support.admin_site import act, form_of, list_of, messages_of, person

needs("treebeard", "mptt", "tests.packages")

from mptt.admin import DraggableMPTTAdmin  # noqa: E402
from mptt.models import MPTTModel, TreeForeignKey  # noqa: E402
from treebeard.admin import TreeAdmin  # noqa: E402
from treebeard.forms import movenodeform_factory  # noqa: E402
from treebeard.mp_tree import MP_Node  # noqa: E402


class Folder(MP_Node):
    title = models.CharField(max_length=50)

    def __str__(self):
        return self.title


class Topic(MPTTModel):
    title = models.CharField(max_length=50)
    parent = TreeForeignKey("self", models.CASCADE, null=True, blank=True)

    def __str__(self):
        return self.title


class FolderAdmin(LockableModelAdmin, TreeAdmin):
    form = movenodeform_factory(Folder)


class TopicAdmin(LockableModelAdmin, DraggableMPTTAdmin):
    pass


@pytest.fixture
def folder(serve, db):
    serve(FolderAdmin, Folder)
    parent = Folder.add_root(title="Parent")
    Folder.add_root(title="Other")
    parent.add_child(title="Child").add_child(title="Grandchild")
    return parent


@pytest.fixture
def topic(serve, db):
    serve(TopicAdmin, Topic)
    parent = Topic.objects.create(title="Parent")
    Topic.objects.create(title="Other")
    child = Topic.objects.create(title="Child", parent=parent)
    Topic.objects.create(title="Grandchild", parent=child)
    return Topic.objects.get(pk=parent.pk)


@pytest.fixture(params=["folder", "topic"])
def parent(request):
    return request.getfixturevalue(request.param)


def named(parent, title):
    return type(parent).objects.get(title=title)


def delete(somebody, obj):
    page = somebody.open(obj, "delete")
    somebody.post(page.wsgi_request.path, {"post": "yes"})


def move(somebody, obj, target):
    """Drop the node upon another."""
    if isinstance(obj, Folder):
        data = {"node": obj.pk, "target": target.pk, "relation": "child"}
        return somebody.post(list_of(type(obj)) + "move/", data)
    data = {"cmd": "move_node", "position": "last-child"}
    data |= {"cut_item": obj.pk, "pasted_on": target.pk}
    headers = {"X-Requested-With": "XMLHttpRequest"}
    return somebody.post(list_of(type(obj)), data, headers=headers)


def parent_of(obj):
    return type(obj).objects.get(pk=obj.pk).get_ancestors().last()


def test_a_node_is_not_deleted_with_what_another_edits_below(alice, bob, parent):
    alice.open(named(parent, "Grandchild"))
    page = bob.open(parent, "delete")
    assert "Grandchild" in page.text
    assert "Alice Writer has been editing it" in page.text
    delete(bob, parent)
    assert type(parent).objects.count() == 4
    url = list_of(type(parent))
    act(bob, "delete_selected", [parent], url=url, post="yes")
    assert type(parent).objects.count() == 4


def test_a_free_node_is_deleted_with_all_below(alice, folder):
    delete(alice, folder)
    assert [node.title for node in Folder.objects.all()] == ["Other"]


@pytest.mark.parametrize("edited", ["Child", "Grandchild"])
def test_a_node_that_another_edits_or_edits_below_is_not_moved(
    alice, bob, parent, edited
):
    child = named(parent, "Child")
    alice.open(named(parent, edited))
    assert move(bob, child, named(parent, "Other")).status_code >= 400
    assert parent_of(child).title == "Parent"


def test_a_free_node_is_moved(alice, parent):
    child = named(parent, "Child")
    assert move(alice, child, named(parent, "Other")).status_code < 400
    assert parent_of(child).title == "Other"


def test_who_may_not_move_a_node_is_not_told_who_edits_it(alice, parent):
    child = named(parent, "Child")
    alice.open(child)
    viewer = person("vera", f"packages.view_{parent._meta.model_name}")
    answer = move(viewer, child, named(parent, "Other"))
    assert "Alice" not in answer.text
    assert not any("Alice" in each for each in messages_of(viewer.get("/admin/")))
    assert parent_of(child).title == "Parent"


@pytest.mark.parametrize("field", ["node", "node_id", "cut_item"])
def test_a_form_with_a_field_of_such_a_name_moves_nothing(alice, bob, parent, field):
    alice.open(parent)
    add = list_of(type(parent)) + "add/"
    position = {"treebeard_position": "first-child"}  # which a browser selects
    page = form_of(bob.get(add), title="New", **position, **{field: parent.pk})
    assert bob.post(add, page).status_code == 302
    assert named(parent, "New")


def test_a_list_that_is_saved_may_have_a_field_of_such_a_name(alice, bob, topic):
    alice.open(topic)
    answer = bob.post(list_of(Topic), {"_save": "Save", "node": topic.pk})
    assert answer.status_code == 200
