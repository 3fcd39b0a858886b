"""Random damage to bytes: what transfers, editors and people who mean harm do to files."""

from __future__ import annotations

import random

NUMBERS = (b"0", b"-1", b"255", b"65536", b"2147483648", b"-9223372036854775809", b"1e999", b"nan", b"-9999", b"1,5")
WORDS = (
    *(
        b";",
        b",",
        b"\t",
        b'"',
        b"'",
        b"\r\n",
        b"\n",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
    ),
    *(
        b"NA",
        b"2004-13",
        b"31/12/2004",
        b"0000-00-00",
        b"9999-99",
        b"../../x",
        b"/",
        b"%s",
        b"null",
        b"true",
        b"\xc3\xa9",
    ),
    *NUMBERS,
)


def mutate(data: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    """A damaged copy: one to five changes, each at a random place."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        change = dice.choice(CHANGES)
        change(changed, dice, others)
    return bytes(changed)


def _place(data: bytearray, dice: random.Random) -> int:
    return dice.randrange(len(data) + 1)


def _flip(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _set(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    if data:
        data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _cut(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _place(data, dice)
    del data[at : at + dice.choice((1, 2, 8, 64, len(data)))]


def _double(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _place(data, dice)
    part = bytes(data[at : at + dice.choice((1, 8, 64, 512))])
    data[at:at] = part * dice.choice((1, 1, 2, 50))


def _insert(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _place(data, dice)
    data[at:at] = dice.choice(WORDS) if dice.random() < 0.8 else dice.randbytes(dice.randrange(1, 16))


def _number(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    """Put another number in the place of digits."""
    digits = [k for k, byte in enumerate(data) if 48 <= byte < 58]
    if digits:
        at = end = dice.choice(digits)
        while end < len(data) and 48 <= data[end] < 58:
            end += 1
        data[at:end] = dice.choice(NUMBERS)


def _integer(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    """Overwrite with a binary integer of an awkward size."""
    width = dice.choice((2, 4, 8))
    top = 1 << 8 * width
    value = dice.choice((0, 1, 1000, top // 2 - 1, top // 2, top - 1, 1 << 20)) % top
    at = _place(data, dice)
    data[at : at + width] = value.to_bytes(width, dice.choice(("little", "big")))


def _splice(data: bytearray, dice: random.Random, others: list[bytes]) -> None:
    other = dice.choice(others)
    at, start = _place(data, dice), dice.randrange(len(other) + 1)
    length = dice.choice((1, 16, 256))
    data[at : at + length] = other[start : start + length]


CHANGES = (_flip, _set, _cut, _double, _insert, _number, _integer, _splice)
