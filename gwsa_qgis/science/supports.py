"""Supports (coarse cells or native mascons): finding them, averaging over them, grouping them to a coarser scale."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gwsa_qgis.errors import InvalidParameter, NoUsableData

# Cells of a map that are looked at together: what is made of each is many times its value.
CELLS_AT_ONCE = 2**17


def compact_labels(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Renumber the identifiers of a mascon map to labels 1..n.

    Parameters
    ----------
    ids : ndarray, any shape
        Identifiers; NaN, 0 and negative values are outside.

    Returns
    -------
    labels : ndarray of int32, same shape
        0 outside.
    names : ndarray of int64, shape (n,)
        ``names[label - 1]`` is the identifier.
    """
    flat, labels = ids.reshape(-1), np.zeros(ids.size, np.int32)
    parts = [slice(first, first + CELLS_AT_ONCE) for first in range(0, ids.size, CELLS_AT_ONCE)]
    names = np.array([], np.int64)
    for part in parts:
        names = np.union1d(names, flat[part][_named(flat[part])].astype(np.int64))
    for part in parts:
        inside = _named(flat[part])
        labels[part][inside] = np.searchsorted(names, flat[part][inside].astype(np.int64)) + 1
    return labels.reshape(ids.shape), names


def _named(ids: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.isfinite(ids) & (ids > 0)


def identical_series_labels(series: np.ndarray) -> np.ndarray:
    """Find native mascons as connected cells whose whole series are identical.

    Parameters
    ----------
    series : ndarray, shape (n_months, rows, columns)
        Monthly values as published, not interpolated; NaN where missing. Or what has such a shape and gives the months of
        some rows, one after the other, as ``series[:, rows]``: these are asked for once in every strip.

    Returns
    -------
    ndarray of int32, shape (rows, columns)
        Labels 1..n in reading order of their first cells, 0 where a cell has no value at all. Where nothing repeats
        every cell has its own label.
    """
    _, rows, columns = series.shape
    height = max(CELLS_AT_ONCE // max(columns, 1), 1)
    labels, count = np.full((rows, columns), -1, np.int32), 0
    meeting: list[np.ndarray] = [np.zeros((2, 0), np.int32)]
    for top in range(0, rows, height):
        # the row above is looked at again: what meets there is one mascon
        first = max(top - 1, 0)
        found, here = _components(series[:, first : top + height], (min(top + height, rows) - first, columns))
        found[found >= 0] += count
        if top:
            shared = np.stack([labels[first], found[0]])
            meeting.append(np.unique(shared[:, shared[0] >= 0], axis=1))
        labels[top : top + height] = found[top - first :]
        count += here
    # Labels grow in reading order, so that the first of those that meet is the one of the first cell.
    root = _first_of_those_that_meet(np.concatenate(meeting, axis=1), count)
    used = np.zeros(count, bool)
    for line in labels:
        used[root[line[line >= 0]]] = True
    number = np.cumsum(used, dtype=np.int32)[root]
    for line in labels:
        line[...] = np.where(line >= 0, number[line], 0) if count else 0
    return labels


def _components(months: Iterable[np.ndarray], shape: tuple[int, int]) -> tuple[np.ndarray, int]:
    """Connected cells of identical series in some rows, numbered from 0 in reading order (-1 without a value)."""
    present, cell = np.zeros(shape, bool), np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    # each pair of views holds a cell and its neighbour: right, down, and the two diagonals
    pairs = [
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[:-1, :-1], np.s_[1:, 1:]),
        (np.s_[:-1, 1:], np.s_[1:, :-1]),
    ]
    same = [np.ones(cell[here].shape, bool) for here, _ in pairs]
    for month in months:
        missing = np.isnan(month)
        present |= ~missing
        for equal, (here, there) in zip(same, pairs, strict=True):
            equal &= (month[here] == month[there]) | (missing[here] & missing[there])
    start = np.concatenate([cell[here][equal] for equal, (here, _) in zip(same, pairs, strict=True)])
    stop = np.concatenate([cell[there][equal] for equal, (_, there) in zip(same, pairs, strict=True)])
    graph = coo_matrix((np.ones(start.size, bool), (start, stop)), shape=(cell.size, cell.size))
    count, component = connected_components(graph, directed=False)
    return np.where(present, component.reshape(shape), -1).astype(np.int32), count


def _first_of_those_that_meet(pairs: np.ndarray, count: int) -> np.ndarray:
    """For each of `count` numbers the smallest that it is connected to by pairs, shape (2, n_pairs)."""
    root = np.arange(count, dtype=np.int32)
    members, place = np.unique(pairs, return_inverse=True)
    if members.size:
        start, stop = place.reshape(pairs.shape)
        graph = coo_matrix((np.ones(start.size, bool), (start, stop)), shape=(members.size, members.size))
        component = connected_components(graph, directed=False)[1]
        first = np.unique(component, return_index=True)[1]  # members are in order
        root[members] = members[first[component]]
    return root


def support_sums(
    values: np.ndarray, labels: np.ndarray, weights: np.ndarray, n_supports: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums over supports, to be added up window by window.

    Parameters
    ----------
    values : ndarray, shape (n_months, rows, columns)
        NaN pixels count for nothing.
    labels : ndarray of int, shape (rows, columns)
        1..n_supports, 0 or less outside.
    weights : ndarray, broadcastable to (rows, columns)
        Pixel areas, 0 on masked pixels.

    Returns
    -------
    sums, total : ndarray of float64, shape (n_months, n_supports)
        Sum of weight times value, and of the weights that took part: ``sums / total`` is the mean.
    """
    weights = np.broadcast_to(weights, labels.shape)
    inside = (labels > 0) & (weights > 0)
    label, weight = labels[inside], weights[inside].astype(np.float64)
    sums, total = np.zeros((2, len(values), n_supports))
    for month, field in enumerate(values):
        value = field[inside]
        valid = np.isfinite(value)
        everywhere = valid.all()
        chosen, share = (label, weight) if everywhere else (label[valid], weight[valid])
        product = share * (value if everywhere else value[valid])
        sums[month] = np.bincount(chosen, product, n_supports + 1)[1:]
        total[month] = np.bincount(chosen, share, n_supports + 1)[1:]
    return sums, total


def support_means(values: np.ndarray, labels: np.ndarray, weights: np.ndarray, n_supports: int) -> np.ndarray:
    """Weighted means over supports, of the valid pixels of each month.

    Parameters are those of `support_sums`.

    Returns
    -------
    ndarray of float64, shape (n_months, n_supports)
        NaN where a support has no valid pixel.
    """
    sums, total = support_sums(values, labels, weights, n_supports)
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)


def support_positions(labels: np.ndarray, weights: np.ndarray, latitude: np.ndarray | None = None) -> np.ndarray:
    """Centres of supports, for distances between them.

    Parameters
    ----------
    labels, weights
        As in `support_sums`.
    latitude : ndarray, shape (rows,), optional
        Latitude of each row in degrees on geographic grids: columns are then narrowed by its cosine.

    Returns
    -------
    ndarray, shape (n_supports, 2)
        In fine pixels; NaN for supports without weight.
    """
    rows, columns = labels.shape
    narrowing = np.ones(rows) if latitude is None else np.cos(np.deg2rad(latitude))
    y = np.broadcast_to(np.arange(rows, dtype=float)[:, None], labels.shape)
    x = (np.arange(columns) - 0.5 * (columns - 1)) * narrowing[:, None]
    return support_means(np.stack([y, x]), labels, weights, int(labels.max(initial=0))).T


def group_supports(positions: np.ndarray, size: int = 6) -> np.ndarray:
    """Partition supports into compact groups of neighbours: the coarser scale of the deviation recipe.

    The supports are halved recursively across their longer extent, which gives groups of equal size, and a few steps of
    Lloyd's algorithm (1982, 10.1109/TIT.1982.1056489) make them compact.

    Parameters
    ----------
    positions : ndarray, shape (n_supports, 2)
        Centres; supports with NaN get group 0.
    size : int
        Usual number of supports in a group.

    Returns
    -------
    ndarray of int32, shape (n_supports,)
        Labels 1..n_groups.
    """
    if size < 2:
        raise InvalidParameter(f"the size of a group of supports is {size}", "give at least 2")
    usable = np.isfinite(positions).all(1)
    if not usable.any():
        raise NoUsableData("no support has a valid pixel", "check that the mask and the supports overlap")
    points = positions[usable]
    member = np.zeros(len(points), np.int64)
    _halve(points, np.arange(len(points)), max(1, round(len(points) / size)), member, 0)
    for _ in range(8):
        count = np.bincount(member)
        centres = np.stack([np.bincount(member, axis) for axis in points.T], 1)[count > 0] / count[count > 0][:, None]
        member = cKDTree(centres).query(points)[1]
    groups = np.zeros(len(positions), np.int32)
    groups[usable] = np.unique(member, return_inverse=True)[1].ravel() + 1
    return groups


def _halve(points: np.ndarray, chosen: np.ndarray, parts: int, member: np.ndarray, first: int) -> None:
    if parts == 1:
        member[chosen] = first
        return
    axis = np.argmax(np.ptp(points[chosen], axis=0))
    ordered = chosen[np.argsort(points[chosen, axis], kind="stable")]
    left = parts // 2
    cut = round(len(chosen) * left / parts)
    _halve(points, ordered[:cut], left, member, first)
    _halve(points, ordered[cut:], parts - left, member, first + left)


def block_groups(rows: int, columns: int, ratio: int = 3) -> np.ndarray:
    """Groups of ratio x ratio coarse cells.

    Parameters
    ----------
    rows, columns : int
        Shape of the coarse grid, whose cells are numbered row by row.
    ratio : int
        Cells along a block's edge.

    Returns
    -------
    ndarray of int32, shape (rows * columns,)
        Labels 1..n_groups.
    """
    if ratio < 2:
        raise InvalidParameter(f"blocks of {ratio} x {ratio} cells were asked for", "give a ratio of at least 2")
    y, x = np.arange(rows) // ratio, np.arange(columns) // ratio
    return (y[:, None] * (x[-1] + 1) + x + 1).astype(np.int32).ravel()


def group_labels(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Label of each fine pixel's group; 0 outside."""
    return np.concatenate([[0], groups])[np.maximum(labels, 0)].astype(np.int32)


def group_means(values: np.ndarray, areas: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Area-weighted means of supports over groups.

    Parameters
    ----------
    values : ndarray, shape (n_months, n_supports)
        NaN supports count for nothing.
    areas : ndarray, shape (n_supports,)
        Total pixel weight of each support.
    groups : ndarray of int, shape (n_supports,)
        Labels 1..n_groups; 0 for supports in no group.

    Returns
    -------
    ndarray of float64, shape (n_months, n_groups)
    """
    return support_means(values[:, None, :], groups[None], areas[None], int(groups.max(initial=0)))


def blocked_folds(groups: np.ndarray, n_folds: int = 5, seed: int = 0) -> np.ndarray:
    """Assign whole groups to folds of nearly equal numbers of supports.

    Parameters
    ----------
    groups : ndarray of int, shape (n_supports,)
        Labels 1..n_groups, 0 for none.
    n_folds : int
        At most the number of groups are made.
    seed : int
        Order in which groups are dealt out.

    Returns
    -------
    ndarray of int32, shape (n_supports,)
        Fold 0..n_folds-1; -1 for supports in no group.
    """
    if n_folds < 2:
        raise InvalidParameter(f"{n_folds} folds were asked for", "give at least 2")
    sizes = np.bincount(np.maximum(groups, 0))
    sizes[0] = 0
    names = np.flatnonzero(sizes)
    if names.size < 2:
        raise NoUsableData(
            f"{names.size} group of supports cannot be split into folds", "use a larger region or smaller groups"
        )
    fold_of = np.full(sizes.size, -1, np.int32)
    load = np.zeros(min(n_folds, names.size), np.int64)
    for name in np.random.default_rng(seed).permutation(names):
        fold_of[name] = np.argmin(load)
        load[fold_of[name]] += sizes[name]
    return fold_of[np.maximum(groups, 0)]
