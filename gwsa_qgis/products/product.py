"""What every gridded product module gives: which files are its own, what periods they hold, values in their unit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.sanity import Figures, odd_figures
from gwsa_qgis.products.source import open_source
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.raster import EVERYTHING, Raster

DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
YEAR_AND_DAY = re.compile(r"(?:A|doy)((?:19|20)\d\d)([0-3]\d\d)(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Layer:
    """One band of a file and the days that it stands for.

    Attributes
    ----------
    path : str
        What `open_source` opens.
    band : int
        Counted from 0.
    start, stop : datetime64[D]
        First day, and the day after the last.
    variable : str
        Which of the product's variables it holds; quality flags are variables too.
    """

    path: str
    band: int
    start: np.datetime64
    stop: np.datetime64
    variable: str = ""


Coding = tuple[float, float]


@dataclass(frozen=True)
class Quantity:
    """How the values of a variable are to be taken.

    Attributes
    ----------
    unit : str
        Unit of the values that `Product.read` gives; empty to leave it to the file.
    aggregation : {"mean", "sum"}
        How dates within a month are combined; a sum is of rates a day where `per_day`.
    per_day : bool
    conversion : (factor, offset), optional
        From the file's physical unit, after its tags, to `unit`.
    """

    unit: str = ""
    aggregation: str = "mean"
    per_day: bool = False
    conversion: Coding | None = None


@dataclass(frozen=True)
class Combination:
    """A variable that is made from others of the product: a weighted sum.

    Attributes
    ----------
    name : str
    weights : dict of str to float
        Variables that it needs.
    optional : dict of str to float
        Variables that are added when they are there.
    """

    name: str
    weights: Mapping[str, float]
    optional: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Product:
    """A product: its names, dates, units and quality flags.

    Attributes
    ----------
    name : str
    recognise : callable(path) -> bool
        Whether a file's name is of this product, its quality files included.
    layers : callable(path) -> list of Layer
    quantity : callable(variable) -> Quantity
    accept : callable(path) -> bool, optional
        Whether a file may be of this product when the user says so; `recognise` otherwise.
    version : callable(path) -> str
        Release by the file's name, for refusing mixtures; empty when the name does not say.
    coding : callable(source, variable) -> (scale, offset) or None
        From stored numbers to the unit, in place of the file's tags; None leaves it to them.
    valid_range : callable(variable) -> (low, high)
        Stored values outside are NoData.
    usable : dict of str to callable(array) -> bool array
        For each variable that holds quality flags, which of them are good enough; best source first.
    quality_for : callable(variable) -> tuple of str, optional
        Which of these belong to a variable; all of them otherwise.
    beside : callable(path) -> list of str
        Names that a quality file beside a file may have.
    combinations : tuple of Combination
    usual : str
        Variable that is taken of a file that holds several, when none is named.
    ignored : tuple of str
        Variables that are no quantity of water or vegetation here, and are passed over.
    odd : callable(variable, figures, source) -> str
        What is physically odd about the values; empty when nothing is.
    cells_per_degree : int
        Cells of the product's global grid, to whose multiples edges are snapped; 0 leaves them.
    """

    name: str
    recognise: Callable[[str], bool]
    layers: Callable[[str], list[Layer]]
    quantity: Callable[[str], Quantity] = field(default=lambda variable: Quantity())
    accept: Callable[[str], bool] | None = None
    version: Callable[[str], str] = field(default=lambda path: "")
    coding: Callable[[Raster | Cube, str], Coding | None] = field(default=lambda source, variable: None)
    valid_range: Callable[[str], tuple[float, float]] = field(default=lambda variable: (-np.inf, np.inf))
    usable: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    quality_for: Callable[[str], tuple[str, ...]] | None = None
    beside: Callable[[str], list[str]] = field(default=lambda path: [])
    combinations: tuple[Combination, ...] = ()
    usual: str = ""
    ignored: tuple[str, ...] = ()
    odd: Callable[[str, Figures, Raster | Cube], str] = field(
        default=lambda variable, figures, source: odd_figures(variable, figures)
    )
    cells_per_degree: int = 0

    def read(
        self,
        source: Raster | Cube,
        band: int,
        rows: slice = EVERYTHING,
        columns: slice = EVERYTHING,
        coding: Coding | None = None,
        variable: str = "",
    ) -> np.ndarray:
        """Read a window of one band in the quantity's own unit, (rows, columns) float32.

        Parameters
        ----------
        coding : (scale, offset), optional
            Takes the place of the product's and of the tags.
        """
        conversion = self.quantity(variable).conversion if coding is None else None
        coding = coding or self.coding(source, variable)
        values = source.read(rows, columns, [band], scaled=coding is None)[0]
        if coding is not None:
            low, high = self.valid_range(variable)
            if np.isfinite([low, high]).any():
                values[(values < low) | (values > high)] = np.nan
            values = _linear(values, coding)
        return values if conversion is None else _linear(values, conversion)


def _linear(values: np.ndarray, coding: Coding) -> np.ndarray:
    return values * np.float32(coding[0]) + np.float32(coding[1])


def is_integer(source: Raster | Cube) -> bool:
    """Whether a file stores integers."""
    if isinstance(source, Cube):
        return source.is_integer
    return source.dataset.GetRasterBand(1).DataType not in (gdal.GDT_Float32, gdal.GDT_Float64)


def tags_of(source: Raster | Cube) -> Coding:
    """Scale and offset that a file itself names; (1, 0) when it names none."""
    if isinstance(source, Cube):
        return source.tags
    band = source.dataset.GetRasterBand(1)
    scale, offset = band.GetScale(), band.GetOffset()
    return (1.0 if scale is None else scale, 0.0 if offset is None else offset)


def has_tags(source: Raster | Cube) -> bool:
    """Whether a file says its own scale or offset."""
    return tags_of(source) != (1.0, 0.0)


def composite_layers(path: str, days: int, variables: Mapping[str, re.Pattern], year_offset: int = 0) -> list[Layer]:
    """Layers of composites of `days` days that start anew each year, dated by band descriptions or the name.

    Parameters
    ----------
    variables : dict of str to pattern
        How the product's variables are spelled in names of files or bands, first found first.
    year_offset : int
        Days after 1 January at which the first composite of a year begins.

    Raises
    ------
    InvalidMonths
        If a band has no date.
    """
    with open_source(path) as source:
        if isinstance(source, Cube):
            starts, names = _times(source, path).astype("datetime64[D]"), [source.variable] * source.bands
        else:
            names = source.descriptions()
            dated = [text for text in names if _date(text)]
            # a date a band where all have one, else all bands are of the file's date
            texts = names if len(dated) == len(names) else [Path(path).stem] * len(names)
            if source.bands > 1 and not dated and not any(variable_in(text, variables) for text in names):
                raise _no_date(path, names[0])
            starts = np.array([first_day(text, path) for text in texts], dtype="datetime64[D]")
    whole = variable_in(Path(path).name, variables)
    return [
        Layer(path, band, start, composite_end(start, days, year_offset), variable_in(text, variables) or whole)
        for band, (start, text) in enumerate(zip(starts, names, strict=True))
    ]


def composite_end(start: np.datetime64, days: int, year_offset: int = 0) -> np.datetime64:
    """Day after the last of a composite: the next year's first composite cuts the last one short."""
    cut = (start.astype("datetime64[Y]") + 1).astype("datetime64[D]") + year_offset
    return min(start + days, cut)


