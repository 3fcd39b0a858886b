"""Import GLDAS land-surface storages (step ``importgldas``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.products.gldas import MODELS, STORAGES, GldasModel, list_models
from gwsa_qgis.products.gldas_reading import ModelReader, check_model, sum_of
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.warping import cell_offset, crop_to_extent, read_template
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, plan_windows
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.science.model_spread import FEWEST_MODELS, RunningMean, model_mean, model_spread
from gwsa_qgis.science.water_balance import DEFAULT_BASELINE, baseline_mask

STEP = "importgldas"
SPREAD = "SPREAD"
AUTO, MEAN = "auto", "mean"
MODEL_CHOICES = (AUTO, *MODELS, MEAN)
SPREAD_QUANTITY = "standard deviation between land-surface models of SMS + SWE + CWS"
FEW_BASELINE_MONTHS = 12
# Share of the work that the baseline's means take where the spread is wanted.
BASELINE = 0.3
# A month's storages as they are read and added up, and for each model its storages, sums, mean and deviations.
BYTES_PER_CELL, BYTES_PER_MODEL = 40, 64


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
        Months without a value: no file, or with the model mean, no file of one of the models.
    product : str
        Models and version of the storages.
    spread : Path or None
        Stack of the standard deviation between models, cm.
    spread_models : tuple of str
        The models that it compares.
    """

    sms: Path | None
    swe: Path | None
    cws: Path | None
    first: str
    last: str
    missing: tuple[str, ...]
    product: str
    spread: Path | None = None
    spread_models: tuple[str, ...] = ()


