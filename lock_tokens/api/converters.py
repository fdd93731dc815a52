"""Object keys in URLs."""

from __future__ import annotations

import re
from typing import Any

QUOTED = re.compile(r"~([0-7][0-9A-F])")
UNSAFE = re.compile(r"[/\\%~\x00-\x1f\x7f]|^\.")


class ObjectKeyConverter:
    """A key as one segment of a path, whatever characters it has.

    Percent-encoding alone is not enough for every key. Servers decode ``%2F`` before
    they split the path. Browsers drop the segments ``.`` and ``..``, even when they are
    encoded. Some servers refuse ``%25`` and control characters. So these characters
    (``/ \\ % ~``, controls, and a leading ``.``) are written as a tilde and two
    hexadecimal digits. The rest is percent-encoded as usual. A single tilde is the empty
    key.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        if value == "~":
            return ""
        return QUOTED.sub(lambda quoted: chr(int(quoted[1], 16)), value)

    def to_url(self, value: Any) -> str:
        quoted = UNSAFE.sub(lambda unsafe: f"~{ord(unsafe[0]):02X}", str(value))
        return quoted or "~"
