"""gwsa:basinseries."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.basin_inputs import add_basins, add_counts, add_errors, basin_options
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterVectorDestination,
)


class BasinSeries(GwsaAlgorithm):
    """Average a monthly stack over basins."""

    ID = "basinseries"
    NAME = "Basin series"
    GROUP = "analyse"
    TAGS = ("basin", "catchment", "zonal statistics", "volume", "km3", "time series", "trend", "csv")
    REFERENCE = (
        "Slope: Sen (1968), doi:10.1080/01621459.1968.10480934; limits: Gilbert (1987); test: Mann (1945), Kendall (1975); "
        "serial correlation: after Hamed and Rao (1998), doi:10.1016/S0022-1694(97)00125-X; season: Cleveland et al. (1990)."
    )
    SUMMARY = (
        "Averages a monthly stack over basins, exactly to their borders: cm, km3, share with values, uncertainty, filled "
        "months, annual means and trends."
    )
    HELP = """<p><b>Mean and volume.</b> The mean of a month is sum(a v) / sum(a) over the pixels with a value v; a is the
    pixel's area inside the basin: a pixel on the border counts by its covered share, which is computed exactly, on the
    sphere for geographic rasters. Volume (km<sup>3</sup>) = mean (cm) x area with values (km<sup>2</sup>) x
    10<sup>-5</sup>: nothing is extrapolated to masked parts or beyond the raster; <i>share</i> says how much of the basin
    has values. Any number of basins is read in one pass; they may overlap.</p>
    <p><b>Uncertainty</b> is a half-width at LEVEL. Pixels of a mascon share its error, so errors must not be averaged away.
    Best: UNCERTAINTY = <i>CELL</i> of the Uncertainty algorithm (standard errors s of mascons or cells), with WITHIN and
    MASCONS. <i>uncertainty_cm</i> takes the s as one error throughout the basin, sum(a s) / sum(a): the largest it can be;
    <i>uncertainty_independent_cm</i> takes them as independent, sqrt(sum((a s)<sup>2</sup>)) / sum(a). What departs within
    a mascon counts where a basin holds a share f of it, times min(1, (1 - f) / f). UNCERTAINTY = <i>OUTPUT</i> (half-widths
    of pixels) is taken as one error throughout: safe, and too wide for large basins.</p>
    <p><b>Trend</b>: Theil-Sen slope of the series without its season (STL), limits at LEVEL and p value widened for serial
    correlation (AR(1) factor, with the allowance for the season, as in the map of trends); the plain p value is given for
    comparison. Filled months are used.</p>
    <p><b>Tables</b> are comma-separated with decimal points and months as YYYY-MM: OUTPUT has a row for each basin and
    month (<i>area_km2</i>: with values; <i>filled</i>: 1 or 0; <i>gap</i>: short or long, by FLAGS), ANNUAL for each basin
    and calendar year with its number of months. SUMMARY and LAYER have a row for each basin: areas and shares with values,
    <i>slope_cm</i> (cm per year) and <i>rate_km3</i> (km<sup>3</sup> per year) with their limits <i>_lo</i> and <i>_hi</i>,
    both p values, and the root mean square <i>error_cm</i> of the uncertainty.</p>"""
    FORMULA = "mean = sum(a<sub>i</sub> v<sub>i</sub>) / sum(a<sub>i</sub>); volume = mean x area x 10<sup>-5</sup>."
    UNITS = "mean cm, area km<sup>2</sup>, volume km<sup>3</sup>, slopes cm per year and km<sup>3</sup> per year."

    def declare(self) -> None:
        add_basins(self)
        add_errors(self)
        help = "A month counts when this share of the area that ever has values has them."
        self.add_number("MINIMUM_SHARE", "Least share of values", help, 0.5, 0, 1, whole=False)
        self.add_number("CHARTS", "Charts", "Basins drawn in the report at most: the largest changes of volume.", 30)
        csv = tr("CSV files (*.csv)")
        self.add_file_output("OUTPUT", "Monthly table", "A row for each basin and month.", csv)
        self.add_file_output("ANNUAL", "Annual table", "Means of calendar years.", csv, optional=True)
        self.add_file_output(
            "SUMMARY", "Table of basins", "Areas and trends, a row for each basin.", csv, optional=True
        )
        self.add_report("Trends by volume, charts with uncertainty and Sen line, basins without values.")
        self.add(
            QgsProcessingParameterVectorDestination(
                "LAYER", tr("Basins with trends"), QgsProcessing.SourceType.TypeVectorPolygon, optional=True
            ),
            "The basins with their figures, coloured by trend.",
        )
        self._styles["LAYER"] = ("basins", "Basins with trends")
        add_counts(self)
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.basinseries import basinseries

        result = basinseries(
            values.raster("INPUT"),
            values.features("BASINS"),
            values.output_file("OUTPUT"),
            **basin_options(values),
            report=values.output_file("REPORT"),
            annual=values.output_file("ANNUAL"),
            summary=values.output_file("SUMMARY"),
            layer=values.output("LAYER"),
            minimum_share=values.number("MINIMUM_SHARE"),
            charts=values.integer("CHARTS"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        return {"BASINS_READ": result.basins, "BASINS_WITHOUT_VALUES": result.without_values}
