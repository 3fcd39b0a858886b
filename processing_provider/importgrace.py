"""gwsa:importgrace."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessingParameterExtent


class ImportGrace(GwsaAlgorithm):
    """Read a GRACE/GRACE-FO mascon product into a monthly stack."""

    ID = "importgrace"
    NAME = "Import GRACE mascons"
    GROUP = "import"
    TAGS = ("CSR", "JPL", "GSFC", "mascon", "TWSA", "NetCDF")
    REFERENCE = (
        "CSR mascons: Save et al. (2016), doi:10.1002/2016JB013007. Mascons compared: Scanlon et al. (2016), "
        f"doi:10.1002/2016WR019494. {PAPER}"
    )
    SUMMARY = "Reads a GRACE/GRACE-FO file (CSR, JPL, GSFC, or plain CF) into a monthly stack of TWSA in cm."
    HELP = """<p>Terrestrial water storage anomaly (TWSA), cm of equivalent water height relative to 2004-2009, one band
    for each calendar month; months without a solution are bands of NoData. Longitudes become -180..180, rows run
    north to south.</p>
    <p><b>Files.</b> CSR RL06.x and JPL RL06.x mascons (NetCDF), GSFC mascons (half degree NetCDF, or the native ones in
    .h5, painted on CELL_SIZE by their spans), and any CF file of TWSA in mm, cm or m with time as days, months,
    modified Julian days or decimal years.</p>
    <p><b>Months.</b> <i>metadata</i> (recommended) uses the file's own list of missing months: the solutions centred on
    2011-10-31 and 2015-04-27 are November 2011 and May 2015. <i>midpoint</i> (published) puts each solution into the
    month that holds its centre, and averages two in one month. A file without a list is read by calendar months; two
    solutions in one are told apart by the days of their data, or fall under DUPLICATES.</p>
    <p><b>Mascons.</b> The 0.25 deg file repeats one value over each native mascon (about 1 deg). MASCONS numbers
    them, from the mapping file when given, from the file itself (JPL, GSFC .h5), otherwise as cells whose whole series
    are identical; training and correction then work on mascons, the true resolution of the data.</p>
    <p><b>Uncertainty.</b> JPL gives 1 sigma of each mascon and month; of GSFC's .h5 it is half of noise_2sigma +
    leakage_2sigma; CSR publishes none.</p>
    <p><b>Gain factors</b> (JPL's scale_factor) give a mascon the amplitude pattern of a land surface model without
    pumping. They are for seasons of natural storage: not for trends, and not part of the recommended chain, which
    finds the pattern itself.</p>"""
    FORMULA = (
        "h = TWSA, cm of equivalent water height over each cell; 1 cm over 1 km<sup>2</sup> is 10,000 m<sup>3</sup>. "
        "Published: a month with two solutions is their mean."
    )
    UNITS = (
        "cm relative to 2004-2009 (a file's m or mm are converted); uncertainties cm, 1 sigma; gain factors have no "
        "unit."
    )

    def declare(self) -> None:
        self.add_file(
            "INPUT",
            "Mascon file",
            "NetCDF or HDF5 file as the agency publishes it.",
            "NetCDF or HDF5 (*.nc *.nc4 *.h5 *.hdf5)",
        )
        self.add_choice(
            "MONTHS",
            "How solutions become months",
            "metadata: the file's list of missing months (recommended); midpoint: centre of each solution (published).",
            ["metadata", "midpoint"],
            "metadata",
        )
        self.add_choice(
            "DUPLICATES",
            "Two solutions in a month",
            "refuse or average, for files that do not list their missing months; midpoint averages always.",
            ["refuse", "average"],
            "refuse",
            advanced=True,
        )
        self.add_file(
            "MASCON_MAP",
            "Mascon mapping file",
            "NetCDF file with mascon_id on the same grid (CSR publishes one), of the same release. Optional; JPL's file "
            "holds its own.",
            "NetCDF or HDF5 (*.nc *.nc4 *.h5 *.hdf5)",
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
        self.add_flag(
            "GAIN_FACTORS",
            "Apply gain factors",
            "Multiply by the product's scale_factor. Not for trends, and not part of the recommended chain.",
            False,
            advanced=True,
        )
        self.add_file(
            "GAIN_FILE",
            "Gain factor file",
            "NetCDF file with scale_factor on the same grid; JPL's newer files hold their own. Optional.",
            "NetCDF (*.nc *.nc4)",
            optional=True,
        )
        self.add_number(
            "CELL_SIZE",
            "Cell size for native mascons (degrees)",
            "Cells that GSFC's native mascons (.h5) are painted on; other files keep their own.",
            default=0.5,
            minimum=0.01,
            maximum=10,
            whole=False,
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
        self.add_raster_output(
            "UNCERTAINTY",
            "Uncertainty of TWSA",
            "Monthly stack of the product's own uncertainty, cm (JPL, GSFC .h5).",
            "sequential",
            optional=True,
        )
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.importgrace import importgrace

        importgrace(
            values.file("INPUT"),
            values.output("OUTPUT"),
            land_mask=values.output("LAND_MASK"),
            mascons=values.output("MASCONS"),
            uncertainty=values.output("UNCERTAINTY"),
            months=values.choice("MONTHS"),
            duplicates=values.choice("DUPLICATES"),
            mascon_map=values.file("MASCON_MAP"),
            land_mask_file=values.file("LAND_MASK_FILE"),
            gain_factors=values.flag("GAIN_FACTORS"),
            gain_file=values.file("GAIN_FILE"),
            cell_size=values.number("CELL_SIZE"),
            extent=values.extent("EXTENT"),
            variable=values.text("VARIABLE") or "",
            unit=values.text("UNIT") or "",
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}
