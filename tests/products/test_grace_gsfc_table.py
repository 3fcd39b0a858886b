"""GSFC's native mascons in HDF5: groups, 1 x n rows, capital U, days since "Jan 0, 2002", longitudes 0-360."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.products.grace import open_grace, recognise
from gwsa_qgis.products.grace_gsfc_table import global_grid, paint
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.importgrace import importgrace

gdal.UseExceptions()
NAME = "gsfc.glb_.200204_202603_rl06v2.0_obp-ice6gd.h5"
# first and last day of the data; both centres of the third and fourth lie in November
SPANS = [("2018-06-01", "2018-06-30"), ("2018-07-01", "2018-07-31"), ("2018-10-22", "2018-11-09")]
SPANS += [("2018-11-10", "2018-11-30")]
ORIGIN = np.datetime64("2001-12-31")


def mascons():
    """Equal-area mascons of about ten degrees, from south to north, round the Earth from an edge of their own."""
    rows = []
    for belt, latitude in enumerate(np.arange(-85.0, 90, 10)):
        count = max(round(36 * np.cos(np.deg2rad(latitude))), 1)
        width = 360 / count
        # half of the belts have a mascon across the seam at 0
        rows += [(latitude, 10.0, (k * width + (belt % 2) * width / 2) % 360, width) for k in range(count)]
    order = np.random.default_rng(1).permutation(len(rows))  # the agency's order follows regions
    return np.array(rows)[order].T


def table(path, spans=SPANS, days=True, drop=(), version="v2.0", scale=1.0):
    latitude, height, longitude, width = mascons()
    count, random = latitude.size, np.random.default_rng(3)
    first, last = (np.array([s[k] for s in spans], "datetime64[D]") for k in (0, 1))
    first, last = ((day - ORIGIN).astype(float) for day in (first, last))
    middle = np.floor((first + last) / 2 + 1)
    date = ORIGIN + middle.astype(int)
    year = date.astype("datetime64[Y]").astype(int) + 1970
    day = (date - date.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    values = scale * random.normal(0, 8, (count, len(spans)))
    arrays = {
        "mascon/lat_center": (latitude[None], "degrees"),
        "mascon/lat_span": (height[None], "degrees"),
        "mascon/lon_center": (longitude[None], "degrees"),
        "mascon/lon_span": (width[None], "degrees"),
        "mascon/area_km2": (np.full((1, count), 1.24e6), "km^2"),
        "mascon/labels": (np.arange(1.0, count + 1)[None], ""),
        "mascon/location": (np.array([80, 90, 1, 3, 4, 5, 80, 90])[np.arange(count) % 8][None].astype(float), ""),
        "mascon/basin": (np.full((1, count), 7001.0), ""),
        "solution/cmwe": (values, "cm"),
        "uncertainty/noise_2sigma": (np.abs(random.normal(0, 2, values.shape)), "cm"),
        "uncertainty/leakage_2sigma": (np.abs(random.normal(0, 1, (count, 1))), "cm"),
        "uncertainty/leakage_trend": (random.normal(0, 0.2, (count, 1)), "cm/yr"),
        "time/yyyy_doy_yrplot_middle": (np.stack([year, day, year + day / 365.25]).astype(float), ""),
        "time/n_ref_days_solution": ((last - first + 1)[None], "days"),
    }
    if days:
        arrays |= {f"time/ref_days_{n}": (v[None], "days") for n, v in
                   (("first", first), ("middle", middle), ("last", last))}  # fmt: skip
    write_groups(path, {k: v for k, v in arrays.items() if k not in drop}, {"solution": {"Version": version}})
    return path, {name: values for name, (values, _) in arrays.items()}


def write_groups(path, arrays, attributes):
    root = (dataset := gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(path))).GetRootGroup()
    real, text = gdal.ExtendedDataType.Create(gdal.GDT_Float64), gdal.ExtendedDataType.CreateString()
    groups = {name: root.CreateGroup(name) for name in dict.fromkeys(key.split("/")[0] for key in arrays)}
    sizes = {
        n: root.CreateDimension(f"phony_{n}", None, None, n) for n in {n for v, _ in arrays.values() for n in v.shape}
    }
    for key, (values, unit) in arrays.items():
        group, name = key.split("/")
        array = groups[group].CreateMDArray(name, [sizes[n] for n in values.shape], real)
        array.Write(np.ascontiguousarray(values))
        if unit:
            array.CreateAttribute("Units", [], text).Write(unit)
        del array
    for group, tags in attributes.items():
        for key, value in tags.items():
            groups[group].CreateAttribute(key, [], text).Write(value)
    sizes.clear(), groups.clear()
    del root, dataset


def holder(lon, lat):
    """Number of the mascon that holds a point, by the definition of its box; 0 if none does."""
    latitude, height, longitude, width = mascons()
    east = (lon - (longitude - width / 2)) % 360
    return int(np.flatnonzero((np.abs(lat - latitude) < height / 2) & (east < width))[0]) + 1


def test_painted_by_spans(tmp_path):
    path, arrays = table(tmp_path / NAME)
    assert recognise(path)
    at = {name: tmp_path / f"{name}.tif" for name in ("output", "uncertainty", "land_mask", "mascons")}
    messages = []
    result = importgrace(path, **at, cell_size=1, progress=lambda f, m: messages.append(m))
    assert (result.product, result.first, result.last) == ("GSFC native mascons", "2018-06", "2018-11")
    assert result.missing == ("2018-08", "2018-09") and result.mascon_count == arrays["mascon/labels"].size
    assert len(result.warnings) == 1 and "stands for 2018-10" in result.warnings[0]
    with MonthlyStack(at["output"]) as stack, MonthlyStack(at["uncertainty"]) as doubt:
        tws, sigma, grid = stack.read(), doubt.read(), stack.grid
        assert grid.shape == (180, 360) and grid.extent == (-180, -90, 180, 90)
        assert stack.unit() == "cm" and stack.baseline == "2004-01..2009-12"
        assert "half of noise_2sigma" in doubt.metadata()["GWSA_UNCERTAINTY"]
    with Raster(at["mascons"]) as ids, Raster(at["land_mask"]) as land:
        ids, land = ids.read()[0], np.isfinite(land.read()[0])
    plain = gdal.Open(f'NETCDF:"{path}":/solution/cmwe')  # GDAL's raster interface turns the table about
    theirs = plain.ReadAsArray() if plain is not None else arrays["solution/cmwe"]
    theirs = theirs if np.allclose(theirs, arrays["solution/cmwe"]) else theirs[::-1]
    random, bands = np.random.default_rng(6), {0: 0, 1: 1, 4: 2, 5: 3}
    for _ in range(20):
        row, column = int(random.integers(180)), int(random.integers(360))
        month, solution = list(bands.items())[random.integers(4)]
        mascon = holder(grid.longitudes()[column], grid.latitudes()[row])
        assert ids[row, column] == mascon
        assert tws[month, row, column] == np.float32(theirs[mascon - 1, solution])
        noise = arrays["uncertainty/noise_2sigma"][mascon - 1, solution]
        leakage = arrays["uncertainty/leakage_2sigma"][mascon - 1, 0]
        assert sigma[month, row, column] == pytest.approx((noise + leakage) / 2, rel=1e-6)
        assert land[row, column] == (arrays["mascon/location"][0, mascon - 1] in (1, 3, 5, 80))
    assert np.isfinite(tws[[0, 1, 4, 5]]).all()


def test_painting_of_every_cell():
    grid = global_grid(5)
    places = paint(grid, *mascons())
    every = [[holder(lon, lat) for lon in grid.longitudes()] for lat in grid.latitudes()]
    assert np.array_equal(places, every)
    places = paint(global_grid(1), *mascons())
    # areas of the mascons are those of their boxes
    latitude, _, _, width = mascons()
    cells = np.bincount(places.ravel(), minlength=latitude.size + 1)[1:]
    assert np.abs(cells - 10 * width).max() <= 10


def test_window_and_period_of_the_table(tmp_path):
    path, arrays = table(tmp_path / NAME)
    importgrace(path, tmp_path / "all.tif")
    importgrace(path, tmp_path / "t.tif", extent=(-10, 40, 10, 50), start="2018-07", end="2018-10", memory_mb=1)
    with MonthlyStack(tmp_path / "t.tif") as part, MonthlyStack(tmp_path / "all.tif") as whole:
        assert part.grid.shape == (20, 40) and part.grid.dx == 0.5
        there = whole.read(slice(80, 100), slice(340, 380), [1, 2, 3, 4])
        assert np.array_equal(part.read(), there, equal_nan=True)


def test_dates_without_reference_days(tmp_path):
    path, _ = table(tmp_path / NAME, days=False)
    with pytest.raises(InvalidMonths, match="two solutions in 2018-11.*DUPLICATES = average"):
        importgrace(path, tmp_path / "t.tif")
    result = importgrace(path, tmp_path / "t.tif", duplicates="average", cell_size=2)
    assert result.averaged == ("2018-11",) and result.missing == ("2018-08", "2018-09", "2018-10")
    with open_grace(table(tmp_path / f"x_{NAME}")[0]) as dated, open_grace(path) as plain:
        assert (dated.storage.times() == plain.storage.times()).all()
        assert str(dated.storage.times()[0]) == "2018-06-16T00:00:00"


def test_map_for_data_on_a_grid(tmp_path):
    """The native table may serve as the mascon map of a stack that was painted from it, and of no other."""
    path, _ = table(tmp_path / NAME)
    with open_grace(path, cell_size=2) as file:
        ids, grid = file.sheet("mascons").read()[0], file.storage.grid
        values = file.storage.read()
    root = (dataset := gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(tmp_path / "g.nc"))).GetRootGroup()
    real, text = gdal.ExtendedDataType.Create(gdal.GDT_Float64), gdal.ExtendedDataType.CreateString()
    axes = {
        "time": np.array([2018.4583, 2018.5417, 2018.7917, 2018.875]),
        "lat": grid.latitudes(),
        "lon": grid.longitudes(),
    }
    sizes = [root.CreateDimension(name, None, None, v.size) for name, v in axes.items()]
    for (name, v), size in zip(axes.items(), sizes, strict=True):
        root.CreateMDArray(name, [size], real).Write(v)
    array = root.CreateMDArray("twsa", sizes, real)
    array.CreateAttribute("Units", [], text).Write("cm")
    array.Write(values.astype(float))
    sizes.clear()
    del array, size, root, dataset
    result = importgrace(tmp_path / "g.nc", tmp_path / "t.tif", mascons=tmp_path / "m.tif", mascon_map=path)
    assert result.warnings == ()
    with Raster(tmp_path / "m.tif") as raster:
        _, expected = np.unique(ids, return_inverse=True)
        assert np.array_equal(raster.read()[0].ravel(), expected.ravel() + 1)


def test_faults_of_the_table(tmp_path):
    path, _ = table(tmp_path / NAME)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.95):
        (tmp_path / "cut.h5").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UnreadableInput, match="cut.h5 is not an HDF5 file that can be read.*fetch the file again"):
            importgrace(tmp_path / "cut.h5", tmp_path / "t.tif")
    with pytest.raises(UnreadableInput, match="none.h5 is not there"):
        importgrace(tmp_path / "none.h5", tmp_path / "t.tif")
    lacking, _ = table(tmp_path / "lacking.h5", drop=("mascon/lon_span",))
    with pytest.raises(UnreadableInput, match="lacking.h5 has no mascon/lon_span, which GSFC's mascon files have"):
        importgrace(lacking, tmp_path / "t.tif")
    with pytest.raises(InvalidParameter, match="CELL_SIZE is 0.7; give degrees that divide 180"):
        importgrace(path, tmp_path / "t.tif", cell_size=0.7)
    with pytest.raises(InvalidParameter, match="has no gain factors"):
        importgrace(path, tmp_path / "t.tif", gain_factors=True)
    quiet, _ = table(tmp_path / "quiet.h5", drop=tuple(f"uncertainty/{n}" for n in
                     ("noise_2sigma", "leakage_2sigma", "leakage_trend")))  # fmt: skip
    with pytest.raises(UnreadableInput, match="GSFC native mascons. has no uncertainty"):
        importgrace(quiet, tmp_path / "t.tif", uncertainty=tmp_path / "u.tif")
    thousands, _ = table(tmp_path / "thousands.h5", scale=1000)
    with pytest.raises(InvalidParameter, match="the unit contradicts the values"):
        importgrace(thousands, tmp_path / "t.tif")
    assert not list(tmp_path.glob("*.tif"))
    old, _ = table(tmp_path / f"a_{NAME}", version="v1.0")
    assert any("calls itself version 1.0" in text for text in importgrace(old, tmp_path / "t.tif").warnings)
    coarse = importgrace(path, tmp_path / "t.tif", cell_size=20)
    assert any("hold the centre of no cell of 20 degrees and are lost" in text for text in coarse.warnings)


def test_other_hdf5_is_refused(tmp_path):
    write_groups(tmp_path / "other.h5", {"grid/pr": (np.ones((4, 5)), "mm")}, {})
    with pytest.raises(UnreadableInput, match="no variables of terrestrial water storage"):
        importgrace(tmp_path / "other.h5", tmp_path / "t.tif")
