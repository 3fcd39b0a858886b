"""GRACE and GRACE-FO water storage grids: CSR and JPL mascon files, and plain CF files of TWSA."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.products.cf_time import calendar_months_of, describe_months, midpoint_months, parse_missing
from gwsa_qgis.products.cube import Cube, NetcdfFile

TWSA_NAMES = ("lwe_thickness", "twsa", "tws", "lwe", "ewh", "JPL_EWH_downscaled")
LAND_NAMES = ("LO_val", "land_mask", "landmask", "LSMASK", "mask")
MASCON_NAMES = ("mascon_id", "mascon_ID", "mascon")
MONTH_RULES = ("metadata", "midpoint")
# A solution of a month may use data of the days round it; its mid-epoch stays this near to the month.
MIDPOINT_TOLERANCE_DAYS = 20


@dataclass(frozen=True)
class Solutions:
    """Which month each time of a file stands for.

    Attributes
    ----------
    months : (n_times,) datetime64[M]
    rule : str
        How they were assigned, for the log.
    doubled : (n,) datetime64[M]
        Months with more than one solution, to be averaged.
    moved : (n,) datetime64[M]
        Months whose solution has its mid-point in another calendar month.
    """

    months: np.ndarray
    rule: str
    doubled: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[M]"))
    moved: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[M]"))

    def of(self, month: np.datetime64) -> np.ndarray:
        """Times (from 0) that stand for a month."""
        return np.flatnonzero(self.months == month)


def recognise(path: str | Path) -> bool:
    """Whether a file is a GRACE grid by its variables."""
    try:
        with NetcdfFile(path) as file:
            return bool(file.find(*TWSA_NAMES))
    except UnreadableInput:
        return False


def open_storage(path: str | Path, variable: str = "") -> tuple[NetcdfFile, Cube]:
    """Open the water storage variable of a file.

    Raises
    ------
    UnreadableInput
        If the file has no such variable, or no time axis.
    """
    file = NetcdfFile(path)
    cube = file.cube(variable or file.variable or file.find(*TWSA_NAMES))
    if cube.times() is None:
        raise UnreadableInput(
            f"{cube.variable} in {file.path} has no time axis", "give the file of the monthly solutions"
        )
    return file, cube


def assign_months(cube: Cube, attributes: dict[str, object], rule: str) -> Solutions:
    """Find the month of each solution.

    Parameters
    ----------
    rule : {"metadata", "midpoint"}
        ``metadata``: all months of the file's coverage less its ``months_missing``, in order; ``midpoint``: by the
        mid-epoch (`cf_time.midpoint_months`), as the paper did, so that two solutions may share a month.

    Raises
    ------
    InvalidMonths
        If the metadata contradict the times, or two solutions of a file without such metadata share a month.
    """
    times = cube.times()
    if rule == "midpoint":
        months = midpoint_months(times)
        return Solutions(months, "by their mid-points", doubled=_doubled(months))
    missing, start, end = (attributes.get(k) for k in ("months_missing", "time_coverage_start", "time_coverage_end"))
    if missing is None or start is None or end is None:
        months = calendar_months_of(times)
        doubled = _doubled(months)
        if doubled.size:
            raise InvalidMonths(
                f"{cube.path} has two solutions in {describe_months(doubled)} and no list of missing months",
                "choose MONTHS = midpoint to average them, or remove one",
            )
        return Solutions(months, "by their calendar months (the file lists no missing months)")
    return _from_metadata(cube, times, str(missing), str(start), str(end))


def _from_metadata(cube: Cube, times: np.ndarray, missing: str, start: str, end: str) -> Solutions:
    absent = parse_missing(missing, cube.path)
    covered = month_range(start[:7], end[:7])
    months = covered[~np.isin(covered, absent)]
    if months.size != times.size:
        raise InvalidMonths(
            f"{cube.path} has {times.size} solutions, but its metadata leave {months.size} months between "
            f"{covered[0]} and {covered[-1]} ({absent.size} missing)",
            "choose MONTHS = midpoint, or fetch the file again",
        )
    order = np.argsort(times, kind="stable")
    assigned = np.empty_like(months)
    assigned[order] = months
    _check_overlap(cube, times, assigned)
    moved = assigned[calendar_months_of(times) != assigned]
    return Solutions(assigned, "by the file's list of missing months", moved=np.sort(moved))


def _check_overlap(cube: Cube, times: np.ndarray, months: np.ndarray) -> None:
    """Raise unless each solution's data touch the month that it is given."""
    bounds = cube.time_bounds()
    if bounds is None:
        tolerance = np.timedelta64(MIDPOINT_TOLERANCE_DAYS * 86400, "s")
        bounds = np.stack([times - tolerance, times + tolerance], axis=1)
    begin, stop = months.astype("datetime64[s]"), (months + 1).astype("datetime64[s]")
    apart = (bounds[:, 0] >= stop) | (bounds[:, 1] < begin)
    if apart.any():
        at = int(np.flatnonzero(apart)[0])
        raise InvalidMonths(
            f"solution {at + 1} of {cube.path} has data of {bounds[at, 0]} to {bounds[at, 1]}, but the file's list of "
            f"missing months makes it {months[at]}",
            "choose MONTHS = midpoint, or fetch the file again",
        )


def _doubled(months: np.ndarray) -> np.ndarray:
    names, counts = np.unique(months, return_counts=True)
    return names[counts > 1]


def baseline_of(attributes: dict[str, object]) -> str:
    """Baseline as ``2004-01..2009-12``; empty when the file does not say."""
    text = str(attributes.get("time_mean_removed", ""))
    years = re.findall(r"\d{4}", re.sub(r"\.\d+", "", text))
    return f"{years[0]}-01..{years[1]}-12" if len(years) == 2 else ""
