"""Parameter values as the steps want them: paths, numbers, texts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorLayer,
    QgsProcessingUtils,
    QgsVectorFileWriter,
)

# Larger limits are QGIS's way of setting none.
LARGEST_LIMIT = 2**31 - 1


class Values:
    """Reads an algorithm's parameters and remembers the outputs that were asked for.

    Attributes
    ----------
    outputs : dict
        Paths of the destinations read so far, by parameter name.
    """

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> None:
        self._algorithm, self._parameters, self._context = algorithm, parameters, context
        self.outputs: dict[str, str] = {}

    def given(self, name: str) -> bool:
        """Whether a value was given."""
        return self._parameters.get(name) not in (None, "", [])

    def raster(self, name: str) -> str | None:
        """Source of a raster layer; None when an optional one is not given."""
        layer = self._algorithm.parameterAsRasterLayer(self._parameters, name, self._context)
        return self._source(name, layer, "raster")

    def vector(self, name: str) -> str | None:
        """Source of a vector layer as OGR opens it; None when an optional one is not given."""
        layer = self._algorithm.parameterAsVectorLayer(self._parameters, name, self._context)
        return self._source(name, layer, "vector layer")

    def features(self, name: str) -> str | None:
        """Features as OGR opens them: the layer's own file, or a copy of what is selected, filtered or in memory."""
        if not self.given(name):
            return None
        path, layer = self._algorithm.parameterAsCompatibleSourceLayerPathAndLayerName(
            self._parameters, name, self._context, QgsVectorFileWriter.supportedFormatExtensions(), "gpkg"
        )
        if not path:
            given = self._parameters[name]
            raise QgsProcessingException(describe_unreadable(name, given, "vector layer"))
        return f"{path}|layername={layer}" if layer else path

    def _source(self, name: str, layer: QgsMapLayer | None, kind: str) -> str | None:
        if layer is not None and layer.isValid():
            return layer.source()
        if not self.given(name):
            return None
        given = self._parameters[name]
        raise QgsProcessingException(describe_unreadable(name, given, kind))

    def layers(self, name: str) -> list[str]:
        """Sources of several layers, in the order given."""
        given = self._algorithm.parameterAsLayerList(self._parameters, name, self._context)
        wanted = self._parameters.get(name) or []
        if isinstance(wanted, list) and len(given) != len(wanted):
            # a layer that cannot be opened is dropped silently by QGIS
            lost = first_unreadable(wanted, self._context)
            if lost is not None:
                raise QgsProcessingException(describe_unreadable(name, lost, "raster"))
        return [layer.source() for layer in given]

    def files(self, name: str) -> list[str]:
        """Paths of several files, in the order given."""
        if not self.given(name):
            return []
        return list(self._algorithm.parameterAsFileList(self._parameters, name, self._context))

    def file(self, name: str) -> str | None:
        """Path of a file or folder; None when not given."""
        return self._algorithm.parameterAsFile(self._parameters, name, self._context) or None

    def text(self, name: str) -> str | None:
        """Text; None when empty."""
        return self._algorithm.parameterAsString(self._parameters, name, self._context).strip() or None

    def choice(self, name: str) -> str:
        """Text of a choice."""
        return self._algorithm.parameterAsEnumString(self._parameters, name, self._context)

    def choices(self, name: str) -> list[str]:
        """Texts of a choice of several."""
        return list(self._algorithm.parameterAsEnumStrings(self._parameters, name, self._context))

    def integer(self, name: str) -> int | None:
        """Whole number; None when not given."""
        if self._missing(name):
            return None
        return self._algorithm.parameterAsInt(self._parameters, name, self._context)

    def threads(self) -> int:
        """Threads wanted, all cores where THREADS is 0."""
        return self.integer("THREADS") or os.cpu_count() or 1

    def number(self, name: str) -> float | None:
        """Number; None when not given."""
        if self._missing(name):
            return None
        return self._algorithm.parameterAsDouble(self._parameters, name, self._context)

    def _missing(self, name: str) -> bool:
        """Whether there is neither a value nor a default; models hand over unset values as None."""
        given = self._parameters.get(name)
        return given is None and self._algorithm.parameterDefinition(name).defaultValue() is None

    def flag(self, name: str) -> bool:
        """Yes or no."""
        return self._algorithm.parameterAsBoolean(self._parameters, name, self._context)

    def extent(self, name: str) -> tuple[float, float, float, float] | None:
        """West, south, east, north in degrees (EPSG:4326); None when not given."""
        if not self.given(name):
            return None
        from qgis.core import QgsCoordinateReferenceSystem

        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        box = self._algorithm.parameterAsExtent(self._parameters, name, self._context, degrees)
        return box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()

    def month(self, name: str) -> str | None:
        """Month ``YYYY-MM`` of a date parameter; None when not given."""
        moment = self._algorithm.parameterAsDateTime(self._parameters, name, self._context)
        return moment.toString("yyyy-MM") if moment.isValid() else None

    def matrix(self, name: str, columns: int) -> list[list[Any]]:
        """Rows of a table; QGIS gives it flat from defaults and the command line, nested from JSON."""
        cells = self._algorithm.parameterAsMatrix(self._parameters, name, self._context)
        if cells and isinstance(cells[0], list | tuple):
            cells = [cell for row in cells for cell in row]
        return [cells[i : i + columns] for i in range(0, len(cells), columns)]

    def output(self, name: str) -> str | None:
        """Path of a raster or vector destination; None when it is not wanted."""
        path = self._algorithm.parameterAsOutputLayer(self._parameters, name, self._context)
        return self._remember(name, path)

    def output_file(self, name: str) -> str | None:
        """Path of a file or folder destination; None when it is not wanted."""
        path = self._algorithm.parameterAsFileOutput(self._parameters, name, self._context)
        return self._remember(name, path)

    def output_folder(self, name: str) -> str | None:
        """Path of a folder destination."""
        return self._remember(name, self._algorithm.parameterAsString(self._parameters, name, self._context))

    def _remember(self, name: str, path: str) -> str | None:
        if not path:
            return None
        if path == QgsProcessing.TEMPORARY_OUTPUT:
            path = QgsProcessingUtils.generateTempFilename(name.lower(), self._context)
        self.outputs[name] = str(Path(path))
        return self.outputs[name]