def variable_in(text: str, variables: Mapping[str, re.Pattern]) -> str:
    """First variable whose spelling occurs in a text; empty when none does."""
    return next((name for name, pattern in variables.items() if pattern.search(text or "")), "")


def first_day(text: str, path: str) -> np.datetime64:
    """Date in a text: ``YYYY-MM-DD`` in its spellings, or ``AYYYYDDD`` / ``doyYYYYDDD``."""
    day = _date(text)
    if day is None:
        raise _no_date(path, text)
    return day


def _date(text: str) -> np.datetime64 | None:
    found = DAY.search(text or "")
    if found:
        try:
            return np.datetime64("-".join(found.groups()), "D")
        except ValueError:  # 31 February
            return None
    found = YEAR_AND_DAY.search(text or "")
    if found and 1 <= int(found[2]) <= 366:
        return np.datetime64(f"{found[1]}-01-01", "D") + (int(found[2]) - 1)
    return None


def _no_date(path: str, text: str) -> InvalidMonths:
    return InvalidMonths(
        f"{path} has no date in {text!r}", "name bands or files by the first day of their period (YYYY-MM-DD)"
    )


def month_layer(path: str, band: int, month: np.datetime64, variable: str = "") -> Layer:
    """Layer that stands for a whole calendar month."""
    first = month.astype("datetime64[M]")
    return Layer(path, band, first.astype("datetime64[D]"), (first + 1).astype("datetime64[D]"), variable)


def monthly_cube_layers(cube: Cube, path: str, variable: str) -> list[Layer]:
    """Layers of a NetCDF variable with one time a month.

    Raises
    ------
    InvalidMonths
        If several times lie in one month.
    """
    months = _times(cube, path).astype("datetime64[M]")
    if np.unique(months).size != months.size:
        raise InvalidMonths(
            f"{path} has several times in {months[:-1][np.diff(months).astype(int) == 0][:1]} and is not monthly",
            "give the product's monthly files",
        )
    return [month_layer(path, band, month, variable) for band, month in enumerate(months)]


def _times(source: Cube, path: str) -> np.ndarray:
    times = source.times()
    if times is None:
        raise UnreadableInput(f"{path} has no time axis", "give a file with dates")
    return times
