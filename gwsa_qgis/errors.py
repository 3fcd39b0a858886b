"""The errors of the library: each says what was wrong, what was given and what to do, in one sentence."""

from __future__ import annotations

import re


class GwsaError(Exception):
    """Base of all errors that a user's input can cause.

    Parameters
    ----------
    problem : str
        What was wrong and what was given, without a final full stop.
    remedy : str
        What to do about it, as an instruction ("give ...", "run ...").
    """

    def __init__(self, problem: str, remedy: str) -> None:
        # Reasons of other libraries, quoted in a problem, may run over several lines.
        self.problem = " ".join(problem.split())
        self.remedy = remedy
        super().__init__(f"{self.problem}; {remedy}.")

    def __reduce__(self) -> tuple:
        # It is made of two texts and holds one: a worker process could not hand it back otherwise.
        return type(self), (self.problem, self.remedy)


def reason_of(error: object) -> str:
    """What another library says of an error, in one line without a full stop, to be quoted in a problem."""
    text = re.sub(r"[.!?](\)?) +(?=[A-Z])", r"\1: ", " ".join(str(error).split()))  # of several sentences, one
    return text[:200].rstrip(" .,:;")


class InvalidParameter(GwsaError):
    """A parameter has a value outside what it may be."""


class UnreadableInput(GwsaError):
    """A file is absent, damaged or not of the expected format."""


class InvalidMonths(GwsaError):
    """Months are absent, doubled, out of order or do not overlap."""


class GridMismatch(GwsaError):
    """Two rasters do not share a grid, or a coordinate reference system."""


class NoUsableData(GwsaError):
    """All values are NoData, or too few are left to compute with."""


class MissingPredictor(GwsaError):
    """A predictor that a model needs is not in the predictor set."""


class InvalidModelFile(GwsaError):
    """A file is not a model file of this library, or is damaged."""


class MissingPackage(GwsaError):
    """A Python package that this step needs is not installed."""


class OutputNotWritable(GwsaError):
    """An output cannot be written: no permission, no space, or no such folder."""


class Cancelled(Exception):
    """The user cancelled; partial output has been removed."""
