"""gwsa:hotspots."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterVectorDestination


class HotSpots(GwsaAlgorithm):
    """Outline connected areas of significant trend."""

    ID = "hotspots"
    NAME = "Hot spots of depletion"
    GROUP = "analyse"
    TAGS = ("hotspot", "cluster", "depletion", "decline", "gain", "polygons", "volume", "km3", "significant trend")
    REFERENCE = (
        "Trend and limits: Sen (1968), doi:10.1080/01621459.1968.10480934, and Gilbert (1987), as in Trend and significance; "
        "choosing by significance overstates what is chosen: Gelman and Carlin (2014), doi:10.1177/1745691614551642."
    )
    SUMMARY = "Outlines connected areas of significant depletion or gain: area, slope, km3 a year with limits, and confidence."
    HELP = """<p>Cells with p below P, and with a slope of at least LEAST_SLOPE, that touch each other are one hot spot; one
    of depletion never joins one of gain. Outlines follow the cells, nothing is smoothed.</p>
    <p><b>Figures of a hot spot</b>: <i>rank</i> by volume; <i>kind</i>; <i>cells</i>; <i>area_km2</i> (on the sphere for
    geographic rasters); <i>slope_cm</i>, the mean by area, and <i>steepest_cm</i> with its place, cm per year;
    <i>rate_km3</i> = sum(slope x area) x 10<sup>-5</sup>, km<sup>3</sup> per year; <i>p_least</i>, the smallest p value;
    <i>sure_pct</i>, the share of its area with p below 0.01; <i>confidence</i>: high where that is at least half of it,
    moderate where half of it has p below 0.05, else low.</p>
    <p><b>Limits</b>: with LOWER and UPPER of <i>Trend and significance</i>, <i>rate_km3_lo</i> and <i>rate_km3_hi</i> are
    the sums of the cells' limits. They hold where all cells of a hot spot err alike, as cells of a mascon do, and are wider
    than need be where errors are independent.</p>
    <p><b>Beware.</b> Cells are chosen for being significant: slopes in hot spots are on average steeper than the truth. The
    report says how much area chance alone would choose: small hot spots need another proof. Take P_VALUE of correction ar1;
    the plain test makes hot spots of noise.</p>"""
    FORMULA = "rate = sum(slope<sub>i</sub> x a<sub>i</sub>) x 10<sup>-5</sup> over the cells i of a hot spot."
    UNITS = "slope cm per year, area km<sup>2</sup>, rate km<sup>3</sup> per year, shares percent."

    def declare(self) -> None:
        self.add_raster(
            "SLOPE", "Trend", "Slope of Trend and significance, or of Pumping fingerprint; its unit is read."
        )
        self.add_raster("P_VALUE", "Significance (p)", "p value of the same trend.")
        self.add_raster("LOWER", "Lower limit of the trend", "LOWER of the same trend. Optional.", optional=True)
        self.add_raster("UPPER", "Upper limit of the trend", "UPPER of the same trend. Optional.", optional=True)
        kinds = ["depletion", "gain", "both"]
        self.add_choice("KIND", "Kind", "Falling storage, rising storage, or both.", kinds, "depletion")
        help = "Cells count when their p value is below it."
        self.add_number("P", "p value below", help, 0.05, 0.0001, 1, whole=False, advanced=False)
        help = "Cells count when storage changes by at least so much, cm per year."
        self.add_number("LEAST_SLOPE", "Least slope (cm per year)", help, 0.0, 0, whole=False, advanced=False)
        help = "Smaller hot spots are left out."
        self.add_number("MINIMUM_AREA", "Least area (km2)", help, 0.0, 0, whole=False, advanced=False)
        help = "8: cells that meet at a corner belong together; 4: they do not."
        self.add_choice("CONNECTIVITY", "Neighbours", help, ["8", "4"], "8", advanced=True)
        self.add(
            QgsProcessingParameterVectorDestination(
                "OUTPUT", tr("Hot spots"), QgsProcessing.SourceType.TypeVectorPolygon
            ),
            "Polygons (GeoPackage), one feature a hot spot, coloured by slope, the 20 largest with their ranks.",
        )
        self._styles["OUTPUT"] = ("hotspots", "Hot spots")
        self.add_report("Map, sums, table of the largest, and what they prove.")
        self.add_figure("COUNT", "Hot spots")
        self.add_figure("AREA", "Area of hot spots (km2)")
        self.add_figure("RATE", "Volume of all hot spots (km3 per year)")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.hotspots import hotspots

        result = hotspots(
            values.raster("SLOPE"),
            values.raster("P_VALUE"),
            values.output("OUTPUT"),
            lower=values.raster("LOWER"),
            upper=values.raster("UPPER"),
            report=values.output_file("REPORT"),
            kind=values.choice("KIND"),
            p=values.number("P"),
            least_slope=values.number("LEAST_SLOPE"),
            minimum_area=values.number("MINIMUM_AREA"),
            connectivity=int(values.choice("CONNECTIVITY")),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        totals = result.totals.values()
        area, rate = (float(sum(getattr(total, name) for total in totals)) for name in ("area", "rate"))
        return {"COUNT": sum(total.count for total in totals), "AREA": area, "RATE": rate}
