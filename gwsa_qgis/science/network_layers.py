"""Layers of a network, and a forward pass whose values do not depend on how a matrix product orders its sums.

Libraries of linear algebra round a row of a product by its place in the table and by the processor, so that a pixel would
change with the window it is computed in. Here weights and activations are multiples of powers of two, few enough that
their products add up in float64 without any rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# Rows of one product.
ROWS_AT_ONCE = 2**11
# Weights are kept to this many bits below the largest of their layer; activations get what float64 has left.
WEIGHT_BITS, FLOAT64_BITS = 21, 53
# Activations are held to this many times the largest seen in training.
HEADROOM = 4.0


@dataclass
class Layers:
    """Weights (n_in, n_out) and biases (n_out,) of each layer, float32, with ReLU between the layers.

    Attributes
    ----------
    tops : (n_layers,) float32
        Bound on the absolute inputs of each layer, powers of two; made by `settle`.
    """

    weights: list[np.ndarray] = field(default_factory=list)
    biases: list[np.ndarray] = field(default_factory=list)
    tops: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))

    def copy(self) -> Layers:
        """The same, independent of further training."""
        return Layers([w.copy() for w in self.weights], [b.copy() for b in self.biases])

    def forward(self, x: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
        """Scaled target (n_samples,) float32 of scaled inputs, as it is in training.

        Parameters
        ----------
        x : (n_samples, n_inputs) float32
        seen : (n_layers,) ndarray, optional
            Largest absolute input of each layer so far; raised in place.
        """
        out = np.empty(len(x), np.float32)
        for start in range(0, len(x), ROWS_AT_ONCE):
            values = x[start : start + ROWS_AT_ONCE]
            for number, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
                if number:
                    np.maximum(values, 0, out=values)
                if seen is not None:
                    seen[number] = max(seen[number], np.abs(values).max(initial=0.0))
                values = values @ weights
                values += biases
            out[start : start + ROWS_AT_ONCE] = values[:, 0]
        return out

    def settle(self, x: np.ndarray) -> None:
        """End training: note how large activations of samples x grow, and round the weights to their step."""
        seen = np.zeros(len(self.weights))
        self.forward(x, seen)
        self.tops = 2.0 ** np.ceil(np.log2(np.maximum(HEADROOM * seen, 2.0**-60))).astype(np.float32)
        self.weights = [_to_step(w, _step(w)).astype(np.float32) for w in self.weights]

    def estimate(self, x: np.ndarray) -> np.ndarray:
        """Scaled target (n_samples,) float64 of scaled inputs; equal rows give equal bits, wherever they stand."""
        values = np.array(x, np.float64)
        for number, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            bits = FLOAT64_BITS - WEIGHT_BITS - int(np.ceil(np.log2(len(weights))))
            step = 2.0 ** (np.ceil(np.log2(float(self.tops[number]))) - bits)
            values /= step
            np.rint(values, out=values)
            np.clip(values, 0.0 if number else -(2.0**bits), 2.0**bits, out=values)  # from 0: the ReLU
            values = values @ (_to_step(weights.astype(np.float64), _step(weights)) * step)
            values += biases
        return values[:, 0]


def _step(weights: np.ndarray) -> float:
    """Power of two, of which the largest weight has 2^20 to 2^21."""
    largest = float(np.abs(weights).max(initial=0.0))
    return 2.0 ** (np.ceil(np.log2(largest)) - WEIGHT_BITS) if largest > 0 else 1.0


def _to_step(values: np.ndarray, step: float) -> np.ndarray:
    """The nearest multiples of a power of two."""
    return np.rint(values / step) * step
