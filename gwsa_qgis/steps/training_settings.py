"""Options of a training, and what is drawn, searched and fitted by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.science.learners import Learner, make_learner
from gwsa_qgis.science.search import Remember, search_parameters
from gwsa_qgis.steps.sample_table import Samples


@dataclass(frozen=True)
class Settings:
    """Options of a training that do not change from class to class."""

    learner: str
    samples: int
    search_iterations: int
    seed: int
    threads: int
    device: str = "auto"

    def make(self, parameters: dict) -> Learner:
        """A new learner."""
        return make_learner(self.learner, parameters, self.seed, self.threads, self.device)

    def search(
        self,
        data: Samples,
        folds: np.ndarray,
        report: Reporter,
        *,
        shallow: bool = False,
        remember: Remember | None = None,
    ) -> dict:
        """Parameters that do best on the folds; `remember` keeps the scores of candidates (see `search_parameters`)."""
        return search_parameters(
            self.learner,
            np.asarray(data.x),
            data.y,
            folds,
            iterations=self.search_iterations,
            seed=self.seed,
            threads=self.threads,
            device=self.device,
            shallow=shallow,
            progress=report,
            remember=remember,
        )[0]

    def draw(self, data: Samples, number: int = 0, most: int | None = None) -> Samples:
        """At most `samples` random rows, or `most` if that is less."""
        return data.take(self.drawn(data.size, number, most))

    def drawn(self, size: int, number: int = 0, most: int | None = None) -> np.ndarray | slice:
        """Which rows of a table of `size` are drawn, in their order."""
        wanted = min(self.samples, most or self.samples)
        if size <= wanted:
            return slice(0, size)
        return np.sort(np.random.default_rng([self.seed, number]).choice(size, wanted, replace=False))
