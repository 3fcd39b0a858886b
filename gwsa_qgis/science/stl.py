"""Seasonal adjustment by STL (Cleveland et al., 1990), written as one matrix.

Without robustness weights every stage of STL - the LOESS of the cycle-subseries, the moving averages, the LOESS of
the low-pass and of the trend - is linear in the series, and none of the weights depends on it. The whole
decomposition of a series of n months is therefore one (n, n) matrix, built once and multiplied with all series.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gwsa_qgis.errors import InvalidParameter, MissingPackage, NoUsableData
from gwsa_qgis.science.blas import one_blas_thread

# Fits the cache. All products of matrices have this many rows, whole tiles of every common BLAS, and one thread: only then
# does the last bit of a series not depend on which other series are with it.
BLOCK_ROWS = 96


@dataclass(frozen=True)
class StlParameters:
    """Settings of STL, named as in Cleveland et al. (1990), with the defaults of statsmodels.

    Attributes
    ----------
    period : int
        Months in a cycle (n_p).
    seasonal : int
        Length of the seasonal smoother in years (n_s), odd, at least 3.
    trend : int, optional
        Length of the trend smoother in months (n_t), odd; by default the smallest odd integer that is at least
        1.5 period / (1 - 1.5 / seasonal).
    low_pass : int, optional
        Length of the low-pass smoother in months (n_l), odd; by default the smallest odd integer above `period`.
    seasonal_degree, trend_degree, low_pass_degree : int
        Degree of the local polynomials, 0 or 1.
    seasonal_jump, trend_jump, low_pass_jump : int
        The smoother is evaluated at each jump-th point and interpolated linearly between.
    inner_iterations : int
        Passes of the inner loop (n_i).
    """

    period: int = 12
    seasonal: int = 7
    trend: int | None = None
    low_pass: int | None = None
    seasonal_degree: int = 1
    trend_degree: int = 1
    low_pass_degree: int = 1
    seasonal_jump: int = 1
    trend_jump: int = 1
    low_pass_jump: int = 1
    inner_iterations: int = 5

    def __post_init__(self) -> None:
        if self.period < 2:
            raise InvalidParameter(f"the period is {self.period} months", "give a period of at least 2 months")
        if self.seasonal < 3 or self.seasonal % 2 == 0:
            raise InvalidParameter(f"the seasonal length is {self.seasonal}", "give an odd number of at least 3")
        if min(self.seasonal_jump, self.trend_jump, self.low_pass_jump, self.inner_iterations) < 1:
            raise InvalidParameter("a jump or the number of inner iterations is below 1", "give whole numbers from 1")
        if not {self.seasonal_degree, self.trend_degree, self.low_pass_degree} <= {0, 1}:
            raise InvalidParameter("a degree of the local polynomials is neither 0 nor 1", "give 0 or 1")
        for name, length in (("trend", self.trend), ("low-pass", self.low_pass)):
            if length is not None and (length <= self.period or length % 2 == 0):
                raise InvalidParameter(
                    f"the {name} length is {length}", f"give an odd number above the period of {self.period} months"
                )

    @property
    def trend_length(self) -> int:
        """Length of the trend smoother in months."""
        if self.trend is not None:
            return self.trend
        length = math.ceil(1.5 * self.period / (1 - 1.5 / self.seasonal))
        return length + (length % 2 == 0)

    @property
    def low_pass_length(self) -> int:
        """Length of the low-pass smoother in months."""
        if self.low_pass is not None:
            return self.low_pass
        return self.period + 1 + self.period % 2


def loess_matrix(
    points: int, length: int, degree: int, at: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """LOESS estimates on a regular grid as a matrix (rows: where estimated, columns: the points).

    Parameters
    ----------
    points : int
        Number of points n, at positions 1 to n.
    length : int
        Length of the smoother q; above n the neighbourhood is widened as in the original program.
    degree : int
        Degree of the local polynomial, 0 or 1.
    at, first, last : ndarray of int
        Positions to estimate at (0 and n + 1 extrapolate), and the first and last point of each neighbourhood.

    Returns
    -------
    ndarray, shape (len(at), points)
        A row is NaN where no point of its neighbourhood has weight.
    """
    position = np.arange(1, points + 1)
    at, first, last = (np.asarray(value)[:, None] for value in (at, first, last))
    half_width = np.maximum(at - first, last - at).astype(np.float64)
    if length > points:
        half_width += (length - points) // 2
    distance = np.abs(position - at)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = (1.0 - (distance / half_width) ** 3) ** 3
    weight = np.where(distance <= 0.001 * half_width, 1.0, weight)
    weight[(position < first) | (position > last) | (distance > 0.999 * half_width)] = 0.0
    with np.errstate(invalid="ignore"):
        weight /= weight.sum(axis=1, keepdims=True)
    if degree == 0:
        return weight
    centre = (weight * position).sum(axis=1, keepdims=True)
    spread = (weight * (position - centre) ** 2).sum(axis=1, keepdims=True)
    # A neighbourhood narrower than a thousandth of the series cannot carry a slope: the local mean is kept.
    sloped = (half_width > 0) & (np.sqrt(spread) > 0.001 * (points - 1))
    tilt = np.divide(at - centre, spread, out=np.zeros_like(spread), where=sloped)
    return weight * (tilt * (position - centre) + 1.0)


def smoother_matrix(points: int, length: int, degree: int, jump: int = 1) -> np.ndarray:
    """LOESS at all points of a regular series, as a (points, points) matrix."""
    if points < 2:
        return np.eye(points)
    jump = min(jump, points - 1)
    nodes = np.arange(1, points + 1, jump)
    if length >= points:
        first = np.ones_like(nodes)
    elif jump == 1:
        first = np.clip(nodes - (length + 2) // 2, 0, points - length) + 1
    else:
        half = (length + 1) // 2
        first = np.where(nodes < half, 1, np.where(nodes >= points - half + 1, points - length + 1, nodes - half + 1))
    if nodes[-1] != points:
        # The last point is estimated from the neighbourhood of the last node, as the original program does.
        nodes, first = np.append(nodes, points), np.append(first, first[-1])
    last = np.minimum(first + length - 1, points)
    estimates = loess_matrix(points, length, degree, nodes, first, last)
    if jump == 1:
        return estimates
    position = np.arange(1, points + 1)
    left = np.clip(np.searchsorted(nodes, position, side="right") - 1, 0, len(nodes) - 2)
    share = ((position - nodes[left]) / (nodes[left + 1] - nodes[left]))[:, None]
    return estimates[left] * (1.0 - share) + estimates[left + 1] * share


def _cycle_subseries_matrix(months: int, parameters: StlParameters) -> np.ndarray:
    """Smooth each calendar month's subseries and extend it by one year at both ends: (months + 2 period, months)."""
    period, length, degree = parameters.period, parameters.seasonal, parameters.seasonal_degree
    matrix = np.zeros((months + 2 * period, months))
    for month in range(period):
        years = len(range(month, months, period))
        ends = loess_matrix(
            years, length, degree, [0, years + 1], [1, max(1, years - length + 1)], [min(length, years), years]
        )
        inside = smoother_matrix(years, length, degree, parameters.seasonal_jump)
        matrix[month::period, month::period] = np.vstack([ends[:1], inside, ends[1:]])
    return matrix


