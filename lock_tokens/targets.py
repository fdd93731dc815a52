"""What a decorated view is about, and what to answer without its lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import models
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from .exceptions import LockTokensError
from .keys import key_field
from .lookups import find_object
from .refusals import refuse, submitted_fields

GetObjectId = Callable[..., Any]
Response = Callable[[HttpRequest, LockTokensError], HttpResponseBase]


class Target(NamedTuple):
    """The object of each request to a view, and the answers that its decorator gives."""

    model: type[models.Model]
    get_object_id: GetObjectId
    template: str
    response: Response | None

    def get_object(self, request: HttpRequest, args: Any, kwargs: Any) -> models.Model:
        """Return the object; raise ``Http404`` when there is none."""
        key = self.get_object_id(request, *args, **kwargs)
        key_field(self.model)  # a composite key is a mistake of the project's
        obj = find_object(self.model, key)
        if obj is None:
            raise Http404(f"No {self.model._meta.verbose_name} with this key.")
        return obj

    def missing(self, request: HttpRequest, error: Http404) -> HttpResponseBase:
        """Answer a request about no object; only one with input needs a page of ours."""
        if not submitted_fields(request):
            raise error
        return refuse(request, error, self.template)

    def refuse(self, request: HttpRequest, error: LockTokensError) -> HttpResponseBase:
        """Answer a request that may not have the lock, with the object as it is now."""
        found = self.model._default_manager.filter(pk=error.obj.pk)
        error.obj = found.first() or error.obj
        if self.response is not None:
            return self.response(request, error)
        return refuse(request, error, self.template)
