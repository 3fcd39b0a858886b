"""What all algorithms share: declaring parameters, running a step, styling its layers."""

from __future__ import annotations

import html
import importlib.util
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gwsa_qgis.processing_provider.layers import prepare_loaded_layer
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values, describe_refusal
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtGui import QIcon

from gwsa_qgis.errors import Cancelled, GwsaError
from gwsa_qgis.progress import WARNING

ICONS = Path(__file__).parent / "icons"
PICTURES = Path(__file__).parent / "pictures"
PAPER = (
    "Method: High-resolution global groundwater storage anomalies: a 1 km downscaled dataset "
    "(Earth System Science Data preprint essd-2026-409; its data: doi:10.12072/ncdc.hydrology.db7323.2026)."
)
# Import name and the name that pip knows, of every package that QGIS itself may lack.
PACKAGES = {
    "xgboost": "xgboost",
    "sklearn": "scikit-learn",
    "optuna": "optuna",
    "statsmodels": "statsmodels",
    "pymannkendall": "pymannkendall",
    "joblib": "joblib",
}
GROUPS = {
    "import": "Import",
    "prepare": "Prepare",
    "storage": "Storage",
    "downscale": "Downscale",
    "validate": "Validate",
    "analyse": "Analyse",
    "tools": "Tools",
}


