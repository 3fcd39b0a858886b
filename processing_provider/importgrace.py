"""gwsa:importgrace."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm, tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessingParameterExtent


class ImportGrace(GwsaAlgorithm):
    """Read a GRACE/GRACE-FO mascon product into a monthly stack."""

    ID = "importgrace"
    NAME = "Import GRACE mascons"
    GROUP = "import"
    TAGS = ("CSR", "JPL", "GSFC", "mascon", "TWSA", "NetCDF")
    SUMMARY = "Reads a GRACE/GRACE-FO mascon file (CSR, JPL, or plain CF) into a monthly stack of TWSA in cm."
    HELP = """<p>Terrestrial water storage anomaly (TWSA), cm of equivalent water height relative to 2004-2009, one band
    for each calendar month; months without a solution are bands of NoData. Longitudes become -180..180, rows run
    north to south.</p>
    <p><b>Months.</b> <i>metadata</i> (recommended) uses the file's own list of missing months: the solutions centred on
    2011-10-31 and 2015-04-27 are November 2011 and May 2015. <i>midpoint</i> (published) puts each solution into the
    month that holds its centre, and averages two in one month.</p>
    <p><b>Mascons.</b> The 0.25 deg file repeats one value over each native mascon (about 1 deg). MASCONS numbers
    them, from the mapping file when given, otherwise as cells whose whole series are identical; training and
    correction then work on mascons, the true resolution of the data.</p>"""

    def declare(self) -> None:
        self.add_file("INPUT", "Mascon file", "NetCDF file as the agency publishes it.", "NetCDF (*.nc *.nc4)")
        self.add_choice(
            "MONTHS",
            "How solutions become months",
            "metadata: the file's list of missing months (recommended); midpoint: centre of each solution (published).",
            ["metadata", "midpoint"],
            "metadata",
        )
        self.add_file(
            "MASCON_MAP",
            "Mascon mapping file",
            "NetCDF file with mascon_id on the same grid (CSR publishes one). Optional.",
            "NetCDF (*.nc *.nc4)",
            optional=True,
        )
        self.add_file(
            "LAND_MASK_FILE",
            "Land mask file",
            "NetCDF file with LO_val (CSR) or land_mask (JPL), 1 = land. Optional; JPL's file holds its own.",
            "NetCDF (*.nc *.nc4)",
            optional=True,
        )
        self.add(
            QgsProcessingParameterExtent("EXTENT", tr("Extent"), optional=True),
            "Only cells within this box are read; the whole file when empty. Edges snap outward to the grid.",
        )
        self.add_text("VARIABLE", "Variable", "Name of the variable; found when empty.", advanced=True)
        self.add_text(
            "UNIT", "Unit", "cm, mm or m, for files that do not name the unit of their variable.", advanced=True
        )
        self.add_raster_output("OUTPUT", "TWSA", "Monthly stack of TWSA, cm.", "anomaly")
        self.add_raster_output("LAND_MASK", "Land mask", "1 = land, NoData = sea.", "mask", optional=True)
        self.add_raster_output(
            "MASCONS", "Native mascons", "Number of the native mascon of each cell.", "labels", optional=True
        )
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.importgrace import importgrace

        importgrace(
            values.file("INPUT"),
            values.output("OUTPUT"),
            land_mask=values.output("LAND_MASK"),
            mascons=values.output("MASCONS"),
            months=values.choice("MONTHS"),
            mascon_map=values.file("MASCON_MAP"),
            land_mask_file=values.file("LAND_MASK_FILE"),
            extent=values.extent("EXTENT"),
            variable=values.text("VARIABLE") or "",
            unit=values.text("UNIT") or "",
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}
