"""Reading and writing single rasters in windows, NoData as NaN, always north-up."""

from __future__ import annotations

import math
import struct
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GwsaError, OutputNotWritable, UnreadableInput, reason_of
from gwsa_qgis.rasters.gdal_setup import gdal, one_unpacking_thread
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.tiff_check import missing_bytes
from gwsa_qgis.rasters.writing import replacing, require_space

TILE = 256
TILES_TAKEN_OVER = (64, 1024)  # sides of an input's tiles that windows and outputs may have
EVERYTHING = slice(None)
SIGNS_OF_DAMAGE = ("IO error", "apparently corrupt", "Truncating the value")


def open_dataset(path: str | Path) -> gdal.Dataset:
    """Open a raster for reading.

    Raises
    ------
    UnreadableInput
        If the file is absent or GDAL does not know its format.
    """
    text = str(path)
    warnings: list[str] = []
    # A file that was cut off or damaged is opened without its georeference and months, with no more than a warning.
    # GDAL gives no arguments where its message is no text, as when it repeats what a damaged file says.
    gdal.PushErrorHandler(lambda *message: warnings.append(message[-1] if message else ""))
    try:
        with one_unpacking_thread():
            dataset = gdal.OpenEx(text, gdal.OF_RASTER | gdal.OF_READONLY)
        # georeference and metadata are read when they are first asked for
        dataset.GetGeoTransform(), dataset.GetProjection(), dataset.GetMetadata()
    except (RuntimeError, SystemError) as error:
        absent = ":" not in text[2:] and not Path(text).exists()
        reason = "is not there" if absent else f"is not a raster that can be read ({reason_of(error)})"
        raise UnreadableInput(f"{text} {reason}", "give an existing raster file") from error
    finally:
        gdal.PopErrorHandler()
    lost = [message for message in warnings if any(sign in message for sign in SIGNS_OF_DAMAGE)]
    if lost:
        reason = reason_of(lost[0].replace(f"{text}: ", ""))
        raise UnreadableInput(f"{text} is damaged ({reason})", "fetch or make the file again")
    return dataset


def span(part: slice, length: int) -> tuple[int, int]:
    """Offset and count of a contiguous slice."""
    start, stop, _ = part.indices(length)
    return start, max(stop - start, 0)


class Raster:
    """A raster opened for reading, one thread at a time.

    Attributes
    ----------
    path : str
    grid : Grid
    bands : int
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._dataset = open_dataset(path)
        self.grid = Grid.from_dataset(self._dataset)
        self.bands = self._dataset.RasterCount
        self._south_up = self._dataset.GetGeoTransform()[5] > 0
        self._codes: dict[int, tuple[float | None, float | None, float | None]] = {}
        if not self.bands:
            raise UnreadableInput(f"{self.path} has no raster band", "name one of its sub-datasets or another file")

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._dataset = None

    def forget(self) -> None:
        """Let GDAL give back the blocks that it keeps of this file: for readers that want none of them twice."""
        self._dataset.FlushCache()

    @property
    def dataset(self) -> gdal.Dataset:
        """The open GDAL dataset."""
        return self._dataset

    @property
    def tile(self) -> int:
        """Side of the file's tiles where they are squares of a fair size, otherwise the usual one."""
        columns, rows = self._dataset.GetRasterBand(1).GetBlockSize()
        side = max(columns, rows)
        square = columns == rows or max(self.grid.shape) <= side
        least, most = TILES_TAKEN_OVER
        return side if square and side % 16 == 0 and least <= side <= most else TILE

    def metadata(self, domain: str = "") -> dict[str, str]:
        """Metadata of the file."""
        return self._dataset.GetMetadata(domain) or {}

    def descriptions(self) -> list[str]:
        """Descriptions of all bands."""
        return [self._dataset.GetRasterBand(b + 1).GetDescription() for b in range(self.bands)]

    def unit(self) -> str:
        """Unit of the first band; empty when not given."""
        return self._dataset.GetRasterBand(1).GetUnitType() or ""

    def read(
        self,
        rows: slice = EVERYTHING,
        columns: slice = EVERYTHING,
        bands: Sequence[int] | None = None,
        scaled: bool = True,
    ) -> np.ndarray:
        """Read a window of bands (counted from 0), shape (bands, rows, columns), float32 with NaN as NoData.

        Parameters
        ----------
        scaled : bool
            Apply the bands' own scale and offset.

        Raises
        ------
        UnreadableInput
            If the file is damaged.
        """
        row, row_count = span(rows, self.grid.rows)
        column, column_count = span(columns, self.grid.columns)
        file_row = self.grid.rows - row - row_count if self._south_up else row
        numbers = list(range(self.bands)) if bands is None else [int(b) for b in bands]
        try:
            data = self._dataset.ReadAsArray(
                column, file_row, column_count, row_count, band_list=[b + 1 for b in numbers], buf_type=gdal.GDT_Float32
            )
        except RuntimeError as error:
            reason = reason_of(str(error).replace(f"{self.path}, ", ""))
            raise UnreadableInput(f"{self.path} is damaged ({reason})", "fetch or make the file again") from error
        if data is None:
            raise UnreadableInput(f"{self.path} cannot be read", "fetch or make the file again")
        data = data.reshape(len(numbers), row_count, column_count)
        for layer, number in zip(data, numbers, strict=True):
            self._mask_and_scale(layer, number, scaled)
        return data[:, ::-1] if self._south_up else data

    def _mask_and_scale(self, layer: np.ndarray, number: int, scaled: bool) -> None:
        if number not in self._codes:  # each question to GDAL hands over the interpreter's lock
            band = self._dataset.GetRasterBand(number + 1)
            self._codes[number] = (band.GetNoDataValue(), band.GetScale(), band.GetOffset())
        nodata, scale, offset = self._codes[number]
        if nodata is not None and not np.isnan(nodata):
            layer[layer == np.float32(nodata)] = np.nan
        if scaled and (scale not in (None, 1.0) or offset not in (None, 0.0)):
            layer *= np.float32(1.0 if scale is None else scale)
            layer += np.float32(offset or 0.0)