def importgldas(
    inputs: str | Path | Iterable[str | Path] | None,
    sms: str | Path | None = None,
    swe: str | Path | None = None,
    cws: str | Path | None = None,
    *,
    folder: str | Path | None = None,
    template: str | Path | None = None,
    extent: Sequence[float] | None = None,
    model: str = AUTO,
    spread: str | Path | None = None,
    baseline_start: str = DEFAULT_BASELINE[0],
    baseline_end: str = DEFAULT_BASELINE[1],
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> ImportGldasResult:
    """Read monthly GLDAS files as stacks in cm; soil moisture is the sum of all layers.

    Parameters
    ----------
    inputs : folder, file or list of files
        ``GLDAS_NOAH025_M.AYYYYMM.021.nc4`` and the like: one or several models, each of one resolution, all of one
        version.
    sms, swe, cws : path, optional
        Stacks to write: soil moisture, snow water equivalent, canopy water.
    folder : path, optional
        Where the files are (or its sub-folders, one a model), when `inputs` is empty.
    template : path, optional
        Raster with the model's cells (the imported TWSA): its extent is written.
    extent : (west, south, east, north), optional
        Part to write, in degrees; `template` takes precedence.
    model : {"auto", "noah", "clsm", "vic", "mean"}
        Whose storages are written: ``auto`` takes the first that is there, ``mean`` averages all models where and
        when every one has a value.
    spread : path, optional
        Stack to write: standard deviation (n - 1) between all models of the anomaly of SMS + SWE + CWS to the mean
        over the months of the baseline that all of them have. Models on coarser cells are interpolated bilinearly.
    baseline_start, baseline_end : str
        First and last month of that baseline.
    memory_mb, workers, progress
        As in all steps; one month of a window is held at a time for each model.

    Raises
    ------
    GwsaError
        For unreadable, mixed or doubled files, absent layers, a template with other cells, a spread of one model.
    """
    report = Reporter(progress)
    outputs = {name: path for name, path in zip(STORAGES, (sms, swe, cws), strict=True) if path}
    models = _list(inputs, folder, outputs, spread)
    chosen = _choose(models, model)
    compared = list(models.values()) if spread else []
    if spread and len(compared) < FEWEST_MODELS:
        raise InvalidParameter(
            f"SPREAD was asked for, but all files are of one model ({compared[0].name})",
            "give the files of two or three models (NOAH, CLSM, VIC), or leave SPREAD out",
        )
    used = [*chosen, *(each for each in compared if each not in chosen)]
    grids = {each.family: check_model(each) for each in used}
    main = min(chosen, key=lambda each: grids[each.family].dx)
    grid = _grid(main, grids[main.family], template, extent)
    readers = {each.family: ModelReader(each, grids[each.family], grid) for each in used}
    months, missing = _tell(readers, chosen, grid, report)
    work = _Work([readers[m.family] for m in chosen], [readers[m.family] for m in compared], grid)
    if spread:
        work.find_baseline((baseline_start, baseline_end), report)
        outputs[SPREAD] = spread
    tags = {"GWSA_PRODUCT": _names(chosen)}, {"GWSA_PRODUCT": _names(compared)}
    work.write(outputs, months, tags, f"{baseline_start} to {baseline_end}", memory_mb, report)
    report(1.0, f"Written {months.size} months of {', '.join(outputs)}.")
    paths = [Path(outputs[name]) if name in outputs else None for name in (*STORAGES, SPREAD)]
    return ImportGldasResult(
        *paths[:3],
        str(months[0]),
        str(months[-1]),
        tuple(map(str, missing)),
        f"GLDAS {_names(chosen)}",
        paths[3],
        tuple(each.name for each in compared),
    )


def _list(inputs: object, folder: str | Path | None, outputs: dict, spread: str | Path | None) -> dict[str, GldasModel]:
    if not outputs and not spread:
        raise InvalidParameter("no output was asked for", "give SMS, SWE, CWS or SPREAD")
    if not inputs and not folder:
        raise InvalidParameter("no input was given", "give files, or the folder that holds them")
    if not inputs and not Path(folder).is_dir():
        raise UnreadableInput(f"{folder} is not a folder", "give the folder that holds the monthly files")
    return list_models(inputs or folder)


def _names(models: Sequence[GldasModel]) -> str:
    return " + ".join(each.name for each in models)


def _choose(models: dict[str, GldasModel], wanted: str) -> list[GldasModel]:
    """Models whose storages are written."""
    if wanted not in MODEL_CHOICES:
        raise InvalidParameter(f"MODEL is {wanted!r}", f"give one of {', '.join(MODEL_CHOICES)}")
    if wanted == AUTO:
        return [next(iter(models.values()))]
    if wanted == MEAN:
        if len(models) < FEWEST_MODELS:
            raise InvalidParameter(
                f"MODEL is mean, but all files are of one model ({_names(list(models.values()))})",
                "give the files of two or three models, or another MODEL",
            )
        return list(models.values())
    if wanted not in models:
        raise InvalidParameter(
            f"MODEL is {wanted}, but the files are of {_names(list(models.values()))}",
            "give files of that model, or choose one that is there",
        )
    return [models[wanted]]


def _grid(model: GldasModel, own: Grid, template: str | Path | None, extent: Sequence[float] | None) -> Grid:
    """Grid to write: always of the model's own cells."""
    if not template:
        return own if extent is None else crop_to_extent(own, extent, str(model.files[0].path))
    grid = read_template(template)
    if cell_offset(own, grid) is None:
        raise GridMismatch(
            f"{model.files[0].path} ({own.describe()}) has other cells than the template {template} ({grid.describe()})",
            "give a template on the model's cells, or bring the written stacks to another grid with gdal:warpreproject",
        )
    return grid


def _tell(
    readers: dict[str, ModelReader], chosen: Sequence[GldasModel], grid: Grid, report: Reporter
) -> tuple[np.ndarray, np.ndarray]:
    """Months to write and those without a value; says what was found."""
    there = [each.months for each in chosen]
    months = month_range(min(found[0] for found in there), max(found[-1] for found in there))
    complete = np.all([np.isin(months, found) for found in there], axis=0)
    for reader in readers.values():
        model = reader.model
        report.say(
            f"GLDAS {model.name}: {len(model.files)} files, {model.months[0]} to {model.months[-1]}, "
            f"{reader.alignment.describe()}."
        )
    if "clsm" in readers:
        report.warn(
            "CLSM's soil moisture is of its whole profile, down to bedrock: it holds what other models leave to "
            "groundwater."
        )
    report.say(f"Storages of {_names(chosen)}, {months[0]} to {months[-1]}; grid written: {grid.describe()}.")
    missing = months[~complete]
    if missing.size:
        which = "a file" if len(chosen) == 1 else "a file of every model"
        report.warn(f"{missing.size} months do not have {which} and become NoData: {describe_months(missing, 40)}.")
    return months, missing


class _Work:
    """Reads the models window by window and month by month, and writes their storages and their spread."""

    def __init__(self, chosen: Sequence[ModelReader], compared: Sequence[ModelReader], grid: Grid) -> None:
        self._chosen, self._compared, self._grid = chosen, compared, grid
        self._baseline = np.array([], dtype="datetime64[M]")

    def find_baseline(self, baseline: tuple[str, str], report: Reporter) -> None:
        """Months of the baseline that all compared models have."""
        first = self._compared[0].model.months
        common = first[np.all([[reader.has(m) for m in first] for reader in self._compared], axis=0)]
        if not common.size:
            raise InvalidMonths(
                f"the models ({_names([r.model for r in self._compared])}) have no month in common",
                "give files of the same months for each model",
            )
        self._baseline = common[baseline_mask(common, baseline)]
        if self._baseline.size < FEW_BASELINE_MONTHS:
            report.warn(f"only {self._baseline.size} months of the baseline have files of all models")

    def write(
        self,
        outputs: dict[str, str | Path],
        months: np.ndarray,
        tags: tuple[dict[str, str], dict[str, str]],
        baseline: str,
        memory_mb: float,
        report: Reporter,
    ) -> None:
        """Write all outputs, which appear together or not at all."""
        valid = dict.fromkeys(outputs, 0)
        models = len({id(reader) for reader in (*self._chosen, *self._compared)})
        windows = plan_windows(self._grid, BYTES_PER_CELL + models * BYTES_PER_MODEL, memory_mb=memory_mb)
        with together() as stack:
            writers = {}
            for name, path in outputs.items():
                about = {"quantity": name, "metadata": tags[0]}
                if name == SPREAD:
                    about = {"quantity": SPREAD_QUANTITY, "baseline": baseline, "metadata": tags[1]}
                writers[name] = stack.enter_context(create_stack(path, self._grid, months, step=STEP, **about))
            for done, window in enumerate(windows):
                here = report.part(done / len(windows), (done + 1) / len(windows))
                references = self._references(window, here.part(0, BASELINE)) if SPREAD in outputs else []
                here = here.part(BASELINE if SPREAD in outputs else 0, 1)
                for band, month in enumerate(months):
                    for name, values in self._month(month, window, outputs, references).items():
                        valid[name] += int(np.isfinite(values).sum())
                        writers[name].write(values.astype(np.float32, copy=False), window.row, window.column, band)
                    here((band + 1) / months.size)
                give_back()
            for name, count in valid.items():
                path = self._chosen[0].model.files[0].path
                require_values(path, count, f"valid value of {name} on the grid {self._grid.describe()}")

    def _references(self, window: Window, report: Reporter) -> list[np.ndarray]:
        """Mean total of each compared model over the months of the baseline, in a window."""
        means = [RunningMean((window.rows, window.columns)) for _ in self._compared]
        for done, month in enumerate(self._baseline, start=1):
            for mean, reader in zip(means, self._compared, strict=True):
                mean.add(reader.total(month, window))
            report(done / self._baseline.size)
        return [mean.mean() for mean in means]

    def _month(
        self, month: np.datetime64, window: Window, outputs: dict[str, str | Path], references: list[np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Every output's values of a month in a window."""
        plain = [name for name in outputs if name != SPREAD]
        read = {id(reader): reader.read(month, window) for reader in self._compared}
        for reader in self._chosen:
            if id(reader) not in read:
                read[id(reader)] = reader.read(month, window, plain)
        values = {name: _mean([read[id(reader)][name] for reader in self._chosen]) for name in plain}
        if SPREAD in outputs:
            totals = [sum_of(read[id(reader)]) for reader in self._compared]
            values[SPREAD] = model_spread(totals, references)
        return values


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    return values[0] if len(values) == 1 else model_mean(values)
