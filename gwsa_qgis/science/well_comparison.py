"""All figures of a comparison of storage maps with wells, singly and averaged per coarse cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.scores import Scores, score
from gwsa_qgis.science.theil_sen import theil_sen
from gwsa_qgis.science.well_bootstrap import Intervals, agreement_intervals, mean_interval
from gwsa_qgis.science.well_scores import Agreement, Perturbation, agreement, gain, perturb_yield, series_agreement
from gwsa_qgis.science.wells import Bins, anomalies, group_means, quantile_bins

SINGLE, CELL = "well", "cell"


@dataclass(frozen=True)
class Support:
    """Wells, or cells of wells: their series and trends.

    Attributes
    ----------
    wells : ndarray, shape (n, n_steps)
        Storage anomaly at the wells.
    maps : dict of str to ndarray, shape (n, n_steps)
        The same of each map, over the same steps.
    well_trend : ndarray, shape (n,)
        Theil-Sen slope per year.
    map_trends : dict of str to ndarray, shape (n,)
    """

    wells: np.ndarray
    maps: dict[str, np.ndarray]
    well_trend: np.ndarray
    map_trends: dict[str, np.ndarray]


@dataclass(frozen=True)
class WellComparison:
    """Figures; keys are (support, map), support being "well" or "cell".

    Attributes
    ----------
    supports : dict of str to Support
    trend, series : dict of (str, str) to Agreement
        Of trends, and of all steps of all series; `series` is empty for yearly levels.
    groups : dict of (str, str) to (dict of (str, str, str) to Agreement)
        By kind ("region" or "class") and name: agreement of what ("trend" or "series"), by support and map. A cell belongs
        to the group of its first well.
    intervals : dict of (str, str, str) to Intervals
        Of what ("trend" or "series"), support and map: 95 % intervals over blocks.
    bins : dict of str to Bins
        Quantile bins of the cells' trends by map; empty with too few cells.
    binned : dict of str to Scores
        Scores of bin means.
    gain : ndarray, shape (n_wells,)
        Gain of the first map over the second at each well; NaN where there is none.
    share_improved : float
        Share of wells where it is positive; NaN without.
    share_interval, gain_interval : ndarray, shape (2,)
        95 % intervals over blocks of that share and of the mean gain.
    perturbation : dict of str to Perturbation
        Random specific yields, one for each region, or for each cell.
    """

    supports: dict[str, Support]
    trend: dict[tuple[str, str], Agreement]
    series: dict[tuple[str, str], Agreement]
    groups: dict[tuple[str, str], dict[tuple[str, str, str], Agreement]]
    intervals: dict[tuple[str, str, str], Intervals]
    bins: dict[str, Bins]
    binned: dict[str, Scores]
    gain: np.ndarray
    share_improved: float
    share_interval: np.ndarray
    gain_interval: np.ndarray
    perturbation: dict[str, Perturbation]


def compare(
    storage: np.ndarray,
    maps: Mapping[str, np.ndarray],
    cells: np.ndarray,
    regions: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    blocks: np.ndarray | None = None,
    steps_per_year: int = 12,
    bins: int = 15,
    spread: float = 0.2,
    draws: int = 1000,
    seed: int = 0,
) -> WellComparison:
    """Compare maps with wells over the steps that a well and all maps have.

    Parameters
    ----------
    storage : ndarray, shape (n_wells, n_steps)
        Storage anomaly of the wells, dGWL x Sy (Eq. 19), NaN where missing.
    maps : mapping of str to ndarray, shape (n_wells, n_steps)
        Maps at the wells; the first is the one judged, the second, if any, the coarse field.
    cells : ndarray of int, shape (n_wells,)
        Coarse cell of each well.
    regions : sequence of str, length n_wells
    classes : sequence of str, length n_wells, optional
        Aquifer class of each well.
    blocks : ndarray of int, shape (n_wells,), optional
        Wells that are drawn together for intervals; the cells where not given.
    steps_per_year : int
        12 for months, 1 for years. Yearly series give trends alone: they cannot judge seasons.

    Raises
    ------
    NoUsableData
        If no well shares steps with the maps.
    """
    names = list(maps)
    common = np.isfinite(storage)
    for values in maps.values():
        common = common & np.isfinite(values)
    if not common.any():
        raise NoUsableData("no well has a reading in a month that the map has", "check months, mask and coordinates")
    single = _support(storage, maps, common, steps_per_year)
    averaged = _average(single, cells, steps_per_year)
    supports = {SINGLE: single, CELL: averaged}
    blocks = np.asarray(cells if blocks is None else blocks)
    # a cell belongs to the block, the region and the class of its first well
    first_well = np.unique(cells, return_index=True)[1]
    blocks_of = {SINGLE: blocks, CELL: blocks[first_well]}
    sampling = {"draws": draws, "seed": seed}
    trend, series, intervals = {}, {}, {}
    for label, support in supports.items():
        for name in names:
            pair = support.well_trend, support.map_trends[name]
            trend[label, name] = agreement(*pair)
            intervals["trend", label, name] = agreement_intervals(*pair, blocks_of[label], **sampling)
            if steps_per_year > 1:
                pair = support.wells, support.maps[name]
                series[label, name] = agreement(*(values.ravel() for values in pair))
                intervals["series", label, name] = agreement_intervals(*pair, blocks_of[label], **sampling)
    first = averaged.map_trends[names[0]]
    groups = {}
    for kind, labels in (("region", regions), ("class", classes)):
        if labels is not None:
            groups |= _by_group(kind, np.array(list(labels), dtype=object), supports, first_well, steps_per_year > 1)
    found_bins = {}
    if np.isfinite(averaged.well_trend).sum() >= 2 * bins:
        found_bins = {name: quantile_bins(averaged.map_trends[name], averaged.well_trend, bins) for name in names}
    improved = _gain_at_wells(single, names)
    _, region_number = np.unique(np.array(list(regions), dtype=object)[first_well], return_inverse=True)
    better = np.where(np.isfinite(improved), improved > 0, np.nan)
    options = {"spread": spread, **sampling}
    return WellComparison(
        supports,
        trend,
        series,
        groups,
        intervals,
        found_bins,
        {name: score(found.y, found.x) for name, found in found_bins.items()},
        improved,
        float(np.nanmean(better)) if np.isfinite(improved).any() else np.nan,
        mean_interval(better, blocks, **sampling),
        mean_interval(improved, blocks, **sampling),
        {
            "region": perturb_yield(first, averaged.well_trend, region_number.ravel(), **options),
            "cell": perturb_yield(first, averaged.well_trend, np.arange(first_well.size), **options),
        },
    )


def _support(storage: np.ndarray, maps: Mapping[str, np.ndarray], common: np.ndarray, steps_per_year: int) -> Support:
    """Anomalies over the common steps, and their trends per year."""
    wells = anomalies(np.where(common, storage, np.nan))
    at_wells = {name: anomalies(np.where(common, values, np.nan)) for name, values in maps.items()}
    return Support(
        wells,
        at_wells,
        theil_sen(wells, confidence=None).slope * steps_per_year,
        {name: theil_sen(values, confidence=None).slope * steps_per_year for name, values in at_wells.items()},
    )


def _average(single: Support, cells: np.ndarray, steps_per_year: int) -> Support:
    """Arithmetic means of the wells of a cell, in the order of the cells' numbers."""
    wells = group_means(single.wells, cells)[0]
    maps = {name: group_means(values, cells)[0] for name, values in single.maps.items()}
    return _support(wells, maps, np.isfinite(wells), steps_per_year)


def _by_group(
    kind: str, labels: np.ndarray, supports: Mapping[str, Support], first_well: np.ndarray, with_series: bool
) -> dict[tuple[str, str], dict[tuple[str, str, str], Agreement]]:
    """Agreement of every map on both supports, for the wells of each label."""
    found = {}
    for label in dict.fromkeys(labels):
        scores = found[kind, label] = {}
        for support_name, support in supports.items():
            inside = (labels if support_name == SINGLE else labels[first_well]) == label
            for name, trends in support.map_trends.items():
                scores["trend", support_name, name] = agreement(support.well_trend[inside], trends[inside])
                if with_series:
                    pair = support.wells[inside].ravel(), support.maps[name][inside].ravel()
                    scores["series", support_name, name] = agreement(*pair)
    return found


def _gain_at_wells(single: Support, names: list[str]) -> np.ndarray:
    """Gain of the first map over the second, in time at each well."""
    if len(names) < 2:
        return np.full(len(single.wells), np.nan)
    fine, coarse = (series_agreement(single.wells, single.maps[name])[:2] for name in names[:2])
    return gain(coarse, fine)