def read_single(path: str | Path, grid: Grid | None = None, name: str = "the raster") -> tuple[np.ndarray, Grid]:
    """Read the first band whole; with `grid` given, the raster must lie on it.

    Returns
    -------
    values : (rows, columns) float32, NaN as NoData
    grid : Grid
    """
    with Raster(path) as raster:
        if grid is not None:
            grid.require_match(raster.grid, "the template", f"{name} {path}")
        return raster.read(bands=[0])[0], raster.grid


def _cut(start: int, length: int, tile: int) -> list[tuple[int, int]]:
    """Offsets and counts of the parts of a line that lie in one tile each."""
    edges = [start, *range((start // tile + 1) * tile, start + length, tile), start + length]
    return [(first, last - first) for first, last in zip(edges, edges[1:], strict=False)]


class RasterWriter:
    """Writes windows of a tiled, compressed GeoTIFF; made by `create_raster`."""

    def __init__(self, dataset: gdal.Dataset, path: Path) -> None:
        self.dataset, self.path = dataset, path

    def describe(
        self, grid: Grid, nodata: float | None, descriptions: Sequence[str], unit: str, metadata: dict[str, str]
    ) -> None:
        """Put down the grid, the metadata, and what the bands are."""
        self.dataset.SetGeoTransform(grid.transform)
        self.dataset.SetProjection(grid.crs)
        self.dataset.SetMetadata({key: str(value) for key, value in metadata.items()})
        for number in range(1, self.dataset.RasterCount + 1):
            band = self.dataset.GetRasterBand(number)
            if nodata is not None:
                band.SetNoDataValue(nodata)
            band.SetUnitType(unit)
            if descriptions:
                band.SetDescription(descriptions[number - 1])

    def write(self, values: np.ndarray, row: int = 0, column: int = 0, first_band: int = 0) -> None:
        """Write (bands, rows, columns) or (rows, columns) at a row and column, from band `first_band` (from 0)."""
        layers = values[None] if values.ndim == 2 else values
        for number, layer in enumerate(layers, start=first_band + 1):
            self.dataset.GetRasterBand(number).WriteArray(np.ascontiguousarray(layer), column, row)

    def write_tiles(self, values: np.ndarray, row: int = 0, column: int = 0, first_band: int = 0) -> None:
        """As `write`, for windows of whole tiles, which are packed at once.

        Otherwise GDAL's cache decides when and in which order they are, and with it the file's bytes.
        """
        layers = values[None] if values.ndim == 2 else values
        for number, layer in enumerate(layers, start=first_band + 1):
            band = self.dataset.GetRasterBand(number)
            band.WriteArray(np.ascontiguousarray(layer), column, row)
            band.FlushCache()

    def write_window(self, values: np.ndarray, row: int = 0, column: int = 0, first_band: int = 0) -> None:
        """As `write_tiles` where the window is made of whole tiles, otherwise as `write`."""
        width, height = self.dataset.GetRasterBand(1).GetBlockSize()
        sides = ((row, height, self.dataset.RasterYSize), (column, width, self.dataset.RasterXSize))
        whole = all(
            start % tile == 0 and (length % tile == 0 or start + length == side)
            for (start, tile, side), length in zip(sides, values.shape[-2:], strict=True)
        )
        (self.write_tiles if whole else self.write)(values, row, column, first_band)

    def read(self, row: int, column: int, rows: int, columns: int, band: int = 0) -> np.ndarray:
        """A window of a band (from 0) that was written, (rows, columns), as the file has it.

        Tile by tile: GDAL before 3.7.3 (issue 8470) waits for ever for its threads when they unpack several tiles of a
        file while others of it wait to be packed.
        """
        source = self.dataset.GetRasterBand(band + 1)
        width, height = source.GetBlockSize()
        lines = [
            [source.ReadAsArray(left, top, wide, high) for left, wide in _cut(column, columns, width)]
            for top, high in _cut(row, rows, height)
        ]
        return np.block(lines)

    def close(self) -> None:
        """Flush and let go; raises RuntimeError when the disk did not take it."""
        self.dataset.FlushCache()
        complaint = self.let_go()
        if complaint:
            raise RuntimeError(complaint)

    def let_go(self) -> str:
        """Close, whether the file is whole or not, and return what GDAL complains of."""
        complaints: list[str] = []
        gdal.ErrorReset()
        # An exception out of a destructor cannot be caught, and would be printed. Exceptions are not switched off for it:
        # inside QGIS others may have switched theirs on since, and GDAL refuses to take handlers out of order.
        usual, sys.unraisablehook = sys.unraisablehook, lambda lost: complaints.append(str(lost.exc_value))
        try:
            self.dataset = None
        finally:
            sys.unraisablehook = usual
        if not complaints and gdal.GetLastErrorType() >= gdal.CE_Failure:
            complaints.append(gdal.GetLastErrorMsg())
        return complaints[0] if complaints else ""


@contextmanager
def create_raster(
    path: str | Path,
    grid: Grid,
    bands: int = 1,
    *,
    dtype: str = "float32",
    nodata: float | None = np.nan,
    descriptions: Sequence[str] = (),
    unit: str = "",
    metadata: dict[str, str] | None = None,
    compress: bool = True,
    tile: int = TILE,
    quick: bool = False,
    threads: int = 0,
) -> Iterator[RasterWriter]:
    """Create a GeoTIFF that appears at `path` when the block ends well.

    Parameters
    ----------
    tile : int
        Side of the tiles, a multiple of 16.
    quick : bool
        Compress by Zstandard where GDAL knows it, several times quicker to write and to read than Deflate.
    threads : int
        Threads that compress; 0 takes all cores.

    Raises
    ------
    OutputNotWritable
        If the place cannot be written or the disk is full.
    """
    sizes = {"float32": gdal.GDT_Float32, "float64": gdal.GDT_Float64, "uint8": gdal.GDT_Byte}
    sizes |= {"int16": gdal.GDT_Int16, "int32": gdal.GDT_Int32}
    # A tile larger than a small map would be packed and unpacked for nothing; sides are multiples of 16.
    width, height = (min(tile, math.ceil(side / 16) * 16) for side in (grid.columns, grid.rows))
    options = [
        "TILED=YES",
        f"BLOCKXSIZE={width}",
        f"BLOCKYSIZE={height}",
        "BIGTIFF=IF_SAFER",
        "INTERLEAVE=BAND",
        f"NUM_THREADS={threads or 'ALL_CPUS'}",
    ]
    if compress and quick:
        options += quick_compression()
    elif compress:
        options += ["COMPRESS=DEFLATE", "ZLEVEL=1", f"PREDICTOR={3 if dtype.startswith('float') else 2}"]
    with replacing(path) as temporary:
        # Compressed maps are at least a fifth of the raw size; fail before hours of work, not after.
        require_space(path, 0.2 * bands * grid.rows * grid.columns * np.dtype(dtype).itemsize)
        try:
            driver = gdal.GetDriverByName("GTiff")
            size = (grid.columns, grid.rows, bands, sizes[dtype])
            writer = RasterWriter(driver.Create(str(temporary), *size, options=options), Path(path))
            try:
                writer.describe(grid, nodata, descriptions, unit, metadata or {})
                yield writer
                writer.close()
                _require_whole(temporary)
            except RuntimeError as error:
                # Frames of GDAL's own Python code would hold the dataset until long after.
                traceback.clear_frames(error.__traceback__)
                raise
            finally:
                writer.let_go()
        except RuntimeError as error:
            if isinstance(error, GwsaError):
                raise
            raise OutputNotWritable(
                f"{path} cannot be written ({reason_of(error) or 'GDAL gives no reason'})",
                "give a folder with permission and free space",
            ) from error


def _require_whole(path: Path) -> None:
    """Raise RuntimeError when the disk did not take the whole of a file, which not every GDAL tells."""
    try:
        missing = missing_bytes(path)
    except (OSError, struct.error, KeyError) as error:
        raise RuntimeError("the disk did not take the whole file") from error
    if missing:
        raise RuntimeError(f"the disk did not take the last {missing} bytes")


def quick_compression() -> list[str]:
    """Creation options of the quickest compression that this GDAL has."""
    known = gdal.GetDriverByName("GTiff").GetMetadataItem("DMD_CREATIONOPTIONLIST") or ""
    # Differences of whole words (2) are quicker than those of bytes (3), and as small on rounded values.
    kind = ["COMPRESS=ZSTD", "ZSTD_LEVEL=1"] if "ZSTD_LEVEL" in known else ["COMPRESS=DEFLATE", "ZLEVEL=1"]
    return [*kind, "PREDICTOR=2"]


def write_single(path: str | Path, grid: Grid, values: np.ndarray, **options: object) -> Path:
    """Write one whole band (rows, columns), or several (bands, rows, columns)."""
    bands = 1 if values.ndim == 2 else values.shape[0]
    with create_raster(path, grid, bands, **options) as writer:
        writer.write(values)
    return Path(path)
