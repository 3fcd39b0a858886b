"""False positives and power of the test for a change of trend, on simulated series; figures do not depend on the machine.

``python -m benchmarks false_positives``, or ``python benchmarks/false_positives.py [series]``: shares of series without a
change that are called changed at nominal 5 %, by the month-to-month correlation phi of the noise and by design, then power.
"""

import sys

import numpy as np

from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.trend_break import trend_break

CORRELATIONS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
GAPS = (2, 3, 14, 105, 110, 121, 126, 131, 136, 137, 142, 147, 152, 156, 161, 162, 166, 167, *range(183, 194), 196, 197)


def noise(phi, n_series, n_months, seed, tails=None):
    """First-order autoregressive series of unit variance; `tails` are degrees of freedom of Student's t."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_series, n_months)) if tails is None else rng.standard_t(tails, (n_series, n_months))
    return autoregressive(steps / steps.std() * np.sqrt(1 - phi**2), phi, stationary=True)


def season(n_months):
    """An annual cycle of twice the noise."""
    return 2 * np.cos(2 * np.pi * np.arange(n_months) / 12)


def with_gaps(series):
    """Without the months that GRACE lacks."""
    series[:, [month for month in GAPS if month < series.shape[1]]] = np.nan
    return series


def share(series, position, **options):
    """Percent of the series that are called changed."""
    present = np.isfinite(series).any(axis=0)
    return 100 * (trend_break(series, position, present=present, **options).p_change < 0.05).mean()


def designs(n_series):
    """Name, break, and a function of phi that makes series without a change."""

    def plain(months):
        return lambda phi: noise(phi, n_series, months, 1) + season(months)

    return (
        ("225 months, break at 112, trendless", 112, plain(225), {}),
        ("the same with a constant trend", 112, lambda phi: plain(225)(phi) - 0.02 * np.arange(225), {}),
        ("the same without deseasonalising", 112, lambda phi: noise(phi, n_series, 225, 1), {"without_season": False}),
        ("with the gaps of GRACE", 112, lambda phi: with_gaps(plain(225)(phi)), {}),
        ("and a tenth of the months at random", 112, lambda phi: scattered(with_gaps(plain(225)(phi))), {}),
        ("break at 60", 60, plain(225), {}),
        ("break at 189", 189, plain(225), {}),
        ("120 months, break at 60", 60, plain(120), {}),
        ("72 months, break at 36", 36, plain(72), {}),
        ("heavy tails (Student's t, 3)", 112, lambda phi: noise(phi, n_series, 225, 1, 3) + season(225), {}),
        ("half of the variance white", 112, lambda phi: (noise(phi, n_series, 225, 1) + noise(0, n_series, 225, 2)), {}),
    )  # fmt: skip


def scattered(series):
    """Without a tenth of the months, others in each series."""
    series[np.random.default_rng(3).random(series.shape) < 0.1] = np.nan
    return series


def report_false_positives(n_series):
    """Print the table."""
    head = " | ".join(f"{phi:g}" for phi in CORRELATIONS)
    print(f"| series without a change, called changed at 5 % (%) | phi {head} |")
    print("|---|" + "---|" * len(CORRELATIONS))
    for name, position, make, options in designs(n_series):
        cells = " | ".join(f"{share(make(phi), position, **options):.1f}" for phi in CORRELATIONS)
        print(f"| {name} | {cells} |", flush=True)


def report_power(n_series):
    """Print shares of changes found, for lines that are so many standard deviations apart at the end of the record."""
    print(
        "\n| change found, 225 months, break at 112 (%) | phi " + " | ".join(f"{phi:g}" for phi in CORRELATIONS) + " |"
    )
    print("|---|" + "---|" * len(CORRELATIONS))
    for apart in (1, 2, 4):
        bend = apart * np.maximum(np.arange(225) - 112, 0) / 112
        cells = (f"{share(noise(phi, n_series, 225, 1) + season(225) + bend, 112):.0f}" for phi in CORRELATIONS)
        print(f"| {apart} standard deviations apart at the end | {' | '.join(cells)} |", flush=True)


def main(n_series=4000):
    """Print both."""
    report_false_positives(n_series)
    report_power(n_series)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
