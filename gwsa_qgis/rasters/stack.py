"""Monthly stacks: rasters with one band a calendar month."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, NoUsableData
from gwsa_qgis.months import check_increasing, month_range
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import EVERYTHING, Raster, RasterWriter, create_raster

MONTH_PATTERN = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])(?!\d)")
FILLED_MARK = "filled"


class MonthlyStack(Raster):
    """A raster with one band a month, opened for reading.

    Attributes
    ----------
    months : (n_months,) datetime64[M]
        Contiguous calendar months, one a band.
    quantity, baseline : str
        What the values are and the period whose mean they are anomalies to; empty when not said.
    filled : (n_months,) bool
        Months whose values come from gap filling.

    Raises
    ------
    InvalidMonths
        If bands have no months, or months are doubled, out of order or not contiguous.
    """

    def __init__(self, path: str | Path, start: str | None = None) -> None:
        super().__init__(path)
        self.months = self._find_months(start)
        check_increasing(self.months, self.path)
        gaps = np.flatnonzero(np.diff(self.months).astype(int) > 1)
        if gaps.size:
            raise InvalidMonths(
                f"{self.path} jumps from {self.months[gaps[0]]} to {self.months[gaps[0] + 1]}",
                "make a stack with one band for each month, missing ones as NoData, with gwsa:monthlystack",
            )
        tags = self.metadata()
        self.quantity, self.baseline = tags.get("GWSA_QUANTITY", ""), tags.get("GWSA_BASELINE", "")
        filled = set(tags.get("GWSA_FILLED_MONTHS", "").split())
        self.filled = np.array([str(month) in filled for month in self.months])

    def _find_months(self, start: str | None) -> np.ndarray:
        if start:
            try:
                first = np.datetime64(start, "M")
            except ValueError:
                raise InvalidMonths(f"the start {start!r} is not a month", "give it as YYYY-MM") from None
            return first + np.arange(self.bands)
        months = []
        for position, description in enumerate(self.descriptions(), start=1):
            found = MONTH_PATTERN.search(description or "")
            if not found:
                raise InvalidMonths(
                    f"{self.path} has no month on band {position} of {self.bands} (its description is {description!r})",
                    "make a monthly stack from it with gwsa:monthlystack, which takes a start month",
                )
            months.append(f"{found[1]}-{found[2]}")
        return np.array(months, dtype="datetime64[M]")

    def positions(self, months: np.ndarray) -> np.ndarray:
        """Band positions (from 0) of `months`.

        Raises
        ------
        InvalidMonths
            If one of them is not in this stack.
        """
        index = (months - self.months[0]).astype(int)
        outside = (index < 0) | (index >= self.bands)
        if outside.any():
            raise InvalidMonths(
                f"{self.path} ({self.months[0]} to {self.months[-1]}) lacks {months[outside][0]}",
                "give stacks that cover the same months",
            )
        return index

    def read_months(self, months: np.ndarray, rows: slice = EVERYTHING, columns: slice = EVERYTHING) -> np.ndarray:
        """Read a window for given months, shape (n_months, rows, columns)."""
        return self.read(rows, columns, self.positions(months))


def common_months(stacks: Sequence[MonthlyStack]) -> np.ndarray:
    """Months that all stacks have.

    Raises
    ------
    InvalidMonths
        If there is none.
    """
    first = max(stack.months[0] for stack in stacks)
    last = min(stack.months[-1] for stack in stacks)
    if last < first:
        spans = ", ".join(f"{s.path}: {s.months[0]} to {s.months[-1]}" for s in stacks)
        raise InvalidMonths(f"the stacks have no month in common ({spans})", "give stacks whose months overlap")
    return month_range(first, last)


def require_values(path: str | Path, valid: int, what: str = "valid value") -> None:
    """Raise `NoUsableData` when nothing valid was found in an input."""
    if not valid:
        raise NoUsableData(f"{path} has no {what}: all is NoData", "check its extent, its mask and its NoData value")


@contextmanager
def create_stack(
    path: str | Path,
    grid: Grid,
    months: np.ndarray,
    *,
    unit: str = "cm",
    quantity: str = "",
    baseline: str = "",
    filled: np.ndarray | None = None,
    step: str = "",
    metadata: dict[str, str] | None = None,
    dtype: str = "float32",
    nodata: float | None = np.nan,
    **layout: object,
) -> Iterator[RasterWriter]:
    """Create a monthly stack that appears at `path` when the block ends well.

    Parameters
    ----------
    filled : (n_months,) bool, optional
        Months whose values come from gap filling; kept in the file's and the bands' metadata.
    step : str
        The algorithm that writes it.
    **layout
        `tile`, `quick` and `threads` of `create_raster`.
    """
    from gwsa_qgis import __version__

    filled = np.zeros(months.size, bool) if filled is None else np.asarray(filled, bool)
    tags = {
        "GWSA_QUANTITY": quantity,
        "GWSA_BASELINE": baseline,
        "GWSA_FILLED_MONTHS": " ".join(str(month) for month in months[filled]),
        "GWSA_STEP": step,
        "GWSA_VERSION": __version__,
        **(metadata or {}),
    }
    names = [str(month) for month in months]
    with create_raster(
        path,
        grid,
        months.size,
        dtype=dtype,
        nodata=nodata,
        descriptions=names,
        unit=unit,
        metadata={key: value for key, value in tags.items() if value},
        **layout,
    ) as writer:
        for number in np.flatnonzero(filled):
            writer.dataset.GetRasterBand(int(number) + 1).SetMetadataItem("GWSA_MONTH", FILLED_MARK)
        yield writer


def write_stack(path: str | Path, grid: Grid, months: np.ndarray, values: np.ndarray, **options: object) -> Path:
    """Write a whole stack (n_months, rows, columns) that is small enough to be in memory."""
    with create_stack(path, grid, months, **options) as writer:
        writer.write(values.astype(np.float32, copy=False))
    return Path(path)
