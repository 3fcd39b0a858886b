"""Runs inside a real QGIS (``qgis --code``): goes through the tutorial as a user would, and takes its pictures.

Started by real_window.py, which hands over places in the environment. Each step is a generator that yields how long
to wait: seconds, or a function that says when to go on.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from qgis.core import Qgis, QgsApplication, QgsDateTimeRange, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QRect, Qt, QTimer
from qgis.PyQt.QtWidgets import QAction, QDockWidget, QWidget
from qgis.utils import iface
from sample_inputs import chain_inputs

PICTURES = Path(os.environ["GWSA_TOUR_PICTURES"])
SAMPLE = Path(os.environ["GWSA_TOUR_SAMPLE"])
ZIP = os.environ["GWSA_TOUR_ZIP"]
REPORT = Path(os.environ["GWSA_TOUR_REPORT"])
PATIENCE = 1500  # seconds for one wait
SIZE = (1500, 940)
Wait = float | Callable[[], bool]


class Tour:
    """The steps, what the message log said, and the seconds of each step."""

    def __init__(self) -> None:
        self.messages: list[dict] = []
        self.seconds: dict[str, float] = {}
        self.notes: dict[str, object] = {}
        QgsApplication.messageLog().messageReceived.connect(self._note)

    def _note(self, text: str, tag: str, level: Qgis.MessageLevel) -> None:
        names = {Qgis.MessageLevel.Warning: "warning", Qgis.MessageLevel.Critical: "error"}
        if level in names:
            self.messages.append({"tag": tag, "level": names[level], "text": text})
            print("message log:", names[level], tag, text, flush=True)

    # Steps --------------------------------------------------------------------------------------------------

    def install(self) -> Iterator[Wait]:
        """Install the plugin's zip from disk and look at the toolbox."""
        import pyplugin_installer

        window = iface.mainWindow()
        window.showNormal()
        window.setGeometry(QRect(0, 0, *SIZE))
        yield 2
        pyplugin_installer.instance().installFromZipFile(ZIP)
        yield lambda: QgsApplication.processingRegistry().providerById("gwsa") is not None
        yield 1
        provider = QgsApplication.processingRegistry().providerById("gwsa")
        self.notes["algorithms"] = len(provider.algorithms())
        self.notes["warning"] = provider.warningMessage()
        for name in ("Browser", "Overview"):
            hide(name)
        iface.messageBar().clearWidgets()
        toolbox = window.findChild(QDockWidget, "ProcessingToolbox")
        toolbox.show()
        window.resizeDocks([toolbox], [430], Qt.Orientation.Horizontal)
        yield 1
        expand(toolbox)
        yield 1
        shoot(toolbox, "toolbox")
        toolbox.hide()

    def sample(self) -> Iterator[Wait]:
        """Make the sample with the menu's entry and step through its months."""
        from qgis.utils import plugins

        plugins["gwsa_qgis"]._menu.make_sample({"FOLDER": str(SAMPLE)})
        yield lambda: bool(QgsProject.instance().fileName())
        yield 3
        iface.messageBar().clearWidgets()
        controller = iface.mapCanvas().temporalController()
        self.notes["frames"] = controller.totalFrameCount()
        self.notes["mode"] = controller.navigationMode().name
        self.notes["project"] = QgsProject.instance().title()
        for frame in (30, 31, 32, 111):
            controller.setCurrentFrameNumber(frame)
            yield 0.5
            slim_controller()
            self.notes[f"frame {frame}"] = shown_months(controller.dateTimeRangeForFrameNumber(frame))
        yield 2
        shoot(iface.mainWindow(), "sample_project")

    def dialog(self) -> Iterator[Wait]:
        """The dialog of the complete model, filled in."""
        dialog = open_dialog("gwsa:completechain", chain_parameters())
        yield 3
        shoot(dialog, "complete_chain_dialog")
        close(dialog)

    def chain(self) -> Iterator[Wait]:
        """Run the complete model on the sample from its dialog."""
        dialog = open_dialog("gwsa:completechain", chain_parameters())
        yield 2
        yield from run_dialog(dialog)
        yield lambda: is_loaded("GWSA, fine")
        close(dialog)
        yield 3
        show_only("GWSA, fine", "River basins")
        iface.mapCanvas().temporalController().setCurrentFrameNumber(111)
        yield 3
        hide("resultsViewer")
        hide("ResultsViewer")
        yield 1
        shoot(iface.mainWindow(), "complete_chain_result")

    def trend(self) -> Iterator[Wait]:
        """Run the trend model and look at the slope under its dots."""
        fine, mask = layer("GWSA, fine"), layer("Baseline mask")
        dialog = open_dialog(
            "gwsa:trendandclasses",
            {"INPUT": fine.id(), "MASK": mask.id(), "UNIT": "year", "significant_trends": "TEMPORARY_OUTPUT"},
        )
        yield 1
        yield from run_dialog(dialog)
        yield lambda: is_loaded("Significant trends")
        close(dialog)
        yield 2
        show_only("Trend", "Significant trends", "River basins")
        yield 3
        shoot(iface.mainWindow(), "trend_result")

    def basins(self) -> Iterator[Wait]:
        """Basin series of the fine map, its layer and its report."""
        values = {
            "INPUT": layer("GWSA, fine").id(),
            "BASINS": layer("River basins").id(),
            "FIELD": "name",
            "OUTPUT": str(SAMPLE / "results" / "basins.csv"),
            "REPORT": str(SAMPLE / "results" / "basins.html"),
            "LAYER": str(SAMPLE / "results" / "basins.gpkg"),
        }
        dialog = open_dialog("gwsa:basinseries", values)
        yield 2
        yield from run_dialog(dialog)
        close(dialog)
        yield 2
        results = iface.mainWindow().findChild(QDockWidget, "ResultsViewer")
        if results is not None:
            results.show()
        yield 2
        shoot(iface.mainWindow(), "basin_series_result")
        yield from self._page(SAMPLE / "results" / "basins.html", "basin_report")

    def _page(self, path: Path, name: str) -> Iterator[Wait]:
        """A report as a browser draws it."""
        try:
            from qgis.PyQt.QtCore import QUrl
            from qgis.PyQt.QtWebKitWidgets import QWebView
        except ImportError:
            self.notes[name] = "no picture: this QGIS has no web view"
            return
        view = QWebView()
        view.resize(1000, 900)
        view.load(QUrl.fromLocalFile(str(path)))
        view.show()
        yield 3
        shoot(view, name)
        view.close()

    def modeler(self) -> Iterator[Wait]:
        """Bundled models in the Model Designer."""
        from processing.modeler.ModelerDialog import ModelerDialog

        for name in ("completechain", "trendandclasses"):  # the last one is drawn: the chain is too large to read
            model = QgsApplication.processingRegistry().createAlgorithmById(f"gwsa:{name}")
            dialog = ModelerDialog.create(model)
            dialog.resize(1300, 620)
            dialog.show()
            yield 2
            dialog.findChild(QAction, "mActionZoomToItems").trigger()
            yield 1
            shoot(dialog, "modeler")
            dialog.setDirty(False)
            dialog.close()

    def batch(self) -> Iterator[Wait]:
        """The batch dialog opens."""
        from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

        algorithm = QgsApplication.processingRegistry().createAlgorithmById("gwsa:seasonality")
        dialog = BatchAlgorithmDialog(algorithm, iface.mainWindow())
        dialog.resize(1100, 500)
        dialog.show()
        yield 2
        dialog.close()

    # Running ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run all steps, one after the other, and leave QGIS."""
        names = os.environ["GWSA_TOUR_STEPS"].split()
        self._steps = iter([(name, getattr(self, name)()) for name in names])
        self._next()

    def _next(self) -> None:
        try:
            self._name, self._step = next(self._steps)
        except StopIteration:
            self._leave("")
            return
        self._began = time.monotonic()
        print("tour:", self._name, flush=True)
        self._go()

    def _go(self) -> None:
        try:
            wait = next(self._step)
        except StopIteration:
            self.seconds[self._name] = round(time.monotonic() - self._began, 1)
            self._next()
        except Exception:
            self._leave(f"{self._name}: {traceback.format_exc()}")
        else:
            if callable(wait):
                self._poll(wait, time.monotonic() + PATIENCE)
            else:
                QTimer.singleShot(int(1000 * wait), self._go)

    def _poll(self, ready: Callable[[], bool], until: float) -> None:
        if ready():
            self._go()
        elif time.monotonic() > until:
            self._leave(f"{self._name}: waited more than {PATIENCE} s")
        else:
            QTimer.singleShot(200, lambda: self._poll(ready, until))

    def _leave(self, failure: str) -> None:
        answer = {"failure": failure, "messages": self.messages, "seconds": self.seconds, "notes": self.notes}
        REPORT.write_text(json.dumps(answer, indent=2), encoding="utf-8")
        QgsProject.instance().setDirty(False)
        os._exit(0)  # closing the window asks what to do with scratch layers


