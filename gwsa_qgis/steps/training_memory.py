"""How a training shares out its memory budget: what is read at once, factors of interpolations, and samples."""

from __future__ import annotations

from dataclasses import dataclass

from gwsa_qgis.errors import InvalidParameter

# Enough for the samples of a large country at 0.25 degrees and 20 years.
DEFAULT_MEMORY_MB = 4096
SHARE_OF_SAMPLES = 0.95
# Layers are read and interpolations made while nothing but the table is held of the samples.
SHARE_OF_LAYERS = 0.1
# Bytes held for a coarse cell in a month: as read, averaged, and while the interpolations of scales are solved.
BYTES_OF_CELL = 100
# Interpolations of fewer months take as long.
FEWEST_MONTHS = 8
# Bytes held for a sample beside its inputs: what it is compared with, estimates of it, and what weights are computed from;
# bins of its inputs and gradients are held at other times.
BYTES_OF_SAMPLE, BYTES_OF_GRADIENT = 180, 70
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
        """Memory for the factors of a coarser scale's interpolation: what table and layers leave."""
        table = SHARE_OF_SAMPLES * (4 * n_inputs + BYTES_OF_COLUMNS) / _bytes_of_sample(n_inputs)
        return (1 - table - SHARE_OF_LAYERS) * self.memory_mb


def _bytes_of_sample(n_inputs: int) -> int:
    return 4 * n_inputs + max(BYTES_OF_SAMPLE, n_inputs + BYTES_OF_GRADIENT)
