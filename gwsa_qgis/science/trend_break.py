"""Slopes before and after a month, and whether they differ: a test that allows for month-to-month correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.ar1_tests import slope_tests
from gwsa_qgis.science.pixel_trend import take_season_out
from gwsa_qgis.science.ranks import usable_blocks
from gwsa_qgis.science.serial_correlation import detrend, lag_one_correlation
from gwsa_qgis.science.theil_sen import theil_sen

FEWEST_MONTHS = 24
WORSE, UNCHANGED, BETTER = range(1, 7), 7, range(8, 14)
# Variance of a Theil-Sen slope over that of least squares for normal values: pi / 3 (Sen, 1968).
SLOPE_VARIANCE = np.pi / 3.0


@dataclass(frozen=True)
class TrendBreak:
    """Trends of many series before and after a month; all arrays of shape (n_series,), NaN where months are too few.

    Attributes
    ----------
    before, after : ndarray
        Theil-Sen slopes of both parts, unit of the series per month.
    change : ndarray
        `after` less `before`.
    p_before, p_after, p_change : ndarray
        Two-sided p values of both slopes and of their difference, against zero.
    correlation : ndarray
        Mean of the month-to-month correlations that could have given what is left of the series.
    """

    before: np.ndarray
    after: np.ndarray
    change: np.ndarray
    p_before: np.ndarray
    p_after: np.ndarray
    p_change: np.ndarray
    correlation: np.ndarray


def trend_break(
    series: np.ndarray,
    position: int,
    *,
    without_season: bool = True,
    robust: bool = False,
    minimum_share: float = 0.0,
    present: np.ndarray | None = None,
) -> TrendBreak:
    """Slopes before and after a month, and tests of both and of their difference.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values with their season; NaN or infinite values are missing.
    position : int
        Number of months before the break: the month at this index is the first after it.
    without_season : bool
        Take the season out first, by STL of the whole series.
    robust : bool
        Robust weights in STL.
    minimum_share : float
        Series with a smaller share of the present months in one of the parts give NaN, and so do those with fewer than
        12 there.
    present : ndarray of bool, shape (n_months,), optional
        Months in which series of the same map have values: the test is exact for series with values in all of them.
        All months where not given.

    Returns
    -------
    TrendBreak

    Raises
    ------
    InvalidParameter
        If the series are not two-dimensional.
    NoUsableData
        If a part has fewer than 24 present months.

    Notes
    -----
    The variance of a slope is pi/3 (the loss of Theil-Sen against least squares) times that of least squares under AR(1)
    noise, whose correlation both parts have in common. Months that a series lacks beside those that all lack widen it
    by what they take from the spread of the months, which is exact for uncorrelated noise and cautious otherwise.
    Share of series of 225 months without a change that are called changed at 5 %, by their month-to-month correlation, with
    a break in the middle and the season taken out (``benchmarks/false_positives.py``; more in ``benchmarks/RESULTS.md``):

    ====  ====  ====  ====  ====  ====
    0     .3    .5    .7    .8    .9
    ====  ====  ====  ====  ====  ====
    .034  .046  .045  .049  .048  .041
    ====  ====  ====  ====  ====  ====

    Noise with a longer memory than an AR(1) process of its lag-one correlation, such as the sum of a persistent and a white
    part, is called changed too often, as by every test that rests on AR(1).

    References
    ----------
    Sen, P. K. (1968), doi:10.1080/01621459.1968.10480934, and what `science.ar1_tests` refers to.
    """
    from scipy.special import stdtr

    series = np.asarray(series)
    if series.ndim != 2:
        raise InvalidParameter(f"the series have {series.ndim} dimensions", "give an array (n_series, n_months)")
    n_months = series.shape[1]
    present = np.ones(n_months, bool) if present is None else np.asarray(present, bool)
    check_parts(present, position)
    if without_season:
        series = take_season_out(series, robust)
    slopes, widening, rest = [], [], np.full(series.shape, np.nan)
    for part in (slice(None, position), slice(position, None)):
        values, wanted = np.asarray(series[:, part], np.float64), present[part].sum()
        few = np.isfinite(values).sum(axis=1) < max(minimum_share * wanted, FEWEST_MONTHS / 2)
        slopes.append(np.where(few, np.nan, theil_sen(values, confidence=None).slope))
        rest[:, part] = _without_trend(values, slopes[-1])
        widening.append(_widening(np.isfinite(values), present[part]))
    known = np.isfinite(slopes[0]) & np.isfinite(slopes[1])
    lag_one, square = _lag_one_and_square(np.where(known[:, None], rest, np.nan))
    tests = slope_tests(present, (position, n_months - position), without_season)
    contrasts = [np.where(known, slope, np.nan) for slope in (slopes[0], slopes[1], slopes[1] - slopes[0])]
    wider = (*widening, np.maximum(*widening))
    p_values = []
    for number, (contrast, wide) in enumerate(zip(contrasts, wider, strict=True)):
        variance, freedom = tests.of_contrast(number, lag_one)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(contrast) / np.sqrt(variance * square * wide * SLOPE_VARIANCE)
        p_values.append(np.where(contrast == 0, 1.0, 2.0 * stdtr(freedom, -ratio)))
    return TrendBreak(*contrasts, *p_values, tests.mean_correlation(lag_one))


def check_parts(present: np.ndarray, position: int) -> None:
    """Raise `NoUsableData` when a part is too short for a trend of its own."""
    for months, name in ((present[: max(position, 0)], "before"), (present[max(position, 0) :], "after")):
        if months.sum() < FEWEST_MONTHS:
            raise NoUsableData(
                f"{months.sum()} months with values are {name} the break",
                f"give a break that leaves at least {FEWEST_MONTHS} on both sides",
            )


def _without_trend(values: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """What is left of each series beside its line, with mean 0; NaN where there is no value."""
    rest = np.full(values.shape, np.nan)
    for rows, block, times in usable_blocks(np.where(np.isfinite(slope)[:, None], values, np.nan)):
        rest[rows[:, None], times.astype(np.int64)] = detrend(block, times, slope[rows])
    return rest


def _lag_one_and_square(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lag-one correlation and mean square of what is left of each series."""
    lag_one, square = np.full((2, rest.shape[0]), np.nan)
    for rows, values, times in usable_blocks(rest):
        lag_one[rows] = lag_one_correlation(values, times)
        square[rows] = (values**2).mean(axis=1)
    return lag_one, square