def shoot(widget: QWidget, name: str) -> None:
    """Save a picture of a widget."""
    widget.grab().save(str(PICTURES / f"{name}.png"))


def hide(name: str) -> None:
    """Hide a dock, if it is there."""
    dock = iface.mainWindow().findChild(QDockWidget, name)
    if dock is not None:
        dock.hide()


def slim_controller() -> None:
    """Leave the temporal controller no more height than it needs."""
    dock = iface.mainWindow().findChild(QDockWidget, "Temporal Controller")
    iface.mainWindow().resizeDocks([dock], [110], Qt.Orientation.Vertical)


def expand(toolbox: QDockWidget) -> None:
    """Open the provider's groups in the toolbox, and scroll to them."""
    tree = toolbox.algorithmTree
    model = tree.model()
    for row in range(model.rowCount()):
        index = model.index(row, 0)
        if str(index.data()).startswith("Groundwater"):
            tree.expandRecursively(index)
            tree.scrollTo(index, tree.ScrollHint.PositionAtTop)
        else:
            tree.collapse(index)


def is_loaded(name: str) -> bool:
    """Whether the layer is there: QGIS loads results one by one, and goes on with other events meanwhile."""
    return bool(QgsProject.instance().mapLayersByName(name))


def layer(name: str):
    """The newest layer of this name."""
    return QgsProject.instance().mapLayersByName(name)[-1]


