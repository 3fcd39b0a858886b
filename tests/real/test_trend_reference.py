"""Published figures: the Fortran STL, and the tests printed by the authors of pyMannKendall."""

import csv
import gzip
import struct

import numpy as np
import pytest

from gwsa_qgis.science.stl import StlParameters, deseasonalise, seasonal_operator
from gwsa_qgis.science.trend import mann_kendall, theil_sen

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def trends(shared_data):
    folder = shared_data / "trends"
    if not folder.is_dir():
        pytest.skip(f"the real data folder {folder} is not there")
    return folder


def column(path, position):
    with path.open(newline="") as file:
        return np.array([float(row[position]) for row in list(csv.reader(file))[1:]])


def precipitation_great_lakes(path):
    """The 87 numbers of the R data file: big-endian doubles behind their count."""
    content = gzip.decompress(path.read_bytes())
    start = content.index(struct.pack(">i", 87)) + 4
    return np.array(struct.unpack_from(">87d", content, start))


def fortran(path, scenario):
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row[0].strip() == scenario]
    rows.sort(key=lambda row: int(row[1]))
    return np.array([[float(value) for value in row[2:]] for row in rows])


def test_operator_equals_the_fortran_program(trends):
    series = np.loadtxt(trends / "stl_co2.csv")
    expected = fortran(trends / "stl_test_results.csv", "stlez")
    assert (expected[:, 2] == 1).all()  # no robustness weights in this scenario
    # What the program's simple entry derives from a seasonal length of 35.
    easy = StlParameters(
        seasonal=35, trend=19, low_pass=13, seasonal_jump=4, trend_jump=2, low_pass_jump=2, inner_iterations=2
    )
    np.testing.assert_allclose(seasonal_operator(series.size, easy) @ series, expected[:, 0], rtol=0, atol=1e-9)


def test_real_series_equal_statsmodels(trends):
    reference = pytest.importorskip("statsmodels.tsa.seasonal")
    for series in (np.loadtxt(trends / "stl_co2.csv"), column(trends / "AirPassengers.csv", 1)):
        expected = series - reference.STL(series, period=12).fit().seasonal
        np.testing.assert_allclose(deseasonalise(series[None])[0], expected, rtol=0, atol=1e-9)


# series: S, var S, z, p, slope, intercept, as published or printed by pymannkendall 1.4.3
FIGURES = {
    "births": (12336, 5412244.0, 5.302131, 1.144585e-07, 0.0192308, 38.5),
    "shampoo": (440, 5390.0, 5.979573, 2.2372e-09, 11.509375, 78.735937),
    "precipitation": (989, 74398.333, 3.622224, 2.92081e-04, 0.04, None),
}


@pytest.fixture(scope="module")
def published_series(trends):
    return {
        "births": column(trends / "daily-total-female-births.csv", 1),
        "shampoo": column(trends / "shampoo.csv", 1),
        "precipitation": precipitation_great_lakes(trends / "PrecipGL.rda"),
        "nile": column(trends / "nile.csv", 1),
        "passengers": column(trends / "AirPassengers.csv", 1),
    }


@pytest.mark.parametrize("name", FIGURES)
def test_published_figures(published_series, name):
    s, var_s, z, p, slope, intercept = FIGURES[name]
    series = published_series[name][None]
    test, line = mann_kendall(series, correction="none"), theil_sen(series)
    assert test.s[0] == s
    assert test.var_s[0] == pytest.approx(var_s, abs=6e-4)
    assert test.z[0] == pytest.approx(z, abs=6e-7)
    assert test.p[0] == pytest.approx(p, rel=1e-5)
    assert line.slope[0] == pytest.approx(slope, abs=6e-7 if name == "shampoo" else 6e-8)
    assert line.lower[0] < line.slope[0] < line.upper[0]
    if intercept is not None:
        assert line.intercept[0] == pytest.approx(intercept, abs=6e-7)


# correction, series: S, var S, z, p, as printed by the authors
CORRECTED = {
    ("hamed_rao", "shampoo"): (440, 7322.011164, 5.130378, 2.891616e-07),
    ("yue_wang", "shampoo"): (440, 3688.559144, 7.228300, 4.8916e-13),
    ("trend_free_prewhitening", "shampoo"): (429, 4958.333, 6.078213, 1.2152e-09),
    ("seasonal", "passengers"): (784, 2550.0, 15.505711, 0.0),
}


@pytest.mark.parametrize(("correction", "name"), CORRECTED)
def test_published_figures_of_corrections(published_series, correction, name):
    s, var_s, z, p = CORRECTED[correction, name]
    test = mann_kendall(published_series[name][None], correction=correction)
    assert test.s[0] == s
    assert test.var_s[0] == pytest.approx(var_s, abs=6e-4)
    assert test.z[0] == pytest.approx(z, abs=6e-7)
    assert test.p[0] == pytest.approx(p, rel=1e-4, abs=1e-15)
    slope = 30.236111 / 12 if correction == "seasonal" else 11.509375
    assert test.slope[0] == pytest.approx(slope, abs=6e-7)


@pytest.mark.parametrize(
    ("correction", "theirs"),
    [
        ("hamed_rao", "hamed_rao_modification_test"),
        ("yue_wang", "yue_wang_modification_test"),
        ("trend_free_prewhitening", "trend_free_pre_whitening_modification_test"),
        ("seasonal", "seasonal_test"),
    ],
)
@pytest.mark.parametrize("name", ["births", "shampoo", "precipitation", "nile", "passengers"])
def test_corrections_of_real_series_equal_pymannkendall(published_series, name, correction, theirs):
    reference = pytest.importorskip("pymannkendall")
    for series in (published_series[name], np.round(published_series[name] / 20)):
        holed = series.copy()
        holed[5::11] = np.nan
        for y in (series, holed):
            expected = getattr(reference, theirs)(y)
            ours = mann_kendall(y[None], correction)
            per_month = expected.slope / 12 if correction == "seasonal" else expected.slope
            np.testing.assert_allclose(
                [ours.s[0], ours.z[0], ours.p[0], ours.tau[0], ours.slope[0]],
                [expected.s, expected.z, expected.p, expected.Tau, per_month],
                rtol=0,
                atol=1e-9,
            )
            np.testing.assert_allclose(ours.var_s[0], expected.var_s, rtol=1e-9)


@pytest.mark.parametrize("name", ["births", "shampoo", "precipitation", "nile", "passengers"])
def test_real_series_equal_pymannkendall(published_series, name):
    reference = pytest.importorskip("pymannkendall")
    series = published_series[name]
    theirs = reference.original_test(series)
    test, line = mann_kendall(series[None], correction="none"), theil_sen(series[None])
    ours = [test.s[0], test.var_s[0], test.z[0], test.p[0], test.tau[0], line.slope[0], line.intercept[0]]
    expected = [theirs.s, theirs.var_s, theirs.z, theirs.p, theirs.Tau, theirs.slope, theirs.intercept]
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-9)
