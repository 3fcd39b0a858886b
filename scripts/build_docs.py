"""Write a page for each algorithm and model, made from itself, into docs/algorithms (or the folder that is named)."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingModelAlgorithm,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
)

PAGES = Path(__file__).parents[1] / "docs" / "algorithms"
SHIPPED = "../../processing_provider"
TAGS = {"p": "\n\n", "/p": "", "b": "**", "/b": "**", "i": "*", "/i": "*", "br": "\n"}
TAGS |= {tag: f"<{tag}>" for tag in ("sup", "/sup", "sub", "/sub")}  # Markdown takes these as they are

KINDS = {"outputNumber": "number", "outputString": "text", "outputFile": "file", "outputHtml": "page"}


def markdown(text: str) -> str:
    """Turn the help's simple HTML into Markdown."""
    text = re.sub(r"<(/?\w+)>", lambda match: TAGS.get(match[1], ""), text)
    return html.unescape(re.sub(r"[ \t]*\n[ \t]+", "\n", text)).strip()


def parameter_row(parameter: QgsProcessingParameterDefinition) -> str:
    """One line of the parameter table."""
    default = parameter.defaultValue()
    notes = []
    if isinstance(parameter, QgsProcessingParameterEnum):
        notes.append("one of " + ", ".join(f"`{option}`" for option in parameter.options()))
    if parameter.flags() & QgsProcessingParameterDefinition.Flag.FlagOptional:
        notes.append("optional")
    if parameter.flags() & QgsProcessingParameterDefinition.Flag.FlagAdvanced:
        notes.append("advanced")
    if default not in (None, "") and not parameter.isDestination() and not isinstance(default, list):
        notes.append(f"default `{default}`")
    help_text = markdown(parameter.help()).replace("\n", " ")
    return f"| `{parameter.name()}` | {parameter.description()} | {help_text} | {'; '.join(notes)} |"


def help_of(algorithm: QgsProcessingAlgorithm) -> str:
    """The help as Markdown, without its picture; a model's without the lists of inputs and outputs that QGIS adds."""
    text = algorithm.shortHelpString()
    if isinstance(algorithm, QgsProcessingModelAlgorithm):
        reference = re.search(r"<p><i>.*</i></p>", text)[0]
        text = f"<p><b>{algorithm.helpContent()['ALG_DESC']}</b></p>{reference}"
    return markdown(re.sub(r"<p><img[^>]*></p>", "", text))


def page(algorithm: QgsProcessingAlgorithm) -> str:
    """Return the page of one algorithm."""
    definitions = algorithm.parameterDefinitions()
    lines = [f"# {algorithm.displayName()}", "", f"`{algorithm.id()}`, group {algorithm.group()}", ""]
    lines += [
        f"![What goes in, what comes out]({SHIPPED}/pictures/{algorithm.name()}.svg)",
        "",
        help_of(algorithm),
        "",
        "## Parameters",
        "",
        "| name | what | help | |",
        "|---|---|---|---|",
    ]
    lines += [parameter_row(p) for p in definitions if not p.isDestination()]
    lines += ["", "## Outputs", "", "| name | what | help | |", "|---|---|---|---|"]
    lines += [parameter_row(p) for p in definitions if p.isDestination()]
    destinations = {p.name() for p in definitions if p.isDestination()}
    others = [o for o in algorithm.outputDefinitions() if o.name() not in destinations]
    lines += [f"| `{o.name()}` | {o.description()} | {KINDS.get(o.type(), o.type())} | |" for o in others]
    return "\n".join(lines) + "\n"


def summary(algorithm: QgsProcessingAlgorithm) -> str:
    """One sentence: of a model the first of its description."""
    if isinstance(algorithm, QgsProcessingModelAlgorithm):
        return re.split(r"(?<=\.) (?=[A-Z])", algorithm.helpContent()["ALG_DESC"])[0]
    return algorithm.shortDescription()


def index_of(algorithms: list[QgsProcessingAlgorithm]) -> str:
    """Return the index: a table for each group, in the order of the method."""
    lines = ["# Algorithms", "", "Made from the algorithms by `make docs`."]
    for group in dict.fromkeys(algorithm.group() for algorithm in algorithms):
        lines += ["", f"## {group}", "", "| | algorithm | what it does |", "|---|---|---|"]
        for algorithm in (a for a in algorithms if a.group() == group):
            icon = f"![]({SHIPPED}/icons/{algorithm.name()}.svg)"
            lines.append(f"| {icon} | [{algorithm.displayName()}]({algorithm.name()}.md) | {summary(algorithm)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write all pages and their index."""
    application = QgsApplication([], False)
    application.initQgis()
    from gwsa_qgis.processing_provider.provider import ALGORITHMS

    from gwsa_qgis.plugin import GwsaPlugin

    plugin = GwsaPlugin(None)
    plugin.initProcessing()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGES
    folder.mkdir(parents=True, exist_ok=True)
    order = {module: place for place, (module, _) in enumerate(ALGORITHMS)}
    algorithms = list(QgsApplication.processingRegistry().providerById("gwsa").algorithms())
    algorithms.sort(key=lambda a: (order.get(a.name(), len(order)), a.name()))
    for algorithm in algorithms:
        (folder / f"{algorithm.name()}.md").write_text(page(algorithm), encoding="utf-8")
    (folder / "README.md").write_text(index_of(algorithms), encoding="utf-8")
    plugin.unload()
    application.exitQgis()


if __name__ == "__main__":
    main()
