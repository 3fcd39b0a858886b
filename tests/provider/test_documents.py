"""What README and docs name exists under that name: menu entries, groups, algorithms, parameters, layers, files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.core import QgsProcessingModelAlgorithm, QgsProject

ROOT = Path(__file__).resolve().parents[2]
MENU = "Groundwater storage"
# QGIS's own names, as QGIS 3.40 writes them (three dots for its ellipsis).
OF_QGIS = {
    "...",
    "Add File(s)...",
    "Create Temporary Layer",
    "Create constant raster layer",
    "Plugins > Manage and Install Plugins > Install from ZIP",
    "Processing > Results Viewer",
    "Processing > Toolbox",
    "Run",
    "Rasterize (vector to raster)",
    "Run as Batch Process...",
    "[Skip output]",
}
# Set slanting for another reason: stress, values of a parameter, rows of a report, titles of papers.
NO_NAMES = {
    *("known", "random", "spatial blocks", "exactly", "deviations", "levels", "THREADS"),
    *("ar1", "none", "seasonal", "trend_free_prewhitening", "generic"),
    "High-resolution global groundwater storage anomalies: a 1 km downscaled dataset",
}
PAGES = ("README.md", *(f"docs/{name}.md" for name in ("tutorial", "data", "limits", "methods", "trends")))
PAGES += ("docs/gap_filling.md", "docs/downscaling.md", "docs/scale.md")


class Interface:
    """As much of QGIS's interface as the menu needs; remembers its entries."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []

    def mainWindow(self) -> None:
        return None

    def addPluginToMenu(self, title, action) -> None:
        self.entries.append((title, action.text().removesuffix(" ...")))


@pytest.fixture(scope="module")
def menu(provider) -> set[str]:
    from gwsa_qgis.processing_provider.menu import Menu

    interface = Interface()
    Menu(interface)
    return {f"Plugins > {title} > {text}" for title, text in interface.entries}


@pytest.fixture(scope="module")
def sample(provider, tmp_path_factory) -> Path:
    import processing

    folder = tmp_path_factory.mktemp("documents") / "sample"
    processing.run("gwsa:sampleproject", {"SIZE": 2, "FACTOR": 2, "FOLDER": str(folder)})
    return folder


@pytest.fixture(scope="module")
def layers(sample) -> set[str]:
    project = QgsProject()
    assert project.read(str(sample / "sample_region.qgz"))
    names = {layer.name() for layer in project.mapLayers().values()}
    project.clear()
    return names


@pytest.fixture(scope="module")
def names(provider, menu, layers) -> set[str]:
    """All that the plugin shows by a name."""
    from gwsa_qgis.processing_provider.context_actions import OpenInModeler

    shown = set(menu) | set(layers) | {provider.name(), OpenInModeler().name}
    for algorithm in provider.algorithms():
        own, group = algorithm.displayName(), algorithm.group()
        shown |= {own, f"{group} > {own}", f"Toolbox > {provider.name()} > {group} > {own}"}
        shown |= {definition.description() for definition in algorithm.parameterDefinitions()}
    return shown


def slanting(page: str) -> set[str]:
    """Texts between single stars."""
    text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return {" ".join(name.split()) for name in re.findall(r"(?<![*\w])\*([^*\n][^*]*?)\*(?![*\w])", text)}


def table(page: str, heading: str) -> list[list[str]]:
    """Rows of the table whose first line holds `heading`."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|") and heading in line) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize("page", PAGES)
def test_every_name_in_the_text_is_there(page, names):
    unknown = slanting(page) - names - OF_QGIS - NO_NAMES
    assert not unknown, f"{page} names what the plugin does not have: {sorted(unknown)}"


def test_readme_lists_the_algorithms_by_their_groups(provider):
    listed = {group: {n.strip() for n in re.sub(r"\(SSA\)|\(GWSA\)", "", row).split(",")} for group, row in groups()}
    there: dict[str, set[str]] = {}
    for algorithm in provider.algorithms():
        short = re.sub(r" \((SSA|GWSA|attribution)\)", "", algorithm.displayName())
        there.setdefault(algorithm.group(), set()).add(short)
    assert listed == there


def groups() -> list[list[str]]:
    """Rows of the README's table of algorithms."""
    return table("README.md", "| group | algorithms |")


