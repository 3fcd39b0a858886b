"""Cross-scale consistency: cell means of the fine map against the coarse field (section 2.5, Fig. 3)."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.raster import create_raster, read_single
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, LANES, Window, map_windows, plan_windows
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.report.figures import scatter_panels
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.science.aggregation import block_majority, block_means
from gwsa_qgis.science.pair_sums import PairSums
from gwsa_qgis.science.scores import Scores, score
from gwsa_qgis.science.supports import compact_labels, support_sums
from gwsa_qgis.steps.text_outputs import stage_text

# float32 as read; of a pixel what one month of it takes; of a coarse cell its two values in each month, and copies of them.
BYTES_PER_VALUE, BYTES_PER_PIXEL, BYTES_PER_CELL_MONTH = 4, 16, 48
# Panels of the paper's Fig. 3, by WHYMAP HYGEO2 class.
PANELS = (
    ("Major groundwater basins (11-15)", range(11, 16)),
    ("Complex structures (22-25)", range(22, 26)),
    ("Local and shallow aquifers (33, 34)", range(33, 35)),
)
OVERALL = "all"
HEADER = ("support", "class", "period", "n", "r2", "cc", "rmse_cm", "bias_cm")


@dataclass(frozen=True)
class ConsistencyResult:
    """What `consistency` found.

    Attributes
    ----------
    metrics, report, difference : Path or None
    monthly, mean : Scores
        Over all cells and months, and of the multi-year means.
    by_class : dict of int to Scores
        Of all months.
    mascon_monthly : Scores or None
        Over native mascons and months.
    """

    metrics: Path | None
    report: Path | None
    difference: Path | None
    monthly: Scores
    mean: Scores
    by_class: dict[int, Scores]
    mascon_monthly: Scores | None


def consistency(
    fine: str | Path,
    coarse: str | Path,
    *,
    aquifers: str | Path | None = None,
    mascons: str | Path | None = None,
    metrics: str | Path | None = None,
    report: str | Path | None = None,
    difference: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> ConsistencyResult:
    """Compare area-weighted means of the fine map over coarse cells with the coarse field.

    Parameters
    ----------
    fine, coarse : path
        Monthly stacks whose grids nest.
    aquifers : path, optional
        Class raster on the coarse or on the fine grid (majority), for scores by class.
    mascons : path, optional
        Native mascons on the coarse grid, for scores on the data's own support.
    metrics, report, difference : path, optional
        Scores as CSV, a page, and the map of the difference of the multi-year means (fine less coarse).

    Raises
    ------
    GridMismatch
        If the grids do not nest.
    InvalidMonths
        If the stacks have no month in common.
    NoUsableData
        If no cell has values in both.
    """
    say = Reporter(progress)
    with MonthlyStack(fine) as fine_stack, MonthlyStack(coarse) as coarse_stack:
        months = common_months([fine_stack, coarse_stack])
        grid, coarse_grid, tile = fine_stack.grid, coarse_stack.grid, fine_stack.tile
        factor = grid.factor_to(coarse_grid, f"the fine map {fine}", f"the coarse field {coarse}")
    say.say(f"{describe_months(months)} in both; {factor} x {factor} fine cells in a coarse one")
    classes, numbers = _read_classes(aquifers, grid, coarse_grid, factor)
    labels = compact_labels(read_single(mascons, coarse_grid, "the mascon map")[0])[0] if mascons else None
    gathered = _Gathered(months.size, coarse_grid, classes, numbers.size, labels)

    def means(window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inner = window.coarsened(factor)
        with MonthlyStack(fine) as fine_stack, MonthlyStack(coarse) as coarse_stack:
            values = fine_stack.read_months(months, *window.slices)
            weights = fine_stack.grid.row_weights()[window.row_slice]
            used = np.zeros(values.shape[1:], bool)
            for month in values:
                used |= np.isfinite(month)
            area = (
                block_means(used.astype(np.float32), factor, weights) * weights.reshape(-1, factor).sum(axis=1)[:, None]
            )
            return block_means(values, factor, weights), coarse_stack.read_months(months, *inner.slices), area

    per_month = BYTES_PER_VALUE + BYTES_PER_CELL_MONTH / factor**2
    bytes_per_cell = LANES * (months.size * per_month + BYTES_PER_PIXEL)
    windows = plan_windows(grid, bytes_per_cell, memory_mb=memory_mb, multiple=factor, tile=tile)
    for window, found in map_windows(means, windows, workers=workers, progress=say, message="Cell means"):
        estimate, actual, area = found
        gathered.add(window.coarsened(factor), actual, estimate, area)
    if not gathered.count.any():
        raise NoUsableData(
            f"{fine} and {coarse} have no cell with values in both in any month",
            "check that they cover the same place and period",
        )
    result, rows = gathered.result(numbers, months, metrics, report, difference)
    with together() as outputs:
        if difference:
            tags = {"GWSA_STEP": "consistency", "GWSA_QUANTITY": "difference of multi-year means, fine less coarse"}
            writer = outputs.enter_context(create_raster(difference, coarse_grid, unit="cm", metadata=tags))
            writer.write(np.subtract(*gathered.mean_maps()[::-1]).astype(np.float32))
        if report:
            page = _report(result, rows, gathered, f"{fine} against {coarse}, {describe_months(months)}")
            stage_text(outputs, report, page.render())
        stage_text(outputs, metrics, _as_csv(rows))
    _tell(say, result)
    return result


def _tell(say: Reporter, result: ConsistencyResult) -> None:
    for name, scores in (("all months", result.monthly), ("multi-year mean", result.mean)):
        say.say(f"{name}: n {scores.n}, R2 {scores.r2:.4f}, CC {scores.cc:.4f}, RMSE {scores.rmse:.4g} cm")
    if result.mascon_monthly:
        say.say(f"native mascons: R2 {result.mascon_monthly.r2:.4f}, RMSE {result.mascon_monthly.rmse:.4g} cm")


def _add_months(page: Page, rows: list[tuple]) -> None:
    """All classes together month by month, and the RMSE of each class."""
    monthly = [row for row in rows if row[0] == "cell" and row[2] not in ("all months", "mean")]
    page.section("Month by month")
    page.table(HEADER[2:], [row[2:] for row in monthly if row[1] == OVERALL])
    groups = [group for group in dict.fromkeys(row[1] for row in monthly) if group != OVERALL]
    if groups:
        of_month: dict[str, dict] = {}
        for _, group, month, _, _, _, error, _ in monthly:
            of_month.setdefault(month, {})[group] = error
        lines = [(month, *(errors[group] for group in groups)) for month, errors in of_month.items()]
        page.table(("month", *groups), lines, "RMSE (cm) by aquifer class; the table of figures has the other scores")


def _read_classes(
    path: str | Path | None, fine: Grid, coarse: Grid, factor: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """Class of each coarse cell (0 none) and the class numbers."""
    if not path:
        return None, np.zeros(0, int)
    values, grid = read_single(path)
    classes = np.nan_to_num(values).astype(int)
    if grid.matches(fine) and factor > 1:
        classes = block_majority(classes, factor, fine.row_weights())
    else:
        coarse.require_match(grid, "the coarse field", f"the aquifer classes {path}")
    return classes, np.unique(classes[classes > 0])


class _Gathered:
    """Sums over windows: scores by month and class, multi-year means, means over mascons."""

    def __init__(
        self, n_months: int, grid: Grid, classes: np.ndarray | None, n_classes: int, labels: np.ndarray | None
    ) -> None:
        self.grid, self.classes, self.labels = grid, classes, labels
        self.n_groups = n_classes + 1  # the last one: cells without a class
        self.numbers = np.unique(classes[classes > 0]) if classes is not None else np.zeros(0, int)
        self.sums: PairSums | None = None
        self.totals = np.zeros((2, *grid.shape))
        self.count = np.zeros(grid.shape, int)
        if labels is not None:
            self.mascon_sums = np.zeros((2, 2, n_months, int(labels.max())))

    def add(self, cells: Window, actual: np.ndarray, estimate: np.ndarray, area: np.ndarray) -> None:
        """Take in the cells of a window, arrays (n_months, rows, columns), and the area (rows, columns) that is used."""
        groups = np.full(actual.shape[1:], self.n_groups - 1)
        if self.classes is not None and self.numbers.size:
            here = self.classes[cells.slices]
            place = np.searchsorted(self.numbers, here)
            groups = np.where(here > 0, place, self.n_groups - 1)
        n_months = len(actual)
        flat = actual.reshape(n_months, -1), estimate.reshape(n_months, -1)
        found = PairSums.of_groups(*flat, groups.ravel(), self.n_groups)
        self.sums = found if self.sums is None else self.sums + found
        both = np.isfinite(actual) & np.isfinite(estimate)
        self.count[cells.slices] = both.sum(axis=0)
        for total, values in zip(self.totals, (actual, estimate), strict=True):
            total[cells.slices] = np.where(both, values, 0.0).sum(axis=0, dtype=np.float64)
        if self.labels is not None:
            # As the correction closes them: all that is mapped of a mascon, and its coarse values weighted by that area.
            known = np.where(both, actual, np.nan), estimate
            for total, values in zip(self.mascon_sums, known, strict=True):
                total += support_sums(values, self.labels[cells.slices], area, total.shape[-1])

    def mean_maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Multi-year means of the coarse field and of the fine map's cell means."""
        means = np.divide(self.totals, self.count, out=np.full(self.totals.shape, np.nan), where=self.count > 0)
        return means[0], means[1]

    def mascon_means(self) -> tuple[np.ndarray, np.ndarray]:
        """Means over mascons, (n_months, n_mascons) each."""
        sums, weights = self.mascon_sums[:, 0], self.mascon_sums[:, 1]
        means = np.divide(sums, weights, out=np.full(sums.shape, np.nan), where=weights > 0)
        return means[0], means[1]

    def result(
        self,
        numbers: np.ndarray,
        months: np.ndarray,
        metrics: str | Path | None,
        report: str | Path | None,
        difference: str | Path | None,
    ) -> tuple[ConsistencyResult, list[tuple]]:
        """Scores, and the rows of the table."""
        by_class, by_month = self.sums.pooled(0), self.sums.pooled(1)
        overall = by_month.pooled(0)
        mean = self.mean_maps()
        rows = [_row("cell", OVERALL, "all months", overall.scores(), overall.bias())]
        rows.append(_row("cell", OVERALL, "mean", score(*mean), float(np.nanmean(mean[1] - mean[0]))))
        class_scores = {}
        for place, number in enumerate(numbers.tolist()):
            class_scores[number] = by_class.scores(place)
            rows.append(_row("cell", number, "all months", class_scores[number], by_class.bias(place)))
            inside = self.classes == number
            rows.append(_row("cell", number, "mean", score(mean[0][inside], mean[1][inside]), np.nan))
        mascon_scores = None
        if self.labels is not None:
            actual, estimate = self.mascon_means()
            mascon_scores = score(actual, estimate)
            rows.append(_row("mascon", OVERALL, "all months", mascon_scores, float(np.nanmean(estimate - actual))))
        for place, month in enumerate(months):
            rows.append(_row("cell", OVERALL, str(month), by_month.scores(place), by_month.bias(place)))
        for group, number in enumerate(numbers.tolist()):
            for place, month in enumerate(months):
                cell = place, group
                rows.append(_row("cell", number, str(month), self.sums.scores(*cell), self.sums.bias(*cell)))
        paths = (Path(path) if path else None for path in (metrics, report, difference))
        return ConsistencyResult(*paths, overall.scores(), score(*mean), class_scores, mascon_scores), rows


