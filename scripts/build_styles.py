"""Build the layer styles in processing_provider/styles from the palettes below.

Diverging maps use ColorBrewer's RdBu with white at zero, red for loss; sequential ones viridis-like steps
that stay ordered for colour-blind eyes. Run inside QGIS's Python: ``make styles``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsColorRampShader,
    QgsFillSymbol,
    QgsGraduatedSymbolRenderer,
    QgsMapLayer,
    QgsMarkerSymbol,
    QgsPalettedRasterRenderer,
    QgsPalLayerSettings,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRendererCategory,
    QgsRendererRange,
    QgsSingleBandPseudoColorRenderer,
    QgsSingleSymbolRenderer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtGui import QColor

STYLES = Path(__file__).parents[1] / "processing_provider" / "styles"
RD_BU = [
    "#67001f",
    "#b2182b",
    "#d6604d",
    "#f4a582",
    "#fddbc7",
    "#ffffff",
    "#d1e5f0",
    "#92c5de",
    "#4393c3",
    "#2166ac",
    "#053061",
]
VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"]
TREND_CLASSES = [
    (1, "#b2182b", "Highly significant decrease (p < 0.01)"),
    (2, "#ef8a62", "Significant decrease (p < 0.05)"),
    (3, "#fddbc7", "Decrease, not significant"),
    (4, "#f7f7f7", "No change"),
    (5, "#d1e5f0", "Increase, not significant"),
    (6, "#67a9cf", "Significant increase (p < 0.05)"),
    (7, "#2166ac", "Highly significant increase (p < 0.01)"),
]
CHANGES = [
    (1, "#67001f", "Decline accelerated"),
    (2, "#b2182b", "Decline began"),
    (3, "#d6604d", "Rise turned into decline"),
    (4, "#f4a582", "Rise stopped"),
    (5, "#fddbc7", "Rise slowed"),
    (6, "#bfa89c", "Downward change, slopes uncertain"),
    (7, "#f7f7f7", "No significant change"),
    (8, "#9fb3bf", "Upward change, slopes uncertain"),
    (9, "#d1e5f0", "Decline slowed"),
    (10, "#92c5de", "Decline stopped"),
    (11, "#4393c3", "Decline turned into rise"),
    (12, "#2166ac", "Rise began"),
    (13, "#053061", "Rise accelerated"),
]
AQUIFERS = [
    (11, "#deebf7", "11 major basin, recharge < 2 mm/yr"),
    (12, "#9ecae1", "12 major basin, 2-20"),
    (13, "#6baed6", "13 major basin, 20-100"),
    (14, "#3182bd", "14 major basin, 100-300"),
    (15, "#08519c", "15 major basin, > 300"),
    (22, "#c7e9c0", "22 complex structure, < 20"),
    (23, "#74c476", "23 complex structure, 20-100"),
    (24, "#31a354", "24 complex structure, 100-300"),
    (25, "#006d2c", "25 complex structure, > 300"),
    (33, "#d8b365", "33 local and shallow, < 100"),
    (34, "#8c510a", "34 local and shallow, > 100"),
]
FLAGS = [(0, "#f0f0f0", "Observed"), (1, "#fdae61", "Short gap, filled"), (2, "#d7191c", "Long gap, filled")]
# cm per year
SLOPE_BOUNDS = [-1e6, -2, -1, -0.5, -0.1, 0.1, 0.5, 1, 2, 1e6]
SLOPE_COLOURS = ["#67001f", "#b2182b", "#d6604d", "#f4a582", "#ffffff", "#92c5de", "#4393c3", "#2166ac", "#053061"]
MASK = [(1, "#a6cee3", "Used")]
DROUGHT_CLASSES = [
    (1, "#730000", "D4 exceptional drought"),
    (2, "#e60000", "D3 extreme drought"),
    (3, "#ffaa00", "D2 severe drought"),
    (4, "#fcd37f", "D1 moderate drought"),
    (5, "#ffff00", "D0 abnormally dry"),
    (6, "#f7f7f7", "Normal"),
    (7, "#d1e5f0", "W0 slightly wet"),
    (8, "#92c5de", "W1 moderately wet"),
    (9, "#4393c3", "W2 very wet"),
    (10, "#2166ac", "W3 extremely wet"),
    (11, "#053061", "W4 exceptionally wet"),
]
# Blue in the northern winter over green and yellow to red, and back: December and January are neighbours.
MONTHS = [
    (1, "#2c7bb6", "January"),
    (2, "#00a0b0", "February"),
    (3, "#3bb273", "March"),
    (4, "#8cc63f", "April"),
    (5, "#d4e157", "May"),
    (6, "#ffe066", "June"),
    (7, "#fdae61", "July"),
    (8, "#f46d43", "August"),
    (9, "#d73027", "September"),
    (10, "#b0306a", "October"),
    (11, "#7b3294", "November"),
    (12, "#4a4a9c", "December"),
]


def ramp(layer: QgsRasterLayer, colours: list[str], low: float, high: float) -> None:
    """Linear colours over a range."""
    values = np.linspace(low, high, len(colours))
    items = [
        QgsColorRampShader.ColorRampItem(float(v), QColor(c), f"{v:.4g}") for v, c in zip(values, colours, strict=True)
    ]
    function = QgsColorRampShader(low, high, None, Qgis.ShaderInterpolationMethod.Linear)
    function.setColorRampItemList(items)
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    layer.setRenderer(renderer)


def discrete(layer: QgsRasterLayer, steps: list[tuple[float, str, str]]) -> None:
    """Colours of classes bounded above by each step."""
    items = [QgsColorRampShader.ColorRampItem(v, QColor(c), label) for v, c, label in steps]
    function = QgsColorRampShader(0, 1, None, Qgis.ShaderInterpolationMethod.Discrete)
    function.setColorRampItemList(items)
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(function)
    layer.setRenderer(QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader))


def paletted(layer: QgsRasterLayer, classes: list[tuple[int, str, str]]) -> None:
    """One colour for each value."""
    layer.setRenderer(
        QgsPalettedRasterRenderer(
            layer.dataProvider(), 1, [QgsPalettedRasterRenderer.Class(v, QColor(c), label) for v, c, label in classes]
        )
    )


def save(
    layer: QgsMapLayer,
    name: str,
    categories: QgsMapLayer.StyleCategory = QgsMapLayer.StyleCategory.Symbology,
) -> None:
    """Write symbology alone, so that nothing of the scratch layer travels."""
    message, done = layer.saveNamedStyle(str(STYLES / f"{name}.qml"), categories)
    if not done:
        raise SystemExit(message)


def wells() -> None:
    """Wells coloured by their trend, red for falling."""
    layer = QgsVectorLayer("Point?field=trend_well:double", "wells", "memory")
    ranges = []
    for low, high, colour in zip(SLOPE_BOUNDS[:-1], SLOPE_BOUNDS[1:], SLOPE_COLOURS, strict=True):
        symbol = QgsMarkerSymbol.createSimple(
            {"name": "circle", "color": colour, "size": "2.4", "outline_color": "#404040", "outline_width": "0.2"}
        )
        ranges.append(QgsRendererRange(low, high, symbol, slope_label(low, high)))
    layer.setRenderer(QgsGraduatedSymbolRenderer("trend_well", ranges))
    save(layer, "wells")


def stipples() -> None:
    """Small dots that let the map below be seen."""
    layer = QgsVectorLayer("Point?field=slope:double", "stipples", "memory")
    symbol = QgsMarkerSymbol.createSimple(
        {"name": "circle", "color": "0,0,0,190", "size": "0.55", "outline_style": "no"}
    )
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    save(layer, "stipples")


def by_slope(outline: str, width: str) -> QgsGraduatedSymbolRenderer:
    """Polygons in the colours of trends, red for falling."""
    ranges = []
    for low, high, colour in zip(SLOPE_BOUNDS[:-1], SLOPE_BOUNDS[1:], SLOPE_COLOURS, strict=True):
        symbol = QgsFillSymbol.createSimple({"color": colour, "outline_color": outline, "outline_width": width})
        ranges.append(QgsRendererRange(low, high, symbol, slope_label(low, high)))
    return QgsGraduatedSymbolRenderer("slope_cm", ranges)


def basins() -> None:
    """Basins coloured by their trend, red for falling; those without a trend have no fill."""
    layer = QgsVectorLayer("Polygon?field=slope_cm:double", "basins", "memory")
    layer.setRenderer(by_slope("#404040", "0.26"))
    save(layer, "basins")


def hotspots() -> None:
    """Hot spots coloured by their slope, with a strong outline, the largest with their ranks."""
    layer = QgsVectorLayer("Polygon?field=slope_cm:double&field=rank:integer", "hotspots", "memory")
    layer.setRenderer(by_slope("#1d1d1d", "0.4"))
    text = QgsTextFormat()
    text.setSize(8)
    buffer = QgsTextBufferSettings()
    buffer.setEnabled(True)
    buffer.setSize(0.7)
    buffer.setColor(QColor("#ffffff"))
    text.setBuffer(buffer)
    settings = QgsPalLayerSettings()
    settings.setFormat(text)
    settings.fieldName = "CASE WHEN rank <= 20 THEN rank END"
    settings.isExpression = True
    settings.placement = Qgis.LabelPlacement.Horizontal
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)
    save(layer, "hotspots", QgsMapLayer.StyleCategory.Symbology | QgsMapLayer.StyleCategory.Labeling)


def plain(kind: str, name: str, symbol: QgsMarkerSymbol | QgsFillSymbol) -> None:
    """One symbol for all features."""
    layer = QgsVectorLayer(kind, name, "memory")
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    save(layer, name)


def places() -> None:
    """Wells, borders and glaciers as they are, before anything was computed for them."""
    white_rim = {"outline_color": "#ffffff", "outline_width": "0.2"}
    well = {"name": "circle", "color": "#1f1f1f", "size": "1.6"}
    plain("Point", "well_points", QgsMarkerSymbol.createSimple(well | white_rim))
    border = {"style": "no", "outline_color": "#202020", "outline_width": "0.4"}
    plain("Polygon", "outlines", QgsFillSymbol.createSimple(border))
    ice = {"color": "#e8f4ff", "outline_color": "#5b9bd5", "outline_width": "0.3"}
    plain("Polygon", "glaciers", QgsFillSymbol.createSimple(ice))


def aquifer_polygons() -> None:
    """WHYMAP polygons in the colours of the class map."""
    layer = QgsVectorLayer("Polygon?field=HYGEO2:integer", "aquifers", "memory")
    line = {"outline_color": "#808080", "outline_width": "0.1"}
    categories = [
        QgsRendererCategory(value, QgsFillSymbol.createSimple({"color": colour} | line), label)
        for value, colour, label in [*AQUIFERS, (88, "#ffffff", "88 ice sheet")]
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("HYGEO2", categories))
    save(layer, "aquifer_polygons")


def slope_label(low: float, high: float) -> str:
    """Legend of a class of slopes."""
    label = f"< {high:g}" if low < -1e5 else f"> {low:g}" if high > 1e5 else f"{low:g} to {high:g}"
    return f"{label} cm/yr"


def main() -> None:
    """Write all styles."""
    application = QgsApplication([], False)
    application.initQgis()
    STYLES.mkdir(exist_ok=True)
    gdal.UseExceptions()
    path = "/vsimem/scratch.tif"
    gdal.GetDriverByName("GTiff").Create(path, 2, 2, 1, gdal.GDT_Float32).FlushCache()
    layer = QgsRasterLayer(path, "scratch")
    ramp(layer, RD_BU, -10, 10)
    save(layer, "anomaly")
    ramp(layer, RD_BU, -1, 1)
    save(layer, "slope")
    ramp(layer, VIRIDIS, 0, 1)
    save(layer, "sequential")
    ramp(layer, RD_BU[::-1], 0, 100)
    save(layer, "seasonality")
    ramp(layer, RD_BU, -2.5, 2.5)
    save(layer, "drought_index")
    discrete(
        layer,
        [
            (0.01, "#54278f", "p < 0.01"),
            (0.05, "#9e9ac8", "p < 0.05"),
            (0.1, "#dadaeb", "p < 0.1"),
            (float("inf"), "#f7f7f7", "not significant"),
        ],
    )
    save(layer, "p_value")
    palettes = {"trend_classes": TREND_CLASSES, "aquifers": AQUIFERS, "flags": FLAGS, "mask": MASK, "months": MONTHS}
    palettes |= {"drought_classes": DROUGHT_CLASSES, "change_classes": CHANGES}
    for name, classes in palettes.items():
        paletted(layer, classes)
        save(layer, name)
    wells()
    stipples()
    basins()
    hotspots()

    places()
    aquifer_polygons()
    del layer  # QGIS may not go before its layers
    application.exitQgis()


if __name__ == "__main__":
    main()
