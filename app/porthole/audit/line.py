"""A line of the log: JSON in ASCII, and the mac that chains it to the line before."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from porthole.audit.entry import Entry
from porthole.audit.keys import AuditKeys

MAX_LINE = 64 * 1024
"""Bytes of a line with its newline. The bounds of :mod:`porthole.audit.entry` keep ours below it."""

# The texts before cannot hold this end: in JSON a quotation mark within a text has a backslash before it.
_FORM = re.compile(
    rb'(?P<body>\{"seq":(?P<seq>[1-9][0-9]{0,17}),[ -~]*,"key":"(?P<key>[0-9a-f]{8})","prev":"(?P<prev>[0-9a-f]{64})")'
    rb',"mac":"(?P<mac>[0-9a-f]{64})"\}'
)


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends: the number of its last line and that line's mac, 64 hexadecimal digits."""

    seq: int
    mac: str


START = Head(0, "0" * 64)
"""The head of a chain without lines."""


def encode(entry: Entry, before: Head, keys: AuditKeys) -> tuple[bytes, Head]:
    """Write an entry as the line after ``before``.

    :returns: the line with its newline, and the new head
    """
    fields: dict[str, object] = {"seq": before.seq + 1, "time": _rfc3339(entry.time)}
    fields.update(entry.fields())
    fields.update(key=keys.signing_id, prev=before.mac)
    # ASCII only: control characters, those of terminals and of text direction too, are escaped.
    body = json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    mac = keys.mac(keys.signing_id, before.mac, body)
    return b'%s,"mac":"%s"}\n' % (body[:-1], mac.encode("ascii")), Head(before.seq + 1, mac)


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that has the form of ours.

    :ivar key_id: the key that it says it was signed with
    :ivar prev: the mac of the line that it was written after
    :ivar known_key: whether that key is one of those given
    :ivar genuine: whether its mac is right, so nothing in it was changed
    """

    seq: int
    key_id: str
    prev: str
    mac: str
    known_key: bool
    genuine: bool
    body: bytes

    @property
    def head(self) -> Head:
        """Where the chain ends with this line."""
        return Head(self.seq, self.mac)

    def fields(self) -> dict[str, Any]:
        """All fields but the mac. Only to be believed when the line is genuine."""
        fields: dict[str, Any] = json.loads(self.body)
        return fields


def read(raw: bytes, keys: AuditKeys) -> Line | None:
    """Take a line apart and check its mac.

    :param raw: the line without its newline
    :returns: nothing when it has not the form of ours
    """
    form = _FORM.fullmatch(raw) if len(raw) < MAX_LINE else None
    if form is None:
        return None
    key_id, prev, mac = (form[name].decode("ascii") for name in ("key", "prev", "mac"))
    body = form["body"] + b"}"
    known = key_id in keys
    genuine = known and hmac.compare_digest(keys.mac(key_id, prev, body), mac)
    return Line(int(form["seq"]), key_id, prev, mac, known, genuine, body)