class GwsaAlgorithm(QgsProcessingAlgorithm):
    """Base of the provider's algorithms.

    A subclass names itself in class attributes, lists its parameters in `declare` and runs its step in `run_step`.

    Attributes
    ----------
    ID : str
        Name for ever; saved models refer to it.
    NAME, GROUP, SUMMARY, HELP : str
        What the toolbox shows; GROUP is a key of `GROUPS`. HELP says what the method does and what to beware of.
    FORMULA, UNITS : str
        What is computed, with the number of the paper's equation where it has one, and in which units; both are part
        of the help.
    REFERENCE : str
        Where the method comes from.
    NEEDS : tuple of str
        Import names of packages that the step cannot do without.
    """

    ID = NAME = GROUP = SUMMARY = HELP = FORMULA = UNITS = ""
    REFERENCE = PAPER
    TAGS: tuple[str, ...] = ()
    NEEDS: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._styles: dict[str, tuple[str, str]] = {}

    # What a subclass writes ---------------------------------------------------------------------------------

    def declare(self) -> None:
        """Add parameters and outputs."""
        raise NotImplementedError

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        """Run the step and return numbers and texts to output beside the files."""
        raise NotImplementedError

    # Identity -----------------------------------------------------------------------------------------------

    def createInstance(self) -> GwsaAlgorithm:
        return type(self)()

    def name(self) -> str:
        return self.ID

    def displayName(self) -> str:
        return tr(self.NAME)

    def group(self) -> str:
        return tr(GROUPS[self.GROUP])

    def groupId(self) -> str:
        return self.GROUP

    def shortDescription(self) -> str:
        return tr(self.SUMMARY)

    def shortHelpString(self) -> str:
        parts = [scheme(self.ID), f"<p><b>{tr(self.SUMMARY)}</b></p>", tr(self.HELP)]
        for title, text in ((tr("Formula"), self.FORMULA), (tr("Units"), self.UNITS)):
            if text:
                parts.append(f"<p><b>{title}.</b> {tr(text)}</p>")
        if self.REFERENCE:
            parts.append(f"<p><i>{tr(self.REFERENCE)}</i></p>")
        return help_as_shown("".join(parts))

    def helpUrl(self) -> str:
        return page_of(self.ID)

    def tags(self) -> list[str]:
        return [*self.TAGS, "groundwater", "GRACE", "GWSA", self.ID]

    def svgIconPath(self) -> str:
        own = ICONS / f"{self.ID}.svg"
        return str(own if own.exists() else ICONS / f"{self.GROUP}.svg")

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def canExecute(self) -> tuple[bool, str]:
        missing = missing_packages(self.NEEDS)
        return (False, install_hint(missing)) if missing else (True, "")

    # Declaring ----------------------------------------------------------------------------------------------

    def initAlgorithm(self, config: dict | None = None) -> None:
        self.declare()

    def add(self, parameter: QgsProcessingParameterDefinition, help: str, advanced: bool = False) -> None:
        """Add a parameter with its help text."""
        parameter.setHelp(tr(help))
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def add_raster(self, name: str, label: str, help: str, optional: bool = False) -> None:
        """Add a raster layer input."""
        self.add(QgsProcessingParameterRasterLayer(name, tr(label), optional=optional), help)

    def add_file(self, name: str, label: str, help: str, filter: str = "", optional: bool = False) -> None:
        """Add a file input."""
        parameter = QgsProcessingParameterFile(name, tr(label), optional=optional, fileFilter=filter)
        self.add(parameter, help)

    def add_folder(self, name: str, label: str, help: str, optional: bool = False) -> None:
        """Add a folder input."""
        behavior = QgsProcessingParameterFile.Behavior.Folder
        self.add(QgsProcessingParameterFile(name, tr(label), behavior=behavior, optional=optional), help)

    def add_choice(
        self, name: str, label: str, help: str, options: list[str], default: str, advanced: bool = False
    ) -> None:
        """Add a choice among fixed texts."""
        parameter = QgsProcessingParameterEnum(
            name, tr(label), options=options, defaultValue=default, usesStaticStrings=True
        )
        self.add(parameter, help, advanced)

    def add_choices(
        self, name: str, label: str, help: str, options: list[str], default: list[str], advanced: bool = False
    ) -> None:
        """Add a choice of several among fixed texts, which may be none."""
        parameter = QgsProcessingParameterEnum(
            name,
            tr(label),
            options=options,
            allowMultiple=True,
            defaultValue=default,
            optional=True,
            usesStaticStrings=True,
        )
        self.add(parameter, help, advanced)

    def add_number(
        self,
        name: str,
        label: str,
        help: str,
        default: float | None,
        minimum: float = 0,
        maximum: float | None = None,
        whole: bool = True,
        advanced: bool = True,
        optional: bool = False,
    ) -> None:
        """Add a number."""
        kind = QgsProcessingParameterNumber.Type
        limits = {"minValue": minimum} if maximum is None else {"minValue": minimum, "maxValue": maximum}
        parameter = QgsProcessingParameterNumber(
            name,
            tr(label),
            type=kind.Integer if whole else kind.Double,
            defaultValue=default,
            optional=optional,
            **limits,
        )
        self.add(parameter, help, advanced)

    def add_text(
        self, name: str, label: str, help: str, default: str = "", optional: bool = True, advanced: bool = False
    ) -> None:
        """Add a line of text."""
        parameter = QgsProcessingParameterString(name, tr(label), defaultValue=default, optional=optional)
        self.add(parameter, help, advanced)

    def add_flag(self, name: str, label: str, help: str, default: bool, advanced: bool = False) -> None:
        """Add a yes or no."""
        self.add(QgsProcessingParameterBoolean(name, tr(label), defaultValue=default), help, advanced)

    def add_raster_output(self, name: str, label: str, help: str, style: str = "", optional: bool = False) -> None:
        """Add a raster output; `style` names a file in ``styles/``."""
        parameter = QgsProcessingParameterRasterDestination(
            name, tr(label), optional=optional, createByDefault=not optional
        )
        self.add(parameter, help)
        self._styles[name] = (style, label)

    def add_file_output(self, name: str, label: str, help: str, filter: str, optional: bool = False) -> None:
        """Add a file output; an HTML filter makes it a report in the results viewer."""
        parameter = QgsProcessingParameterFileDestination(
            name, tr(label), fileFilter=filter, optional=optional, createByDefault=not optional
        )
        self.add(parameter, help)

    def add_report(self, help: str = "Page with tables and figures.", optional: bool = True) -> None:
        """Add the HTML report output REPORT."""
        parameter = QgsProcessingParameterFileDestination(
            "REPORT", tr("Report"), fileFilter=tr("HTML files (*.html)"), optional=optional, createByDefault=True
        )
        self.add(parameter, help)

    def add_folder_output(self, name: str, label: str, help: str) -> None:
        """Add a folder output."""
        self.add(QgsProcessingParameterFolderDestination(name, tr(label)), help)

    def add_figure(self, name: str, label: str) -> None:
        """Add a number that the step returns."""
        self.addOutput(QgsProcessingOutputNumber(name, tr(label)))

    def add_memory(self) -> None:
        """Add the memory budget MEMORY."""
        help = "The step works in windows that stay within this budget, whatever the size of the map."
        self.add_number("MEMORY", "Memory budget (MB)", help, default=512, minimum=16)

    def add_threads(self) -> None:
        """Add THREADS, which `Values.threads` reads."""
        self.add_number("THREADS", "Threads", "0 takes all cores; the result is the same.", 0, 0)

    # Running ------------------------------------------------------------------------------------------------

    def checkParameterValues(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[bool, str]:
        accepted, message = super().checkParameterValues(parameters, context)
        if accepted:
            return True, message
        for definition in self.parameterDefinitions():  # QGIS only names the parameter
            value = parameters.get(definition.name(), definition.defaultValue())
            if not definition.checkValueIsAcceptable(value, context):
                return False, describe_refusal(definition, value, context)
        return False, message

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        missing = missing_packages(self.NEEDS)
        if missing:
            raise QgsProcessingException(install_hint(missing))
        values = Values(self, parameters, context)
        try:
            figures = self.run_step(values, feedback_progress(feedback)) or {}
        except GwsaError as error:
            raise QgsProcessingException(str(error)) from error
        except Cancelled as error:
            raise QgsProcessingException(tr("Cancelled: nothing was written.")) from error
        except MemoryError as error:
            raise QgsProcessingException(tr("Not enough memory; lower the memory budget of this step.")) from error
        results = {**values.outputs, **figures}
        for name, (style, label) in self._styles.items():
            if results.get(name):
                prepare_loaded_layer(context, results[name], style, tr(label), self.group())
        return results


def feedback_progress(feedback: QgsProcessingFeedback):
    """Return a ``progress(fraction, message)`` that drives QGIS's feedback and raises when cancelled."""
    told = ""
    remaining = RemainingTime()

    def progress(fraction: float, message: str) -> None:
        nonlocal told
        if feedback.isCanceled():
            raise Cancelled
        feedback.setProgress(100 * fraction)
        estimate = remaining.tell(fraction)
        if estimate:
            feedback.pushInfo(estimate)
        if message == told:
            return
        told = message or told
        if message.startswith(WARNING):
            feedback.pushWarning(message[len(WARNING) :])
        elif message:
            feedback.pushInfo(message)

    return progress


class RemainingTime:
    """Says now and then how long work that lasts will still take, from the share that is done.

    Parameters
    ----------
    clock : callable
        Seconds since some moment.
    """

    EVERY = 60.0  # seconds between two estimates, and before the first
    LEAST = 0.02  # share of the work below which there is nothing to go by

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = self._told = clock()

    def tell(self, fraction: float) -> str:
        """Return a sentence when it is time for one, else an empty text."""
        now = self._clock()
        if now - self._told < self.EVERY or not self.LEAST <= fraction < 1:
            return ""
        self._told = now
        minutes = (now - self._begin) * (1 - fraction) / fraction / 60
        if minutes < 1:
            return tr("Less than a minute left.")
        if minutes < 90:
            return tr("About {minutes:.0f} min left.").format(minutes=minutes)
        return tr("About {hours:.1f} h left.").format(hours=minutes / 60)


def page_of(name: str) -> str:
    """Address of an algorithm's page in the documentation."""
    return f"https://github.com/gwsa-qgis/gwsa_qgis/blob/main/docs/algorithms/{name}.md"


def scheme(name: str) -> str:
    """The picture of an algorithm's help, what goes in and what comes out; empty where there is none."""
    path = PICTURES / f"{name}.svg"
    return f'<p><img src="{path.as_uri()}"/></p>' if path.exists() else ""


def help_as_shown(text: str) -> str:
    """Return the help as HTML; for `qgis_process`, which prints what it is given, as plain text."""
    if QgsApplication.platform() != "qgis_process":
        return text
    text = re.sub(r"<(sup|sub)>", lambda tag: "^" if tag[1] == "sup" else "_", re.sub(r"\s+", " ", text))
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"(</p>|<br/?>) ?", "\n", text))).strip()


def missing_packages(needed: tuple[str, ...]) -> list[str]:
    """Import names among `needed` that Python does not find."""
    return [name for name in needed if importlib.util.find_spec(name) is None]


def install_hint(missing: list[str]) -> str:
    """One sentence: which packages are missing and the command that installs them beside QGIS."""
    from gwsa_qgis.processing_provider.dependencies import install_command

    names = " ".join(PACKAGES[name] for name in missing)
    return tr("This step needs the Python package(s) {names}, which QGIS's Python lacks; run: {command}").format(
        names=names, command=install_command([PACKAGES[name] for name in missing])
    )
