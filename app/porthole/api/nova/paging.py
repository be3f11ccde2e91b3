"""Pages of a list: limit, marker, the order, and the link to the next page (nova/api/openstack/common.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from flask import request

from porthole.api.errors import RequestError
from porthole.turns import give_way

MAX_LIMIT = 1000
"""Entries a page; Nova's [api] max_limit."""

_MAX_DIGITS = 9

Entry = TypeVar("Entry")


def limit() -> int:
    """How many entries the page may have. The query has been checked: it is a number, if it is there."""
    text = request.args.get("limit", "")
    return MAX_LIMIT if not text or len(text) > _MAX_DIGITS else min(int(text), MAX_LIMIT)


def after_marker(entries: Sequence[Entry], id_of: Callable[[Entry], str]) -> Sequence[Entry]:
    """The entries after the one that the query's marker names; all without one.

    :raises RequestError: 400, there is none of that id
    """
    marker = request.args.get("marker")
    if marker is None:
        return entries
    wanted = marker.lower()
    at = next((number for number, entry in enumerate(entries) if id_of(entry).lower() == wanted), None)
    if at is None:
        raise RequestError(400, f"marker [{marker[:40]}] not found")
    return entries[at + 1 :]


def in_order(
    entries: Sequence[Entry],
    keys: Sequence[str],
    directions: Sequence[str],
    value_of: Callable[[Entry, str], str | int | None],
) -> list[Entry]:
    """The entries sorted by some keys. What has no value for a key comes first, and last where it is turned round.

    :param directions: ``asc`` or ``desc`` for the keys, in their order; the first one is that of those that have none
    :raises RequestError: 400, a direction is another, or there are more of them than keys
    """
    if any(direction not in ("asc", "desc") for direction in directions):
        raise RequestError(400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
    if keys and len(directions) > len(keys):
        raise RequestError(400, "Invalid input received: Sort direction size exceeds sort key size")
    ordered = list(entries)
    default = directions[0] if directions else "desc"
    ways: dict[str, str] = {}
    for number, key in enumerate(keys):
        # A key that comes again changes nothing.
        ways.setdefault(key, directions[number] if number < len(directions) else default)

    def rank(entry: Entry, key: str) -> tuple[bool, str | int]:
        value = value_of(entry, key)
        return value is not None, "" if value is None else value

    for key, direction in reversed(ways.items()):
        give_way()
        ordered.sort(key=lambda entry: rank(entry, key), reverse=direction == "desc")
    return ordered


def next_page(collection: str, last_id: str) -> list[dict[str, str]]:
    """The link to what comes after this page.

    :param collection: its path below ``/v2.1/``
    """
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
    href = f"{request.host_url}v2.1/{collection}?{urlencode([*query, ('marker', last_id)])}"
    return [{"rel": "next", "href": href}]
