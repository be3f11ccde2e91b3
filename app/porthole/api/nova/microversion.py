"""Nova's microversions: which one a request asks for (nova/api/openstack/wsgi.py, microversion-parse)."""

from __future__ import annotations

import re
from typing import NamedTuple

from flask import Response, g, request

from porthole.api.errors import RequestError

HEADER = "OpenStack-API-Version"
LEGACY_HEADER = "X-OpenStack-Nova-API-Version"
SERVICE = "compute"
SERVICES = (SERVICE, "porthole")
"""Words for this service in requests: clients take the type of the catalogue's entry (decision 26)."""

# Nine digits: no version has more, and a number of thousands of digits would be work.
_VERSION = re.compile(r"([1-9][0-9]{0,8})\.([1-9][0-9]{0,8}|0)\Z")
_SHOWN = 40


class Microversion(NamedTuple):
    """A version that compares as numbers: 2.10 is above 2.9."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MIN = Microversion(2, 1)
MAX = Microversion(2, 104)
"""The newest, Nova 34's: the calls that there are here answer at each version as Nova's do."""
LATEST = "latest"


def requested() -> Microversion:
    """The version that the current request asks for; 2.1 when it names none.

    :raises RequestError: 400 for what is no version, 406 for one that is not supported
    """
    text = _from_standard_header() or _from_legacy_header()
    if text is None:
        return MIN
    if text == LATEST:
        return MAX
    match = _VERSION.match(text)
    if match is None:
        raise RequestError(
            400, f"API Version String {text[:_SHOWN]} is of invalid format. Must be of format MajorNum.MinorNum."
        )
    version = Microversion(int(match[1]), int(match[2]))
    if not MIN <= version <= MAX:
        # Nova names the version it refused in the answer's headers.
        g.microversion = version
        raise RequestError(
            406, f"Version {version} is not supported by the API. Minimum is {MIN} and maximum is {MAX}."
        )
    return version


def at_least(minor: int) -> bool:
    """Whether the current request asked for 2.``minor`` or newer."""
    version: Microversion = g.microversion
    return version >= Microversion(2, minor)


def add_headers(response: Response) -> None:
    """Say which version the answer has."""
    version = g.get("microversion")
    if version is not None:
        response.headers[HEADER] = f"{SERVICE} {version}"
        response.headers[LEGACY_HEADER] = str(version)
    response.vary.update((HEADER, LEGACY_HEADER))


def _from_standard_header() -> str | None:
    """The last entry for this service of ``OpenStack-API-Version: compute 2.6, placement 1.2``."""
    for entry in reversed(",".join(request.headers.getlist(HEADER)).split(",")):
        words = entry.split(None, 1)
        if len(words) > 1 and words[0].lower() in SERVICES:
            return words[1].strip()
    return None


def _from_legacy_header() -> str | None:
    values = request.headers.getlist(LEGACY_HEADER)
    return ",".join(values).split(",")[-1].strip() if values else None
