"""A replica that lags: the second database, with rows as they were when copied."""

from django.db import router


class LaggingReplica:
    """A router as Django's documentation has it: reads there, writes here."""

    def db_for_read(self, model, **hints):
        return "other" if model._meta.app_label == "tests" else "default"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, first, second, **hints):
        return True


def catch_up(*models):
    """Copy all rows of the models to the replica."""
    for model in models:
        rows = model._base_manager.using("default").all()
        model._base_manager.using("other").all().delete()
        for row in rows:
            row.save_base(using="other", force_insert=True, raw=True)


def as_written(obj):
    """Return the object as it is where it is written to."""
    return type(obj)._base_manager.using(router.db_for_write(type(obj))).get(pk=obj.pk)
