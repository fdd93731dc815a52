"""Django's error reports, without tokens: the mails to the admins, and the debug page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.template.defaultfilters import pprint
from django.views.debug import get_exception_reporter_filter

#: What looks like a token. A UUID without its dashes does too, and is not missed.
TOKEN = re.compile(r"(?<![0-9A-Fa-f])[0-9a-f]{32}(?![0-9A-Fa-f])")
STARS = "********************"


def without_tokens(text: str) -> str:
    """Return the text with stars in the place of each token."""
    return TOKEN.sub(STARS, text)


def hide_tokens(request: HttpRequest) -> None:
    """Let no error report about this request show a token.

    It goes on with the project's own filter of error reports.
    """
    project_filter: Any = get_exception_reporter_filter(request)
    if not isinstance(project_filter, TokenFilter):
        found: Any = TokenFilter(project_filter)
        request.exception_reporter_filter = found


def hide_tokens_in_path(request: HttpRequest) -> None:
    """Take the token out of the path of a request that fails.

    Django reports the path, and logs it.
    """
    request.path = without_tokens(request.path)
    request.path_info = without_tokens(request.path_info)


class TokenFilter:
    """The project's filter of error reports, and after it no token in what it shows."""

    def __init__(self, project_filter: Any) -> None:
        self.project_filter = project_filter

    def __getattr__(self, name: str) -> Any:
        return getattr(self.project_filter, name)

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        """Return the headers, and whatever else the server says of the request."""
        meta = self.project_filter.get_safe_request_meta(request)
        return {
            name: without_tokens(value) if isinstance(value, str) else value
            for name, value in meta.items()
        }

    def get_post_parameters(self, request: HttpRequest) -> Any:
        """Return the fields of the form."""
        fields = self.project_filter.get_post_parameters(request)
        return {name: without_tokens(str(value)) for name, value in fields.items()}

    def get_traceback_frame_variables(
        self, request: HttpRequest, tb_frame: Any
    ) -> Iterator[tuple[str, Any]]:
        """Return the variables of a function that the exception passed through."""
        variables = self.project_filter.get_traceback_frame_variables(request, tb_frame)
        for name, value in variables:
            yield name, Shown(without_tokens(pprint(value)))


class Shown:
    """A value of which a report shows this text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text
