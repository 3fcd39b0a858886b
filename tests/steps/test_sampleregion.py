"""The sample region's files, read raw: names, codes, tags and traps are those of the agencies' files."""

import csv
import hashlib
import json

import numpy as np
import pytest
from osgeo import gdal, ogr

from gwsa_qgis.errors import Cancelled, OutputNotWritable
from gwsa_qgis.steps.sampleregion import sampleregion

gdal.UseExceptions()
ogr.UseExceptions()
SMALL = {"seed": 7, "size": 3, "factor": 4, "start": "2009-07", "end": "2011-12"}
MONTHS = np.arange(np.datetime64("2009-07"), np.datetime64("2012-01"))


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return sampleregion(tmp_path_factory.mktemp("sample") / "region", **SMALL)


def netcdf(path):
    """The dataset (to be kept alive) and its root group."""
    dataset = gdal.OpenEx(str(path), gdal.OF_MULTIDIM_RASTER)
    return dataset, dataset.GetRootGroup()


def attribute(owner, name):
    return owner.GetAttribute(name).Read()


def test_csr_file_has_native_names_units_and_longitudes(region):
    _dataset, root = netcdf(region.twsa)
    time = root.OpenMDArray("time")
    assert attribute(time, "Units") == "days since 2002-01-01T00:00:00Z"
    assert not [a.GetName() for a in time.GetAttributes() if a.GetName() == "units"]
    assert attribute(time, "bounds") == "time_bounds"
    lwe = root.OpenMDArray("lwe_thickness")
    assert attribute(lwe, "Units") == "cm"
    assert attribute(lwe, "grid_mapping") == "WGS84"
    assert [d.GetName() for d in lwe.GetDimensions()] == ["time", "lat", "lon"]
    longitudes, latitudes = root.OpenMDArray("lon").ReadAsArray(), root.OpenMDArray("lat").ReadAsArray()
    assert longitudes[0] == 254.125 and (np.diff(longitudes) == 0.25).all()
    assert latitudes[-1] == 41.875 and (np.diff(latitudes) == 0.25).all()
    assert lwe.ReadAsArray().dtype == np.float32


def test_csr_months_missing_and_the_solution_whose_middle_lies_in_the_month_before(region):
    _dataset, root = netcdf(region.twsa)
    middles = np.datetime64("2002-01-01") + root.OpenMDArray("time").ReadAsArray().astype(int)
    missing = attribute(root, "months_missing").split(";")
    assert missing == ["2011-01", "2011-06"]
    assert len(middles) == len(MONTHS) - 2
    by_middle = middles.astype("datetime64[M]").astype(str).tolist()
    assert by_middle.count("2011-10") == 2 and "2011-11" not in by_middle
    assert str(middles[-2]) == "2011-10-31"
    assert attribute(root, "time_coverage_start") == "2009-07-01T00:00:00Z"
    assert attribute(root, "time_coverage_end") == "2011-12-31T23:59:59Z"


def test_csr_list_of_the_whole_record_names_one_month_twice():
    from gwsa_qgis.products.sample_netcdf import MONTHS_MISSING, observed, solution_spans

    names = MONTHS_MISSING.split(";")
    assert len(names) == 34 and len(set(names)) == 33
    months = np.arange(np.datetime64("2002-04"), np.datetime64("2021-01"))
    assert observed(months).sum() == 225 - 33
    middles = solution_spans(months[observed(months)]).mean(1)
    # the values printed in the header of the agency's file
    assert middles[:10].tolist() == [107.0, 129.5, 227.5, 258.0, 288.5, 319.0, 349.5, 380.5, 410.0, 439.5]
    assert np.datetime64("2002-01-01") + 4864 == np.datetime64("2015-04-27")
    assert 4864.0 in middles.tolist()


def test_every_mascon_repeats_one_value_and_the_map_names_it(region):
    _one, root = netcdf(region.twsa)
    _two, map_root = netcdf(region.mascon_map)
    _three, mask_root = netcdf(region.land_mask)
    lwe, ids = root.OpenMDArray("lwe_thickness").ReadAsArray(), map_root.OpenMDArray("mascon_id").ReadAsArray()
    for one in np.unique(ids):
        assert (np.ptp(lwe[:, ids == one], axis=1) == 0).all()
    assert np.unique(lwe[0]).size == np.unique(ids).size
    assert set(np.unique(mask_root.OpenMDArray("LO_val").ReadAsArray())) <= {0.0, 1.0}


