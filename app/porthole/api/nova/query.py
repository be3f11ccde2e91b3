"""The parameters of a query, checked as Nova checks them.

(nova/api/validation/validators.py, and the query schemas in nova/api/openstack/compute/schemas/)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from flask import request

from porthole.api.errors import RequestError

Check = Callable[[str], str]
"""What is wrong with a value, in the words of a JSON schema's check; empty when nothing is."""

MAX_PATTERN = 255
"""Characters of a regular expression that is looked at: more than any name here has."""

_COSTLY = re.compile(r"\(\?|\\[uUN]")
"""What a pattern has with flags, or with ranges of thousands of characters."""

_SHOWN = 200


def text(_value: str) -> str:
    """Anything."""
    return ""


def pattern(value: str) -> str:
    """A regular expression, of one character at least (``_validate_regex_format``).

    Those of which Python's compiler may make hundreds of milliseconds of work are not looked at.
    """
    good = 0 < len(value) <= MAX_PATTERN
    if good and value.isascii() and not _COSTLY.search(value):
        try:
            re.compile(value)
        except (re.error, RecursionError, OverflowError):
            good = False
    return "" if good else f"{_shown(value)} is not a 'regex'"


def whole_number(value: str) -> str:
    """Zero or more, in digits (``non_negative_integer``)."""
    if not value:
        return "'' should be non-empty"
    # More digits than Python makes a number of are an error in Nova, too.
    return "" if re.fullmatch(r"[0-9]{1,4300}", value) else f"{_shown(value)} does not match '^[0-9]*$'"


def date_time(value: str) -> str:
    """A date with a time, of ISO 8601."""
    return "" if parsed_time(value) else f"{_shown(value)} is not a 'date-time'"


def one_of(values: Collection[str]) -> Check:
    """One of some words."""
    return lambda value: "" if value in values else f"{_shown(value)} is not one of {sorted(values)!r}"


def check(checks: Mapping[str, Check], *, strict: bool, also: str = "") -> None:
    """Check all parameters of the current request.

    :param checks: the names that there are; each of their values is checked
    :param strict: whether any other name is an error; it is passed over otherwise
    :param also: the regular expression by which the schema has further names, for the error's words
    :raises RequestError: 400 with what is wrong
    """
    for name, values in request.args.lists():
        for value in values if name in checks else ():
            wrong = checks[name](value)
            if wrong:
                raise RequestError(400, f"Invalid input for query parameters {name}. Value: {value[:_SHOWN]}. {wrong}")
    others = sorted(name for name in request.args if name not in checks)
    if not strict or not others:
        return
    names = ", ".join(_shown(name) for name in others[:5])
    if also:
        raise RequestError(400, f"{names} do{'es' * (len(others) == 1)} not match any of the regexes: {also!r}")
    verb = "was" if len(others) == 1 else "were"
    raise RequestError(400, f"Additional properties are not allowed ({names} {verb} unexpected)")


def nothing_but(*names: str, strict: bool) -> None:
    """Check that a request has no parameters but these.

    :raises RequestError: 400, when it has and *strict* says so
    """
    check(dict.fromkeys(names, text), strict=strict)


def parsed_time(value: str) -> datetime | None:
    """The time of a date-time; that of no zone is in UTC. None when it is none."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else datetime.fromisoformat(f"{parsed.isoformat()}+00:00")


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")
