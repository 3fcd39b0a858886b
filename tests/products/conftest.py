"""Writers of files as the providers structure them; through GDAL and the HDF4 library, not through the readers' code."""

import ctypes
import ctypes.util
from pathlib import Path

import numpy as np
import pytest

CODES = {"int8": 20, "uint8": 21, "int16": 22, "uint16": 23}


@pytest.fixture
def write_tif(tmp_path):
    """Return a function that writes a GeoTIFF and gives its path."""
    from osgeo import gdal, osr

    gdal.UseExceptions()

    def write(
        name,
        values,
        corner=(10.0, 50.0),
        size=0.5,
        *,
        names=(),
        nodata=None,
        scale=None,
        offset=None,
        epsg=4326,
        south_up=False,
    ):
        values = np.asarray(values)
        values = values[None] if values.ndim == 2 else values
        kinds = {
            "uint8": gdal.GDT_Byte,
            "int16": gdal.GDT_Int16,
            "uint16": gdal.GDT_UInt16,
            "float32": gdal.GDT_Float32,
        }
        path = tmp_path / name
        bands, rows, columns = values.shape
        dataset = gdal.GetDriverByName("GTiff").Create(str(path), columns, rows, bands, kinds[values.dtype.name])
        west, north = corner
        if south_up:
            dataset.SetGeoTransform((west, size, 0, north - rows * size, 0, size))
        else:
            dataset.SetGeoTransform((west, size, 0, north, 0, -size))
        if epsg:
            reference = osr.SpatialReference()
            reference.ImportFromEPSG(epsg)
            dataset.SetProjection(reference.ExportToWkt())
        for number, layer in enumerate(values, start=1):
            band = dataset.GetRasterBand(number)
            band.WriteArray(np.ascontiguousarray(layer))
            if nodata is not None:
                band.SetNoDataValue(nodata)
            if scale is not None:
                band.SetScale(scale)
                band.SetOffset(offset or 0)
            if names:
                band.SetDescription(names[number - 1])
        del band, dataset
        return path

    return write


@pytest.fixture
def write_netcdf(tmp_path):
    """Return a function that writes a NetCDF file of variables on named axes and gives its path.

    ``axes``: name -> (values, unit); ``variables``: name -> (axis names, stored values, attributes), in which ``units``,
    ``_FillValue``, ``scale_factor`` and ``add_offset`` are what CF says.
    """
    from osgeo import gdal

    gdal.UseExceptions()

    def write(name, axes, variables):
        path = tmp_path / name
        dataset = gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(path))
        root = dataset.GetRootGroup()
        kept, dimensions = [], {}
        for axis, (values, unit) in axes.items():
            values = np.asarray(values)
            dimensions[axis] = root.CreateDimension(axis, "", "", values.size)
            kept.append(_array(gdal, root, axis, [dimensions[axis]], values, {"units": unit}))
        for variable, (order, values, attributes) in variables.items():
            kept.append(
                _array(gdal, root, variable, [dimensions[axis] for axis in order], np.asarray(values), attributes)
            )
        del kept, dimensions, root, dataset
        return path

    return write


def _array(gdal, root, name, dimensions, values, attributes):
    kinds = {
        "float32": gdal.GDT_Float32, "float64": gdal.GDT_Float64, "int16": gdal.GDT_Int16, "int32": gdal.GDT_Int32
    }  # fmt: skip
    array = root.CreateMDArray(name, dimensions, gdal.ExtendedDataType.Create(kinds[values.dtype.name]))
    for key, value in attributes.items():
        if key == "units":
            array.SetUnit(value)
        elif key == "_FillValue":
            array.SetNoDataValueDouble(float(value))
        elif key == "scale_factor":
            array.SetScale(value)
        elif key == "add_offset":
            array.SetOffset(value)
        else:
            attribute = array.CreateAttribute(key, [], gdal.ExtendedDataType.CreateString())
            attribute.Write(str(value))
    array.Write(np.ascontiguousarray(values))
    return array


