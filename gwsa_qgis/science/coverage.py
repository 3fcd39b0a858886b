"""How much of each grid cell a polygon covers, exactly: no sampling, no clipping of cell after cell.

The outline is cut where it crosses the edges of rows and columns. Each piece then lies in one cell, and adds the area
between itself and the right edge of its cell to that cell, and the height that it spans to all cells right of it. Pieces
that run down count positive, pieces that run up negative: with outer rings counter-clockwise and holes clockwise the sums
are the covered areas. This is how fonts are drawn without steps, here with areas that shrink towards the poles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Gauss-Legendre nodes on (0, 1): cos(latitude) over one cell is integrated to rounding.
_NODES, _WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(3))
_NODES = _NODES + 0.5
# Shares that differ from 0 or 1 by no more than rounding of coordinates are 0 or 1.
ROUNDING = 1e-9


def covered_shares(
    rings: Sequence[np.ndarray],
    west: float,
    north: float,
    dx: float,
    dy: float,
    rows: int,
    columns: int,
    *,
    spherical: bool,
) -> np.ndarray:
    """Share of each cell's area that a polygon covers.

    Parameters
    ----------
    rings : sequence of (n_vertices, 2) float64
        Closed rings of x and y, oriented by `oriented`; edges are straight in x and y.
    west, north, dx, dy : float
        Edges and cell size of the grid, north-up.
    rows, columns : int
        The grid may hold any part of the polygon.
    spherical : bool
        Coordinates are degrees, and areas those on the sphere; planar otherwise.

    Returns
    -------
    (rows, columns) float64
        0 to 1.
    """
    edges = _edges(rings)
    x, y = (edges[:, :, 0] - west) / dx, (north - edges[:, :, 1]) / dy
    met = (y.min(1) < rows) & (y.max(1) > 0) & (x.min(1) < columns) & (y[:, 0] != y[:, 1])
    x, y = x[met], y[met]
    edge, row, begin, end = _cut(y[:, 0], y[:, 1], rows)
    inside = (row >= 0) & (row < rows)
    edge, row, begin, end = edge[inside], row[inside], begin[inside], end[inside]
    x, y = (_between(part[edge], begin, end) for part in (x, y))
    piece, column, begin, end = _cut(x[:, 0], x[:, 1], columns)
    met = column < columns
    piece, column, begin, end = piece[met], column[met], begin[met], end[met]
    row = row[piece]
    x, y = (_between(part[piece], begin, end) for part in (x, y))
    height, own = _integrals(x, y, row, column, north, dy, spherical)
    return _accumulate(row, column, height, own, rows, columns)


def polygon_area(rings: Sequence[np.ndarray], *, spherical: bool) -> float:
    """Area of a polygon with oriented rings: on the unit sphere (coordinates in degrees), or in the plane.

    On the sphere edges are straight in longitude and latitude, as on a map, and not great circles.
    """
    edges = _edges(rings)
    x, y = edges[:, :, 0], edges[:, :, 1]
    if not spherical:
        x, y = x - x[:1, :1], y - y[:1, :1]
        return float((x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum() / 2)
    longitude, latitude = np.deg2rad(x - x[:1, :1]), np.deg2rad(y)
    half = np.diff(latitude, axis=1)[:, 0] / 2
    mean_sine = np.sin(latitude.mean(1)) * np.sinc(half / np.pi)
    return float(-(np.diff(longitude, axis=1)[:, 0] * mean_sine).sum())


def oriented(ring: np.ndarray, hole: bool) -> np.ndarray:
    """The ring counter-clockwise, or clockwise for a hole."""
    x, y = (ring - ring[:1]).T
    counter_clockwise = (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0
    return ring if counter_clockwise != hole else ring[::-1]


def _edges(rings: Sequence[np.ndarray]) -> np.ndarray:
    """Edges (n, 2 ends, 2 coordinates) of rings."""
    parts = [np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings if len(ring) > 1]
    return np.concatenate(parts) if parts else np.zeros((0, 2, 2))


def _cut(start: np.ndarray, stop: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut steps along one axis at the whole numbers 0 to `count`.

    Returns
    -------
    step, cell : (n_pieces,) int
        Whose piece it is, and where it lies: -1 and `count` are before and behind the grid.
    begin, end : (n_pieces,) float
        The piece, as shares of the step's length, from its start to its stop.
    """
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    first = np.clip(np.floor(low), -1, count).astype(np.int64)
    last = np.maximum(np.clip(np.ceil(high) - 1, -1, count).astype(np.int64), first)
    pieces = last - first + 1
    step = np.repeat(np.arange(start.size), pieces)
    cell = first[step] + np.arange(step.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    lower = np.where(cell < 0, low[step], np.maximum(low[step], cell))
    upper = np.where(cell >= count, high[step], np.minimum(high[step], cell + 1))
    length = (stop - start)[step]
    level = length == 0
    divisor = np.where(level, 1.0, length)
    begin = np.where(level, 0.0, (np.where(length > 0, lower, upper) - start[step]) / divisor)
    end = np.where(level, 1.0, (np.where(length > 0, upper, lower) - start[step]) / divisor)
    return step, cell, begin, end


def _between(ends: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Both ends (n, 2) of a part of each step (n, 2); what is whole stays the same to the bit."""
    length = ends[:, 1] - ends[:, 0]
    first = np.where(begin == 0, ends[:, 0], ends[:, 0] + begin * length)
    return np.stack([first, np.where(end == 1, ends[:, 1], ends[:, 0] + end * length)], axis=1)


def _integrals(
    x: np.ndarray, y: np.ndarray, row: np.ndarray, column: np.ndarray, north: float, dy: float, spherical: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted height of each piece and area between it and its cell's right edge, in units of the whole cell's."""
    run = y[:, 1] - y[:, 0]
    if not spherical:
        return run, run * (column + 1 - x.mean(1))
    at = y[:, :1] + run[:, None] * _NODES
    to_right = column[:, None] + 1 - (x[:, :1] + np.diff(x, axis=1) * _NODES)
    density = _cosine(north - at * dy) * _WEIGHTS * run[:, None]
    whole = (_cosine(north - (row[:, None] + _NODES) * dy) * _WEIGHTS).sum(1)
    return density.sum(1) / whole, (density * to_right).sum(1) / whole


def _cosine(latitude: np.ndarray) -> np.ndarray:
    return np.cos(np.deg2rad(np.clip(latitude, -90, 90)))


def _accumulate(
    row: np.ndarray, column: np.ndarray, height: np.ndarray, own: np.ndarray, rows: int, columns: int
) -> np.ndarray:
    """Sum the pieces, each over its cell and those right of it."""
    if not row.size:
        return np.zeros((rows, columns))
    before = column < 0
    cell = row * columns + np.maximum(column, 0)
    size = rows * columns
    shares = np.bincount(cell, np.where(before, 0.0, own), size).reshape(rows, columns)
    heights = np.bincount(cell, np.where(before, 0.0, height), size).reshape(rows, columns)
    shares[:, 1:] += np.cumsum(heights, axis=1)[:, :-1]
    shares += np.bincount(row, np.where(before, height, 0.0), rows)[:, None]
    shares[shares < ROUNDING] = 0.0
    shares[shares > 1.0 - ROUNDING] = 1.0
    return shares
