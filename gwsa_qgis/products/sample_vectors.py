"""Vector files of the sample region: glacier outlines, aquifer polygons, basins, wells and their levels."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.rasters.gdal_setup import gdal, ogr, osr
from gwsa_qgis.science.twin import SPECIFIC_YIELD, Twin
from gwsa_qgis.science.twin_land import NORTH, WEST, RegionGrid
from gwsa_qgis.science.twin_wells import Wells

RGI_FIELDS = (
    ("rgi_id", "s"), ("o1region", "s"), ("o2region", "s"), ("glims_id", "s"), ("anlys_id", "i"), ("subm_id", "i"),
    ("src_date", "s"), ("cenlon", "r"), ("cenlat", "r"), ("utm_zone", "i"), ("area_km2", "r"), ("primeclass", "i"),
    ("conn_lvl", "i"), ("surge_type", "i"), ("term_type", "i"), ("glac_name", "s"), ("is_rgi6", "i"),
    ("termlon", "r"), ("termlat", "r"), ("zmin_m", "r"), ("zmax_m", "r"), ("zmed_m", "r"), ("zmean_m", "r"),
    ("slope_deg", "r"), ("aspect_deg", "r"), ("aspect_sec", "i"), ("dem_source", "s"), ("lmax_m", "i"),
)  # fmt: skip
HYGEO2_TEXT = {
    13: "major groundwater basin, 20-100 mm/a", 14: "major groundwater basin, 100-300 mm/a",
    23: "complex hydrogeological structure, 20-100 mm/a", 33: "local and shallow aquifers, < 100 mm/a", 88: "ice sheet",
}  # fmt: skip


def wgs84() -> osr.SpatialReference:
    """EPSG:4326 with longitude first."""
    system = osr.SpatialReference()
    system.ImportFromEPSG(4326)
    system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return system


def write_glaciers(twin: Twin, folder: Path) -> Path:
    """RGI 7 outlines: 3-D polygons, lower-case fields, one of them a bow tie as invalid outlines do occur."""
    path = folder / "RGI2000-v7.0-G-02_western_canada_usa.shp"
    dataset = _create("ESRI Shapefile", path)
    layer = dataset.CreateLayer(path.stem, wgs84(), ogr.wkbPolygon25D, ["DBF_DATE_LAST_UPDATE=2023-08-18"])
    _add_fields(layer, RGI_FIELDS)
    peak = float(twin.land.elevation.max())
    rings = [np.c_[ring, np.full(len(ring), peak - 40.0 * k)] for k, ring in enumerate(twin.land.glacier_rings)]
    rings[-1] = rings[-1][[0, 12, 6, 18]]  # crosses itself
    for k, ring in enumerate(rings):
        geometry = _polygon(ring)
        centre = ring.mean(0)
        squeeze = np.cos(np.radians(centre[1])) * 111.2**2
        values = {
            "rgi_id": f"RGI2000-v7.0-G-02-{k + 1:05d}", "o1region": "02", "o2region": "02-05", "anlys_id": 900000 + k,
            "src_date": "2000-08-15T00:00:00", "cenlon": centre[0], "cenlat": centre[1], "utm_zone": 13,
            "area_km2": geometry.GetArea() * squeeze, "glac_name": f"Sample Glacier {k + 1}", "is_rgi6": 0,
            "zmin_m": peak - 900, "zmax_m": peak - 40.0 * k, "zmean_m": peak - 400, "dem_source": "COPDEM30",
        }  # fmt: skip
        _add(layer, geometry, values)
    return path


def write_aquifers(twin: Twin, folder: Path) -> Path:
    """WHYMAP-like polygons with the class in ``HYGEO2``, generalised along the coast as the real ones are."""
    path = folder / "whymap_GW_aquifers_v1_poly.shp"
    grid = twin.land.grid
    memory = gdal.GetDriverByName("MEM").Create("", grid.pixels, grid.pixels, 2, gdal.GDT_Int16)
    memory.SetGeoTransform((WEST, 1 / grid.pixels_per_degree, 0, NORTH, 0, -1 / grid.pixels_per_degree))
    memory.SetProjection(wgs84().ExportToWkt())
    near_land = _grow(twin.land.land, grid.factor)
    memory.GetRasterBand(1).WriteArray(twin.land.aquifer)
    memory.GetRasterBand(2).WriteArray(near_land.astype(np.int16))
    dataset = _create("ESRI Shapefile", path)
    layer = dataset.CreateLayer(path.stem, wgs84(), ogr.wkbPolygon, ["DBF_DATE_LAST_UPDATE=2023-08-18"])
    _add_fields(layer, (("HYGEO2", "i"), ("CONTINENT", "i"), ("DESCR", "s")))
    gdal.Polygonize(memory.GetRasterBand(1), memory.GetRasterBand(2), layer, 0)
    for feature in layer:
        feature["CONTINENT"] = 3
        feature["DESCR"] = HYGEO2_TEXT[feature["HYGEO2"]]
        layer.SetFeature(feature)
    return path


def write_basins(grid: RegionGrid, folder: Path) -> Path:
    """Three river basins whose borders cross pixels."""
    path = folder / "basins.gpkg"
    shapes = {
        "Upper Basin": [(0.03, 0.04), (0.47, 0.06), (0.41, 0.52), (0.05, 0.47)],
        "Middle Basin": [(0.47, 0.06), (0.96, 0.11), (0.93, 0.53), (0.41, 0.52)],
        "Lower Basin": [(0.05, 0.47), (0.41, 0.52), (0.80, 0.525), (0.61, 0.86), (0.09, 0.93)],
    }
    dataset = _create("GPKG", path)
    layer = dataset.CreateLayer("basins", wgs84(), ogr.wkbPolygon)
    _add_fields(layer, (("basin_id", "i"), ("name", "s")))
    for k, (name, corners) in enumerate(shapes.items(), start=1):
        ring = np.array([(WEST + grid.size * x, NORTH - grid.size * y) for x, y in corners])
        _add(layer, _polygon(ring), {"basin_id": k, "name": name})
    return path


def write_wells(wells: Wells, folder: Path) -> dict[str, Path]:
    """Well points (GeoPackage and CSV) and the long table of depths to water."""
    paths = {"wells": folder / "wells.gpkg", "wells_csv": folder / "wells.csv", "levels": folder / "levels.csv"}
    dataset = _create("GPKG", paths["wells"])
    layer = dataset.CreateLayer("wells", wgs84(), ogr.wkbPoint)
    _add_fields(layer, (("station", "s"), ("lon", "r"), ("lat", "r"), ("specific_yield", "r")))
    layer.StartTransaction()
    for station, lon, lat in zip(wells.stations, wells.longitudes, wells.latitudes, strict=True):
        point = ogr.Geometry(ogr.wkbPoint)
        point.AddPoint_2D(float(lon), float(lat))
        _add(layer, point, {"station": station, "lon": lon, "lat": lat, "specific_yield": SPECIFIC_YIELD})
    layer.CommitTransaction()
    layer = dataset = None  # closes the file
    points = zip(wells.stations, wells.longitudes, wells.latitudes, strict=True)
    with paths["wells_csv"].open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["station", "lon", "lat"])
        table.writerows((station, f"{lon:.5f}", f"{lat:.5f}") for station, lon, lat in points)
    with paths["levels"].open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["station", "date", "depth_to_water_m"])
        table.writerows((wells.stations[w], f"{wells.months[m]}-15", f"{d:.3f}") for w, m, d in wells.readings)
    return paths


def _grow(mask: np.ndarray, pixels: int) -> np.ndarray:
    for _ in range(pixels):
        padded = np.pad(mask, 1, mode="edge")
        mask = mask | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    return mask


def _create(driver: str, path: Path):
    dataset = gdal.GetDriverByName(driver).Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    if dataset is None:
        raise OutputNotWritable(f"{path} cannot be made", "choose a folder you may write to")
    return dataset


def _add_fields(layer, fields) -> None:
    kinds = {"s": ogr.OFTString, "i": ogr.OFTInteger64, "r": ogr.OFTReal}
    for name, kind in fields:
        layer.CreateField(ogr.FieldDefn(name, kinds[kind]))


def _polygon(corners: np.ndarray):
    ring = ogr.Geometry(ogr.wkbLinearRing)
    for corner in [*corners, corners[0]]:
        if len(corner) == 3:
            ring.AddPoint(*map(float, corner))
        else:
            ring.AddPoint_2D(*map(float, corner))
    polygon = ogr.Geometry(ogr.wkbPolygon25D if corners.shape[1] == 3 else ogr.wkbPolygon)
    polygon.AddGeometry(ring)
    return polygon


def _add(layer, geometry, values: dict) -> None:
    feature = ogr.Feature(layer.GetLayerDefn())
    for name, value in values.items():
        feature[name] = value if isinstance(value, str | int) else float(value)
    feature.SetGeometry(geometry)
    layer.CreateFeature(feature)
