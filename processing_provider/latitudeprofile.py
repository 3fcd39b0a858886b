"""gwsa:latitudeprofile."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values


class LatitudeProfile(GwsaAlgorithm):
    """Map multi-year means and draw their latitudinal profile."""

    ID = "latitudeprofile"
    NAME = "Mean and latitude profile"
    GROUP = "analyse"
    TAGS = ("mean", "climatology", "latitude", "zonal", "profile", "quantiles")
    REFERENCE = f"{PAPER} Fig. 6, section 3.3.1."
    SUMMARY = (
        "Averages a stack over its months, and the map over bands of latitude by true area, with spread and quantiles."
    )
    HELP = """<p>MEAN is each pixel's mean over the months that it has, where it has at least MINIMUM_SHARE of them; the unit is
    the stack's. PROFILE holds, for each band of BAND_HEIGHT degrees, sum(A m) / sum(A) over its pixels, A being the true
    area of a pixel and m its mean, the standard deviation and the 10th, 25th, 50th, 75th and 90th percentile of the pixels
    (weighted by area too, and exact: one of the values), the area and the number of pixels. Bands begin at the equator; a
    pixel belongs to the band that its centre lies in.</p>
    <p>PERIODS gives parts of the record a band of MEAN and a profile of their own: <i>2003/2010, 2011-01/2020-12</i>.</p>
    <p>The mean of an anomaly is relative to its baseline. A record that begins or ends within a year weighs some months more
    than others.</p>"""
    FORMULA = (
        "Band mean = sum(A<sub>i</sub> m<sub>i</sub>) / sum(A<sub>i</sub>), A<sub>i</sub> the area of pixel i and "
        "m<sub>i</sub> its mean over the months."
    )
    UNITS = "As the stack's (cm); latitudes degrees; areas km<sup>2</sup>."

    def declare(self) -> None:
        self.add_raster("INPUT", "Monthly stack", "For example GWSA, cm; in geographic coordinates.")
        self.add_number(
            "BAND_HEIGHT",
            "Height of a band (degrees)",
            "Of latitude. Not less than the height of a pixel, or bands are empty.",
            default=1.0,
            minimum=0.001,
            maximum=180,
            whole=False,
            advanced=False,
        )
        self.add_text(
            "PERIODS", "Periods", "First and last year or month each, as 2003/2010, 2011-01/2020-12. Optional."
        )
        self.add_number(
            "MINIMUM_SHARE",
            "Least share of months",
            "Pixels with a smaller share of the months have no mean.",
            default=0.5,
            maximum=1,
            whole=False,
        )
        self.add_raster_output("MEAN", "Multi-year mean", "Whole record, then each period.", "anomaly")
        csv = tr("CSV files (*.csv)")
        self.add_file_output("PROFILE", "Latitude profile", "Table of the bands.", csv, optional=True)
        self.add_report("Page with map and profile side by side.")
        self.add_figure("AREA_MEAN", "Area-weighted mean")
        self.add_figure("LOWEST_MEAN", "Mean of the lowest band")
        self.add_figure("LOWEST_LATITUDE", "Latitude of the lowest band (degrees)")
        self.add_figure("HIGHEST_MEAN", "Mean of the highest band")
        self.add_figure("HIGHEST_LATITUDE", "Latitude of the highest band (degrees)")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.latitudeprofile import latitudeprofile

        result = latitudeprofile(
            values.raster("INPUT"),
            values.output("MEAN"),
            profile=values.output_file("PROFILE"),
            report=values.output_file("REPORT"),
            band_height=values.number("BAND_HEIGHT"),
            periods=values.text("PERIODS") or "",
            minimum_share=values.number("MINIMUM_SHARE"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        low, high = result.lowest, result.highest
        return {
            "AREA_MEAN": result.area_mean,
            "LOWEST_MEAN": low.figures.mean,
            "LOWEST_LATITUDE": low.centre,
            "HIGHEST_MEAN": high.figures.mean,
            "HIGHEST_LATITUDE": high.centre,
        }
