"""Model files: one zip with a JSON manifest, boosters and plain arrays. Reading one never executes code."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError

import numpy as np

from gwsa_qgis.errors import InvalidModelFile, UnreadableInput
from gwsa_qgis.science.learning import Parts

FORMAT, FORMAT_VERSION = "gwsa-model", 1
MANIFEST = "manifest.json"
MEMBER = re.compile(r"manifest\.json|boosters/[A-Za-z0-9_-]{1,64}\.ubj|arrays/[A-Za-z0-9_-]{1,64}\.npy")
MOST_MEMBERS = 5000
LARGEST_MANIFEST = 16 * 2**20
LARGEST_MEMBER = 2 * 2**30
LARGEST_TOTAL = 8 * 2**30
REMEDY = "give a file that gwsa:trainmodels wrote"
REQUIRED = {"preset": str, "predictors": list, "inputs": list, "models": dict, "unit": str, "seed": int}
# The zip's oldest date, so that the same model gives the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
# What numpy's reader of an array's header raises when that is none.
UNREADABLE = (
    ValueError,
    EOFError,
    OSError,
    MemoryError,
    TypeError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TokenError,
)
# Between a model's name and that of an array of its learner.
OF_LEARNER = "__"


@dataclass
class ModelFile:
    """Contents of a model file.

    Attributes
    ----------
    manifest : dict
        Preset, predictor names in order, inputs, classes, units, metrics, versions, seed, support; fit for JSON.
    boosters : dict of str to bytes
        By name, as XGBoost's UBJSON.
    arrays : dict of str to ndarray
        By name; numbers only.
    """

    manifest: dict
    boosters: dict[str, bytes] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def store(self, name: str, parts: Parts) -> None:
        """Take in the learner of a model."""
        if parts.booster is not None:
            self.boosters[name] = parts.booster
        self.arrays |= {name + OF_LEARNER + part: array for part, array in parts.arrays.items()}

    def parts(self, name: str) -> Parts:
        """The learner of a model."""
        start = name + OF_LEARNER
        arrays = {key.removeprefix(start): array for key, array in self.arrays.items() if key.startswith(start)}
        return Parts(self.boosters.get(name), arrays)


def write_archive(path: Path, model: ModelFile) -> None:
    """Write the zip itself, at a place that the caller moves it from when all its outputs are whole."""
    from gwsa_qgis import __version__

    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "version": __version__}
    members: dict[str, bytes] = {
        MANIFEST: json.dumps(_plain(head | model.manifest), indent=1, sort_keys=True).encode("utf-8")
    }
    members |= {f"boosters/{name}.ubj": data for name, data in sorted(model.boosters.items())}
    members |= {f"arrays/{name}.npy": _array_bytes(array) for name, array in sorted(model.arrays.items())}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def read_model(path: str | Path) -> ModelFile:
    """Read a model file.

    Raises
    ------
    UnreadableInput
        If the file is not there.
    InvalidModelFile
        If it is not a model file, is damaged, or holds what a model file may not hold.
    """
    path = Path(path)
    if not path.is_file():
        raise UnreadableInput(f"the model file {path} is not there", REMEDY)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _check_members(path, archive.infolist())
            contents = {entry.filename: _read_member(archive, entry) for entry in entries}
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        reason = str(error).strip()[:120] or type(error).__name__
        raise InvalidModelFile(f"{path} is not a model file, or is damaged ({reason})", REMEDY) from error
    except zlib.error as error:
        raise InvalidModelFile(f"{path} is a damaged model file ({error})", REMEDY) from error
    manifest = _manifest(path, contents.pop(MANIFEST))
    boosters = {Path(name).stem: data for name, data in contents.items() if name.startswith("boosters/")}
    arrays = {Path(name).stem: _array(path, name, data) for name, data in contents.items() if name.endswith(".npy")}
    model = ModelFile(manifest, boosters, arrays)
    _check_manifest(path, model)
    return model


def _check_members(path: Path, entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    names = [entry.filename for entry in entries]
    strange = [name for name in names if not MEMBER.fullmatch(name)]
    if strange:
        raise InvalidModelFile(f"{path} holds {strange[0][:80]!r}, which no model file has", REMEDY)
    if MANIFEST not in names or len(set(names)) != len(names) or len(names) > MOST_MEMBERS:
        raise InvalidModelFile(f"{path} is a zip file without a model's manifest, or has members twice", REMEDY)
    for entry in entries:
        limit = LARGEST_MANIFEST if entry.filename == MANIFEST else LARGEST_MEMBER
        if entry.file_size > limit:
            raise InvalidModelFile(f"{entry.filename} in {path} says it is {entry.file_size} bytes large", REMEDY)
    if sum(entry.file_size for entry in entries) > LARGEST_TOTAL:
        raise InvalidModelFile(f"{path} would unpack to more than {LARGEST_TOTAL >> 30} GB", REMEDY)
    return entries


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as member:  # gives at most file_size bytes and checks their CRC
        data = member.read(entry.file_size + 1)
    if len(data) != entry.file_size:
        raise zipfile.BadZipFile(f"{entry.filename} is not as long as the file says")
    return data


def _manifest(path: Path, data: bytes) -> dict:
    try:
        manifest = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InvalidModelFile(f"the manifest of {path} is not JSON ({error})", REMEDY) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InvalidModelFile(f"the manifest of {path} is not that of a groundwater model", REMEDY)
    if manifest.get("format_version") != FORMAT_VERSION:
        raise InvalidModelFile(
            f"{path} has model format {manifest.get('format_version')!r} and this version reads {FORMAT_VERSION}",
            "update the plugin, or train the model again",
        )
    return manifest


def _check_manifest(path: Path, model: ModelFile) -> None:
    manifest = model.manifest
    for key, kind in REQUIRED.items():
        if not isinstance(manifest.get(key), kind):
            raise InvalidModelFile(f"the manifest of {path} lacks {key}, or it is no {kind.__name__}", REMEDY)
    if not all(isinstance(name, str) for name in manifest["predictors"] + manifest["inputs"]):
        raise InvalidModelFile(f"the manifest of {path} names predictors that are no text", REMEDY)
    for name, entry in manifest["models"].items():
        parts = model.parts(name)
        if parts.booster is None and not parts.arrays:
            raise InvalidModelFile(f"the model {name!r} of {path} has no booster and no arrays", REMEDY)
        if not isinstance(entry, dict) or not isinstance(entry.get("learner"), dict):
            raise InvalidModelFile(f"the model {name!r} of {path} has no description", REMEDY)


def _array_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _array(path: Path, name: str, data: bytes) -> np.ndarray:
    """An array of numbers; its header may not promise more than there is, nor anything but numbers."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"format {version}")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.hasobject or dtype.names or dtype.subdtype or dtype.kind not in "biuf":
            raise ValueError(f"values of the type {dtype}")
        if math.prod(shape) * dtype.itemsize != len(data) - stream.tell() or min(shape, default=0) < 0:
            raise ValueError(f"{len(data) - stream.tell()} bytes for the shape {shape}")
        values = np.frombuffer(data, dtype, offset=stream.tell())
        return values.reshape(shape, order="F" if by_columns else "C").copy()
    except UNREADABLE as error:
        raise InvalidModelFile(f"{name} in {path} is not an array of numbers ({str(error)[:80]})", REMEDY) from error


def _plain(value: object) -> object:
    """Replace numpy numbers, paths and NaN by what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