def show_only(*names: str) -> None:
    """Check these layers in the tree and uncheck the rest; select the first."""
    for node in QgsProject.instance().layerTreeRoot().findLayers():
        node.setItemVisibilityCheckedParentRecursive(True) if node.name() in names else None
        node.setItemVisibilityChecked(node.name() in names)
        node.setExpanded(node.name() in names)
    iface.setActiveLayer(layer(names[0]))


def shown_months(moment: QgsDateTimeRange) -> dict[str, str]:
    """Bands that raster layers show at a moment."""
    return {
        item.name(): item.bandName(item.temporalProperties().bandForTemporalRange(item, moment))
        for item in QgsProject.instance().mapLayers().values()
        if isinstance(item, QgsRasterLayer) and item.temporalProperties().isActive()
    }


def open_dialog(algorithm: str, values: dict) -> QWidget:
    """Open an algorithm's dialog with values filled in."""
    import processing

    dialog = processing.createAlgorithmDialog(algorithm, values)
    dialog.resize(1000, 760)
    dialog.show()
    return dialog


def run_dialog(dialog: QWidget) -> Iterator[Wait]:
    """Press Run and wait for the end."""
    done: list[bool] = []
    dialog.algorithmFinished.connect(lambda successful, _results: done.append(successful))
    dialog.runButton().click()
    yield lambda: bool(done)
    yield 1
    if not done[-1]:
        raise RuntimeError("the algorithm failed: " + dialog.findChild(QWidget, "txtLog").toPlainText()[-3000:])


def close(dialog: QWidget) -> None:
    """Close a dialog for good."""
    dialog.close()
    dialog.deleteLater()


def chain_parameters() -> dict:
    """The inputs of the complete chain, as the tutorial lists them."""
    return chain_inputs(SAMPLE / "region")


tour = Tour()
QTimer.singleShot(3000, tour.run)
