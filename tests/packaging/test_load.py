"""What loading the plugin costs QGIS: time, and modules that wait until a step needs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("xgboost", "sklearn", "statsmodels", "matplotlib", "pandas", "optuna", "numba", "scipy.signal", "joblib")
LOAD = """
import json, sys, time
from qgis.core import QgsApplication
from qgis import utils
application = QgsApplication([], False)
application.initQgis()
sys.path.append(QgsApplication.pkgDataPath() + "/python/plugins")
from processing.core.Processing import Processing
Processing.initialize()
before = set(sys.modules)
wall, cpu = time.perf_counter(), time.process_time()
import gwsa_qgis
plugin = gwsa_qgis.classFactory(None)
plugin.initProcessing()
spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
new = sorted(set(sys.modules) - before)
count = len(QgsApplication.processingRegistry().providerById("gwsa").algorithms())
print("RESULT" + json.dumps(spent | {"new": new, "algorithms": count}), flush=True)
import os
os._exit(0)
"""


def load() -> dict:
    """Load the plugin in a fresh Python, as QGIS does, and return what it cost."""
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT / "build" / "plugins")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second start finds compiled modules
    done = subprocess.run([sys.executable, "-c", LOAD], env=environment, cwd="/", capture_output=True, text=True)
    assert "RESULT" in done.stdout, done.stderr
    return json.loads(done.stdout.partition("RESULT")[2])


def test_loading_is_quick_and_imports_nothing_heavy(record_property):
    """Under 150 ms of work; counted as processor time, since a busy machine stretches the other."""
    runs = [load() for _ in range(4)]
    best = {name: min(run[name] for run in runs[1:]) for name in ("wall", "cpu")}
    for name, seconds in best.items():
        record_property(f"load_{name}_ms", round(1000 * seconds))
    print("loading takes " + ", ".join(f"{1000 * s:.0f} ms {name}" for name, s in best.items()))
    assert best["cpu"] < 0.15
    assert runs[0]["algorithms"] > 30
    heavy = [m for m in runs[0]["new"] if any(m == name or m.startswith(f"{name}.") for name in HEAVY)]
    assert not heavy
