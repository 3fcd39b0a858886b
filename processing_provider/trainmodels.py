"""gwsa:trainmodels."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values


class TrainModels(GwsaAlgorithm):
    """Learn how predictors shape groundwater storage, per aquifer class."""

    ID = "trainmodels"
    NAME = "Train models"
    GROUP = "downscale"
    TAGS = ("XGBoost", "random forest", "neural network", "machine learning", "downscaling", "cross-validation")
    NEEDS = ("xgboost", "sklearn")
    REFERENCE = (
        "XGBoost: Chen and Guestrin (2016), doi:10.1145/2939672.2939785. Random forests: Breiman (2001), "
        f"doi:10.1023/A:1010933404324. {PAPER}"
    )
    SUMMARY = "Trains models on coarse predictors and coarse GWSA, per aquifer class, and scores them honestly."
    HELP = """<p><b>recommended</b>: a model learns how a native mascon (or coarse cell) departs from what its neighbourhood
    says, at three sizes of neighbourhood, from the same departures of the predictors: a regularised linear part with
    calendar, level and class terms, and boosted trees. A cross-validation that leaves out whole neighbourhoods gives the
    share of detail that the predictors are known to explain (the blocked R2, the figure to look at) and, for each class,
    the weight from 0 to 1 with which its detail enters the fine map. Without skill the weight is 0 and the map is as good
    as exact interpolation. Detail below a mascon is judged by that between mascons: nothing finer was measured.</p>
    <p><b>published</b>: models learn the levels of coarse cells, as in the paper: hyper-parameters by randomised search
    on random samples of each class, 70 % for training and 30 % for test, then a fit on all samples that the memory
    budget holds. Its random test leaks between neighbours, so blocked scores stand beside it.</p>
    <p>Every score stands beside two references on the same samples: the class's monthly climatology, and plain
    interpolation of the coarser scale, which needs no predictors. Where the published preset does worse than that, its
    report says so.</p>
    <p>The model file holds predictor names, classes, units, scores and seed beside the models; reading one never runs
    code. The same seed gives the same file. A training that was stopped goes on where it was when it is started again with
    the same inputs and settings.</p>"""
    FORMULA = (
        "Published: GWSA = f<sub>c</sub>(x<sub>1</sub>, x<sub>2</sub>, ...), c the aquifer class. Recommended: GWSA - "
        "its neighbourhood = g(x - their neighbourhood), with weight w<sub>c</sub> from 0 to 1. Blocked R<sup>2</sup> "
        "= 1 - SSE / SST (eq. 16) on blocks held out."
    )
    UNITS = "GWSA in cm, RMSE too; R<sup>2</sup>, weights and the share of detail have no unit."

    def declare(self) -> None:
        self.add_raster("TARGET", "GWSA, coarse", "Monthly stack, cm.")
        self.add_folder("PREDICTORS", "Coarse predictors", "Folder made by Prepare predictors.")
        self.add_raster(
            "AQUIFERS",
            "Aquifer classes, coarse",
            "Weighted (recommended) or modelled (published) one by one. Optional.",
            optional=True,
        )
        self.add_choice(
            "PRESET",
            "Preset",
            "recommended: deviations on the native support; published: levels on coarse cells.",
            ["recommended", "published"],
            "recommended",
        )
        self.add_raster(
            "MASCONS",
            "Native mascons",
            "The support on which the data were estimated (from Import GRACE mascons). Coarse cells when empty.",
            optional=True,
        )
        self.add_choice(
            "LEARNER",
            "Learner",
            "xgboost: boosted trees; random_forest: many trees side by side; dnn: a network of 3 to 6 layers; linear: ridge "
            "regression, the floor that the others have to beat. With the recommended preset it stands beside the linear "
            "part of the detail.",
            ["xgboost", "random_forest", "dnn", "linear"],
            "xgboost",
            advanced=True,
        )
        self.add_choices(
            "SPLITS",
            "Scores",
            "How samples are held out to be scored. random: 30 % at random, as published, which leaks between neighbours; "
            "blocks: whole blocks of places (the recommended preset takes its weights from them, and always has them); "
            "years: runs of calendar years; classes: one aquifer class after the other.",
            ["random", "blocks", "years", "classes"],
            ["random", "blocks", "years", "classes"],
            advanced=True,
        )
        self.add_number(
            "BLOCK_DEGREES",
            "Side of the blocks (degrees)",
            "0 holds out groups of neighbouring mascons (or coarse cells) as they are; a number joins those whose centres "
            "share a block of so many degrees. Larger blocks are a harder test.",
            0,
            0,
            180,
            whole=False,
        )
        self.add_number(
            "SAMPLES",
            "Samples for search and scores",
            "Random samples of each class. Final models are fitted on all that the memory budget holds; the recommended "
            "preset's blocks judge all of these, by models of at most a million samples.",
            200000,
            100,
        )
        self.add_number("SEARCH_ITERATIONS", "Search iterations", "Settings tried by the randomised search.", 10, 1)
        self.add_number("SEED", "Seed", "Same seed, same result.", 0, 0)
        self.add_number("THREADS", "Threads", "0 takes all cores. The result is the same for any number.", 0, 0)
        self.add_number(
            "MEMORY",
            "Memory budget (MB)",
            "What a training may take beside the program itself. Where that does not hold all samples (some 11 million of 40 "
            "inputs in 5,120 MB), random ones are taken: fewer of the larger neighbourhoods first, or of the largest "
            "classes. The log and the report say how many.",
            5120,
            16,
        )
        self.add_choice(
            "DEVICE",
            "Device",
            "Where trees are fitted; auto takes a GPU where there is one. A GPU's sums are rounded in another order, so "
            "that its trees may differ a little from a CPU's.",
            ["auto", "cpu", "cuda"],
            "auto",
            advanced=True,
        )
        self.add_file_output("MODEL", "Model", "Model file.", tr("GWSA model (*.gwsa)"))
        self.add_file_output("METRICS", "Scores", "Table of scores.", tr("CSV files (*.csv)"), optional=True)
        self.add_report("Page with scores, figures, importances and settings.")
        self.add_raster_output(
            "DETAIL",
            "Share of detail explained",
            "For each place the share of what interpolation of the coarser scale leaves that estimates of left-out blocks "
            "explain, from -1 to 1, together with its neighbours and its class; below 0 interpolation is better.",
            style="slope",
            optional=True,
        )
        self.add_figure("BLOCKED_R2", "R2 of detail in blocked cross-validation")
        self.add_figure("RANDOM_R2", "R2 on random test samples")

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.trainmodels import trainmodels

        result = trainmodels(
            values.raster("TARGET"),
            values.file("PREDICTORS"),
            values.output_file("MODEL"),
            aquifers=values.raster("AQUIFERS"),
            metrics=values.output_file("METRICS"),
            report=values.output_file("REPORT"),
            detail=values.output("DETAIL"),
            preset=values.choice("PRESET"),
            mascons=values.raster("MASCONS"),
            learner=values.choice("LEARNER"),
            splits=values.choices("SPLITS"),
            block_degrees=values.number("BLOCK_DEGREES"),
            samples=values.integer("SAMPLES"),
            search_iterations=values.integer("SEARCH_ITERATIONS"),
            seed=values.integer("SEED"),
            threads=values.integer("THREADS"),
            device=values.choice("DEVICE"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {"BLOCKED_R2": result.blocked_r2, "RANDOM_R2": result.random_r2}
