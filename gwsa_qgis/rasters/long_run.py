"""Long work window by window: it goes on where it was interrupted, and refuses inputs that change meanwhile.

Results of finished windows are kept as they are in the journal's folder. A run that goes on takes them from there, in the
order of the windows, so that sums and files are those of an undisturbed run to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple
from pathlib import Path

import numpy as np
from osgeo import gdal

from gwsa_qgis.errors import OutputNotWritable, UnreadableInput
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.journal import Journal, describe_file, journalled
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.rasters.writing import WRITE_FAULTS, together

Paths = str | Path | None | Sequence[str | Path]


class LongRun:
    """A long piece of work; made by `long_run`.

    Attributes
    ----------
    outputs : ExitStack
        Takes the outputs, which appear together.
    fingerprint : dict
        All that the results depend on.
    """

    def __init__(self, journal: Journal, outputs: ExitStack, fingerprint: dict[str, object], report: Reporter) -> None:
        self.outputs, self.fingerprint = outputs, fingerprint
        self._journal, self._report, self._keeps = journal, report, True

    @property
    def folder(self) -> Path:
        """Where scratch files may lie; what is there and was not finished is removed when the run ends, or begins anew."""
        return self._journal.folder

    def results(
        self,
        name: str,
        windows: Sequence[Window],
        compute: Callable[..., Iterator[tuple[Window, object]]],
        report: Reporter,
        *,
        more: bool = False,
    ) -> Iterator[tuple[Window, object]]:
        """Give (window, result) in the windows' order, and keep each as soon as it is there.

        Parameters
        ----------
        name : str
            Of this pass over the map.
        compute : callable
            Called as ``compute(windows, progress=reporter)`` with the windows that are not finished, gives (window, result)
            in their order. A result is an array, a number,
            None, or tuples and mappings of them (tuples and lists come back as tuples). It must depend on nothing but
            the window and the fingerprint.
        more : bool
            Whether there is more of the work. Otherwise a map of one window is not kept: there would be nothing to go on
            from.
        """
        finished = [self._finds(f"{name} {number}", window) for number, window in enumerate(windows)]
        todo = [window for window, known in zip(windows, finished, strict=True) if not known]
        share = 1 - len(todo) / len(windows)
        replaying = report.part(0.0, share)
        with closing(compute(todo, progress=report.part(share, 1.0)) if todo else _nothing()) as fresh:
            for number, (window, known) in enumerate(zip(windows, finished, strict=True)):
                entry = f"{name} {number}"
                if known:
                    result = self._load(entry)
                    if all(finished[:number]):
                        replaying((number + 1) / sum(finished))
                else:
                    window, result = next(fresh)
                    if more or len(windows) > 1:
                        self._keep(entry, result, window)
                yield window, result
            for _ in fresh:  # lets it end by itself
                pass

    def once(self, name: str, make: Callable[[], object]) -> object:
        """Result of a function, which is kept."""
        if self._finds(name):
            return self._load(name)
        result = make()
        self._keep(name, result)
        return result

    def _finds(self, name: str, window: Window | None = None) -> bool:
        return name in self._journal.finished and self._journal.facts(name)["window"] == _numbers(window)

    def _keep(self, name: str, result: object, window: Window | None = None) -> None:
        if not self._keeps:
            return
        arrays: list[np.ndarray] = []
        layout = _take_apart(result, arrays)
        path = self._path(name)
        try:
            with path.open("wb") as file:
                for array in arrays:
                    np.save(file, array, allow_pickle=False)
            self._journal.finish(name, [path], {"window": _numbers(window), "layout": layout})
        except (OSError, OutputNotWritable) as error:
            # numpy names no number when it could write a part of an array only.
            if isinstance(error, OSError) and error.errno not in {None, *WRITE_FAULTS}:
                raise
            path.unlink(missing_ok=True)
            self._keeps = False
            self._report.warn("there is no room to keep finished parts: if this run is interrupted they are made again")

    def _load(self, name: str) -> object:
        layout = self._journal.facts(name)["layout"]
        with self._path(name).open("rb") as file:
            return _put_together(layout, lambda: np.load(file, allow_pickle=False))

    def _path(self, name: str) -> Path:
        return self._journal.folder / f"{name.replace(' ', '')}.npy"


@contextmanager
def long_run(
    step: str, output: str | Path, inputs: Mapping[str, Paths], settings: Mapping[str, object], report: Reporter
) -> Iterator[LongRun]:
    """Give a run whose outputs appear together when the block ends well, or not at all.

    Parameters
    ----------
    output : path
        Main output; the journal lies beside it, and two runs with the same one do not meet.
    inputs : mapping
        All files (or folders of files) that are read, by the names of their parameters.
    settings : mapping
        All other things that the results depend on. A change of them, or of an input, starts afresh.

    Raises
    ------
    OutputNotWritable
        If an output cannot be written, or another run is at work on it.
    UnreadableInput
        If an input changed while it was read.
    """
    fingerprint = _fingerprint(step, inputs, settings)
    with journalled(output, fingerprint, report) as journal, together() as outputs:
        yield LongRun(journal, outputs, fingerprint, report)
        now = _fingerprint(step, inputs, settings)
        changed = [name for name in inputs if now[name] != fingerprint[name]]
        if changed:
            raise UnreadableInput(
                f"{', '.join(changed)} changed while it was read", "run the step again when the input is whole"
            )


def _nothing() -> Iterator[tuple[Window, object]]:
    """A generator without items."""
    yield from ()


def _fingerprint(step: str, inputs: Mapping[str, Paths], settings: Mapping[str, object]) -> dict[str, object]:
    from gwsa_qgis import __version__

    made = {"step": step, "version": __version__, "GDAL": gdal.__version__, "numpy": np.__version__}
    return {**made, **{name: _describe(paths) for name, paths in inputs.items()}, "settings": _plain(settings)}


def _describe(paths: Paths) -> object:
    if paths is None or paths == "":
        return None
    if not isinstance(paths, str | Path):
        return [_describe(path) for path in paths]
    folder = Path(paths)
    if not folder.is_dir():
        return describe_file(paths)
    # Hidden files are journals and outputs on their way.
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return {"name": folder.name, "files": {path.name: describe_file(path) for path in files}}


def _plain(value: object) -> object:
    """Settings as texts, numbers, lists and mappings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def _numbers(window: Window | None) -> list[int] | None:
    return None if window is None else [int(number) for number in astuple(window)]


def _take_apart(value: object, arrays: list[np.ndarray]) -> object:
    """How a result is made of arrays, which are put into the list."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {str(key): _take_apart(one, arrays) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_take_apart(one, arrays) for one in value]
    arrays.append(np.asarray(value))
    return 1


def _put_together(layout: object, next_array: Callable[[], np.ndarray]) -> object:
    if layout is None:
        return None
    if isinstance(layout, dict):
        return {key: _put_together(one, next_array) for key, one in layout.items()}
    if isinstance(layout, list):
        return tuple(_put_together(one, next_array) for one in layout)
    array = next_array()
    return array if array.ndim else array[()]
