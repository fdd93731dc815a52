"""System checks of lockable models: names and managers that hide their parent's."""

import pytest
from django.core.checks import WARNING
from django.db import models
from django.test.utils import isolate_apps

from lock_tokens.checks import check_models
from lock_tokens.managers import LockableModelManager
from lock_tokens.models import LockableModel
from lock_tokens.querysets import LockableQuerySet


@pytest.fixture
def isolated():
    with isolate_apps("tests") as apps:
        yield apps


def messages_of(isolated):
    return [
        (message.id, message.obj.__name__, message.msg.split("'")[1])
        for message in check_models(isolated.get_app_configs())
    ]


def test_w011_fields_that_hide_a_method_are_named(isolated):
    class Owner(models.Model):
        pass

    class Field(LockableModel):
        is_locked = models.BooleanField()
        lock = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+")
        unlock = models.ManyToManyField(Owner, related_name="+")

    assert messages_of(isolated) == [
        ("lock_tokens.W011", "Field", name) for name in ("lock", "unlock", "is_locked")
    ]
    message = check_models(isolated.get_app_configs())[0]
    assert message.level == WARNING
    assert "LockableModel.lock(obj)" in message.hint


def test_w011_properties_values_and_reverse_relations_are_named(isolated):
    class Hiding(LockableModel):
        is_locked = False

        @property
        def lock_info(self): ...

    class Pointing(models.Model):
        to = models.ForeignKey(
            Hiding, on_delete=models.CASCADE, related_name="check_lock"
        )

    assert {name for _, _, name in messages_of(isolated)} == {
        *("is_locked", "lock_info", "check_lock")
    }


def test_w011_the_name_of_with_lock_state_is_named(isolated):
    class Letter(LockableModel):
        lock_state = models.CharField(max_length=20)

    assert messages_of(isolated) == [("lock_tokens.W011", "Letter", "lock_state")]


def test_w011_a_method_of_the_project_s_and_other_names_are_fine(isolated):
    class Lock(LockableModel):
        lock_token = models.CharField(max_length=20)
        lock_state: object = None

        def lock(self, *args, **kwargs):
            return super().lock(*args, **kwargs)

    class Pointing(LockableModel):  # from a lock, a query by the name `lock`
        to = models.ForeignKey(Lock, on_delete=models.CASCADE)

    class ManyToOne(models.Model):
        lock_info = models.BooleanField()

    assert messages_of(isolated) == []


class NewestFirst(models.Manager):
    pass


def test_w012_the_manager_of_another_parent_hides_that_of_lockable_model(isolated):
    class Dated(models.Model):
        objects = NewestFirst()

        class Meta:
            abstract = True

    class Hidden(Dated, LockableModel):
        pass

    class RightOrder(LockableModel, Dated):
        pass

    class OwnManager(Dated, LockableModel):
        objects = models.Manager()

    (message,) = check_models(isolated.get_app_configs())
    assert (message.id, message.level) == ("lock_tokens.W012", WARNING)
    assert message.obj is Hidden
    assert "the manager of Dated" in message.msg


def test_w012_a_manager_with_the_methods_is_fine(isolated):
    class Own(LockableQuerySet):
        def drafts(self):
            return self.filter(pk=1)

    class Dated(models.Model):
        objects = LockableModelManager.from_queryset(Own)()

        class Meta:
            abstract = True

    class Inherited(Dated, LockableModel):
        pass

    class AsManager(LockableModel):
        objects = Own.as_manager()

    class NoObjects(Dated, LockableModel):
        objects = None
        people = models.Manager()

    assert messages_of(isolated) == []
    for model in (Inherited, AsManager):
        assert model.objects.drafts().unlocked().with_lock_state().query
