"""One report of a whole project: inputs, settings, scores, closure, validation, uncertainty, limits; and its JSON."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.steps.project_figures import (
    ProjectMaps,
    StackSummary,
    clean,
    model_facts,
    read_figures,
    read_thinned,
    stack_input,
    summarise,
)
from gwsa_qgis.steps.project_methods import limits, methods_paragraph
from gwsa_qgis.steps.project_page import project_page
from gwsa_qgis.steps.text_outputs import stage_text


@dataclass(frozen=True)
class ProjectReportResult:
    """What `projectreport` wrote.

    Attributes
    ----------
    report, json : Path or None
    figures : dict
        Contents of the JSON file.
    """

    report: Path | None
    json: Path | None
    figures: dict


def projectreport(
    gwsa: str | Path,
    *,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    title: str = "",
    model: str | Path | None = None,
    coarse: str | Path | None = None,
    closure: str | Path | None = None,
    consistency: str | Path | None = None,
    wells: str | Path | None = None,
    slope: str | Path | None = None,
    p_value: str | Path | None = None,
    uncertainty: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    progress: ProgressFunction | None = None,
) -> ProjectReportResult:
    """Gather what the steps of a project found into one page, and the same figures into JSON.

    Parameters
    ----------
    gwsa : path
        The fine map, a monthly stack in cm.
    report, json_file : path, optional
        Page (HTML, self-contained) and figures (JSON) to write; at least one of them.
    title : str
        Heading of the page, for example the basin's name.
    model : path, optional
        Model file of `trainmodels`.
    coarse : path, optional
        Monthly stack before downscaling, drawn beside the map.
    closure, consistency, wells : path, optional
        Tables (CSV) of `correctresiduals`, `consistency` and `validatewells`.
    slope, p_value : path, optional
        Rasters of `trend`.
    uncertainty : path, optional
        Half-widths of `uncertainty`, a monthly stack in cm.
    memory_mb : float
        Budget.

    Raises
    ------
    InvalidParameter
        If no output is asked for.
    GwsaError
        If a file is not what it is given for.
    """
    if not report and not json_file:
        raise InvalidParameter("neither REPORT nor JSON was given", "name at least one file to write")
    say = Reporter(progress)
    tables = {
        kind: read_figures(kind, path)
        for kind, path in (("closure", closure), ("consistency", consistency), ("wells", wells))
        if path
    }
    facts = model_facts(model) if model else None
    summary, tags = summarise(gwsa, memory_mb, say.part(0.0, 0.5))
    maps = ProjectMaps(
        summary,
        read_thinned(slope, memory_mb) if slope else None,
        read_thinned(p_value, memory_mb) if p_value else None,
        summarise(uncertainty, memory_mb, say.part(0.5, 0.7))[0] if uncertainty else None,
    )
    before = summarise(coarse, memory_mb, say.part(0.7, 0.8))[0] if coarse else None
    inputs = [stack_input("fine map", gwsa, summary)]
    inputs += [stack_input("field before downscaling", coarse, before)] if coarse else []
    inputs += [stack_input("uncertainty", uncertainty, maps.uncertainty)] if uncertainty else []
    others = {"model": model, "closure": closure, "consistency": consistency, "wells": wells}
    others |= {"trend": slope, "significance": p_value}
    inputs += [{"what": what, "file": Path(path).name} for what, path in others.items() if path]
    figures = clean({"inputs": inputs} | _figures(str(gwsa), maps, tags, facts, tables, before))
    say.say(f"{figures['map']['grid']}; {describe_months(summary.months)}")
    with ExitStack() as stack:
        outputs = stack.enter_context(together())
        if json_file:
            stage_text(outputs, json_file, json.dumps(figures, indent=1, allow_nan=False) + "\n")
        if report:
            page = project_page(title or "Groundwater storage: report of a project", figures, maps, before)
            stage_text(outputs, report, page.render())
    say(1.0)
    return ProjectReportResult(*(Path(path) if path else None for path in (report, json_file)), figures)


def _figures(
    source: str,
    maps: ProjectMaps,
    tags: dict[str, str],
    model: dict | None,
    tables: dict[str, list[dict]],
    before: StackSummary | None,
) -> dict:
    """All figures of the report."""
    from gwsa_qgis import __version__

    summary = maps.summary
    empty = ~np.isfinite(summary.mean)
    found: dict[str, object] = {
        "format": "gwsa-project-report 1",
        "version": __version__,
        "map": {
            "file": Path(source).name,
            "quantity": tags.get("GWSA_QUANTITY", ""),
            "made_by": " ".join(tags.get(key, "") for key in ("GWSA_STEP", "GWSA_VERSION")).strip(),
            "baseline": tags.get("GWSA_BASELINE", ""),
            "grid": summary.grid.describe(),
            "first_month": str(summary.months[0]),
            "last_month": str(summary.months[-1]),
            "months": summary.months.size,
            "months_without_values": [str(month) for month in summary.months[empty]],
            "filled_months": [str(month) for month in summary.months[summary.filled]],
            "area_mean_cm": dict(zip(map(str, summary.months), summary.mean, strict=True)),
        },
    }
    if model:
        found["model"] = model
    found |= tables
    if before is not None:
        found["coarse"] = {"area_mean_cm": dict(zip(map(str, before.months), before.mean, strict=True))}
    if maps.trend is not None:
        _, values, unit = maps.trend
        known = np.isfinite(values)
        found["trend"] = {
            "unit": unit,
            "median": float(np.median(values[known])) if known.any() else np.nan,
            "falling_share": float((values[known] < 0).mean()) if known.any() else np.nan,
        }
        if maps.p_value is not None:
            p = maps.p_value[1]
            both = known & np.isfinite(p) if p.shape == values.shape else np.zeros(values.shape, bool)
            significant = (values < 0) & (p < 0.05)
            found["trend"]["significantly_falling_share"] = float(significant[both].mean()) if both.any() else np.nan
    if maps.uncertainty is not None:
        spread = maps.uncertainty.mean
        found["uncertainty"] = {
            "mean_half_width_cm": float(np.nanmean(spread)) if np.isfinite(spread).any() else np.nan
        }
    found["methods"] = methods_paragraph(found)
    found["limits"] = limits(found)
    return found
