"""DES as VNC authentication has it (RFC 6143 7.2.2), and nothing else of it.

DES does not protect anything any more: whoever sees a challenge and its response finds the password in hours. It is
here because QEMU's VNC server asks for it; what protects it is the TLS around it (docs/decisions/0012). Everything of
the service that uses DES is in this module.
"""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

KEY_LENGTH = 8
"""Bytes of a password that count; a shorter one is filled up with zeros, of a longer one the rest is ignored."""

CHALLENGE_LENGTH = 16
"""Bytes of a challenge, and of its response."""


def response(password: bytes, challenge: bytes) -> bytes:
    """The response to a challenge: both of its blocks, encrypted with the password.

    :param password: any number of bytes
    :param challenge: :data:`CHALLENGE_LENGTH` bytes
    :raises ValueError: it has another length
    """
    if len(challenge) != CHALLENGE_LENGTH:
        raise ValueError(f"a challenge has {CHALLENGE_LENGTH} bytes, not {len(challenge)}")
    key = bytes(map(_mirrored, password[:KEY_LENGTH].ljust(KEY_LENGTH, b"\0")))
    # With one key three times, Triple DES is DES, which the library has no more by itself.
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's mode
    return encryptor.update(challenge) + encryptor.finalize()


def _mirrored(byte: int) -> int:
    """The byte with its bits in the opposite order, as all VNC implementations take a key's; RFC 6143 leaves it out."""
    return int(f"{byte:08b}"[::-1], 2)
