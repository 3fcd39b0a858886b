"""How often each Mann-Kendall correction sees a trend where there is none, and ar1 where there is one.

Run: ``python -m benchmarks trend_errors``. The figures do not depend on the machine.
"""

import sys

import numpy as np

from gwsa_qgis.science.field_significance import field_significance
from gwsa_qgis.science.pixel_trend import LAYERS, TrendSettings, pixel_trends
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.trend import CORRECTIONS, mann_kendall, theil_sen

MONTHS = 225
CORRELATIONS = (0.0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95)
SLOPES = (0.25, 0.5, 1.0, 2.0)
SCATTER = 5.0
P_VALUE = LAYERS.index("p_value")
AFTER_STL = {
    "STL, ar1": TrendSettings(),
    "STL, ar1 without allowance for STL": TrendSettings(season_allowance=False),
    "STL, none": TrendSettings(correction="none"),
}


def noise(correlation, n_series, seed=0, n_months=MONTHS):
    """Trendless series with standard deviation 1 and a month-to-month correlation."""
    rng = np.random.default_rng([seed, int(1000 * correlation)])
    steps = rng.normal(size=(n_series, n_months))
    return autoregressive(steps, correlation, stationary=True) * np.sqrt(1 - correlation**2)


def season(n_months=MONTHS):
    """An annual cycle with an amplitude of 2."""
    return 2 * np.sin(2 * np.pi * np.arange(n_months) / 12)


def share_found(p_values):
    """Percent below 0.05."""
    return 100 * np.mean(p_values < 0.05)


def false_positives(n_series):
    """Percent of trendless series called significant, by test and correlation."""
    rows = {}
    for correlation in CORRELATIONS:
        series = noise(correlation, n_series)
        slope = theil_sen(series, confidence=None).slope
        for correction in CORRECTIONS:
            found = share_found(mann_kendall(series, correction, slope=slope).p)
            rows.setdefault(correction, []).append(found)
        for name, settings in AFTER_STL.items():
            found = share_found(pixel_trends(series + season(), settings)[P_VALUE])
            rows.setdefault(name, []).append(found)
    return rows


def power(n_series):
    """Percent of series with a trend that STL and ar1 find, by slope and correlation."""
    rows = {}
    for slope in SLOPES:
        for correlation in CORRELATIONS:
            line = slope / 12 * np.arange(MONTHS)
            series = SCATTER * noise(correlation, n_series, 1) + line + season()
            found = share_found(pixel_trends(series, TrendSettings())[P_VALUE])
            rows.setdefault(f"{slope} cm/yr", []).append(found)
    return rows


def field(n_series):
    """False discoveries in a map of which a third has a trend, with and without Benjamini and Hochberg."""
    trend = np.where(np.arange(n_series) % 3 == 0, 2.0, 0.0)
    series = SCATTER * noise(0.8, n_series, 2) + trend[:, None] / 12 * np.arange(MONTHS)
    p_values = mann_kendall(series, "ar1").p
    found = field_significance(p_values, 0.05)
    rows = {}
    for name, mask in (("p < 0.05", p_values < 0.05), ("field significance", found.mask(p_values))):
        rows[name] = [100 * mask[trend > 0].mean(), 100 * mask[trend == 0].mean()]
        rows[name].append(100 * (mask & (trend == 0)).sum() / max(mask.sum(), 1))
    return rows


def table(title, head, rows):
    """Print a table of figures with one decimal."""
    print(title)
    print(f"| {head[0]} | " + " | ".join(str(name) for name in head[1:]) + " |")
    print("|---" * len(head) + "|")
    for name, figures in rows.items():
        print(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")
    print()


def main(n_series=1000):
    """Print the tables."""
    table(
        f"Percent of {n_series} trendless series of {MONTHS} months that are significant at 5 %, by correlation",
        ("test", *CORRELATIONS),
        false_positives(n_series),
    )
    table(
        f"Percent of {n_series} series found that have a trend, standard deviation {SCATTER:.0f} cm, STL and ar1",
        ("trend", *CORRELATIONS),
        power(n_series),
    )
    table(
        f"Map of {3 * n_series} pixels, correlation 0.8, a third with 2 cm/yr, standard deviation {SCATTER:.0f} cm: percent",
        ("called significant", "of those with a trend", "of those without", "false among the found"),
        field(3 * n_series),
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
