"""The answer to a challenge, by values that others have computed, and where the password does not show."""

from __future__ import annotations

import dataclasses

import pytest

from porthole.proxy.rfb import des
from porthole.proxy.rfb.password import VncPassword

CHALLENGE = bytes(range(16))


def mirrored(data: bytes) -> bytes:
    """Each byte with its bits the other way round, written down in another way than in the code."""
    return bytes(sum((byte >> bit & 1) << (7 - bit) for bit in range(8)) for byte in data)


@pytest.mark.parametrize(
    ("key", "block", "cipher"),
    [
        # FIPS 81 table B1, and NIST SP 800-17 tables A.1 and A.2.
        ("0123456789abcdef", "4e6f772069732074", "3fa40e8a984d4815"),
        ("0101010101010101", "8000000000000000", "95f8a5e5dd31d900"),
        ("8001010101010101", "0000000000000000", "95a8d72813daa94d"),
    ],
)
def test_it_is_des_with_the_bits_of_each_byte_of_the_key_mirrored(key: str, block: str, cipher: str) -> None:
    password = mirrored(bytes.fromhex(key))
    assert des.response(password, bytes.fromhex(block * 2)).hex() == cipher * 2


def test_each_half_is_encrypted_by_itself() -> None:
    halves = (CHALLENGE[:8], CHALLENGE[8:])
    assert des.response(b"secret", CHALLENGE) == b"".join(des.response(b"secret", half * 2)[:8] for half in halves)


def test_eight_bytes_count_and_a_shorter_one_ends_with_zeros() -> None:
    assert VncPassword("12345678").answer(CHALLENGE) == VncPassword("123456789").answer(CHALLENGE)
    assert VncPassword("1234567").answer(CHALLENGE) != VncPassword("12345678").answer(CHALLENGE)
    assert des.response(b"abc", CHALLENGE) == des.response(b"abc\0\0\0\0\0", CHALLENGE)


def test_of_what_is_no_ascii_the_bytes_of_utf_8_count_as_in_qemu() -> None:
    assert VncPassword("Grün").answer(CHALLENGE) == des.response(b"Gr\xc3\xbcn", CHALLENGE)


@pytest.mark.parametrize("length", [0, 8, 15, 17])
def test_a_challenge_has_sixteen_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="a challenge has 16 bytes"):
        des.response(b"secret", bytes(length))


def test_the_password_does_not_show_when_it_is_printed() -> None:
    password = VncPassword("s3cret", "2030-01-02T03:04:05")
    assert "s3cret" not in f"{password} {password!r} {[password]} {dataclasses.replace(password)}"
