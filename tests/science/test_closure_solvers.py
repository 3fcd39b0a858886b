"""Solvers of the closure against a dense solution: masks with islands, lakes, lone pixels, supports of several parts."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.sparse.linalg import splu

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science import closure_solvers, closure_windows
from gwsa_qgis.science.bsplines import Roughness, SplineSums, evaluate_splines, uniform_basis
from gwsa_qgis.science.closure import Closure, cell_support, support_pixels, valid_share
from gwsa_qgis.science.closure_solvers import DirectSolver, WindowedSolver, expected_bytes, make_solver
from gwsa_qgis.science.interpolation import spline_correction


def archipelago(rows, columns, seed=0):
    """A mask with a coast, lakes, islands and lone pixels."""
    random = np.random.default_rng(seed)
    field = gaussian_filter(random.normal(size=(rows, columns)), 4)
    mask = field > np.quantile(field, 0.35)
    mask[: rows // 5] = False
    mask[2, 3] = mask[1, columns - 5] = True  # cells of one pixel, at sea
    mask[rows // 2 : rows // 2 + 3, columns // 2 : columns // 2 + 3] = False
    return mask * np.cos(np.deg2rad(np.linspace(50, 35, rows)))[:, None]


def split_mascons(rows, columns):
    """Mascons of several parts: diagonal bands, cut by a strip that belongs to nothing."""
    y, x = np.mgrid[:rows, :columns]
    labels = (y // 9) * 5 + (x // 11 + y // 9) % 5 + 1
    labels[:, columns // 3] = 0
    return labels.astype(np.int32)


CASES = {
    "cells": (lambda: cell_support(8, 9, 5), 5.0),
    "mascons": (lambda: split_mascons(40, 45), 4.5),
}


@pytest.fixture(params=CASES)
def case(request):
    make, spacing = CASES[request.param]
    return make(), archipelago(40, 45), spacing


def dense_system(labels, weights, spacing, bending=1e-3):
    """R and M of the field's own definition, by dense loops, and the dense basis."""
    basis = [uniform_basis(n, spacing).matrix().toarray() for n in labels.shape]
    cy, cx = (b.shape[1] for b in basis)
    energy = np.zeros((cy * cx, cy * cx))
    steps = {"yx": (cy, cx)}
    for order, weight in ((1, 1.0), (2, bending)):
        for axis in (0, 1):
            difference = np.diff(np.eye(steps["yx"][axis]), order, axis=0)
            whole = np.kron(difference, np.eye(cx)) if axis == 0 else np.kron(np.eye(cy), difference)
            energy += weight * whole.T @ whole
    cross = np.kron(np.diff(np.eye(cy), axis=0), np.diff(np.eye(cx), axis=0))
    energy += 2 * bending * cross.T @ cross
    rows = np.zeros((labels.max(), cy * cx))
    tensor = np.kron(*basis)
    for label in range(1, labels.max() + 1):
        area = np.where(labels == label, weights, 0).ravel()
        if area.any():
            rows[label - 1] = area @ tensor / area.sum()
    return energy, rows, tensor


def dense_solution(energy, rows, values, corner=0.0):
    n, k = len(energy), len(rows)
    system = np.block([[energy, rows.T], [rows, -np.diag(np.broadcast_to(corner, k))]])
    right = np.concatenate([np.zeros((n, values.shape[1])), values])
    return np.linalg.lstsq(system, right, rcond=None)[0][:n]


@pytest.mark.parametrize("bending", [0.0, 1e-3, 0.7])
def test_roughness_in_whole_in_parts_and_applied_is_the_dense_one(case, bending):
    labels, weights, spacing = case
    dense = dense_system(labels, weights, spacing, bending)[0]
    shape = tuple(uniform_basis(n, spacing).n_splines for n in labels.shape)
    energy = Roughness(*shape, 1.0, bending)
    np.testing.assert_allclose(energy.matrix().toarray(), dense, atol=1e-12)
    fields = np.random.default_rng(0).normal(size=(energy.n_splines, 3))
    np.testing.assert_allclose(energy @ fields, dense @ fields, atol=1e-10)
    place = np.arange(energy.n_splines).reshape(shape)
    rows, columns, near = slice(0, 5), slice(2, 9), slice(3, 8)
    inside = place[rows, columns].ravel()
    np.testing.assert_allclose(energy.matrix(rows, columns).toarray(), dense[np.ix_(inside, inside)], atol=1e-12)
    others = place[near].ravel()
    found = energy.matrix(rows, near=near).toarray()
    np.testing.assert_allclose(found, dense[np.ix_(place[rows].ravel(), others)], atol=1e-12)


