"""Object keys in addresses."""

from __future__ import annotations

import re
from typing import Any

QUOTED = re.compile(r"~([0-7][0-9A-F])")
UNSAFE = re.compile(r"[/\\%~\x00-\x1f\x7f]|^\.")


class ObjectKeyConverter:
    """A key as one segment of a path, whatever characters it has.

    Percent-encoding alone does not get every key there: servers decode ``%2F`` before
    they split the path, browsers drop the segments ``.`` and ``..`` however they are
    spelled, and some servers refuse ``%25`` and control characters. Those characters
    (``/ \\ % ~``, controls, and a ``.`` in front) are written as a tilde and two
    hexadecimal digits, and the rest is percent-encoded as usual. A lone tilde is the
    empty key.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        if value == "~":
            return ""
        return QUOTED.sub(lambda quoted: chr(int(quoted[1], 16)), value)

    def to_url(self, value: Any) -> str:
        quoted = UNSAFE.sub(lambda unsafe: f"~{ord(unsafe[0]):02X}", str(value))
        return quoted or "~"
