"""Deviations from the coarser scale: known answers."""

import numpy as np

from gwsa_qgis.science.closure import Closure, cell_support
from gwsa_qgis.science.deviations import CoarserScale
from gwsa_qgis.science.supports import block_groups, group_labels


def test_deviation_is_the_mean_of_value_minus_the_groups_spline():
    rng = np.random.default_rng(0)
    support, weights = cell_support(9, 12, 4), rng.uniform(0.5, 1, (36, 48))
    weights[:7, :9] = 0
    groups = block_groups(9, 12, 3)
    scale = CoarserScale(support, weights, groups, knot_spacing=12)
    values = rng.normal(size=(2, 108))
    values[1, 40] = np.nan
    cells, blocks = (
        Closure(support, weights, knot_spacing=4),
        Closure(group_labels(support, groups), weights, knot_spacing=12),
    )
    present = cells.present
    for month in range(2):
        known = np.isfinite(values[month]) & present
        area = np.where(known, cells.total_weight, 0)
        mean = np.bincount(groups - 1, np.nan_to_num(values[month]) * area) / np.bincount(groups - 1, area)
        expected = values[month] - cells.means(blocks.spread(mean))
        found = scale.deviations(values)[month]
        np.testing.assert_allclose(found[known], expected[known], atol=1e-9)
        assert np.isnan(found[~known]).all()


def test_deviations_of_a_constant_are_none_and_of_groups_average_out():
    support, groups = cell_support(9, 9, 2), block_groups(9, 9, 3)
    scale = CoarserScale(support, np.ones((18, 18)), groups)
    assert np.abs(scale.deviations(np.full((1, 81), 5.0))).max() < 1e-9
    deviations = scale.deviations(np.random.default_rng(1).normal(size=(1, 81)))[0]
    assert np.abs(np.bincount(groups - 1, deviations)).max() < 1e-9
