"""``[console] frame_ancestors``: whose pages may show the console page in a frame."""

from __future__ import annotations

import re
from collections.abc import Sequence

SELF = "'self'"
NONE = "'none'"
MAX_LENGTH = 4096
"""Characters of all entries together: they are in a header of each page."""

_HOST = r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]"
_PORT = r"(?::(?P<port>[0-9]{1,5}|\*))?"
_SOURCE = re.compile(rf"https?:|(?:https?://)?(?:{_HOST}){_PORT}")
_WRONG = "an entry is 'self', 'none', scheme://host or scheme://host:port without a path, host, host:port, or https:"


def ancestors(entries: Sequence[str]) -> tuple[str, ...]:
    """Check the entries: they go into a header, and a browser passes over what it does not understand.

    A source is one of CSP 3's scheme-source and host-source (2.3.1), without a path.

    :param entries: as configured; ``self`` and ``none`` may be without their quotes
    :returns: them in lower case, ``'none'`` when there are none
    :raises ValueError: with the end of a sentence that says what is wrong
    """
    found = tuple(_entry(entry) for entry in entries) or (NONE,)
    if NONE in found and len(found) > 1:
        raise ValueError("has 'none' beside others; 'none' stands alone.")
    if sum(map(len, found)) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters; name networks of sites as *.example.org.")
    return found


def _entry(entry: str) -> str:
    text = entry.strip().lower()
    if text in ("self", "none"):
        return f"'{text}'"
    if text in (SELF, NONE):
        return text
    match = _SOURCE.fullmatch(text)
    port = match["port"] if match else None
    if match is None or (port is not None and port != "*" and not 0 < int(port) < 65536):  # noqa: PLR2004 - ports
        raise ValueError(f"has {entry!r}; {_WRONG}.")
    return text


def others(found: Sequence[str]) -> bool:
    """Whether pages of other sites may show the console page."""
    return any(entry not in (SELF, NONE) for entry in found)