def _moving_average_matrix(points: int, length: int) -> np.ndarray:
    """Moving average without padding, as a (points - length + 1, points) matrix."""
    offset = np.arange(points)[None, :] - np.arange(points - length + 1)[:, None]
    return ((offset >= 0) & (offset < length)) / length


@lru_cache(maxsize=8)
def seasonal_operator(months: int, parameters: StlParameters) -> np.ndarray:
    """The matrix that turns a series into the seasonal component of its non-robust STL (read-only, cached).

    Parameters
    ----------
    months : int
        Length of the series, at least two periods.
    parameters : StlParameters
        Settings.

    Returns
    -------
    ndarray, shape (months, months), float64

    Raises
    ------
    NoUsableData
        If the series is shorter than two periods.

    References
    ----------
    Cleveland, R. B., Cleveland, W. S., McRae, J. E., Terpenning, I. (1990): STL: a seasonal-trend decomposition
    procedure based on Loess. Journal of Official Statistics 6, 3-73. Equation 21 of the paper uses it.
    """
    period = parameters.period
    if months < 2 * period:
        raise NoUsableData(
            f"the series have {months} months and STL with a period of {period} needs at least {2 * period}",
            "give a longer stack, or do not deseasonalise",
        )
    cycle = _cycle_subseries_matrix(months, parameters)
    low_pass = cycle
    for length in (period, period, 3):
        low_pass = _moving_average_matrix(low_pass.shape[0], length) @ low_pass
    low_pass = (
        smoother_matrix(months, parameters.low_pass_length, parameters.low_pass_degree, parameters.low_pass_jump)
        @ low_pass
    )
    of_detrended = cycle[period : period + months] - low_pass
    smooth_trend = smoother_matrix(months, parameters.trend_length, parameters.trend_degree, parameters.trend_jump)
    identity = np.eye(months)
    trend = np.zeros((months, months))
    for _ in range(parameters.inner_iterations):
        seasonal = of_detrended @ (identity - trend)
        trend = smooth_trend @ (identity - seasonal)
    seasonal.flags.writeable = False
    return seasonal


