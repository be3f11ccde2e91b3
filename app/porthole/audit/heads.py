"""Heads that were announced, as they are found in a journal or a list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from porthole.audit.line import Head

MAX_HEADS = 1_000_000

_PAIR = re.compile(r"\s*([0-9]{1,18})\s+([0-9a-f]{64})\s*")
_MAC = re.compile(r"[0-9a-f]{64}")
MAX_HEAD_LINE = 64 * 1024


class HeadsError(Exception):
    """The heads cannot be used; the message says why and what would be right."""


def read_heads(lines: Iterable[str]) -> list[Head]:
    """Find heads in lines: ``SEQ MAC``, our log's JSON alone or behind a journal's prefix, or ``journalctl -o json``.

    Other lines are passed over: a journal has many.

    :raises HeadsError: there is none, or there are too many
    """
    heads: list[Head] = []
    for line in lines:
        heads.extend(_heads_in(line))
        if len(heads) > MAX_HEADS:
            raise HeadsError(f"There are more than {MAX_HEADS} heads. Give those of a shorter time.")
    if not heads:
        raise HeadsError(
            "There is no head among the lines. Each has to be a number and a mac, or a line of the service's log that "
            "has both: journalctl -o cat -u 'porthole*'"
        )
    return heads


def _heads_in(line: str) -> Iterator[Head]:
    if len(line) > MAX_HEAD_LINE:
        return
    if pair := _PAIR.fullmatch(line):
        yield Head(int(pair[1]), pair[2])
        return
    start = line.find("{")
    if start < 0:
        return
    try:
        found = json.loads(line[start:])
    except (ValueError, RecursionError):
        return
    if not isinstance(found, dict):
        return
    if isinstance(message := found.get("MESSAGE"), str) and message != line:
        yield from _heads_in(message)
        return
    seq, mac = found.get("seq"), found.get("mac")
    if isinstance(seq, int) and seq > 0 and isinstance(mac, str) and _MAC.fullmatch(mac):
        yield Head(seq, mac)
