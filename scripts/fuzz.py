"""Feed damaged files to the readers and to the loader of model files.

``make fuzz``, or ``python scripts/fuzz.py [cases] [seed]``.

Each case is a good file with random damage. A reader may take it or refuse it with one of the library's own errors, in one
line; anything else (another exception, a crash of the process, more than a few seconds or a few GB, a file left outside)
is a failure, and the file is kept in build/fuzz. Same seed, same cases.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_targets import Target, targets

KEPT = Path(__file__).resolve().parents[1] / "build" / "fuzz"
CASES_AT_ONCE = 500  # of one process
SECONDS, GIGABYTES = 10, 6
MOST_KEPT = 20


class TookTooLong(Exception):
    """A case did not end in time."""


def _too_long(*_: object) -> None:
    raise TookTooLong


def try_case(target: Target, path: Path) -> str:
    """``taken``, ``refused``, or what went wrong."""
    from gwsa_qgis.errors import GwsaError

    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            target.read(path)
    except GwsaError as error:
        text = str(error)
        return "refused" if text.strip() and "\n" not in text else f"a refusal of several lines or none: {text!r}"
    except TookTooLong:
        return f"more than {SECONDS} s"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "taken"


def work(target: Target, first: int, last: int, seed: str, folder: Path, connection) -> None:
    """Try cases `first` to `last` in this process, and send what came of them."""
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    signal.signal(signal.SIGALRM, _too_long)
    counts, failures = {"taken": 0, "refused": 0}, []
    path = folder / f"case{target.suffix}"
    for case in range(first, last):
        dice = random.Random(f"{seed} {case}")
        path.write_bytes(target.damage(dice.choice(target.seeds), dice, target.seeds))
        found = try_case(target, path)
        if found in counts:
            counts[found] += 1
        else:
            failures.append((case, found, path.read_bytes()))
    strays = [item.name for item in folder.iterdir() if item != path and not item.name.endswith(".aux.xml")]
    if strays:
        failures.append((first, f"files left beside the case: {strays}", b""))
    connection.send((counts, failures))


def fuzz(name: str, target: Target, cases: int, seed: str) -> tuple[dict[str, int], list[tuple[int, str, bytes]]]:
    """Try all cases of a target, some hundred in each process: a crash then costs no more than these."""
    counts, failures = {"taken": 0, "refused": 0}, []
    for first in range(0, cases, CASES_AT_ONCE):
        last = min(first + CASES_AT_ONCE, cases)
        folder = Path(tempfile.mkdtemp(prefix="fuzz"))
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=work, args=(target, first, last, f"{seed} {name}", folder, theirs)
        )
        process.start()
        theirs.close()
        try:
            found, wrong = ours.recv()
            for key, count in found.items():
                counts[key] += count
            failures += wrong
        except EOFError:
            process.join()
            crashed = folder / f"case{target.suffix}"
            data = crashed.read_bytes() if crashed.exists() else b""
            failures.append((first, f"the process ended with {process.exitcode}", data))
        process.join()
        shutil.rmtree(folder, ignore_errors=True)
    return counts, failures


def main(cases: int = 200_000, seed: str = "1") -> int:
    """Print a table, keep what failed, and return the number of failures."""
    os.environ["OMP_NUM_THREADS"] = "1"
    seeds = Path(tempfile.mkdtemp(prefix="seeds"))
    total, wrong = 0, 0
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            every = targets(seeds)
        print(f"{'target':28}{'cases':>9}{'taken':>9}{'refused':>9}{'failed':>8}{'s':>7}", flush=True)
        for name, target in every.items():
            wanted = max(1, round(cases * target.share))
            begin = time.perf_counter()
            counts, failures = fuzz(name, target, wanted, seed)
            taken = time.perf_counter() - begin
            total, wrong = total + wanted, wrong + len(failures)
            row = f"{name:28}{wanted:9}{counts['taken']:9}{counts['refused']:9}{len(failures):8}{taken:7.0f}"
            print(row, flush=True)
            for case, text, data in failures[:MOST_KEPT]:
                KEPT.mkdir(parents=True, exist_ok=True)
                file = KEPT / f"{name.replace(' ', '_')}_{seed}_{case}{target.suffix}"
                file.write_bytes(data)
                file.with_name(file.name + ".txt").write_text(text)
                print(f"    case {case}: {text.strip().splitlines()[-1][:200]}", flush=True)
    finally:
        shutil.rmtree(seeds, ignore_errors=True)
    print(f"{total} cases, {wrong} failures" + (f"; the files are in {KEPT}" if wrong else ""))
    return wrong


if __name__ == "__main__":
    options = sys.argv[1:]
    sys.exit(bool(main(int(options[0]) if options else 200_000, options[1] if len(options) > 1 else "1")))
