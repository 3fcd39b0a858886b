"""A small language for Modeler models: inputs, steps and where their values come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelComment,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
)
from qgis.PyQt.QtCore import QPointF, QSizeF

COLUMN, ROW = 260.0, 90.0
# The Designer begins at 0, 0, and a box's place is its middle: the first column stands clear of the edge.
LEFT, TOP = 150.0, 140.0


def _place(column: float, row: float) -> QPointF:
    return QPointF(LEFT + COLUMN * column, TOP + ROW * row)


def folder(name: str, label: str) -> QgsProcessingParameterFile:
    """Parameter for a folder."""
    return QgsProcessingParameterFile(name, label, QgsProcessingParameterFile.Behavior.Folder)


def choice(name: str, label: str, options: list[str]) -> QgsProcessingParameterEnum:
    """Parameter for a fixed text; the first is the default."""
    return QgsProcessingParameterEnum(name, label, options, False, options[0], False, True)


class Input(str):
    """Name of a model parameter, as the source of a step's value."""


class Output(tuple):
    """(step, output name), as the source of a later step's value."""

    def __new__(cls, step: str, name: str = "OUTPUT") -> Output:
        """Name a step's output."""
        return super().__new__(cls, (step, name))


class Builder:
    """Builds one model: inputs in a column, steps in the columns that they are given."""

    def __init__(self, name: str, label: str, group: str, help: dict[str, str]) -> None:
        self.model = QgsProcessingModelAlgorithm(label, group)
        self.model.setName(label)
        self._file_name, self._rows = name, {}
        self._inputs: list[str] = []
        self._outputs: list[str] = []
        self._help = {"ALG_CREATOR": "gwsa_qgis", "ALG_VERSION": "1"} | help

    def input(self, parameter: QgsProcessingParameterDefinition, help: str, advanced: bool = False) -> Input:
        """Add a parameter of the model."""
        parameter.setHelp(help)
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        component = QgsProcessingModelParameter(parameter.name())
        component.setPosition(_place(0, len(self._inputs)))
        component.setSize(QSizeF(200, 30))
        self._inputs.append(parameter.name())
        self._help[parameter.name()] = help
        self.model.addModelParameter(parameter, component)
        return Input(parameter.name())

    def step(
        self,
        name: str,
        column: int,
        algorithm: str,
        values: dict[str, Any],
        outputs: dict[str, str] | None = None,
        label: str = "",
        note: str = "",
    ) -> None:
        """Add a step; `outputs` maps its outputs to descriptions of model outputs, `note` stands beside it.

        QGIS names loaded layers by the name of the model's output: that is its description, too.
        """
        child = QgsProcessingModelChildAlgorithm(f"gwsa:{algorithm}")
        child.setChildId(name)
        child.setDescription(label or child.algorithm().displayName())
        for parameter, value in values.items():
            child.addParameterSources(parameter, self._sources(value))
        row = self._rows.get(column, 0)
        row += 1 if note and row else 0
        final = {}
        for position, (output, description) in enumerate((outputs or {}).items()):
            model_output = QgsProcessingModelOutput(description, description)
            model_output.setDescription(description)
            model_output.setChildId(name)
            model_output.setChildOutputName(output)
            model_output.setPosition(_place(column + 1, row + position / 2))
            model_output.setSize(QSizeF(200, 30))
            final[description] = model_output
            self._outputs.append(f"{name}:{output}")
        child.setModelOutputs(final)
        self._rows[column] = row + 1 + len(final) // 2
        child.setPosition(_place(column, row))
        child.setSize(QSizeF(200, 30))
        if note:
            comment = QgsProcessingModelComment(note)
            comment.setPosition(_place(column, row) - QPointF(0, 80))
            comment.setSize(QSizeF(200, 50))
            child.setComment(comment)
        self.model.addChildAlgorithm(child)

    @staticmethod
    def _sources(value: Any) -> list[QgsProcessingModelChildParameterSource]:
        source = QgsProcessingModelChildParameterSource
        items = value if isinstance(value, list) else [value]
        result = []
        for item in items:
            if isinstance(item, Input):
                result.append(source.fromModelParameter(str(item)))
            elif isinstance(item, Output):
                result.append(source.fromChildOutput(*item))
            else:
                result.append(source.fromStaticValue(item))
        return result

    def _require_what_steps_need(self) -> None:
        """Make outputs that other steps take mandatory: QGIS makes a model's optional outputs only for a user who asks."""
        needed = {
            (source.outputChildId(), source.outputName())
            for child in self.model.childAlgorithms().values()
            for sources in child.parameterSources().values()
            for source in sources
            if source.source() == Qgis.ProcessingModelChildParameterSource.ChildOutput
        }
        for name, child in self.model.childAlgorithms().items():
            outputs = child.modelOutputs()
            for output in outputs.values():
                output.setMandatory((name, output.childOutputName()) in needed)
            child.setModelOutputs(outputs)
            self.model.setChildAlgorithm(child)

    def save(self, folder: Path, top: tuple[str, ...] = ()) -> Path:
        """Write the .model3 file.

        Layers come in a group of the model's name, those of the steps (`step:output`) of `top` above the others.
        """
        self.model.setOutputGroup(f"GWSA - {self.model.displayName()}")
        # QGIS adds them in this order, each above the one before.
        self.model.setOutputOrder([*(name for name in self._outputs if name not in top), *top[::-1]])
        self._require_what_steps_need()
        self.model.setHelpContent(self._help)
        # The dialog lists inputs in the order of work, not of the alphabet.
        self.model.setParameterOrder(self._inputs)
        self.model.updateDestinationParameters()
        path = folder / f"{self._file_name}.model3"
        if not self.model.toFile(str(path)):
            raise SystemExit(f"{path} cannot be written")
        return path
