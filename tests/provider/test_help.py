"""Every algorithm and model explains itself in full: method, units, formula, reference, each parameter, tags."""

from __future__ import annotations

import re

import pytest
from qgis.core import QgsProcessingModelAlgorithm, QgsProcessingParameterDefinition

# These compute nothing of the method's: they make a sample, look at the installation, or gather what others computed.
WITHOUT_FORMULA = {"sampleregion", "sampleproject", "checkenvironment", "projectreport"}
OF_THE_PLUGIN = {"sampleregion", "sampleproject", "checkenvironment"}
# Steps that the paper has equations for, and those equations.
EQUATIONS = {
    "fillgaps": ("5", "11", "12", "13"),
    "waterbalance": ("15",),
    "trainmodels": ("16",),
    "consistency": ("16", "17", "18"),
    "validatewells": ("19",),
    "seasonality": ("20",),
    "trend": ("21", "22"),
    "attribution": ("21",),
    "basinreport": ("20", "22"),
}
UNIT = re.compile(r"\b(cm|mm|m<sup>3|km2|km<sup>2|degrees|[Pp]ercent|no unit|input's|None)\b")


@pytest.fixture(scope="module")
def algorithms(provider):
    return {a.name(): a for a in provider.algorithms()}


@pytest.fixture(scope="module")
def own(algorithms):
    return {name: a for name, a in algorithms.items() if not isinstance(a, QgsProcessingModelAlgorithm)}


def paragraph(help_text: str, title: str) -> str:
    """The paragraph that a bold title begins."""
    found = re.search(rf"<p><b>{title}\.</b> (.+?)</p>", help_text, re.DOTALL)
    return found[1] if found else ""


def test_every_help_names_units(own):
    for name, algorithm in own.items():
        assert UNIT.search(paragraph(algorithm.shortHelpString(), "Units")), name


def test_every_step_that_computes_has_a_formula(own):
    for name, algorithm in own.items():
        formula = paragraph(algorithm.shortHelpString(), "Formula")
        assert bool(formula) == (name not in WITHOUT_FORMULA), name
        if formula:
            assert re.search(r"=|Masked where", formula), name


@pytest.mark.parametrize("name", EQUATIONS)
def test_formulas_carry_the_papers_equation_numbers(own, name):
    formula = paragraph(own[name].shortHelpString(), "Formula")
    numbers = set(re.findall(r"\d+", " ".join(re.findall(r"eqs?\.? [\d, and]+", formula))))
    assert set(EQUATIONS[name]) <= numbers


def test_every_help_has_a_reference_with_doi(algorithms):
    for name, algorithm in algorithms.items():
        if name not in OF_THE_PLUGIN:
            assert re.search(r"doi:10\.\d{4,5}/\S+", algorithm.shortHelpString()), name


def test_markup_of_help_is_closed(own):
    for name, algorithm in own.items():
        text = algorithm.shortHelpString()
        for tag in ("p", "b", "i", "sub", "sup"):
            assert text.count(f"<{tag}>") == text.count(f"</{tag}>"), (name, tag)


def test_every_parameter_and_output_has_help(algorithms):
    for name, algorithm in algorithms.items():
        for definition in algorithm.parameterDefinitions():
            assert len(definition.help()) > 3, (name, definition.name())
            assert definition.help() != definition.description(), (name, definition.name())
        for output in algorithm.outputDefinitions():
            assert output.description(), (name, output.name())


def test_every_algorithm_has_tags_of_its_own(own):
    for name, algorithm in own.items():
        assert len(set(algorithm.tags()) - {"groundwater", "GRACE", "GWSA", name}) >= 2, name


def test_settings_of_computing_are_folded(own):
    """Memory, threads and seeds stand behind the fold, save where the seed is what the tool is for."""
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    for name, algorithm in own.items():
        for definition in algorithm.parameterDefinitions():
            if definition.name() in {"MEMORY", "THREADS"} or (definition.name() == "SEED" and name != "sampleregion"):
                assert definition.flags() & advanced, (name, definition.name())


def test_help_on_the_command_line_is_plain_text(qgis_process):
    text = qgis_process("help", "gwsa:trend").stdout.partition("Arguments")[0]
    assert not re.search(r"</?\w+>|&\w+;", text), text
    assert "median of (X_j - X_i) / (j - i) over all j > i (eq. 22)" in text
    assert "essd-2026-409" in text
