"""Hot spots: connected areas of significant depletion or gain, with area, slope and volume a year."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.products.region_polygons import region_polygons
from gwsa_qgis.products.vector_layer import require_geopackage, write_features
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.gdal_setup import ogr
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.steps.hotspot_regions import NAMES, HotSpots, Rules, Total, find_regions, number_regions
from gwsa_qgis.steps.hotspot_report import hotspot_page
from gwsa_qgis.steps.slope_inputs import SlopeInputs, open_slopes
from gwsa_qgis.steps.text_outputs import stage_text

KINDS = {"depletion": (-1,), "gain": (1,), "both": (-1, 1)}
CONNECTIVITIES = (4, 8)


@dataclass(frozen=True)
class HotSpotsResult:
    """What `hotspots` found.

    Attributes
    ----------
    output, report : Path or None
    hot_spots : HotSpots
        Figures of the largest volumes a year, largest first: `hotspot_regions.LARGEST` at most.
    totals : dict of int to Total
        Number, area and volume of all, by kind: -1 depletion, 1 gain.
    """

    output: Path
    report: Path | None
    hot_spots: HotSpots
    totals: dict[int, Total]


def hotspots(
    slope: str | Path,
    p_value: str | Path,
    output: str | Path,
    *,
    lower: str | Path | None = None,
    upper: str | Path | None = None,
    report: str | Path | None = None,
    kind: str = "depletion",
    p: float = 0.05,
    least_slope: float = 0.0,
    minimum_area: float = 0.0,
    connectivity: int = 8,
    memory_mb: float = DEFAULT_MEMORY_MB,
    progress: ProgressFunction | None = None,
) -> HotSpotsResult:
    """Outline areas whose trend is significant.

    Parameters
    ----------
    slope, p_value : path
        Rasters of `trend`; the slope's unit must say water height per month or year.
    output : path
        Polygons (GeoPackage), one feature a hot spot. Without any the layer is empty.
    lower, upper : path, optional
        Limits of the slope; then each rate has limits too.
    report : path, optional
        Page with a map and a table.
    kind : {"depletion", "gain", "both"}
    p : float
        Cells count when their p value is below it.
    least_slope : float
        And when storage changes by at least so much, cm per year.
    minimum_area : float
        Smaller hot spots are left out, km2.
    connectivity : {4, 8}
        Whether cells that meet at a corner belong together.

    Raises
    ------
    InvalidParameter
        If a number is out of bounds, a unit is not known, or one limit is given alone.
    GridMismatch
        If the rasters are not on one grid.
    NoUsableData
        If no cell has a slope and a p value.

    Notes
    -----
    The rate is the sum of slope times true area. Its limits are the sums of the cells' limits: they hold where all cells of
    a hot spot err alike, and are wider than they need be where errors are independent.
    Windows keep to the memory budget; beside them some 20 bytes are held for each separate piece of a window.
    """
    say = Reporter(progress)
    rules = _rules(kind, p, least_slope, minimum_area, connectivity)
    require_geopackage(output)
    inputs = open_slopes(slope, p_value, lower, upper, memory_mb)
    say.say(f"{inputs.grid.describe()}; slopes in {inputs.unit}")
    with TemporaryDirectory(prefix="gwsa_") as folder:
        labels = Path(folder) / "labels.tif"
        parts = Path(folder) / "parts.gpkg"
        with create_raster(labels, inputs.grid, dtype="int32", nodata=0, quick=True) as writer:
            found = find_regions(inputs, rules, writer, say.part(0.0, 0.6))
            number_regions(inputs, found, writer, say.part(0.6, 0.8))
        found.rank_of = found.rank_of[:0]
        polygons = region_polygons(labels, parts, inputs.grid, found.count, say.part(0.8, 0.95))
        fields = (part.fields() for part in found.parts())
        with together() as outputs:
            write_features(output, polygons, ogr.wkbMultiPolygon, inputs.grid.crs, fields, "hot spots")
            if report:
                page = hotspot_page(found, rules, inputs, str(slope), kind)
                stage_text(outputs, report, page.render())
    say(1.0)
    _tell(found.totals, inputs, say)
    return HotSpotsResult(Path(output), Path(report) if report else None, found.largest, found.totals)


def _rules(kind: str, p: float, least_slope: float, minimum_area: float, connectivity: int) -> Rules:
    if kind not in KINDS:
        raise InvalidParameter(f"KIND is {kind!r}", f"give one of {', '.join(KINDS)}")
    if not 0 < p <= 1:
        raise InvalidParameter(f"P is {p}", "give a number above 0 and up to 1, such as 0.05")
    if not (np.isfinite(least_slope) and least_slope >= 0):
        raise InvalidParameter(f"LEAST_SLOPE is {least_slope} cm per year", "give a number of at least 0")
    if not (np.isfinite(minimum_area) and minimum_area >= 0):
        raise InvalidParameter(f"MINIMUM_AREA is {minimum_area} km2", "give a number of at least 0")
    if connectivity not in CONNECTIVITIES:
        raise InvalidParameter(f"CONNECTIVITY is {connectivity}", "give 4 or 8")
    return Rules(p, least_slope, KINDS[kind], connectivity, minimum_area)


def _tell(totals: dict[int, Total], inputs: SlopeInputs, say: Reporter) -> None:
    for kind, name in NAMES.items():
        if kind in totals:
            total = totals[kind]
            limits = f" ({total.lower:.4g} to {total.upper:.4g})" if inputs.has_limits else ""
            say.say(f"{total.count} hot spots of {name}: {total.area:.6g} km2, {total.rate:.4g} km3 a year{limits}")
    if not totals:
        say.warn("no hot spot was found: the layer is empty.")