def _widening(valid: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Spread of the present months over that of the valid ones."""
    spread = _spread(present[None])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(spread / _spread(valid), 1.0)


def _spread(valid: np.ndarray) -> np.ndarray:
    """Sum of squared distances of the valid months from their mean, of each row."""
    months = np.arange(valid.shape[1], dtype=np.float64)
    count = valid.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return valid @ months**2 - (valid @ months) ** 2 / count


# Downward changes first, from bad to less bad, then none, then upward ones.
CHANGE_NAMES = {
    1: "decline accelerated",
    2: "decline began",
    3: "rise turned into decline",
    4: "rise stopped",
    5: "rise slowed",
    6: "downward change, slopes uncertain",
    7: "no significant change",
    8: "upward change, slopes uncertain",
    9: "decline slowed",
    10: "decline stopped",
    11: "decline turned into rise",
    12: "rise began",
    13: "rise accelerated",
}


def change_classes(
    before: np.ndarray,
    after: np.ndarray,
    p_before: np.ndarray,
    p_after: np.ndarray,
    p_change: np.ndarray,
    significance: float = 0.05,
) -> np.ndarray:
    """What became of a trend at the break, in thirteen classes.

    Parameters
    ----------
    before, after : ndarray
        Slopes of both parts, any unit and shape; NaN is NoData.
    p_before, p_after, p_change : ndarray
        p values of both slopes and of their difference, of the same shape.
    significance : float
        A slope or a change is significant below this p value.

    Returns
    -------
    ndarray of uint8
        Numbers of `CHANGE_NAMES`; 0 NoData. A class other than 7 has a significant change. Of that, "slowed" has a
        significant slope of the same sign after the break, "stopped" one that does not differ from zero, and "turned into"
        one of the other sign; "began" has a significant slope after one that was not. Where only one side of a change
        decides (a rise that became steeper, whose slope after it is not significant by itself), the sign of the slope does.

    Raises
    ------
    InvalidParameter
        If the arrays have different shapes, or the significance is out of range.
    """
    arrays = [np.asarray(array) for array in (before, after, p_before, p_after, p_change)]
    if len({array.shape for array in arrays}) != 1:
        raise InvalidParameter(
            f"slopes and p values have the shapes {', '.join(str(array.shape) for array in arrays)}",
            "give all on one grid",
        )
    if not 0.0 < significance < 1.0:
        raise InvalidParameter(f"the significance is {significance}", "give a number between 0 and 1, such as 0.05")
    before, after, p_before, p_after, p_change = arrays
    with np.errstate(invalid="ignore"):
        down = (p_change < significance) & (after < before)
        up = (p_change < significance) & (after > before)
        first, second = (np.sign(slope) * (p < significance) for slope, p in ((before, p_before), (after, p_after)))
        rules = (
            (1, down & (first < 0)),
            (3, down & (first > 0) & (second < 0)),
            (4, down & (first > 0) & (second == 0)),
            (5, down & (first > 0) & (second > 0)),
            (2, down & (first == 0) & (second < 0)),
            (6, down & (first == 0) & (second >= 0)),
            (13, up & (first > 0)),
            (11, up & (first < 0) & (second > 0)),
            (10, up & (first < 0) & (second == 0)),
            (9, up & (first < 0) & (second < 0)),
            (12, up & (first == 0) & (second > 0)),
            (8, up & (first == 0) & (second <= 0)),
        )
    classes = np.full(before.shape, UNCHANGED, np.uint8)
    for number, where in rules:
        classes[where] = number
    known = (
        np.isfinite(before) & np.isfinite(after) & np.isfinite(p_change) & np.isfinite(p_before) & np.isfinite(p_after)
    )
    classes[~known] = 0
    return classes
