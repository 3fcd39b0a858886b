"""Whether a GeoTIFF holds all that its directory promises.

GDAL 3.13 writes through a buffer and says nothing when the disk does not take the last of it: neither flushing nor
closing fails, and the file ends early.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

OFFSETS, SIZES = (273, 324), (279, 325)  # of strips, of tiles
WIDTHS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}  # the kinds of TIFF's numbers that offsets and sizes have


def missing_bytes(path: str | Path) -> int:
    """Bytes that the directories of a TIFF file promise beyond its end; 0 when it is whole.

    Raises
    ------
    OSError, struct.error, KeyError
        If the file ends within a directory, or is no TIFF file.
    """
    size = Path(path).stat().st_size
    end = 0
    with Path(path).open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        big = struct.unpack(f"{order}H", head[2:4])[0] == 43
        place = struct.unpack(f"{order}Q", head[8:16])[0] if big else struct.unpack(f"{order}I", head[4:8])[0]
        while place:
            arrays, place = _directory(file, place, order, big)
            offsets = np.concatenate([arrays[tag] for tag in OFFSETS if tag in arrays])
            sizes = np.concatenate([arrays[tag] for tag in SIZES if tag in arrays])
            written = offsets > 0  # blocks without values are not written
            if written.any():
                end = max(end, int((offsets + sizes)[written].max()))
    return max(0, end - size)


def _directory(file: BinaryIO, place: int, order: str, big: bool) -> tuple[dict[int, np.ndarray], int]:
    """Offsets and sizes of one image, and the place of the next image's directory."""
    count_form, entry_form, next_form = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    file.seek(place)
    (count,) = _unpack(file, order + count_form)
    entries = [_unpack(file, order + entry_form) for _ in range(count)]
    (following,) = _unpack(file, order + next_form)
    arrays = {}
    for tag, kind, length, value in entries:
        if tag in OFFSETS + SIZES:
            form = np.dtype(order + WIDTHS[kind])
            wanted = length * form.itemsize
            if wanted > len(value):
                file.seek(struct.unpack(order + next_form, value)[0])
                value = file.read(wanted)
            if len(value) < wanted:
                raise struct.error("the file ends within a table of its directory")
            arrays[tag] = np.frombuffer(value, form, length).astype(np.uint64)
    return arrays, following


def _unpack(file: BinaryIO, form: str) -> tuple:
    return struct.unpack(form, file.read(struct.calcsize(form)))
