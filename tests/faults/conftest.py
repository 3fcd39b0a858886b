"""Inputs of the long steps, what undisturbed runs write, and how a run is looked at."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z")
PROGRAM = Path(__file__).with_name("long_steps.py")


def content(folder: Path) -> dict[str, bytes]:
    """Files in a folder and below, hidden ones included; without the time of writing that a GeoPackage holds."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: TIME.sub(b"", data) if name.endswith(".gpkg") else data for name, data in found.items()}


@dataclass
class Laboratory:
    """Runs long steps, disturbed or not.

    Attributes
    ----------
    inputs : Path
        Folder of their inputs.
    """

    steps: ModuleType
    inputs: Path
    folder: Path
    _undisturbed: dict[str, dict[str, bytes]] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def run(self, step: str, out: Path, inputs: Path | None = None, **options: object) -> list[str]:
        """Run a step here; gives its messages."""
        messages, progress = [], options.pop("progress", None)

        def listen(fraction: float, message: str) -> None:
            messages.append(message)
            if progress is not None:
                progress(fraction, message)

        self.steps.run(step, inputs or self.inputs, out, progress=listen, **options)
        return messages

    def start(self, step: str, out: Path, crew: str = "", delay: float = 0.0) -> subprocess.Popen:
        """Run a step in a process of its own, with `long_steps.crew`; returns when it is at work."""
        command = [sys.executable, PROGRAM, step, self.inputs, out, crew, str(delay)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout.readline() == "ready\n"
        return process

    def undisturbed(self, step: str) -> dict[str, bytes]:
        """Files of an undisturbed run."""
        if step not in self._undisturbed:
            out = self.folder / step
            out.mkdir()
            process, begun = self.start(step, out), time.perf_counter()
            assert process.wait() == 0
            self._seconds[step] = time.perf_counter() - begun
            self._undisturbed[step] = content(out)
            assert not [name for name in self._undisturbed[step] if "/." in f"/{name}"], "something was left behind"
        return self._undisturbed[step]

    def seconds(self, step: str) -> float:
        """How long it took."""
        self.undisturbed(step)
        return self._seconds[step]

    def hidden(self, step: str) -> str:
        """Name of the journal's folder."""
        return f".{self.steps.main_output(step)}.gwsa-part"

    def check_whole(self, step: str, out: Path) -> None:
        """Every file that can be seen is whole and right."""
        expected = self.undisturbed(step)
        for name, data in content(out).items():
            if "/." not in f"/{name}":
                assert data == expected[name], name

    def check_none(self, out: Path) -> None:
        """Nothing can be seen."""
        assert not [path.name for path in out.iterdir() if not path.name.startswith(".")]

    def check_same(self, step: str, out: Path) -> None:
        """All is as after an undisturbed run, and nothing is left behind."""
        expected, found = self.undisturbed(step), content(out)
        assert set(found) == set(expected)
        for name, data in found.items():
            assert data == expected[name], name


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """Inputs of the steps that need no model."""
    spec = importlib.util.spec_from_file_location("long_steps", PROGRAM)
    steps = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(steps)
    inputs = tmp_path_factory.mktemp("inputs")
    steps.make_inputs(inputs)
    return Laboratory(steps, inputs, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="session")
def with_models(laboratory: Laboratory) -> Laboratory:
    """Inputs of all long steps."""
    pytest.importorskip("xgboost")
    laboratory.steps.make_models(laboratory.inputs)
    return laboratory


@pytest.fixture
def lab(request: pytest.FixtureRequest, step: str) -> Laboratory:
    """What a step needs."""
    return request.getfixturevalue("with_models" if step in ("uncertainty", "predict", "trainmodels") else "laboratory")
