"""Long steps whose work is done by worker processes, killed at random moments: the workers outlive them for a while.

What is there then is whole or not there at all, the rerun ends as an undisturbed run, workers end, and leave nothing behind.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import pytest

psutil = pytest.importorskip("psutil")
pytest.importorskip("joblib")
STEPS = (
    "trend", "trendbreak", "attribution", "droughtindex", "seasonality", "fillgaps", "correctresiduals", "uncertainty",
    "predict", "preparepredictors", "trainmodels",
)  # fmt: skip
# Those whose workers write files.
LEAVING = ("predict", "preparepredictors")
# By then a process has ended that has nobody left to work for.
PATIENCE = 60


@dataclass
class Crew:
    """Two worker processes.

    Attributes
    ----------
    kind : str
        "loky" or "dask".
    name : str
        What `long_steps.crew` is to be told: "loky", or the address of a cluster that outlives its clients.
    work : callable
        Gives the number of tasks that the cluster is still to do, or is doing.
    """

    kind: str
    name: str
    work: Callable[[], int]

    def workers_of(self, process: Popen) -> list:
        """Processes that a run has started."""
        return psutil.Process(process.pid).children(recursive=True)

    def wait(self, workers: list) -> None:
        """Wait until nothing is done any more for a killed run."""
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive, f"{len(alive)} workers of a killed run did not end"
        end = time.monotonic() + PATIENCE
        while self.work():
            assert time.monotonic() < end, f"the cluster still has {self.work()} tasks of a killed run"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    if request.param == "loky":
        yield Crew("loky", "loky", lambda: 0)
        return
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with distributed.LocalCluster(processes=True, **options) as cluster:
        scheduler = cluster.scheduler
        yield Crew("dask", cluster.scheduler_address, lambda: len(scheduler.tasks))


@pytest.fixture(scope="module")
def seconds(with_models) -> Callable[[str, Crew], float]:
    """How long the work of a step takes with a crew, whose bytes are those of one process."""
    known: dict[tuple[str, str], float] = {}

    def find(step: str, crew: Crew, out: Path) -> float:
        if (step, crew.kind) not in known:
            out.mkdir()
            process = with_models.start(step, out, crew.name)
            begun = time.perf_counter()
            assert process.wait() == 0
            known[step, crew.kind] = time.perf_counter() - begun
            with_models.check_same(step, out)
        return known[step, crew.kind]

    return find


def over(steps, *quick):
    """Parameter of a test; steps that are not quick are marked long."""
    return pytest.mark.parametrize(
        "step", [pytest.param(step, marks=() if step in quick else pytest.mark.long) for step in steps]
    )


every_crew = pytest.mark.parametrize("crew", ["loky", "dask"], indirect=True, scope="module")


@contextmanager
def killed(lab, step: str, out: Path, crew: Crew, longest: float) -> Iterator[list]:
    """Kill the step at a random moment; gives its workers, which may still be at work."""
    out.mkdir(exist_ok=True)
    while True:
        process = lab.start(step, out, crew.name)
        workers = crew.workers_of(process)
        time.sleep(random.uniform(0, longest))
        process.kill()
        if process.wait() == -9:
            break
        lab.check_same(step, out)  # it was quicker than expected
        longest *= 0.8
    lab.check_whole(step, out)
    yield workers
    crew.wait(workers)


@every_crew
@over(STEPS, "droughtindex")
def test_killed_once(with_models, step, crew, seconds, tmp_path):
    """The rerun begins at once, while workers of the killed run may be at work, and is done by threads."""
    lab, out = with_models, tmp_path / "out"
    with killed(lab, step, out, crew, 0.9 * seconds(step, crew, tmp_path / "undisturbed")):
        lab.run(step, out)
    lab.check_same(step, out)


@pytest.mark.long
@every_crew
@over(STEPS)
def test_killed_again_and_again(with_models, step, crew, seconds, tmp_path):
    """Two kills one after the other on the same output; the last run has a crew of its own."""
    lab, out = with_models, tmp_path / "out"
    longest = seconds(step, crew, tmp_path / "undisturbed") / 2
    with killed(lab, step, out, crew, longest), killed(lab, step, out, crew, longest):
        process = lab.start(step, out, crew.name)
        assert process.wait() == 0
    lab.check_same(step, out)


@every_crew
@pytest.mark.parametrize("step", LEAVING)
@pytest.mark.parametrize("reruns", [True, False], ids=["rerun", "no rerun"])
def test_workers_that_go_on_writing(with_models, step, crew, tmp_path, reruns):
    """They are in the middle of a piece when the run is killed, and the rerun ends before they do."""
    lab = with_models
    process = lab.start(step, tmp_path, crew.name, delay=2.0)
    workers, hidden = crew.workers_of(process), tmp_path / lab.hidden(step)
    while not list(hidden.rglob("pieces.*")):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    lab.check_none(tmp_path)
    if reruns:
        lab.run(step, tmp_path)
        lab.check_same(step, tmp_path)
    crew.wait(workers)
    if not reruns:
        lab.check_none(tmp_path)
        lab.run(step, tmp_path)
    lab.check_same(step, tmp_path)
