import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.products.point_layer import write_points
from gwsa_qgis.products.tables import months_of, read_table, to_number
from gwsa_qgis.products.wells import read_well_levels, read_well_points
from gwsa_qgis.rasters.grid import Grid, geographic_crs

GRID = Grid(-10.0, 60.0, 0.1, 0.1, 100, 100, geographic_crs())


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.5", 3.5),
        ("3,5", 3.5),
        (" -2 ", -2.0),
        ("1e2", 100.0),
        ("NA", None),
        ("", None),
        ("-9999", None),
        ("null", None),
    ],
)
def test_numbers(text, expected):
    number = to_number(text)
    assert np.isnan(number) if expected is None else number == expected


@pytest.mark.parametrize(
    ("texts", "expected", "yearly"),
    [
        (["2004-01-15", "2004-02-15"], ["2004-01", "2004-02"], False),
        (["2004-01", "2004/02"], ["2004-01", "2004-02"], False),
        (["200401", "200402"], ["2004-01", "2004-02"], False),
        (["15.01.2004", "03.02.2004"], ["2004-01", "2004-02"], False),
        (["01/15/2004", "02/03/2004"], ["2004-01", "2004-02"], False),
        (["2004-01-15T00:00:00", "2004-02-15 12:00"], ["2004-01", "2004-02"], False),
        (["2004", "2005"], ["2004-01", "2005-01"], True),
    ],
)
def test_dates(texts, expected, yearly):
    months, by_year = months_of(texts, "the dates")
    assert [str(month) for month in months] == expected
    assert by_year is yearly


def test_a_date_that_is_none_is_named():
    with pytest.raises(InvalidMonths, match="'soon'"):
        months_of(["2004-01", "soon"], "the dates")


def test_points_with_decimal_commas(tmp_path):
    path = write(tmp_path / "wells.csv", "location;lat;lon\nA;52,995632;6,415311\nB;48,9;-1,5\n")
    points = read_well_points(path, GRID)
    assert points.names == ["A", "B"]
    np.testing.assert_allclose(points.x, [6.415311, -1.5])
    np.testing.assert_allclose(points.y, [52.995632, 48.9])


def test_points_of_a_layer_are_brought_to_the_grid(tmp_path):
    from osgeo import osr

    utm = osr.SpatialReference()
    utm.ImportFromEPSG(32631)
    fields = {"station": ["A", "B"], "sy": np.array([0.1, np.nan])}
    path = write_points(tmp_path / "wells.gpkg", [500000.0, 500000.0], [0.0, 5000000.0], utm.ExportToWkt(), fields)
    points = read_well_points(f"{path}|layername=wells", GRID, yield_field="sy")
    np.testing.assert_allclose(points.x, [3, 3], atol=1e-9)
    np.testing.assert_allclose(points.y, [0, 45.1535], atol=1e-3)
    np.testing.assert_array_equal(points.specific_yield, [0.1, np.nan])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,height\nA,3\n", "looks like a longitude"),
        ("id,lon,lat\nA,1,2\nA,3,4\n", "doubled well names"),
        ("id,lon,lat\nA,east,2\n", "'east' in row 2"),
        ("id;lon;lat\nA;1\n", "row 2 of .* has 2 values"),
        ("id,lon,lat\n", "no row below"),
    ],
)
def test_bad_point_tables_are_named(tmp_path, text, words):
    with pytest.raises(UnreadableInput, match=words):
        read_well_points(write(tmp_path / "wells.csv", text), GRID)


def test_files_that_are_not_there(tmp_path):
    for name in ("none.csv", "none.gpkg"):
        with pytest.raises(UnreadableInput):
            read_well_points(tmp_path / name, GRID)


LONG = """station,date,depth_to_water_m
A,2004-01-03,2.0
A,2004-01-20,4.0
A,2004-03-01,NA
A,2004-03-02,5.0
B,2004-02-01,1.5
C,2004-02-01,9
"""
WIDE = "date,A,B,C\n2004-01-01,3.0,NA,1\n2004-02-01,NA,1.5,1\n2004-03-01,5.0,,1\n"
BY_WELL = "station;2004-01;2004-02;2004-03\nA;3,0;NA;5,0\nB;NA;1,5;\n"


@pytest.mark.parametrize("text", [LONG, WIDE, BY_WELL], ids=["long", "wide", "a well in each row"])
def test_all_layouts_say_the_same(tmp_path, text):
    found = read_well_levels(write(tmp_path / "levels.csv", text), ["A", "B"])
    np.testing.assert_allclose(found.levels, [[-300, np.nan, -500], [np.nan, -150, np.nan]])
    assert [str(month) for month in found.months] == ["2004-01", "2004-02", "2004-03"]
    assert found.duplicates == (1 if text is LONG else 0)
    assert not found.yearly


def test_heads_feet_and_years(tmp_path):
    path = write(tmp_path / "levels.csv", "StnID,IntegerYear,DepthToWater_m\nA,2004,10\nA,2005,11\n")
    found = read_well_levels(path, ["A"], kind="head", unit="ft")
    assert found.yearly
    assert [str(month) for month in found.months[[0, -1]]] == ["2004-07", "2005-07"]
    np.testing.assert_allclose(found.levels[0, [0, -1]], [304.8, 335.28])


def test_a_folder_of_tables(tmp_path):
    write(tmp_path / "Sweden_1_heads.csv", "Date,head\n2004-01-01,10\n2004-01-02,12\n")
    write(tmp_path / "Sweden_10_heads.csv", ",head\n2004-02-01,7\n")
    write(tmp_path / "README.md", "no table")
    found = read_well_levels(tmp_path, ["Sweden_1", "Sweden_10"], kind="head")
    np.testing.assert_allclose(found.levels, [[1100, np.nan], [np.nan, 700]])


def test_bad_levels_are_named(tmp_path):
    path = write(tmp_path / "levels.csv", LONG)
    with pytest.raises(NoUsableData, match="no reading of any"):
        read_well_levels(path, ["X"])
    with pytest.raises(InvalidParameter, match="kind is 'level'"):
        read_well_levels(path, ["A"], kind="level")
    with pytest.raises(InvalidParameter, match="unit is 'inch'"):
        read_well_levels(path, ["A"], unit="inch")
    with pytest.raises(UnreadableInput, match="no column 'nothing'"):
        read_well_levels(path, ["A"], value_field="nothing")


def test_binary_files_are_no_tables(tmp_path):
    (tmp_path / "levels.csv").write_bytes(b"\0\1\2\n\0")
    with pytest.raises(UnreadableInput, match="no text table"):
        read_table(tmp_path / "levels.csv")
