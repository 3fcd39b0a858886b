"""Pumping fingerprint: bilinear background against GDAL and a loop, a common baseline, the trend's own maps, warnings."""

import subprocess
import sys

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import Cancelled, GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_month, month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.attribution import attribution
from gwsa_qgis.steps.trend import trend

gdal.UseExceptions()
MONTHS, MODEL_MONTHS = month_range("2002-04", "2015-12"), month_range("2000-01", "2014-12")
COMMON = month_range("2002-04", "2014-12")
FINE = Grid(70.1, 31.7, 0.1, 0.1, 23, 18, geographic_crs())
COARSE = Grid(69.0, 33.0, 0.5, 0.5, 9, 9, geographic_crs())
NATURAL = {"GWSA_SOURCE": "watergap2-2e_gswp3-w5e5_obsclim_nosoc_default_groundwstor_global_monthly_1901_2019.nc"}


def climate(months, shape, seed):
    random = np.random.default_rng(seed)
    time = np.arange(months.size)[:, None, None]
    season = 3 * np.cos(2 * np.pi * calendar_month(months)[:, None, None] / 12)
    return season * random.uniform(0.5, 1.5, shape) + random.uniform(-0.02, 0.02, shape) * time


@pytest.fixture
def files(tmp_path):
    """GWSA in cm with a pumped corner, holes and a filled month; a background in mm with a level and sea cells."""
    random = np.random.default_rng(5)
    total = climate(MONTHS, FINE.shape, 1) + random.normal(0, 1, (MONTHS.size, *FINE.shape))
    total[:, :9, :10] -= 0.15 * np.arange(MONTHS.size)[:, None, None]
    total[:, 2, 3] = np.nan
    total[40:, 4, 4] = np.nan
    total[[50, 51]] = np.nan
    filled = np.zeros(MONTHS.size, bool)
    filled[[30, 31]] = True
    natural = (
        10 * climate(MODEL_MONTHS, COARSE.shape, 2) + 4000 + random.normal(0, 3, (MODEL_MONTHS.size, *COARSE.shape))
    )
    natural[:, 5:, 5:] = np.nan
    natural[60, 3, 3] = np.nan
    paths = {
        "gwsa": write_stack(tmp_path / "gwsa.tif", FINE, MONTHS, total, quantity="GWSA", filled=filled),
        "background": write_stack(
            tmp_path / "nosoc.tif", COARSE, MODEL_MONTHS, natural, unit="mm", quantity="groundwstor", metadata=NATURAL
        ),
    }
    return paths, total.astype(np.float32), natural.astype(np.float32)


def run(paths, folder, **options):
    names = ("residual", "slope", "p_value", "classes")
    outputs = {name: folder / f"{name}.tif" for name in names} | {
        "report": folder / "page.html",
        "stipples": folder / "dots.gpkg",
    }
    return attribution(**{**paths, **outputs, **options})


def places(path):
    """Coordinates of the points of a file."""
    dataset = gdal.OpenEx(str(path))
    return [feature.GetGeometryRef().ExportToWkt() for feature in dataset.GetLayer(0)]


def interpolate(values):
    """Bilinear means of the valid ones among four cells, written out cell by cell; (months, rows, columns), cm."""
    out = np.full((len(values), *FINE.shape), np.nan)
    for row, latitude in enumerate(FINE.latitudes()):
        for column, longitude in enumerate(FINE.longitudes()):
            y, x = (COARSE.north - latitude) / COARSE.dy - 0.5, (longitude - COARSE.west) / COARSE.dx - 0.5
            top, left = int(np.floor(y)), int(np.floor(x))
            total, weight = np.zeros(len(values)), np.zeros(len(values))
            for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
                share = (y - top if down else 1 - y + top) * (x - left if right else 1 - x + left)
                cell = values[:, top + down, left + right].astype(float)
                total += np.where(np.isfinite(cell), cell * share, 0)
                weight += np.where(np.isfinite(cell), share, 0)
            out[:, row, column] = np.where(weight > 0, total / np.where(weight > 0, weight, 1), np.nan)
    return out / 10


