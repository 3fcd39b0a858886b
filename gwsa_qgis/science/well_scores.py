"""Scores of maps at wells: agreement, gain over a coarser map, and how much rests on the specific yield."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """How a map meets wells, pairs with a NaN left out; the wells are the reference.

    Attributes
    ----------
    n : int
    r2 : float
        1 - SSE / SST (Eq. 16); negative when the wells' mean would do better.
    r, spearman : float
        Correlation of values and of ranks; NaN without variance.
    slope : float
        Least-squares slope of the map on the wells.
    bias, rmse : float
        In the unit of the values; bias is map less wells.
    sign : float
        Share of pairs of equal sign.
    """

    n: int
    r2: float
    r: float
    spearman: float
    slope: float
    bias: float
    rmse: float
    sign: float


def agreement(well: np.ndarray, map_value: np.ndarray) -> Agreement:
    """Compare values of a map with those of wells, arrays of one shape."""
    from scipy.stats import rankdata

    both = np.isfinite(well) & np.isfinite(map_value)
    w, m = np.asarray(well, float)[both], np.asarray(map_value, float)[both]
    if w.size < 2:
        return Agreement(w.size, *[np.nan] * 7)
    error = m - w
    w0, m0 = w - w.mean(), m - m.mean()
    sst, spread, cross = w0 @ w0, m0 @ m0, w0 @ m0
    flat = not (sst > 0 and spread > 0)
    rank_w, rank_m = (rank - (w.size + 1) / 2 for rank in (rankdata(w), rankdata(m)))
    return Agreement(
        w.size,
        float(1 - error @ error / sst) if sst > 0 else np.nan,
        np.nan if flat else float(cross / np.sqrt(sst * spread)),
        np.nan if flat else float(rank_w @ rank_m / np.sqrt((rank_w @ rank_w) * (rank_m @ rank_m))),
        float(cross / sst) if sst > 0 else np.nan,
        float(error.mean()),
        float(np.sqrt((error**2).mean())),
        float((np.sign(w) == np.sign(m)).mean()),
    )


def series_agreement(wells: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope (map on well), correlation and bias of each pair of series (n_series, n_months) over common months.

    Returns three arrays of shape (n_series,), NaN where there is no variance.
    """
    both = np.isfinite(wells) & np.isfinite(maps)
    count = np.maximum(both.sum(axis=1), 1)
    w, m = np.where(both, wells, 0.0), np.where(both, maps, 0.0)
    mean_w, mean_m = w.sum(axis=1) / count, m.sum(axis=1) / count
    w0, m0 = (np.where(both, s - mean[:, None], 0.0) for s, mean in ((w, mean_w), (m, mean_m)))
    variance, spread, cross = (w0**2).sum(axis=1), (m0**2).sum(axis=1), (w0 * m0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(variance > 0, cross / variance, np.nan)
        correlation = np.where((variance > 0) & (spread > 0), cross / np.sqrt(variance * spread), np.nan)
    return slope, correlation, np.where(both.any(axis=1), mean_m - mean_w, np.nan)


def gain(
    coarse: tuple[np.ndarray, np.ndarray],
    fine: tuple[np.ndarray, np.ndarray],
    biases: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Gain of the fine over the coarse map in [-1, 1], positive where downscaling helps.

    Mean of (|1 - S_LR| - |1 - S_HR|) / (|1 - S_LR| + |1 - S_HR|) for the slope S, the same for the correlation and,
    where `biases` are given, for the bias against 0, after Merlin et al. (2015, doi:10.3390/rs70403783).

    Parameters
    ----------
    coarse, fine : (slope, correlation)
        As `series_agreement` gives them.
    biases : (coarse, fine), optional
        Leave out for anomalies, whose bias is zero by construction.
    """
    pairs = [(1 - np.asarray(low), 1 - np.asarray(high)) for low, high in zip(coarse, fine, strict=True)]
    if biases is not None:
        pairs.append((np.asarray(biases[0]), np.asarray(biases[1])))
    parts = []
    for low, high in pairs:
        far, near = np.abs(low), np.abs(high)
        both = far + near
        # Where both are perfect up to rounding there is nothing to gain, and their ratio would be noise.
        told = both > 1e-9
        parts.append(np.divide(far - near, both, out=np.where(np.isnan(both), np.nan, 0.0), where=told))
    return np.mean(parts, axis=0)


@dataclass(frozen=True)
class Perturbation:
    """Scores of trends under random specific yields: 2.5, 50 and 97.5 % quantiles, arrays of shape (3,)."""

    r: np.ndarray
    r2: np.ndarray
    rmse: np.ndarray
    significant_share: float
    draws: int


def perturb_yield(
    map_trend: np.ndarray,
    well_trend: np.ndarray,
    groups: np.ndarray,
    *,
    spread: float = 0.2,
    draws: int = 1000,
    seed: int = 0,
) -> Perturbation:
    """Score trends with specific yields multiplied by 1 +- `spread` at random, each group (region or well) by its own.

    Parameters
    ----------
    map_trend, well_trend : ndarray, shape (n,)
        The wells' are proportional to their specific yield.
    groups : ndarray of int, shape (n,)
        Wells of one group share their factor: the paper perturbs the averages of regions.
    spread : float
        Factors are uniform in [1 - spread, 1 + spread].

    Returns
    -------
    Perturbation
        `significant_share` is the share of draws whose correlation has p < 0.01.
    """
    from scipy.special import stdtr

    both = np.isfinite(map_trend) & np.isfinite(well_trend)
    m, w = np.asarray(map_trend, float)[both], np.asarray(well_trend, float)[both]
    if w.size < 3:
        return Perturbation(*[np.full(3, np.nan)] * 3, np.nan, 0)
    _, place = np.unique(np.asarray(groups)[both], return_inverse=True)
    generator = np.random.default_rng(seed)
    factors = generator.uniform(1 - spread, 1 + spread, (draws, int(place.max()) + 1))
    r, r2, rmse = np.empty((3, draws))
    m0 = m - m.mean()
    for draw in range(draws):
        scaled = w * factors[draw][place.ravel()]
        centred = scaled - scaled.mean()
        squares = ((m - scaled) ** 2).sum()
        power = centred @ centred
        with np.errstate(divide="ignore", invalid="ignore"):
            r[draw] = m0 @ centred / np.sqrt((m0 @ m0) * power)
            r2[draw] = 1 - squares / power
        rmse[draw] = np.sqrt(squares / w.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(r) * np.sqrt((w.size - 2) / (1 - r**2))
    p = 2 * stdtr(w.size - 2, -t)
    quantiles = (
        np.nanquantile(values, (0.025, 0.5, 0.975)) if np.isfinite(values).any() else np.full(3, np.nan)
        for values in (r, r2, rmse)
    )
    return Perturbation(*quantiles, float((p < 0.01).mean()), draws)
