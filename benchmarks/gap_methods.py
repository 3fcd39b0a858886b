"""What each method of gap filling is worth in hidden months, on real and on synthetic series.

The real series are the 17 of the gap-filling authors' reference results; the synthetic ones have trend, season with
changing amplitude, red and white noise, slow cycles and steps, and the gaps of GRACE and GRACE-FO. Each error is divided
by its series' standard deviation.
"""

import csv
from pathlib import Path

import numpy as np

from gwsa_qgis.months import month_range
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.ssa import fill_gaps

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MISSING = (  # noqa: SIM905
    "2002-06 2002-07 2003-06 2011-01 2011-06 2011-11 2012-05 2012-10 2013-03 2013-08 2013-09 2014-02 2014-07 2014-12 "
    "2015-05 2015-06 2015-10 2015-11 2016-04 2016-09 2016-10 2017-02 2018-08 2018-09"
).split()


def synthetic_series(count, seed):
    """Series with gaps, their truth, and the months."""
    months = month_range("2002-04", "2025-11")
    rng = np.random.default_rng(seed)
    years = np.arange(months.size) / 12
    truth = np.empty((count, months.size))
    for row in truth:
        steps, memory = rng.normal(size=months.size), rng.uniform(0.5, 0.97)
        noise = autoregressive(steps, memory)
        season = np.cos(2 * np.pi * years + rng.uniform(0, 6.3)) + 0.3 * rng.random() * np.cos(4 * np.pi * years)
        season *= rng.lognormal(0, 0.7) * (
            1 + 0.3 * rng.integers(0, 2) * np.sin(2 * np.pi * years / rng.uniform(4, 12))
        )
        row[:] = 0.5 * rng.normal() * years + season + noise / noise.std() * rng.lognormal(0, 0.6)
        row += rng.normal(size=months.size) * rng.lognormal(-1.2, 0.5)
        if rng.random() < 0.3:
            row += 2 * rng.normal() * np.cos(2 * np.pi * years / rng.uniform(2.5, 7))
        if rng.random() < 0.2:
            row += 3 * (years > rng.uniform(3, 12))
    between = (months >= np.datetime64("2017-07")) & (months <= np.datetime64("2018-05"))
    gaps = np.isin(months, np.array(MISSING, "datetime64[M]")) | between
    return np.where(gaps, np.nan, truth), truth, months


def reference_series(folder):
    """The reference series as (name, series with gaps, months)."""
    for path in sorted(folder.glob("series_*.csv")):
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        months = np.array([row["month"] for row in rows], "datetime64[M]")
        yield path.stem[7:], np.array([float(row["input"] or "nan") for row in rows]), months


def table(title, errors):
    """Print three averages over series of errors (n_series, 4) in standard deviations."""
    print(f"| {title} | {' | '.join(METHODS)} |")
    print("|---|---|---|---|---|")
    averages = {
        "root mean square": np.sqrt(np.mean(errors**2, axis=0)),
        "geometric mean": np.exp(np.mean(np.log(errors), axis=0)),
        "median": np.median(errors, axis=0),
    }
    for name, values in averages.items():
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |")
    print()


def main(count=60, seed=20):
    """Measure both sets and print the tables."""
    series, truth, months = synthetic_series(count, seed)
    scale = np.nanstd(series, axis=1)[:, None]
    found = fill_gaps(series, months, method="best")
    table(f"{count} synthetic series, hidden years", found.hidden_long / scale)
    table(f"{count} synthetic series, hidden short gaps", found.hidden_short / scale)
    for flag, name in ((1, "short gaps"), (2, "long gap")):
        columns = []
        for method in METHODS:
            filled = fill_gaps(series, months, method=method).filled
            columns.append(np.sqrt(np.mean((filled - truth)[:, found.flags[0] == flag] ** 2, axis=1)))
        table(f"{count} synthetic series, true error of the {name}", np.stack(columns, axis=1) / scale)
    if not (SHARED_DATA / "ssa_reference").is_dir():
        print("The reference series are not there.")
        return
    hidden = {"hidden years": [], "hidden short gaps": []}
    for _, one, its_months in reference_series(SHARED_DATA / "ssa_reference"):
        found = fill_gaps(one[None], its_months, method="best")
        hidden["hidden years"].append(found.hidden_long[0] / np.nanstd(one))
        hidden["hidden short gaps"].append(found.hidden_short[0] / np.nanstd(one))
    for name, errors in hidden.items():
        table(f"{len(errors)} reference series, {name}", np.array(errors))


if __name__ == "__main__":
    main()
