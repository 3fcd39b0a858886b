"""Mean map and latitude profile of files: plain loops, small memory, bad input."""

import csv

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.latitudeprofile import latitudeprofile

MONTHS = month_range("2002-04", "2008-12")
SHAPE = (83, 31)
GRID = Grid(-20.0, 41.5, 0.5, 1.0, SHAPE[1], SHAPE[0], geographic_crs())


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    random = np.random.default_rng(21)
    base = 6 * np.sin(np.deg2rad(4 * GRID.latitudes()))[:, None] + random.normal(0, 2, SHAPE)
    values = base + random.normal(0, 1, (MONTHS.size, *SHAPE))
    values[:, 10:14] = np.nan  # an ocean over whole bands
    values[:, :, 5] = np.nan
    values[:60, 40, 9] = np.nan  # a quarter of its months is left
    values[random.random(values.shape) < 0.02] = np.nan
    path = write_stack(tmp_path_factory.mktemp("profile") / "gwsa.tif", GRID, MONTHS, values, quantity="GWSA")
    return path, values.astype(np.float32)


def run(path, folder, **options):
    return latitudeprofile(
        path, folder / "mean.tif", **{"profile": folder / "p.csv", "report": folder / "p.html"} | options
    )


def plain_means(values, months=slice(None)):
    part = values[months].astype(float)
    count = np.isfinite(part).sum(axis=0)
    mean = np.where(np.isfinite(part), part, 0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count >= len(part) / 2, mean, np.nan)


def true_areas():
    edges = np.sin(np.deg2rad(41.5 - np.arange(SHAPE[0] + 1)))
    return (6371.0088**2 * np.deg2rad(0.5) * (edges[:-1] - edges[1:]))[:, None] * np.ones(SHAPE)


@pytest.mark.parametrize("height", [1.0, 7.5, 180.0])
def test_profile_equals_a_loop_over_bands(stack, tmp_path, height):
    path, values = stack
    result = run(path, tmp_path, band_height=height)
    with Raster(result.mean) as raster:
        mean = raster.read()[0]
        assert raster.unit() == "cm" and raster.descriptions() == ["mean, Apr 2002 to Dec 2008"]
    np.testing.assert_allclose(mean, plain_means(values), rtol=1e-6, atol=1e-6)
    assert np.isnan(mean[40, 9]) and np.isnan(mean[10:14]).all()
    with result.profile.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    area, numbers = true_areas(), np.floor(GRID.latitudes() / height).astype(int)
    expected = [number for number in np.unique(numbers)[::-1] if np.isfinite(mean[numbers == number]).any()]
    assert [round(float(row["south"]) / height) for row in rows] == expected
    for row, number in zip(rows, expected, strict=True):
        inside = np.isfinite(mean) & (numbers == number)[:, None]
        values_, weights = mean[inside].astype(float), area[inside]
        middle = np.average(values_, weights=weights)
        assert float(row["mean"]) == pytest.approx(middle, rel=1e-7, abs=1e-9)
        assert float(row["sd"]) == pytest.approx(
            np.sqrt(np.average((values_ - middle) ** 2, weights=weights)), rel=1e-6
        )
        assert float(row["area_km2"]) == pytest.approx(weights.sum(), rel=1e-8)
        assert int(row["pixels"]) == inside.sum()
        assert float(row["latitude"]) == pytest.approx((number + 0.5) * height)
        order = np.argsort(values_)
        reached = np.cumsum(np.rint(weights[order] * 1e6))
        for share in (10, 25, 50, 75, 90):
            value = values_[order][np.searchsorted(reached, share / 100 * reached[-1])]
            assert float(row[f"p{share}"]) == pytest.approx(value, rel=1e-8)
    valid = np.isfinite(mean)
    assert result.area_mean == pytest.approx(np.average(mean[valid].astype(float), weights=area[valid]), rel=1e-7)
    assert result.lowest.figures.mean == min(float(f) for f in [band.figures.mean for band in result.bands])
    assert result.pixels == valid.sum()


