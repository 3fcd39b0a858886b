"""The published data set: months by year and place of the band, and nothing else."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, InvalidMonths, UnreadableInput
from gwsa_qgis.products import registry
from gwsa_qgis.products.paper_product import GWSA_PRODUCT
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack

gdal.UseExceptions()
GRID = Grid(10.0, 50.0, 1 / 120, 1 / 120, 4, 3, geographic_crs())


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(registry.PRODUCTS, GWSA_PRODUCT.name, GWSA_PRODUCT)


def yearly(path, bands, *, first=0.0, grid=GRID, unit="", names=(), nodata=-9999.0):
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), grid.columns, grid.rows, bands, gdal.GDT_Float32)
    dataset.SetGeoTransform(grid.transform)
    dataset.SetProjection(grid.crs)
    for number in range(bands):
        band = dataset.GetRasterBand(number + 1)
        values = np.full(grid.shape, first + number, np.float32)
        values[0, 0] = -9999.0 if nodata is not None else 1e30
        band.WriteArray(values)
        if nodata is not None:
            band.SetNoDataValue(nodata)
        if unit:
            band.SetUnitType(unit)
        if names:
            band.SetDescription(names[number])
    return path


@pytest.mark.parametrize("names", [("GWSA_2002.tif", "GWSA_2003.tif"), ("GWSA_200204.tif", "GWSA_200301.tif")])
def test_months_by_year_and_band(tmp_path, names):
    files = [yearly(tmp_path / names[0], 9), yearly(tmp_path / names[1], 12, first=100)]
    result = monthlystack(files[::-1], tmp_path / "o.tif", product="gwsa_product")
    assert (result.first, result.last, result.missing, result.unit) == ("2002-04", "2003-12", (), "cm")
    with MonthlyStack(tmp_path / "o.tif") as stack:
        data = stack.read()
    assert data[:, 1, 1].tolist() == [*range(9), *range(100, 112)] and np.isnan(data[:, 0, 0]).all()


def test_twelve_bands_in_2002_and_single_months(tmp_path):
    path = yearly(tmp_path / "GWSA_2002.tif", 12)
    assert monthlystack([path], tmp_path / "o.tif", product="gwsa_product").first == "2002-01"
    files = [yearly(tmp_path / f"GWSA_2005{m:02d}.tif", 1, first=m) for m in (3, 5)]
    result = monthlystack(files, tmp_path / "o.tif", product="gwsa_product")
    assert (result.first, result.last, result.missing) == ("2005-03", "2005-05", ("2005-04",))


def test_unit_of_the_file_counts(tmp_path):
    path = yearly(tmp_path / "GWSA_2004.tif", 12, unit="mm")
    assert monthlystack([path], tmp_path / "o.tif", product="gwsa_product").mean == pytest.approx(0.55)


def test_recognised_by_name():
    assert [GWSA_PRODUCT.recognise(n) for n in ("GWSA_2004.tif", "GWSA_200401.tif")] == [True, True]
    assert not any(
        GWSA_PRODUCT.recognise(n) for n in ("GWSA_200413.tif", "my_GWSA_2004.tif", "GWSA_2004.nc", "GWSA.tif")
    )


def test_bad_input(tmp_path):
    months = [f"2004-{m:02d}" for m in range(1, 13)]
    (tmp_path / "again").mkdir()
    good = yearly(tmp_path / "GWSA_2004.tif", 12, names=months)
    coarse = Grid(10.0, 50.0, 0.25, 0.25, 4, 3, geographic_crs())
    cases = [
        ([yearly(tmp_path / "GWSA_2003.tif", 9)], InvalidMonths, "has 9 bands, and 2003 has 12"),
        ([yearly(tmp_path / "GWSA_2002.tif", 8)], InvalidMonths, r"has 8 bands, and 2002 has 9 \(from April\) or 12"),
        ([yearly(tmp_path / "GWSA_2005.tif", 1)], InvalidMonths, "has 1 bands"),
        (
            [yearly(tmp_path / "GWSA_200604.tif", 12)],
            InvalidMonths,
            "names month 04, but its 12 bands begin in 2006-01",
        ),
        ([yearly(tmp_path / "GWSA_2007.tif", 12, names=months)], InvalidMonths, "band 1 of .* is 2007-01 .*'2004-01'"),
        ([good, yearly(tmp_path / "again/GWSA_2004.tif", 12)], InvalidMonths, "2004-01-01 is there twice"),
        ([yearly(tmp_path / "GWSA_2008.tif", 12, grid=coarse)], GridMismatch, "not on the published grid of 1/120 deg"),
        ([yearly(tmp_path / "GWSA_2009.tif", 12, unit="K")], UnreadableInput, "unit 'K', which is not known"),
        ([yearly(tmp_path / "GWSA_2010.tif", 12, nodata=None)], UnreadableInput, "fill value that it does not declare"),
        ([tmp_path / "GWSA_2011.tif"], UnreadableInput, "is not there"),
        ([yearly(tmp_path / "other.tif", 12)], UnreadableInput, "no name of a file of gwsa_product"),
    ]
    for inputs, error, words in cases:
        with pytest.raises(error, match=words):
            monthlystack(inputs, tmp_path / "o.tif", product="gwsa_product")
        assert not (tmp_path / "o.tif").exists()
