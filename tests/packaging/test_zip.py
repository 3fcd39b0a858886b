"""The plugin zip: what is inside, and that QGIS loads it from an empty profile with and without optional packages."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def plugin_zip() -> Path:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "install.py"), "--zip"], capture_output=True, text=True, check=True
    )
    return Path(done.stdout.split()[-1])


@pytest.fixture(scope="module")
def unpacked(plugin_zip, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    with zipfile.ZipFile(plugin_zip) as archive:
        archive.extractall(folder)
    return folder


def test_zip_has_one_folder_and_what_the_repository_asks_for(plugin_zip):
    names = zipfile.ZipFile(plugin_zip).namelist()
    assert {name.split("/")[0] for name in names} == {"gwsa_qgis"}
    for wanted in ("metadata.txt", "LICENSE", "__init__.py", "plugin.py", "models/complete_chain.model3"):
        assert f"gwsa_qgis/{wanted}" in names
    assert not [name for name in names if "requirements.txt" in name or name.endswith((".pyc", ".so"))]
    assert plugin_zip.stat().st_size < 2_000_000


def test_zip_passes_the_scans_of_the_plugin_repository(unpacked):
    """The scans as the repository runs them: no finding, not even a note."""
    folder = unpacked / "gwsa_qgis"
    files = [str(path) for path in folder.rglob("*.py")]
    scans = {
        "bandit": ["bandit", "-q", "-r", str(folder)],
        "flake8": ["flake8", "--max-line-length=120", "--config", str(folder / ".flake8"), *files],
    }
    for name, (module, *arguments) in scans.items():
        done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, ""), f"{name}: {done.stdout}"
    command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["results"] == {}


def test_zip_holds_no_program_and_no_hidden_file(plugin_zip):
    for entry in zipfile.ZipFile(plugin_zip).infolist():
        name = entry.filename.rpartition("/")[2]
        assert not entry.external_attr >> 16 & 0o111, entry.filename
        assert not name.startswith(".") or name == ".flake8", entry.filename
        assert not name.endswith((".exe", ".dll", ".so", ".dylib", ".bat", ".sh", ".ps1", ".cmd")), entry.filename


def test_metadata_is_complete(unpacked):
    metadata = configparser.ConfigParser()
    metadata.read(unpacked / "gwsa_qgis" / "metadata.txt", encoding="utf-8")
    general = metadata["general"]
    wanted = ("name", "description", "about", "version", "author", "email", "repository", "tracker", "icon", "license")
    wanted += ("homepage", "tags", "category", "qgisMaximumVersion", "experimental", "deprecated")
    assert all(general.get(key) for key in wanted)
    assert general["qgisMinimumVersion"] == "3.40"
    assert general.getboolean("hasProcessingProvider")
    assert (unpacked / "gwsa_qgis" / general["icon"]).is_file()


def test_resource_manifest_names_all_icons():
    listed = {f.text for f in ET.parse(ROOT / "resources.qrc").iter("file")}
    there = {str(p.relative_to(ROOT)) for p in (ROOT / "processing_provider" / "icons").glob("*.svg")}
    assert listed == there


def fresh_environment(plugins: Path, profile: Path) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return environment | {
        "QGIS_PLUGINPATH": str(plugins),
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "QT_QPA_PLATFORM": "offscreen",
    }


def qgis_process(environment: dict[str, str], *arguments: str, **options) -> subprocess.CompletedProcess:
    command = [shutil.which("qgis_process"), "--json", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, **options)


def test_loads_in_an_empty_profile_without_optional_packages(unpacked, tmp_path):
    """QGIS's own Python has neither xgboost nor statsmodels here; all algorithms are listed all the same."""
    environment = fresh_environment(unpacked, tmp_path / "profile")
    assert qgis_process(environment, "plugins", "enable", "gwsa_qgis").returncode == 0
    listing = json.loads(qgis_process(environment, "list").stdout)
    algorithms = listing["providers"]["gwsa"]["algorithms"]
    assert len(algorithms) >= 23
    answer = qgis_process(environment, "run", "gwsa:checkenvironment", f"--REPORT={tmp_path / 'report.html'}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    missing = json.loads(answer.stdout)["results"]["MISSING"]
    page = (tmp_path / "report.html").read_text()
    if missing:
        assert "pip install --target" in page


def test_says_what_is_missing_when_a_step_needs_it(unpacked, tmp_path):
    environment = fresh_environment(unpacked, tmp_path / "profile")
    if not subprocess.run(
        ["/usr/bin/python3", "-c", "import xgboost"], env=environment, capture_output=True
    ).returncode:
        pytest.skip("QGIS's own Python has xgboost")
    qgis_process(environment, "plugins", "enable", "gwsa_qgis")
    answer = qgis_process(
        environment,
        "run",
        "gwsa:predict",
        "--MODEL=/nowhere.gwsa",
        f"--PREDICTORS={tmp_path}",
        f"--OUTPUT={tmp_path}/o.tif",
    )
    assert answer.returncode == 1
    text = answer.stdout + answer.stderr
    assert "xgboost" in text and "pip install" in text
    assert "Traceback" not in text


def test_steps_that_need_no_package_run_without_them(unpacked, tmp_path):
    """From the agency's file to a trend map with QGIS's own Python alone."""
    environment = fresh_environment(unpacked, tmp_path / "profile")
    qgis_process(environment, "plugins", "enable", "gwsa_qgis")

    def run(name: str, **parameters) -> dict:
        values = [f"--{key}={value}" for key, value in parameters.items()]
        answer = qgis_process(environment, "run", f"gwsa:{name}", *values)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return json.loads(answer.stdout)["results"]

    region = run("sampleregion", SIZE=2, FACTOR=2, FOLDER=tmp_path / "region")["FOLDER"]
    mascons = next(Path(region, "grace").glob("*all-corrections.nc"))
    twsa = run("importgrace", INPUT=mascons, OUTPUT=tmp_path / "twsa.tif")["OUTPUT"]
    filled = run("fillgaps", INPUT=twsa, LONG_MODES=2, OUTPUT=tmp_path / "filled.tif")["OUTPUT"]
    outputs = {name: tmp_path / f"{name}.tif" for name in ("SLOPE", "P_VALUE", "CLASSES")}
    trend = run("trend", INPUT=filled, **outputs)
    assert all(Path(trend[name]).stat().st_size for name in outputs)


def test_finds_packages_in_the_profile(unpacked, tmp_path):
    """A package in the profile's dependencies folder is found, behind QGIS's own."""
    profile = tmp_path / "profile"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = profile / "profiles" / "default" / "python" / "dependencies" / version
    for name in ("xgboost", "sklearn", "optuna", "statsmodels", "pymannkendall", "joblib"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
    (folder / "numpy").mkdir()
    (folder / "numpy" / "__init__.py").write_text("raise ImportError('a second numpy in front')")
    environment = fresh_environment(unpacked, profile)
    qgis_process(environment, "plugins", "enable", "gwsa_qgis")
    answer = qgis_process(environment, "run", "gwsa:checkenvironment", f"--REPORT={tmp_path / 'report.html'}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert json.loads(answer.stdout)["results"]["MISSING"] == 0
