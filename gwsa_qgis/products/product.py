"""What every gridded product module gives: which files are its own, what periods they hold, values in their unit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.source import open_source
from gwsa_qgis.rasters.raster import EVERYTHING, Raster

DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True)
class Layer:
    """One band of a file and the days that it stands for.

    Attributes
    ----------
    path : str
    band : int
        Counted from 0.
    start, stop : datetime64[D]
        First day, and the day after the last.
    """

    path: str
    band: int
    start: np.datetime64
    stop: np.datetime64


Coding = tuple[float, float]


@dataclass(frozen=True)
class Product:
    """A product: its names, dates, units and quality flags.

    Attributes
    ----------
    name : str
    recognise : callable(path) -> bool
        Whether a file's name is of this product, its quality files included.
    layers : callable(path) -> list of Layer
    variable : callable(path) -> str
        Which of the product's variables a file holds, for refusing mixtures.
    unit : callable(path) -> str
        Unit of the values that `read` gives; empty to leave it to the file.
    coding : callable(source) -> (scale, offset) or None
        From stored integers to the unit; None leaves it to the file's tags.
    valid_range : (low, high)
        Stored values outside are NoData.
    aggregation : {"mean", "sum"}
        How dates within a month are combined; a sum is of rates a day where `per_day`.
    per_day : bool
    quality_of : callable(path) -> str
        Name of the quality file beside a file; empty if the product has none.
    usable : callable(array) -> bool array
        Which quality flags are good enough.
    """

    name: str
    recognise: Callable[[str], bool]
    layers: Callable[[str], list[Layer]]
    variable: Callable[[str], str] = field(default=lambda path: "")
    unit: Callable[[str], str] = field(default=lambda path: "")
    coding: Callable[[Raster | Cube], Coding | None] = field(default=lambda source: None)
    valid_range: tuple[float, float] = (-np.inf, np.inf)
    aggregation: str = "mean"
    per_day: bool = False
    quality_of: Callable[[str], str] = field(default=lambda path: "")
    usable: Callable[[np.ndarray], np.ndarray] = field(default=np.isfinite)

    def read(
        self,
        source: Raster | Cube,
        band: int,
        rows: slice = EVERYTHING,
        columns: slice = EVERYTHING,
        coding: Coding | None = None,
    ) -> np.ndarray:
        """Read a window of one band in the quantity's own unit, (rows, columns) float32.

        Parameters
        ----------
        coding : (scale, offset), optional
            Takes the place of the product's and of the tags.
        """
        coding = coding or self.coding(source)
        if isinstance(source, Cube):
            values = source.read(rows, columns, [band])[0]
        else:
            values = source.read(rows, columns, [band], scaled=coding is None)[0]
        low, high = self.valid_range
        if coding is not None:
            if np.isfinite([low, high]).any():
                values[(values < low) | (values > high)] = np.nan
            values = values * np.float32(coding[0]) + np.float32(coding[1])
        return values


def is_integer(source: Raster | Cube) -> bool:
    """Whether a raster stores integers."""
    if isinstance(source, Cube):
        return False
    from gwsa_qgis.rasters.gdal_setup import gdal

    return source.dataset.GetRasterBand(1).DataType not in (gdal.GDT_Float32, gdal.GDT_Float64)


def has_tags(source: Raster | Cube) -> bool:
    """Whether a raster says its own scale or offset."""
    if isinstance(source, Cube):
        return False
    band = source.dataset.GetRasterBand(1)
    return band.GetScale() not in (None, 1.0) or band.GetOffset() not in (None, 0.0)


def composite_layers(path: str, days: int) -> list[Layer]:
    """Layers of composites of `days` days that start anew each 1 January, dated by band descriptions or the name.

    Raises
    ------
    InvalidMonths
        If a band has no date.
    """
    with open_source(path) as source:
        if isinstance(source, Cube):
            starts = _times(source, path).astype("datetime64[D]")
        else:
            names = source.descriptions() if source.bands > 1 or DAY.search(source.descriptions()[0] or "") else []
            starts = np.array([first_day(name, path) for name in names or [Path(path).stem]], dtype="datetime64[D]")
    year_ends = (starts.astype("datetime64[Y]") + 1).astype("datetime64[D]")
    return [
        Layer(path, band, start, min(start + days, end))
        for band, (start, end) in enumerate(zip(starts, year_ends, strict=True))
    ]


def first_day(text: str, path: str) -> np.datetime64:
    """Date in a text: ``YYYY-MM-DD`` in its spellings, or ``AYYYYDDD`` / ``doyYYYYDDD``."""
    found = DAY.search(text or "")
    if found:
        return np.datetime64("-".join(found.groups()), "D")
    found = re.search(r"(?:A|doy)((?:19|20)\d\d)([0-3]\d\d)(?!\d)", text or "", re.IGNORECASE)
    if found and 1 <= int(found[2]) <= 366:
        return np.datetime64(f"{found[1]}-01-01", "D") + (int(found[2]) - 1)
    raise InvalidMonths(
        f"{path} has no date in {text!r}", "name bands or files by the first day of their period (YYYY-MM-DD)"
    )


def month_layer(path: str, band: int, month: np.datetime64) -> Layer:
    """Layer that stands for a whole calendar month."""
    first = month.astype("datetime64[M]")
    return Layer(path, band, first.astype("datetime64[D]"), (first + 1).astype("datetime64[D]"))


def _times(source: Cube, path: str) -> np.ndarray:
    times = source.times()
    if times is None:
        raise UnreadableInput(f"{path} has no time axis", "give a file with dates")
    return times
