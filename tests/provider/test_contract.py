"""What every algorithm promises: names, help, groups, outputs."""

from __future__ import annotations

import re

import pytest
from qgis.core import QgsProcessingModelAlgorithm, QgsProcessingParameterDefinition

PROMISED = {
    "importgrace": (
        {"INPUT", "MONTHS", "MASCON_MAP", "DUPLICATES", "GAIN_FACTORS"},
        {"OUTPUT", "LAND_MASK", "MASCONS", "UNCERTAINTY"},
    ),
    "importgldas": ({"INPUTS", "FOLDER", "MODEL"}, {"SMS", "SWE", "CWS", "SPREAD"}),
    "monthlystack": ({"INPUTS", "PRODUCT", "AGGREGATION", "START", "SCALE", "OFFSET"}, {"OUTPUT"}),
    "accumulate": ({"INPUT"}, {"OUTPUT"}),
    "watermask": ({"INPUTS", "TEMPLATE", "THRESHOLD"}, {"OUTPUT"}),
    "glaciermask": ({"GLACIERS", "ICE_SHEET", "TEMPLATE"}, {"OUTPUT"}),
    "basemask": ({"INPUTS"}, {"OUTPUT"}),
    "applymask": ({"INPUT", "MASK"}, {"OUTPUT"}),
    "aquiferclasses": ({"INPUT", "FIELD", "TEMPLATE", "FACTOR"}, {"OUTPUT", "COARSE"}),
    "preparepredictors": ({"INPUTS", "TEMPLATE", "FACTOR", "MASK"}, {"FINE", "COARSE"}),
    "fillgaps": (
        {"INPUT", "PRESET", "SHORT_WINDOW", "SHORT_MODES", "LONG_WINDOW", "LONG_MODES", "MASCONS"},
        {"OUTPUT", "ERROR_SHORT", "ERROR_LONG", "FLAGS"},
    ),
    "waterbalance": ({"TWSA", "OBSERVED", "SMS", "SWE", "CWS", "BASELINE_START", "BASELINE_END"}, {"OUTPUT"}),
    "trainmodels": (
        {"TARGET", "PREDICTORS", "AQUIFERS", "PRESET", "MASCONS", "LEARNER", "SAMPLES", "SEARCH_ITERATIONS", "SEED"}
        | {"THREADS"},
        {"MODEL", "METRICS", "REPORT"},
    ),
    "predict": ({"MODEL", "PREDICTORS", "AQUIFERS", "MASK"}, {"OUTPUT"}),
    "correctresiduals": (
        {"PREDICTION", "TARGET", "METHOD", "MASCONS"},
        {"OUTPUT", "CLOSURE", "CLOSURE_RMSE_BEFORE", "CLOSURE_RMSE_AFTER"},
    ),
    "projectreport": (
        {"GWSA", "TITLE", "COARSE", "MODEL", "CLOSURE", "CONSISTENCY", "WELLS", "SLOPE", "P_VALUE", "UNCERTAINTY"},
        {"REPORT", "JSON"},
    ),
    "uncertainty": (
        {"GWSA", "MODEL", "PREDICTORS", "AQUIFERS", "MASK", "MASCONS", "GRACE_UNCERTAINTY", "GRACE_ERROR"}
        | {"ERROR_SHORT", "ERROR_LONG", "FLAGS", "LAND_SPREAD", "LEVEL"},
        {"OUTPUT", "CELL", "WITHIN", "APPLICABILITY", "LOWER", "UPPER", "REPORT"},
    ),
    "consistency": ({"FINE", "COARSE", "AQUIFERS"}, {"METRICS", "REPORT"}),
    "validatewells": (
        {"GWSA", "WELLS", "LEVELS", "SPECIFIC_YIELD", "START", "END", "BINS"},
        {"METRICS", "REPORT", "OUTPUT"},
    ),
    "trend": (
        {"INPUT", "UNIT", "CORRECTION", "DESEASONALISE", "START", "END", "USE_FILLED", "ROBUST", "MINIMUM_SHARE"}
        | {"CONFIDENCE", "FIELD_SIGNIFICANCE", "AQUIFERS", "STIPPLE_SPACING", "STIPPLE_P", "STIPPLE_FIELD"},
        {"SLOPE", "P_VALUE", "P_PLAIN", "LOWER", "UPPER", "CLASSES", "STIPPLES", "TABLE", "REPORT", "FIELD_P"},
    ),
    "seasonality": (
        {"INPUT", "MINIMUM_MONTHS"},
        {"OUTPUT", "MAXIMUM", "REPORT", "SHARE_ABOVE_50", "SHARE_ABOVE_66", "MEAN"},
    ),
    "attribution": (
        {"GWSA", "BACKGROUND", "BASELINE_START", "BASELINE_END", "UNIT", "CORRECTION", "DESEASONALISE"},
        {
            "RESIDUAL",
            "SLOPE",
            "P_VALUE",
            "CLASSES",
            "STIPPLES",
            "LOWER",
            "UPPER",
            "REPORT",
            "TREND_GWSA",
            "TREND_BACKGROUND",
            "TREND_RESIDUAL",
        },
    ),
    "trendbreak": (
        {"INPUT", "BREAK", "UNIT", "START", "END", "SIGNIFICANCE", "DESEASONALISE", "MINIMUM_SHARE", "AQUIFERS"},
        {"SLOPE_BEFORE", "SLOPE_AFTER", "CHANGE", "P_VALUE", "P_BEFORE", "P_AFTER", "CLASSES", "TABLE", "REPORT"},
    ),
    "latitudeprofile": (
        {"INPUT", "BAND_HEIGHT", "PERIODS", "MINIMUM_SHARE"},
        {
            "MEAN",
            "PROFILE",
            "REPORT",
            "AREA_MEAN",
            "LOWEST_MEAN",
            "LOWEST_LATITUDE",
            "HIGHEST_MEAN",
            "HIGHEST_LATITUDE",
        },
    ),
    "basinseries": (
        {"INPUT", "BASINS", "FIELD", "BASIN", "SAME_NAME", "UNCERTAINTY", "WITHIN", "MASCONS", "FLAGS", "LEVEL"},
        {"OUTPUT", "REPORT", "ANNUAL", "SUMMARY", "LAYER", "BASINS_READ", "BASINS_WITHOUT_VALUES"},
    ),
    "basinreport": (
        {"INPUT", "BASINS", "FIELD", "BASIN", "BREAK", "SLOPE", "P_VALUE", "LOWER", "UPPER", "UNCERTAINTY", "LEVEL"},
        {"REPORT", "FOLDER", "SUMMARY", "BASINS_READ", "BASINS_WITHOUT_VALUES"},
    ),
    "droughtindex": (
        {"INPUT", "METHOD", "DETREND", "BASELINE_START", "BASELINE_END", "MINIMUM_YEARS"},
        {"OUTPUT", "CLASSES", "SPELLS", "AREAS", "REPORT", "DROUGHT_SHARE", "WORST_SHARE"},
    ),
    "hotspots": (
        {"SLOPE", "P_VALUE", "LOWER", "UPPER", "KIND", "P", "LEAST_SLOPE", "MINIMUM_AREA", "CONNECTIVITY"},
        {"OUTPUT", "REPORT", "COUNT", "AREA", "RATE"},
    ),
    "sampleregion": ({"SEED", "SIZE"}, {"FOLDER"}),
    "sampleproject": ({"SEED", "SIZE"}, {"FOLDER", "PROJECT"}),
    "checkenvironment": (set(), {"REPORT"}),
}