def test_periods_have_bands_and_profiles_of_their_own(stack, tmp_path):
    path, values = stack
    said = []
    periods = "2003/2004, 2007-03/2012-12"
    result = run(path, tmp_path, periods=periods, progress=lambda fraction, message: said.append(message))
    with Raster(result.mean) as raster:
        means, names = raster.read(), raster.descriptions()
    assert names == ["mean, Apr 2002 to Dec 2008", "mean, Jan 2003 to Dec 2004", "mean, Mar 2007 to Dec 2008"]
    for mean, months in zip(means, (slice(None), slice(9, 33), slice(59, None)), strict=True):
        np.testing.assert_allclose(mean, plain_means(values, months), rtol=1e-6, atol=1e-6)
    assert any("2007-03 to 2012-12 is cut to" in message for message in said)
    with result.profile.open(encoding="utf-8") as file:
        assert [*dict.fromkeys(row["period"] for row in csv.DictReader(file))] == [
            "2002-04 to 2008-12", "2003-01 to 2004-12", "2007-03 to 2008-12",
        ]  # fmt: skip
    page = result.report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3 and "Jan 2003 to Dec 2004" in page
    # its bands are no months
    with pytest.raises(InvalidMonths), MonthlyStack(result.mean):
        pass


def test_windows_and_workers_change_nothing(stack, tmp_path):
    whole = run(stack[0], tmp_path / "a", periods="2005")
    parts = run(stack[0], tmp_path / "b", periods="2005", memory_mb=0.02, workers=2)
    with Raster(whole.mean) as first, Raster(parts.mean) as second:
        np.testing.assert_array_equal(first.read(), second.read())
    assert whole.profile.read_text() == parts.profile.read_text()
    for one, other in zip(whole.bands, parts.bands, strict=True):
        np.testing.assert_array_equal(one.figures.quantiles, other.figures.quantiles)
        assert one.figures.mean == pytest.approx(other.figures.mean, rel=1e-13)


def test_south_names_and_empty_bands(stack, tmp_path):
    result = run(stack[0], tmp_path)
    assert [result.bands[0].name(), result.bands[-1].name()] == ["41 to 42 N", "40 to 41 S"]
    names = [band.name() for band in result.bands]
    assert "0 to 1 N" in names and "0 to 1 S" in names
    assert "30 to 31 N" not in names  # rows 10 to 13 are empty
    (whole,) = run(stack[0], tmp_path, band_height=180).bands[:1]
    assert whole.name() == "0 to 180 N"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"band_height": 0}, InvalidParameter, "BAND_HEIGHT is 0"),
        ({"band_height": 181}, InvalidParameter, "BAND_HEIGHT is 181"),
        ({"minimum_share": 1.5}, InvalidParameter, "MINIMUM_SHARE is 1.5"),
        ({"periods": "soon"}, InvalidMonths, "'soon' is no period"),
        ({"periods": "1990/1999"}, InvalidMonths, "no month of the period 1990-01 to 1999-12"),
        ({"minimum_share": 1.0, "periods": "2005"}, None, ""),
    ],
)
def test_options(stack, tmp_path, options, error, words):
    if error is None:
        assert run(stack[0], tmp_path / "out", **options).pixels > 0
        return
    with pytest.raises(error, match=words):
        run(stack[0], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_bad_stacks_and_cancelling_leave_no_file(stack, tmp_path):
    out = tmp_path / "out"
    empty = write_stack(tmp_path / "empty.tif", GRID, MONTHS, np.full((MONTHS.size, *SHAPE), np.nan))
    with pytest.raises(NoUsableData, match="no pixel of .*empty"):
        run(empty, out)
    undated = write_single(tmp_path / "undated.tif", GRID, np.zeros((3, *SHAPE), np.float32))
    with pytest.raises(InvalidMonths, match="no month on band 1"):
        run(undated, out)
    from osgeo import osr

    utm = osr.SpatialReference()
    utm.ImportFromEPSG(32633)
    metres = Grid(5e5, 5e6, 1e4, 1e4, 6, 6, utm.ExportToWkt())
    projected = write_stack(tmp_path / "projected.tif", metres, MONTHS, np.zeros((MONTHS.size, 6, 6)))
    with pytest.raises(GridMismatch, match="EPSG:32633.*rows have no latitude"):
        run(projected, out)

    for limit in (0.3, 0.95):

        def stop(fraction, message, limit=limit):
            if fraction > limit:
                raise Cancelled

        with pytest.raises(Cancelled):
            run(stack[0], out, memory_mb=0.05, progress=stop)
    assert not list(out.iterdir())
