"""The filters of the list of locks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from lock_tokens.locking.lock_token import LockToken

from .lock_details import holders_of, name_of_holder


class LockFilter(SimpleListFilter):
    """A filter by one condition. A value that is not a choice finds nothing.

    Django's own filter would show all locks then, for example for a holder whose last
    lock ended between two clicks.
    """

    #: The lookup to filter by.
    lookup = ""
    #: Method that returns the choices among the locks of a queryset. Each has its text in
    #: the URL, the value for the lookup, and a name.
    conditions: Callable[[models.QuerySet[LockToken]], Iterable[tuple[str, Any, str]]]

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        choices = list(self.conditions(model_admin.get_queryset(request).order_by()))
        self.values = {spelled: value for spelled, value, name in choices}
        return [(spelled, name) for spelled, value, name in choices]

    def has_output(self) -> bool:
        return bool(self.lookup_choices) or self.value() is not None

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        if value not in self.values:
            return queryset.none()
        return queryset.filter(**{self.lookup: self.values[value]})


class StateFilter(LockFilter):
    title = pgettext_lazy("column: state of a lock", "state")
    parameter_name = "state"
    lookup = "is_live"

    def conditions(
        self, locks: models.QuerySet[LockToken]
    ) -> Iterable[tuple[str, Any, str]]:
        return [
            ("held", True, pgettext("state of a lock", "Held")),
            ("expired", False, pgettext("state of a lock", "Expired")),
        ]


class ModelFilter(LockFilter):
    title = pgettext_lazy("column: type of the locked object", "type")
    parameter_name = "model"
    lookup = "locked_object_content_type_id"

    def conditions(
        self, locks: models.QuerySet[LockToken]
    ) -> Iterable[tuple[str, Any, str]]:
        types = ContentType.objects.using(locks.db).filter(
            pk__in=locks.values("locked_object_content_type")
        )
        for content_type in sorted(types, key=str):
            yield str(content_type.pk), content_type.pk, str(content_type)


class HolderFilter(LockFilter):
    title = gettext_lazy("holder")
    parameter_name = "holder"
    lookup = "locked_by_id"

    def conditions(
        self, locks: models.QuerySet[LockToken]
    ) -> Iterable[tuple[str, Any, str]]:
        users = holders_of(locks)
        names = {key: name_of_holder(key, user) or "" for key, user in users.items()}
        for key in sorted(names, key=lambda key: names[key].casefold()):
            if key is not None:
                yield str(key), key, names[key]
        if None in names:
            yield "", None, pgettext("holder of a lock", "unknown")