def own_algorithms(provider):
    return [a for a in provider.algorithms() if not isinstance(a, QgsProcessingModelAlgorithm)]


def test_all_promised_algorithms_are_there(provider):
    assert {a.name() for a in own_algorithms(provider)} == set(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_promised_parameters_and_outputs(provider, name):
    algorithm = provider.algorithm(name)
    inputs, outputs = PROMISED[name]
    given = {p.name() for p in algorithm.parameterDefinitions() if not p.isDestination()}
    produced = {o.name() for o in algorithm.outputDefinitions()}
    assert inputs <= given
    assert outputs <= produced


def test_every_algorithm_explains_itself(provider):
    for algorithm in own_algorithms(provider):
        assert re.fullmatch(r"gwsa:[a-z]+", algorithm.id())
        assert algorithm.group() and algorithm.groupId()
        assert len(algorithm.shortHelpString()) > 150, algorithm.id()
        assert algorithm.shortDescription()
        assert algorithm.tags()
        assert not algorithm.icon().isNull()
        for parameter in algorithm.parameterDefinitions():
            assert parameter.help(), f"{algorithm.id()} {parameter.name()}"
            assert parameter.description()
        for output in algorithm.outputDefinitions():
            assert output.description(), f"{algorithm.id()} {output.name()}"


def test_create_gives_a_fresh_object(provider):
    for algorithm in own_algorithms(provider):
        first, second = algorithm.create(), algorithm.create()
        assert first is not second
        assert type(first) is type(algorithm)


def test_defaults_are_accepted_by_their_own_parameters(provider):
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    for algorithm in own_algorithms(provider):
        for parameter in algorithm.parameterDefinitions():
            if parameter.defaultValue() is not None and not parameter.isDestination():
                assert parameter.checkValueIsAcceptable(parameter.defaultValue()), (algorithm.id(), parameter.name())
        assert any(not p.flags() & advanced for p in algorithm.parameterDefinitions())


def test_python_command_evaluates(provider):
    from qgis.core import QgsProcessingContext

    context = QgsProcessingContext()
    for algorithm in own_algorithms(provider):
        defaults = {p.name(): p.defaultValue() for p in algorithm.parameterDefinitions()}
        command = algorithm.asPythonCommand(defaults, context)
        assert command.startswith("processing.run(")
        compile(command, algorithm.id(), "eval")


def test_groups_follow_the_pipeline(provider):
    groups = {a.group() for a in own_algorithms(provider)}
    assert groups == {"Import", "Prepare", "Storage", "Downscale", "Validate", "Analyse", "Tools"}
