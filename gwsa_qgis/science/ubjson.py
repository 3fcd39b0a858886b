"""A strict reader of UBJSON (Universal Binary JSON, draft 12), as far as XGBoost writes it."""

from __future__ import annotations

import struct

import numpy as np

from gwsa_qgis.errors import InvalidModelFile

NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
CONSTANTS = {"Z": None, "T": True, "F": False}
DEEPEST = 32
LONGEST_TEXT = 1 << 16


def parse_ubjson(data: bytes) -> object:
    """Decode a document; arrays of one type of number become numpy arrays.

    Raises
    ------
    InvalidModelFile
        If the bytes are not one whole document.
    """
    reader = _Reader(data)
    try:
        value = reader.value(reader.marker(), 0)
    except (struct.error, UnicodeDecodeError, ValueError, OverflowError, MemoryError) as error:
        raise _damaged(str(error)[:80] or type(error).__name__) from error
    if reader.at != len(data):
        raise _damaged(f"{len(data) - reader.at} bytes too many")
    return value


def _damaged(reason: str) -> InvalidModelFile:
    return InvalidModelFile(
        f"a booster in the model file is damaged ({reason})", "train the model again or fetch the file again"
    )


class _Reader:
    """A place in the bytes, moved on by reading."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def marker(self) -> str:
        """The next type marker."""
        return self.take(1).decode("latin-1")

    def count(self) -> int:
        """A length, itself a number with a marker."""
        kind = self.marker()
        if kind not in "iUIlL":
            raise ValueError(f"a length of type {kind!r}")
        length = int(self.number(kind))
        if not 0 <= length <= len(self.data):
            raise ValueError(f"a length of {length}")
        return length

    def number(self, kind: str) -> int | float:
        """One number of a type."""
        dtype = np.dtype(NUMBERS[kind])
        return np.frombuffer(self.take(dtype.itemsize), dtype)[0].item()

    def text(self) -> str:
        """A text without its marker."""
        length = self.count()
        if length > LONGEST_TEXT:
            raise ValueError(f"a text of {length} bytes")
        return self.take(length).decode("utf-8")

    def value(self, kind: str, depth: int) -> object:
        """The value whose marker was read."""
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        if kind in CONSTANTS:
            return CONSTANTS[kind]
        if kind in NUMBERS:
            return self.number(kind)
        if kind == "S":
            return self.text()
        if kind == "[":
            return self.array(depth)
        if kind == "{":
            return self.object(depth)
        raise ValueError(f"an unknown type {kind!r}")

    def array(self, depth: int) -> list | np.ndarray:
        """An array: typed and counted, counted, or closed by a bracket."""
        following = self.marker()
        if following == "$":
            kind, mark = self.marker(), self.marker()
            if kind not in NUMBERS or mark != "#":
                raise ValueError(f"an array of type {kind!r}")
            dtype, length = np.dtype(NUMBERS[kind]), self.count()
            return np.frombuffer(self.take(length * dtype.itemsize), dtype)
        if following == "#":
            return [self.value(self.marker(), depth + 1) for _ in range(self.count())]
        items = []
        while following != "]":
            items.append(self.value(following, depth + 1))
            following = self.marker()
        return items

    def object(self, depth: int) -> dict:
        """An object closed by a brace; a key may stand only once."""
        result = {}
        while self.data[self.at : self.at + 1] != b"}":
            key = self.text()
            if key in result:
                raise ValueError(f"the key {key[:40]!r} twice")
            result[key] = self.value(self.marker(), depth + 1)
        self.at += 1
        return result
