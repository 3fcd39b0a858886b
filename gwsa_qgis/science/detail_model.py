"""The model of detail: a linear part and boosted trees, each learned from the deviations themselves and then stacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gwsa_qgis.science.learners import TreeEnsemble
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.table_rows import TableRows

PARTS = ("linear", "trees")
SHARE_OF_LINEAR = 0.3  # of the time of a fit, about


class DetailModel:
    """Linear detail and trees.

    Parameters
    ----------
    linear : LinearDetail
    trees : TreeEnsemble
        Both unfitted, or restored from a file.
    """

    def __init__(self, linear: LinearDetail, trees: TreeEnsemble) -> None:
        self.linear, self.trees = linear, trees

    def fit(
        self,
        x: np.ndarray | TableRows,
        y: np.ndarray,
        classes: np.ndarray,
        progress: Callable[[float], None] | None = None,
    ) -> DetailModel:
        """Fit both parts on samples (n_samples, n_inputs), (n_samples,) and (n_samples,)."""
        tell = progress or (lambda share: None)
        self.linear.fit(x, y, classes, lambda share: tell(SHARE_OF_LINEAR * share))
        self.trees.fit(x, y, lambda share: tell(SHARE_OF_LINEAR + (1 - SHARE_OF_LINEAR) * share))
        return self

    def parts(self, x: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Detail of each part in the units of the target: shape (n_samples, 2), in the order of `PARTS`."""
        return np.stack([self.linear.predict(x, classes), self.trees.predict(x)], axis=1)

    def predict(
        self, x: np.ndarray, classes: np.ndarray, shares: Sequence[float], linear: np.ndarray | None = None
    ) -> np.ndarray:
        """Parts times their shares, added up (n_samples,), float64; a part without a share is not computed.

        Parameters
        ----------
        linear : (n_samples,) array, optional
            Detail of the linear part, where it is known (`linear_places.LinearPlaces`).
        """
        result = None
        if shares[1] > 0:
            result = np.multiply(self.trees.predict(x), shares[1], dtype=np.float64)
        if shares[0] > 0:
            own = shares[0] * (self.linear.predict(x, classes) if linear is None else linear)
            result = own if result is None else np.add(result, own, out=own)
        return np.zeros(len(x)) if result is None else result