def _row(support: str, group: object, period: str, scores: Scores, bias: float) -> tuple:
    return support, group, period, scores.n, scores.r2, scores.cc, scores.rmse, bias


def _as_csv(rows: list[tuple]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([f"{cell:.10g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return buffer.getvalue()


def _report(result: ConsistencyResult, rows: list[tuple], gathered: _Gathered, subtitle: str) -> Page:
    page = Page("Cross-scale consistency", subtitle)
    page.paragraph(
        "Area-weighted means of the valid fine pixels of each coarse cell against the coarse field: R2 is 1 - SSE/SST, "
        "CC the correlation coefficient, RMSE in cm of water (Eqs. 16 to 18)."
    )
    page.note(
        "This says whether the fine map keeps the mass of its own input. It says nothing of the detail within a cell: "
        "any map with the right cell means scores 1. Below a native mascon the coarse field is no measurement, and "
        "agreement with it there is no merit."
    )
    page.section("Scores")
    page.table(HEADER, [row for row in rows if row[2] in ("all months", "mean")])
    actual, estimate = gathered.mean_maps()
    panels = [("All cells", actual, estimate)]
    if gathered.classes is not None:
        chosen = ((name, np.isin(gathered.classes, list(numbers))) for name, numbers in PANELS)
        panels += [(name, actual[inside], estimate[inside]) for name, inside in chosen if inside.any()]
    drawn = []
    for name, x, y in panels:
        found = score(x, y)
        text = f"n = {found.n}\nR2 = {found.r2:.3f}\nCC = {found.cc:.3f}\nRMSE = {found.rmse:.3g} cm"
        drawn.append((name, x.ravel(), y.ravel(), text))
    labels = "coarse GWSA, multi-year mean (cm)", "fine GWSA, mean over the cell (cm)"
    page.section("Multi-year mean")
    page.figure(scatter_panels(drawn, *labels), "Fine against coarse, multi-year mean, one point a cell (Fig. 3).")
    drawn = map_panels(gathered.grid, [("fine less coarse", estimate - actual)], "cm", diverging=True, columns=1)
    page.figure(drawn, "Difference of the multi-year means, cell by cell.")
    _add_months(page, rows)
    return page
