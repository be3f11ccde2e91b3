"""The keys of the chain: a file of the same form as that of the token keys, the first signs, all verify."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from porthole.consoleauth.keys import KeyRing

_ID_PURPOSE = b"porthole audit key id"
_MAC_PURPOSE = b"porthole audit mac"
_HASH = "sha256"


class AuditKeys:
    """The keys that make and check the macs of lines.

    What signs is derived from the key, so the same key elsewhere gives nobody a mac.

    :param keys: raw keys, the newest first
    :ivar signing_id: the id of the key that signs, 8 hexadecimal digits
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("the audit log needs a key")
        derived = {_derive(key, _ID_PURPOSE)[:4].hex(): _derive(key, _MAC_PURPOSE) for key in reversed(keys)}
        self.signing_id = _derive(keys[0], _ID_PURPOSE)[:4].hex()
        self._keys = derived

    @classmethod
    def from_file(cls, path: Path) -> AuditKeys:
        """Read a key file as ``porthole keys add`` makes it: a base64url key a line.

        64 hexadecimal digits, as ``openssl rand -hex 32`` prints them, are such a key, too.

        :raises porthole.consoleauth.keys.KeyFileError: unreadable, open to others, empty, or a line is no key
        """
        return cls(KeyRing.from_file(path).keys)

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def __repr__(self) -> str:
        return f"AuditKeys({', '.join(self._keys)})"

    def mac(self, key_id: str, previous: str, body: bytes) -> str:
        """HMAC-SHA-256 (RFC 2104) of the line before and this one.

        :param previous: the mac of the line before, 64 hexadecimal digits
        :param body: the line's bytes without its mac
        :returns: 64 hexadecimal digits
        :raises KeyError: there is no such key
        """
        return hmac.digest(self._keys[key_id], previous.encode("ascii") + body, _HASH).hex()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, purpose, hashlib.sha256).digest()
