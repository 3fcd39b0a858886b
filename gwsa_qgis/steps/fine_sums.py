"""One pass over the fine predictors: sums over coarse cells month by month, and the signatures of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.heap import HeapKeeper
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.scratch import ScratchArray
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.signatures import SignatureSums, signature_months
from gwsa_qgis.steps.predict_inputs import FineFiles, Readers
from gwsa_qgis.threads import map_ordered

SUMS, AREAS, USED = "sums.raw", "areas.raw", "used.raw"


@dataclass(frozen=True)
class FineSums:
    """What the pass leaves in files.

    Attributes
    ----------
    sums : (n_fields, coarse rows, coarse columns)
        Area-weighted sums of the pixels used: of the predictors that stay, then month by month of the others.
    areas : (n_months + 1, coarse rows, coarse columns)
        Areas of the pixels used in each month, and of those used in some.
    used : (rows, columns) bool
        Pixels used in some month.
    """

    sums: ScratchArray
    areas: ScratchArray
    used: ScratchArray

    def remove(self) -> None:
        """Remove the files."""
        for scratch in (self.sums, self.areas, self.used):
            scratch.remove()


class FinePass:
    """Goes over the map once.

    Parameters
    ----------
    span : (first, last) of str
        Months of the training, which signatures are made of where the predictors have a year of these.
    cells : (rows, columns)
        Of the coarse grid.
    """

    def __init__(
        self, files: FineFiles, span: Sequence[str], cells: tuple[int, int], factor: int, folder: Path
    ) -> None:
        self.files, self.factor = files, factor
        self.n_dynamic = sum(files.dynamic)
        self.n_static = len(files.dynamic) - self.n_dynamic
        months = files.months.size
        self.found = FineSums(
            ScratchArray(folder / SUMS, (self.n_static + months * self.n_dynamic, *cells)),
            ScratchArray(folder / AREAS, (months + 1, *cells)),
            ScratchArray(folder / USED, files.grid.shape, np.bool_),
        )
        self._weights, self._heap = files.grid.row_weights(), HeapKeeper()
        self._chosen = signature_months(files.months, *span)
        self._outside = not (
            files.months[0] >= np.datetime64(span[0], "M") and files.months[-1] <= np.datetime64(span[1], "M")
        )
        moving = [name for name, moves in zip(files.names, files.dynamic, strict=True) if moves]
        self._order = [moving.index(name) for name in files.monthly]
        self._span = span

    def run(self, readers: Readers, windows: list[Window], months: int, threads: int, report: Reporter) -> FineSums:
        """Read all windows, which are made of whole coarse cells, so many months at once.

        Raises
        ------
        NoUsableData
            If no pixel has all predictors.
        """
        files, some = self.files, False
        if files.monthly and self._outside and self._chosen.all():
            report.say(
                f"Signatures are made of {describe_months(files.months)}: the training was on {' to '.join(self._span)}"
            )

        def gather(window: Window) -> tuple[Window, bool, np.ndarray | None]:
            return window, *self._gather(readers, window, months)

        report(0.0, "Averaging the predictors")
        for done, (window, used, signatures) in enumerate(map_ordered(gather, windows, threads), start=1):
            some |= used
            if signatures is not None:  # tiles of the file may be cut by windows, and are written one at a time
                files.signatures.write(window, signatures)
            report(done / len(windows))
        if not some:
            raise NoUsableData(
                "no fine pixel has all predictors", "check that predictors, classes and mask cover the same area"
            )
        return self.found

    def _gather(self, readers: Readers, window: Window, months: int) -> tuple[bool, np.ndarray | None]:
        """Put down the sums of a window; give whether a pixel is used, and the signatures."""
        layers = self.files.months.size * self.n_dynamic + 2 * self.n_static
        self._heap.take_note(4 * window.rows * window.columns * layers)
        files, place = self.files, window.coarsened(self.factor).slices
        size = max(months, 1)
        chunks = [slice(k, min(k + size, files.months.size)) for k in range(0, files.months.size, size)]
        totals = SignatureSums(len(files.monthly), (window.rows, window.columns)) if files.monthly else None
        ever, signatures = np.zeros((window.rows, window.columns), bool), None
        with readers.borrow() as opened:
            static = opened.static(window, signatures=False)
            for chunk in chunks if static.used.any() else []:
                ever |= self._add(*opened.dynamic(window, chunk), static.used, window, chunk, totals)
            layers = [layer for layer in static.layers if layer is not None]
            if totals is not None:
                signatures = totals.finish().reshape(-1, window.rows, window.columns)
                known = np.isfinite(signatures[0])  # as all of them: they are of the same months
                if (ever & ~known).any():  # pixels that have other months only: they do not count
                    ever[:] = False
                    for chunk in chunks:
                        ever |= self._add(*opened.dynamic(window, chunk), static.used & known, window, chunk, None)
                layers += list(signatures)
        if layers:
            fields = slice(0, self.n_static)
            self.found.sums[(fields, *place)] = self._of_cells(np.stack(layers), ever, window)
        self.found.areas[(slice(-1, None), *place)] = self._of_cells(ever[None], ever, window)
        self.found.used[window.slices] = ever
        return bool(ever.any()), signatures

    def _add(
        self,
        layers: list[np.ndarray],
        valid: np.ndarray,
        used: np.ndarray,
        window: Window,
        chunk: slice,
        totals: SignatureSums | None,
    ) -> np.ndarray:
        """Put down the sums of some months, add them to the signatures, and give the pixels that are used."""
        place, months = window.coarsened(self.factor).slices, self.files.months[chunk]
        valid &= used
        self.found.areas[(chunk, *place)] = self._of_cells(valid, valid, window)
        if layers:
            sums = np.stack([self._of_cells(layer, valid, window) for layer in layers], axis=1)
            fields = slice(self.n_static + chunk.start * self.n_dynamic, self.n_static + chunk.stop * self.n_dynamic)
            self.found.sums[(fields, *place)] = sums.reshape(-1, *sums.shape[2:])
        chosen = self._chosen[chunk]
        if totals is not None and chosen.any():
            inside = slice(None) if chosen.all() else chosen
            totals.add([layers[number][inside] for number in self._order], valid[inside], months[inside])
        return valid.any(0)

    def _of_cells(self, layers: np.ndarray, valid: np.ndarray, window: Window) -> np.ndarray:
        if not valid.all():
            layers = np.where(valid, layers, layers.dtype.type(0))
        return sums_of_cells(layers, self.factor, self._weights[window.row_slice])


def sums_of_cells(layers: np.ndarray, factor: int, row_weights: np.ndarray) -> np.ndarray:
    """Area-weighted sums of the pixels of coarse cells, (..., rows / factor, columns / factor) float64.

    Pixels are added in one order, so that a cell's sum is the same to the bit in whatever window it is read.
    """
    *leading, rows, columns = layers.shape
    values = layers.reshape(-1, rows // factor, factor, columns)
    weights = row_weights.reshape(-1, factor, 1)
    along = np.zeros((len(values), rows // factor, columns))
    product = np.empty_like(along)
    for k in range(factor):
        along += np.multiply(values[:, :, k], weights[:, k], out=product)
    total = np.zeros((*along.shape[:2], columns // factor))
    for k in range(factor):
        total += along[:, :, k::factor]
    return total.reshape(*leading, *total.shape[1:])
