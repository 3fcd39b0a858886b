"""Which variable of a product is wanted, the layers that make it, and the quality flags that go with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.products.cube import split_source
from gwsa_qgis.products.product import Combination, Layer, Product
from gwsa_qgis.progress import Reporter

# Part of a name that says which tile of a grid a file holds: MODIS, and exports of Google Earth Engine.
TILE = re.compile(r"(?<![A-Za-z])h\d\dv\d\d|-\d{10}-\d{10}(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Selection:
    """One variable, which may be the weighted sum of others.

    Attributes
    ----------
    name : str
    weights : dict of str to float
        Weight of each variable that it is made of.
    layers : dict of str to list of Layer
    quality : dict of (variable, start, tile) to Layer
    """

    name: str
    weights: dict[str, float]
    layers: dict[str, list[Layer]]
    quality: dict[tuple, Layer]

    def flags_of(self, layer: Layer, product: Product) -> Layer | None:
        """Layer of quality flags that goes with a layer of values; None when there is none."""
        wanted = product.quality_for(layer.variable) if product.quality_for else tuple(product.usable)
        keys = ((name, layer.start, tile_of(layer.path)) for name in wanted)
        return next((self.quality[key] for key in keys if key in self.quality), None)


def tile_of(path: str) -> str:
    """Tile that a file's name tells; empty when it tells none."""
    found = TILE.search(path)
    return found[0].lower() if found else ""


def with_quality_files(product: Product, paths: Sequence[str]) -> list[str]:
    """The paths, and the quality files that lie beside them."""
    known = {str(Path(path)) for path in paths}
    found = list(paths)
    for path in paths:
        for candidate in product.beside(path):
            if candidate not in known and Path(candidate).exists():
                known.add(candidate)
                found.append(candidate)
    return found


def select_variable(product: Product, layers: Sequence[Layer], wanted: str, report: Reporter) -> Selection:
    """Choose the layers of one variable: the one wanted, the only one, or a combination that they make.

    Raises
    ------
    UnreadableInput
        If variables are mixed, or the one wanted is not there.
    """
    kinds: dict[str, list[Layer]] = {}
    quality: dict[tuple, Layer] = {}
    for layer in layers:
        if layer.variable in product.usable:
            quality[layer.variable, layer.start, tile_of(layer.path)] = layer
        else:
            kinds.setdefault(layer.variable, []).append(layer)
    exact = {name.lower(): name for name in kinds}
    combination = _combination(product, set(kinds), wanted)
    if wanted.lower() in exact and wanted:
        weights, name = {exact[wanted.lower()]: 1.0}, exact[wanted.lower()]
    elif combination is not None:
        weights = dict(combination.weights)
        weights |= {extra: weight for extra, weight in combination.optional.items() if extra in kinds}
        name = combination.name
        parts = " + ".join(f"{weight:.4g} x {part}" if weight != 1 else part for part, weight in weights.items())
        report.say(f"{name} = {parts}.")
    else:
        name = _only_one(product, kinds, wanted)
        weights = {name: 1.0}
    passed = sorted(set(kinds) - set(weights) - {""})
    if passed:
        report.say(f"Passed over: {', '.join(passed)}.")
    return Selection(name, weights, {part: kinds[part] for part in weights}, quality)


def _combination(product: Product, held: set[str], wanted: str) -> Combination | None:
    """Combination of the variables held: the one wanted, or the one that uses them all."""
    held = held - set(product.ignored)
    for one in product.combinations:
        needed = set(one.weights)
        whole = needed <= held and (held <= needed | set(one.optional) if not wanted else True)
        if whole and wanted.lower() in ("", one.name.lower()):
            return one
    return None


def _only_one(product: Product, kinds: dict[str, list[Layer]], wanted: str) -> str:
    listing = ", ".join(f"{name} ({file_name(found[0])})" for name, found in sorted(kinds.items())) or "none"
    if wanted:
        if set(kinds) == {""}:  # files that do not name their variable
            return ""
        raise UnreadableInput(f"the files hold no variable {wanted!r} but {listing}", "give one of them as VARIABLE")
    kept = [name for name in kinds if name not in product.ignored]
    if len(kept) == 1:
        return kept[0]
    files = {name: {file_of(layer) for layer in found} for name, found in kinds.items()}
    if product.usual in kinds and all(found == files[product.usual] for found in files.values()):
        return product.usual
    for one in product.combinations:
        lacking = sorted(set(one.weights) - set(kinds))
        if lacking and kept and set(kept) <= set(one.weights) | set(one.optional):
            raise UnreadableInput(
                f"{one.name} needs {', '.join(one.weights)}, and {', '.join(lacking)} is missing; the files hold not one "
                f"variable but {listing}",
                "give the files of all of them, or of one variable",
            )
    raise UnreadableInput(
        f"the files hold not one variable but {listing}", "give files of one variable, or name it as VARIABLE"
    )


def file_of(layer: Layer) -> str:
    """File of a layer, of which it may be a sub-dataset."""
    found = re.search(r'"([^"]+)"', layer.path)
    return found[1] if found else split_source(layer.path)[0]


def file_name(layer: Layer) -> str:
    """Name of a layer's file, for messages."""
    return Path(file_of(layer)).name