def expected_residual(total, natural):
    ours, theirs = total[: COMMON.size].astype(float), interpolate(natural)[27:]
    baseline = (np.datetime64("2004-01") <= COMMON) & (np.datetime64("2009-12") >= COMMON)
    baseline[[30, 31]] = False  # filled
    out = np.full(ours.shape, np.nan)
    for row, column in np.ndindex(*FINE.shape):
        both = np.isfinite(ours[:, row, column]) & np.isfinite(theirs[:, row, column])
        if (both & baseline).any():
            parts = [part[:, row, column] for part in (ours, theirs)]
            centred = [np.where(both, part - part[both & baseline].mean(), np.nan) for part in parts]
            out[:, row, column] = centred[0] - centred[1]
    return out


def test_residual_equals_a_loop_over_pixels(files, tmp_path):
    paths, total, natural = files
    result = run(paths, tmp_path / "out")
    with MonthlyStack(result.residual) as stack:
        np.testing.assert_allclose(stack.read(), expected_residual(total, natural), atol=2e-4)
        assert (stack.months == COMMON).all() and stack.unit() == "cm" and stack.baseline == "2004-01 to 2009-12"
        assert np.flatnonzero(stack.filled).tolist() == [30, 31]
        assert stack.metadata()["GWSA_BACKGROUND"] == NATURAL["GWSA_SOURCE"]
        assert np.isnan(stack.read()[:, 2, 3]).all() and np.isfinite(stack.read()[0, 4, 4])


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_background_is_interpolated_as_gdal_does(files, tmp_path):
    """With GWSA zero, the residual is the background's anomaly, turned: here GDAL's own warper gives the background."""
    paths, _, natural = files
    zero = write_stack(tmp_path / "zero.tif", FINE, MONTHS, np.zeros((MONTHS.size, *FINE.shape)))
    result = run(paths | {"gwsa": zero}, tmp_path / "out")
    west, south, east, north = FINE.extent
    warped = gdal.Warp(
        "", str(paths["background"]), format="MEM", outputBounds=(west, south, east, north), width=23, height=18,
        resampleAlg="bilinear", errorThreshold=0, warpOptions=["UNIFIED_SRC_NODATA=NO"],
    ).ReadAsArray()[27:].astype(float)  # fmt: skip
    baseline = (np.datetime64("2004-01") <= COMMON) & (np.datetime64("2009-12") >= COMMON)
    anomaly = (warped - np.nanmean(np.where(baseline[:, None, None], warped, np.nan), axis=0)) / 10
    with MonthlyStack(result.residual) as stack:
        np.testing.assert_allclose(stack.read(), -anomaly, atol=2e-4)


def test_trend_maps_are_those_of_the_residual(files, tmp_path):
    paths, *_ = files
    result = run(paths, tmp_path / "out", unit="year")
    own = trend(
        result.residual,
        tmp_path / "s.tif",
        tmp_path / "p.tif",
        classes=tmp_path / "c.tif",
        unit="year",
        stipples=tmp_path / "d.gpkg",
        stipple_p=0.01,
    )
    for ours, theirs in ((result.slope, own.slope), (result.p_value, own.p_value), (result.classes, own.classes)):
        np.testing.assert_array_equal(read_single(ours)[0], read_single(theirs)[0])
    assert result.area_shares == own.area_shares and result.mean_slope == own.mean_slope
    assert result.pixels == own.pixels
    dots = [places(path) for path in (result.stipples, own.stipples)]
    assert dots[0] == dots[1] and dots[0]
    slope = read_single(result.slope)[0]
    assert np.nanmedian(slope[:9, :10]) == pytest.approx(-1.8, abs=0.3)  # the pumped corner
    assert abs(np.nanmedian(slope[10:, 11:])) < 0.5


def test_trends_of_the_means_are_those_of_averaged_series(files, tmp_path):
    reference = pytest.importorskip("pymannkendall")
    paths, total, natural = files
    result = run(paths, tmp_path / "out", deseasonalise=False, correction="none")
    residual = expected_residual(total, natural)
    valid = np.isfinite(residual)
    weights = np.where(valid, np.cos(np.deg2rad(FINE.latitudes()))[:, None], 0)
    mean = np.nansum(residual * weights, axis=(1, 2)) / np.where(
        valid.any(axis=(1, 2)), weights.sum(axis=(1, 2)), np.nan
    )
    known = np.flatnonzero(np.isfinite(mean))
    pairs = [(mean[j] - mean[i]) / (j - i) for a, i in enumerate(known) for j in known[a + 1 :]]
    assert result.residual_trend.slope == pytest.approx(np.median(pairs), rel=1e-3)
    assert result.residual_trend.p_plain == pytest.approx(reference.original_test(mean[known]).p, rel=1e-6, abs=1e-12)
    assert result.residual_trend.lower < result.residual_trend.slope < result.residual_trend.upper
    difference = result.gwsa_trend.slope - result.background_trend.slope
    assert difference == pytest.approx(result.residual_trend.slope, abs=0.01)


