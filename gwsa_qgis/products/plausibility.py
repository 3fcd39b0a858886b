"""Maps and seasons that cannot be: cycles six months out, grids read upside down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.products.sanity import kind_of

# Outside the tropics the sun decides which month is warmest; within them rain and cloud do.
TROPIC = 23.0
NORTHERN_WINTER, SOUTHERN_WINTER = (11, 12, 1, 2), (5, 6, 7, 8)
LEAST_AMPLITUDE = 3.0  # degrees; a weaker season says nothing
# Correlations of two cycles that are six months apart, and not merely different.
SHIFTED_FROM, AS_THEY_ARE_TO = 0.8, -0.6
# Where both maps of a pair are good, one flips the other only if the flipped one agrees so much better.
FLIPPED_FROM, FLIPPED_GAIN = 0.7, 0.5
LEAST_CELLS = 25
# Mean fall of the temperature with height, degrees a metre.
LAPSE = 0.0065
# The belt between the equator and the deserts is cooler than the deserts.
DESERT_LATITUDE = 20.0
LEAST_SPAN, LEAST_SPAN_WITHOUT_HEIGHT = 10.0, 20.0
RISE_FROM, RISING_CORRELATION = 0.25, 0.8  # degrees a degree of latitude


@dataclass(frozen=True)
class Profile:
    """A predictor as these checks see it, on the coarse grid.

    Attributes
    ----------
    name : str
    mean : (rows, columns) array
        Mean over the months, NaN where there is none.
    cycle : (12, rows) array or None
        Mean of each calendar month (January first) and row; None for static ones and short records.
    latitudes : (rows,) array
        Degrees, north to south.
    """

    name: str
    mean: np.ndarray
    cycle: np.ndarray | None
    latitudes: np.ndarray

    @property
    def kind(self) -> str:
        """Kind by the name."""
        return kind_of(self.name)


def odd_profiles(profiles: Sequence[Profile]) -> dict[str, list[str]]:
    """Say what is odd about predictors by the places and times of their values: sentences by predictor.

    Notes
    -----
    Each rule is blind to what nature does somewhere: the warmest month is asked for outside the tropics only, and is
    odd in midwinter only; temperature must fall towards the pole only beyond 20 degrees and over 10 degrees of
    latitude (20 without an elevation to allow for height); pairs are compared only within one kind.
    """
    found: dict[str, list[str]] = {}
    height = next((p for p in profiles if p.kind == "elevation"), None)
    for one in profiles:
        for odd in (_odd_season(one), _odd_latitudes(one, height)):
            if odd:
                found.setdefault(one.name, []).append(odd)
    for number, one in enumerate(profiles):
        for other in profiles[number + 1 :]:
            for odd in (_odd_pair_of_cycles(one, other), _odd_pair_of_maps(one, other)):
                if odd:
                    found.setdefault(other.name, []).append(odd)
    return found


def _parts(latitudes: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of the parts of the Earth that have seasons of their own."""
    north, south = latitudes > TROPIC, latitudes < -TROPIC
    return {"north of 23 N": north, "within the tropics": ~north & ~south, "south of 23 S": south}


def _cycle_of(profile: Profile, rows: np.ndarray) -> np.ndarray | None:
    """Cycle of some rows weighted by area, (12,); None when it is not known in full."""
    if profile.cycle is None or not rows.any():
        return None
    values, weights = profile.cycle[:, rows], np.cos(np.deg2rad(profile.latitudes[rows]))
    known = np.isfinite(values).all(axis=0)
    return values[:, known] @ weights[known] / weights[known].sum() if known.any() else None


def _odd_season(profile: Profile) -> str:
    if profile.kind != "temperature":
        return ""
    for part, rows in _parts(profile.latitudes).items():
        winter = {"north of 23 N": NORTHERN_WINTER, "south of 23 S": SOUTHERN_WINTER}.get(part)
        cycle = _cycle_of(profile, rows)
        if winter is None or cycle is None or np.ptp(cycle) < LEAST_AMPLITUDE:
            continue
        warmest = int(np.argmax(cycle)) + 1
        if warmest in winter:
            return (
                f"{profile.name} is warmest in calendar month {warmest} {part}, in midwinter: its months are six "
                "months out, or its rows are upside down"
            )
    return ""


def _odd_pair_of_cycles(one: Profile, other: Profile) -> str:
    if not one.kind or one.kind != other.kind:
        return ""
    for part, rows in _parts(one.latitudes).items():
        first, second = _cycle_of(one, rows), _cycle_of(other, rows)
        if first is None or second is None or not (np.ptp(first) > 0 and np.ptp(second) > 0):
            continue
        as_they_are = np.corrcoef(first, second)[0, 1]
        shifted = np.corrcoef(first, np.roll(second, 6))[0, 1]
        if shifted >= SHIFTED_FROM and as_they_are <= AS_THEY_ARE_TO:
            return (
                f"{one.name} and {other.name} are six months apart {part} (their mean seasons correlate at "
                f"{as_they_are:.2f} as they are and at {shifted:.2f} when one is moved by six months)"
            )
    return ""


def _odd_pair_of_maps(one: Profile, other: Profile) -> str:
    if not one.kind or one.kind != other.kind:
        return ""
    as_they_are, flipped = _correlation(one.mean, other.mean), _correlation(one.mean, other.mean[::-1])
    if flipped >= FLIPPED_FROM and flipped - as_they_are >= FLIPPED_GAIN:
        return (
            f"{one.name} and {other.name} agree when one is turned upside down (correlation {flipped:.2f}) and not as "
            f"they are ({as_they_are:.2f}): one of them has its rows from south to north"
        )
    return ""


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    known = np.isfinite(first) & np.isfinite(second)
    if np.count_nonzero(known) < LEAST_CELLS:
        return np.nan
    a, b = first[known], second[known]
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 and np.ptp(b) > 0 else np.nan


def _odd_latitudes(profile: Profile, height: Profile | None) -> str:
    """Whether temperature rises towards the pole, height allowed for."""
    if profile.kind != "temperature" or profile.cycle is None:
        return ""
    mean, span = profile.mean, LEAST_SPAN_WITHOUT_HEIGHT
    if height is not None:
        mean, span = mean + LAPSE * height.mean, LEAST_SPAN
    known = np.isfinite(mean)
    counts = known.sum(axis=1)
    rows = counts > 0
    level = np.where(known, mean, 0).sum(axis=1)[rows] / counts[rows]
    latitudes = profile.latitudes[rows]
    for sign, name in ((1, "north"), (-1, "south")):
        beyond = sign * latitudes > DESERT_LATITUDE
        towards_pole = sign * latitudes[beyond]
        if towards_pole.size < 5 or np.ptp(towards_pole) <= span:
            continue
        rise = np.polyfit(towards_pole, level[beyond], 1)[0]
        agreement = np.corrcoef(towards_pole, level[beyond])[0, 1]
        if rise > RISE_FROM and agreement > RISING_CORRELATION:
            return (
                f"{profile.name} rises by {rise:.2f} a degree of latitude towards the {name} pole: its rows may be "
                "upside down"
            )
    return ""
