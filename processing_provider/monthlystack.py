"""gwsa:monthlystack."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers

PRODUCTS = ["auto", "chelsa", "pml", "soilgrids", "mod13a1", "mod11a2", "soilmoisture", "terraclimate", "era5land"]
PRODUCTS += ["background", "gwsa_product", "generic"]


class MakeMonthlyStack(GwsaAlgorithm):
    """Put the files of a product together into one monthly stack."""

    ID = "monthlystack"
    NAME = "Make monthly stack"
    GROUP = "import"
    TAGS = ("CHELSA", "PML", "MODIS", "SoilGrids", "TerraClimate", "ERA5", "NDVI", "LST", "time series", "merge")
    REFERENCE = (
        "CHELSA: Karger et al. (2017), doi:10.1038/sdata.2017.122. PML_V2: Zhang et al. (2019), "
        f"doi:10.1016/j.rse.2018.12.031. SoilGrids: Poggio et al. (2021), doi:10.5194/soil-7-217-2021. {PAPER}"
    )
    SUMMARY = "Puts the files of one product together into one raster with a band for each calendar month."
    HELP = """<p>Dates come from file names, band names or the files' time axis; scale, offset and NoData from the product
    (or its tags). Composites of 8 or 16 days become months by their overlap in days: rates (PML evapotranspiration,
    mm per day) are summed, states (NDVI, land surface temperature) averaged after their quality flags were applied.
    PML's Ec, Es and Ei (and ET_water) become their sum ET, TerraClimate's tmin and tmax their mean. ERA5-Land's metres a
    day become mm a month, its kelvin degrees Celsius. The three SoilGrids depths become one static band, weighted
    5 : 10 : 15 (0-30 cm). Tiles (MODIS h10v05, or exports of Google Earth Engine) are put together.</p>
    <p>A month is written when half of its days are covered; one that is left out or missing is named in the log.</p>
    <p><i>generic</i> takes any rasters: one file a month or one band a month, with dates in names, or a start month
    given by hand.</p>"""
    FORMULA = (
        "Rates: month = sum over composites of (overlap in days x rate). States: month = sum(overlap x value) / "
        "sum(overlap)."
    )
    UNITS = (
        "Precipitation and evapotranspiration mm per month, temperatures degrees Celsius or kelvin as the product has "
        "them, NDVI without unit, soil moisture m<sup>3</sup> m<sup>-3</sup>; the unit is written into the stack."
    )

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUTS", tr("Files"), QgsProcessing.SourceType.TypeFile, optional=True
            ),
            "Files of one product and one variable, in any order.",
        )
        self.add_folder("FOLDER", "Folder", "Used with the pattern when no files are given.", optional=True)
        self.add_text(
            "PATTERN",
            "Pattern of file names",
            "Which files of the folder are taken, as in CHELSA_pr_*.tif; all rasters and NetCDF files when empty.",
        )
        self.add_choice("PRODUCT", "Product", "auto recognises the product by its file names.", PRODUCTS, "auto")
        self.add_choice(
            "AGGREGATION",
            "Within a month",
            "How several dates in one month are combined; auto leaves it to the product.",
            ["auto", "mean", "sum"],
            "auto",
        )
        self.add_text(
            "VARIABLE",
            "Variable",
            "Which variable is wanted of files that hold several, as in tp, NDVI or Ec.",
            advanced=True,
        )
        self.add_choice(
            "DUPLICATES",
            "Dates that are there twice",
            "Whether several files of the same days are refused, or averaged.",
            ["refuse", "average"],
            "refuse",
            advanced=True,
        )
        self.add_text("UNIT", "Unit", "Unit to write where the files name none.", advanced=True)
        self.add_text("START", "First month", "YYYY-MM of the first band, for files without dates.", advanced=True)
        self.add_number("SCALE", "Scale", "Replaces the product's own scale.", None, -1e12, whole=False, optional=True)
        self.add_number(
            "OFFSET", "Offset", "Replaces the product's own offset.", None, -1e12, whole=False, optional=True
        )
        self.add_raster_output("OUTPUT", "Monthly stack", "One band for each month, NoData where none.", "sequential")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.monthlystack import monthlystack

        aggregation = values.choice("AGGREGATION")
        monthlystack(
            values.files("INPUTS"),
            values.output("OUTPUT"),
            folder=values.file("FOLDER"),
            pattern=values.text("PATTERN") or "",
            product=values.choice("PRODUCT"),
            aggregation=None if aggregation == "auto" else aggregation,
            start=values.text("START"),
            scale=values.number("SCALE"),
            offset=values.number("OFFSET"),
            unit=values.text("UNIT") or "",
            variable=values.text("VARIABLE") or "",
            duplicates=values.choice("DUPLICATES"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}
