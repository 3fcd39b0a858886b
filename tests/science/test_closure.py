"""Exact closure: means to rounding on any support, against an independent dense solution."""

import numpy as np
import pytest
from scipy.interpolate import BSpline, RectBivariateSpline

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.bsplines import basis_means, uniform_basis
from gwsa_qgis.science.closure import Closure, cell_support, mascon_knot_spacing
from gwsa_qgis.science.field_window import FieldWindow
from gwsa_qgis.science.interpolation import fill_nearest, spline_correction, spread

FACTOR = 6


def coast_and_lakes(rows, columns, seed=0):
    """Weights of a geographic grid with a slanting coast, two lakes and a few lone pixels."""
    y, x = np.mgrid[:rows, :columns]
    land = x + 0.4 * y > 0.35 * columns
    land &= (y - 20) ** 2 + (x - 50) ** 2 > 60
    land &= (y - 50) ** 2 + (x - 40) ** 2 > 90
    weights = np.cos(np.deg2rad(np.linspace(55, 20, rows)))[:, None] * land
    weights[3, 2] = 0.6
    return weights


def voronoi(rows, columns, n, seed=0):
    """Irregular labels 1..n; the last few columns belong to nothing."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, [rows, columns], (n, 2))
    y, x = np.mgrid[:rows, :columns]
    labels = np.argmin((y[..., None] - centres[:, 0]) ** 2 + (x[..., None] - centres[:, 1]) ** 2, axis=-1) + 1
    labels[:, -4:] = -1
    return labels.astype(np.int32)


def brute_means(field, labels, weights, n):
    """Weighted means by a loop over labels."""
    out = np.full(n, np.nan)
    for label in range(1, n + 1):
        chosen = (labels == label) & (weights > 0)
        if chosen.any():
            out[label - 1] = np.average(field[chosen], weights=weights[chosen])
    return out


@pytest.fixture(params=["cells", "mascons"])
def case(request):
    rows, columns = 12 * FACTOR, 14 * FACTOR
    weights = coast_and_lakes(rows, columns)
    if request.param == "cells":
        return cell_support(12, 14, FACTOR), weights, float(FACTOR)
    return voronoi(rows, columns, 40), weights, 6.5


def test_basis_equals_scipys_uniform_b_splines():
    for degree, spacing in ((1, 4), (2, 4.5), (3, 5), (3, 7.3)):
        basis = uniform_basis(40, spacing, degree)
        offset = 0.5 if degree % 2 else 0.0
        position = (np.arange(40) + 0.5) / spacing - offset
        knots = np.arange(basis.n_splines + degree + 1) + np.floor(position[0]) - degree
        expected = BSpline.design_matrix(position, knots.astype(float), degree).toarray()
        np.testing.assert_allclose(basis.matrix().toarray(), expected, atol=1e-14)
        np.testing.assert_array_equal(basis.matrix(slice(7, 19)).toarray(), basis.matrix().toarray()[7:19])


def test_basis_means_equal_a_dense_average(case):
    labels, weights, spacing = case
    basis_y, basis_x = uniform_basis(labels.shape[0], spacing), uniform_basis(labels.shape[1], spacing)
    n = labels.max()
    means, total = basis_means(labels, weights, basis_y, basis_x, n)
    dense = np.kron(basis_y.matrix().toarray(), basis_x.matrix().toarray())
    for label in range(1, n + 1):
        area = np.where(labels == label, weights, 0).ravel()
        assert total[label - 1] == pytest.approx(area.sum(), rel=1e-12)
        if area.any():
            np.testing.assert_allclose(means[label - 1].toarray()[0], area @ dense / area.sum(), atol=1e-13)
        else:
            assert means[label - 1].nnz == 0


@pytest.mark.parametrize("coast", ["smooth", "bounded"])
def test_means_are_met_to_rounding(case, coast):
    labels, weights, spacing = case
    closure = Closure(labels, weights, knot_spacing=spacing, coast=coast)
    rng = np.random.default_rng(1)
    values = 1000 + 50 * rng.normal(size=(3, closure.n_supports))
    field = closure.spread(values)
    found = np.stack([brute_means(month, labels, weights, closure.n_supports) for month in field])
    present = ~np.isnan(found[0])
    assert 0 < present.sum() <= closure.n_supports
    assert np.array_equal(present, closure.present)
    assert np.abs(found - values)[:, present].max() < 1e-10
    rounded = np.stack([brute_means(m.astype(np.float32).astype(float), labels, weights, labels.max()) for m in field])
    assert np.abs(rounded - values)[:, present].max() < 1e-4
    np.testing.assert_allclose(closure.means(field)[:, present], found[:, present], rtol=1e-13)


def test_close_keeps_the_detail_of_a_prediction(case):
    labels, weights, spacing = case
    closure = Closure(labels, weights, knot_spacing=spacing)
    rng = np.random.default_rng(2)
    prediction, values = rng.normal(size=labels.shape), rng.normal(size=closure.n_supports)
    closed = closure.close(prediction, values)
    error = brute_means(closed, labels, weights, closure.n_supports) - values
    assert np.nanmax(np.abs(error)) < 1e-10
    np.testing.assert_allclose(
        closed - prediction, closure.correction(values - closure.means(prediction)), rtol=0, atol=1e-12
    )


def test_solution_equals_a_dense_minimisation():
    labels, weights = voronoi(24, 30, 14, seed=3), coast_and_lakes(24, 30)
    closure = Closure(labels, weights, knot_spacing=4, bending=1e-2)
    values = np.random.default_rng(4).normal(size=closure.n_supports)
    basis_y, basis_x = (uniform_basis(n, 4).matrix().toarray() for n in labels.shape)
    basis = np.kron(basis_y, basis_x)
    area = np.stack([np.where(labels == label, weights, 0).ravel() for label in range(1, closure.n_supports + 1)])
    kept = area.any(1)
    rows = area[kept] @ basis / area[kept].sum(1, keepdims=True)
    cy, cx = basis_y.shape[1], basis_x.shape[1]
    d1y, d1x, d2y, d2x = (np.diff(np.eye(n), k, axis=0) for k in (1, 2) for n in (cy, cx))
    first = [np.kron(d1y, np.eye(cx)), np.kron(np.eye(cy), d1x)]
    second = [np.kron(d2y, np.eye(cx)), np.kron(np.eye(cy), d2x), np.sqrt(2) * np.kron(d1y, d1x)]
    roughness = np.concatenate(first + [np.sqrt(1e-2) * part for part in second])
    # the minimum over the null space of the constraints, another way than Lagrange multipliers
    particular = np.linalg.pinv(rows) @ values[kept]
    null = np.linalg.svd(rows)[2][len(rows) :].T
    free = np.linalg.lstsq(roughness @ null, -roughness @ particular, rcond=None)[0]
    expected = (basis @ (particular + null @ free)).reshape(labels.shape)
    np.testing.assert_allclose(closure.spread(values), expected, atol=1e-9)


def test_a_constant_stays_constant_and_a_plane_nearly_so(case):
    labels, weights, spacing = case
    closure = Closure(labels, weights, knot_spacing=spacing)
    np.testing.assert_allclose(closure.spread(np.full(closure.n_supports, 7.25)), 7.25, atol=1e-9)
    plane = np.add.outer(0.3 * np.arange(labels.shape[0]), 0.1 * np.arange(labels.shape[1]))
    error = np.abs(closure.spread(closure.means(plane)) - plane)[20:50, 35:60]
    assert error[weights[20:50, 35:60] > 0].max() < 0.05 * np.ptp(plane)


def test_missing_supports_and_months(case):
    labels, weights, spacing = case
    closure = Closure(labels, weights, knot_spacing=spacing)
    rng = np.random.default_rng(5)
    values = rng.normal(size=(6, closure.n_supports))
    values[1] = np.nan
    values[2, 20:23] = np.nan
    values[4, 20:23] = np.nan
    field = closure.spread(values)
    assert np.isnan(field[1]).all()
    assert np.isfinite(field[[0, 2, 3, 4, 5]]).all()
    assert len(closure._factorised) == 2
    known = np.isfinite(values) & closure.present
    assert np.abs(closure.means(field) - values)[known].max() < 1e-10
    # a month alone gives what it gives among others
    np.testing.assert_allclose(closure.spread(values[2]), field[2], atol=1e-12)
    without = Closure(np.where(np.isin(labels, (21, 22, 23)), 0, labels), weights, knot_spacing=spacing)
    np.testing.assert_allclose(without.spread(values[2])[weights > 0], field[2][weights > 0], atol=1e-9)


def test_windows_equal_the_whole(case):
    labels, weights, spacing = case
    for coast in ("smooth", "bounded"):
        closure = Closure(labels, weights, knot_spacing=spacing, coast=coast)
        solved = closure.solve(np.random.default_rng(6).normal(size=(2, closure.n_supports)))
        whole, everywhere = closure.evaluate(solved), closure.evaluate(solved, labels=labels)
        part = closure.evaluate(solved, slice(13, 41), slice(5, 60))
        np.testing.assert_array_equal(part, whole[:, 13:41, 5:60])
        for place in ((slice(13, 41), slice(5, 60)), (slice(20, 21), slice(7, 9)), (slice(0, None), slice(0, None))):
            bases = closure.basis_y, closure.basis_x
            cut = FieldWindow.of(solved.spline, solved.shift, *bases, *place)
            assert cut.spline.size < solved.spline.size or place[0].stop is None
            for month in range(2):
                np.testing.assert_array_equal(cut.values(month, labels[place]), everywhere[month][place])


def test_bounded_coast_restrains_a_support_of_a_few_pixels():
    labels, weights = cell_support(6, 6, FACTOR), np.ones((36, 36))
    weights[6:12, 6:12] = 0
    weights[6, 6] = 1
    values = np.zeros(36)
    values[7] = 10.0
    field = {c: Closure(labels, weights, knot_spacing=FACTOR, coast=c).spread(values) for c in ("smooth", "bounded")}
    others = (weights > 0) & (labels != 8)
    assert field["smooth"][6, 6] == pytest.approx(10) and field["bounded"][6, 6] == pytest.approx(10)
    assert np.abs(field["bounded"][others]).max() < 0.8 * np.abs(field["smooth"][others]).max()


def test_nan_on_a_valid_pixel_voids_its_mean():
    labels, weights = cell_support(4, 4, 3), np.ones((12, 12))
    weights[0, 0] = 0
    field = np.ones((12, 12))
    field[0, 0] = np.nan
    field[7, 7] = np.nan
    means = Closure(labels, weights, knot_spacing=3).means(field)
    assert np.flatnonzero(np.isnan(means)).tolist() == [10]


def test_bad_input_is_told():
    labels = cell_support(3, 3, 2)
    with pytest.raises(InvalidParameter, match="weights of shape"):
        Closure(labels, np.ones((4, 4)), knot_spacing=2)
    with pytest.raises(InvalidParameter, match="coast"):
        Closure(labels, 1.0, knot_spacing=2, coast="rough")
    with pytest.raises(InvalidParameter, match="whole-number"):
        Closure(labels.astype(float), 1.0, knot_spacing=2)
    with pytest.raises(NoUsableData):
        Closure(labels, np.zeros((6, 6)), knot_spacing=2)
    with pytest.raises(InvalidParameter, match="8 values"):
        Closure(labels, 1.0, knot_spacing=2).solve(np.zeros(8))


def test_mascon_knots_are_half_the_pitch():
    assert mascon_knot_spacing(cell_support(5, 5, 8)) == pytest.approx(4)


def test_interpolation_equals_scipys_spline_at_cell_centres():
    coarse = np.random.default_rng(7).normal(size=(9, 12))
    y = np.clip((np.arange(45) + 0.5) / 5 - 0.5, 0, 8)
    x = np.clip((np.arange(60) + 0.5) / 5 - 0.5, 0, 11)
    for kind, degree in (("bilinear", 1), ("cubic", 3)):
        expected = RectBivariateSpline(np.arange(9), np.arange(12), coarse, kx=degree, ky=degree)(y, x)
        np.testing.assert_allclose(spread(coarse, 5, kind), expected, atol=1e-12)
    whole = spline_correction(coarse, 5)
    np.testing.assert_array_equal(spline_correction(coarse, 5, slice(4, 21), slice(9, 30)), whole[4:21, 9:30])


def test_holes_take_the_nearest_value():
    coarse = np.array([[1.0, np.nan, np.nan, 4.0], [1.0, np.nan, np.nan, 4.0]])
    np.testing.assert_array_equal(fill_nearest(coarse), [[1, 1, 4, 4], [1, 1, 4, 4]])
    months = np.stack([coarse, np.full((2, 4), np.nan)])
    assert np.isnan(spread(months, 3)[1]).all() and np.isfinite(spread(months, 3)[0]).all()