@pytest.mark.parametrize(
    ("name", "tag", "use", "words"),
    [
        ("nosoc.tif", NATURAL["GWSA_SOURCE"], "natural", ""),
        (
            "nosoc.tif",
            NATURAL["GWSA_SOURCE"].replace("nosoc", "histsoc"),
            "human",
            "human water use: pumping is already",
        ),
        ("b.tif", "GLDAS_CLSM025_DA1_D.A20040101.022.nc4", "assimilated", "assimilates GRACE"),
        ("h08_x_1901soc_groundwstor.tif", "", "natural", "withdrawn"),
        ("model_histsoc_groundwstor.tif", "", "human", "pumping is already inside"),
        ("background.tif", "", "unknown", "does not say whether human water use is inside"),
    ],
)
def test_background_that_may_hold_pumping_is_warned_of(files, tmp_path, name, tag, use, words):
    paths, _, natural = files
    tags = {"GWSA_SOURCE": tag} if tag else {}
    (tmp_path / "other").mkdir()
    other = write_stack(
        tmp_path / "other" / name, COARSE, MODEL_MONTHS, natural, unit="mm", quantity="groundwstor", metadata=tags
    )
    said = []
    result = run(
        paths | {"background": other}, tmp_path / "out", progress=lambda fraction, message: said.append(message)
    )
    warnings = [message for message in said if message.startswith("Warning: background")]
    assert result.human_use == use and bool(warnings) == bool(words)
    assert all(words in message for message in warnings)
    page = result.report.read_text(encoding="utf-8")
    assert words in page and ("no human water use" in page) == (use == "natural")


def test_stack_made_by_monthlystack_keeps_the_runs_name(tmp_path, files):
    from gwsa_qgis.steps.monthlystack import monthlystack

    paths, *_ = files
    source = tmp_path / "cwatm_gswp3_histsoc_groundwstor_monthly.tif"
    source.write_bytes(paths["background"].read_bytes())
    monthlystack([source], tmp_path / "renamed.tif", product="generic")
    result = run(paths | {"background": tmp_path / "renamed.tif"}, tmp_path / "out")
    assert result.human_use == "human"


def test_what_is_found_is_told(files, tmp_path):
    said = []
    result = run(files[0], tmp_path / "out", progress=lambda fraction, message: said.append(message))
    text = "\n".join(said)
    assert "Warning: GWSA is cut to the months that the background has too, 2002-04 to 2014-12 (153 months)" in text
    assert "interpolated bilinearly from cells 5 times as wide" in text
    assert "nosoc.tif is in mm and is converted to cm" in text
    assert "% of the area of GWSA has no background" in text and 0 < result.uncovered_share < 20
    page = result.report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "does not prove pumping" in page and "no human water use" in page


def test_finer_and_equal_backgrounds(files, tmp_path):
    """Equal cells are taken as they are, finer ones are averaged."""
    paths, total, _ = files
    random = np.random.default_rng(1)
    finer = random.normal(0, 5, (COMMON.size, 54, 69)).astype(np.float32)
    same = finer.reshape(COMMON.size, 18, 3, 23, 3).mean(axis=(2, 4))
    results = []
    for grid, values, words in ((FINE.refine(3), finer, "averaged from"), (FINE, same, "on the same cells")):
        said = []
        path = write_stack(tmp_path / "b.tif", grid, COMMON, values)
        told = lambda fraction, message, said=said: said.append(message)  # noqa: E731
        results.append(run(paths | {"background": path}, tmp_path / words[:4], progress=told))
        assert any(words in message for message in said)
    residuals = []
    for result in results:
        with MonthlyStack(result.residual) as stack:
            residuals.append(stack.read())
    np.testing.assert_allclose(*residuals, atol=1e-4)


