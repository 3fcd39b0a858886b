"""Monthly values of a product in windows: days weighted, quality flags applied, tiles and variables put together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from gwsa_qgis.months import days_in_month
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.periods import SMALLEST_COVER, MonthlyParts, Part
from gwsa_qgis.products.product import Coding, Layer, Product, Quantity
from gwsa_qgis.products.selection import Selection
from gwsa_qgis.products.source import open_source
from gwsa_qgis.products.tiles import TileSet
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.windows import Window

# HDF4 keeps no more than 32 files open in some builds.
OPEN_FILES = 24


class OpenFiles:
    """The files that were used last, kept open."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Raster | Cube] = OrderedDict()

    def __enter__(self) -> OpenFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all files."""
        while self._open:
            self._open.popitem()[1].close()

    def get(self, path: str) -> Raster | Cube:
        """Give a file, opened."""
        if path not in self._open:
            self._open[path] = open_source(path)
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]


class StackReader:
    """Reads the month of a selection in a window of the tiles' common grid; a context manager.

    Parameters
    ----------
    aggregation : {"mean", "sum"}
    coding : (scale, offset), optional
        In place of the product's and the tags'.
    """

    def __init__(
        self,
        product: Product,
        selection: Selection,
        tiles: TileSet,
        quantity: Quantity,
        aggregation: str,
        coding: Coding | None,
    ) -> None:
        self._product, self._selection, self._tiles = product, selection, tiles
        self._per_day, self._aggregation, self._coding = quantity.per_day, aggregation, coding
        self._files = OpenFiles()

    def __enter__(self) -> StackReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def lacking_tiles(self, by_variable: Mapping[str, MonthlyParts]) -> str:
        """Say which months lack tiles that others have; empty when none does."""
        counts: dict[np.datetime64, set] = {}
        for parts in by_variable.values():
            for month, members in parts.parts.items():
                places = {self._tiles.places[layer.path] for part in members for layer in part.layers}
                counts[month] = counts.get(month, places) & places
        everywhere = set().union(*counts.values())
        short = sorted(str(month) for month, places in counts.items() if len(places) < len(everywhere))
        return f"Tiles are missing, and their cells NoData, in {', '.join(short)}." if short else ""

    def month(self, by_variable: Mapping[str, MonthlyParts], month: np.datetime64, window: Window) -> np.ndarray:
        """Values of a month, (rows, columns) float32: the weighted sum of the selection's variables."""
        weights = self._selection.weights
        if len(weights) == 1:
            return self._combine(by_variable[next(iter(weights))].parts[month], month, window)
        values = [
            self._combine(by_variable[variable].parts[month], month, window) * np.float32(weight)
            for variable, weight in weights.items()
        ]
        return np.sum(values, axis=0, dtype=np.float32)

    def _combine(self, parts: list[Part], month: np.datetime64, window: Window) -> np.ndarray:
        """Day-weighted mean, or sum."""
        if len(parts) == 1 and self._stands_for_itself(parts[0], month):
            return self._values(parts[0].layers[0], window)
        total = np.zeros((window.rows, window.columns))
        days = np.zeros((window.rows, window.columns), np.float32)
        for part in parts:
            inside = self._inside(part.layers[0].path, window)
            if inside is None:
                continue
            place = (
                slice(inside.row - window.row, inside.row - window.row + inside.rows),
                slice(inside.column - window.column, inside.column - window.column + inside.columns),
            )
            values = self._part_values(part, inside)
            valid = np.isfinite(values)
            # a generic sum adds amounts; the part of a period that lies in the month counts
            share = part.days if self._aggregation == "mean" or self._per_day else part.days / part.length
            total[place] += np.where(valid, values, 0) * share
            days[place] += valid * np.float32(part.days)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self._aggregation == "mean":
                return np.where(days > 0, total / days, np.nan).astype(np.float32)
            length = days_in_month(month)
            return np.where(days >= SMALLEST_COVER * length, total * length / days, np.nan).astype(np.float32)

    def _stands_for_itself(self, part: Part, month: np.datetime64) -> bool:
        """Whether a month's value is a layer as it is."""
        first = part.layers[0]
        plain = len(part.layers) == 1 and not self._per_day and self._tiles.covers_all(first.path)
        whole = part.days == days_in_month(month) == part.length
        return plain and (whole or self._aggregation == "mean") and self._flags(first) is None

    def _flags(self, layer: Layer) -> Layer | None:
        return self._selection.flags_of(layer, self._product) if self._product.usable else None

    def _inside(self, path: str, window: Window) -> Window | None:
        """Part of a window that a file covers."""
        row, column, rows, columns = self._tiles.places[path]
        top, left = max(window.row, row), max(window.column, column)
        bottom = min(window.row + window.rows, row + rows)
        right = min(window.column + window.columns, column + columns)
        return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None

    def _part_values(self, part: Part, inside: Window) -> np.ndarray:
        if len(part.layers) == 1:
            return self._values(part.layers[0], inside)
        total = np.zeros((inside.rows, inside.columns))
        count = np.zeros(total.shape, np.float32)
        for layer in part.layers:
            values = self._values(layer, inside)
            total += np.nan_to_num(values, nan=0.0)
            count += np.isfinite(values)
        with np.errstate(invalid="ignore"):
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _values(self, layer: Layer, inside: Window) -> np.ndarray:
        """Values of a layer in a window of the common grid, unusable ones as NaN."""
        row, column, _, _ = self._tiles.places[layer.path]
        rows = slice(inside.row - row, inside.row - row + inside.rows)
        columns = slice(inside.column - column, inside.column - column + inside.columns)
        source = self._files.get(layer.path)
        values = self._product.read(source, layer.band, rows, columns, self._coding, layer.variable)
        flags = self._flags(layer)
        if flags is not None:
            quality = self._files.get(flags.path)
            if quality.grid.shape != source.grid.shape:
                source.grid.require_match(quality.grid, layer.path, flags.path)
            usable = self._product.usable[flags.variable](quality.read(rows, columns, [flags.band])[0])
            values = np.where(usable, values, np.float32(np.nan))
        return values
