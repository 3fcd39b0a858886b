"""What bin means make of wells that a map knows next to nothing of: a Monte Carlo.

As many cells as the paper has, trends of wells that have a given correlation with those of the map, and none; scored
singly and as means of 15 quantile bins, as published. The last column is the verdict of the report.
"""

from __future__ import annotations

import numpy as np

from gwsa_qgis.science.scores import score
from gwsa_qgis.science.well_scores import agreement
from gwsa_qgis.science.wells import quantile_bins
from gwsa_qgis.steps.wells_report import verdict

CELLS, BINS, DRAWS = 1518, 15, 500
CORRELATIONS = (0.0, 0.05, 0.09, 0.2, 0.5)


def simulate(correlation: float, draws: int = DRAWS, seed: int = 0) -> dict[str, np.ndarray]:
    """Scores of each draw: unbinned R2 (1 - SSE/SST) and squared correlation, and the latter of bin means."""
    random = np.random.default_rng(seed)
    found = {name: np.empty(draws) for name in ("R2", "r squared", "binned r squared")}
    for draw in range(draws):
        shared = random.normal(size=CELLS)
        wells = correlation * shared + np.sqrt(1 - correlation**2) * random.normal(size=CELLS)
        plain, bins = agreement(wells, shared), quantile_bins(shared, wells, BINS)
        found["R2"][draw], found["r squared"][draw] = plain.r2, plain.r**2
        found["binned r squared"][draw] = score(bins.y, bins.x).cc ** 2
    return found


def main(draws: int = DRAWS) -> None:
    """Print the table."""
    print(f"{CELLS} cells, {BINS} bins, {draws} draws: median (95 % range)")
    for correlation in CORRELATIONS:
        found = simulate(correlation, draws)
        columns = (
            f"{name} {np.median(values):6.3f} ({np.quantile(values, 0.025):6.3f} to {np.quantile(values, 0.975):6.3f})"
            for name, values in found.items()
        )
        random = np.random.default_rng(1)
        shared = random.normal(size=CELLS)
        wells = correlation * shared + np.sqrt(1 - correlation**2) * random.normal(size=CELLS)
        print(f"correlation {correlation:4.2f}: " + "; ".join(columns))
        print(f"    {verdict(agreement(wells, shared), CELLS)}")


if __name__ == "__main__":
    main()