def test_windows_and_workers_change_nothing(files, tmp_path):
    whole, parts = run(files[0], tmp_path / "a"), run(files[0], tmp_path / "b", memory_mb=1, workers=2)
    for name in ("residual", "slope", "p_value", "classes"):
        with Raster(getattr(whole, name)) as first, Raster(getattr(parts, name)) as second:
            np.testing.assert_array_equal(first.read(), second.read())
    assert whole.residual_trend.slope == pytest.approx(parts.residual_trend.slope, rel=1e-9)


def test_residual_maps_alone(files, tmp_path):
    result = run(files[0], tmp_path / "out", classes=None, report=None, stipples=None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["p_value.tif", "residual.tif", "slope.tif"]
    assert result.classes is None and result.report is None


def test_bad_input_leaves_no_file(files, tmp_path):
    paths, total, natural = files
    out = tmp_path / "out"

    def fails(error, words, changes=None, **options):
        with pytest.raises(error, match=words):
            run(paths | (changes or {}), out, **options)
        assert not out.exists() or not list(out.iterdir())

    fails(InvalidParameter, "unit is 'week'", unit="week")
    fails(InvalidParameter, "correction is 'ar9'", correction="ar9")
    fails(InvalidParameter, "share of months is 2", minimum_share=2)
    fails(InvalidMonths, "soon", baseline_start="soon")
    fails(InvalidMonths, "1990-01 to 1991-12", baseline_start="1990-01", baseline_end="1991-12")
    later = write_stack(tmp_path / "later.tif", COARSE, MODEL_MONTHS + 600, natural)
    fails(InvalidMonths, "no month in common", {"background": later})
    short = write_stack(tmp_path / "short.tif", COARSE, MODEL_MONTHS[48:60], natural[48:60])
    fails(NoUsableData, "12 common months.*needs 24", {"background": short})
    far = write_stack(tmp_path / "far.tif", Grid(0.0, 10.0, 0.5, 0.5, 9, 9, geographic_crs()), MODEL_MONTHS, natural)
    fails(NoUsableData, "far.tif .*does not meet", {"background": far})
    empty = write_stack(tmp_path / "empty.tif", COARSE, MODEL_MONTHS, np.full_like(natural, np.nan))
    fails(NoUsableData, "no pixel has both GWSA and the background empty.tif", {"background": empty})
    holes = np.where(np.arange(MODEL_MONTHS.size)[:, None, None] % 3 == 0, natural, np.nan)
    fails(NoUsableData, "in 50% of the 153 common months", {"background": write_stack(
        tmp_path / "holes.tif", COARSE, MODEL_MONTHS, holes)})  # fmt: skip
    from osgeo import osr

    utm = osr.SpatialReference()
    utm.ImportFromEPSG(32643)
    metres = Grid(5e5, 3.5e6, 5e4, 5e4, 9, 9, utm.ExportToWkt())
    projected = write_stack(tmp_path / "projected.tif", metres, MODEL_MONTHS, natural)
    fails(GridMismatch, "different coordinate reference systems .*EPSG:32643", {"background": projected})
    undated = write_single(tmp_path / "undated.tif", COARSE, natural[:3])
    fails(InvalidMonths, "no month on band 1", {"background": undated})
    flux = write_stack(tmp_path / "flux.tif", COARSE, MODEL_MONTHS, natural, unit="kg m-2 s-1")
    fails(InvalidParameter, "kg m-2 s-1", {"background": flux})


@pytest.mark.parametrize("limit", [0.1, 0.6])
def test_cancelling_leaves_nothing(files, tmp_path, limit):
    def stop(fraction, message):
        if fraction > limit:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(files[0], tmp_path / "out", memory_mb=1, progress=stop)
    assert [item.name for item in (tmp_path / "out").iterdir()] == [".residual.tif.gwsa-part"]


def test_errors_name_the_residual_by_its_own_path(files, tmp_path, monkeypatch):
    from gwsa_qgis.steps import attribution as module

    def refuse(run, outputs, job, *args):
        raise NoUsableData(f"no pixel of {job.data.path} has a trend", "look at it")

    monkeypatch.setattr(module, "write_trend", refuse)
    with pytest.raises(NoUsableData, match=r"no pixel of \S*out/residual.tif has"):
        run(files[0], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    assert subprocess.run([sys.executable, "-c", "import gwsa_qgis.steps.attribution"], check=False).returncode == 0