@pytest.mark.parametrize("share", [1, 4])
def test_factors_take_about_what_is_expected_of_them(share):
    """In the largest map that is quick enough; smaller ones take less than expected."""
    cells = 96
    used = np.zeros((2 * cells, 2 * cells))
    place = np.arange(2 * cells) // 4 % share == 0
    used[np.ix_(place, place)] = 1
    closure = Closure(cell_support(cells, cells, 2), used, knot_spacing=2)
    rows = closure.spline_means[closure.present]
    energy = Roughness(*closure.spline_shape, 1.0, 1e-3)
    expected = expected_bytes(energy.n_splines, len(rows.indptr) - 1)
    assert 0.75 < make_solver(energy, rows, None).claimed_bytes / expected < 1.25


def test_factors_that_do_not_fit_are_made_in_windows_and_give_the_same(case):
    labels, weights, spacing = case
    values = np.random.default_rng(2).normal(size=(2, labels.max()))
    whole, tight = (Closure(labels, weights, knot_spacing=spacing, kept_mb=kept) for kept in (400, 0.1))
    np.testing.assert_allclose(tight.spread(values), whole.spread(values), atol=1e-8)
    kinds = [type(next(iter(one._factorised.values()))) for one in (whole, tight)]
    assert kinds == [DirectSolver, WindowedSolver]


@pytest.mark.parametrize("solver", ["direct", "windows"])
def test_both_solvers_equal_a_dense_solution(case, solver):
    labels, weights, spacing = case
    energy, rows, tensor = dense_system(labels, weights, spacing)
    closure = Closure(labels, weights, knot_spacing=spacing, solver=solver)
    assert 10 < closure.present.sum() < closure.n_supports
    values = np.random.default_rng(1).normal(size=(3, closure.n_supports))
    values[2, 12] = np.nan
    found = closure.spread(values)
    for months in ([0, 1], [2]):
        used = closure.present & np.isfinite(values[months]).all(0)
        expected = (tensor @ dense_solution(energy, rows[used], values[months][:, used].T)).T
        np.testing.assert_allclose(found[months].reshape(len(months), -1), expected, atol=1e-8)
        reached = rows[used] @ closure.solve(values[months]).spline.reshape(len(months), -1).T
        assert np.abs(reached - values[months][:, used].T).max() < 1e-10


@pytest.mark.parametrize("core, overlap", [(14, 8), (11, 6)])
def test_windows_equal_the_whole_map(core, overlap):
    cells, factor = 36, 3
    weights = archipelago(cells * factor, cells * factor, seed=2)
    closure = Closure(cell_support(cells, cells, factor), weights, knot_spacing=factor)
    rows = closure.spline_means[closure.present]
    energy = Roughness(*closure.spline_shape, 1.0, 1e-3)
    values = 100 * np.random.default_rng(3).normal(size=(rows.shape[0], 3))
    whole = DirectSolver(energy, rows).solve(values)
    for kept in (1e9, 0):
        windowed = WindowedSolver(energy, rows, None, core=core, overlap=overlap, kept_bytes=kept)
        assert len(windowed.windows) > 4
        found = windowed.solve(values)
        assert np.abs(found - whole).max() < 1e-8 * np.abs(values).max()
        assert np.abs(rows @ found - values).max() < 1e-8 * np.abs(values).max()
        assert (windowed.held_bytes > 0) == (kept > 0)
        # one month by itself is the same to the bit, whatever the others need
        np.testing.assert_array_equal(windowed.solve(values[:, 1:2])[:, 0], found[:, 1])


def test_windows_agree_across_a_wide_sea(monkeypatch):
    """Coasts far apart: without what carries the solution over the sea, some forty sweeps do not suffice."""
    side = 240
    land = np.zeros((side, side))
    land[:20], land[-15:], land[90:100, 60:75], land[:, -12:] = 1, 1, 1, 1
    labels = cell_support(side, side, 1)
    random = np.random.default_rng(0)
    values = np.where(land.ravel() > 0, 10 * random.normal(size=(2, land.size)), np.nan)
    monkeypatch.setattr(closure_windows, "MOST_SWEEPS", 20)
    windows, direct = (Closure(labels, land, knot_spacing=1, solver=kind) for kind in ("windows", "direct"))
    found, whole = windows.spread(values), direct.spread(values)
    assert np.abs(found - whole)[:, land > 0].max() < 1e-7
    assert np.abs(found - whole).max() < 1e-5
    assert np.nanmax(np.abs(windows.means(found) - values)) < 1e-7


def test_windows_equal_the_whole_map_with_relaxed_supports():
    labels, weights, values = noisy_coast()
    fields = [
        Closure(labels, weights, knot_spacing=8, coast="bounded", solver=solver).spread(values[:2])
        for solver in ("direct", "windows")
    ]
    np.testing.assert_allclose(fields[0], fields[1], atol=1e-8)


