"""Places that cannot be written give one sentence, and no output file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = (
    "accumulate",
    "applymask",
    "aquiferclasses",
    "attribution",
    "basemask",
    "basinreport",
    "basinseries",
    "consistency",
    "correctresiduals",
    "droughtindex",
    "fillgaps",
    "glaciermask",
    "hotspots",
    "latitudeprofile",
    "trendbreak",
    "monthlystack",
    "predict",
    "preparepredictors",
    "projectreport",
    "sampleregion",
    "seasonality",
    "trainmodels",
    "trend",
    "validatewells",
    "waterbalance",
    "watermask",
)


@pytest.mark.parametrize("name", NAMES)
def test_unwritable_folder(step, tmp_path, name):
    """A folder cannot be made below a file, not even by root."""
    (tmp_path / "file").write_text("a file\n")
    for key, suffix in step.outputs(name).items():
        path = tmp_path / "file" / f"{key}{suffix}"
        step.fails(name, "cannot be written", "OutputNotWritable", **{key: path})


ON_A_FULL_DISK = """
import resource, signal, sys
from importlib import import_module
from pathlib import Path
from gwsa_qgis.errors import OutputNotWritable

name, limit, arguments = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
function = getattr(import_module(f"gwsa_qgis.steps.{name}"), name)
import_module("matplotlib.pyplot")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    function(**arguments)
except OutputNotWritable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        *[("accumulate", 4000), ("applymask", 300), ("correctresiduals", 12_000), ("preparepredictors", 4000)],
        # the first outputs fit, the last does not
        *[("fillgaps", 12_000), ("trend", 3000), ("trainmodels", 4000), ("validatewells", 12_000)],
        *[("seasonality", 3000), ("droughtindex", 60_000), ("latitudeprofile", 8000), ("attribution", 60_000)],
        ("basinseries", 20_000),
        ("trendbreak", 3000),
        ("hotspots", 20_000),
        ("basinreport", 20_000),
    ],
)
def test_disk_that_fills_up(step, tmp_path, name, limit):
    """Files may grow to a few kB, then writing fails as it does on a full disk."""
    arguments = {key: str(v) if isinstance(v, Path) else v for key, v in step.arguments(name, {}).items()}
    command = [sys.executable, "-c", ON_A_FULL_DISK, name, str(limit), repr(arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    step.require_one_sentence(done.stdout.rstrip("\n"))
    assert "cannot be written" in done.stdout, done.stdout
    # Finished parts of long steps may wait, hidden, for a run with more room, which takes them away.
    assert all(path.name.startswith(".") and path.name.endswith(".gwsa-part") for path in tmp_path.iterdir())
    step.run(name)
    assert all(not path.name.startswith(".") for path in tmp_path.iterdir())


def test_outputs_appear_together_or_not_at_all(tmp_path):
    from gwsa_qgis.rasters.writing import apart, replacing, replacing_folder, together

    (tmp_path / "old").write_text("old")
    with together() as outputs:
        outputs.enter_context(replacing(tmp_path / "old")).write_text("new")
        folder = outputs.enter_context(replacing_folder(tmp_path / "folder"))
        with replacing(folder / "inner") as inner:
            inner.write_text("inner")
        assert (tmp_path / "old").read_text() == "old"
        with apart(), replacing(tmp_path / "scratch") as scratch:
            scratch.write_text("scratch")
        assert (tmp_path / "scratch").read_text() == "scratch"
        (tmp_path / "scratch").unlink()
    assert (tmp_path / "old").read_text() == "new"
    assert (tmp_path / "folder" / "inner").read_text() == "inner"
    with pytest.raises(KeyError), together() as outputs:
        with replacing(tmp_path / "first") as first:
            first.write_text("whole")
        outputs.enter_context(replacing(tmp_path / "old")).write_text("newer")
        raise KeyError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old"]
    assert (tmp_path / "old").read_text() == "new"


def test_sample_region_asks_for_space_before_work(step, tmp_path, monkeypatch):
    from gwsa_qgis.errors import OutputNotWritable
    from gwsa_qgis.rasters import writing
    from gwsa_qgis.steps.sampleregion import sampleregion

    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OutputNotWritable, match="needs about .* MB and 1 MB are free") as caught:
        sampleregion(tmp_path / "region")
    step.require_one_sentence(str(caught.value))
    assert not list(tmp_path.iterdir())
