"""Long steps killed at random moments: nothing half-written, and the rerun ends as an undisturbed run."""

from __future__ import annotations

import random
import time

import pytest

STEPS = (
    "trend", "trendbreak", "attribution", "droughtindex", "seasonality", "fillgaps", "correctresiduals", "uncertainty",
    "preparepredictors", "predict", "trainmodels",
)  # fmt: skip
# Those without a test of their own that kills them.
SHORT = STEPS[:8]


def kill(lab, step, out, longest):
    """Kill the step at a random moment; False when it had ended before."""
    process = lab.start(step, out)
    time.sleep(random.uniform(0, longest))
    process.kill()
    return process.wait() == -9


@pytest.mark.parametrize("step", SHORT)
def test_killed_once(lab, step, tmp_path):
    kill(lab, step, tmp_path, 0.9 * lab.seconds(step))
    lab.check_whole(step, tmp_path)
    lab.run(step, tmp_path)
    lab.check_same(step, tmp_path)


@pytest.mark.parametrize("step", ["accumulate", "applymask", "latitudeprofile"])
def test_killed_while_it_writes(lab, step, tmp_path):
    """Steps that begin afresh: what was half-written is removed by the next run."""
    for _ in range(20):
        process = lab.start(step, tmp_path)
        while not list(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        killed = process.wait() == -9
        if killed and list(tmp_path.glob(".*")):
            break
        # What first appears may be the trial of the folder, which is gone again at once.
        if not killed or list(tmp_path.iterdir()):
            lab.check_same(step, tmp_path)
        for path in tmp_path.iterdir():
            path.unlink()
    else:
        pytest.fail("it was never killed while it wrote")
    lab.check_none(tmp_path)
    lab.run(step, tmp_path)
    lab.check_same(step, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_killed_again_and_again(lab, step, tmp_path):
    """Six kills: three alone, and three one after the other on the same output."""
    killed, longest = 0, 0.95 * lab.seconds(step)
    for number in range(3):
        out = tmp_path / str(number)
        out.mkdir()
        while not kill(lab, step, out, longest):
            lab.check_same(step, out)
            longest *= 0.9
        killed += 1
        lab.check_whole(step, out)
        lab.run(step, out)
        lab.check_same(step, out)
    out = tmp_path / "chain"
    out.mkdir()
    for _ in range(3):
        killed += kill(lab, step, out, longest / 2)
        lab.check_whole(step, out)
    lab.run(step, out)
    lab.check_same(step, out)
    print(f"{step}: {killed} kills survived")
