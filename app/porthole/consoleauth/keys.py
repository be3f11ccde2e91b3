"""The keys that sign tokens: a file of one key a line, the first signs, all verify."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer, base64_decode, base64_encode

KEY_BYTES = 32
MAX_KEYS = 100


class KeyFileError(Exception):
    """The key file cannot be used; the message says why and what would be right."""


class ExactSerializer(URLSafeSerializer):
    """itsdangerous' serializer that takes a signature only in the one spelling that it writes.

    The last letter of base64 has bits that mean nothing, so several texts decode to
    the same signature, and itsdangerous takes each of them.
    """

    def loads(self, s: str | bytes, salt: str | bytes | None = None, **kwargs: Any) -> Any:
        """What was signed.

        :raises itsdangerous.BadData: it was not signed with one of our keys, or is spelt another way
        """
        signature = (s.encode() if isinstance(s, str) else s).rpartition(b".")[2]
        if base64_encode(base64_decode(signature)) != signature:
            raise BadSignature("the signature is not spelt as it was signed")
        return super().loads(s, salt, **kwargs)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Signing keys, newest first.

    :ivar keys: raw keys of :data:`KEY_BYTES` bytes or more; the first one signs
    """

    keys: tuple[bytes, ...]

    @classmethod
    def from_file(cls, path: Path) -> KeyRing:
        """Read a key file: a base64url key a line, empty lines and lines with # are passed over.

        :raises KeyFileError: unreadable, open to others, empty, or a line is no key
        """
        try:
            mode = path.stat().st_mode
            text = path.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"{path}: cannot be read: {error}.") from None
        if mode & stat.S_IRWXO:
            raise KeyFileError(f"{path}: everybody may read it. Make it private: chmod o= {path}")
        lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
        keys = tuple(_decode(path, number, line) for number, line in lines if line and not line.startswith("#"))
        if not keys:
            raise KeyFileError(f"{path}: holds no key. Add one with: porthole keys add {path}")
        if len(keys) > MAX_KEYS:
            raise KeyFileError(
                f"{path}: holds {len(keys)} keys; {MAX_KEYS} are the most. Remove the oldest, at the end."
            )
        return cls(keys)

    def serializer(self, salt: str) -> ExactSerializer:
        """A signer for one kind of token; what another salt signed is not accepted by it."""
        # itsdangerous signs with the last key of its list and verifies with all.
        return ExactSerializer(
            list(reversed(self.keys)),
            salt=salt.encode(),
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )


def _decode(path: Path, number: int, line: str) -> bytes:
    try:
        key = base64.b64decode(line.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < KEY_BYTES:
        # The line itself may be a mistyped key, so it is not shown.
        raise KeyFileError(f"{path}: line {number} is not {KEY_BYTES} or more bytes in base64url.")
    return key


def add_key(path: Path, keep: int | None = None) -> int:
    """Put a new random key in front of those of a file, which is created when missing (mode 0600).

    Tokens signed with the older keys that stay in it stay valid. A file is replaced as a
    whole, so a reader never sees half of it; owner and mode stay.

    :param keep: how many keys, of the newest, the file holds at most afterwards; all without it
    :returns: how many keys the file holds now
    :raises KeyFileError: an existing file cannot be used, or the folder not written
    """
    old = KeyRing.from_file(path).keys if path.exists() else ()
    keys = [secrets.token_bytes(KEY_BYTES), *old][:keep]
    if len(keys) > MAX_KEYS:
        raise KeyFileError(f"{path}: holds {len(old)} keys already; remove the oldest, at the end.")
    text = "".join(base64.urlsafe_b64encode(key).decode("ascii") + "\n" for key in keys)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                existing = path.stat()
                os.fchown(file.fileno(), existing.st_uid, existing.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(existing.st_mode))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise KeyFileError(f"{path}: cannot be written: {error}.") from None
    return len(keys)