def test_tutorial_lists_inputs_of_the_chain_with_files_of_the_sample(provider, sample, layers):
    chain = provider.algorithm("completechain")
    assert isinstance(chain, QgsProcessingModelAlgorithm)
    inputs = {d.description(): d for d in chain.parameterDefinitions() if not d.isDestination()}
    listed = set()
    for label, value in table("docs/tutorial.md", "| input | file or folder |"):
        for name in label.split(", ") if label not in inputs else [label]:
            assert name in inputs, name
            listed.add(name)
        for path in re.findall(r"`([^`]+)`", value):
            assert (sample / "region" / path).exists() or path == "HYGEO2", path
        for layer in re.findall(r"the layer \*([^*]+)\*", value):
            assert layer in layers
    needed = {
        label
        for label, d in inputs.items()
        if not d.flags() & d.Flag.FlagOptional and not d.flags() & d.Flag.FlagAdvanced
    }
    assert needed <= listed, f"the tutorial does not say what to give for {sorted(needed - listed)}"


def test_steps_by_hand_name_parameters_of_their_algorithms(provider):
    algorithms = {a.displayName(): a for a in provider.algorithms()}
    kept: set[str] = set()
    for own, given, outputs in table("docs/tutorial.md", "| algorithm | give it | keep |"):
        definitions = algorithms[own.strip("*")].parameterDefinitions()
        inputs = {d.description(): d for d in definitions if not d.isDestination()}
        needed = {
            label for label, d in inputs.items() if d.defaultValue() is None and not d.flags() & d.Flag.FlagOptional
        }
        listed = set(re.findall(r"\*([^*]+)\*(?!\.)", re.sub(r"`[^`]+`", "", given)))
        assert listed <= set(inputs), f"{own}: {sorted(listed - set(inputs))}"
        assert needed <= listed, f"{own} needs {sorted(needed - listed)}"
        results = set(re.findall(r"\*([^*]+)\*", outputs))
        assert results <= {d.description() for d in definitions if d.isDestination()}, own
        kept |= results
    assert "GWSA, fine" in kept


def test_ids_and_parameters_of_commands_exist(provider):
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for name, rest in re.findall(r"gwsa:(\w+)((?: --\w+=\S+)*)", text):
            algorithm = provider.algorithm(name)
            assert algorithm is not None, f"{page}: gwsa:{name}"
            parameters = {d.name() for d in algorithm.parameterDefinitions()}
            assert set(re.findall(r"--(\w+)=", rest)) <= parameters, f"{page}: {name}{rest}"


def test_links_lead_somewhere():
    for page in (*PAGES, *(str(p.relative_to(ROOT)) for p in (ROOT / "docs" / "algorithms").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text(encoding="utf-8")):
            assert "://" in target or ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_readme_installs_the_packages_that_are_looked_for():
    from gwsa_qgis.processing_provider.base import PACKAGES

    (listed,) = re.findall(r'pip install --target "[^"]+" ([^`]+)`', (ROOT / "README.md").read_text(encoding="utf-8"))
    assert listed.split() == list(PACKAGES.values())


def test_pages_of_the_algorithms_are_what_they_say_of_themselves(provider, tmp_path):
    script = ROOT / "scripts" / "build_docs.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.md")}
    kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "algorithms").glob("*.md")}
    assert set(made) == {f"{a.name()}.md" for a in provider.algorithms()} | {"README.md"}
    assert {name for name in made if made[name] != kept.get(name)} == set(), "run make docs"
    for algorithm in provider.algorithms():
        assert algorithm.helpUrl().endswith(f"docs/algorithms/{algorithm.name()}.md")
