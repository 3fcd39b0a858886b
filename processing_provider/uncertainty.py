"""gwsa:uncertainty."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class Uncertainty(GwsaAlgorithm):
    """Intervals of the fine map, by source, and where the model applies."""

    ID = "uncertainty"
    NAME = "Uncertainty"
    GROUP = "downscale"
    TAGS = ("uncertainty", "error", "conformal", "interval", "area of applicability", "extrapolation")
    REFERENCE = (
        "Area of applicability: Meyer and Pebesma (2021), doi:10.1111/2041-210X.13650. Conformal intervals from held-out "
        "residuals: Barber et al. (2021), doi:10.1214/20-AOS1965; of samples in groups: Dunn, Wasserman and Ramdas (2023), "
        "doi:10.1080/01621459.2022.2060112."
    )
    SUMMARY = (
        "Says how sure a fine map is: an interval for every pixel and month, by source of error, and where the predictors "
        "are unlike those the model was trained on."
    )
    HELP = """<p>Two errors are kept apart. CELL is the standard error of a mascon's (or coarse cell's) mean: GRACE, gap
    filling (in filled months) and the spread of land-surface models, in quadrature. WITHIN is the half-width of the
    interval of a pixel's departure from that mean. OUTPUT is both: sqrt((z CELL)<sup>2</sup> + WITHIN<sup>2</sup>), with
    z the normal quantile of LEVEL (1.645 for 0.9).</p>
    <p><b>Means over basins.</b> Never average OUTPUT as if pixels were independent: pixels of a mascon share CELL, and
    WITHIN adds up to nothing over it. For whole mascons of areas a, the standard error of the mean lies between
    sqrt(sum (a CELL)<sup>2</sup>) / sum a (independent errors) and sum a CELL / sum a (one common error).</p>
    <p><b>WITHIN</b> is conformal: residuals of blocks of mascons that were held out of the training, scaled by class,
    calendar month and (with PREDICTION) the size of the predicted detail, give the quantile that contains LEVEL of the
    values of blocks which had no part in it. The report shows what was covered. From mascons to pixels, residual
    variances are taken to grow as the predictors' own variances do. The noise of the coarse data is part of these
    residuals: where it is large, WITHIN is too wide rather than too narrow.</p>
    <p><b>APPLICABILITY</b>: the dissimilarity index is the distance of a pixel's predictors (standardised, weighted by
    importance) to the nearest training sample, over the mean distance between training samples; it is the mean over
    COMPARED_MONTHS months, spread over the record and the calendar. Its threshold is the upper whisker of what training
    samples have from samples of other folds. Outside, intervals cannot be vouched for.</p>
    <p>The model must be one that this version trained: it holds the calibration.</p>"""
    FORMULA = (
        "OUTPUT = sqrt((z CELL)<sup>2</sup> + WITHIN<sup>2</sup>), CELL = sqrt(GRACE<sup>2</sup> + "
        "filling<sup>2</sup> + land models<sup>2</sup>)."
    )
    UNITS = (
        "cm of equivalent water height; CELL is a standard error, OUTPUT and WITHIN are half-widths at LEVEL; "
        "APPLICABILITY has no unit."
    )

    def declare(self) -> None:
        self.add_raster("GWSA", "GWSA, fine", "Monthly stack made by Correct residuals, cm.")
        self.add_file("MODEL", "Model", "Model file that the map was predicted with.", "GWSA model (*.gwsa)")
        self.add_folder("PREDICTORS", "Fine predictors", "Folder made by Prepare predictors.")
        self.add_raster("AQUIFERS", "Aquifer classes, fine", "Errors differ from class to class.", optional=True)
        self.add_raster("MASK", "Mask", "Cells to use, on the fine grid. Optional.", optional=True)
        self.add_raster(
            "MASCONS", "Native mascons", "Only for another region than the model's own: its mascons.", optional=True
        )
        self.add_raster(
            "PREDICTION",
            "Prediction",
            "Stack made by Predict (recommended preset): intervals are then wider where much detail was added.",
            optional=True,
        )
        self.add_raster(
            "GRACE_UNCERTAINTY", "Uncertainty of GRACE", "Monthly stack made by Import GRACE, coarse.", optional=True
        )
        self.add_number(
            "GRACE_ERROR",
            "Error of GRACE (cm)",
            "Standard error of a mascon's value, where there is no stack of it.",
            default=2.0,
            whole=False,
        )
        self.add_raster("ERROR_SHORT", "Error of short gaps", "Made by Fill gaps, coarse.", optional=True)
        self.add_raster("ERROR_LONG", "Error of the long gap", "Made by Fill gaps, coarse.", optional=True)
        self.add_raster(
            "FLAGS", "Filled months", "Made by Fill gaps: which months these errors are for.", optional=True
        )
        self.add_raster(
            "LAND_SPREAD", "Spread of land-surface models", "Monthly stack made by Import GLDAS, coarse.", optional=True
        )
        self.add_number(
            "LEVEL",
            "Level",
            "Probability that the interval holds the value.",
            0.9,
            0.5,
            0.99,
            whole=False,
            advanced=False,
        )
        self.add_number(
            "COMPARED_MONTHS",
            "Months compared",
            "Months in which predictors are compared with those of the training; 0 for all.",
            default=12,
        )
        self.add_raster_output("OUTPUT", "Half-width", "Of each pixel's interval: monthly stack, cm.", "sequential")
        self.add_raster_output(
            "CELL",
            "Standard error of cells",
            "Of means over mascons (or cells): monthly stack on the coarse grid, cm. For means over basins.",
            "sequential",
            optional=True,
        )
        self.add_raster_output(
            "WITHIN",
            "Half-width within",
            "Of the departure from the mascon's mean: monthly stack, cm.",
            "sequential",
            optional=True,
        )
        self.add_raster_output(
            "APPLICABILITY",
            "Area of applicability",
            "Three bands: dissimilarity index; 1 inside, 0 outside; share of months inside.",
            "sequential",
            optional=True,
        )
        self.add_raster_output("LOWER", "Lower end", "Of the interval: monthly stack, cm.", "anomaly", optional=True)
        self.add_raster_output("UPPER", "Upper end", "Of the interval: monthly stack, cm.", "anomaly", optional=True)
        self.add_report("Coverage on held-out blocks, errors by source, maps, and what means over basins inherit.")
        self.add_figure("HELD_OUT_COVERAGE", "Share of held-out values inside the interval")
        self.add_figure("OUTSIDE_SHARE", "Share of the area outside the area of applicability")
        self.add_figure("HALF_WIDTH", "Half-width, root mean square (cm)")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.uncertainty import uncertainty

        rasters = ("AQUIFERS", "MASK", "MASCONS", "PREDICTION", "GRACE_UNCERTAINTY")
        rasters += ("ERROR_SHORT", "ERROR_LONG", "FLAGS", "LAND_SPREAD")
        outputs = ("CELL", "WITHIN", "APPLICABILITY", "LOWER", "UPPER")
        result = uncertainty(
            values.raster("GWSA"),
            values.file("MODEL"),
            values.file("PREDICTORS"),
            values.output("OUTPUT"),
            **{name.lower(): values.raster(name) for name in rasters},
            **{name.lower(): values.output(name) for name in outputs},
            report=values.output_file("REPORT"),
            grace_error=values.number("GRACE_ERROR"),
            level=values.number("LEVEL"),
            compared_months=values.integer("COMPARED_MONTHS"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        figures = {"OUTSIDE_SHARE": result.outside_share, "HALF_WIDTH": result.half_width}
        return figures | {"HELD_OUT_COVERAGE": result.held_out_coverage}