def test_gldas_months_have_native_names_units_and_fill(region):
    assert [path.name for path in region.gldas][:2] == [f"GLDAS_NOAH025_M.A2009{m}.021.nc4" for m in ("07", "08")]
    assert len(region.gldas) == len(MONTHS)
    _dataset, root = netcdf(region.gldas[0])
    for name in ("SoilMoi0_10cm_inst", "SoilMoi10_40cm_inst", "SoilMoi40_100cm_inst", "SoilMoi100_200cm_inst"):
        layer = root.OpenMDArray(name)
        assert layer.GetUnit() == "kg m-2"
        assert layer.GetNoDataValue() == -9999
        values = layer.ReadAsArray()
        assert values.min() == -9999 and 3 < values[values > -9999].mean() < 400
    assert root.OpenMDArray("time").GetUnit().startswith(" days since")
    rain = root.OpenMDArray("Rainf_f_tavg").ReadAsArray()[0, ::-1]
    assert root.OpenMDArray("lon").ReadAsArray()[0] == -105.875
    monthly = rain[0, 0] * 86400 * 31
    chelsa = gdal.Open(str(region.pr[0])).ReadAsArray()[:4, :4].mean() * 0.01
    assert monthly == pytest.approx(chelsa, rel=0.35)


def test_chelsa_tags_decode_to_degrees_and_millimetres(region):
    dataset = gdal.Open(str(region.tas[0]))
    band = dataset.GetRasterBand(1)
    assert region.tas[0].name == "CHELSA_tas_07_2009_V.2.1.tif"
    assert (band.GetScale(), band.GetOffset()) == (0.1, -273.15)
    raw = dataset.ReadAsArray().astype(float)
    celsius = raw[raw != 65535] * band.GetScale() + band.GetOffset()
    assert 5 < celsius.mean() < 35
    assert dataset.GetGeoTransform()[0] == pytest.approx(-106.000139, abs=1e-9)
    rain = gdal.Open(str(region.pr[0]))
    assert rain.GetRasterBand(1).GetScale() == 0.01
    assert 10 < rain.ReadAsArray().astype(float)[raw != 65535].mean() * 0.01 < 300


def test_composites_are_named_by_their_first_day_and_start_anew_each_january(region):
    names = {}
    for kind, paths in (("et", region.et), ("ndvi", region.ndvi), ("lst", region.lst)):
        found = []
        for path in paths:
            dataset = gdal.Open(str(path))
            found += [dataset.GetRasterBand(k + 1).GetDescription() for k in range(dataset.RasterCount)]
        names[kind] = found
    assert names["et"] == names["lst"]
    assert names["ndvi"][0] == "2009-06-26" and names["et"][0] == "2009-06-26"
    assert names["et"][-1] == "2011-12-27" and "2010-01-01" in names["et"] and "2010-12-27" in names["et"]
    assert len([n for n in names["et"] if n.startswith("2010")]) == 46
    assert len([n for n in names["ndvi"] if n.startswith("2010")]) == 23


def test_modis_codes_and_quality_agree(region):
    value = gdal.Open(str(region.ndvi[1])).ReadAsArray()
    quality = gdal.Open(str(region.ndvi_quality[1])).ReadAsArray()
    assert value.dtype == np.int16 and set(np.unique(quality)) <= {0, 1, 2, 3, 255}
    assert ((value == -3000) == (quality == 255)).all()
    assert value[quality == 0].min() >= -2000 and value.max() <= 10000
    assert value[quality == 3].mean() < value[quality == 0].mean() - 500  # cloud is brown
    lst = gdal.Open(str(region.lst[1])).ReadAsArray()
    control = gdal.Open(str(region.lst_quality[1])).ReadAsArray()
    assert ((lst == 0) == (control & 3 == 2)).all()
    assert 250 < lst[lst > 0].mean() * 0.02 < 320
    assert gdal.Open(str(region.lst[1])).GetRasterBand(1).GetNoDataValue() is None


def test_soil_and_elevation_use_mapped_units(region):
    assert len(region.soilgrids) == 24
    layers = {p.name: gdal.Open(str(p)).ReadAsArray().astype(float) for p in region.soilgrids}
    good = np.all([layer != -32768 for layer in layers.values()], axis=0)
    texture = sum(layers[f"{name}_5-15cm_mean.tif"] for name in ("clay", "silt", "sand"))[good]
    assert np.abs(texture - 1000).max() <= 2  # g/kg
    assert 40 <= layers["phh2o_0-5cm_mean.tif"][good].mean() <= 95
    assert gdal.Open(str(region.elevation)).ReadAsArray().max() > 1000


