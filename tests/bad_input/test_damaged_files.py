"""A few thousand damaged files for every reader; `make fuzz` tries 200,000."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_damaged_files_are_taken_or_refused():
    pytest.importorskip("xgboost")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "fuzz.py"), "3000", "suite"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "3000 cases, 0 failures" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line[:1].isalpha() and line.split()[-1].isdigit()]
    assert sum(int(row[-3]) for row in rows) > 1500  # most are refused, and some are still good
    assert sum(int(row[-4]) for row in rows) > 100
