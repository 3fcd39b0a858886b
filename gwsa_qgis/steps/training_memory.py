"""How a training shares out its memory budget: what is read at once, factors of interpolations, and samples."""

from __future__ import annotations

from dataclasses import dataclass

from gwsa_qgis.errors import InvalidParameter

# Enough for 2.4 GB of inputs, those of 7 million samples of 88 of them, or for 11 million samples of 40.
DEFAULT_MEMORY_MB = 5120
SHARE_OF_SAMPLES = 0.95
# Layers are read and interpolations made while nothing but the table is held of the samples.
SHARE_OF_LAYERS = 0.1
# Bytes held for a coarse cell in a month: as read, averaged, and while the interpolations of scales are solved.
BYTES_OF_CELL = 100
# Interpolations of fewer months take as long.
FEWEST_MONTHS = 8
# Bytes held for a sample, measured: each input as a number and in bins by rows and by columns; and what it is compared
# with, estimates of it, gradients, and what weights are computed from.
BYTES_OF_INPUT, BYTES_OF_SAMPLE = 6, 180
BYTES_OF_COLUMNS = 22  # of a sample in the table, beside its inputs


@dataclass(frozen=True)
class TrainingMemory:
    """Shares of a budget of `memory_mb` MB, beside the program itself."""

    memory_mb: float = DEFAULT_MEMORY_MB

    def __post_init__(self) -> None:
        if not self.memory_mb > 0:
            raise InvalidParameter(f"MEMORY is {self.memory_mb:g}", "give a number of MB above 0")

    def most_samples(self, n_inputs: int) -> int:
        """Samples of so many inputs that may be held."""
        return int(SHARE_OF_SAMPLES * self.memory_mb * 1e6 / _bytes_of_sample(n_inputs))

    def runs(self, n_months: int, cells: int) -> list[slice]:
        """Runs of months that are read at once."""
        step = max(FEWEST_MONTHS, int(SHARE_OF_LAYERS * self.memory_mb * 1e6 / (BYTES_OF_CELL * cells)))
        return [slice(start, min(start + step, n_months)) for start in range(0, n_months, step)]

    def factors_mb(self, n_inputs: int) -> float:
        """Memory for the factors of a coarser scale's interpolation: a quarter of what table and layers leave.

        While they are made they take more, and what is let go of leaves holes between those that are kept.
        """
        table = SHARE_OF_SAMPLES * (4 * n_inputs + BYTES_OF_COLUMNS) / _bytes_of_sample(n_inputs)
        return 0.25 * (1 - table - SHARE_OF_LAYERS) * self.memory_mb


def _bytes_of_sample(n_inputs: int) -> int:
    return BYTES_OF_INPUT * n_inputs + BYTES_OF_SAMPLE