def test_water_classes_come_in_two_tiles_without_a_nodata_tag(region):
    names = [p.name for p in region.surface_water]
    assert names[:2] == [f"yearlyClassification2009-0000000000-{c:010d}.tif" for c in (0, 96)]
    left, right = gdal.Open(str(region.surface_water[0])), gdal.Open(str(region.surface_water[1]))
    assert left.GetRasterBand(1).GetNoDataValue() is None
    assert right.GetGeoTransform()[0] == pytest.approx(left.GetGeoTransform()[0] + 96 * left.GetGeoTransform()[1])
    both = np.hstack([left.ReadAsArray(), right.ReadAsArray()])
    assert both.shape == (192, 192) and {1, 2, 3} <= set(np.unique(both)) <= {0, 1, 2, 3}


def test_glaciers_are_three_dimensional_and_one_is_invalid(region):
    dataset = ogr.Open(str(region.glaciers))
    layer = dataset.GetLayer(0)
    geometries = [feature.GetGeometryRef().Clone() for feature in layer]
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    invalid = sum(not geometry.IsValid() for geometry in geometries)
    gdal.PopErrorHandler()
    assert all(geometry.Is3D() for geometry in geometries) and invalid == 1
    names = [layer.GetLayerDefn().GetFieldDefn(k).GetName() for k in range(layer.GetLayerDefn().GetFieldCount())]
    assert names[:3] == ["rgi_id", "o1region", "o2region"] and "area_km2" in names and "glac_name" in names


def test_aquifers_have_the_class_field(region):
    dataset = ogr.Open(str(region.aquifers))
    classes = {feature["HYGEO2"] for feature in dataset.GetLayer(0)}
    assert {13, 14, 23, 33} <= classes <= {13, 14, 23, 33, 88}


def test_wells_and_levels_are_one_table_each(region):
    with region.levels.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["station", "date", "depth_to_water_m"]
    dataset = ogr.Open(str(region.wells))
    stations = {feature["station"] for feature in dataset.GetLayer(0)}
    assert len(stations) == 250 and {row["station"] for row in rows} <= stations
    assert all(row["date"][:7] in MONTHS.astype(str) for row in rows[:500])


def test_truth_is_a_monthly_stack_on_the_fine_template(region):
    truth, template = gdal.Open(str(region.truth)), gdal.Open(str(region.template_fine))
    described = [truth.GetRasterBand(k + 1).GetDescription() for k in range(truth.RasterCount)]
    assert described == MONTHS.astype(str).tolist()
    assert truth.GetRasterBand(1).GetUnitType() == "cm" and np.isnan(truth.GetRasterBand(1).GetNoDataValue())
    assert truth.GetGeoTransform() == template.GetGeoTransform() == (-106, 0.0625, 0, 42, 0, -0.0625)
    assert (truth.RasterXSize, truth.RasterYSize) == (48, 48)
    coarse = gdal.Open(str(region.template_coarse))
    assert coarse.GetGeoTransform()[1] == 0.25 and coarse.RasterXSize == 12
    baseline = np.datetime64("2010-01") > MONTHS
    values = truth.ReadAsArray()
    assert np.nanmax(np.abs(values[baseline].mean(0))) < 2e-3


def test_region_json_and_result_tell_the_truth(region):
    described = json.loads(region.parameters.read_text())
    assert described["factor"] == 4 and described["months"] == len(MONTHS)
    for value in vars(region).values():
        for path in value if isinstance(value, list) else [value]:
            assert path.exists()


def test_same_seed_same_bytes_and_an_earlier_region_is_replaced(region, tmp_path):
    tiny = SMALL | {"size": 2, "factor": 2, "start": "2009-11", "end": "2010-01"}
    digests = []
    for _ in range(2):
        made = sampleregion(tmp_path / "again", **tiny)
        files = sorted(p for p in made.folder.rglob("*") if p.is_file())
        digests.append({str(p.relative_to(made.folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    assert digests[0] == digests[1]
    assert [p.name for p in tmp_path.iterdir()] == ["again"]


def test_a_folder_of_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputNotWritable, match="no sample region"):
        sampleregion(tmp_path, **SMALL)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputNotWritable, match="is a file"):
        sampleregion(tmp_path / "taken", **SMALL)
    with pytest.raises(OutputNotWritable, match="cannot be written"):
        sampleregion(tmp_path / "taken" / "below", **SMALL)


@pytest.mark.parametrize("stop_at", [0.1, 0.6])
def test_cancelling_leaves_nothing_behind(tmp_path, stop_at):
    def progress(share, _message):
        if share >= stop_at:
            raise Cancelled

    with pytest.raises(Cancelled):
        sampleregion(tmp_path / "region", progress=progress, **(SMALL | {"size": 2, "factor": 2}))
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(tmp_path):
    shares = []
    tiny = SMALL | {"size": 2, "factor": 2, "start": "2009-11", "end": "2010-01"}
    sampleregion(tmp_path / "region", progress=lambda share, _message: shares.append(share), **tiny)
    assert shares == sorted(shares) and shares[-1] == 1