def test_months_do_not_depend_on_the_months_beside_them(case):
    labels, weights, spacing = case
    closure = Closure(labels, weights, knot_spacing=spacing)
    values = np.random.default_rng(4).normal(size=(21, closure.n_supports))
    together = closure.solve(values).spline
    for some in ([0], [20], [3, 7, 19], list(range(5, 17))):
        np.testing.assert_array_equal(closure.solve(values[some]).spline, together[some])


def silent_splu(system, *args, **kwargs):
    """A SuperLU that sees no singular matrix, as newer ones often do not: rounding makes its pivots other than zero."""
    nudged = system + sp.diags(1e-18 * np.random.default_rng(0).normal(size=system.shape[0]))
    return splu(nudged.tocsc(), *args, **kwargs)


@pytest.mark.parametrize("factorise", [splu, silent_splu])
def test_more_supports_than_splines_are_refused(factorise, monkeypatch):
    """Systems without a solution are told, however often, and not answered with something else."""
    monkeypatch.setattr(closure_solvers.spl, "splu", factorise)
    labels = np.zeros((20, 20), np.int32)
    labels[9:11, 9:11] = [[1, 2], [3, 4]]
    labels[9, 11], labels[10, 11], labels[8, 8:11] = 5, 6, [7, 8, 9]
    values = np.random.default_rng(5).normal(size=9)
    hopeless = Closure(labels, np.ones((20, 20)), knot_spacing=40, degree=1)
    for _ in range(2):
        with pytest.raises(NoUsableData, match="smaller knot spacing"):
            hopeless.solve(values)
    assert np.isfinite(Closure(labels, np.ones((20, 20)), knot_spacing=2).spread(values)).all()


def test_linear_fields_are_reproduced_inside():
    """Away from the border a cubic histospline of a plane is the plane."""
    labels = cell_support(30, 30, 4)
    plane = np.add.outer(0.02 * np.arange(120), -0.03 * np.arange(120)) + 5
    closure = Closure(labels, np.ones((120, 120)), knot_spacing=4)
    found = closure.spread(closure.means(plane))
    assert np.abs(found - plane)[45:75, 45:75].max() < 1e-6
    assert np.abs(closure.means(found) - closure.means(plane)).max() < 1e-10


def test_sums_of_windows_equal_the_sums_of_the_whole(case):
    labels, weights, spacing = case
    whole = Closure(labels, weights, knot_spacing=spacing, coast="bounded")
    sums = SplineSums(*(uniform_basis(n, spacing) for n in labels.shape), int(labels.max()))
    pixels = np.zeros((2, labels.max()), int)
    for rows in (slice(0, 13), slice(13, 31), slice(31, 40)):
        for columns in (slice(0, 20), slice(20, 45)):
            part = labels[rows, columns], weights[rows, columns]
            sums.add(*part, rows.start, columns.start)
            pixels += support_pixels(*part, labels.max())
    streamed = Closure.from_sums(sums, coast="bounded", share=valid_share(*pixels))
    assert np.abs(streamed.spline_means - whole.spline_means).max() < 1e-14
    np.testing.assert_allclose(streamed.total_weight, whole.total_weight, rtol=1e-13)
    values = np.random.default_rng(6).normal(size=(2, whole.n_supports))
    expected = whole.spread(values)
    window = np.s_[7:30], np.s_[11:40]
    masked = np.where(weights > 0, labels, 0)[window]
    found = streamed.evaluate(streamed.solve(values), *window, labels=masked)
    np.testing.assert_allclose(found, expected[:, window[0], window[1]], atol=1e-10)
    with pytest.raises(InvalidParameter, match="holds no labels"):
        streamed.means(expected)


def test_evaluation_equals_the_dense_product_and_float32_is_near():
    basis_y, basis_x = uniform_basis(53, 4.3), uniform_basis(38, 6)
    coefficients = np.random.default_rng(7).normal(size=(basis_y.n_splines, basis_x.n_splines))
    dense = basis_y.matrix().toarray() @ coefficients @ basis_x.matrix().toarray().T
    np.testing.assert_allclose(evaluate_splines(coefficients, basis_y, basis_x), dense, atol=1e-14)
    single = evaluate_splines(coefficients, basis_y, basis_x, out=np.empty((53, 38), np.float32))
    np.testing.assert_allclose(single, dense, atol=1e-6)


