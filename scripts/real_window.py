"""Drive a real QGIS window through the tutorial, take its pictures, and fail when the message log complains.

Everything happens in a fresh profile in build/window: the plugin is installed from its zip, the sample is made, the
complete model and others run from their dialogs, months are stepped. ``make screenshots`` calls it; steps may be named:
``python scripts/real_window.py install sample``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WINDOW = ROOT / "build" / "window"
PICTURES = ROOT / "docs" / "pictures"
STEPS = ("install", "sample", "dialog", "chain", "trend", "basins", "modeler", "batch")
# Complaints of the machine, not of the plugin: no network, no user session.
STRANGERS = ("Network", "Auth")


def is_strange(message: dict) -> bool:
    """Whether a message is of the machine, or of QGIS itself.

    QGIS tries each raster of a list, and of an extent, as a vector layer first, whoever's algorithm takes it.
    """
    tried = message["tag"] == "OGR" and message["text"].startswith("Cannot open ") and ".tif" in message["text"]
    return tried or message["tag"].startswith(STRANGERS)


def sample_folder() -> Path:
    """A folder whose name reads well in pictures, where it can be made; else one in build/window."""
    place = Path("/home/analyst/groundwater")
    try:
        place.mkdir(parents=True)  # never one that is there
    except OSError:
        return WINDOW / "sample"
    return place


def prepare() -> Path:
    """Make a fresh profile with the virtual environment's packages where a user's would be; return its folder."""
    shutil.rmtree(WINDOW, ignore_errors=True)
    profile = WINDOW / "profile"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = profile / "profiles" / "default" / "python" / "dependencies" / version
    packages.parent.mkdir(parents=True)
    # A folder of links, without the plugin's own package, which must come from the zip.
    packages.mkdir()
    for item in Path(sysconfig.get_path("purelib")).iterdir():
        if not item.name.startswith("gwsa_qgis"):
            (packages / item.name).symlink_to(item)
    (WINDOW / "empty").mkdir()
    return profile


def main() -> None:
    """Run the tour and judge it."""
    steps = sys.argv[1:] or STEPS
    plugin = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "install.py"), "--zip"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    profile = prepare()
    sample = sample_folder()
    report = WINDOW / "report.json"
    environment = {k: v for k, v in os.environ.items() if k not in ("QGIS_PLUGINPATH", "QT_QPA_PLATFORM", "PYTHONPATH")}
    environment |= {
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "GWSA_TOUR_PICTURES": str(PICTURES),
        "GWSA_TOUR_SAMPLE": str(sample),
        "GWSA_TOUR_ZIP": plugin,
        "GWSA_TOUR_REPORT": str(report),
        "GWSA_TOUR_STEPS": " ".join(steps),
        "PYTHONPATH": str(ROOT / "scripts"),
        "LC_ALL": "C.UTF-8",
    }
    command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", "qgis", "--nologo", "--noversioncheck"]
    log = WINDOW / "qgis.log"
    try:
        with log.open("w") as file:
            subprocess.run(
                [*command, "--code", str(ROOT / "scripts" / "window_tour.py")],
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=3000,
            )
    finally:
        if WINDOW not in sample.parents:
            shutil.rmtree(sample)
            if not any(sample.parent.iterdir()):
                sample.parent.rmdir()
    if not report.exists():
        raise SystemExit(f"QGIS ended before the tour did:\n{log.read_text()[-3000:]}")
    answer = json.loads(report.read_text())
    print(json.dumps({"seconds": answer["seconds"], "notes": answer["notes"]}, indent=2))
    complaints = [m for m in answer["messages"] if not is_strange(m)]
    for message in complaints:
        print(f"{message['level']} [{message['tag']}] {message['text']}")
    if answer["failure"] or complaints:
        raise SystemExit(f"the tour failed: {answer['failure'] or 'the message log is not clean'}")


if __name__ == "__main__":
    main()
