"""How inputs are made: a valid dialogue, damaged in a few places, or bytes of chance."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

MAX_INPUT = 4096
"""Bytes of an input; more than the longest message that is held, less than what takes long."""

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xC0A1E5CE)
_RANDOM_ONE_IN = 8
_MOST_MUTATIONS = 4


def mutated(random: Random, dialogue: Callable[[Random], bytes]) -> bytes:
    """One input.

    :param random: decides everything
    :param dialogue: makes a valid dialogue
    """
    if not random.randrange(_RANDOM_ONE_IN):
        return random.randbytes(random.randrange(200))
    data = bytearray(dialogue(random))
    for _ in range(random.randrange(_MOST_MUTATIONS + 1)):
        random.choice(_MUTATIONS)(random, data)
    return bytes(data[:MAX_INPUT])


def _place(random: Random, data: bytearray) -> int:
    return random.randrange(len(data) + 1)


def _flip_a_bit(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set_a_byte(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def _set_a_number(random: Random, data: bytearray) -> None:
    """One at the edge of its range, of one, two or four bytes."""
    number, size, at = random.choice(_EDGES), random.choice((1, 2, 4)), _place(random, data)
    data[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "big")


def _insert(random: Random, data: bytearray) -> None:
    at = _place(random, data)
    data[at:at] = random.randbytes(random.randrange(1, 9))


def _delete(random: Random, data: bytearray) -> None:
    at = _place(random, data)
    del data[at : at + random.randrange(1, 9)]


def _repeat(random: Random, data: bytearray) -> None:
    at, end = sorted((_place(random, data), _place(random, data)))
    data[end:end] = data[at:end]


def _truncate(random: Random, data: bytearray) -> None:
    del data[_place(random, data) :]


_MUTATIONS = (_flip_a_bit, _set_a_byte, _set_a_number, _insert, _delete, _repeat, _truncate)
