"""A QGIS project of the sample region: layers named, grouped and styled, months in the temporal controller."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gwsa_qgis.processing_provider.layers import STYLES, band_months, dress, month_range
from gwsa_qgis.processing_provider.translation import tr
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsDateTimeRange,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDateTime, Qt

DEGREES = "EPSG:4326"
FRAMES_PER_SECOND = 4.0


@dataclass(frozen=True)
class Entry:
    """One layer of the project: its file, name, style and whether it is shown at first."""

    path: Path
    name: str
    style: str
    shown: bool = False


def write_sample_project(path: str | Path, region: str | Path, twsa: str | Path, mascons: str | Path) -> Path:
    """Write the project of a sample region; QGIS's main thread only.

    Parameters
    ----------
    path : path
        Project file (.qgz); written whole or not at all.
    region : path
        Folder of the sample region.
    twsa, mascons : path
        Monthly stack and native mascons, imported from the region's GRACE file.
    """
    project = QgsProject()
    project.setTitle(tr("GWSA sample region"))
    project.setCrs(QgsCoordinateReferenceSystem(DEGREES))
    project.setFilePathStorage(Qgis.FilePathType.Relative)
    root = project.layerTreeRoot()
    for title, entries in _groups(Path(region), Path(twsa), Path(mascons)).items():
        group = root.addGroup(title)
        for entry in entries:
            _add(project, group, entry)
    truth = next(layer for layer in project.mapLayers().values() if "truth_gwsa" in layer.source())
    _set_view(project, truth.extent())
    set_months_of_project(project, truth)
    target = Path(path)
    if not project.write(str(target)):
        raise QgsProcessingException(
            tr("{path} cannot be written ({reason}); choose a folder you may write to.").format(
                path=target, reason=project.error()
            )
        )
    project.clear()
    return target


def _groups(region: Path, twsa: Path, mascons: Path) -> dict[str, tuple[Entry, ...]]:
    """Groups of the layer tree, top first."""
    return {
        tr("Wells and borders"): (
            Entry(region / "wells" / "wells.gpkg", tr("Wells"), "well_points"),
            Entry(region / "basins" / "basins.gpkg", tr("River basins"), "outlines", shown=True),
            Entry(next((region / "rgi").glob("*.shp")), tr("Glaciers"), "glaciers"),
        ),
        tr("The truth to be found"): (
            Entry(region / "truth" / "truth_gwsa.tif", tr("True GWSA (cm)"), "anomaly", True),
        ),
        tr("What satellites saw"): (
            Entry(twsa, tr("GRACE TWSA (cm)"), "anomaly"),
            Entry(mascons, tr("Native mascons"), "labels"),
        ),
        tr("The land"): (
            Entry(next((region / "whymap").glob("*.shp")), tr("Aquifers (WHYMAP classes)"), "aquifer_polygons"),
            Entry(next((region / "gmted").glob("*.tif")), tr("Elevation (m)"), "sequential"),
        ),
    }


def _add(project: QgsProject, group: QgsLayerTreeGroup, entry: Entry) -> None:
    if entry.path.suffix == ".tif":
        layer: QgsMapLayer = QgsRasterLayer(str(entry.path), entry.name)
    else:
        layer = QgsVectorLayer(str(entry.path), entry.name, "ogr")
    if not layer.isValid():
        raise QgsProcessingException(tr("{path} cannot be read; make the sample anew.").format(path=entry.path))
    if isinstance(layer, QgsRasterLayer):
        dress(layer, entry.style)
    else:
        layer.loadNamedStyle(str(STYLES / f"{entry.style}.qml"))
    project.addMapLayer(layer, False)
    node = group.addLayer(layer)
    node.setItemVisibilityChecked(entry.shown)
    node.setExpanded(entry.shown)


def _set_view(project: QgsProject, extent: QgsRectangle) -> None:
    """Show a little more than the region."""
    wider = QgsRectangle(extent)
    wider.scale(1.05)
    project.viewSettings().setDefaultViewExtent(QgsReferencedRectangle(wider, QgsCoordinateReferenceSystem(DEGREES)))


def set_months_of_project(project: QgsProject, stack: QgsRasterLayer) -> None:
    """Let the project, and the temporal controller when it is opened, step through the months of a stack."""
    months = band_months(stack)
    begin = month_range(*months[0][1:]).begin()
    end = month_range(*months[-1][1:]).end()
    settings = project.timeSettings()
    settings.setTemporalRange(QgsDateTimeRange(begin, end, True, False))
    settings.setTimeStep(1)
    settings.setTimeStepUnit(Qgis.TemporalUnit.Months)
    settings.setFramesPerSecond(FRAMES_PER_SECOND)
    # What QGIS's temporal controller itself keeps in a project.
    scope = "TemporalControllerWidget"
    project.writeEntry(scope, "/NavigationMode", int(Qgis.TemporalNavigationMode.Animated.value))
    project.writeEntry(scope, "/StartDateTime", _iso(begin))
    project.writeEntry(scope, "/EndDateTime", _iso(month_range(*months[-1][1:]).begin()))  # the last step


def _iso(moment: QDateTime) -> str:
    return moment.toString(Qt.DateFormat.ISODateWithMs)
