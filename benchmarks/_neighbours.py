"""Works timed beside one another, on a machine that others use too and that is now fast and now slow.

What is compared ran one after the other, several times by turns, and the middle of the ratios counts. What the machine
itself gave two at a time is told by bare loops: what two of them get done at the same time against one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

Works = Mapping[str, Callable[[], object]]
LOOP = "n = 0\nfor k in range(6_000_000): n += k * k"


class Timed(NamedTuple):
    """Seconds of wall time, of processor time of all threads of this process, and what the work gave."""

    wall: float
    cpu: float
    result: Any


def timed(work: Callable[[], object]) -> Timed:
    """Time one run of a work."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Timed(time.perf_counter() - wall, time.process_time() - cpu, result)


def in_turns(works: Works, rounds: int) -> dict[str, np.ndarray]:
    """Wall and CPU seconds of each work, (rounds, 2), once in each round."""
    found = list(_rounds(works, rounds))
    return {name: np.array([times[name] for times in found]) for name in works}


def beside(reference: Callable[[], object], works: Works, rounds: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Wall and CPU seconds of a reference and of what is compared with it, (rounds, 2) each.

    The reference runs before each round of the others and after the last: a round's is the mean of that before and that
    after it.
    """
    found, references = [], [timed(reference)[:2]]
    for times in _rounds(works, rounds):
        found.append(times)
        references.append(timed(reference)[:2])
    around = np.array(references)
    return (around[1:] + around[:-1]) / 2, {name: np.array([times[name] for times in found]) for name in works}


def times_as_fast(reference: np.ndarray, own: np.ndarray) -> np.ndarray:
    """How many times as fast as the reference a work is, by wall and by CPU time, (2,): the middle of the rounds."""
    return np.median(reference / own, axis=0)


def run_bare_loops(count: int) -> None:
    """Run so many bare loops at the same time, each in a process of its own."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", LOOP]) for _ in range(count)]
    for one in running:
        one.wait()


# To be timed with other works, for what the machine gave in the same rounds.
BARE_LOOPS: Works = {"one bare loop": partial(run_bare_loops, 1), "two bare loops": partial(run_bare_loops, 2)}


def machine_gain(found: Mapping[str, np.ndarray]) -> float:
    """How many times as much as one bare loop two of them got done, by the times of `BARE_LOOPS`."""
    return 2 * float(times_as_fast(found["one bare loop"], found["two bare loops"])[0])


def _rounds(works: Works, rounds: int) -> Iterator[dict[str, tuple[float, float]]]:
    """Times of each round; neighbours change sides from round to round."""
    names = list(works)
    for number in range(rounds):
        yield {name: timed(works[name])[:2] for name in names[:: 1 if number % 2 == 0 else -1]}
