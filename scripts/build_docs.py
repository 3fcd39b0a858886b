"""Write a page for each algorithm, made from the algorithm itself, into docs/algorithms."""

from __future__ import annotations

import html
import re
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingModelAlgorithm,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
)

PAGES = Path(__file__).parents[1] / "docs" / "algorithms"
TAGS = {"p": "\n\n", "/p": "", "b": "**", "/b": "**", "i": "*", "/i": "*", "br": "\n"}
TAGS |= {tag: f"<{tag}>" for tag in ("sup", "/sup", "sub", "/sub")}  # Markdown takes these as they are


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


def page(algorithm: QgsProcessingAlgorithm) -> str:
    """Return the page of one algorithm."""
    definitions = algorithm.parameterDefinitions()
    lines = [f"# {algorithm.displayName()}", "", f"`{algorithm.id()}`, group {algorithm.group()}", ""]
    lines += [
        f"![What goes in, what comes out](../../processing_provider/pictures/{algorithm.name()}.svg)",
        "",
        markdown(re.sub(r"<p><img[^>]*></p>", "", algorithm.shortHelpString())),
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
    lines += [f"| `{o.name()}` | {o.description()} | number | |" for o in others]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write all pages and their index."""
    application = QgsApplication([], False)
    application.initQgis()
    from gwsa_qgis.plugin import GwsaPlugin

    plugin = GwsaPlugin(None)
    plugin.initProcessing()
    PAGES.mkdir(parents=True, exist_ok=True)
    index = [
        "# Algorithms",
        "",
        "Made from the algorithms by `make docs`.",
        "",
        "| algorithm | what it does |",
        "|---|---|",
    ]
    for algorithm in QgsApplication.processingRegistry().providerById("gwsa").algorithms():
        if isinstance(algorithm, QgsProcessingModelAlgorithm):
            continue
        (PAGES / f"{algorithm.name()}.md").write_text(page(algorithm), encoding="utf-8")
        index.append(f"| [{algorithm.displayName()}]({algorithm.name()}.md) | {algorithm.shortDescription()} |")
    (PAGES / "README.md").write_text("\n".join(index) + "\n", encoding="utf-8")
    plugin.unload()
    application.exitQgis()


if __name__ == "__main__":
    main()
