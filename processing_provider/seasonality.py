"""gwsa:seasonality."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class Seasonality(GwsaAlgorithm):
    """Map the seasonal contribution."""

    ID = "seasonality"
    NAME = "Seasonal contribution"
    GROUP = "analyse"
    TAGS = ("season", "annual cycle", "variability", "interannual")
    REFERENCE = (
        "Eq. 20 and Fig. 7 of the paper (Earth System Science Data preprint essd-2026-409); test of the annual course: "
        "Hotelling (1931), doi:10.1214/aoms/1177732979."
    )
    SUMMARY = "Maps how much of each pixel's variation is the year's course and how much is lasting change, in percent."
    HELP = """<p>C = s / (s + d) (eq. 20), percent: s is the standard deviation of the months of a calendar year, averaged over
    the years; d is the standard deviation of the annual means. Both divide by the number of values. Above 50 % the seasons
    dominate. 66 %, the paper's second limit, means that s is 1.9 times d. Shares of the area above both are weighted by the
    true area of each pixel.</p>
    <p>A calendar year counts, in each pixel, if it has at least MINIMUM_MONTHS months with values: a year with holes puts a
    part of its season into its mean. 12 takes whole years alone (recommended); 9 takes April to December of 2002 for a
    year, as the published figures do. At least two years must count.</p>
    <p>s holds all that happens within a year, noise included: month-to-month noise without any season gives about 78 %, not
    0. MAXIMUM shows where a season does return from year to year, and the calendar month of its maximum; elsewhere, and
    with fewer than five complete years, it is NoData.</p>"""
    FORMULA = "C = s / (s + d) x 100 (eq. 20)."
    UNITS = "Percent; months of the maximum 1 to 12."

    def declare(self) -> None:
        self.add_raster("INPUT", "Monthly stack", "For example GWSA, cm.")
        self.add_number(
            "MINIMUM_MONTHS",
            "Fewest months of a year",
            "A calendar year counts if it has so many months with values: 12 (recommended) whole years alone, 9 as published.",
            default=12,
            minimum=1,
            maximum=12,
        )
        self.add_raster_output("OUTPUT", "Seasonal contribution", "Percent.", "seasonality")
        self.add_raster_output(
            "MAXIMUM",
            "Month of the annual maximum",
            "1 to 12, trend taken out; NoData where no annual course returns (p 0.05). Optional.",
            "months",
            optional=True,
        )
        self.add_report("Page with the map and the area shares.")
        self.add_figure("SHARE_ABOVE_50", "Area with a contribution above 50 % (%)")
        self.add_figure("SHARE_ABOVE_66", "Area with a contribution above 66 % (%)")
        self.add_figure("MEAN", "Mean contribution, weighted by area (%)")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.seasonality import seasonality

        result = seasonality(
            values.raster("INPUT"),
            values.output("OUTPUT"),
            maximum=values.output("MAXIMUM"),
            report=values.output_file("REPORT"),
            minimum_months=values.integer("MINIMUM_MONTHS"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        shares = result.shares_above
        return {"SHARE_ABOVE_50": shares[50.0], "SHARE_ABOVE_66": shares[66.0], "MEAN": result.mean}
