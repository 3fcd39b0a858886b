"""Loaded layers: named, grouped, styled, and months in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qgis.core import (
    Qgis,
    QgsColorRampShader,
    QgsDateTimeRange,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDate, QDateTime, QTime, QTimeZone
from qgis.PyQt.QtGui import QColor

from gwsa_qgis.errors import GwsaError
from gwsa_qgis.rasters.stack import MONTH_PATTERN

STYLES = Path(__file__).parent / "styles"
# Styles whose colours are stretched to the map's own values: diverging ones about zero, others to its range.
DIVERGING = {"anomaly", "slope"}
STRETCHED = DIVERGING | {"sequential"}
# The style of numbered areas: neighbours differ, no colour says more than another.
LABELS = "labels"
LABEL_COLOURS = ("#8dd3c7", "#ffffb3", "#bebada", "#fb8072", "#80b1d3", "#fdb462", "#b3de69", "#fccde5", "#d9d9d9")
MOST_LABELS = 2000  # more make a legend that nobody can use


class LayerStyler(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded layer its style and its months; QGIS calls it on the main thread."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self._style = style

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        if isinstance(layer, QgsRasterLayer):
            dress(layer, self._style)
        elif self._style:
            layer.loadNamedStyle(str(STYLES / f"{self._style}.qml"))


_stylers: list[LayerStyler] = []


def new_styler(style: str) -> LayerStyler:
    """A styler for one layer, which lives until QGIS's context, which owns it, deletes it.

    One that two layers shared would be deleted twice, and QGIS would crash. Nobody else keeps its Python half, without
    which nothing is styled: the algorithm may be gone before QGIS calls it, as `run` and models work with copies.
    """
    _stylers[:] = [styler for styler in _stylers if not sip.isdeleted(styler)]
    _stylers.append(LayerStyler(style))
    return _stylers[-1]


def prepare_loaded_layer(context: QgsProcessingContext, path: str, style: str, label: str, group: str) -> None:
    """Arrange name, group and style of an output that QGIS will load."""
    if not context.willLoadLayerOnCompletion(path):
        return
    details = context.layerToLoadOnCompletionDetails(path)
    details.groupName = details.groupName or f"GWSA - {group}"
    if not details.name:
        details.name = label
    details.setPostProcessor(new_styler(style))


def dress(layer: QgsRasterLayer, style: str) -> None:
    """Style a raster layer and put its months in time."""
    has_months = set_months(layer)
    if not style:
        return
    if style == LABELS:
        colour_labels(layer)
        return
    layer.loadNamedStyle(str(STYLES / f"{style}.qml"))
    renderer = layer.renderer()
    if isinstance(renderer, QgsSingleBandPseudoColorRenderer) and style in STRETCHED:
        stretch(layer, renderer, style in DIVERGING)
    if has_months:  # a style file resets them
        set_months(layer)
    layer.triggerRepaint()


def colour_labels(layer: QgsRasterLayer) -> None:
    """Give every number of a raster of labels a colour of its own, unless there are very many."""
    numbers = np.unique(sample(layer)).astype(np.int64)
    numbers = numbers[numbers > 0]
    if not 0 < numbers.size <= MOST_LABELS:
        return
    # Steps of 4 through the 9 colours: both the next label and the one a few on, below it on the map, differ.
    colours = [QColor(LABEL_COLOURS[4 * k % len(LABEL_COLOURS)]) for k in range(numbers.size)]
    classes = [
        QgsPalettedRasterRenderer.Class(int(number), colour, str(number))
        for number, colour in zip(numbers, colours, strict=True)
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    layer.triggerRepaint()


def band_months(layer: QgsRasterLayer) -> list[tuple[int, int, int]]:
    """(band, year, month) of every band whose name holds a month."""
    found = []
    for band in range(1, layer.bandCount() + 1):
        match = MONTH_PATTERN.search(layer.bandName(band).partition(":")[2] or layer.bandName(band))
        if match:
            found.append((band, int(match[1]), int(match[2])))
    return found


def set_months(layer: QgsRasterLayer) -> bool:
    """Give every band of a monthly stack its calendar month, for the temporal controller."""
    months = band_months(layer)
    if layer.bandCount() < 2 or len(months) != layer.bandCount():
        return False
    ranges = {band: month_range(year, month) for band, year, month in months}
    temporal = layer.temporalProperties()
    temporal.setMode(Qgis.RasterTemporalMode.FixedRangePerBand)
    temporal.setFixedRangePerBand(ranges)
    temporal.setIsActive(True)
    return True


def month_range(year: int, month: int) -> QgsDateTimeRange:
    """From the first moment of a month to the first of the next, which is not included (UTC)."""
    begin = QDate(year, month, 1)
    utc = QTimeZone.utc()
    return QgsDateTimeRange(
        QDateTime(begin, QTime(0, 0), utc), QDateTime(begin.addMonths(1), QTime(0, 0), utc), True, False
    )


def stretch(layer: QgsRasterLayer, renderer: QgsSingleBandPseudoColorRenderer, about_zero: bool) -> None:
    """Scale the style's colours to the values of the map (2 to 98 %), keeping white at zero if diverging."""
    values = sample(layer)
    if not values.size:
        return
    shader = renderer.shader().rasterShaderFunction()
    if not isinstance(shader, QgsColorRampShader):
        return
    low, high = np.percentile(values, [2, 98])
    if about_zero:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    if high <= low:
        high = low + 1.0
    if about_zero or abs(high) >= 1:
        high, low = _round_outward(high), -_round_outward(-low)
    items = shader.colorRampItemList()
    old_low, old_high = items[0].value, items[-1].value
    decimals = max(0, 2 - int(np.floor(np.log10(max(abs(low), abs(high))))))
    for item in items:
        item.value = low + (item.value - old_low) / (old_high - old_low) * (high - low)
        item.label = f"{item.value:.{decimals}f}"
    shader.setColorRampItemList(items)
    shader.setMinimumValue(low)
    shader.setMaximumValue(high)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)


def sample(layer: QgsRasterLayer) -> np.ndarray:
    """Valid values of a few bands, thinned so that large maps cost no more than small ones."""
    from gwsa_qgis.rasters.gdal_setup import gdal

    try:
        dataset = gdal.Open(layer.source())
        rows, columns = min(dataset.RasterYSize, 400), min(dataset.RasterXSize, 400)
        # Bands without months are other quantities than the first, which is drawn.
        bands = sorted({1, dataset.RasterCount // 2 + 1, dataset.RasterCount}) if band_months(layer) else [1]
        values = dataset.ReadAsArray(buf_xsize=columns, buf_ysize=rows, band_list=bands)
        nodata = dataset.GetRasterBand(1).GetNoDataValue()
    except (RuntimeError, GwsaError):  # not a file of GDAL's: it keeps the style's own range
        return np.empty(0)
    values = values[np.isfinite(values)]
    return values if nodata is None or np.isnan(nodata) else values[values != nodata]


def _round_outward(value: float) -> float:
    """Next larger number with one and a half significant digits, so that legends read well."""
    if value == 0:
        return 0.0
    step = 10.0 ** np.floor(np.log10(abs(value))) / 2
    return float(np.ceil(value / step) * step)
