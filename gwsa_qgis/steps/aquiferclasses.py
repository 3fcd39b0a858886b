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
WHYMAP_FIELD, ICE_SHEET = "hygeo2", 88
WHYMAP_CODES = (11, 12, 13, 14, 15, 22, 23, 24, 25, 33, 34, ICE_SHEET)
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
    legend : dict of int to str
        Text of each class of a field of texts; empty for a field of numbers.
    dropped : int
        Polygons of WHYMAP's class 88 (ice sheet).
    """

    output: Path
    coarse: Path | None
    cells: dict[int, int]
    legend: dict[int, str]
    dropped: int


@dataclass(frozen=True)
class _Classes:
    """Class number of each value of a field.

    Attributes
    ----------
    numbers : dict of value to int
        0 for values without a class.
    legend : dict of int to str
    """

    numbers: dict[object, int]
    legend: dict[int, str]


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
        Field of whole numbers above 0, or of texts, which are numbered in their order. Class 88 of WHYMAP's HYGEO2 (ice
        sheet) is dropped.
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
    windows = plan_windows(grid, 24, memory_mb=memory_mb, multiple=factor)
    with Polygons(input, grid) as polygons, together() as outputs:
        name = polygons.require_field(field)
        report.say(f"{polygons.path}: {polygons.layer.GetFeatureCount()} polygons; grid {grid.describe()}.")
        classes_of, dropped = _read_classes(polygons, name, report)
        tags = {"GWSA_STEP": STEP, "GWSA_QUANTITY": f"class by {field}"}
        if classes_of.legend:
            tags["GWSA_CLASSES"] = "; ".join(f"{number} = {text}" for number, text in classes_of.legend.items())
        options = {"dtype": "int16", "nodata": 0, "metadata": tags}
        fine_writer = outputs.enter_context(create_raster(output, grid, **options))
        coarse_writer = outputs.enter_context(create_raster(coarse, coarse_grid, **options)) if coarse else None
        for done, window in enumerate(windows, start=1):
            part = grid.window(window.row, window.column, window.rows, window.columns)
            classes = _burn_classes(polygons, name, part, classes_of.numbers)
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
    return AquiferClassesResult(Path(output), Path(coarse) if coarse else None, counts, classes_of.legend, dropped)


def _read_classes(polygons: Polygons, field: str, report: Reporter) -> tuple[_Classes, int]:
    """Classes of all values of a field, and the number of polygons that are dropped as ice sheet.

    Raises
    ------
    UnreadableInput
        If a value is no class.
    """
    counts: dict[object, int] = {}
    for value in polygons.values_of(field):
        counts[value] = counts.get(value, 0) + 1
    is_whymap = field.lower() == WHYMAP_FIELD
    empty = sum(count for value, count in counts.items() if value is None or value == "")
    if empty:
        report.warn(f"{empty} polygons have no value in {field} and get no class.")
    texts = sorted(value for value in counts if isinstance(value, str) and value)
    if texts and not is_whymap and not all(_is_number(text) for text in texts):
        if len(texts) > LARGEST_CLASS:
            raise UnreadableInput(
                f"the field {field} of {polygons.path} holds {len(texts)} texts", f"give one of {LARGEST_CLASS} at most"
            )
        legend = dict(enumerate(texts, start=1))
        report.say(f"Classes of {field}: {', '.join(f'{number} = {text}' for number, text in legend.items())}.")
        return _Classes({text: number for number, text in legend.items()}, legend), 0
    numbers = {value: _class_of(value, polygons.path, field) for value in counts}
    dropped = 0
    if is_whymap:
        strange = sorted({number for number in numbers.values() if number not in (0, *WHYMAP_CODES)})
        if strange:
            report.warn(f"{', '.join(map(str, strange))} in {field} are no codes of WHYMAP's legend.")
        dropped = sum(counts[value] for value, number in numbers.items() if number == ICE_SHEET)
        numbers = {value: 0 if number == ICE_SHEET else number for value, number in numbers.items()}
    if dropped:
        report.say(f"{dropped} polygons of class {ICE_SHEET} (ice sheet) are dropped.")
    return _Classes(numbers, {}), dropped


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _burn_classes(polygons: Polygons, field: str, part: Grid, numbers: dict[object, int]) -> np.ndarray:
    dataset, layer = memory_layer(part, with_value=True)
    for feature, geometry in polygons.within(part):
        value = numbers.get(feature.GetField(field), 0)
        if value:
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