def describe_unreadable(name: str, value: object, kind: str) -> str:
    """One sentence on a layer that cannot be read."""
    source = value.source() if isinstance(value, QgsMapLayer) else value
    return f"{name}: {source!s} is not a {kind} that can be read; give an existing {kind}."


def first_unreadable(values: list, context: QgsProcessingContext) -> object:
    """The first of several rasters that cannot be read; None when all can."""
    hint = QgsProcessingUtils.LayerHint.Raster
    for value in values:
        if not isinstance(value, QgsMapLayer) and not QgsProcessingUtils.mapLayerFromString(value, context, True, hint):
            return value
    return None


def describe_refusal(definition: QgsProcessingParameterDefinition, value: object, context: QgsProcessingContext) -> str:
    """One sentence on a value that a parameter does not take: what was given, and what to give."""
    name, label = definition.name(), definition.description()
    if value in (None, "", []):
        return f"{name} ({label}) was not given; give a value for it."
    if isinstance(definition, QgsProcessingParameterRasterLayer):
        return describe_unreadable(name, value, "raster")
    if isinstance(definition, (QgsProcessingParameterVectorLayer, QgsProcessingParameterFeatureSource)):
        return describe_unreadable(name, value, "vector layer")
    if isinstance(definition, QgsProcessingParameterMultipleLayers) and isinstance(value, list):
        return describe_unreadable(name, first_unreadable(value, context), "raster")
    if isinstance(definition, QgsProcessingParameterFile):
        return f"{name} is {value}; give a file of the kind {definition.fileFilter()}."
    if isinstance(definition, QgsProcessingParameterEnum):
        return f"{name} is {value!r}; give one of {', '.join(definition.options())}."
    if isinstance(definition, QgsProcessingParameterNumber):
        kind = "whole number" if definition.dataType() == QgsProcessingParameterNumber.Type.Integer else "number"
        limits = f"of at least {definition.minimum():g}"
        if definition.maximum() < LARGEST_LIMIT:
            limits = f"from {definition.minimum():g} to {definition.maximum():g}"
        return f"{name} is {value}; give a {kind} {limits}."
    return f"{name} is {value!r}, which is no value for {label!r}; give one that its help describes."
