"""CHELSA: tags, contradictions, daily and old files, the origin that is a little off."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack

CELL = 0.0083333333
HEADER = (-71.816805988, 18.699860676)  # of a real file: 0.00014 deg off


def warned(messages):
    return [m for m in messages if m.startswith("Warning")]


def run(files, output, **options):
    messages = []
    return monthlystack(files, output, progress=lambda f, m: messages.append(m), **options), messages


def test_scale_and_offset_come_from_the_tags(write_tif, tmp_path):
    stored = np.arange(12, dtype=np.uint16).reshape(3, 4) + 2800
    stored[0, 0] = 65535
    for scale, offset in ((0.1, -273.15), (0.05, -100.0)):
        path = write_tif("CHELSA_tas_07_2004_V.2.1.tif", stored, nodata=65535, scale=scale, offset=offset)
        result, messages = run([path], tmp_path / "o.tif")
        with MonthlyStack(tmp_path / "o.tif") as stack:
            data = stack.read()[0]
        assert np.isnan(data[0, 0]) and np.allclose(data.ravel()[1:], stored.ravel()[1:] * scale + offset, atol=1e-4)
        assert result.unit == "degC" and result.variable == "tas" and (result.first, result.last) == ("2004-07",) * 2


def test_edges_are_snapped_and_said(write_tif, tmp_path):
    stored = np.full((4, 6), 1200, np.uint16)
    path = write_tif("CHELSA_pr_07_2004_V.2.1.tif", stored, HEADER, CELL, scale=0.1)
    _, messages = run([path], tmp_path / "o.tif")
    with Raster(tmp_path / "o.tif") as raster:
        grid = raster.grid
    assert grid.west == pytest.approx(-8618 / 120, abs=1e-12) and grid.north == pytest.approx(2244 / 120, abs=1e-12)
    assert grid.dx == pytest.approx(1 / 120, abs=1e-15)
    assert any("cells off the multiples of 1/120 deg and are put on them" in m for m in messages)
    half = write_tif("CHELSA_pr_08_2004_V.2.1.tif", stored, (-71.8125, 18.6958333), CELL, scale=0.1)
    _, messages = run([half], tmp_path / "h.tif")
    assert any("0.50 cells off" in m and "are kept" in m for m in warned(messages))
    with Raster(tmp_path / "h.tif") as raster:
        assert raster.grid.west == pytest.approx(-71.8125)


@pytest.mark.parametrize(("stored", "told"), [(20000, "SCALE 0.01"), (40000, "SCALE 0.01"), (900, "scale tag says 1")])
def test_whole_numbers_with_a_scale_of_one(write_tif, tmp_path, stored, told):
    values = np.full((3, 4), stored, np.uint16) + np.arange(4, dtype=np.uint16)
    path = write_tif("CHELSA_pr_07_2004_V.2.1.tif", values, scale=1.0)
    result, messages = run([path], tmp_path / "o.tif")
    assert told in result.warnings[0] and len(warned(messages)) == 1
    mended, messages = run([path], tmp_path / "o.tif", scale=0.01)
    assert mended.mean == pytest.approx((stored + 1.5) / 100, rel=1e-6)


def test_plausible_values_are_not_doubted(write_tif, tmp_path):
    values = np.arange(12, dtype=np.uint16).reshape(3, 4) + 800
    path = write_tif("CHELSA_pr_07_2004_V.2.1.tif", values, scale=0.1)
    assert not run([path], tmp_path / "o.tif")[0].warnings


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CHELSA_pr_01_02_2010_V.2.1.tif", r"a daily file \(DD_MM_YYYY\)"),
        ("CHELSA_pr_13_02_2010_V.2.1.tif", "a daily file"),
        ("CHELSA_pr_01_1981-2010_V.2.1.tif", "no monthly file"),
    ],
)
def test_files_that_are_not_monthly(write_tif, tmp_path, name, words):
    path = write_tif(name, np.ones((3, 4), np.uint16))
    with pytest.raises(InvalidMonths, match=words):
        monthlystack([path], tmp_path / "o.tif")


def test_mixtures_are_refused(write_tif, tmp_path):
    values = np.ones((3, 4), np.uint16)
    new = write_tif("CHELSA_pr_01_2010_V.2.1.tif", values)
    old = write_tif("CHELSA_prec_2010_02_V1.2.1.tif", values)
    tas = write_tif("CHELSA_tas_02_2010_V.2.1.tif", values)
    (tmp_path / "other").mkdir()
    again = write_tif("other/CHELSA_pr_01_2010_V.2.1.tif", 3 * values)
    for files, error, words in (
        ([new, old], UnreadableInput, r"several versions: 1.2.1 \(.*\), 2.1"),
        ([new, tas], UnreadableInput, "not one variable but pr .*, tas"),
        ([new, again], InvalidMonths, "2010-01-01 is there twice"),
    ):
        with pytest.raises(error, match=words):
            monthlystack(files, tmp_path / "o.tif")
    with pytest.raises(InvalidParameter, match="DUPLICATES"):
        monthlystack([new], tmp_path / "o.tif", duplicates="first")
    result, messages = run([new, again], tmp_path / "o.tif", duplicates="average")
    assert result.mean == 2 and any("1 periods are there more than once and were averaged" in m for m in messages)
    assert run([old], tmp_path / "o.tif")[0].first == "2010-02"


def test_no_crs_south_up_and_damage(write_tif, tmp_path):
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    bare = write_tif("CHELSA_pr_01_2010_V.2.1.tif", values, epsg=None)
    _, messages = run([bare], tmp_path / "o.tif")
    assert any("names no coordinate reference system" in m for m in warned(messages))
    south = write_tif("CHELSA_pr_02_2010_V.2.1.tif", values, south_up=True)
    _, messages = run([south], tmp_path / "s.tif")
    assert any("from south to north" in m for m in warned(messages))
    with MonthlyStack(tmp_path / "s.tif") as stack:
        assert np.array_equal(stack.read()[0], values[::-1])
    whole = write_tif("CHELSA_pr_03_2010_V.2.1.tif", np.ones((200, 200), np.uint16)).read_bytes()
    cut = tmp_path / "CHELSA_pr_03_2010_V.2.1.tif"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableInput, match="CHELSA_pr_03_2010"):
        monthlystack([cut], tmp_path / "x.tif")
    assert not (tmp_path / "x.tif").exists()
