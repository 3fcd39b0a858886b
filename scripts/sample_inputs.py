"""Inputs of the complete chain in a folder that the sample region was made in, as the tutorial lists them."""

from __future__ import annotations

import json
from pathlib import Path


def chain_inputs(region: Path) -> dict[str, object]:
    """Values of the model's inputs by their names; a list where it takes several files. FACTOR is the region's own."""

    def one(folder: str, pattern: str) -> str:
        return str(next((region / folder).glob(pattern)))

    return {
        "GRACE": one("grace", "CSR_*all-corrections.nc"),
        "MASCON_MAP": one("grace", "*mapping_file.nc"),
        "LAND_MASK_FILE": one("grace", "*LandMask.nc"),
        "GLDAS": str(region / "gldas"),
        "CHELSA": str(region / "chelsa"),
        "SOIL_MOISTURE": str(region / "sm"),
        "EVAPOTRANSPIRATION": str(region / "pml"),
        "NDVI": str(region / "mod13a1"),
        "LST": str(region / "mod11a2"),
        "SOIL": str(region / "soilgrids"),
        "ELEVATION": one("gmted", "*.tif"),
        "WATER": sorted(str(path) for path in (region / "jrc_gsw").glob("*.tif")),
        "GLACIERS": one("rgi", "*.shp"),
        "AQUIFERS": one("whymap", "*.shp"),
        "TEMPLATE": str(region / "templates" / "template_fine.tif"),
        "FACTOR": json.loads((region / "region.json").read_text())["factor"],
    }
