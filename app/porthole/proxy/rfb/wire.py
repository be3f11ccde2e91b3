"""The numbers of the protocol, and the few forms that they come in."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from enum import Enum, IntEnum

from porthole.proxy.rfb.errors import ProtocolBroken, shown

VERSION_LENGTH = 12
"""Bytes of a ProtocolVersion message (RFC 6143 7.1.1)."""

_U32 = struct.Struct("!I")
_VERSION = re.compile(rb"RFB 003\.([0-9]{3})\n\Z")


class Version(Enum):
    """The published versions (RFC 6143 7.1.1); the value is the message."""

    V3_3 = b"RFB 003.003\n"
    V3_7 = b"RFB 003.007\n"
    V3_8 = b"RFB 003.008\n"

    @property
    def has_choice(self) -> bool:
        """Whether the server offers a list of security types and the client chooses (RFC 6143 7.1.2, A.1)."""
        return self is not Version.V3_3

    @property
    def has_reason(self) -> bool:
        """Whether type None is confirmed with a SecurityResult, and a failed one has a reason (RFC 6143 A.1, A.2)."""
        return self is Version.V3_8


class SecurityType(IntEnum):
    """RFC 6143 7.1.2, and IANA's registry of RFB security types."""

    INVALID = 0
    NONE = 1  # RFC 6143 7.2.1
    VNC_AUTH = 2  # RFC 6143 7.2.2
    TIGHT = 16
    TLS = 18
    VENCRYPT = 19
    SASL = 20


class SecurityResult(IntEnum):
    """RFC 6143 7.1.3."""

    OK = 0
    FAILED = 1


class VeNCryptSubtype(IntEnum):
    """The subtypes of security type 19 (The RFB Protocol, community version, 7.2.19 "VeNCrypt")."""

    PLAIN = 256
    TLS_NONE = 257  # TLS without certificates: anybody in between can read it
    TLS_VNC = 258
    TLS_PLAIN = 259
    X509_NONE = 260
    X509_VNC = 261
    X509_PLAIN = 262
    TLS_SASL = 263
    X509_SASL = 264


class VeNCryptVersion(IntEnum):
    """The answer to our choice of a VeNCrypt version (7.2.19): zero is yes."""

    ACCEPTED = 0


class VeNCryptStart(IntEnum):
    """The answer to our choice of a subtype (7.2.19): one is yes, and TLS begins."""

    REFUSED = 0
    ACCEPTED = 1


def u32(number: int) -> bytes:
    """A number of four bytes, as all of RFB's (RFC 6143 7: big-endian)."""
    return _U32.pack(number)


def from_u32(data: bytes) -> int:
    """Its value."""
    return int(_U32.unpack(data)[0])


def u32s(data: bytes) -> list[int]:
    """The values of several in a row."""
    return [number for (number,) in _U32.iter_unpack(data)]


def server_version(greeting: bytes) -> Version:
    """The version that a VNC server announces.

    :raises ProtocolBroken: it is none of those published
    """
    try:
        return Version(greeting)
    except ValueError:
        raise ProtocolBroken(f"it greets with '{shown(greeting)}', and RFB 3.3, 3.7 and 3.8 are spoken here") from None


def client_version(answer: bytes) -> Version:
    """The version that a client chose. Others than those published count as 3.3 (RFC 6143 7.1.1).

    :raises ProtocolBroken: it is no version
    """
    if not _VERSION.match(answer):
        raise ProtocolBroken("The viewer does not speak RFB 3.3, 3.7 or 3.8.")
    try:
        return Version(answer)
    except ValueError:
        return Version.V3_3


def named(numbers: Iterable[int], names: type[IntEnum]) -> str:
    """Security types or subtypes as they stand in a sentence, each once and in the order of their numbers."""
    return ", ".join(_name(number, names) for number in sorted(set(numbers))) or "nothing"


def _name(number: int, names: type[IntEnum]) -> str:
    try:
        return f"{names(number).name} ({number})"
    except ValueError:
        return f"type {number}"
