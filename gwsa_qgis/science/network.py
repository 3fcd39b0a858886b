"""The deep network of the paper (section 2.4.1): 3 to 6 hidden layers of 128 to 768 units, robust scaling, Adam.

scikit-learn trains it; what is kept are plain arrays, and estimates are made by a forward pass of numpy alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gwsa_qgis.errors import InvalidModelFile, InvalidParameter
from gwsa_qgis.science.blas import one_blas_thread
from gwsa_qgis.science.learning import (
    DEFAULTS,
    REMEDY,
    BatchSource,
    Parts,
    Progress,
    checked_array,
    described,
    described_inputs,
    require_inputs,
    shares_by_name,
)
from gwsa_qgis.science.network_fit import Scaling, train
from gwsa_qgis.science.network_layers import ROWS_AT_ONCE, Layers

# What a parameter may be: least, most, and whether it is a whole number.
RANGES = {
    "layers": (1, 16, True),
    "units": (1, 4096, True),
    "learning_rate": (1e-7, 1.0, False),
    "alpha": (0.0, 1e3, False),
    "epochs": (1, 100_000, True),
    "patience": (1, 100_000, True),
}
MOST_PERMUTED = 5_000
LARGEST_WEIGHT = 1e6


class NeuralNetwork:
    """A network of fully connected layers with ReLU between them.

    Parameters
    ----------
    parameters : dict, optional
        layers, units (of each layer), learning_rate, alpha (penalty on squared weights), epochs (at most), patience
        (epochs without improvement on the 10 % held out, after which training stops); `DEFAULTS` where not given.
    seed : int
    threads : int
        Of `predict`, 0 for all cores. Training takes one, since sums of several are rounded in another order.

    Notes
    -----
    Inputs beyond the range of training are taken at its edge. Up to 2^20 samples are shuffled as a whole, more of them
    in overlapping portions. Samples in memory and streamed ones give the same bytes.
    """

    kind = "dnn"

    def __init__(self, parameters: dict | None = None, *, seed: int = 0, threads: int = 0) -> None:
        self.parameters = DEFAULTS["dnn"] | (parameters or {})
        fault = _fault(self.parameters)
        if fault:
            raise InvalidParameter(fault, f"give {', '.join(RANGES)} within their ranges")
        self.seed, self.threads = int(seed), int(threads)
        self.epochs = 0
        self._layers: Layers | None = None
        self._scaling: Scaling | None = None
        self._importance = np.empty(0, np.float32)

    def fit(
        self, x: np.ndarray | BatchSource, y: np.ndarray | None = None, progress: Progress | None = None
    ) -> NeuralNetwork:
        """Fit on samples or on a source of batches (see `learning.Learner.fit`).

        Raises
        ------
        MissingPackage
            If scikit-learn is not installed.
        """
        tell = progress or (lambda share: None)
        self._layers, found, self.epochs = train(x, y, self.parameters, self.seed, tell)
        self._scaling = found.scaling
        self._importance = self._permuted(found.x[:MOST_PERMUTED], found.y[:MOST_PERMUTED])
        tell(1.0)
        return self

    def _permuted(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Growth of the squared error when one input is permuted (Breiman 2001, 10.1023/A:1010933404324)."""
        random, result = np.random.default_rng([self.seed, 13]), np.zeros(x.shape[1], np.float32)
        with one_blas_thread():
            error = np.mean((self._layers.forward(x) - y) ** 2, dtype=np.float64)
            for column in range(x.shape[1]):
                changed = x.copy()
                changed[:, column] = random.permutation(x[:, column])
                growth = np.mean((self._layers.forward(changed) - y) ** 2, dtype=np.float64) - error
                result[column] = max(growth, 0.0)
        return result

    def predict(self, x: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Estimates (n_samples,) float32; a row's value does not depend on the other rows."""
        require_inputs(x.shape[1], None if self._scaling is None else self._scaling.low.size)
        out = np.empty(len(x), np.float32)
        starts = range(0, len(x), ROWS_AT_ONCE)

        def estimate(start: int) -> None:
            scaled = self._scaling.inputs(np.ascontiguousarray(x[start : start + ROWS_AT_ONCE], np.float32))
            out[start : start + ROWS_AT_ONCE] = self._scaling.unscaled(self._layers.estimate(scaled))

        workers = min((self.threads if threads is None else threads) or os.cpu_count() or 1, len(starts))
        with one_blas_thread():
            if workers <= 1:
                for start in starts:
                    estimate(start)
            else:
                with ThreadPoolExecutor(workers) as executor:
                    list(executor.map(estimate, starts))
        return out

    def save(self) -> Parts:
        """Scaling, weights, biases and importances."""
        scaling = {name: getattr(self._scaling, name) for name in ("centre", "width", "low", "high")}
        weights = {f"weights_{k}": array for k, array in enumerate(self._layers.weights)}
        biases = {f"biases_{k}": array for k, array in enumerate(self._layers.biases)}
        others = {"tops": self._layers.tops, "importance": self._importance}
        return Parts(None, scaling | weights | biases | others)

    @classmethod
    def load(cls, parts: Parts, description: dict, threads: int = 0) -> NeuralNetwork:
        """Make a learner from what `save` and `describe` gave.

        Raises
        ------
        InvalidModelFile
            If the arrays are not those that are described.
        """
        parameters, seed = described(description)
        inputs, arrays = described_inputs(description), parts.arrays
        fault = _fault(DEFAULTS["dnn"] | parameters)
        if fault:
            raise InvalidModelFile(f"the model file describes no network: {fault}", REMEDY)
        learner = cls(parameters, seed=seed, threads=threads)
        sizes = [inputs, *[learner.parameters["units"]] * learner.parameters["layers"], 1]
        shapes = list(zip(sizes[:-1], sizes[1:], strict=True))
        wanted = {f"weights_{k}": shape for k, shape in enumerate(shapes)}
        wanted |= {f"biases_{k}": shape[1:] for k, shape in enumerate(shapes)}
        found = {name: checked_array(arrays, name, shape, np.float32, LARGEST_WEIGHT) for name, shape in wanted.items()}
        tops = checked_array(arrays, "tops", (len(shapes),), np.float32)
        if not (tops > 0).all():
            raise InvalidModelFile("the tops of a network in the model file are not above 0", REMEDY)
        weights, biases = ([found[f"{name}_{k}"] for k in range(len(shapes))] for name in ("weights", "biases"))
        learner._layers = Layers(weights, biases, tops)
        lengths = {"centre": inputs + 1, "width": inputs + 1, "low": inputs, "high": inputs}
        scaling = Scaling(*(checked_array(arrays, name, (n,), np.float32) for name, n in lengths.items()))
        if not ((scaling.width > 0).all() and (scaling.low <= scaling.high).all()):
            raise InvalidModelFile("the scaling of a network in the model file does not hold together", REMEDY)
        learner._scaling = scaling
        learner._importance = checked_array(arrays, "importance", (inputs,), np.float32)
        epochs = description.get("epochs", 0)
        learner.epochs = epochs if isinstance(epochs, int) else 0
        return learner

    def describe(self) -> dict:
        """Kind, parameters, seed, number of inputs and of epochs, fit for JSON."""
        inputs = None if self._scaling is None else int(self._scaling.low.size)
        return {
            "kind": self.kind,
            "parameters": self.parameters,
            "seed": self.seed,
            "inputs": inputs,
            "epochs": self.epochs,
        }

    def importances(self, names: Sequence[str]) -> dict[str, float]:
        """Share of each input in the growth of the error when it is permuted, largest first."""
        return shares_by_name(self._importance.astype(np.float64), names)


def _fault(parameters: dict) -> str:
    """What is wrong with the parameters, or nothing."""
    for name, (least, most, whole) in RANGES.items():
        value = parameters.get(name)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not least <= value <= most:
            return f"{name} is {value!r}, and may be from {least:g} to {most:g}"
    return ""
