"""The sample region brought to the point where downscaling begins, by the library's own steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from gwsa_qgis.steps.accumulate import accumulate
from gwsa_qgis.steps.aquiferclasses import aquiferclasses
from gwsa_qgis.steps.basemask import basemask
from gwsa_qgis.steps.fillgaps import fillgaps
from gwsa_qgis.steps.glaciermask import glaciermask
from gwsa_qgis.steps.importgldas import importgldas
from gwsa_qgis.steps.importgrace import importgrace
from gwsa_qgis.steps.monthlystack import monthlystack
from gwsa_qgis.steps.preparepredictors import preparepredictors
from gwsa_qgis.steps.sampleregion import SampleRegionResult, sampleregion
from gwsa_qgis.steps.waterbalance import waterbalance
from gwsa_qgis.steps.watermask import watermask

SOIL = ("clay", "silt", "sand", "cfvo", "cec", "phh2o", "soc", "nitrogen")
PAPER = "paths.json"


@dataclass(frozen=True)
class Prepared:
    """Inputs of training and prediction, and the truth they are judged by.

    Attributes
    ----------
    truth, target, mascons, mask, classes, coarse_classes, fine, coarse : str
        Paths: fine true groundwater; coarse GWSA; mascon map; fine mask; classes; folders of predictors.
    factor : int
    """

    truth: str
    target: str
    mascons: str
    mask: str
    classes: str
    coarse_classes: str
    fine: str
    coarse: str
    factor: int


def prepare(folder: Path, seed: int, size: float = 12.0, say: Callable[[str], None] = print, **period: str) -> Prepared:
    """Make the region and everything that training needs; what an earlier call left whole is taken as it is."""
    record = folder / PAPER
    if record.is_file():
        return Prepared(**json.loads(record.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Sample region of seed {seed}")
    region = sampleregion(folder / "region", seed, size, **period)
    factor = json.loads(region.parameters.read_text())["factor"]
    target, mascons = _storage(region, folder)
    mask, classes, coarse_classes = _masks(region, folder, factor)
    fine, coarse = folder / "fine", folder / "coarse"
    preparepredictors(_predictors(region, folder), region.template_fine, factor, fine, coarse, mask=mask)
    paths = (region.truth, target, mascons, mask, classes, coarse_classes, fine, coarse)
    prepared = Prepared(*map(str, paths), factor)
    record.write_text(json.dumps(asdict(prepared)))
    return prepared


def _storage(region: SampleRegionResult, folder: Path) -> tuple[Path, Path]:
    names = ("twsa", "filled", "mascons", "sms", "swe", "cws", "gwsa")
    twsa, filled, mascons, sms, swe, cws, gwsa = (folder / f"{name}.tif" for name in names)
    importgrace(region.twsa, twsa, mascons=mascons, mascon_map=region.mascon_map, land_mask_file=region.land_mask)
    importgldas(region.gldas, sms, swe, cws, template=twsa)
    fillgaps(twsa, filled, mascons=mascons)
    waterbalance(filled, gwsa, observed=twsa, sms=sms, swe=swe, cws=cws)
    return gwsa, mascons


def _masks(region: SampleRegionResult, folder: Path, factor: int) -> tuple[Path, Path, Path]:
    names = ("water", "glaciers", "mask", "classes", "coarse_classes")
    water, glaciers, mask, classes, coarse_classes = (folder / f"{name}.tif" for name in names)
    watermask(region.surface_water, region.template_fine, water)
    glaciermask(region.glaciers, region.template_fine, glaciers)
    basemask([water, glaciers], mask)
    aquiferclasses(region.aquifers, region.template_fine, factor, classes, coarse_classes)
    return mask, classes, coarse_classes


def _predictors(region: SampleRegionResult, folder: Path) -> dict[str, str]:
    sources = {
        "TAS": (region.tas, "chelsa"),
        "PRE": (region.pr, "chelsa"),
        "SM": (region.soil_moisture, "generic"),
        "ET": (region.et, "pml"),
        "NDVI": ([*region.ndvi, *region.ndvi_quality], "mod13a1"),
        "LST": ([*region.lst, *region.lst_quality], "mod11a2"),
    }
    for name in SOIL:
        sources[name] = ([path for path in region.soilgrids if path.name.startswith(f"{name}_")], "soilgrids")
    inputs = {}
    for name, (paths, product) in sources.items():
        inputs[name] = str(folder / f"{name}.tif")
        monthlystack(paths, inputs[name], product=product)
    for name in ("PRE", "ET"):
        inputs[f"{name}_ACC"] = str(folder / f"{name}_ACC.tif")
        accumulate(inputs[name], inputs[f"{name}_ACC"])
    return inputs | {"DEM": str(region.elevation)}
