"""Covered shares against GEOS's own intersections of every cell, and areas against closed forms."""

import numpy as np
import pytest
from osgeo import ogr

from gwsa_qgis.science.coverage import covered_shares, oriented, polygon_area

ogr.UseExceptions()


def star(x, y, radius, vertices, seed):
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, vertices))
    reach = radius * random.uniform(0.4, 1, vertices)
    ring = np.c_[x + 1.3 * reach * np.cos(angle), y + reach * np.sin(angle)]
    return np.r_[ring, ring[:1]]


def box(west, south, east, north):
    return np.array([[west, south], [east, south], [east, north], [west, north], [west, south]], float)


def polygon(rings):
    result = ogr.Geometry(ogr.wkbPolygon)
    for ring in rings:
        line = ogr.Geometry(ogr.wkbLinearRing)
        for x, y in ring:
            line.AddPoint_2D(x, y)
        result.AddGeometry(line)
    return result


def ring_area(points, spherical):
    x, y = (points - points[:1] * [1, 0]).T
    if spherical:  # equal-area cylinder; edges are cut so short that they stay straight
        x, y = np.deg2rad(x), np.sin(np.deg2rad(y))
    y = y - y[0]
    return abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def area_of(geometry, spherical, longest):
    """Area of any geometry, by its rings."""
    geometry = geometry.Clone()
    geometry.Segmentize(longest)

    def add(part):
        if part.IsEmpty() or part.GetDimension() < 2 and part.GetGeometryName() != "GEOMETRYCOLLECTION":
            return 0.0
        if part.GetGeometryName() == "POLYGON":
            rings = [np.array(part.GetGeometryRef(n).GetPoints())[:, :2] for n in range(part.GetGeometryCount())]
            areas = [ring_area(ring, spherical) for ring in rings]
            return areas[0] - sum(areas[1:])
        return sum(add(part.GetGeometryRef(n)) for n in range(part.GetGeometryCount()))

    return add(geometry)


def by_intersection(geometry, west, north, dx, dy, rows, columns, spherical):
    shares = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            left, top = west + column * dx, north - row * dy
            cell = polygon([box(left, top - dy, left + dx, top)])
            both = geometry.Intersection(cell)
            shares[row, column] = area_of(both, spherical, dx / 400) / area_of(cell, spherical, dx / 400)
    return shares


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize(("latitude", "seed"), [(47.0, 1), (-2.0, 2), (71.0, 3)])
def test_shares_are_those_of_exact_intersections(spherical, latitude, seed):
    rings = [oriented(star(15, latitude, 2.4, 40, seed), False), oriented(star(15, latitude, 0.7, 15, seed), True)]
    frame = 11.1, latitude + 2.6, 0.41, 0.37, 15, 20
    found = covered_shares(rings, *frame, spherical=spherical)
    expected = by_intersection(polygon(rings), *frame, spherical)
    assert ((expected > 0) & (expected < 1)).sum() > 60
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 if spherical else 1e-12)
    assert set(found[expected == 0]) == {0.0}


def test_the_share_of_area_is_that_on_the_sphere_and_not_that_of_degrees():
    """The southern half of a cell is larger than the northern one."""
    found = covered_shares([box(0, 60, 1, 60.5)], 0, 61, 1, 1, 1, 1, spherical=True)[0, 0]
    south, middle, north = np.sin(np.deg2rad([60, 60.5, 61]))
    assert found == pytest.approx((middle - south) / (north - south), abs=1e-13)
    assert found > 0.5038


def test_borders_along_cell_edges_and_through_corners():
    frame = 0, 4, 1, 1, 4, 4
    whole = covered_shares([box(1, 1, 3, 3)], *frame, spherical=False)
    assert whole.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    diamond = np.array([[2, 0], [4, 2], [2, 4], [0, 2], [2, 0]], float)
    half = covered_shares([diamond], *frame, spherical=False)
    assert half.tolist() == [[0, 0.5, 0.5, 0], [0.5, 1, 1, 0.5], [0.5, 1, 1, 0.5], [0, 0.5, 0.5, 0]]


def test_parts_of_the_grid_agree_and_what_lies_outside_counts_for_nothing():
    rings = [oriented(star(0, 50, 6, 300, 5), False)]
    whole = covered_shares(rings, -4, 54, 0.1, 0.1, 80, 80, spherical=True)
    assert whole[0].any() and whole[:, 0].any() and whole[:, -1].any()  # the polygon goes beyond all sides
    for row, column, rows, columns in ((0, 0, 33, 41), (33, 41, 47, 39), (20, 0, 1, 80), (0, 79, 80, 1)):
        part = covered_shares(rings, -4 + column * 0.1, 54 - row * 0.1, 0.1, 0.1, rows, columns, spherical=True)
        np.testing.assert_allclose(part, whole[row : row + rows, column : column + columns], atol=1e-11)
    assert not covered_shares(rings, 40, 54, 0.1, 0.1, 5, 5, spherical=True).any()
    assert not covered_shares([], 0, 1, 1, 1, 2, 2, spherical=True).any()


def test_the_sum_of_shares_is_the_polygon():
    rings = [oriented(star(15, 62, 3, 200, 7), False), oriented(star(15, 62, 0.5, 30, 8), True)]
    shares = covered_shares(rings, 10, 66, 0.05, 0.05, 160, 200, spherical=True)
    edges = np.sin(np.deg2rad(66 - np.arange(161) * 0.05))
    areas = np.deg2rad(0.05) * -np.diff(edges)
    assert (shares.sum(1) * areas).sum() == pytest.approx(polygon_area(rings, spherical=True), rel=1e-11)


def test_areas_of_polygons():
    cap = [box(-30, 20, 60, 70)]
    assert polygon_area(cap, spherical=True) == pytest.approx(
        np.pi / 2 * (np.sin(np.deg2rad(70)) - np.sin(np.deg2rad(20))), rel=1e-13
    )
    rings = [oriented(star(3, 4, 2, 50, 1), False), oriented(star(3, 4, 0.3, 9, 2), True)]
    assert polygon_area(rings, spherical=False) == pytest.approx(polygon(rings).GetArea(), rel=1e-13)
    assert polygon_area([], spherical=True) == 0


@pytest.mark.parametrize("hole", [False, True])
def test_rings_are_turned(hole):
    ring = box(0, 0, 1, 2)
    for given in (ring, ring[::-1]):
        assert polygon_area([oriented(given, hole)], spherical=False) == (-2 if hole else 2)
