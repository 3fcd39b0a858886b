"""Draw the scheme of each algorithm: what goes in, the algorithm's icon, what comes out; into processing_provider/pictures.

The names under the drawings are those of parameters and outputs, which are the same in every language.
``make pictures`` runs it; the same bytes come out each time.
"""

from __future__ import annotations

import re
from pathlib import Path

import picture_glyphs as glyphs

ROOT = Path(__file__).resolve().parents[1]
ICONS = ROOT / "processing_provider" / "icons"
PICTURES = ROOT / "processing_provider" / "pictures"
# From one drawing to the next, and round all; the help beside a dialog is about 230 pixels wide.
STEP_X, STEP_Y, EDGE = 78, 64, 4
MIDDLE = 54  # width of the part with the icon

# What goes in and what comes out: name of the parameter or output, and its drawing.
SCHEMES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "importgrace": ({"INPUT": "file", "MASCON_MAP": "file"}, {"OUTPUT": "gaps", "MASCONS": "mascons"}),
    "importgldas": ({"FOLDER": "files"}, {"SMS": "soil", "SWE": "coarse", "SPREAD": "spread"}),
    "monthlystack": ({"INPUTS": "files"}, {"OUTPUT": "months"}),
    "accumulate": ({"INPUT": "rain"}, {"OUTPUT": "rising"}),
    "watermask": ({"INPUTS": "water_classes"}, {"OUTPUT": "water"}),
    "glaciermask": ({"GLACIERS": "outlines"}, {"OUTPUT": "glacier"}),
    "basemask": ({"INPUTS": "water"}, {"OUTPUT": "mask"}),
    "applymask": ({"INPUT": "fine", "MASK": "mask"}, {"OUTPUT": "masked"}),
    "aquiferclasses": ({"INPUT": "aquifers"}, {"OUTPUT": "classes", "COARSE": "classes_coarse"}),
    "preparepredictors": (
        {"INPUTS": "elevation", "MASK": "mask"},
        {"FINE": "predictors", "COARSE": "predictors_coarse"},
    ),
    "fillgaps": ({"INPUT": "gaps"}, {"OUTPUT": "filled", "ERROR_LONG": "spread"}),
    "waterbalance": ({"TWSA": "mascons", "SMS": "soil", "SWE": "coarse", "CWS": "coarse"}, {"OUTPUT": "coarse"}),
    "trainmodels": (
        {"TARGET": "coarse", "PREDICTORS": "predictors_coarse", "MASCONS": "mascons"},
        {"MODEL": "model", "REPORT": "report"},
    ),
    "predict": (
        {"MODEL": "model", "PREDICTORS": "predictors", "MASK": "mask"},
        {"OUTPUT": "months"},
    ),
    "correctresiduals": (
        {"PREDICTION": "months", "TARGET": "coarse", "MASCONS": "mascons"},
        {"OUTPUT": "fine", "CLOSURE": "table"},
    ),
    "uncertainty": (
        {"GWSA": "fine", "MODEL": "model"},
        {"OUTPUT": "band", "CELL": "cell_spread", "WITHIN": "spread"},
    ),
    "consistency": ({"FINE": "fine", "COARSE": "coarse"}, {"METRICS": "table", "REPORT": "scatter"}),
    "validatewells": (
        {"GWSA": "fine", "WELLS": "wells", "LEVELS": "table"},
        {"REPORT": "scatter", "OUTPUT": "wells"},
    ),
    "projectreport": (
        {"GWSA": "fine", "MODEL": "model", "CLOSURE": "table"},
        {"REPORT": "report"},
    ),
    "trend": (
        {"INPUT": "trend_line"},
        {"SLOPE": "slope", "P_VALUE": "p_value", "CLASSES": "trend_classes"},
    ),
    "trendbreak": (
        {"INPUT": "trend_line"},
        {"SLOPE_BEFORE": "slope_before", "SLOPE_AFTER": "slope", "CHANGE": "slope"},
    ),
    "seasonality": ({"INPUT": "series"}, {"OUTPUT": "seasons", "REPORT": "report"}),
    "attribution": (
        {"GWSA": "fine", "BACKGROUND": "background"},
        {"RESIDUAL": "fine", "SLOPE": "slope", "P_VALUE": "p_value"},
    ),
    "latitudeprofile": ({"INPUT": "months"}, {"MEAN": "fine", "PROFILE": "profile"}),
    "droughtindex": (
        {"INPUT": "months"},
        {"OUTPUT": "bars_index", "CLASSES": "trend_classes", "SPELLS": "table"},
    ),
    "basinseries": (
        {"INPUT": "months", "BASINS": "basins"},
        {"OUTPUT": "table", "REPORT": "series", "LAYER": "basins"},
    ),
    "hotspots": ({"SLOPE": "slope", "P_VALUE": "p_value"}, {"OUTPUT": "hot_spots", "REPORT": "report"}),
    "basinreport": ({"INPUT": "months", "BASINS": "basins"}, {"REPORT": "report", "SUMMARY": "table"}),
    "sampleregion": ({}, {"FOLDER": "folder"}),
    "sampleproject": ({}, {"FOLDER": "folder", "PROJECT": "project"}),
    "checkenvironment": ({}, {"REPORT": "packages"}),
    "completechain": (
        {"GRACE": "file", "GLDAS": "files", "AQUIFERS": "aquifers"},
        {"gwsa_fine": "fine", "project_report": "report"},
    ),
    "trendandclasses": (
        {"INPUT": "months", "MASK": "mask"},
        {"trend": "slope", "trend_classes": "trend_classes"},
    ),
    "pumpingfingerprint": (
        {"GWSA": "fine", "BACKGROUND": "background"},
        {"hot_spot_report": "hot_spots", "latitude_profile": "profile"},
    ),
    "basinreports": ({"INPUT": "months", "BASINS": "basins"}, {"basin_report": "report", "folder_of_pages": "folder"}),
    "validation": (
        {"FINE": "fine", "COARSE": "coarse", "WELLS": "wells"},
        {"well_report": "scatter", "project_report": "report"},
    ),
}


