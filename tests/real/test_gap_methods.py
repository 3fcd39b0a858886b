"""Which way of filling gaps is worth most on the reference series: errors in hidden months, and against the truth."""

import csv

import numpy as np
import pytest

from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.ssa import LONG_GAP, SHORT_GAP, fill_gaps

pytestmark = pytest.mark.real

SSA, HARMONIC, AUTOREGRESSIVE, BEST = range(4)


@pytest.fixture(scope="module")
def reference(shared_data):
    """Series by name: months, input, truth (NaN where it is not known)."""
    folder = shared_data / "ssa_reference"
    if not folder.is_dir():
        pytest.skip(f"the reference results {folder} are not there")
    found = {}
    for path in sorted(folder.glob("series_*.csv")):
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        values = {name: np.array([float(row[name] or "nan") for row in rows]) for name in ("input", "truth")}
        months = np.array([row["month"] for row in rows], dtype="datetime64[M]")
        found[path.stem.removeprefix("series_")] = months, values["input"], values["truth"]
    assert len(found) == 17
    return found


@pytest.fixture(scope="module")
def found(reference):
    """For each series divided by its deviation: errors in hidden years and short gaps, and real ones by method.

    Real ones have shape (2, 4): rms error of short and long fills of each method; NaN where the truth is not known.
    """
    by_axis = {}
    for name, (months, _, _) in reference.items():
        by_axis.setdefault(tuple(months), []).append(name)
    errors = {}
    for axis, names in by_axis.items():
        months = np.array(axis)
        series = np.array([reference[name][1] for name in names])
        truth = np.array([reference[name][2] for name in names])
        scale = np.nanstd(series, axis=1, keepdims=True)
        best = fill_gaps(series / scale, months, method="best")
        fills = [fill_gaps(series / scale, months, method=method).filled for method in METHODS[:3]] + [best.filled]
        for row, name in enumerate(names):
            real = np.full((2, 4), np.nan)
            for kind, flag in enumerate((SHORT_GAP, LONG_GAP)):
                filled_months = best.flags[row] == flag
                for method, filled in enumerate(fills):
                    error = (filled - truth / scale)[row, filled_months]
                    real[kind, method] = np.sqrt(np.mean(error**2))
            errors[name] = best.hidden_short[row], best.hidden_long[row], real
    return errors


@pytest.fixture(scope="module")
def hidden(found):
    """Errors in hidden months by kind, each (17, 4)."""
    return {kind: np.array([each[place] for each in found.values()]) for place, kind in enumerate(("short", "long"))}


SUMMARIES = {
    "rms": lambda errors: np.sqrt(np.mean(errors**2, axis=0)),
    "geometric mean": lambda errors: np.exp(np.mean(np.log(errors), axis=0)),
    "median": lambda errors: np.median(errors, axis=0),
}


@pytest.mark.parametrize("summary", SUMMARIES)
def test_the_combination_is_no_worse_than_each_method_in_hidden_years(summary, hidden):
    errors = SUMMARIES[summary](hidden["long"])
    assert errors[BEST] <= errors[:BEST].min(), errors


@pytest.mark.parametrize("summary", SUMMARIES)
def test_the_combination_is_no_worse_than_each_method_in_hidden_short_gaps(summary, hidden):
    errors = SUMMARIES[summary](hidden["short"])
    assert errors[BEST] <= errors[:BEST].min(), errors


def test_no_method_alone_wins_everywhere(hidden):
    """Else there would be nothing to choose, and the demand on the combination would be empty."""
    winners = hidden["long"][:, :BEST].argmin(axis=1)
    assert {SSA, AUTOREGRESSIVE} <= set(winners.tolist())


def test_autoregression_fills_short_gaps_better_than_ssa_where_the_truth_is_known(found):
    real = np.array([each[2] for each in found.values() if np.isfinite(each[2]).all()])
    assert len(real) >= 8
    short = real[:, 0]
    for method in (AUTOREGRESSIVE, BEST):
        assert (short[:, method] < short[:, SSA]).mean() > 0.5, short
        assert np.sqrt(np.mean(short[:, method] ** 2)) < np.sqrt(np.mean(short[:, SSA] ** 2))


def test_errors_in_hidden_months_tell_the_real_ones(found):
    known = [each for each in found.values() if np.isfinite(each[2]).all()]
    for kind in range(2):
        ratio = np.array([each[2][kind] / each[kind] for each in known])
        assert (np.median(ratio, axis=0) > 0.6).all() and (np.median(ratio, axis=0) < 1.4).all(), ratio
