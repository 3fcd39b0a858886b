"""Aquifer classes on the fine and the coarse grid (step ``aquiferclasses``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import NoUsableData, UnreadableInput
from gwsa_qgis.products.polygons import Polygons, add_geometry, burn, memory_layer
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.masks import read_mask
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.warping import read_template
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.science.aggregation import block_majority

STEP = "aquiferclasses"
ICE_SHEET = 88
LARGEST_CLASS = 32767


@dataclass(frozen=True)
class AquiferClassesResult:
    """What was written.

    Attributes
    ----------
    output : Path
    coarse : Path or None
    cells : dict of int to int
        Fine cells of each class.
    """

    output: Path
    coarse: Path | None
    cells: dict[int, int]


def aquiferclasses(
    input: str | Path,
    template: str | Path,
    factor: int,
    output: str | Path,
    coarse: str | Path | None = None,
    *,
    field: str = "HYGEO2",
    mask: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> AquiferClassesResult:
    """Rasterise aquifer polygons by their class; a coarse cell has the class of most of its used area.

    Parameters
    ----------
    input : path
        Polygons (WHYMAP), in any CRS: they are reprojected to the template's, as the log says.
    template : path
        Raster on the fine grid.
    factor : int
        Fine cells along a coarse cell's side.
    output, coarse : path
        Class rasters (int16, NoData 0) on the fine and the coarse grid.
    field : str
        Field of whole numbers above 0. Class 88 of WHYMAP (ice sheet) is dropped.
    mask : path, optional
        Cells to use; others have no class and no say in the majority.
    memory_mb, workers, progress
        As in all steps.

    Notes
    -----
    A fine cell has the class of the polygon that holds its centre. The class joins structure and recharge; it is not
    one connected aquifer.

    Raises
    ------
    GwsaError
        For an unreadable layer, an absent field, classes that are no whole numbers, or no polygon on the template.
    """
    report = Reporter(progress)
    grid = read_template(template)
    coarse_grid = grid.coarsen(factor)
    counts: dict[int, int] = {}
    options = {"dtype": "int16", "nodata": 0, "metadata": {"GWSA_STEP": STEP, "GWSA_QUANTITY": f"class by {field}"}}
    windows = plan_windows(grid, 24, memory_mb=memory_mb, multiple=factor)
    with Polygons(input, grid) as polygons, together() as outputs:
        name = polygons.require_field(field)
        report.say(f"{polygons.path}: {polygons.layer.GetFeatureCount()} polygons; grid {grid.describe()}.")
        fine_writer = outputs.enter_context(create_raster(output, grid, **options))
        coarse_writer = outputs.enter_context(create_raster(coarse, coarse_grid, **options)) if coarse else None
        for done, window in enumerate(windows, start=1):
            part = grid.window(window.row, window.column, window.rows, window.columns)
            classes = _burn_classes(polygons, name, part)
            if mask:
                classes[~read_mask(mask, grid, *window.slices)] = 0
            fine_writer.write(classes, window.row, window.column)
            for value, count in zip(*np.unique(classes[classes != 0], return_counts=True), strict=True):
                counts[int(value)] = counts.get(int(value), 0) + int(count)
            if coarse_writer is not None:
                coarse_window = window.coarsened(factor)
                majority = block_majority(classes, factor, part.row_weights())
                coarse_writer.write(majority, coarse_window.row, coarse_window.column)
            report(done / len(windows))
        polygons.tell_repairs(report)
        if not counts:
            raise NoUsableData(
                f"no polygon of {input} covers a cell of the template {template} ({grid.describe()})",
                "give polygons of the same region, and check both coordinate reference systems",
            )
    counts = dict(sorted(counts.items()))
    listing = ", ".join(f"{value}: {count}" for value, count in counts.items())
    report(1.0, f"Cells of each class: {listing}; without a class {grid.rows * grid.columns - sum(counts.values())}.")
    return AquiferClassesResult(Path(output), Path(coarse) if coarse else None, counts)


def _burn_classes(polygons: Polygons, field: str, part: Grid) -> np.ndarray:
    dataset, layer = memory_layer(part, with_value=True)
    for feature, geometry in polygons.within(part):
        value = _class_of(feature.GetField(field), polygons.path, field)
        if value not in (0, ICE_SHEET):
            add_geometry(layer, geometry, value)
    if not layer.GetFeatureCount():
        return np.zeros(part.shape, np.int16)
    classes = burn(layer, part, gdal.GDT_Int16, by_value=True)
    del dataset
    return classes


def _class_of(value: object, path: str, field: str) -> int:
    """Class as a whole number; an empty field is no class."""
    if value is None or value == "":
        return 0
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (number == np.floor(number) and 0 <= number <= LARGEST_CLASS):
        raise UnreadableInput(
            f"the field {field} of {path} holds {value!r}, which is no class number",
            f"give a field of whole numbers from 1 to {LARGEST_CLASS}",
        )
    return int(number)