@pytest.fixture
def write_eos(tmp_path):
    """Return a function that writes a HDF4-EOS grid in MODIS's sinusoidal projection; skips without the HDF4 library."""
    from osgeo import gdal

    found = [
        next(filter(None, map(ctypes.util.find_library, names)), None)
        for names in (("mfhdfalt", "mfhdf"), ("dfalt", "df", "hdf"))
    ]
    if None in found or gdal.GetDriverByName("HDF4") is None:
        pytest.skip("there is no HDF4 library to write a native file with, or no HDF4 driver to read it")
    datasets, groups = map(ctypes.CDLL, found)

    def write(name, grid, corner, size, fields):
        path = tmp_path / name
        references = _write_fields(datasets, path, grid, corner, size, fields)
        _write_groups(groups, path, grid, references)
        return path

    return write


def _write_fields(library, path: Path, grid: str, corner, size, fields) -> list[int]:
    """Scientific data sets with their attributes, and the text that makes a grid of them."""
    int32 = ctypes.c_int32
    file = library.SDstart(str(path).encode(), 4)
    references = []
    for name, values, attributes in fields:
        code = CODES[values.dtype.name]
        shape = (int32 * 2)(*values.shape)
        data = library.SDcreate(file, name.encode(), code, 2, shape)
        assert library.SDwritedata(data, (int32 * 2)(0, 0), None, shape, _pointer(np.ascontiguousarray(values))) == 0
        for place, axis in enumerate(("YDim", "XDim")):
            library.SDsetdimname(library.SDgetdimid(data, place), f"{axis}:{grid}".encode())
        for key, value in attributes.items():
            own = key == "_FillValue"
            stored = np.array([value], values.dtype if own else np.float64)
            library.SDsetattr(data, key.encode(), code if own else 6, 1, _pointer(stored))
        references.append(library.SDidtoref(data))
        library.SDendaccess(data)
    text = _structure(grid, corner, size, fields).encode().ljust(32000, b"\0")
    library.SDsetattr(file, b"HDFEOSVersion", 4, 12, b"HDFEOS_V2.17")
    library.SDsetattr(file, b"StructMetadata.0", 4, len(text), text)
    library.SDend(file)
    return references


def _pointer(values: np.ndarray) -> ctypes.c_void_p:
    return values.ctypes.data_as(ctypes.c_void_p)


def _structure(grid: str, corner, size: float, fields) -> str:
    rows, columns = fields[0][1].shape
    west, north = corner
    objects = "".join(
        f'\t\t\tOBJECT=DataField_{number}\n\t\t\t\tDataFieldName="{name}"\n'
        f'\t\t\t\tDataType=DFNT_{values.dtype.name.upper()}\n\t\t\t\tDimList=("YDim","XDim")\n'
        f"\t\t\tEND_OBJECT=DataField_{number}\n"
        for number, (name, values, _) in enumerate(fields, start=1)
    )
    return (
        "GROUP=SwathStructure\nEND_GROUP=SwathStructure\nGROUP=GridStructure\n\tGROUP=GRID_1\n"
        f'\t\tGridName="{grid}"\n\t\tXDim={columns}\n\t\tYDim={rows}\n'
        f"\t\tUpperLeftPointMtrs=({west:.6f},{north:.6f})\n"
        f"\t\tLowerRightMtrs=({west + columns * size:.6f},{north - rows * size:.6f})\n"
        "\t\tProjection=GCTP_SNSOID\n\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)\n\t\tSphereCode=-1\n"
        "\t\tGROUP=Dimension\n\t\tEND_GROUP=Dimension\n"
        f"\t\tGROUP=DataField\n{objects}\t\tEND_GROUP=DataField\n"
        "\t\tGROUP=MergedFields\n\t\tEND_GROUP=MergedFields\n\tEND_GROUP=GRID_1\nEND_GROUP=GridStructure\n"
        "GROUP=PointStructure\nEND_GROUP=PointStructure\nEND\n"
    )


def _write_groups(library, path: Path, grid: str, references: list[int]) -> None:
    """The groups by which HDF-EOS finds the fields of a grid."""
    file = library.Hopen(str(path).encode(), 3, 0)
    library.Vinitialize(file)
    made = []
    for name, kind in ((grid, "GRID"), ("Data Fields", "GRID Vgroup"), ("Grid Attributes", "GRID Vgroup")):
        group = library.Vattach(file, -1, b"w")
        library.Vsetname(group, name.encode())
        library.Vsetclass(group, kind.encode())
        made.append(group)
    for group in made[1:]:
        library.Vinsert(made[0], group)
    for reference in references:
        library.Vaddtagref(made[1], 720, reference)
    for group in reversed(made):
        library.Vdetach(group)
    library.Vfinish(file)
    library.Hclose(file)
