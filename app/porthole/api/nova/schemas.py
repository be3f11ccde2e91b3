"""Request bodies in Nova's own JSON schemas (nova/api/openstack/compute/schemas/remote_consoles.py, Nova 34).

They also name types of console that are not available here, so that asking for
one is answered as in a Nova without it, and not as a misspelling.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _action(name: str, types: list[str]) -> Schema:
    console = {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": types}},
        "required": ["type"],
        "additionalProperties": False,
    }
    return {"type": "object", "properties": {name: console}, "required": [name], "additionalProperties": False}


def _remote_console(protocols: list[str], types: list[str]) -> Schema:
    console = {
        "type": "object",
        "properties": {
            "protocol": {"type": "string", "enum": protocols},
            "type": {"type": "string", "enum": types},
        },
        "required": ["protocol", "type"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"remote_console": console},
        "required": ["remote_console"],
        "additionalProperties": False,
    }


ACTIONS: dict[str, Schema] = {
    "os-getVNCConsole": _action("os-getVNCConsole", ["novnc", "xvpvnc"]),
    "os-getSPICEConsole": _action("os-getSPICEConsole", ["spice-html5"]),
    "os-getSerialConsole": _action("os-getSerialConsole", ["serial"]),
}
"""The console actions of 2.1 to 2.5."""

_PROTOCOLS = ["vnc", "spice", "serial", "rdp"]
_TYPES = ["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5"]

CREATE_V26 = _remote_console(_PROTOCOLS, _TYPES)
"""2.6 and 2.7."""

CREATE_V28 = _remote_console([*_PROTOCOLS, "mks"], [*_TYPES, "webmks"])
"""2.8 to 2.98."""

CREATE_V299 = _remote_console([*_PROTOCOLS, "mks"], [*_TYPES, "webmks", "spice-direct"])
"""2.99 and later."""


def create(minor: int) -> Schema:
    """The body of ``remote-consoles`` at a microversion, 2.6 or later."""
    if minor >= 99:  # noqa: PLR2004 - microversions are best read as they are
        return CREATE_V299
    return CREATE_V28 if minor >= 8 else CREATE_V26  # noqa: PLR2004
