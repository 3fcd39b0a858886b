"""NetCDF files of the sample region, with the names, attributes and traps of the agencies' own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.months import days_in_month
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.science.twin import Twin
from gwsa_qgis.science.twin_fields import block_mean

EPOCH = np.datetime64("2002-01-01")
# the list of the CSR RL06.3 file as it stands, with one month twice
MONTHS_MISSING = (
    "2002-06;2002-07;2003-06;2011-01;2011-06;2012-05;2012-10;2013-03;2013-08;2013-09;2014-02;2014-07;2014-12;2015-06;"
    "2015-10;2015-11;2016-04;2016-09;2016-10;2017-02;2017-02;2017-07;2017-08;2017-09;2017-10;2017-11;2017-12;2018-01;"
    "2018-02;2018-03;2018-04;2018-05;2018-08;2018-09"
)
# solutions whose data do not span their calendar month: first day, day after the last
SHORT_SPANS = {
    "2002-04": ("2002-04-05", "2002-05-01"),
    "2002-05": ("2002-05-01", "2002-05-20"),
    "2003-05": ("2003-05-01", "2003-05-22"),
    "2004-01": ("2004-01-01", "2004-01-14"),
    "2011-11": ("2011-10-17", "2011-11-14"),  # its middle lies in October
    "2015-05": ("2015-04-12", "2015-05-12"),  # its middle lies in April
}
CSR_ATTRIBUTES = {
    "Conventions": "CF-1.6, ACDD-1.3, ISO 8601",
    "filename": "netcdf/CSR_GRACE_GRACE-FO_RL0603_Mascons_all-corrections.nc",
    "Metadata_Conventions": "Unidata Dataset Discovery v1.0",
    "standard_name_vocabulary": "NetCDF Climate and Forecast (CF) Metadata Convention-1.6",
    "title": "CSR GRACE and GRACE-FO MASCON RL0603M",
    "subtitle": "Synthetic sample region in the form of the RL06.3 product; no measurement",
    "platform": "GRACE and GRACE-FO",
    "institution": "gwsa sample region (synthetic)",
    "source": "GRACE and GRACE-FO CSR RL0603M Mascon",
    "product_version": "RL06.3",
    "time_epoch": "2002-01-01T00:00:00Z",
    "geospatial_lat_units": "degrees_north",
    "geospatial_lon_units": "degrees_east",
    "time_mean_removed": "2004.000 to 2009.999",
    "variable": "liquid water equivalent thickness",
    "label": "RL0603rc24cE",
    "Mask": "Global",
}
GLDAS_VARIABLES = {
    "SoilMoi0_10cm_inst": ("soil_moisture_content", "Soil moisture", "kg m-2"),
    "SoilMoi10_40cm_inst": ("soil_moisture_content", "Soil moisture", "kg m-2"),
    "SoilMoi40_100cm_inst": ("soil_moisture_content", "Soil moisture", "kg m-2"),
    "SoilMoi100_200cm_inst": ("soil_moisture_content", "Soil moisture", "kg m-2"),
    "SWE_inst": ("liquid_water_content_of_surface_snow", "Snow depth water equivalent", "kg m-2"),
    "CanopInt_inst": ("canopy_water_amount", "Plant canopy surface water", "kg m-2"),
    "Rainf_f_tavg": ("precipitation_flux", "Total precipitation rate", "kg m-2 s-1"),
    "Evap_tavg": ("water_evaporation_flux", "Evapotranspiration", "kg m-2 s-1"),
}


def observed(months: np.ndarray) -> np.ndarray:
    """Whether the gravity product has a solution for each month."""
    missing = np.array(MONTHS_MISSING.split(";"), dtype="datetime64[M]")
    return ~np.isin(months, missing)


def solution_spans(months: np.ndarray) -> np.ndarray:
    """Bounds of solutions in days since 2002-01-01, (months, 2)."""
    spans = np.stack([months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")], 1)
    for name, span in SHORT_SPANS.items():
        spans[months == np.datetime64(name)] = np.array(span, dtype="datetime64[D]")
    return (spans - EPOCH).astype(float)


def write_csr(twin: Twin, folder: Path) -> dict[str, Path]:
    """Write the mascon solutions, the mascon map and the land mask; returns their paths by name."""
    grid, land = twin.land.grid, twin.land
    kept = observed(twin.months)
    per_cell = np.searchsorted(twin.mascon_ids, land.mascon)
    lwe = twin.mascon_twsa[kept][:, per_cell][:, ::-1].astype(np.float32)
    spans = solution_spans(twin.months[kept])
    listed = np.array(MONTHS_MISSING.split(";"), dtype="datetime64[M]")
    in_span = (listed > twin.months[kept][0]) & (listed < twin.months[kept][-1])
    attributes = CSR_ATTRIBUTES | {
        "time_coverage_start": f"{EPOCH + int(spans[0, 0])}T00:00:00Z",
        "time_coverage_end": f"{EPOCH + int(spans[-1, 1]) - 1}T23:59:59Z",
        "months_missing": ";".join(str(month) for month in listed[in_span]),
        "geospatial_lat_min": str(grid.cell_latitudes[-1]),
        "geospatial_lat_max": str(grid.cell_latitudes[0]),
        "geospatial_lon_min": str(grid.cell_longitudes[0] + 360),
        "geospatial_lon_max": str(grid.cell_longitudes[-1] + 360),
    }
    paths = {
        "twsa": folder / "CSR_GRACE_GRACE-FO_RL0603_Mascons_all-corrections.nc",
        "mascon_map": folder / "CSR_GRACE_GRACE-FO_RL0603_mascons_mapping_file.nc",
        "land_mask": folder / "CSR_GRACE_GRACE-FO_RL06_Mascons_v02_LandMask.nc",
    }
    with _NetCDF(paths["twsa"], attributes) as file:
        time, bound = file.dimension("time", len(spans)), file.dimension("timebound", 2)
        lon, lat = _csr_axes(file, grid)
        file.array("time", [time], spans.mean(1).astype(np.float32), {
            "bounds": "time_bounds", "calendar": "gregorian", "axis": "T", "standard_name": "Time",
            "long_name": "Time", "Units": "days since 2002-01-01T00:00:00Z"})  # fmt: skip
        file.array("time_bounds", [time, bound], spans.astype(np.float32), {})
        file.array("lwe_thickness", [time, lat, lon], lwe, {
            "grid_mapping": "WGS84", "standard_name": "Liquid_Water_Equivalent_Thickness",
            "long_name": "Liquid_Water_Equivalent_Thickness", "Units": "cm"})  # fmt: skip
    for name, variable, values in (
        ("mascon_map", "mascon_id", land.mascon.astype(np.int32)),
        ("land_mask", "LO_val", land.land_cell.astype(np.float32)),
    ):
        with _NetCDF(paths[name], {"Conventions": "CF-1.6", "title": paths[name].stem}) as file:
            lon, lat = _csr_axes(file, grid)
            file.array(variable, [lat, lon], np.ascontiguousarray(values[::-1]), {"long_name": variable})
    return paths


def _csr_axes(file: _NetCDF, grid):
    lon, lat = file.dimension("lon", grid.cells), file.dimension("lat", grid.cells)
    for dimension, values, long_name, axis, units in (
        (lon, grid.cell_longitudes + 360, "Longitude", "X", "degrees_east"),
        (lat, grid.cell_latitudes[::-1], "Latitude", "Y", "degrees_north"),
    ):
        name = dimension.GetName()
        file.array(name, [dimension], values.astype(np.float32), {
            "bounds": f"{name}_bounds", "valid_max": np.float32(values.max()), "valid_min": np.float32(values.min()),
            "axis": axis, "standard_name": long_name, "long_name": long_name, "Units": units})  # fmt: skip
    return lon, lat


def write_gldas(twin: Twin, folder: Path) -> list[Path]:
    """Write one ``GLDAS_NOAH025_M.AYYYYMM.021.nc4`` a month; returns their paths, oldest first."""
    model, paths = twin.land_model, []
    seconds = days_in_month(twin.months) * 86400.0
    for t, month in enumerate(twin.months):
        values = dict(zip(list(GLDAS_VARIABLES)[:4], model["soil"][t], strict=True))
        values |= {"SWE_inst": model["snow"][t], "CanopInt_inst": model["canopy"][t]}
        values |= {"Rainf_f_tavg": model["rain"][t] / seconds[t], "Evap_tavg": model["evaporation"][t] / seconds[t]}
        path = folder / f"GLDAS_NOAH025_M.A{str(month).replace('-', '')}.021.nc4"
        _write_gldas_month(path, twin, month, values)
        paths.append(path)
    return paths


def _write_gldas_month(path: Path, twin: Twin, month: np.datetime64, values: dict[str, np.ndarray]) -> None:
    grid = twin.land.grid
    day = month.astype("datetime64[D]")
    # the land model leaves out the sea and the larger lakes
    modelled = twin.land.land_cell & (block_mean((twin.land.lake_level > 0).astype(float), grid.factor) < 0.5)
    attributes = {
        "missing_value": np.float32(-9999), "title": "GLDAS2.1 LIS land surface model output monthly mean",
        "institution": "gwsa sample region (synthetic)", "source": "Noah_v3.6", "conventions": "CF-1.6",
        "MAP_PROJECTION": "EQUIDISTANT CYLINDRICAL", "SOUTH_WEST_CORNER_LAT": np.float32(grid.cell_latitudes[-1]),
        "SOUTH_WEST_CORNER_LON": np.float32(grid.cell_longitudes[0]), "DX": np.float32(0.25), "DY": np.float32(0.25),
    }  # fmt: skip
    with _NetCDF(path, attributes) as file:
        time, lat = file.dimension("time", 1), file.dimension("lat", grid.cells)
        lon = file.dimension("lon", grid.cells)
        for dimension, centres, long_name in (
            (lat, grid.cell_latitudes[::-1], "latitude"), (lon, grid.cell_longitudes, "longitude")
        ):  # fmt: skip
            units = "degrees_north" if long_name == "latitude" else "degrees_east"
            file.array(dimension.GetName(), [dimension], centres.astype(np.float32), {
                "units": units, "standard_name": long_name, "long_name": long_name,
                "vmin": np.float32(centres.min()), "vmax": np.float32(centres.max())})  # fmt: skip
        since_2000 = float((day - np.datetime64("2000-01-01")).astype(int))
        file.array("time", [time], np.array([since_2000]), {
            "long_name": "time", "begin_date": str(day).replace("-", ""), "begin_time": "000000",
            "units": " days since 2000-01-01 00:00:00"})  # fmt: skip
        for name, (standard_name, long_name, units) in GLDAS_VARIABLES.items():
            layer = np.where(modelled, values[name], np.nan)[::-1]
            layer = np.where(np.isfinite(layer), layer, -9999).astype(np.float32)
            file.array(name, [time, lat, lon], layer[None], {
                "units": units, "standard_name": standard_name, "long_name": long_name,
                "cell_methods": "time: mean", "missing_value": np.float32(-9999)}, fill=-9999.0)  # fmt: skip


class _NetCDF:
    """Writes one NetCDF-4 file through GDAL's multidimensional interface, which leaves attribute names alone."""

    def __init__(self, path: Path, attributes: dict) -> None:
        self._path = path
        driver = gdal.GetDriverByName("netCDF")
        self._dataset = driver.CreateMultiDimensional(str(path)) if driver else None
        if self._dataset is None:
            raise OutputNotWritable(
                f"{path} cannot be made as NetCDF", "choose a folder you may write to, with a GDAL that has netCDF"
            )
        self._root = self._dataset.GetRootGroup()
        self._arrays: list = []
        for name, value in attributes.items():
            _set_attribute(self._root, name, value)

    def __enter__(self) -> _NetCDF:
        return self

    def __exit__(self, *_: object) -> None:
        self._arrays.clear()
        self._root = None
        self._dataset = None

    def dimension(self, name: str, size: int):
        return self._root.CreateDimension(name, "", "", size)

    def array(
        self,
        name: str,
        dimensions: list,
        values: np.ndarray,
        attributes: dict,
        fill: float | None = None,
        blocks: tuple[int, ...] = (),
    ) -> None:
        kinds = {"float32": gdal.GDT_Float32, "float64": gdal.GDT_Float64, "int32": gdal.GDT_Int32}
        kind = gdal.ExtendedDataType.Create(kinds[values.dtype.name])
        options = ["COMPRESS=DEFLATE", "ZLEVEL=1"] if values.ndim > 1 else []
        options += [f"BLOCKSIZE={','.join(map(str, blocks))}"] if blocks else []
        array = self._root.CreateMDArray(name, dimensions, kind, options)
        if array is None:
            raise OutputNotWritable(f"{self._path} cannot hold the variable {name}", "check the free space")
        if fill is not None:
            array.SetNoDataValueDouble(fill)
        for key, value in attributes.items():
            if key == "units":
                array.SetUnit(value)  # GDAL keeps this name to itself
            else:
                _set_attribute(array, key, value)
        if array.Write(np.ascontiguousarray(values)) != gdal.CE_None:
            raise OutputNotWritable(f"{self._path} could not be written", "check the free space and permissions")
        self._arrays.append(array)


def _set_attribute(owner, name: str, value: object) -> None:
    text = gdal.ExtendedDataType.CreateString()
    kind = text if isinstance(value, str) else gdal.ExtendedDataType.Create(gdal.GDT_Float32)
    attribute = owner.CreateAttribute(name, [], kind)
    attribute.Write(value if isinstance(value, str) else float(value))
