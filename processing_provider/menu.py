"""Menu Plugins > Groundwater storage: first steps without knowing the toolbox."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import ICONS
from gwsa_qgis.processing_provider.translation import tr
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices, QIcon
from qgis.PyQt.QtWidgets import QAction, QDockWidget, QFileDialog

TUTORIAL = "https://github.com/gwsa-qgis/gwsa_qgis/blob/main/docs/tutorial.md"


class Menu:
    """The plugin's entries; `remove` takes them away."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._title = tr("Groundwater storage")
        self._running: tuple | None = None
        self._actions: list[QAction] = []
        for text, icon, call in (
            (tr("Make and open the sample project ..."), "sampleproject", self.ask_for_sample),
            (tr("Open the tutorial"), "gwsa", self.open_tutorial),
            (tr("Check environment"), "checkenvironment", self.check_environment),
        ):
            file = ICONS / f"{icon}.svg"
            action = QAction(QIcon(str(file if file.exists() else ICONS / "gwsa.svg")), text, iface.mainWindow())
            action.triggered.connect(lambda _checked=False, call=call: call())
            iface.addPluginToMenu(self._title, action)
            self._actions.append(action)

    def remove(self) -> None:
        """Take the entries away and stop what still runs."""
        if self._running:
            self._running[0].cancel()
            self._running = None
        for action in self._actions:
            self._iface.removePluginMenu(self._title, action)
        self._actions = []

    def ask_for_sample(self) -> None:
        """Ask for a folder, make the sample there in the background and open its project."""
        title = tr("Folder for the sample project (about 300 MB)")
        folder = QFileDialog.getExistingDirectory(self._iface.mainWindow(), title)
        if folder:
            self.make_sample({"FOLDER": folder})

    def make_sample(self, parameters: dict[str, Any]) -> None:
        """Run `sampleproject` as a task of QGIS's task manager, then open what it made."""
        if self._running:
            self._say(tr("The sample is being made already."), Qgis.MessageLevel.Info)
            return
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("gwsa:sampleproject")
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
        context.setProject(QgsProject.instance())
        accepted, reason = algorithm.checkParameterValues(parameters, context)
        if not accepted:
            self._say(reason, Qgis.MessageLevel.Warning)
            return
        task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
        task.executed.connect(self._finish)
        # The task takes no ownership of what it runs.
        self._running = (task, algorithm, context, feedback)
        self._say(tr("Making the sample; progress is shown in the status bar."), Qgis.MessageLevel.Info)
        QgsApplication.taskManager().addTask(task)

    def _finish(self, successful: bool, results: dict[str, Any]) -> None:
        if self._running is None:
            return
        feedback = self._running[3]
        self._running = None
        if not successful:
            reason = "" if feedback.isCanceled() else _last_line(feedback.textLog())
            self._say(reason or tr("Stopped: no sample was made."), Qgis.MessageLevel.Warning)
            return
        if self._iface.addProject(results["PROJECT"]):
            self._show_controller()
            self._say(tr("The sample project is open. Play its months in the temporal controller."))

    def _show_controller(self) -> None:
        controller = self._iface.mainWindow().findChild(QDockWidget, "Temporal Controller")
        if controller is not None:
            controller.setUserVisible(True) if hasattr(controller, "setUserVisible") else controller.show()

    def open_tutorial(self) -> None:
        """Show the tutorial in the browser."""
        QDesktopServices.openUrl(QUrl(TUTORIAL))

    def check_environment(self) -> None:
        """Open the dialog of `checkenvironment`."""
        import processing

        processing.execAlgorithmDialog("gwsa:checkenvironment")

    def _say(self, text: str, level: Qgis.MessageLevel = Qgis.MessageLevel.Success) -> None:
        self._iface.messageBar().pushMessage(self._title, text, level, 10)


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""
