"""Import GLDAS land-surface storages (step ``importgldas``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.products import gldas
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.warping import crop_to_extent, read_template
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.rasters.writing import together

STEP = "importgldas"


@dataclass(frozen=True)
class ImportGldasResult:
    """What was read and written.

    Attributes
    ----------
    sms, swe, cws : Path or None
        Stacks of soil moisture, snow and canopy water, cm.
    first, last : str
        First and last month.
    missing : tuple of str
        Months without a file.
    product : str
        Model and version.
    """

    sms: Path | None
    swe: Path | None
    cws: Path | None
    first: str
    last: str
    missing: tuple[str, ...]
    product: str


def importgldas(
    inputs: str | Path | Iterable[str | Path] | None,
    sms: str | Path | None = None,
    swe: str | Path | None = None,
    cws: str | Path | None = None,
    *,
    folder: str | Path | None = None,
    template: str | Path | None = None,
    extent: Sequence[float] | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> ImportGldasResult:
    """Read monthly GLDAS files as stacks in cm; soil moisture is the sum of all layers.

    Parameters
    ----------
    inputs : folder, file or list of files
        ``GLDAS_NOAH025_M.AYYYYMM.021.nc4`` and the like, of one model and version.
    sms, swe, cws : path, optional
        Stacks to write: soil moisture, snow water equivalent, canopy water.
    folder : path, optional
        Where the files are, when `inputs` is empty.
    template : path, optional
        Raster with the same cells (the imported TWSA): its extent is written.
    extent : (west, south, east, north), optional
        Part to write, in degrees; `template` takes precedence.
    memory_mb, workers, progress
        As in all steps; one month of one map is held at a time.

    Raises
    ------
    GwsaError
        For unreadable, mixed or doubled files, absent layers, and a template with other cells.
    """
    report = Reporter(progress)
    outputs = {"SMS": sms, "SWE": swe, "CWS": cws}
    outputs = {storage: path for storage, path in outputs.items() if path}
    if not outputs:
        raise InvalidParameter("no output was asked for", "give SMS, SWE or CWS")
    if not inputs and not folder:
        raise InvalidParameter("no input was given", "give files, or the folder that holds them")
    if not inputs and not Path(folder).is_dir():
        raise UnreadableInput(f"{folder} is not a folder", "give the folder that holds the monthly files")
    files = gldas.list_files(inputs or folder)
    by_month = {file.month: file for file in files}
    months = month_range(files[0].month, files[-1].month)
    missing = np.array([month for month in months if month not in by_month], dtype="datetime64[M]")
    grid = _grid(files[0], template, extent)
    product = f"GLDAS {files[0].model} {files[0].version}"
    report.say(f"{product}: {len(files)} files, {months[0]} to {months[-1]}; grid written: {grid.describe()}.")
    if missing.size:
        report.warn(f"{missing.size} months have no file and become NoData: {describe_months(missing, 40)}.")
    valid = dict.fromkeys(outputs, 0)
    with together() as stack:
        tags = {"step": STEP, "metadata": {"GWSA_PRODUCT": product}}
        writers = {
            storage: stack.enter_context(create_stack(path, grid, months, quantity=storage, **tags))
            for storage, path in outputs.items()
        }
        empty = np.full(grid.shape, np.nan, np.float32)
        for band, month in enumerate(months):
            file = by_month.get(month)
            values = gldas.read_storages(file, grid, outputs) if file else dict.fromkeys(outputs, empty)
            for storage, writer in writers.items():
                valid[storage] += int(np.isfinite(values[storage]).sum())
                writer.write(values[storage], first_band=band)
            report((band + 1) / months.size)
        for storage, count in valid.items():
            require_values(files[0].path, count, f"valid value of {storage} on the grid {grid.describe()}")
    report(1.0, f"Written {months.size} months of {', '.join(outputs)}.")
    paths = [Path(outputs[s]) if s in outputs else None for s in ("SMS", "SWE", "CWS")]
    return ImportGldasResult(*paths, str(months[0]), str(months[-1]), tuple(map(str, missing)), product)


def _grid(file: gldas.GldasFile, template: str | Path | None, extent: Sequence[float] | None) -> Grid:
    if template:
        return read_template(template)
    grid = gldas.grid_of(file)
    return crop_to_extent(grid, extent, str(file.path)) if extent is not None else grid
