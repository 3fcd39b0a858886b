"""Long-term trend (section 2.7 of the paper): deseasonalise, Theil-Sen slope, Mann-Kendall test, seven classes."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.field_significance import FieldSignificance, PValueTally, field_significance
from gwsa_qgis.science.mann_kendall import CORRECTIONS, MannKendall, mann_kendall
from gwsa_qgis.science.stl import deseasonalise
from gwsa_qgis.science.theil_sen import TheilSen, theil_sen

__all__ = [
    "CLASS_NAMES",
    "CORRECTIONS",
    "FieldSignificance",
    "MannKendall",
    "PValueTally",
    "TheilSen",
    "area_shares",
    "deseasonalise",
    "field_significance",
    "mann_kendall",
    "theil_sen",
    "trend_classes",
]

CLASS_NAMES = {
    1: "highly significant decrease",
    2: "significant decrease",
    3: "not significant decrease",
    4: "none",
    5: "not significant increase",
    6: "significant increase",
    7: "highly significant increase",
}
NODATA_CLASS = 0


def trend_classes(
    slope: np.ndarray, p_value: np.ndarray, significant: float = 0.05, highly_significant: float = 0.01
) -> np.ndarray:
    """Seven classes of trend from its direction and significance (Fig. 9 of the paper).

    Parameters
    ----------
    slope : ndarray
        Slopes, any unit and shape; NaN is NoData.
    p_value : ndarray
        p values of the same shape; NaN is NoData.
    significant, highly_significant : float
        A trend is significant below the first p value and highly significant below the second.

    Returns
    -------
    ndarray of int8
        1 highly significant, 2 significant, 3 not significant decrease; 4 none (a slope of exactly 0);
        5 not significant, 6 significant, 7 highly significant increase; 0 NoData.

    Raises
    ------
    InvalidParameter
        If slopes and p values have different shapes, or the p thresholds are out of order.
    """
    slope, p_value = np.asarray(slope), np.asarray(p_value)
    if slope.shape != p_value.shape:
        raise InvalidParameter(
            f"the slopes have shape {slope.shape} and the p values {p_value.shape}", "give both on one grid"
        )
    if not 0.0 < highly_significant <= significant < 1.0:
        raise InvalidParameter(
            f"the p thresholds are {significant} and {highly_significant}", "give two of 0 to 1, the larger first"
        )
    grade = 1 + (p_value < significant).astype(np.int8) + (p_value < highly_significant).astype(np.int8)
    classes = (4 + np.sign(np.nan_to_num(slope)) * grade).astype(np.int8)
    classes[~(np.isfinite(slope) & np.isfinite(p_value))] = NODATA_CLASS
    return classes


def area_shares(classes: np.ndarray, weights: np.ndarray) -> dict[int, float]:
    """Share of each trend class in the classified area, in percent.

    Parameters
    ----------
    classes : ndarray of int
        Classes of `trend_classes`; 0 is left out.
    weights : ndarray
        Area of each pixel, any unit, of a shape that broadcasts to that of the classes (a column of row weights).

    Returns
    -------
    dict of int to float
        Percent by class 1 to 7; they sum to 100.

    Raises
    ------
    NoUsableData
        If no pixel has a class and an area.
    """
    classes = np.asarray(classes)
    area = np.broadcast_to(np.asarray(weights, np.float64), classes.shape)
    by_class = np.bincount(classes.ravel(), weights=area.ravel(), minlength=len(CLASS_NAMES) + 1)[1:]
    total = by_class.sum()
    if not total > 0:
        raise NoUsableData("no pixel has a trend class", "check that the stack has values inside its mask")
    return {number: float(100.0 * part / total) for number, part in zip(CLASS_NAMES, by_class, strict=True)}
