"""Steps called with small inputs, some of them bad; a refusal is one sentence and leaves no file."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

# Inputs of each step (an argument by itself is the small input of that name), and its outputs.
STEPS = {
    "accumulate": ({"input": "gwsa"}, {"output": ".tif"}),
    "applymask": ({"input": "corrected", "mask": "mask"}, {"output": ".tif"}),
    "aquiferclasses": (
        {"input": "aquifers", "template": "template", "factor": 2},
        {"output": ".tif", "coarse": ".tif"},
    ),
    "attribution": (
        {"gwsa": "corrected", "background": "sms"},
        {
            "residual": ".tif",
            "slope": ".tif",
            "p_value": ".tif",
            "classes": ".tif",
            "stipples": ".gpkg",
            "report": ".html",
        },
    ),
    "basinseries": (
        {"input": "corrected", "basins": "aquifers", "field": "HYGEO2"},
        {"output": ".csv", "report": ".html", "annual": ".csv", "summary": ".csv", "layer": ".gpkg"},
    ),
    "basinreport": (
        {"input": "corrected", "basins": "aquifers", "field": "HYGEO2"},
        {"report": ".html", "folder": "", "summary": ".csv"},
    ),
    "basemask": ({"inputs": ["mask", "classes"]}, {"output": ".tif"}),
    "consistency": (
        {"fine": "corrected", "coarse": "gwsa", "aquifers": "classes_coarse", "mascons": "mascons"},
        {"metrics": ".csv", "report": ".html", "difference": ".tif"},
    ),
    "correctresiduals": (
        {"prediction": "corrected", "target": "gwsa", "mascons": "mascons"},
        {"output": ".tif", "closure": ".csv"},
    ),
    "droughtindex": (
        {"input": "corrected", "minimum_years": 5},
        {"output": ".tif", "classes": ".tif", "spells": ".tif", "areas": ".csv", "report": ".html"},
    ),
    "fillgaps": (
        {"input": "twsa", "mascons": "mascons", "long_modes": 2, "short_modes": 2},
        {"output": ".tif", "error_short": ".tif", "error_long": ".tif", "flags": ".tif"},
    ),
    "glaciermask": ({"glaciers": "aquifers", "template": "template"}, {"output": ".tif"}),
    "hotspots": ({"slope": "rates", "p_value": "rates_p"}, {"output": ".gpkg", "report": ".html"}),
    "importgldas": (
        {"inputs": None, "folder": "bare", "template": "gwsa"},
        {"sms": ".tif", "swe": ".tif", "cws": ".tif"},
    ),
    "importgrace": ({"input": "text"}, {"output": ".tif", "land_mask": ".tif", "mascons": ".tif"}),
    "latitudeprofile": ({"input": "corrected"}, {"mean": ".tif", "profile": ".csv", "report": ".html"}),
    "monthlystack": ({"inputs": ["gwsa"]}, {"output": ".tif"}),
    "predict": (
        {"model": "model", "predictors": "fine", "aquifers": "classes", "mask": "mask"},
        {"output": ".tif"},
    ),
    "preparepredictors": (
        {"inputs": ["corrected"], "template": "template", "factor": 2, "mask": "mask"},
        {"fine": "", "coarse": ""},
    ),
    "projectreport": ({"gwsa": "corrected", "model": "model"}, {"report": ".html", "json_file": ".json"}),
    "sampleregion": ({"size": 2, "factor": 2, "start": "2004-01", "end": "2004-06"}, {"folder": ""}),
    "seasonality": ({"input": "corrected"}, {"output": ".tif", "maximum": ".tif", "report": ".html"}),
    "trainmodels": (
        {"target": "gwsa", "predictors": "coarse", "aquifers": "classes_coarse", "search_iterations": 0},
        {"model": ".gwsa", "metrics": ".csv", "report": ".html"},
    ),
    "trend": (
        {"input": "corrected"},
        {"slope": ".tif", "p_value": ".tif", "p_plain": ".tif", "lower": ".tif", "upper": ".tif", "classes": ".tif"}
        | {"stipples": ".gpkg", "table": ".csv", "report": ".html"},
    ),
    "trendbreak": (
        {"input": "corrected", "break_month": "2007"},
        {"slope_before": ".tif", "slope_after": ".tif", "change": ".tif", "p_value": ".tif", "p_before": ".tif"}
        | {"p_after": ".tif", "classes": ".tif", "table": ".csv", "report": ".html"},
    ),
    "validatewells": (
        {"gwsa": "corrected", "wells": "well_points", "levels": "levels", "coarse": "gwsa"},
        {"metrics": ".csv", "report": ".html", "output": ".gpkg"},
    ),
    "waterbalance": ({"twsa": "twsa", "sms": "sms", "swe": "swe", "cws": "cws"}, {"output": ".tif"}),
    "watermask": ({"inputs": ["jrc"], "template": "template"}, {"output": ".tif"}),
}


def require_one_sentence(text: str) -> None:
    """One line, one sentence: the fault and what was given, a semicolon, and what to do."""
    assert text == text.strip() and "\n" not in text, text
    assert text.endswith(".") and not text.endswith(".."), text
    assert not re.search(r"[.!?]\)? +[A-Z]", text), text
    assert "Traceback" not in text and "<class" not in text, text
    problem, _, remedy = text.rpartition("; ")
    assert problem and re.match(r"[a-z]+ ", remedy), text
    assert 30 < len(text) < 900, text


@pytest.fixture(scope="session")
def inputs(small_inputs, tmp_path_factory) -> dict[str, str]:
    """The small inputs, and a model trained on them."""
    pytest.importorskip("xgboost")
    from gwsa_qgis.steps.trainmodels import trainmodels

    path = tmp_path_factory.mktemp("model") / "model.gwsa"
    trainmodels(
        small_inputs["gwsa"],
        small_inputs["coarse"],
        path,
        aquifers=small_inputs["classes_coarse"],
        search_iterations=0,
        threads=1,
    )
    return small_inputs | {"model": str(path)}


class Step:
    """Calls a step with small inputs, some of them changed."""

    def __init__(self, inputs: dict[str, str], folder: Path) -> None:
        self.inputs, self.folder = inputs, folder

    def arguments(self, name: str, changes: dict) -> dict:
        given, outputs = STEPS[name]

        def path(value):
            if isinstance(value, list):
                return [path(one) for one in value]
            return self.inputs.get(value, value) if isinstance(value, str) else value

        arguments = {key: path(value) for key, value in (given | changes).items()}
        made = {key: self.folder / f"{key}{suffix}" for key, suffix in outputs.items()}
        return made | arguments

    @staticmethod
    def outputs(name: str) -> dict[str, str]:
        """Output arguments of a step and their file endings."""
        return STEPS[name][1]

    require_one_sentence = staticmethod(require_one_sentence)

    def run(self, name: str, **changes) -> object:
        return getattr(import_module(f"gwsa_qgis.steps.{name}"), name)(**self.arguments(name, changes))

    def fails(self, name: str, match: str = "", error: str = "GwsaError", **changes) -> str:
        """Run a step that must refuse, and return its one sentence."""
        from gwsa_qgis import errors

        before = set(self.folder.rglob("*"))
        with pytest.raises(getattr(errors, error)) as caught:
            self.run(name, **changes)
        text = str(caught.value)
        require_one_sentence(text)
        assert re.search(match, text), text
        left = set(self.folder.rglob("*")) - before
        assert not left, left
        return text


@pytest.fixture
def step(inputs, tmp_path) -> Step:
    return Step(inputs, tmp_path)