def deseasonalise(series: np.ndarray, period: int = 12, seasonal: int = 7, robust: bool = False) -> np.ndarray:
    """Subtract the seasonal component of STL from each series: X = Y - S (Eq. 21 of the paper).

    Equal to ``y - statsmodels.tsa.seasonal.STL(y, period=period, seasonal=seasonal, robust=robust).fit().seasonal``.

    A month without a value (NaN or infinite) is bridged, for the decomposition only, by `bridge_holes`: a linear trend
    plus the mean of its calendar month, by least squares over the months that have values, also where `robust` is set.
    What is decomposed is the bridged series, exactly as statsmodels decomposes it. The month is NaN in the result. A
    series with fewer values than two periods becomes NaN throughout.

    The result of a series does not depend on the others that are given with it, to the last bit.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values, any unit; computed in float64.
    period : int
        Months in a cycle.
    seasonal : int
        Length of the seasonal smoother in years, odd, at least 3.
    robust : bool
        Robust weights (2 inner and 15 outer passes). No matrix can do this: each series is decomposed by
        statsmodels, some thousand times slower.

    Returns
    -------
    ndarray, shape (n_series, n_months), float64
        Deseasonalised series in the unit given.

    Raises
    ------
    InvalidParameter
        If the series are not two-dimensional, or a length is not allowed.
    NoUsableData
        If there are fewer months than two periods.
    MissingPackage
        If `robust` is set and statsmodels is not installed.
    """
    series = np.asarray(series)
    if series.ndim != 2:
        raise InvalidParameter(f"the series have {series.ndim} dimensions", "give an array (n_series, n_months)")
    months = series.shape[1]
    operator = seasonal_operator(months, StlParameters(period=period, seasonal=seasonal))
    decompose = _robust_seasonal(period, seasonal) if robust else (lambda block: block @ operator.T)
    result = np.empty(series.shape, np.float64)
    block = np.zeros((BLOCK_ROWS, months))
    with one_blas_thread():
        for start in range(0, series.shape[0], BLOCK_ROWS):
            size = min(BLOCK_ROWS, series.shape[0] - start)
            block[:size] = series[start : start + size]
            block[size:] = 0.0
            valid = np.isfinite(block)
            if valid.all():
                result[start : start + size] = (block - decompose(block))[:size]
                continue
            bridged = bridge_holes(block, period)
            adjusted = bridged - decompose(bridged)
            adjusted[~valid] = np.nan
            result[start : start + size] = adjusted[:size]
    return result


def bridge_holes(series: np.ndarray, period: int = 12) -> np.ndarray:
    """Fill holes with a linear trend plus calendar-month means, both fitted by least squares to the valid months.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values; what is not finite is missing.
    period : int
        Months in a cycle. A calendar month that never has a value gets the mean of the series, plus trend.

    Returns
    -------
    ndarray, shape (n_series, n_months), float64
        Valid months as they are. Series with fewer values than two periods are NaN throughout.
    """
    valid = np.isfinite(series)
    enough = valid.sum(axis=1) >= 2 * period
    # Series without enough values go along as zeros, so that the equations of all can be solved together.
    present = (valid | ~enough[:, None]).astype(np.float64)
    values = np.where(valid & enough[:, None], series, 0.0)
    mean = values.sum(axis=1, keepdims=True) / present.sum(axis=1, keepdims=True)
    months = series.shape[1]
    time = np.linspace(-1.0, 1.0, months)
    calendar = np.arange(months)[:, None] % period == np.arange(period)
    design = np.column_stack([time, calendar])
    terms = design.shape[1]
    products = (design[:, :, None] * design[:, None, :]).reshape(months, terms * terms)
    gram = (present @ products).reshape(-1, terms, terms)
    moments = ((values - mean) * present) @ design
    diagonal = np.arange(terms)
    gram[:, diagonal, diagonal] += gram[:, diagonal, diagonal] == 0
    coefficients = np.linalg.solve(gram, moments[:, :, None])[:, :, 0]
    bridged = np.where(valid, values, mean + coefficients @ design.T)
    bridged[~enough] = np.nan
    return bridged


def _robust_seasonal(period: int, seasonal: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that decomposes a block of complete series by the robust STL of statsmodels."""
    try:
        from statsmodels.tsa.seasonal import STL
    except ImportError:
        raise MissingPackage(
            "robust STL needs the package statsmodels, which is not installed",
            "run python -m pip install statsmodels, or switch robust off",
        ) from None

    def decompose(block: np.ndarray) -> np.ndarray:
        component = np.full(block.shape, np.nan)
        for row in np.flatnonzero(np.isfinite(block).all(axis=1)):
            component[row] = STL(block[row], period=period, seasonal=seasonal, robust=True).fit().seasonal
        return component

    return decompose