@pytest.mark.parametrize("solver", ["direct", "windows"])
def test_tolerance_gives_the_smoothest_field_within_it(solver):
    labels, weights = cell_support(5, 6, 4), archipelago(20, 24, seed=8)
    energy, rows, _ = dense_system(labels, weights, 4)
    random = np.random.default_rng(9)
    values, sigma = random.normal(size=(2, 30)), 0.6
    closure = Closure(labels, weights, knot_spacing=4, tolerance=sigma, solver=solver)
    coefficients = closure.solve(values).spline.reshape(2, -1)
    used = closure.present
    # independent: the energy as a function of the means alone, minimised in the box by a quasi-Newton method
    to_coefficients = dense_solution(energy, rows[used], np.eye(used.sum()))
    form = to_coefficients.T @ energy @ to_coefficients
    exact = Closure(labels, weights, knot_spacing=4)
    for q, r in zip(coefficients, values[:, used], strict=True):
        left = np.abs(rows[used] @ q - r)
        assert left.max() <= sigma * (1 + 1e-9)
        box = list(zip(r - sigma, r + sigma, strict=True))
        best = minimize(
            lambda z: (z @ form @ z, 2 * form @ z), r, jac=True, bounds=box, options={"maxiter": 5000, "ftol": 1e-14}
        )
        assert best.fun > 1e-3
        assert q @ energy @ q == pytest.approx(best.fun, rel=1e-3)
    rough = exact.solve(values).spline.reshape(2, -1)
    assert (np.einsum("mi,ij,mj->m", coefficients, energy, coefficients) * 1.5 < [q @ energy @ q for q in rough]).all()


def test_a_wide_tolerance_leaves_a_constant_and_none_is_exact():
    labels, weights = cell_support(6, 6, 3), archipelago(18, 18, seed=10)
    values = np.random.default_rng(11).uniform(-1, 1, 36)
    flat = Closure(labels, weights, knot_spacing=3, tolerance=5.0).spread(values)
    exact = Closure(labels, weights, knot_spacing=3)
    assert np.ptp(flat) < 0.1 * np.ptp(exact.spread(values))
    closed = exact.means(exact.spread(values))
    assert np.abs(closed - values)[exact.present].max() < 1e-10
    with pytest.raises(InvalidParameter, match="tolerance"):
        Closure(labels, weights, knot_spacing=3, tolerance=-1)


def noisy_coast():
    """A smooth field with a white part on cells of which some have few pixels."""
    cells, factor = 16, 8
    random = np.random.default_rng(12)
    labels = cell_support(cells, cells, factor)
    y, x = np.mgrid[: cells * factor, : cells * factor]
    weights = (x > 29 + np.sin(y / 9)).astype(float)
    weights[40:50, 70:82] = 0
    weights[41, 79] = weights[47, 72] = 1
    values = 2 * gaussian_filter(random.normal(size=(20, cells, cells)), (0, 2, 2)) / 0.14
    return labels, weights, (values + 0.7 * random.normal(size=values.shape)).reshape(20, -1)


def test_bounded_coast_overshoots_less_and_stays_exact():
    """Cells of which a column or two is land force steep fields, unless they are relaxed."""
    cells, factor, months = 14, 12, 40
    random = np.random.default_rng(0)
    labels = cell_support(cells, cells, factor)
    y, x = np.mgrid[: cells * factor, : cells * factor]
    weights = (x >= 4 * factor - 1 + (np.sin(y / 9) > 0.5)).astype(float)
    values = 2 * gaussian_filter(random.normal(size=(months, cells, cells)), (0, 2, 2)) / 0.14
    values = (values + 0.7 * random.normal(size=values.shape)).reshape(months, -1)
    coast = (slice(2 * factor, -2 * factor), slice(3 * factor, 6 * factor))
    inside = weights[coast] > 0
    known = values.reshape(months, cells, cells)[:, 2:-2, 3:6].reshape(months, -1)
    beyond = {}
    for name in ("smooth", "bounded"):
        closure = Closure(labels, weights, knot_spacing=factor, coast=name)
        fields = closure.spread(values)
        assert np.abs(closure.means(fields) - values)[:, closure.present].max() < 1e-10
        near = fields[:, coast[0], coast[1]][:, inside]
        beyond[name] = np.maximum(near.max(1) - known.max(1), known.min(1) - near.min(1)).max()
    assert beyond["smooth"] > 2.5
    assert beyond["bounded"] < 0.75 * beyond["smooth"]


def test_no_seams_at_cell_edges():
    """Jumps between pixels across cell edges are no larger than inside, unlike a shift of whole cells."""
    labels, weights, values = noisy_coast()
    closure = Closure(labels, weights, knot_spacing=8)

    def ratio(fields):
        jump = np.abs(np.diff(fields, axis=2))[:, :, 50:]
        across = (np.arange(fields.shape[2] - 1) % 8 == 7)[50:]
        return jump[..., across].mean() / jump[..., ~across].mean()

    exact = ratio(closure.spread(values))
    spline = spline_correction(values.reshape(20, 16, 16), 8)
    left = values - closure.means(spline)
    shifted = spline + np.where(np.isfinite(left), left, 0)[:, labels - 1]
    assert exact < 1.4
    assert exact < 1.2 * ratio(spline)
    assert ratio(shifted) > 3
