"""Random fields of the sample region: seeded, multi-scale in space, red in time. numpy only."""

from __future__ import annotations

import numpy as np


class PowerLawFields:
    """Draws zero-mean, unit-variance Gaussian fields whose power falls with wave number to a given slope.

    Fields are cut from a larger periodic one, so that opposite edges of the region are unlike each other.

    Parameters
    ----------
    pixels : int
        Rows and columns of a field.
    pixels_per_degree : float
        Pixels in a degree; wave lengths are given in degrees, so fields look alike at any resolution.
    seed : int or sequence of int
        Seed of the generator.
    """

    def __init__(self, pixels: int, pixels_per_degree: float, seed: int | list[int]) -> None:
        self.pixels = pixels
        self.padded = _smooth_size(int(1.25 * pixels) + 8)
        self.generator = np.random.default_rng(seed)
        rows = np.fft.fftfreq(self.padded)[:, None] * pixels_per_degree
        columns = np.fft.rfftfreq(self.padded)[None] * pixels_per_degree
        self._wave_number = np.sqrt(rows**2 + columns**2)
        self._amplitudes: dict[tuple[float, float], np.ndarray] = {}

    def _amplitude(self, slope: float, longest: float) -> np.ndarray:
        """Spectral amplitude, flat for waves longer than `longest` degrees, unit variance."""
        key = (slope, longest)
        if key not in self._amplitudes:
            amplitude = np.maximum(self._wave_number, 1 / longest) ** (-slope / 2)
            amplitude[0, 0] = 0
            twice = np.full(amplitude.shape[1], 2.0)
            twice[[0, -1]] = 0.5  # the inverse transform keeps the real part of these columns alone
            # irfft2 divides by n^2; each coefficient has variance 2 before the amplitude
            variance = 2 * (twice * amplitude**2).sum() / self.padded**4
            self._amplitudes[key] = (amplitude / np.sqrt(variance)).astype(np.float32)
        return self._amplitudes[key]

    def draw(self, slope: float, longest: float = 8.0) -> np.ndarray:
        """One field, (pixels, pixels) float32.

        Parameters
        ----------
        slope : float
            Power falls as wave number to minus this: 2 is rough, 4 is smooth.
        longest : float
            Wave length in degrees beyond which power no longer grows.
        """
        amplitude = self._amplitude(slope, longest)
        noise = self.generator.standard_normal((2, *amplitude.shape), dtype=np.float32)
        spectrum = (noise[0] + 1j * noise[1]) * amplitude
        return np.fft.irfft2(spectrum, (self.padded,) * 2)[: self.pixels, : self.pixels].astype(np.float32)


class RedField:
    """A field that moves on month by month as a first-order autoregression with unit variance."""

    def __init__(self, fields: PowerLawFields, slope: float, persistence: float, longest: float = 8.0) -> None:
        self._fields, self._slope, self._longest, self._persistence = fields, slope, longest, persistence
        self.state = fields.draw(slope, longest)

    def step(self) -> np.ndarray:
        """The field of the next month."""
        new = self._fields.draw(self._slope, self._longest)
        self.state = self._persistence * self.state + np.sqrt(1 - self._persistence**2) * new
        return self.state


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing of a 2-D field with a standard deviation of `sigma` pixels, edges repeated."""
    radius = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-6)) ** 2)
    kernel /= kernel.sum()
    result = np.pad(np.asarray(field, dtype=float), radius, mode="edge")
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(result, kernel.size, axis=axis)
        result = windows @ kernel
    return result.astype(np.float32)


def block_mean(stack: np.ndarray, factor: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Mean of `factor` x `factor` blocks of the last two axes; with `weight`, of the weighted pixels (NaN if none)."""
    rows, columns = stack.shape[-2] // factor, stack.shape[-1] // factor
    shape = (*stack.shape[:-2], rows, factor, columns, factor)
    if weight is None:
        return stack.reshape(shape).mean((-3, -1))
    total = (stack * weight).reshape(shape).sum((-3, -1))
    share = weight.astype(float).reshape(rows, factor, columns, factor).sum((1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(share > 0, total / share, np.nan)


def refine_linear(field: np.ndarray, factor: int) -> np.ndarray:
    """Bilinear interpolation of a 2-D field to pixels `factor` times smaller, edges repeated."""
    for axis in (0, 1):
        size = field.shape[axis]
        position = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
        low = np.minimum(position.astype(int), size - 2)
        share = (position - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None]
        field = np.take(field, low, axis) * (1 - share) + np.take(field, low + 1, axis) * share
    return field


def _smooth_size(size: int) -> int:
    """The next size without prime factors above 5, for which the Fourier transform is fast."""
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and size % 2 == 0:
            return size
        size += 1