def side(named: dict[str, str], left: float, height: float) -> str:
    """Drawings in a column, centred in the height, with their names below."""
    parts, top = [], (height - len(named) * STEP_Y) / 2 + 4
    for row, (name, glyph) in enumerate(named.items()):
        drawing = getattr(glyphs, glyph)()
        parts.append(
            f'<g transform="translate({left + 3:g} {top + row * STEP_Y:g})">{drawing}'
            f'<text x="36" y="57" font-size="9" font-family="sans-serif" text-anchor="middle" fill="#404040">{name}</text></g>'
        )
    return "".join(parts)


def middle(name: str, left: float, height: float) -> str:
    """The algorithm's icon on an arrow."""
    icon = re.search(r"<svg[^>]*>(.*)</svg>", (ICONS / f"{name}.svg").read_text(encoding="utf-8"), re.DOTALL)[1]
    y = height / 2 + 26
    arrow = f"M{left + 4:g} {y:g}h44M{left + 42:g} {y - 5:g}l7 5-7 5"
    return (
        f'<g transform="translate({left + 7:g} {height / 2 - 28:g}) scale(1.650)">{icon}</g>'
        f'<path d="{arrow}" stroke="#404040" fill="none" stroke-width="2"/>'
    )


def picture(name: str) -> str:
    """The scheme as SVG."""
    inputs, outputs = SCHEMES[name]
    height = STEP_Y * max(len(inputs), len(outputs)) + 2 * EDGE
    start = EDGE + (STEP_X if inputs else 0)
    width = start + MIDDLE + STEP_X + EDGE
    body = side(inputs, EDGE, height) + middle(name, start, height) + side(outputs, start + MIDDLE, height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<path d="M0 0h{width}v{height}H0z" fill="#ffffff"/>{body}</svg>\n'
    )


def main(folder: Path = PICTURES) -> None:
    """Write all schemes."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name in SCHEMES:
        (folder / f"{name}.svg").write_text(picture(name), encoding="utf-8")


if __name__ == "__main__":
    main()
